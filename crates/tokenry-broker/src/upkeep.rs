//! The upkeep of keys, which every process does: it takes new keys over, seals again what older ones sealed, and lets go of a
//! key that it no longer needs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use tokenry_model::{Sealed, StateHash, Timestamp, UserId};
use tokenry_store::{SealedPlace, SealedValue, Spooled, StoreError};
use tokenry_vault::{ConnectionField, Context, FlowField, KeyId, Vault, VaultError};
use tokio::time::Instant;

use crate::boot::Broker;
use crate::error::BrokerError;
use crate::grants;

/// How often the ring is read.
const ROUND: Duration = Duration::from_secs(5);
/// How often a process says that it lives.
const SAY_EVERY: Duration = Duration::from_secs(30);
/// How long a process holds a key that it no longer seals with: a write that was under way with it has ended by then.
const LET_GO_AFTER: Duration = Duration::from_secs(30);
/// How long a process must have been silent to count as dead.
pub(crate) const DEAD_AFTER: Duration = Duration::from_mins(2);
/// How many values are sealed again at a time. Other writers wait for no more than these.
const BATCH: i64 = 100;
/// The least rest between two batches; it is as long as the batch took, if that is more.
const REST: Duration = Duration::from_millis(5);
/// How often the progress is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Which keys this process has said that it holds, and since when each is not the one that seals.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    keys: BTreeMap<u32, Option<Instant>>,
    said_at: Option<Timestamp>,
}

impl Broker {
    /// Looks after the keys until `stop` ends.
    pub async fn run_keys(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let mut told = Told::default();
        loop {
            let rest = match self.keep_keys(&mut told).await {
                Ok(more) => more.unwrap_or(ROUND),
                Err(error) => {
                    tracing::error!(%error, "the keys could not be looked after");
                    ROUND
                }
            };
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Looks after the keys once, until nothing is left to be sealed again.
    ///
    /// # Errors
    /// [`BrokerError`] when the database is away.
    pub async fn do_keys(&self) -> Result<(), BrokerError> {
        let mut told = Told::default();
        while self.keep_keys(&mut told).await?.is_some() {}
        Ok(())
    }

    /// One round. Says how long to rest if there is more to seal again.
    async fn keep_keys(&self, told: &mut Told) -> Result<Option<Duration>, BrokerError> {
        if told.looked_at.is_none_or(|at| at.elapsed() >= ROUND) {
            told.looked_at = Some(Instant::now());
            self.read_ring().await?;
            self.read_signing_keys().await?;
            self.drop_spent_signing_keys().await?;
            self.renew_holds().await?;
        }
        let began = Instant::now();
        let Some((key, sealed)) = self.seal_some_again().await? else {
            if let Some(key) = told.key.take() {
                let left = self.count_left(key).await?;
                tracing::info!(key, left, by_this_process = told.sealed, "there is no more to seal again");
            }
            self.metrics.set_keys(self.vault.current().get(), self.vault.old_keys().len());
            return Ok(None);
        };
        let took = began.elapsed();
        told.sealed += sealed;
        if told.key != Some(key) || told.at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            (told.key, told.at) = (Some(key), Some(Instant::now()));
            let left = self.count_left(key).await?;
            self.metrics.set_keys(self.vault.current().get(), self.vault.old_keys().len());
            tracing::info!(
                key,
                left,
                by_this_process = told.sealed,
                "what this data key sealed is sealed again"
            );
        }
        Ok(Some(took.max(REST)))
    }

    async fn count_left(&self, key: u32) -> Result<i64, BrokerError> {
        let left = self.store.count_sealed_with(key).await?.iter().map(|each| each.count).sum();
        self.metrics.set_to_reseal(key, left);
        Ok(left)
    }

    /// Seals a batch again that another key than the current one sealed. Says which key, and how many; nothing if there are
    /// none.
    async fn seal_some_again(&self) -> Result<Option<(u32, u64)>, BrokerError> {
        let mut dice = [0; 8];
        self.random.fill(&mut dice).map_err(|_| BrokerError::Internal("there are no random bytes"))?;
        for key in self.vault.old_keys() {
            let batch = self.store.list_sealed_with(key, u64::from_be_bytes(dice), BATCH).await?;
            if batch.is_empty() {
                continue;
            }
            let vault = self.vault.vault();
            let mut again = Vec::with_capacity(batch.len());
            let mut broken = 0_u64;
            for value in batch {
                match seal_again(&vault, &value) {
                    Ok(Some(sealed)) => again.push((value, sealed)),
                    Ok(None) => {}
                    Err(error) => {
                        broken += 1;
                        let place = &value.place;
                        tracing::error!(?place, %error, "a sealed value does not open, and keeps its data key");
                    }
                }
            }
            if again.is_empty() && broken > 0 {
                // Nothing here can be sealed again. Others may: they are tried with other dice in the next round.
                continue;
            }
            return Ok(Some((key, self.store.update_resealed(&again).await?)));
        }
        Ok(None)
    }

    /// Before anything is sealed. A database that takes no write now is no reason not to serve: it is said again every few
    /// seconds, and what was sealed with a key that is gone by then is not taken.
    pub(crate) async fn hold_at_start(&self) {
        let done = match self.hold(self.vault.current().get()).await {
            Ok(true) => Ok(()),
            // Retired since it was read; the new one is held as it is taken over.
            Ok(false) => self.read_ring().await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "it could not be written down which data key is in use");
        }
    }

