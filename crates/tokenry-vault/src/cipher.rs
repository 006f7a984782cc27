//! AES-256-GCM with a random nonce: the one place that calls the cipher.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretBox, SecretSlice};
use tokenry_model::Random;

use crate::VaultError;

/// The length of every key here, in bytes.
pub(crate) const KEY_LEN: usize = 32;

/// The bytes of a key, on the heap, wiped when dropped.
pub(crate) type KeyBytes = SecretBox<[u8; KEY_LEN]>;

/// Makes the bytes of a new key.
pub(crate) fn random_key(random: &dyn Random) -> Result<KeyBytes, VaultError> {
    let mut bytes = KeyBytes::default();
    random.fill(bytes.expose_secret_mut())?;
    Ok(bytes)
}

/// Readies a key for use. The cipher keeps its own copy, which aws-lc wipes when it is dropped.
pub(crate) fn ready(key: &KeyBytes) -> Result<LessSafeKey, VaultError> {
    let unbound = UnboundKey::new(&AES_256_GCM, key.expose_secret()).map_err(|_| VaultError::Cipher)?;
    Ok(LessSafeKey::new(unbound))
}

/// Answers `header | nonce | ciphertext | tag`.
pub(crate) fn seal(
    cipher: &LessSafeKey,
    header: &[u8],
    aad: &[u8],
    plain: &[u8],
    random: &dyn Random,
) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce)?;
    let mut ciphertext = vec![0; plain.len()];
    let mut tag = [0; MAX_TAG_LEN];
    cipher
        .seal_out_of_place_scatter(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            plain,
            &mut ciphertext,
            &[],
            &mut tag,
        )
        .map_err(|_| VaultError::Cipher)?;
    Ok([header, &nonce, &ciphertext, &tag].concat())
}

/// What follows the header, taken apart.
pub(crate) struct Body<'a> {
    nonce: [u8; NONCE_LEN],
    ciphertext: &'a [u8],
    tag: [u8; MAX_TAG_LEN],
}

impl<'a> Body<'a> {
    /// Reads `nonce | ciphertext | tag`; `None` when it is too short.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk()?;
        let (ciphertext, tag) = rest.split_last_chunk()?;
        Some(Self { nonce: *nonce, ciphertext, tag: *tag })
    }

    /// How long the plaintext is, in bytes.
    pub(crate) const fn plain_len(&self) -> usize {
        self.ciphertext.len()
    }

    /// Checks the tag and answers the plaintext; `None` when the tag does not fit.
    pub(crate) fn open(&self, cipher: &LessSafeKey, aad: &[u8]) -> Option<SecretSlice<u8>> {
        // The plaintext is only ever written into a buffer that wipes itself.
        let mut plain = SecretSlice::from(vec![0; self.plain_len()]);
        cipher
            .open_separate_gather(
                Nonce::assume_unique_for_key(self.nonce),
                Aad::from(aad),
                self.ciphertext,
                &self.tag,
                plain.expose_secret_mut(),
            )
            .ok()?;
        Some(plain)
    }
}
