//! Descriptions of issuers.

use tokenry_oauth::{Issuer, fuzz};

use super::answers::ENGINE;
use super::{assert_fit_but_for_secrets, two};

/// Two descriptions of one issuer, with a NUL between them.
pub fn run(data: &[u8]) {
    let (first, second) = two(data);
    let issuer = Issuer::parse("https://id.example").unwrap();
    match fuzz::description(&ENGINE, &issuer, first, second) {
        Ok(places) => {
            for place in places {
                assert_eq!(place.scheme(), "https", "{place}");
                assert!(
                    place.has_host() && place.username().is_empty() && place.password().is_none(),
                    "{place}"
                );
            }
        }
        // Nothing secret is sent for it, so nothing can come back.
        Err(error) => assert_fit_but_for_secrets(&error.to_string()),
    }
}
