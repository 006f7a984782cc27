//! The ring of data keys while the program runs: read again when it changes, by whomever.
//!
//! A process seals with a key only while the database has its hold on that key, so a key that may still seal is never
//! retired. See `upkeep` for when a hold ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokenry_model::{Clock, Random, Sealed, SecretSlice, SecretString};
use tokenry_store::{Store, StoredKey};
use tokenry_vault::{Context, KeyId, MasterKey, Vault, VaultError, WrappedKey};
use tokio::time::Instant;

use crate::boot::{Broker, OpenError};
use crate::error::BrokerError;

/// By what name the key of the fingerprints is kept.
const FINGERPRINT_KEY: &str = "fingerprint key";
/// How long a key that left the ring still opens what was read before that. A verb takes less.
const FORGET_AFTER: Duration = Duration::from_mins(2);
/// How often a ring is read that changes while it is read.
const TRIES: u32 = 3;

/// The ring as it was last read, and what a new key in it is opened with.
pub(crate) struct Keys {
    vault: RwLock<Arc<Vault>>,
    read: Mutex<Read>,
    /// One reads at a time.
    reading: tokio::sync::Mutex<()>,
    master: Arc<MasterKey>,
    random: Arc<dyn Random>,
}

/// What the vault was made from.
struct Read {
    ring: Vec<StoredKey>,
    began_at: Instant,
    /// Keys that left the ring, and when that was seen.
    gone: BTreeMap<u32, Instant>,
}

impl Keys {
    /// Reads the ring, and makes it in a database that has none.
    pub(crate) async fn unlock(
        store: &Store,
        master: MasterKey,
        clock: &dyn Clock,
        random: Arc<dyn Random>,
    ) -> Result<Self, OpenError> {
        let began_at = Instant::now();
        let (ring, vault) = open_ring(store, &master, clock, &random).await?;
        let read = Read { ring, began_at, gone: BTreeMap::new() };
        Ok(Self {
            vault: RwLock::new(Arc::new(vault)),
            read: Mutex::new(read),
            reading: tokio::sync::Mutex::default(),
            master: Arc::new(master),
            random,
        })
    }

    /// What the ring is opened with.
    pub(crate) fn master(&self) -> Arc<MasterKey> {
        Arc::clone(&self.master)
    }

    /// The vault as it is now.
    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key that seals.
    pub(crate) fn current(&self) -> KeyId {
        self.vault().current_key()
    }

    /// The keys that only open, oldest first.
    pub(crate) fn old_keys(&self) -> Vec<u32> {
        let current = self.current().get();
        self.read().ring.iter().map(|key| key.id).filter(|id| *id != current).collect()
    }

    /// As [`Vault::seal`].
    pub(crate) fn seal(&self, context: &Context<'_>, plain: &[u8]) -> Result<Sealed, VaultError> {
        self.vault().seal(context, plain)
    }

    /// As [`Vault::open`].
    pub(crate) fn open(&self, context: &Context<'_>, sealed: &Sealed) -> Result<SecretSlice<u8>, VaultError> {
        self.vault().open(context, sealed)
    }

    /// As [`Vault::open_text`].
    pub(crate) fn open_text(
        &self,
        context: &Context<'_>,
        sealed: &Sealed,
    ) -> Result<SecretString, VaultError> {
        self.vault().open_text(context, sealed)
    }

    /// The same value sealed with the current key.
    pub(crate) fn fresh(&self, context: &Context<'_>, sealed: &Sealed) -> Result<Sealed, VaultError> {
        Ok(self.vault().reseal(context, sealed)?.unwrap_or_else(|| sealed.clone()))
    }

    /// As [`Vault::fingerprint`].
    pub(crate) fn fingerprint(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        self.vault().fingerprint(purpose, bytes)
    }

    fn read(&self) -> std::sync::MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vault for this ring, if it is another than the one that there is.
    fn renewed(&self, ring: &[StoredKey], now: Instant) -> Result<Option<Vault>, OpenError> {
        let mut read = self.read();
        for key in &read.ring.clone() {
            if !ring.iter().any(|there| there.id == key.id) {
                read.gone.entry(key.id).or_insert(now);
            }
        }
        let forgotten = read.gone.values().any(|since| now.duration_since(*since) >= FORGET_AFTER);
        if read.ring == ring && !forgotten {
            return Ok(None);
        }
        let keep = |id: KeyId| {
            read.gone.get(&id.get()).is_some_and(|since| now.duration_since(*since) < FORGET_AFTER)
        };
        let rewrapped = |key: &StoredKey| {
            read.ring.iter().any(|known| known.id == key.id && known.wrapped != key.wrapped)
        };
        if ring.iter().any(rewrapped) && unlock(&self.master, ring, Arc::clone(&self.random)).is_err() {
            tracing::error!(
                "the master key was changed: restart this server with the new one before the next data key is added"
            );
        }
        let vault = self.vault().renewed(&self.master, &wrapped(ring)?, current_of(ring)?, keep)?;
        read.gone.retain(|_, since| now.duration_since(*since) < FORGET_AFTER);
        Ok(Some(vault))
    }
}

