//! Checking an id token (OpenID Connect Core 1.0 §3.1.3.7).
//!
//! The signature is not checked, deliberately: the token comes straight from the token endpoint over TLS,
//! which item 6 of that section accepts in its place. An id token from anywhere else must never be given to
//! this module.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokenry_model::Timestamp;

use crate::answer::{Members, number};
use crate::identity::label;
use crate::{IdClaims, Issuer, OAuthError};

/// How far the provider's clock may be behind.
const SKEW_S: i64 = 60;

/// What the id token must say.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a Issuer,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) now: Timestamp,
    pub(crate) label: &'a [String],
}

/// Checks the claims and takes from them who the person is.
pub(crate) fn check(id_token: &str, expected: &Expected<'_>) -> Result<IdClaims, OAuthError> {
    let wrong = |what: &str| Err(OAuthError::WrongIdToken { what: what.to_owned() });
    let Some(claims) = claims(id_token) else { return wrong("it cannot be read") };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);

    if text("iss") != Some(expected.issuer.as_str()) {
        return wrong("it is from another issuer");
    }
    let for_us = match claims.get("aud") {
        Some(Value::String(one)) => one == expected.client_id,
        Some(Value::Array(many)) => many.iter().any(|a| a.as_str() == Some(expected.client_id)),
        _ => false,
    };
    if !for_us || claims.get("azp").is_some_and(|azp| azp.as_str() != Some(expected.client_id)) {
        return wrong("it was made for another client");
    }
    let Some(expires_at) = claims.get("exp").and_then(number) else {
        return wrong("it does not say when it ends");
    };
    // Seconds of any clock fit into an f64 without loss.
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    let earliest = (expected.now.seconds() - SKEW_S) as f64;
    if expires_at.is_nan() || expires_at <= earliest {
        return wrong("it has expired");
    }
    if expected.nonce.is_some_and(|nonce| text("nonce") != Some(nonce)) {
        return wrong("it belongs to another sign-in (nonce)");
    }
    match text("sub") {
        // ASCII by the standard (§2). Other scripts do no harm; control characters have no place in a database.
        Some(subject) if is_subject(subject) => Ok(IdClaims {
            issuer: expected.issuer.to_string(),
            subject: subject.to_owned(),
            label: label(&claims, expected.label),
        }),
        _ => wrong("it does not say whom it is about"),
    }
}

fn is_subject(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// The payload of a signed token; an encrypted one has five parts and cannot be read.
fn claims(id_token: &str) -> Option<Members> {
    let parts: Vec<&str> = id_token.split('.').collect();
    let [_, payload, _] = parts.as_slice() else { return None };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW_S: i64 = 1_700_000_000;

    fn check_claims(claims: &Value) -> Result<IdClaims, OAuthError> {
        check_token(&format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string())))
    }

    fn check_token(token: &str) -> Result<IdClaims, OAuthError> {
        let expected = Expected {
            issuer: &Issuer::parse("https://id.example").unwrap(),
            client_id: "client",
            nonce: Some("n"),
            now: Timestamp::from_micros(NOW_S * 1_000_000),
            label: &["email".to_owned()],
        };
        check(token, &expected)
    }

    fn good() -> Value {
        json!({"iss": "https://id.example", "aud": "client", "exp": NOW_S + 60, "nonce": "n", "sub": "s", "email": "ada@example.org"})
    }

    #[test]
    fn a_good_id_token_says_who() {
        let expected = IdClaims {
            issuer: "https://id.example".into(),
            subject: "s".into(),
            label: Some("ada@example.org".into()),
        };
        assert_eq!(check_claims(&good()), Ok(expected));
        let mut claims = good();
        claims["aud"] = json!(["other", "client"]);
        claims["azp"] = json!("client");
        claims["exp"] = json!(NOW_S - 59);
        assert!(check_claims(&claims).is_ok());
    }

    #[test]
    fn each_claim_is_checked() {
        for (name, value) in [
            ("iss", json!("https://id.example/")),
            ("iss", Value::Null),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("aud", Value::Null),
            ("azp", json!("other")),
            ("exp", json!(NOW_S - 60)),
            ("exp", Value::Null),
            ("exp", json!("soon")),
            ("nonce", json!("m")),
            ("nonce", Value::Null),
            ("sub", json!("")),
            ("sub", json!(7)),
            ("sub", json!("nul\0")),
            ("sub", json!("x".repeat(256))),
        ] {
            let mut claims = good();
            claims[name] = value.clone();
            assert!(matches!(check_claims(&claims), Err(OAuthError::WrongIdToken { .. })), "{name}: {value}");
        }
    }

    #[test]
    fn what_is_no_signed_token_is_refused() {
        for token in ["", "a.b", "a.b.c", "a.b.c.d.e", "e30.W10.sig", "e30.e30.sig"] {
            assert!(check_token(token).is_err(), "{token}");
        }
    }
}
