//! Streams: what leaves the installation as a file, sealed chunk by chunk, so that none can be changed, moved or left out.

use std::fmt;

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hkdf;
use secrecy::{ExposeSecretMut as _, SecretSlice};
use tokenry_model::Random;

use crate::VaultError;
use crate::cipher::{self, Body, KEY_LEN, KeyBytes};

/// What the key and every chunk are bound to.
const LABEL: &[u8] = b"tokenry-stream-v1";

/// The key of one stream. It is made from a secret and the stream's header: under another header nothing opens.
pub struct StreamKey(LessSafeKey);

impl StreamKey {
    /// The key of the stream that begins with `header`, which must have 16 random bytes in it. `secret` is 32 bytes that
    /// cannot be guessed: a random key, or what a slow hash made of a passphrase.
    ///
    /// # Errors
    /// [`VaultError::Cipher`] when the cipher library gave up.
    pub fn derive(secret: &[u8; KEY_LEN], header: &[u8]) -> Result<Self, VaultError> {
        let mut bytes = KeyBytes::default();
        hkdf::Salt::new(hkdf::HKDF_SHA256, header)
            .extract(secret)
            .expand(&[LABEL], hkdf::HKDF_SHA256)
            .and_then(|derived| derived.fill(bytes.expose_secret_mut()))
            .map_err(|_| VaultError::Cipher)?;
        cipher::ready(&bytes).map(Self)
    }

    /// Seals a chunk: its number, counted from 0, and whether it is the last one.
    ///
    /// # Errors
    /// [`VaultError::Entropy`] when there are no random bytes.
    pub fn seal(
        &self,
        number: u64,
        is_last: bool,
        plain: &[u8],
        random: &dyn Random,
    ) -> Result<Vec<u8>, VaultError> {
        cipher::seal(&self.0, &[], &aad(number, is_last), plain, random)
    }

    /// Opens the chunk of this number.
    ///
    /// # Errors
    /// [`VaultError::Unreadable`] when the bytes are too few; [`VaultError::Refused`] when they were changed, are another
    /// chunk's, or belong to another stream.
    pub fn open(&self, number: u64, is_last: bool, sealed: &[u8]) -> Result<SecretSlice<u8>, VaultError> {
        let body = Body::read(sealed).ok_or(VaultError::Unreadable)?;
        body.open(&self.0, &aad(number, is_last)).ok_or(VaultError::Refused)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKey(..)")
    }
}

fn aad(number: u64, is_last: bool) -> Vec<u8> {
    [LABEL, &number.to_be_bytes(), &[u8::from(is_last)]].concat()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::SystemRandom;

    #[test]
    fn a_chunk_opens_in_its_place_of_its_stream_and_nowhere_else() {
        let key = StreamKey::derive(&[7; 32], b"a header").unwrap();
        let chunk = key.seal(3, false, b"the secret", &SystemRandom).unwrap();
        assert_eq!(key.open(3, false, &chunk).unwrap().expose_secret(), b"the secret");
        let same = StreamKey::derive(&[7; 32], b"a header").unwrap();
        assert!(same.open(3, false, &chunk).is_ok());

        assert_eq!(key.open(4, false, &chunk).unwrap_err(), VaultError::Refused);
        assert_eq!(key.open(3, true, &chunk).unwrap_err(), VaultError::Refused);
        let other_header = StreamKey::derive(&[7; 32], b"a headerr").unwrap();
        let other_secret = StreamKey::derive(&[8; 32], b"a header").unwrap();
        for key in [other_header, other_secret] {
            assert_eq!(key.open(3, false, &chunk).unwrap_err(), VaultError::Refused);
        }
        for at in 0..chunk.len() {
            let mut changed = chunk.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(3, false, &changed).unwrap_err(), VaultError::Refused, "byte {at}");
        }
        assert_eq!(key.open(3, false, &chunk[..20]).unwrap_err(), VaultError::Unreadable);
    }
}
