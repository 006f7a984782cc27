//! What several modules look at an answer with.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokenry_testkit::app::{Answer, ApiClient};

/// Whether a text is a time as the contract writes it: `2021-04-11T20:23:44.487065Z`.
#[track_caller]
pub(crate) fn assert_time(text: &str) {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "{text}");
    let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().unwrap();
    assert!((1..=12).contains(&number(5..7)) && (1..=31).contains(&number(8..10)), "{text}");
    assert!(number(11..13) < 24 && number(14..16) < 60 && number(17..19) < 60, "{text}");
}

/// The headers of an answer, but for those that differ from one answer to the next.
pub(crate) fn lasting_headers(answer: &Answer) -> BTreeMap<String, String> {
    answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

/// That two answers cannot be told apart.
#[track_caller]
pub(crate) fn assert_alike(one: &Answer, other: &Answer) {
    assert_eq!(one.status, other.status);
    assert_eq!(one.body, other.body);
    assert_eq!(lasting_headers(one), lasting_headers(other));
}

/// A part of a JWT: 0 is the header, 1 are the claims. The raw text, for its order counts.
pub(crate) fn jwt_part(token: &str, index: usize) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

/// The id of the user that a token was issued to.
pub(crate) fn user_id_of(token: &str) -> i64 {
    let claims: Value = serde_json::from_str(&jwt_part(token, 1)).unwrap();
    claims["sub"].as_str().unwrap().parse().unwrap()
}

/// One try to log in, by a client that says it came from `from` and may send a token along.
pub(crate) async fn try_log_in(
    api: &ApiClient,
    name: &str,
    password: &str,
    from: Option<&str>,
    token: Option<&str>,
) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(from.map(|from| ("x-forwarded-for", from)));
    headers.extend(token.map(|token| ("authorization", token)));
    let body = json!({"username": name, "password": password}).to_string();
    api.send(reqwest::Method::POST, "/api/auth/login", &headers, body.into_bytes()).await
}
