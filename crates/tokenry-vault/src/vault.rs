//! The vault: a ring of data keys, one of which seals.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::{hkdf, hmac};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretSlice, SecretString};
use tokenry_model::{Random, Sealed};

use crate::VaultError;
use crate::cipher::{self, Body, KeyBytes};
use crate::context::{Context, push_part};
use crate::keys::{self, KeyId, MasterKey, WrappedKey};

/// The first byte of sealed bytes.
const VERSION: u8 = 1;

/// What the fingerprint key is sealed as, so that it outlives the data key that it came from.
const FINGERPRINT: Context<'static> = Context::Installation { name: "fingerprint key" };

/// The key of fingerprints: its bytes, to be sealed, and ready for use.
struct FingerprintKey {
    bytes: KeyBytes,
    ready: hmac::Key,
}

impl FingerprintKey {
    fn new(bytes: KeyBytes) -> Self {
        let ready = hmac::Key::new(hmac::HMAC_SHA256, bytes.expose_secret());
        Self { bytes, ready }
    }

    fn copy(&self) -> Self {
        Self::new(keys::copy_key(self.bytes.expose_secret()))
    }
}

/// Seals with the current data key, and opens what any data key of its ring sealed.
pub struct Vault {
    /// Shared with the vaults that this one is renewed to.
    keys: BTreeMap<KeyId, Arc<LessSafeKey>>,
    current: KeyId,
    fingerprint_key: FingerprintKey,
    random: Arc<dyn Random>,
}

impl Vault {
    /// Makes a new data key and seals it with the master key.
    ///
    /// # Errors
    /// [`VaultError::Entropy`] when there are no random bytes.
    pub fn make_key(master: &MasterKey, id: KeyId, random: &dyn Random) -> Result<WrappedKey, VaultError> {
        keys::wrap_key(master, id, &cipher::random_key(random)?, random)
    }

    /// Opens every data key of `ring`; `current` is the one that seals from now on.
    ///
    /// # Errors
    /// [`VaultError::EmptyRing`], [`VaultError::WrongMasterKey`], [`VaultError::UnreadableKey`],
    /// [`VaultError::DuplicateKey`] or [`VaultError::CurrentKeyMissing`]. One key that does not open is enough.
    pub fn unlock(
        master: &MasterKey,
        ring: &[WrappedKey],
        current: KeyId,
        random: Arc<dyn Random>,
    ) -> Result<Self, VaultError> {
        if ring.is_empty() {
            return Err(VaultError::EmptyRing);
        }
        let mut keys = BTreeMap::new();
        let mut current_fingerprint_key = None;
        for wrapped in ring {
            let bytes = keys::unwrap_key(master, wrapped)?;
            if keys.insert(wrapped.id, Arc::new(cipher::ready(&bytes)?)).is_some() {
                return Err(VaultError::DuplicateKey(wrapped.id));
            }
            if wrapped.id == current {
                current_fingerprint_key = Some(fingerprint_key(&bytes)?);
            }
        }
        let fingerprint_key = current_fingerprint_key.ok_or(VaultError::CurrentKeyMissing(current))?;
        Ok(Self { keys, current, fingerprint_key, random })
    }

    /// Seals a data key with another master key. The data key, and all that it sealed, stay as they are.
    ///
    /// # Errors
    /// [`VaultError::WrongMasterKey`] when `old` does not open it, [`VaultError::UnreadableKey`] when it is no
    /// wrapped key, [`VaultError::Entropy`] when there are no random bytes.
    pub fn rewrap(
        old: &MasterKey,
        new: &MasterKey,
        key: &WrappedKey,
        random: &dyn Random,
    ) -> Result<WrappedKey, VaultError> {
        keys::wrap_key(new, key.id, &keys::unwrap_key(old, key)?, random)
    }

    /// This vault with the ring as it is now. A key that it knows is taken over as it is, and a new one is opened. One that
    /// left the ring goes, unless `keep` says otherwise. Fingerprints stay the same.
    ///
    /// # Errors
    /// As [`Vault::unlock`]: this vault is as it was then.
    pub fn renewed(
        &self,
        master: &MasterKey,
        ring: &[WrappedKey],
        current: KeyId,
        keep: impl Fn(KeyId) -> bool,
    ) -> Result<Self, VaultError> {
        let mut keys: BTreeMap<_, _> =
            self.keys.iter().filter(|(id, _)| keep(**id)).map(|(id, key)| (*id, Arc::clone(key))).collect();
        for wrapped in ring {
            let key = match self.keys.get(&wrapped.id) {
                Some(known) => Arc::clone(known),
                None => Arc::new(cipher::ready(&keys::unwrap_key(master, wrapped)?)?),
            };
            keys.insert(wrapped.id, key);
        }
        if !ring.iter().any(|key| key.id == current) {
            return Err(VaultError::CurrentKeyMissing(current));
        }
        let (fingerprint_key, random) = (self.fingerprint_key.copy(), Arc::clone(&self.random));
        Ok(Self { keys, current, fingerprint_key, random })
    }

    /// Seals what was sealed for `context` with the current key. Nothing if it is sealed with that one already.
    ///
    /// # Errors
    /// As [`Vault::open`] and [`Vault::seal`].
    pub fn reseal(&self, context: &Context<'_>, sealed: &Sealed) -> Result<Option<Sealed>, VaultError> {
        if Self::key_of(sealed)? == self.current {
            return Ok(None);
        }
        let plain = self.open(context, sealed)?;
        self.seal(context, plain.expose_secret()).map(Some)
    }