impl Broker {
    /// Opens something. A key that this process does not know yet is looked for in the database first.
    pub(crate) async fn opened<T>(
        &self,
        open: impl Fn(&Keys) -> Result<T, VaultError>,
    ) -> Result<T, BrokerError> {
        match open(&self.vault) {
            Err(VaultError::UnknownKey(_)) => {
                self.read_ring().await?;
                Ok(open(&self.vault)?)
            }
            done => Ok(done?),
        }
    }

    /// Reads the ring again. With a new current key this process seals from now on, and says so to the database before it does.
    pub(crate) async fn read_ring(&self) -> Result<(), BrokerError> {
        let keys = &self.vault;
        let asked_at = Instant::now();
        let _one = keys.reading.lock().await;
        if keys.read().began_at >= asked_at {
            // Somebody else's look began after we wanted one.
            return Ok(());
        }
        for _ in 0..TRIES {
            let began_at = Instant::now();
            let ring = self.store.list_keys().await?;
            let Some(vault) = keys.renewed(&ring, began_at).map_err(|error| ring_error(&error))? else {
                keys.read().began_at = began_at;
                return Ok(());
            };
            let current = vault.current_key();
            if current != keys.current() {
                if !self.hold(current.get()).await? {
                    // Retired between the two looks: the ring has changed again.
                    continue;
                }
                tracing::info!(
                    key = current.get(),
                    "new values are sealed with another data key from now on"
                );
            }
            *keys.vault.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(vault);
            let mut read = keys.read();
            (read.ring, read.began_at) = (ring, began_at);
            return Ok(());
        }
        Err(BrokerError::Internal("the ring of data keys keeps changing"))
    }
}

/// What is wrong with a ring that was read while the program runs.
fn ring_error(error: &OpenError) -> BrokerError {
    tracing::error!(
        %error,
        "the ring of data keys cannot be taken over; if the master key was changed, restart this server with the new one"
    );
    match error {
        OpenError::Vault(error) => BrokerError::Vault(*error),
        _ => BrokerError::Internal("the ring of data keys cannot be read"),
    }
}

/// The ring of the database, and the vault for it.
pub(crate) async fn open_ring(
    store: &Store,
    master: &MasterKey,
    clock: &dyn Clock,
    random: &Arc<dyn Random>,
) -> Result<(Vec<StoredKey>, Vault), OpenError> {
    let mut tries = TRIES;
    loop {
        let mut ring = store.list_keys().await?;
        if ring.is_empty() {
            let first = Vault::make_key(master, KeyId::FIRST, &**random)?;
            let key = StoredKey { id: 1, wrapped: first.wrapped, is_current: true };
            store.insert_key(&key, clock.now()).await?;
            // Another replica may have been first: what is in the database counts.
            ring = store.list_keys().await?;
        }
        let mut vault = unlock(master, &ring, Arc::clone(random))?;
        tries -= 1;
        match adopt_fingerprint_key(store, &mut vault).await {
            // Rotated since the ring was read.
            Err(OpenError::Vault(VaultError::UnknownKey(_)) | OpenError::Store(_)) if tries > 0 => {}
            done => return done.map(|()| (ring, vault)),
        }
    }
}

/// The first data key of an installation is where its fingerprints come from; kept, they outlive it.
async fn adopt_fingerprint_key(store: &Store, vault: &mut Vault) -> Result<(), OpenError> {
    let mut kept = store.find_installation_secret(FINGERPRINT_KEY).await?;
    if kept.is_none() {
        store.insert_installation_secret(FINGERPRINT_KEY, &vault.seal_fingerprint_key()?).await?;
        kept = store.find_installation_secret(FINGERPRINT_KEY).await?;
    }
    let kept = kept.ok_or(OpenError::Unusable("the key of the fingerprints is not in the database"))?;
    Ok(vault.adopt_fingerprint_key(&kept)?)
}

/// The vault for a ring.
pub(crate) fn unlock(
    master: &MasterKey,
    ring: &[StoredKey],
    random: Arc<dyn Random>,
) -> Result<Vault, OpenError> {
    Ok(Vault::unlock(master, &wrapped(ring)?, current_of(ring)?, random)?)
}

/// The newest of the current keys.
fn current_of(ring: &[StoredKey]) -> Result<KeyId, OpenError> {
    let current = ring.iter().filter(|key| key.is_current).map(|key| key.id).max();
    let current = current.ok_or(OpenError::Unusable("the key ring in the database has no current key"))?;
    Ok(KeyId::new(current)?)
}

fn wrapped(ring: &[StoredKey]) -> Result<Vec<WrappedKey>, OpenError> {
    ring.iter().map(|key| Ok(WrappedKey { id: KeyId::new(key.id)?, wrapped: key.wrapped.clone() })).collect()
}
