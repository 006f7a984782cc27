//! Refresh: one per connection, over all processes; in a task of its own; written under the generation it read.
//!
//! In one process callers share a flight. Over processes the row carries a lease. What is about to be spent is durable
//! before the call, so that after a crash the next holder knows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokenry_model::{
    Connection, ConnectionId, ConnectionState, ExposeSecret as _, RefreshIntent, SecretString,
};
use tokenry_oauth::{OAuthError, Provider, TokenSet, Values};
use tokenry_store::Spooled;
use tokenry_vault::ConnectionField;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::boot::Broker;
use crate::error::{BrokerError, is_passing};
use crate::grants;

type Outcome = Result<Arc<SecretString>, Arc<BrokerError>>;
/// Who refreshes what at the moment, and where the others wait for it.
pub(crate) type Flights = Mutex<HashMap<ConnectionId, watch::Receiver<Option<Outcome>>>>;

/// How long a lease runs: longer than clocks of replicas differ, and short enough to wait for after a crash.
const LEASE: Duration = Duration::from_secs(15);
/// How often a lease is kept while a provider takes its time.
const RENEW_LEASE: Duration = Duration::from_secs(5);
/// How long a reader with a dead token waits for another process: a lease that nobody keeps ends before.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an intent that was left behind is watched before its refresh token is tried again.
const WATCH: Duration = Duration::from_secs(2);
/// How soon, and at most how seldom, the row is looked at meanwhile.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(250);

impl Broker {
    /// A fresh access token for a connection. Callers who come while one is being fetched share it, and one who goes away
    /// does not end it.
    pub(crate) async fn refresh(&self, connection: &Connection) -> Result<SecretString, BrokerError> {
        let mut arrival = self.join_or_start(connection);
        // The sender is dropped without a value only when the task panicked.
        let outcome = match arrival.wait_for(Option::is_some).await {
            Ok(value) => value.clone(),
            Err(_) => None,
        };
        match outcome {
            Some(Ok(token)) => Ok((*token).clone()),
            Some(Err(error)) => Err(BrokerError::Shared(error)),
            None => Err(BrokerError::Internal("a refresh ended without an outcome")),
        }
    }