    /// The key of the fingerprints, sealed with the current key: kept, it outlives the data key that it came from.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub fn seal_fingerprint_key(&self) -> Result<Sealed, VaultError> {
        self.seal(&FINGERPRINT, self.fingerprint_key.bytes.expose_secret())
    }

    /// From now on fingerprints are made with the key that [`Vault::seal_fingerprint_key`] sealed.
    ///
    /// # Errors
    /// As [`Vault::open`]; [`VaultError::Unreadable`] when it is not a key.
    pub fn adopt_fingerprint_key(&mut self, sealed: &Sealed) -> Result<(), VaultError> {
        let plain = self.open(&FINGERPRINT, sealed)?;
        if plain.expose_secret().len() != cipher::KEY_LEN {
            return Err(VaultError::Unreadable);
        }
        self.fingerprint_key = FingerprintKey::new(keys::copy_key(plain.expose_secret()));
        Ok(())
    }

    /// The context in which the fingerprint key is sealed, for whoever seals it with another data key.
    pub const fn fingerprint_context() -> Context<'static> {
        FINGERPRINT
    }

    /// The key that seals.
    pub const fn current_key(&self) -> KeyId {
        self.current
    }

    /// Seals `plain` with the current key, for `context` alone.
    ///
    /// # Errors
    /// [`VaultError::Entropy`] when there are no random bytes; [`VaultError::Cipher`] for 64 GiB or more.
    pub fn seal(&self, context: &Context<'_>, plain: &[u8]) -> Result<Sealed, VaultError> {
        let mut header = [VERSION; 5];
        header[1..].copy_from_slice(&self.current.to_bytes());
        let aad = context.aad(self.current);
        let bytes = cipher::seal(self.cipher(self.current)?, &header, &aad, plain, self.random.as_ref())?;
        Ok(Sealed::new(bytes))
    }

    /// Opens what was sealed for `context`, with whichever key sealed it.
    ///
    /// # Errors
    /// [`VaultError::Unreadable`] when these are no sealed bytes, [`VaultError::UnknownKey`] when the ring lacks
    /// their key, [`VaultError::Refused`] when they were changed or belong to another context.
    pub fn open(&self, context: &Context<'_>, sealed: &Sealed) -> Result<SecretSlice<u8>, VaultError> {
        let (key, body) = read(sealed)?;
        body.open(self.cipher(key)?, &context.aad(key)).ok_or(VaultError::Refused)
    }

    /// Opens text that was sealed for `context`.
    ///
    /// # Errors
    /// As [`Vault::open`], and [`VaultError::NotText`] when the plaintext is not UTF-8.
    pub fn open_text(&self, context: &Context<'_>, sealed: &Sealed) -> Result<SecretString, VaultError> {
        let plain = self.open(context, sealed)?;
        // The error of `from_utf8` is dropped here: it says where in the secret the odd byte is.
        str::from_utf8(plain.expose_secret()).map(SecretString::from).map_err(|_| VaultError::NotText)
    }

    /// Which key sealed these bytes. Reads the id without opening them, so nothing vouches for it yet.
    ///
    /// # Errors
    /// [`VaultError::Unreadable`] when these are no sealed bytes.
    pub fn key_of(sealed: &Sealed) -> Result<KeyId, VaultError> {
        Ok(read(sealed)?.0)
    }

    /// A keyed one-way fingerprint (HMAC-SHA256) of `bytes`, different for each `purpose`.
    ///
    /// Its key comes from the data key that was current when the vault was unlocked, unless another was adopted
    /// ([`Vault::adopt_fingerprint_key`]): then it outlives every data key.
    pub fn fingerprint(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        let mut message = Vec::with_capacity(64);
        push_part(&mut message, purpose.as_bytes());
        let mut hmac = hmac::Context::with_key(&self.fingerprint_key.ready);
        hmac.update(&message);
        hmac.update(bytes);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(hmac.sign().as_ref());
        fingerprint
    }

    fn cipher(&self, id: KeyId) -> Result<&LessSafeKey, VaultError> {
        self.keys.get(&id).map(AsRef::as_ref).ok_or(VaultError::UnknownKey(id))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} keys, {} is current)", self.keys.len(), self.current)
    }
}

/// Takes sealed bytes apart: `version (1) | key id (4) | body`.
fn read(sealed: &Sealed) -> Result<(KeyId, Body<'_>), VaultError> {
    let [VERSION, a, b, c, d, body @ ..] = sealed.as_bytes() else { return Err(VaultError::Unreadable) };
    let key = KeyId::new(u32::from_be_bytes([*a, *b, *c, *d])).map_err(|_| VaultError::Unreadable)?;
    let body = Body::read(body).ok_or(VaultError::Unreadable)?;
    Ok((key, body))
}

/// Derives a key of its own for fingerprints (HKDF, RFC 5869), so that the data key does nothing but seal.
fn fingerprint_key(data_key: &KeyBytes) -> Result<FingerprintKey, VaultError> {
    let mut bytes = KeyBytes::default();
    hkdf::Salt::none(hkdf::HKDF_SHA256)
        .extract(data_key.expose_secret())
        .expand(&[b"tokenry-fingerprint-v1"], hmac::HMAC_SHA256)
        .and_then(|derived| derived.fill(bytes.expose_secret_mut()))
        .map_err(|_| VaultError::Cipher)?;
    Ok(FingerprintKey::new(bytes))
}
