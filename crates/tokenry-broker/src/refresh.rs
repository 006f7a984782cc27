//! Refresh: one per connection, over all processes; in a task of its own; written under the generation it read.
//!
//! In one process callers share a flight. Over processes the row carries a lease. What is about to be spent is durable
//! before the call, so that after a crash the next holder knows. What a failure means is in `refusals`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokenry_model::{
    Action, AuditOutcome, Connection, ConnectionId, ConnectionState, CredentialKind, ExposeSecret as _,
    Health, RefreshIntent, Sealed, SecretString, Timestamp,
};
use tokenry_oauth::{OAuthError, Provider, TokenSet};
use tokenry_store::Spooled;
use tokenry_vault::ConnectionField;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::audit::Note;
use crate::boot::Broker;
use crate::crash;
use crate::error::BrokerError;
use crate::grants;

/// A token that is good now.
#[derive(Debug, Clone)]
pub struct HandedOut {
    /// The token.
    pub token: SecretString,
    /// When it dies; `None` when it does not, or nobody said.
    pub expires_at: Option<Timestamp>,
}

type Outcome = Result<HandedOut, Arc<BrokerError>>;
/// Who refreshes what at the moment, and where the others wait for it.
pub(crate) type Flights = Mutex<HashMap<ConnectionId, watch::Receiver<Option<Outcome>>>>;

/// How long a lease runs: longer than clocks of replicas differ, and short enough to wait for after a crash.
const LEASE: Duration = Duration::from_secs(15);
/// How often a lease is kept while a provider takes its time.
const RENEW_LEASE: Duration = Duration::from_secs(5);
/// How long a reader with a dead token waits for another process: a lease that nobody keeps ends before.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long whoever left an intent behind gets before its refresh token is tried again. Longer than an answer that waits for
/// the database takes to be offered again and written.
const WATCH: Duration = Duration::from_secs(3);
/// How soon, and at most how seldom, the row is looked at meanwhile.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(250);

/// The client that a connection of its own has at the provider, as it is sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct OwnClient {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl OwnClient {
    /// Stands for the operator's client, whatever that is when it is needed.
    pub(crate) const fn operators() -> Self {
        Self { id: String::new(), secret: String::new() }
    }

    /// The provider as this client has it.
    pub(crate) fn provider(&self, provider: &Provider) -> Provider {
        if self.id.is_empty() {
            return provider.clone();
        }
        provider.with_client(&self.id, &self.secret.as_str().into())
    }
}

/// A refresh that is about to be made.
pub(crate) struct Attempt<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) provider: &'a Provider,
    /// How the provider was doing when it began.
    pub(crate) health: Health,
    /// What is spent.
    pub(crate) spent: SecretString,
}

impl Attempt<'_> {
    /// Whether it is made with a client that belongs to the connection alone: what the provider says of that client says
    /// nothing of the operator's.
    pub(crate) fn is_of_own_client(&self) -> bool {
        self.connection.kind == CredentialKind::ClientCredentials
            && serde_json::from_str::<OwnClient>(self.spent.expose_secret())
                .is_ok_and(|client| !client.id.is_empty())
    }
}

impl Broker {
    /// A fresh access token for a connection. Callers who come while one is being fetched share it, and one who goes away
    /// does not end it.
    pub(crate) async fn refresh(&self, connection: &Connection) -> Result<HandedOut, BrokerError> {
        let mut arrival = self.join_or_start(connection);
        // The sender is dropped without a value only when the task panicked.
        let outcome = match arrival.wait_for(Option::is_some).await {
            Ok(value) => value.clone(),
            Err(_) => None,
        };
        match outcome {
            Some(Ok(fresh)) => Ok(fresh),
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
            let outcome = broker.refresh_alone(&connection).await.map_err(Arc::new);
            // Nobody may be left to hear it; the row has it all the same.
            let _ = arrived.send(Some(outcome));
        };
        self.tasks.spawn(flight.in_current_span());
        arrival
    }

