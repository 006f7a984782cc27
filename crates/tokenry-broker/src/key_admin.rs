//! What an operator does with keys, while servers run or while none does.

use std::fmt;
use std::sync::Arc;

use tokenry_model::{Clock, Random, Timestamp};
use tokenry_store::{
    KeyHold, KeyRow, RetiredKey, SealedCount, SigningKeyRow, Spool, Store, StoreError, StoredKey,
};
use tokenry_vault::{KeyId, MasterKey, Vault, VaultError, WrappedKey};

use crate::boot::OpenError;
use crate::keys::open_ring;
use crate::signing::{SLACK, new_key};
use crate::upkeep::{DEAD_AFTER, keys_of};

/// How often a key is tried to be deleted that was needed, and a moment later was not.
const TRIES: u32 = 5;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ring does not open, or a key could not be made.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The ring cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No data key has this id.
    #[error("there is no data key {0}; `tokenry key list` shows which there are")]
    NoSuchKey(u32),
    /// It is retired already.
    #[error("data key {0} is retired already")]
    RetiredAlready(u32),
    /// New values are sealed with it.
    #[error("data key {0} is the current one: `tokenry key rotate` puts another in its place")]
    Current(u32),
    /// Values in the database were sealed with it.
    #[error(
        "data key {key} is still needed for {}; a server that runs seals them again, and `tokenry key status` shows how far it is",
        listed(counts)
    )]
    Needed {
        /// The key.
        key: u32,
        /// What needs it.
        counts: Vec<SealedCount>,
    },
    /// Answers in this data directory's spool were sealed with it.
    #[error(
        "data key {key} is still needed for {count} in the spool of this data directory; a server that runs on it seals them again"
    )]
    Spooled {
        /// The key.
        key: u32,
        /// How many answers.
        count: usize,
    },
    /// Processes hold it.
    #[error("data key {key} is still held by {}", holders(holds, *now))]
    Held {
        /// The key.
        key: u32,
        /// Who holds it.
        holds: Vec<KeyHold>,
        /// What time it is.
        now: Timestamp,
    },
    /// A spool that is to be forgotten belongs to a process that lives.
    #[error("the spool {0} is in use: a process that writes to it was seen within the last two minutes")]
    SpoolInUse(String),
    /// Somebody else changed the ring at the same time.
    #[error("the ring of keys was changed by somebody else at the same time; look at it, and try again")]
    Changed,
}

fn listed(counts: &[SealedCount]) -> String {
    let each: Vec<String> = counts.iter().map(|each| format!("{} {}", each.count, each.what)).collect();
    each.join(", ")
}

fn holders(holds: &[KeyHold], now: Timestamp) -> impl fmt::Display {
    let (alive, dead): (Vec<_>, Vec<_>) = holds.iter().partition(|hold| is_alive(hold, now));
    let mut text = Vec::new();
    if !alive.is_empty() {
        text.push(format!(
            "{} that run and have sealed with it within the last minute; try again soon",
            processes(alive.len())
        ));
    }
    if !dead.is_empty() {
        let mut spools: Vec<&str> = dead.iter().map(|hold| hold.spool.as_str()).collect();
        spools.sort_unstable();
        spools.dedup();
        text.push(format!(
            "{} that ended without a word, whose spool may hold tokens that were sealed with it: start a server on that data \
             directory again, or, where it is gone for good, give --forget-spool with its name ({})",
            processes(dead.len()),
            spools.join(", ")
        ));
    }
    text.join("; and by ")
}

fn processes(count: usize) -> String {
    if count == 1 { "1 process".to_owned() } else { format!("{count} processes") }
}

fn is_alive(hold: &KeyHold, now: Timestamp) -> bool {
    hold.seen_at >= now.minus(DEAD_AFTER)
}

/// How the keys stand.
#[derive(Debug)]
pub struct KeyStatus {
    /// The data keys, oldest first.
    pub keys: Vec<KeyRow>,
    /// Those that are gone.
    pub retired: Vec<RetiredKey>,
    /// What was sealed with which.
    pub counts: Vec<SealedCount>,
    /// Which processes need which.
    pub holds: Vec<KeyHold>,
    /// The keys that sign access tokens, oldest first.
    pub signing: Vec<SigningKeyRow>,
    /// What time it is.
    pub now: Timestamp,
}

impl KeyStatus {
    /// How many values a key has sealed.
    pub fn sealed_with(&self, key: u32) -> i64 {
        self.counts.iter().filter(|each| each.key == Some(key)).map(|each| each.count).sum()
    }

    /// How many values there are.
    pub fn sealed(&self) -> i64 {
        self.counts.iter().map(|each| each.count).sum()
    }

    /// Whether a process was seen of late.
    pub fn is_alive(&self, hold: &KeyHold) -> bool {
        is_alive(hold, self.now)
    }

    /// Until when a signing key verifies; nothing for the one that signs.
    pub fn verifies_until(key: &SigningKeyRow) -> Option<Timestamp> {
        key.superseded_at.map(|at| at.plus(key.longest_ttl).plus(SLACK))
    }
}

