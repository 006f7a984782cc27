//! Answers of refreshes that the database did not take: on disk first, served from memory meanwhile, written as soon as
//! the database is back, also after a restart.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokenry_model::{Connection, ConnectionId, ConnectionState, SecretString, Timestamp};
use tokenry_store::{NewRevocation, Spooled, StoreError};

use crate::boot::Broker;
use crate::crash;
use crate::error::BrokerError;
use crate::grants;
use crate::refresh::HandedOut;

/// How long the database gets before an answer goes to the spool. A reader waits for no more than this.
const AT_ONCE: Duration = Duration::from_millis(250);
/// How soon, and at most how seldom, a waiting answer is offered to the database again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// An answer that waits, and its access token, opened, for those who ask meanwhile.
pub(crate) struct Waiting {
    answer: Spooled,
    token: SecretString,
}

/// What waits in this process.
pub(crate) type WaitingAnswers = Mutex<HashMap<ConnectionId, Arc<Waiting>>>;

impl Broker {
    /// Writes an answer to its row. Says whether it is written, or `None` when it waits in the spool.
    pub(crate) async fn write_or_spool(
        &self,
        answer: &Spooled,
        token: &SecretString,
    ) -> Result<Option<bool>, BrokerError> {
        let write = {
            let (broker, answer) = (self.clone(), answer.clone());
            // In a task of its own: a write that is slow goes on, and the answer goes to the spool all the same.
            self.tasks.spawn(async move { broker.write_answer(&answer).await })
        };
        match tokio::time::timeout(AT_ONCE, write).await {
            Ok(Ok(Ok(written))) => return Ok(Some(written)),
            Ok(Ok(Err(error))) => {
                tracing::error!(connection = %answer.connection_id, %error, "a new token could not be written");
            }
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(connection = %answer.connection_id, "the database is slow to take a new token");
            }
        }
        let spool = self.spool.clone();
        let on_disk = answer.clone();
        let put = tokio::task::spawn_blocking(move || spool.put(&on_disk)).await;
        if let Err(error) = put.unwrap_or_else(|_| Err(io::Error::other("the task ended early"))) {
            // The last copy is in memory now. It is offered to the database until it is taken.
            tracing::error!(connection = %answer.connection_id, %error, "a new token could not be spooled either");
        }
        crash::point("spooled");
        self.keep_waiting(Waiting { answer: answer.clone(), token: token.clone() });
        Ok(None)
    }

    fn keep_waiting(&self, waiting: Waiting) {
        let id = waiting.answer.connection_id;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(waiting));
        let broker = self.clone();
        self.tasks.spawn(async move {
            let mut pause = FIRST_PAUSE;
            while !broker.tasks.is_closed() && broker.write_waiting(id).await.is_err() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        });
    }

    fn waiting_for(&self, id: ConnectionId) -> Option<Arc<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The token of an answer that waits to replace this very row, while it is good.
    pub(crate) fn waiting_token(&self, connection: &Connection, now: Timestamp) -> Option<HandedOut> {
        let waiting = self.waiting_for(connection.id)?;
        let answer = &waiting.answer;
        let fits = answer.generation == connection.generation
            && answer.credential.times.due_at.is_none_or(|due| due > now);
        fits.then(|| HandedOut {
            token: waiting.token.clone(),
            expires_at: answer.credential.times.expires_at,
        })
    }

    /// Offers the answer that waits for a connection to the database. Nothing to do if none waits.
    pub(crate) async fn write_waiting(&self, id: ConnectionId) -> Result<(), BrokerError> {
        let Some(waiting) = self.waiting_for(id) else { return Ok(()) };
        let answer = &waiting.answer;
        if self.write_answer(answer).await? {
            tracing::info!(connection = %id, "a spooled token is in the database");
        } else {
            self.drop_superseded(answer).await?;
        }
        let (spool, done) = (self.spool.clone(), answer.clone());
        let removed = tokio::task::spawn_blocking(move || spool.remove(&done)).await;
        if let Err(error) = removed.unwrap_or_else(|_| Err(io::Error::other("the task ended early"))) {
            tracing::warn!(connection = %id, %error, "a spool file could not be removed; it does no harm");
        }
        // It may have taken the room that was set aside.
        self.reserve_room().await;
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // A newer answer may have come to wait in the meantime.
        if all.get(&id).is_some_and(|now| Arc::ptr_eq(now, &waiting)) {
            all.remove(&id);
        }
        Ok(())
    }

    /// Whether the answer is in its row, now or already.
    async fn write_answer(&self, answer: &Spooled) -> Result<bool, StoreError> {
        let (id, generation) = (answer.connection_id, answer.generation);
        let now = self.clock.now();
        if self.store.update_refreshed(id, generation, &answer.sealed, &answer.credential, now).await? {
            return Ok(true);
        }
        // An earlier try may have been taken after we stopped waiting for it.
        let row = self.store.find_connection(answer.user_id, id).await?.and_then(|owned| owned.connection);
        Ok(row.is_some_and(|row| row.access_token == answer.sealed.access))
    }

    /// An answer whose row was written by somebody else is of no use. When the grant itself was dropped meanwhile, by a
    /// delete or a pasted token, what the provider answered must not outlive that.
    pub(crate) async fn drop_superseded(&self, answer: &Spooled) -> Result<(), BrokerError> {
        let (user, id) = (answer.user_id, answer.connection_id);
        // Where none came with it, a reconnect goes on with the refresh token that was spent for this answer.
        if let Some((spent, next)) = answer.spent.as_ref().zip(answer.sealed.refresh.as_ref())
            && self.store.update_spent(id, spent, next).await?
        {
            tracing::info!(connection = %id, "a reconnect goes on with the refresh token that came meanwhile");
            return Ok(());
        }
        let newer = self.store.find_connection(user, id).await?.and_then(|owned| owned.connection);
        if newer.is_some_and(|newer| {
            newer.kind.is_renewed() && !matches!(newer.state, ConnectionState::Revoked { .. })
        }) {
            return Ok(());
        }
        // One that is missing from the configuration may come back: the revocation waits for it.
        let provider = self.provider_with(&answer.provider, &answer.credential.values);
        if provider.is_ok_and(|provider| !provider.revokes()) {
            return Ok(());
        }
        let account = answer.account.as_ref().map(|account| account.id.as_str());
        let now = self.clock.now();
        let revocation = NewRevocation {
            user_id: user,
            connection_id: id,
            provider: &answer.provider,
            account_id: account,
            values: &answer.credential.values,
            sealed: &answer.sealed,
        };
        self.store.insert_revocation(&revocation, now).await?;
        let broker = self.clone();
        self.tasks.spawn(async move { broker.run_revocations(Some(id)).await });
        Ok(())
    }

    /// Sets room aside for a full disk. One that is full already is no reason not to serve.
    pub(crate) async fn reserve_room(&self) {
        let spool = self.spool.clone();
        let reserved = tokio::task::spawn_blocking(move || spool.reserve()).await;
        if let Err(error) = reserved.unwrap_or_else(|_| Err(io::Error::other("the task ended early"))) {
            tracing::warn!(%error, "no room could be set aside for new tokens when the disk is full");
        }
    }

    /// Takes up what an earlier process left in the spool.
    pub(crate) async fn take_up_spool(&self) -> io::Result<()> {
        let spool = self.spool.clone();
        let left = tokio::task::spawn_blocking(move || spool.list()).await;
        for answer in left.unwrap_or_else(|_| Err(io::Error::other("the task ended early")))? {
            let id = answer.connection_id;
            match grants::open_grant(&self.vault, answer.user_id, id, &answer.sealed) {
                Ok(grant) => {
                    tracing::info!(connection = %id, "a spooled token is taken up");
                    self.keep_waiting(Waiting { answer, token: grant.access });
                    // Before the first request, if the database takes it; else it goes on being offered.
                    if let Err(error) = self.write_waiting(id).await {
                        tracing::warn!(connection = %id, %error, "a spooled token still waits");
                    }
                }
                Err(error) => tracing::error!(connection = %id, %error, "a spooled token does not open"),
            }
        }
        Ok(())
    }
}