    /// The refresh itself. `seen` is the row as the first caller saw it. Over all processes one holds the lease and calls
    /// the provider; the others take its result, or go on with the old token while that lives.
    async fn refresh_alone(&self, seen: &Connection) -> Result<HandedOut, BrokerError> {
        let began = Instant::now();
        let mut pause = FIRST_LOOK;
        let mut watched = Watched::default();
        self.fresh_services().await?;
        loop {
            // An answer of ours that the database did not take yet goes first: its refresh token is the one that counts.
            self.write_waiting(seen.id).await?;
            // Between the caller's look and this one another refresh may have landed.
            let owned = self.store.find_connection(seen.user_id, seen.id).await?;
            // Nobody begins a refresh of what waits to be deleted.
            let Some(connection) = owned.filter(|o| o.delete_at.is_none()).and_then(|o| o.connection) else {
                return Err(BrokerError::NoSuchConnection);
            };
            if connection.generation != seen.generation || connection.state.is_out_of_our_hands() {
                return self.take_newer(&connection).await;
            }
            let provider = self.provider_of(&connection)?;
            let Some(spent) = self.to_be_spent(&connection, &provider).await? else {
                return self.without_refresh_token(&connection, &provider).await;
            };
            let health = self.may_ask(&connection, &provider).await?;
            crash::point("unclaimed");
            let left = watched.left_behind();
            if self.claim(&connection, &spent, left).await? {
                crash::point("claimed");
                if connection.intent.is_some_and(|intent| intent.held)
                    && let Some(outcome) = self.watch(&connection).await?
                {
                    return outcome;
                }
                let attempt = Attempt { connection: &connection, provider: &provider, health, spent };
                return self.refresh_claimed(&attempt).await;
            }
            watched.see(self.store.find_lease(connection.id).await?);
            if connection.times.expires_at.is_some_and(|at| at > self.clock.now()) {
                return self.stored_token(&connection).await;
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

    /// What the next access token is had with. Nothing if there is nothing.
    async fn to_be_spent(
        &self,
        connection: &Connection,
        provider: &Provider,
    ) -> Result<Option<SecretString>, BrokerError> {
        let context = grants::context(connection.user_id, connection.id, ConnectionField::RefreshToken);
        let sealed = connection.refresh_token.as_ref();
        let kept =
            self.opened(|vault| sealed.map(|sealed| vault.open_text(&context, sealed)).transpose()).await?;
        if connection.kind == CredentialKind::OAuth2 && kept.is_none() && provider.spends_access_token() {
            // It can be spent while it lives, and not a moment longer.
            let lives = connection.times.expires_at.is_none_or(|at| at > self.clock.now());
            if !lives {
                return Ok(None);
            }
            return self.opened(|vault| grants::open_access(vault, connection)).await.map(Some);
        }
        Ok(kept)
    }

    /// Takes the lease. With it the intent is durable: what is about to be spent, and when.
    async fn claim(
        &self,
        connection: &Connection,
        token: &SecretString,
        left: Option<Timestamp>,
    ) -> Result<bool, BrokerError> {
        let now = self.clock.now();
        let intent = RefreshIntent { token: self.intent_of(token), at: now, held: true };
        let (id, generation) = (connection.id, connection.generation);
        let until = now.plus(LEASE);
        Ok(self.store.claim_refresh_from(id, generation, &self.process, until, &intent, left).await?)
    }

    /// Whoever left the intent behind may have an answer, and had no database. It has one again, for the lease was written:
    /// now it gets a moment. Gives what came of that, if anything did.
    async fn watch(
        &self,
        connection: &Connection,
    ) -> Result<Option<Result<HandedOut, BrokerError>>, BrokerError> {
        let began = Instant::now();
        while began.elapsed() < WATCH {
            tokio::time::sleep(LAST_LOOK).await;
            match self.reread(connection).await? {
                None => return Ok(Some(Err(BrokerError::NoSuchConnection))),
                Some(newer) if newer.generation != connection.generation => {
                    return Ok(Some(self.take_newer(&newer).await));
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }

    pub(crate) fn intent_of(&self, token: &SecretString) -> [u8; 32] {
        self.vault.fingerprint("refresh intent", token.expose_secret().as_bytes())
    }

    /// Calls the provider while the lease is held, and kept for as long as the provider takes.
    async fn refresh_claimed(&self, attempt: &Attempt<'_>) -> Result<HandedOut, BrokerError> {
        let connection = attempt.connection;
        // A life is counted from before the question: how long the answer was on its way, nobody knows.
        let asked_at = self.clock.now();
        // Side by side: a database that takes its time must not keep us from reading the answer.
        let answer = tokio::select! {
            answer = self.ask(attempt) => answer,
            never = self.keep_lease(connection.id) => match never {},
        };
        match answer {
            Ok(tokens) => {
                crash::point("answered");
                let fresh = self.keep(attempt, &tokens, asked_at).await?;
                self.answered(attempt).await;
                Ok(fresh)
            }
            Err(error) => {
                let error = self.failed(attempt, error).await?;
                // Somebody may have connected it again, or deleted it, while the provider was asked.
                match self.reread(connection).await? {
                    None => Err(BrokerError::NoSuchConnection),
                    Some(newer) if newer.generation != connection.generation => self.take_newer(&newer).await,
                    Some(_) => Err(error),
                }
            }
        }
    }

    /// Keeps the lease for as long as this is awaited.
    async fn keep_lease(&self, id: ConnectionId) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(RENEW_LEASE).await;
            let until = self.clock.now().plus(LEASE);
            if let Err(error) = self.store.update_lease(id, &self.process, until).await {
                tracing::warn!(connection = %id, %error, "a lease could not be kept");
            }
        }
    }

    /// Asks the provider for the next access token.
    async fn ask(&self, attempt: &Attempt<'_>) -> Result<TokenSet, OAuthError> {
        let Attempt { connection, provider, spent, .. } = attempt;
        if connection.kind == CredentialKind::ClientCredentials {
            let Ok(client) = serde_json::from_str::<OwnClient>(spent.expose_secret()) else {
                let what = "the stored client cannot be read".to_owned();
                return Err(OAuthError::Nonsense { what });
            };
            let provider = client.provider(provider);
            let tokens = self.oauth.client_credentials(&provider, &connection.requested).await?;
            // The client stays what the next token is had with.
            return Ok(TokenSet { refresh_token: None, ..tokens });
        }
        self.oauth.refresh(provider, spent, &connection.scopes, &connection.values).await
    }

    /// Seals what came and writes it down before anybody gets it.
    async fn keep(
        &self,
        attempt: &Attempt<'_>,
        tokens: &TokenSet,
        asked_at: Timestamp,
    ) -> Result<HandedOut, BrokerError> {
        let Attempt { connection, provider, .. } = attempt;
        let credential = grants::renewed(provider, tokens, connection, &*self.random, asked_at)?;
        let (user, id) = (connection.user_id, connection.id);
        let sealed =
            grants::seal_grant(&self.vault, user, id, &tokens.access_token, tokens.refresh_token.as_ref())?;
        let fresh = HandedOut { token: tokens.access_token.clone(), expires_at: credential.times.expires_at };
        let answer = Spooled {
            user_id: user,
            connection_id: id,
            provider: connection.provider.clone(),
            account: connection.account.clone(),
            generation: connection.generation,
            sealed,
            spent: self.fresh_spent(connection),
            credential,
        };
        let Some(written) = self.write_or_spool(&answer, &tokens.access_token).await? else {
            self.refreshed(connection, "spooled");
            return Ok(fresh);
        };
        if written {
            crash::point("written");
            self.refreshed(connection, "ok");
            tracing::info!(connection = %id, provider = %provider.id, "refreshed");
            return Ok(fresh);
        }
        // Somebody else wrote the row: a reconnect, a pasted token, or a delete. Theirs stands.
        self.refreshed(connection, "superseded");
        self.drop_superseded(&answer).await?;
        let newer = self.reread(connection).await?;
        match newer {
            Some(newer) => self.take_newer(&newer).await,
            None => Err(BrokerError::NoSuchConnection),
        }
    }

    /// What was spent, sealed with a key that this process holds: it may wait in the spool for longer than an older one lasts.
    fn fresh_spent(&self, connection: &Connection) -> Option<Sealed> {
        let context = grants::context(connection.user_id, connection.id, ConnectionField::RefreshToken);
        let spent = connection.refresh_token.as_ref()?;
        match self.vault.fresh(&context, spent) {
            Ok(fresh) => Some(fresh),
            Err(error) => {
                // What came for it counts for more.
                tracing::error!(connection = %connection.id, %error, "a spent refresh token does not open again");
                Some(spent.clone())
            }
        }
    }

    /// A token is due and there is nothing to refresh it with.
    async fn without_refresh_token(
        &self,
        connection: &Connection,
        provider: &Provider,
    ) -> Result<HandedOut, BrokerError> {
        if connection.times.expires_at.is_none_or(|at| at > self.clock.now()) {
            return self.stored_token(connection).await;
        }
        let reason = if provider.spends_access_token() {
            format!(
                "the access token expired before it was exchanged for the next, and {} takes no other",
                provider.name
            )
        } else {
            format!("the access token expired, and {} gave no refresh token with it", provider.name)
        };
        self.store.update_reconnect_required(connection.id, connection.generation, &reason).await?;
        self.refreshed(connection, "reconnect_required");
        Err(BrokerError::ReconnectRequired { reason })
    }

    /// Counts how a refresh ended, and notes it. What is good for the log is good for the charts.
    pub(crate) fn refreshed(&self, connection: &Connection, outcome: &'static str) {
        self.metrics.refreshed(connection.provider.as_str(), outcome);
        let (ended, reason) = match outcome {
            "ok" => (AuditOutcome::Ok, None),
            // It is good, and not in its row yet.
            "spooled" => (AuditOutcome::Ok, Some(outcome)),
            "reconnect_required" => (AuditOutcome::Refused, Some(outcome)),
            _ => (AuditOutcome::Failed, Some(outcome)),
        };
        self.count_refresh(&connection.provider, ended == AuditOutcome::Ok);
        self.note_passing(Note::background(Action::Refresh, connection), ended, reason);
    }

    pub(crate) async fn reread(&self, connection: &Connection) -> Result<Option<Connection>, BrokerError> {
        let owned = self.store.find_connection(connection.user_id, connection.id).await?;
        Ok(owned.and_then(|owned| owned.connection))
    }

    /// The token of a row that somebody else has just written.
    async fn take_newer(&self, newer: &Connection) -> Result<HandedOut, BrokerError> {
        match &newer.state {
            ConnectionState::ReconnectRequired { reason } | ConnectionState::Revoked { reason } => {
                Err(BrokerError::ReconnectRequired { reason: reason.clone() })
            }
            ConnectionState::HandedOver { reason } => self.last_token(newer, reason).await,
            ConnectionState::Ok | ConnectionState::Quarantined { .. } => self.stored_token(newer).await,
        }
    }

    /// The last token of a connection that another installation keeps fresh, while it lives.
    pub(crate) async fn last_token(
        &self,
        connection: &Connection,
        reason: &str,
    ) -> Result<HandedOut, BrokerError> {
        if connection.times.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(BrokerError::HandedOver { reason: reason.to_owned() });
        }
        self.stored_token(connection).await
    }

    /// The token that the row holds.
    pub(crate) async fn stored_token(&self, connection: &Connection) -> Result<HandedOut, BrokerError> {
        let token = self.opened(|vault| grants::open_access(vault, connection)).await?;
        Ok(HandedOut { token, expires_at: connection.times.expires_at })
    }
}

/// Another's lease, watched by a clock that nobody sets: one that was written while the clock was wrong may run for days.
#[derive(Default)]
struct Watched(Option<(Timestamp, Instant)>);

impl Watched {
    fn see(&mut self, until: Option<Timestamp>) {
        match (until, self.0) {
            (None, _) => self.0 = None,
            (Some(now), Some((before, _))) if now == before => {}
            (Some(now), _) => self.0 = Some((now, Instant::now())),
        }
    }

    /// The lease that nobody has kept for as long as one runs.
    fn left_behind(&self) -> Option<Timestamp> {
        self.0.and_then(|(until, since)| (since.elapsed() >= LEASE).then_some(until))
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
