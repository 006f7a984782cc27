//! Refresh: one per connection in this process, in a task of its own, written under the generation it read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokenry_model::{Connection, ConnectionId, ConnectionState, CredentialKind, SecretString};
use tokenry_oauth::{OAuthError, Provider, TokenSet};
use tokenry_store::{NewCredential, SealedCredential, StoreError};
use tokenry_vault::ConnectionField;
use tokio::sync::watch;

use crate::boot::Broker;
use crate::error::{BrokerError, is_passing};
use crate::grants;

type Outcome = Result<Arc<SecretString>, Arc<BrokerError>>;
/// Who refreshes what at the moment, and where the others wait for it.
pub(crate) type Flights = Mutex<HashMap<ConnectionId, watch::Receiver<Option<Outcome>>>>;

/// How often, and how far apart, a new token is offered to a database that does not take it.
const WRITE_TRIES: u32 = 6;
const WRITE_PAUSE: Duration = Duration::from_millis(100);

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
        self.tasks.spawn(async move {
            let _landing = Landing { broker: &broker, id: connection.id };
            let outcome = broker.refresh_alone(&connection).await.map(Arc::new).map_err(Arc::new);
            // Nobody may be left to hear it; the row has it all the same.
            let _ = arrived.send(Some(outcome));
        });
        arrival
    }

    /// The refresh itself. `seen` is the row as the first caller saw it.
    async fn refresh_alone(&self, seen: &Connection) -> Result<SecretString, BrokerError> {
        // Between the caller's look and this task another refresh may have landed.
        let Some(connection) = self.reread(seen).await? else { return Err(BrokerError::NoSuchConnection) };
        if connection.generation != seen.generation {
            return self.take_newer(&connection);
        }
        let provider = self.stored_provider(&connection.provider)?;
        let Some(sealed) = &connection.refresh_token else {
            return self.without_refresh_token(&connection, &provider).await;
        };
        let context = grants::context(connection.user_id, connection.id, ConnectionField::RefreshToken);
        let refresh_token = self.vault.open_text(&context, sealed)?;
        match self.oauth.refresh(&provider, &refresh_token, &connection.scopes).await {
            Ok(tokens) => self.keep(&connection, &provider, &tokens).await,
            Err(error) => Err(self.refused(&connection, &provider, error).await?),
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
        if self.write_refreshed(connection, &sealed, &credential).await? {
            self.metrics.refreshed(provider.id.as_str(), "ok");
            tracing::info!(connection = %id, provider = %provider.id, "refreshed");
            return Ok(tokens.access_token.clone());
        }
        // Somebody else wrote the row: a reconnect, a pasted token, or a delete. Theirs stands.
        self.metrics.refreshed(provider.id.as_str(), "superseded");
        let newer = self.reread(connection).await?;
        let orphaned = newer.as_ref().is_none_or(|newer| newer.kind != CredentialKind::OAuth2);
        if orphaned && self.wants_revocation(connection) {
            // The grant was dropped while the provider answered: what it answered must not outlive that.
            let account = connection.account.as_ref().map(|account| account.id.as_str());
            self.store.insert_revocation(user, id, &connection.provider, account, &sealed, now).await?;
            let broker = self.clone();
            self.tasks.spawn(async move { broker.run_revocations(Some(id)).await });
        }
        newer.map_or(Err(BrokerError::NoSuchConnection), |newer| self.take_newer(&newer))
    }

    async fn write_refreshed(
        &self,
        connection: &Connection,
        sealed: &SealedCredential,
        credential: &NewCredential,
    ) -> Result<bool, StoreError> {
        let mut tries = 0;
        loop {
            let now = self.clock.now();
            let generation = connection.generation;
            match self.store.update_refreshed(connection.id, generation, sealed, credential, now).await {
                Ok(written) => return Ok(written),
                Err(error) => {
                    tries += 1;
                    tracing::error!(connection = %connection.id, %error, tries, "a new token could not be written");
                    if tries == WRITE_TRIES {
                        return Err(error);
                    }
                    tokio::time::sleep(WRITE_PAUSE * 2_u32.pow(tries)).await;
                }
            }
        }
    }

    /// What a failed refresh means for the connection.
    async fn refused(
        &self,
        connection: &Connection,
        provider: &Provider,
        error: OAuthError,
    ) -> Result<BrokerError, BrokerError> {
        if !error.is_final_refusal() {
            let outcome = if is_passing(&error) { "away" } else { "failed" };
            self.metrics.refreshed(provider.id.as_str(), outcome);
            if error.is_operators_fault() {
                tracing::error!(provider = %provider.id, %error, "the provider refuses this server's client credentials");
            }
            return Ok(BrokerError::provider(&provider.name, error));
        }
        let reason = format!("{} no longer honours the grant ({error})", provider.name);
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
