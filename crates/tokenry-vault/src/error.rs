//! Everything that can go wrong, in words that give nothing away.

use tokenry_model::EntropyError;

use crate::KeyId;

/// Why the vault could not do it. No variant carries key bytes, plaintext or a cause that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The text is not 32 bytes in base64.
    #[error("a master key is 32 bytes in base64; `tokenry key generate` makes one")]
    NotAMasterKey,
    /// Key ids begin at 1.
    #[error("a key id is a whole number from 1 to 4294967295")]
    InvalidKeyId,
    /// A stored data key does not open: it was sealed by another master key, or was changed since.
    #[error("this master key does not open the stored data keys: give the one they were made with")]
    WrongMasterKey,
    /// A stored data key does not have the length or the version of one.
    #[error("data key {0} is damaged, or was written by a newer version")]
    UnreadableKey(KeyId),
    /// [`Vault::unlock`](crate::Vault::unlock) was given no keys.
    #[error("there are no data keys to unlock")]
    EmptyRing,
    /// The key that is to be the current one is not in the ring.
    #[error("data key {0} is to be the current one, but is not among the stored data keys")]
    CurrentKeyMissing(KeyId),
    /// Two keys in the ring have the same id.
    #[error("two stored data keys have the id {0}")]
    DuplicateKey(KeyId),
    /// The sealed bytes name a key that this ring does not have.
    #[error("the bytes were sealed with data key {0}, which this program does not have")]
    UnknownKey(KeyId),
    /// The bytes are too short to be sealed bytes, have another version, or name no possible key.
    #[error("the bytes are not sealed bytes of a version this program reads")]
    Unreadable,
    /// The tag does not fit: bytes, key or context are not the ones that were sealed. It does not say which.
    #[error("the sealed bytes do not open here")]
    Refused,
    /// They opened, but are not UTF-8. Only [`Vault::open_text`](crate::Vault::open_text) says so.
    #[error("the sealed bytes opened, but are not text")]
    NotText,
    /// No random bytes were to be had, so nothing was sealed.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The cipher library gave up: in practice, a plaintext of 64 GiB or more.
    #[error("the cipher library could not seal")]
    Cipher,
}
