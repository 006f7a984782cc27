//! Id tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokenry_model::Timestamp;
use tokenry_oauth::{Issuer, fuzz};

use super::answers::assert_error;
use super::choice;

const ISSUER: &str = "https://id.example";
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// The bytes are the token, or the claims of one.
pub fn run(data: &[u8]) {
    let (what, rest) = choice(data);
    let token = if what & 1 == 0 {
        let Ok(text) = std::str::from_utf8(rest) else { return };
        text.to_owned()
    } else {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(rest))
    };
    let issuer = Issuer::parse(ISSUER).unwrap();
    match fuzz::id_token(&token, &issuer, "client", "the-nonce", NOW) {
        Ok(claims) => {
            assert_eq!(claims.issuer, ISSUER);
            assert!(
                (1..=255).contains(&claims.subject.len()) && !claims.subject.chars().any(char::is_control)
            );
            let payload = token.split('.').nth(1).unwrap().trim_end_matches('=');
            let said: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
            assert_eq!((&said["iss"], &said["nonce"]), (&ISSUER.into(), &"the-nonce".into()));
            let is_ours = |aud: &Value| aud == "client";
            assert!(is_ours(&said["aud"]) || said["aud"].as_array().unwrap().iter().any(is_ours));
            assert_eq!(said["sub"], claims.subject.as_str());
        }
        Err(error) => assert_error(&error),
    }
}
