//! Randomness and digests: new tokens, the keys they are kept under, and the PKCE check.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;

/// The SHA-256 of a token: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn of(token: &str) -> Self {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(key)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A new token, to be handed out once.
pub(crate) struct Token {
    pub(crate) text: SecretString,
    pub(crate) key: Key,
}

/// The system has no randomness to give.
#[derive(Debug)]
pub(crate) struct NoRandomness;

impl Token {
    pub(crate) fn new(prefix: &str) -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
        let mut text = String::with_capacity(prefix.len() + 43);
        text.push_str(prefix);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        Ok(Self { key: Key::of(&text), text: SecretString::from(text) })
    }

    pub(crate) fn code() -> Result<Self, NoRandomness> {
        Self::new("sbx_code_")
    }
}

/// The tokens of one answer, made before the state is locked.
pub(crate) struct Fresh {
    pub(crate) access: Token,
    pub(crate) refresh: Token,
    /// For the quirk of a second access token.
    pub(crate) second: Token,
}

impl Fresh {
    pub(crate) fn new() -> Result<Self, NoRandomness> {
        Ok(Self {
            access: Token::new("sbx_at_")?,
            refresh: Token::new("sbx_rt_")?,
            second: Token::new("sbx_at_")?,
        })
    }
}

/// Whether a text can be an S256 challenge: 32 bytes in base64url (RFC 7636 §4.2).
pub(crate) fn is_challenge(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// Whether `verifier` is well-formed (RFC 7636 §4.1) and belongs to the S256 `challenge`.
pub(crate) fn verifier_matches(verifier: &str, challenge: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        && URL_SAFE_NO_PAD.encode(Key::of(verifier).as_bytes()) == challenge
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b_matches() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(is_challenge(challenge));
        assert!(verifier_matches("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", challenge));
        assert!(!verifier_matches("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", challenge));
    }

    #[test]
    fn a_short_verifier_never_matches_even_its_own_challenge() {
        let challenge = URL_SAFE_NO_PAD.encode(Key::of("short").as_bytes());
        assert!(!verifier_matches("short", &challenge));
    }

    #[test]
    fn every_token_is_new_and_carries_32_bytes_after_its_prefix() {
        let fresh = Fresh::new().unwrap();
        let access = fresh.access.text.expose_secret();
        assert_eq!(URL_SAFE_NO_PAD.decode(access.strip_prefix("sbx_at_").unwrap()).unwrap().len(), 32);
        assert!(fresh.refresh.text.expose_secret().starts_with("sbx_rt_"));
        assert!(Fresh::new().unwrap().access.text.expose_secret() != access);
    }
}