    /// Says to the database that this process seals with a key. Returns whether there is such a key.
    pub(crate) async fn hold(&self, key: u32) -> Result<bool, StoreError> {
        let done = self.store.insert_key_hold(&self.process, &self.spool_name, key, self.clock.now()).await?;
        if done {
            self.holds().keys.insert(key, None);
        }
        Ok(done)
    }

    fn holds(&self) -> std::sync::MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says that this process lives, and lets go of what it no longer needs.
    async fn renew_holds(&self) -> Result<(), BrokerError> {
        let current = self.vault.current().get();
        let said_at = self.clock.now();
        let (old, must_say) = {
            let mut holds = self.holds();
            let now = Instant::now();
            let must_say = !holds.keys.contains_key(&current)
                || holds.said_at.is_none_or(|at| said_at.since(at) >= SAY_EVERY);
            let others = holds.keys.iter_mut().filter(|(key, _)| **key != current);
            let old: Vec<_> = others.map(|(key, since)| (*key, *since.get_or_insert(now))).collect();
            (old, must_say)
        };
        if !old.is_empty() {
            self.seal_waiting_again().await?;
        }
        for (key, since) in &old {
            if since.elapsed() >= LET_GO_AFTER && !self.spool_needs(*key).await? {
                self.store.delete_key_hold(&self.process, *key).await?;
                self.holds().keys.remove(key);
                tracing::info!(key, "this process no longer needs the data key");
            } else if must_say {
                let now = self.clock.now();
                self.store.insert_key_hold(&self.process, &self.spool_name, *key, now).await?;
            }
        }
        if must_say {
            self.hold(current).await?;
            self.holds().said_at = Some(said_at);
        }
        if must_say || !self.vault.old_keys().is_empty() {
            self.let_go_for_the_dead(current).await?;
        }
        Ok(())
    }

