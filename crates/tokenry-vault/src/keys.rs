//! Keys: the master key, which only opens data keys, and the data keys, which open everything else.

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};
use tokenry_model::Random;

use crate::VaultError;
use crate::cipher::{self, Body, KEY_LEN, KeyBytes};

/// The first byte of a wrapped key.
const VERSION: u8 = 1;

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

/// The key that seals the data keys: 32 bytes that the operator keeps outside the database.
///
/// Wiped when dropped; prints as `MasterKey(..)`.
pub struct MasterKey(KeyBytes);

impl MasterKey {
    /// Reads a master key: 32 bytes in base64, standard or URL-safe alphabet (RFC 4648 §4, §5), with or without
    /// padding. White space around it is ignored, because files end in a line break.
    ///
    /// # Errors
    /// [`VaultError::NotAMasterKey`] for anything else. It repeats nothing of the text.
    pub fn from_base64(text: &SecretString) -> Result<Self, VaultError> {
        let text = text.expose_secret().trim();
        let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
        // Room for a little more than a key, so that a longer text fails by its length; wiped on every way out.
        let mut decoded = SecretBox::<[u8; 64]>::new(Box::new([0; 64]));
        match engine.decode_slice(text, decoded.expose_secret_mut()) {
            Ok(KEY_LEN) => Ok(Self(copy_key(&decoded.expose_secret()[..KEY_LEN]))),
            _ => Err(VaultError::NotAMasterKey),
        }
    }

    /// Makes a new master key.
    ///
    /// # Errors
    /// [`VaultError::Entropy`] when there are no random bytes.
    pub fn generate(random: &dyn Random) -> Result<Self, VaultError> {
        Ok(Self(cipher::random_key(random)?))
    }

    /// The key of a stream that begins with `header` (see [`StreamKey`](crate::StreamKey)), where this key was given for that
    /// stream alone.
    ///
    /// # Errors
    /// [`VaultError::Cipher`] when the cipher library gave up.
    pub fn stream_key(&self, header: &[u8]) -> Result<crate::StreamKey, VaultError> {
        crate::StreamKey::derive(self.0.expose_secret(), header)
    }

    /// The key as text, for the operator to keep: 44 characters of standard base64.
    pub fn to_base64(&self) -> SecretString {
        STANDARD.encode(self.0.expose_secret()).into()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// The number of a data key, 1 or more. It stands beside everything the key sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(NonZeroU32);

impl KeyId {
    /// The first data key of an installation.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// Wraps a number.
    ///
    /// # Errors
    /// [`VaultError::InvalidKeyId`] for 0.
    pub fn new(id: u32) -> Result<Self, VaultError> {
        NonZeroU32::new(id).map(Self).ok_or(VaultError::InvalidKeyId)
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The number as it stands in sealed bytes.
    pub(crate) const fn to_bytes(self) -> [u8; 4] {
        self.get().to_be_bytes()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A data key sealed by the master key: what the store keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Its number. The seal binds it: the same bytes under another number do not open.
    pub id: KeyId,
    /// `version (1) | nonce (12) | sealed key (32) | tag (16)`.
    pub wrapped: Vec<u8>,
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedKey({}, {} bytes)", self.id, self.wrapped.len())
    }
}

/// Seals a data key with the master key.
pub(crate) fn wrap_key(
    master: &MasterKey,
    id: KeyId,
    key: &KeyBytes,
    random: &dyn Random,
) -> Result<WrappedKey, VaultError> {
    let master = cipher::ready(&master.0)?;
    let wrapped = cipher::seal(&master, &[VERSION], &aad(id), key.expose_secret(), random)?;
    Ok(WrappedKey { id, wrapped })
}

/// Opens a data key with the master key.
pub(crate) fn unwrap_key(master: &MasterKey, key: &WrappedKey) -> Result<KeyBytes, VaultError> {
    let unreadable = VaultError::UnreadableKey(key.id);
    let [VERSION, body @ ..] = key.wrapped.as_slice() else { return Err(unreadable) };
    let body = Body::read(body).ok_or(unreadable)?;
    if body.plain_len() != KEY_LEN {
        return Err(unreadable);
    }
    let plain = body.open(&cipher::ready(&master.0)?, &aad(key.id)).ok_or(VaultError::WrongMasterKey)?;
    Ok(copy_key(plain.expose_secret()))
}

fn aad(id: KeyId) -> Vec<u8> {
    [b"tokenry-key-v1".as_slice(), &id.to_bytes()].concat()
}

/// Copies 32 bytes into a key, from heap to heap.
fn copy_key(bytes: &[u8]) -> KeyBytes {
    KeyBytes::init_with_mut(|key| key.copy_from_slice(bytes))
}