    fn join_or_start(&self, connection: &Connection) -> watch::Receiver<Option<Outcome>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&connection.id) {
            return flight.clone();
        }
        let (arrived, arrival) = watch::channel(None);
        flights.insert(connection.id, arrival.clone());
        let broker = self.clone();
        let connection = connection.clone();
        let flight = async move {
            let _landing = Landing { broker: &broker, id: connection.id };
            let outcome = broker.refresh_alone(&connection).await.map(Arc::new).map_err(Arc::new);
            // Nobody may be left to hear it; the row has it all the same.
            let _ = arrived.send(Some(outcome));
        };
        self.tasks.spawn(flight.in_current_span());
        arrival
    }

    /// The refresh itself. `seen` is the row as the first caller saw it. Over all processes one holds the lease and calls
    /// the provider; the others take its result, or go on with the old token while that lives.
    async fn refresh_alone(&self, seen: &Connection) -> Result<SecretString, BrokerError> {
        let began = Instant::now();
        let mut pause = FIRST_LOOK;
        loop {
            // An answer of ours that the database did not take yet goes first: its refresh token is the one that counts.
            self.write_waiting(seen.id).await?;
            // Between the caller's look and this one another refresh may have landed.
            let Some(connection) = self.reread(seen).await? else {
                return Err(BrokerError::NoSuchConnection);
            };
            if connection.generation != seen.generation || connection.state != ConnectionState::Ok {
                return self.take_newer(&connection);
            }
            let provider = self.stored_provider(&connection.provider)?;
            let Some(sealed) = &connection.refresh_token else {
                return self.without_refresh_token(&connection, &provider).await;
            };
            let context = grants::context(connection.user_id, connection.id, ConnectionField::RefreshToken);
            let refresh_token = self.vault.open_text(&context, sealed)?;
            // Whoever left an intent may have an answer and no database: it gets a moment, now that there is one.
            let may_come_back =
                connection.intent.is_some_and(|intent| intent.held) && began.elapsed() < WATCH;
            if !may_come_back && self.claim(&connection, &refresh_token).await? {
                return self.refresh_claimed(&connection, &provider, &refresh_token).await;
            }
            if connection.expires_at.is_some_and(|at| at > self.clock.now()) {
                return Ok(grants::open_access(&self.vault, &connection)?);
            }
            if began.elapsed() >= PATIENCE {
                let what = "another process is refreshing this token and has not come to an end".to_owned();
                let cause = OAuthError::Unavailable { retry_after: None, what };
                return Err(BrokerError::provider(&provider.name, cause));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    /// Takes the lease. With it the intent is durable: what is about to be spent, and when.
    async fn claim(&self, connection: &Connection, token: &SecretString) -> Result<bool, BrokerError> {
        let now = self.clock.now();
        let intent = RefreshIntent { token: self.intent_of(token), at: now, held: true };
        let (id, generation) = (connection.id, connection.generation);
        Ok(self.store.claim_refresh(id, generation, &self.process, now.plus(LEASE), &intent).await?)
    }

    fn intent_of(&self, token: &SecretString) -> [u8; 32] {
        self.vault.fingerprint("refresh intent", token.expose_secret().as_bytes())
    }

    /// Calls the provider while the lease is held, and kept for as long as the provider takes.
    async fn refresh_claimed(
        &self,
        connection: &Connection,
        provider: &Provider,
        refresh_token: &SecretString,
    ) -> Result<SecretString, BrokerError> {
        let captured = Values::new();
        let mut call =
            std::pin::pin!(self.oauth.refresh(provider, refresh_token, &connection.scopes, &captured));
        let answer = loop {
            tokio::select! {
                answer = &mut call => break answer,
                () = tokio::time::sleep(RENEW_LEASE) => {
                    let until = self.clock.now().plus(LEASE);
                    if let Err(error) = self.store.update_lease(connection.id, &self.process, until).await {
                        tracing::warn!(connection = %connection.id, %error, "a lease could not be kept");
                    }
                }
            }
        };
        match answer {
            Ok(tokens) => self.keep(connection, provider, &tokens).await,
            Err(error) => {
                // Without an answer the token may be spent: whoever comes next is told so by the intent.
                let unknown = matches!(error, OAuthError::Unavailable { .. } | OAuthError::Nonsense { .. });
                let began_before = connection.intent.filter(|i| i.token == self.intent_of(refresh_token));
                let outcome = self.refused(connection, provider, error, began_before).await;
                if let Err(error) = self.store.delete_lease(connection.id, &self.process, unknown).await {
                    tracing::warn!(connection = %connection.id, %error, "a lease could not be given back");
                }
                Err(outcome?)
            }
        }
    }

    /// Seals what came and writes it down before anybody gets it.
    async fn keep(
        &self,
        connection: &Connection,
        provider: &Provider,
        tokens: &TokenSet,
    ) -> Result<SecretString, BrokerError> {
        let now = self.clock.now();
        let credential = grants::credential(provider, tokens, &connection.scopes, now);
        let (user, id) = (connection.user_id, connection.id);
        let sealed =
            grants::seal_grant(&self.vault, user, id, &tokens.access_token, tokens.refresh_token.as_ref())?;
        let answer = Spooled {
            user_id: user,
            connection_id: id,
            provider: connection.provider.clone(),
            account: connection.account.clone(),
            generation: connection.generation,
            sealed,
            credential,
        };
        let Some(written) = self.write_or_spool(&answer, &tokens.access_token).await? else {
            self.metrics.refreshed(provider.id.as_str(), "spooled");
            return Ok(tokens.access_token.clone());
        };
        if written {
            self.metrics.refreshed(provider.id.as_str(), "ok");
            tracing::info!(connection = %id, provider = %provider.id, "refreshed");
            return Ok(tokens.access_token.clone());
        }
        // Somebody else wrote the row: a reconnect, a pasted token, or a delete. Theirs stands.
        self.metrics.refreshed(provider.id.as_str(), "superseded");
        self.drop_superseded(&answer).await?;
        let newer = self.reread(connection).await?;
        newer.map_or(Err(BrokerError::NoSuchConnection), |newer| self.take_newer(&newer))
    }

    /// What a failed refresh means for the connection.
    async fn refused(
        &self,
        connection: &Connection,
        provider: &Provider,
        error: OAuthError,
        began_before: Option<RefreshIntent>,
    ) -> Result<BrokerError, BrokerError> {
        if !error.is_final_refusal() {
            let outcome = if is_passing(&error) { "away" } else { "failed" };
            self.metrics.refreshed(provider.id.as_str(), outcome);
            if error.is_operators_fault() {
                tracing::error!(provider = %provider.id, %error, "the provider refuses this server's client credentials");
            }
            return Ok(BrokerError::provider(&provider.name, error));
        }
        let mut reason = format!("{} no longer honours the grant ({error})", provider.name);
        if let Some(intent) = began_before {
            let lost = format!(
                "; a refresh begun at {} never got its answer, which may have been the cause",
                intent.at
            );
            reason.push_str(&lost);
        }
        let marked =
            self.store.update_reconnect_required(connection.id, connection.generation, &reason).await?;
        if !marked && let Some(newer) = self.reread(connection).await? {
            // Somebody connected it again in the meantime.
            return match newer.state {
                ConnectionState::ReconnectRequired { reason } => {
                    Ok(BrokerError::ReconnectRequired { reason })
                }
                ConnectionState::Ok => Ok(BrokerError::provider(&provider.name, error)),
            };
        }
        self.metrics.refreshed(provider.id.as_str(), "reconnect_required");
        tracing::warn!(connection = %connection.id, provider = %provider.id, %reason, "must be connected again");
        Ok(BrokerError::ReconnectRequired { reason })
    }

    /// A token is due and there is nothing to refresh it with.
    async fn without_refresh_token(
        &self,
        connection: &Connection,
        provider: &Provider,
    ) -> Result<SecretString, BrokerError> {
        if connection.expires_at.is_some_and(|at| at > self.clock.now()) {
            return Ok(grants::open_access(&self.vault, connection)?);
        }
        let reason = format!("the access token expired, and {} gave no refresh token with it", provider.name);
        self.store.update_reconnect_required(connection.id, connection.generation, &reason).await?;
        self.metrics.refreshed(provider.id.as_str(), "reconnect_required");
        Err(BrokerError::ReconnectRequired { reason })
    }

    async fn reread(&self, connection: &Connection) -> Result<Option<Connection>, BrokerError> {
        let owned = self.store.find_connection(connection.user_id, connection.id).await?;
        Ok(owned.and_then(|owned| owned.connection))
    }

    /// The token of a row that somebody else has just written.
    fn take_newer(&self, newer: &Connection) -> Result<SecretString, BrokerError> {
        match &newer.state {
            ConnectionState::ReconnectRequired { reason } => {
                Err(BrokerError::ReconnectRequired { reason: reason.clone() })
            }
            ConnectionState::Ok => Ok(grants::open_access(&self.vault, newer)?),
        }
    }
}

/// Takes a flight off the board when its task ends, also when it panics.
struct Landing<'a> {
    broker: &'a Broker,
    id: ConnectionId,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.broker.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
