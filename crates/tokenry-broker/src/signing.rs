//! The keys that sign access tokens, while the program runs: the newest signs, those before it verify until the last token
//! that they signed has expired. They are read again every few seconds, and when a token names one that is not known yet.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokenry_model::{Clock, Random, Sealed, SecretSlice, SecretString, Timestamp, User};
use tokenry_store::{Store, StoredSigningKey};
use tokenry_vault::{Context, Vault, VaultError};
use tokio::time::Instant;

use crate::boot::{Broker, OpenError};
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::sessions::{Claims, Sessions};

/// No token is signed with keys that were read longer ago than this.
const STALE: Duration = Duration::from_mins(1);
/// How long a key is kept after the last token that it can have signed: more than a process may be late to notice that
/// another signs, and more than clocks differ.
pub(crate) const SLACK: Duration = Duration::from_mins(5);
/// How often a token that names an unknown key has the database asked at most, by one process.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A key id further ahead than this of the newest that is known is nobody's.
const AHEAD: i64 = 64;

/// The sessions as they were last read, and when.
pub(crate) struct Signing {
    now: RwLock<Arc<Sessions>>,
    read_at: Mutex<Instant>,
    reading: tokio::sync::Mutex<()>,
    ttl: Duration,
}

impl Signing {
    /// Reads the signing keys, and makes the first in a database that has none.
    pub(crate) async fn open(
        store: &Store,
        vault: &Keys,
        ttl: Duration,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<Self, OpenError> {
        let read_at = Instant::now();
        if store.list_signing_keys().await?.is_empty() {
            store.insert_signing_key(&new_key(&vault.vault(), 1, random)?, clock.now()).await?;
        }
        let keys = open_all(vault, &store.list_signing_keys().await?)?;
        let sessions = Sessions::new(&keys, ttl).ok_or(OpenError::Unusable("there is no signing key"))?;
        store.update_signing_ttl(sessions.current(), ttl).await?;
        Ok(Self {
            now: RwLock::new(Arc::new(sessions)),
            read_at: Mutex::new(read_at),
            reading: tokio::sync::Mutex::default(),
            ttl,
        })
    }

    fn now(&self) -> Arc<Sessions> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`Sessions::read`].
    pub(crate) fn read(&self, token: &str) -> Option<Claims> {
        self.now().read(token)
    }

    fn age(&self) -> Duration {
        self.read_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Broker {
    /// Reads an access token: signature and expiry. Whether its session has ended is checked by each verb.
    ///
    /// # Errors
    /// [`BrokerError::Unauthenticated`]; [`BrokerError::Store`] when its key is not known yet and the database is away.
    pub async fn read_token(&self, token: &str) -> Result<Claims, BrokerError> {
        let sessions = self.sessions.now();
        let claims = sessions.verify(token, self.clock.now());
        if claims.is_ok() {
            return claims;
        }
        let newest = sessions.current();
        let Some(id) = sessions.unknown_key(token) else { return claims };
        if id <= newest || id > newest.saturating_add(AHEAD) {
            return claims;
        }
        self.look_for_signing_key(id).await?;
        self.sessions.now().verify(token, self.clock.now())
    }

    /// Issues an access token; `renews` is the one it follows.
    pub(crate) async fn issue(
        &self,
        user: &User,
        renews: Option<&Claims>,
        now: Timestamp,
    ) -> Result<SecretString, BrokerError> {
        if self.sessions.age() >= STALE {
            self.read_signing_keys().await?;
        }
        self.sessions.now().issue(user, renews, now, &*self.random)
    }

    /// A token names a key that this process does not know. The database is asked, by all who wait for it together, and no more
    /// often than it may be: whoever makes tokens up only makes themselves wait.
    async fn look_for_signing_key(&self, id: i64) -> Result<(), BrokerError> {
        let asked_at = Instant::now();
        let _one = self.sessions.reading.lock().await;
        let read_at = *self.sessions.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        if read_at >= asked_at || self.sessions.now().current() >= id {
            return Ok(());
        }
        tokio::time::sleep_until(read_at + ASK_EVERY).await;
        self.take_over_signing_keys().await
    }

    /// Reads the signing keys again.
    pub(crate) async fn read_signing_keys(&self) -> Result<(), BrokerError> {
        let _one = self.sessions.reading.lock().await;
        self.take_over_signing_keys().await
    }

    async fn take_over_signing_keys(&self) -> Result<(), BrokerError> {
        let read_at = Instant::now();
        let stored = self.store.list_signing_keys().await?;
        let before = self.sessions.now();
        if before.ids() != stored.iter().map(|key| key.id).collect::<Vec<_>>() {
            let keys = self.opened(|vault| open_all(vault, &stored)).await?;
            let sessions = Sessions::new(&keys, self.sessions.ttl)
                .ok_or(BrokerError::Internal("there is no signing key"))?;
            if sessions.current() != before.current() {
                // Before the first token: how long the key must be kept follows from it.
                self.store.update_signing_ttl(sessions.current(), self.sessions.ttl).await?;
                tracing::info!(
                    kid = sessions.current(),
                    "access tokens are signed with another key from now on"
                );
            }
            *self.sessions.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sessions);
        }
        *self.sessions.read_at.lock().unwrap_or_else(PoisonError::into_inner) = read_at;
        Ok(())
    }

    /// Deletes the signing keys whose last token has expired.
    pub(crate) async fn drop_spent_signing_keys(&self) -> Result<(), BrokerError> {
        let dropped = self.store.delete_spent_signing_keys(SLACK, self.clock.now()).await?;
        if dropped > 0 {
            tracing::info!(dropped, "signing keys are gone: the last token that they signed has expired");
            self.read_signing_keys().await?;
        }
        Ok(())
    }
}

/// A new signing key, sealed.
pub(crate) fn new_key(vault: &Vault, id: i64, random: &dyn Random) -> Result<StoredSigningKey, OpenError> {
    let mut key = zeroize::Zeroizing::new([0; 32]);
    random.fill(&mut *key)?;
    let sealed: Sealed = vault.seal(&Context::SigningKey { id }, &*key)?;
    Ok(StoredSigningKey { id, sealed })
}

fn open_all(vault: &Keys, stored: &[StoredSigningKey]) -> Result<Vec<(i64, SecretSlice<u8>)>, VaultError> {
    let open =
        |key: &StoredSigningKey| Ok((key.id, vault.open(&Context::SigningKey { id: key.id }, &key.sealed)?));
    stored.iter().map(open).collect()
}