/// The keys of a database that its master key has opened.
pub struct KeyAdmin {
    store: Store,
    master: Arc<MasterKey>,
    ring: Vec<StoredKey>,
    vault: Vault,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl KeyAdmin {
    /// Opens the ring.
    ///
    /// # Errors
    /// [`KeyError::Open`] when the master key is not the one.
    pub async fn open(
        store: Store,
        master: impl Into<Arc<MasterKey>>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, KeyError> {
        let master = master.into();
        let (ring, vault) = open_ring(&store, &master, &*clock, &random).await?;
        Ok(Self { store, master, ring, vault, clock, random })
    }

    /// How the keys stand.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub async fn status(&self) -> Result<KeyStatus, KeyError> {
        Ok(KeyStatus {
            keys: self.store.list_key_rows().await?,
            retired: self.store.list_retired_keys().await?,
            counts: self.store.count_sealed().await?,
            holds: self.store.list_key_holds().await?,
            signing: self.store.list_signing_key_rows().await?,
            now: self.clock.now(),
        })
    }

    /// Adds a data key, with which every server seals from now on. Servers that run take it over within seconds, and seal
    /// again what the others sealed. Returns its id.
    ///
    /// # Errors
    /// [`KeyError::Changed`] when somebody else was first.
    pub async fn rotate(&self) -> Result<u32, KeyError> {
        let current = self.vault.current_key().get();
        let before = self.ring.iter().find(|key| key.id == current).ok_or(KeyError::Changed)?;
        // The current key is never retired and always the newest: no number is given twice.
        let newest = self.ring.iter().map(|key| key.id).max().unwrap_or(current);
        let id = newest.checked_add(1).ok_or(KeyError::Changed)?;
        let made = Vault::make_key(&self.master, KeyId::new(id)?, &*self.random)?;
        let new = StoredKey { id, wrapped: made.wrapped, is_current: true };
        match self.store.rotate_key(&new, before, self.clock.now()).await {
            Ok(true) => Ok(id),
            Ok(false) | Err(StoreError::Conflict) => Err(KeyError::Changed),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a key that signs access tokens from now on. Those before it verify until the last token that they signed has
    /// expired. Returns its id.
    ///
    /// # Errors
    /// [`KeyError::Changed`] when somebody else was first.
    pub async fn rotate_signing(&self) -> Result<i64, KeyError> {
        let rows = self.store.list_signing_key_rows().await?;
        let id = rows.last().map_or(1, |newest| newest.id + 1);
        let new = new_key(&self.vault, id, &*self.random)?;
        match self.store.rotate_signing_key(&new, self.clock.now()).await {
            Ok(()) => Ok(id),
            Err(StoreError::Conflict) => Err(KeyError::Changed),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a data key that nothing needs any more. `spool` is the one of this data directory; `forget` names a spool that is
    /// gone for good, whose dead processes hold nothing any more.
    ///
    /// # Errors
    /// [`KeyError::Needed`], [`KeyError::Spooled`] and [`KeyError::Held`] while something needs it;
    /// [`KeyError::Current`], [`KeyError::NoSuchKey`] and [`KeyError::RetiredAlready`];
    /// [`KeyError::SpoolInUse`].
    pub async fn retire(&self, key: u32, spool: &Spool, forget: Option<&str>) -> Result<(), KeyError> {
        let rows = self.store.list_key_rows().await?;
        match rows.iter().find(|row| row.id == key) {
            Some(row) if row.is_current => return Err(KeyError::Current(key)),
            Some(_) => {}
            None if self.store.list_retired_keys().await?.iter().any(|gone| gone.id == key) => {
                return Err(KeyError::RetiredAlready(key));
            }
            None => return Err(KeyError::NoSuchKey(key)),
        }
        let spooled = spool.list().map_err(OpenError::from)?;
        let count = spooled.iter().filter(|answer| keys_of(answer).contains(&key)).count();
        if count > 0 {
            return Err(KeyError::Spooled { key, count });
        }
        if let Some(name) = forget {
            self.forget_spool(key, name).await?;
        }
        for _ in 0..TRIES {
            match self.store.delete_key(key, self.clock.now()).await {
                Ok(true) => {
                    self.store.settle().await;
                    return Ok(());
                }
                Ok(false) => return Err(KeyError::Changed),
                // The database itself has said no; why, is for people.
                Err(StoreError::KeyInUse) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(why) = self.why_not(key).await? {
                return Err(why);
            }
            // What needed it a moment ago has let go since.
        }
        Err(KeyError::Changed)
    }

    /// What needs a key, if anything still does.
    async fn why_not(&self, key: u32) -> Result<Option<KeyError>, KeyError> {
        let counts = self.store.count_sealed_with(key).await?;
        if !counts.is_empty() {
            return Ok(Some(KeyError::Needed { key, counts }));
        }
        let holds: Vec<_> =
            self.store.list_key_holds().await?.into_iter().filter(|hold| hold.key_id == key).collect();
        let now = self.clock.now();
        Ok((!holds.is_empty()).then_some(KeyError::Held { key, holds, now }))
    }

    async fn forget_spool(&self, key: u32, name: &str) -> Result<(), KeyError> {
        let now = self.clock.now();
        let holds = self.store.list_key_holds().await?;
        let of_it: Vec<_> = holds.iter().filter(|hold| hold.spool == name && hold.key_id == key).collect();
        if of_it.iter().any(|hold| is_alive(hold, now)) {
            return Err(KeyError::SpoolInUse(name.to_owned()));
        }
        for hold in of_it {
            self.store.delete_key_hold(&hold.holder, key).await?;
        }
        Ok(())
    }

    /// Wraps every data key with another master key, all or none. What they sealed stays as it is. Returns how many there are.
    ///
    /// # Errors
    /// [`KeyError::Changed`] when somebody else changed the ring.
    pub async fn change_master(&self, new: &MasterKey) -> Result<usize, KeyError> {
        let mut rewrapped = Vec::with_capacity(self.ring.len());
        for key in &self.ring {
            let old = WrappedKey { id: KeyId::new(key.id)?, wrapped: key.wrapped.clone() };
            let wrapped = Vault::rewrap(&self.master, new, &old, &*self.random)?.wrapped;
            rewrapped.push((key.clone(), wrapped));
        }
        if !self.store.rewrap_keys(&rewrapped).await? {
            return Err(KeyError::Changed);
        }
        self.store.settle().await;
        Ok(rewrapped.len())
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