    /// Processes that ended without a word left holds behind. Where they wrote to this spool, it can be seen whether
    /// anything in it needs the key.
    async fn let_go_for_the_dead(&self, current: u32) -> Result<(), BrokerError> {
        let silent_since = self.clock.now().minus(DEAD_AFTER);
        for hold in self.store.list_key_holds().await? {
            let is_dead = hold.seen_at < silent_since && hold.holder != self.process;
            if is_dead && hold.spool == self.spool_name {
                // With the current key there is nothing to look for: this process holds it too.
                if hold.key_id == current || !self.spool_needs(hold.key_id).await? {
                    self.store.delete_key_hold(&hold.holder, hold.key_id).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether an answer on disk or in memory was sealed with this key.
    async fn spool_needs(&self, key: u32) -> Result<bool, BrokerError> {
        if self.waiting_answers().iter().any(|answer| keys_of(answer).contains(&key)) {
            return Ok(true);
        }
        let spool = self.spool.clone();
        let on_disk = tokio::task::spawn_blocking(move || spool.list()).await;
        match on_disk.unwrap_or_else(|_| Err(io::Error::other("the task ended early"))) {
            Ok(answers) => Ok(answers.iter().any(|answer| keys_of(answer).contains(&key))),
            Err(error) => {
                tracing::warn!(key, %error, "the spool cannot be read, so its data key stays");
                Ok(true)
            }
        }
    }

    /// A process that ends in order needs no key any more, unless something waits in its spool.
    pub(crate) async fn let_go(&self) -> Result<(), BrokerError> {
        self.seal_waiting_again().await?;
        let held: Vec<u32> = self.holds().keys.keys().copied().collect();
        for key in held {
            if !self.spool_needs(key).await? {
                self.store.delete_key_hold(&self.process, key).await?;
                self.holds().keys.remove(&key);
            }
        }
        Ok(())
    }

    /// An answer with everything in it sealed with the current key.
    pub(crate) fn sealed_again(&self, answer: &Spooled) -> Result<Spooled, VaultError> {
        let again = |field, sealed: &Sealed| {
            let context = grants::context(answer.user_id, answer.connection_id, field);
            self.vault.fresh(&context, sealed)
        };
        let refresh = |sealed: &Option<Sealed>| {
            sealed.as_ref().map(|sealed| again(ConnectionField::RefreshToken, sealed)).transpose()
        };
        let mut fresh = answer.clone();
        fresh.sealed.access = again(ConnectionField::AccessToken, &answer.sealed.access)?;
        fresh.sealed.refresh = refresh(&answer.sealed.refresh)?;
        fresh.spent = refresh(&answer.spent)?;
        Ok(fresh)
    }
}

/// What was told of the progress, and when.
#[derive(Default)]
struct Told {
    looked_at: Option<Instant>,
    at: Option<Instant>,
    key: Option<u32>,
    sealed: u64,
}

/// The keys that an answer was sealed with.
pub(crate) fn keys_of(answer: &Spooled) -> BTreeSet<u32> {
    let sealed = [Some(&answer.sealed.access), answer.sealed.refresh.as_ref(), answer.spent.as_ref()];
    sealed.into_iter().flatten().filter_map(|sealed| Vault::key_of(sealed).ok()).map(KeyId::get).collect()
}

/// The value sealed with the current key; nothing if it is already.
fn seal_again(vault: &Vault, value: &SealedValue) -> Result<Option<Sealed>, VaultError> {
    let flow = |user: UserId, state: &StateHash, field| {
        vault.reseal(&Context::Flow { user, state, field }, &value.sealed)
    };
    match &value.place {
        SealedPlace::Access { user, connection } => {
            vault.reseal(&grants::context(*user, *connection, ConnectionField::AccessToken), &value.sealed)
        }
        SealedPlace::Refresh { user, connection } => {
            vault.reseal(&grants::context(*user, *connection, ConnectionField::RefreshToken), &value.sealed)
        }
        SealedPlace::FlowSecrets { user, state } => flow(*user, state, FlowField::Secrets),
        SealedPlace::FlowGrant { user, state } => flow(*user, state, FlowField::Grant),
        SealedPlace::SigningKey { id } => vault.reseal(&Context::SigningKey { id: *id }, &value.sealed),
        SealedPlace::Installation { name } => vault.reseal(&Context::Installation { name }, &value.sealed),
        SealedPlace::Client { provider } => vault.reseal(&Context::Client { provider }, &value.sealed),
    }
}
