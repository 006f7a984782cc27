//! The random values of a flow: state, PKCE verifier (RFC 7636) and nonce.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use tokenry_model::{EntropyError, Random};

/// A PKCE code verifier (RFC 7636 §4.1): proves at the token endpoint that we are who began the flow.
#[derive(Clone)]
pub struct PkceVerifier(SecretString);

impl PkceVerifier {
    /// Wraps a verifier that was sealed and has been opened again.
    pub const fn new(verifier: SecretString) -> Self {
        Self(verifier)
    }

    /// The verifier as a secret text, to be sealed.
    pub const fn as_secret(&self) -> &SecretString {
        &self.0
    }

    /// Makes a fresh verifier: 32 random bytes, 43 characters.
    pub(crate) fn make(random: &dyn Random) -> Result<Self, EntropyError> {
        make_text::<32>(random).map(|text| Self(text.into()))
    }

    /// The S256 challenge that goes into the authorize URL (RFC 7636 §4.2).
    pub(crate) fn challenge(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.0.expose_secret().as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    }
}

impl fmt::Debug for PkceVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PkceVerifier(..)")
    }
}

/// `N` random bytes as base64url without padding.
pub(crate) fn make_text<const N: usize>(random: &dyn Random) -> Result<String, EntropyError> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_the_one_of_rfc_7636_appendix_b() {
        let verifier = PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(format!("{verifier:?}"), "PkceVerifier(..)");
    }
}
