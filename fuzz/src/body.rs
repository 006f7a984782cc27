//! Bodies of requests, the import of credentials among them.

use tokenry_broker::Given;
use tokenry_web::fuzz;

use super::{SENTINEL, assert_fit};

pub fn run(data: &[u8]) {
    for refusal in fuzz::bodies(data).into_iter().filter_map(Result::err) {
        assert_refusal(&refusal);
    }
    match fuzz::import(data) {
        Ok(import) => {
            let secret_alone = matches!(
                import.given,
                Given::Plain { .. } | Given::ApiKey { .. } | Given::Basic { .. } | Given::OAuth1 { .. }
            );
            let shown = format!("{:?}", import.given);
            assert!(!secret_alone || !shown.contains(SENTINEL), "{shown}");
        }
        Err(refusal) => assert_refusal(&refusal),
    }
}

/// What is wrong with a body is said without repeating it.
fn assert_refusal((status, words): &fuzz::Refusal) {
    assert!([400, 422].contains(status), "{status} {words}");
    assert_fit(words);
}
