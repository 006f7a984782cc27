//! The parameters of a callback, and the queries of the API.

use std::collections::BTreeSet;

use tokenry_broker::Callback;
use tokenry_model::ExposeSecret as _;
use tokenry_web::fuzz;

use super::assert_fit;

pub fn run(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    for read in fuzz::queries(query) {
        if let Err((status, words)) = read {
            assert_eq!(status, 422, "{words}");
            assert_fit(&words);
        }
    }
    let standard: Vec<_> = url::form_urlencoded::parse(data)
        .map(|(name, _)| name)
        .filter(|name| ["state", "code", "error", "iss"].contains(&name.as_ref()))
        .collect();
    let once = standard.iter().collect::<BTreeSet<_>>().len() == standard.len();
    let Some(callback) = fuzz::callback(query) else {
        assert!(!once, "it was good");
        return;
    };
    assert!(once, "one of the standard's came twice");
    assert!(callback.others.len() <= 32);
    for (name, value) in &callback.others {
        assert!(name.len() <= 64 && value.expose_secret().len() <= 2048);
    }
    let again = fuzz::callback(&written(&callback)).unwrap();
    assert_eq!(parts(&again), parts(&callback), "what it says, said again, is the same");
}

fn parts(callback: &Callback) -> Vec<(&str, &str)> {
    let standard = [
        ("state", callback.state.as_deref()),
        ("code", callback.code.as_ref().map(|code| code.expose_secret())),
        ("error", callback.error.as_deref()),
        ("iss", callback.issuer.as_deref()),
    ];
    let standard = standard.into_iter().filter_map(|(name, value)| Some((name, value?)));
    standard
        .chain(callback.others.iter().map(|(name, value)| (name.as_str(), value.expose_secret())))
        .collect()
}

fn written(callback: &Callback) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parts(callback)).finish()
}
