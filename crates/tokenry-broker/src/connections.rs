//! A person's connections: add, list, hand out, rename, replace, delete.

use std::time::Duration;

use tokenry_model::{
    Action, Connection, ConnectionId, ConnectionState, CredentialKind, SecretString, Timestamp, UserId,
    Values,
};
use tokenry_oauth::{OAuthError, Provider};
use tokenry_store::{Listed, NewConnection, Ready, StoreError};

use crate::audit::Note;
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::import::pasted;
use crate::refresh::HandedOut;
use crate::sessions::{Claims, ENDED};
use crate::{fields, grants};

/// How long a delete waits for the provider to confirm a revocation. It goes on being tried afterwards.
const REVOKE_PATIENCE: Duration = Duration::from_secs(5);

/// Clocks of replicas differ by less.
const CLOCKS_DIFFER: Duration = Duration::from_mins(5);

/// A connection somebody adds by pasting a token.
#[derive(Debug)]
pub struct AddConnection {
    /// What to call it.
    pub name: String,
    /// The service: an id or an alias.
    pub token_type: String,
    /// The token.
    pub token: SecretString,
}

/// A connection in a list, with its token opened.
#[derive(Debug)]
pub struct ConnectionView {
    /// Whose it is.
    pub user_id: UserId,
    /// What is shown of the row.
    pub connection: Listed,
    /// The stored token.
    pub token: SecretString,
}

impl Broker {
    /// Stores a pasted token as a new connection.
    ///
    /// # Errors
    /// [`BrokerError::Field`], [`BrokerError::UnknownService`], [`BrokerError::TooManyConnections`], and those of a caller
    /// who may not.
    pub async fn add_connection(
        &self,
        claims: &Claims,
        owner: &str,
        add: AddConnection,
    ) -> Result<ConnectionId, BrokerError> {
        let mut note = Note::at(claims, Action::Add, owner);
        let added = self.add_pasted(claims, owner, add, &mut note).await;
        note.connection = added.as_ref().ok().copied();
        self.noted(note, added).await
    }

    async fn add_pasted(
        &self,
        claims: &Claims,
        owner: &str,
        add: AddConnection,
        note: &mut Note,
    ) -> Result<ConnectionId, BrokerError> {
        let user_id = claims.own(owner)?;
        self.user(claims).await?;
        let name = fields::name(&add.name)?;
        let provider = self.find_provider(&add.token_type, Some("token_type"))?;
        note.provider = Some(provider.id.clone());
        fields::token("token", &add.token)?;
        let new = NewConnection {
            user_id,
            name,
            token_type: add.token_type.to_ascii_lowercase(),
            provider: provider.id.clone(),
            account: None,
            credential: pasted(CredentialKind::Plain, Values::new()),
        };
        let most = self.settings.quotas.connections;
        self.store
            .insert_connection_within(most, None, &new, self.clock.now(), |id| {
                grants::seal_grant(&self.vault, user_id, id, &add.token, None).map_err(BrokerError::from)
            })
            .await
            .map_err(|error| self.said_if_full(error))
    }

    /// The quota's own words, if that is what it is about.
    pub(crate) fn said_if_full(&self, error: BrokerError) -> BrokerError {
        match error {
            BrokerError::Store(StoreError::Full) => {
                BrokerError::TooManyConnections { most: self.settings.quotas.connections }
            }
            other => other,
        }
    }

    /// Refuses a user who has as many connections as they may, before a provider is asked anything.
    pub(crate) async fn require_room(&self, user: UserId) -> Result<(), BrokerError> {
        let most = self.settings.quotas.connections;
        if most > 0 && self.store.count_connections(user).await? >= most {
            return Err(BrokerError::TooManyConnections { most });
        }
        Ok(())
    }

    /// The token of a connection, valid now, and for `min_valid` from now on: one that is due, or dies before, is refreshed
    /// first. A token that has no known end is taken to outlive every wish.
    ///
    /// # Errors
    /// [`BrokerError::ReconnectRequired`] when a person must connect it again; [`BrokerError::HandedOver`] when another
    /// installation keeps it fresh and the last token that was had here has died; [`BrokerError::ProviderAway`] and
    /// [`BrokerError::ProviderRefused`] when it expired and no new one is to be had; [`BrokerError::Field`] when the
    /// provider gives no token that lives for `min_valid`; those of a caller who may not.
    pub async fn hand_out(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
        min_valid: Duration,
    ) -> Result<HandedOut, BrokerError> {
        let mut note = Note::at(claims, Action::TokenRead, owner).on(id);
        let handed_out = async {
            let user = claims.own(owner)?;
            if let Some(ready) = self.store.find_ready(user, id).await? {
                claims.check_epoch(Some(ready.session_epoch))?;
                if let Some(token) = self.hand_out_ready(user, id, &ready, min_valid).await? {
                    return Ok(token);
                }
            }
            let connection = self.own_connection(claims, owner, id).await?;
            note.saw(&connection);
            self.hand_out_of(&connection, min_valid).await
        };
        let handed_out = handed_out.await;
        self.noted(note, handed_out).await
    }

    /// The token of a connection that needs nothing done. Nothing if it does.
    async fn hand_out_ready(
        &self,
        user: UserId,
        id: ConnectionId,
        ready: &Ready,
        min_valid: Duration,
    ) -> Result<Option<HandedOut>, BrokerError> {
        let now = self.clock.now();
        if ready.due_at.is_some_and(|due| due <= now)
            || is_of_tomorrow(ready.born_at, ready.due_at, now)
            || ready.expires_at.is_some_and(|end| end < now.plus(min_valid))
        {
            return Ok(None);
        }
        let sealed = &ready.access_token;
        let token = self.opened(|vault| grants::open_token(vault, user, id, sealed)).await?;
        self.metrics.token_handed_out(ready.born_at.map(|born| now.since(born)));
        self.note_use(id, now);
        Ok(Some(HandedOut { token, expires_at: ready.expires_at }))
    }

    /// The token of a connection that the caller may have, and the note that it was had.
    pub(crate) async fn hand_out_of(
        &self,
        connection: &Connection,
        min_valid: Duration,
    ) -> Result<HandedOut, BrokerError> {
        let fresh = self.usable_token(connection, min_valid).await?;
        let now = self.clock.now();
        let born = connection.last_refreshed_at.or(connection.connected_at);
        self.metrics.token_handed_out(born.map(|born| now.since(born)));
        self.note_use(connection.id, now);
        Ok(fresh)
    }

    async fn usable_token(
        &self,
        connection: &Connection,
        min_valid: Duration,
    ) -> Result<HandedOut, BrokerError> {
        if let ConnectionState::ReconnectRequired { reason } | ConnectionState::Revoked { reason } =
            &connection.state
        {
            return Err(BrokerError::ReconnectRequired { reason: reason.clone() });
        }
        let now = self.clock.now();
        let suffices = |fresh: &HandedOut| fresh.expires_at.is_none_or(|at| at >= now.plus(min_valid));
        if let ConnectionState::HandedOver { reason } = &connection.state {
            let last = self.last_token(connection, reason).await?;
            return if suffices(&last) {
                Ok(last)
            } else {
                Err(BrokerError::HandedOver { reason: reason.clone() })
            };
        }
        let stored = self.stored_token(connection).await?;
        let born = connection.last_refreshed_at.or(connection.connected_at);
        if connection.times.due_at.is_none_or(|due| due > now)
            && !is_of_tomorrow(born, connection.times.due_at, now)
            && suffices(&stored)
        {
            return Ok(stored);
        }
        if let Some(waiting) = self.waiting_token(connection, now).filter(suffices) {
            return Ok(waiting);
        }
        // A token tells how long the next one will live. Who wants nearly all of that would make a refresh of every read.
        let life = connection.times.expires_at.zip(connection.last_refreshed_at.or(connection.connected_at));
        if let Some((expires_at, born)) = life
            && most_of(expires_at.since(born)) < min_valid
        {
            return Err(too_short(connection, expires_at.since(born)));
        }
        match self.refresh(connection).await {
            Ok(fresh) if suffices(&fresh) => Ok(fresh),
            // Another process has the lease; what it gets is not here yet.
            Ok(fresh) if fresh.expires_at == stored.expires_at => {
                let what = "another process is refreshing this token at the moment".to_owned();
                let cause = OAuthError::Unavailable { retry_after: Some(Duration::from_secs(1)), what };
                Err(BrokerError::provider(connection.provider.as_str(), cause))
            }
            Ok(fresh) => {
                Err(too_short(connection, fresh.expires_at.map(|at| at.since(now)).unwrap_or_default()))
            }
            // A provider that is away, or an operator's mistake, costs nobody a token that is still good.
            Err(error)
                if is_alive(connection, self.clock.now())
                    && is_nobodys_fault(error.root())
                    && suffices(&stored) =>
            {
                tracing::debug!(connection = %connection.id, %error, "the old token still serves");
                Ok(stored)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the caller has a connection of this id.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchConnection`], and those of a caller who may not.
    pub async fn check_connection(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
    ) -> Result<(), BrokerError> {
        let there = self.own_connection(claims, owner, id).await.map(|_| ());
        self.noted(Note::at(claims, Action::View, owner).on(id), there).await
    }

    /// The caller's connections with an id above `after`, oldest first, at most `limit`. Tokens are opened, not refreshed.
    ///
    /// # Errors
    /// Those of a caller who may not; [`BrokerError::Vault`] when a token does not open.
    pub async fn list_connections(
        &self,
        claims: &Claims,
        owner: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<ConnectionView>, BrokerError> {
        let listed = self.list_opened(claims, owner, after, limit).await;
        self.noted(Note::at(claims, Action::TokenList, owner), listed).await
    }

    async fn list_opened(
        &self,
        claims: &Claims,
        owner: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<ConnectionView>, BrokerError> {
        let user = claims.own(owner)?;
        let list = self.store.list_tokens(user, after, limit).await?.ok_or(ENDED)?;
        claims.check_epoch(Some(list.session_epoch))?;
        let mut views = Vec::with_capacity(list.connections.len());
        for connection in list.connections {
            let token = if connection.access_token.as_bytes().is_empty() {
                // Revoked: there is none.
                SecretString::default()
            } else {
                let (id, sealed) = (connection.id, &connection.access_token);
                self.opened(|vault| grants::open_token(vault, user, id, sealed)).await.inspect_err(
                    |error| {
                        tracing::error!(connection = %id, %error, "a stored token does not open");
                    },
                )?
            };
            views.push(ConnectionView { user_id: user, connection, token });
        }
        Ok(views)
    }

    /// Renames a connection.
    ///
    /// # Errors
    /// [`BrokerError::Field`], [`BrokerError::NoSuchConnection`], and those of a caller who may not.
    pub async fn rename_connection(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
        name: &str,
    ) -> Result<(), BrokerError> {
        let renamed = async {
            let user = claims.own(owner)?;
            self.user(claims).await?;
            let name = fields::name(name)?;
            there(self.store.update_connection_name(user, id, &name, self.clock.now()).await?)
        };
        let renamed = renamed.await;
        self.noted(Note::at(claims, Action::Rename, owner).on(id), renamed).await
    }

    /// Makes a connection a plain stored token. A grant behind it is revoked and dropped.
    ///
    /// # Errors
    /// [`BrokerError::Field`], [`BrokerError::NoSuchConnection`], and those of a caller who may not.
    pub async fn replace_token(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
        token: &SecretString,
    ) -> Result<(), BrokerError> {
        let mut note = Note::at(claims, Action::Replace, owner).on(id);
        let replaced = async {
            let connection = self.own_connection(claims, owner, id).await?;
            note.saw(&connection);
            fields::token("token", token)?;
            let user = connection.user_id;
            let sealed = grants::seal_grant(&self.vault, user, id, token, None)?.access;
            let revoke = self.wants_revocation(&connection);
            there(self.store.update_plain_token(user, id, &sealed, revoke, self.clock.now()).await?)?;
            Ok(revoke)
        };
        let replaced = replaced.await;
        let revoke = self.noted(note, replaced).await?;
        self.revoke_soon(id, revoke).await;
        Ok(())
    }

    /// Deletes a connection: it is gone at once; the provider is told, now or as soon as it hears.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchConnection`], and those of a caller who may not.
    pub async fn delete_connection(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
    ) -> Result<(), BrokerError> {
        let mut note = Note::at(claims, Action::Delete, owner).on(id);
        let deleted = async {
            let connection = self.own_connection(claims, owner, id).await?;
            note.saw(&connection);
            let revoke = self.wants_revocation(&connection);
            there(self.store.delete_connection(connection.user_id, id, revoke, self.clock.now()).await?)?;
            Ok(revoke)
        };
        let deleted = deleted.await;
        let revoke = self.noted(note, deleted).await?;
        self.revoke_soon(id, revoke).await;
        Ok(())
    }

    /// Has a connection's grant revoked at the provider, takes its credential away, and keeps the connection: connecting its
    /// account again brings it back.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchConnection`], and those of a caller who may not.
    pub async fn revoke_connection(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
    ) -> Result<(), BrokerError> {
        let mut note = Note::at(claims, Action::Revoke, owner).on(id);
        let revoked = async {
            let connection = self.own_connection(claims, owner, id).await?;
            note.saw(&connection);
            if matches!(connection.state, ConnectionState::Revoked { .. }) {
                return Ok(false);
            }
            let revoke = self.wants_revocation(&connection);
            let now = self.clock.now();
            let reason = format!("its owner had it revoked at {now}");
            there(self.store.update_revoked(connection.user_id, id, &reason, revoke, now).await?)?;
            Ok(revoke)
        };
        let revoked = revoked.await;
        let revoke = self.noted(note, revoked).await?;
        self.revoke_soon(id, revoke).await;
        Ok(())
    }

    /// The caller's connection: one query brings it and the epoch that the caller is checked against.
    pub(crate) async fn own_connection(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
    ) -> Result<Connection, BrokerError> {
        let user: UserId = claims.own(owner)?;
        let owned = self.store.find_connection(user, id).await?.ok_or(ENDED)?;
        claims.check_epoch(Some(owned.session_epoch))?;
        // What waits to be deleted is gone, but for its owner's pages.
        owned.connection.filter(|_| owned.delete_at.is_none()).ok_or(BrokerError::NoSuchConnection)
    }

    /// Whether there is a grant to revoke, and a way to do it. Whether somebody else would lose theirs by it is asked when
    /// the provider is told: by then others may have come or gone.
    pub(crate) fn wants_revocation(&self, connection: &Connection) -> bool {
        let provider = self.provider_of(connection);
        // One that is missing from the configuration may come back: its revocations wait for it.
        // One that was handed over is another installation's to end.
        connection.kind.is_grant()
            && !matches!(connection.state, ConnectionState::HandedOver { .. })
            && provider.map_or(true, |provider| provider.revokes())
    }

    /// Whether the provider has a way to revoke, and no connection would lose its grant by it.
    pub(crate) async fn may_revoke(
        &self,
        provider: &Provider,
        account_id: Option<&str>,
    ) -> Result<bool, BrokerError> {
        if !provider.revokes() {
            return Ok(false);
        }
        match account_id {
            Some(account_id) if provider.revocation_is_shared() => {
                // What is to be revoked has left its connection: no id is left out.
                let nobodys = ConnectionId::new(0);
                Ok(self.store.find_account_sharer(&provider.id, account_id, nobodys).await?.is_none())
            }
            _ => Ok(true),
        }
    }

    /// Tells the provider, in a task that goes on when the caller does not wait for it to end.
    pub(crate) async fn revoke_soon(&self, id: ConnectionId, revoke: bool) {
        if revoke {
            let broker = self.clone();
            let task = self.tasks.spawn(async move { broker.run_revocations(Some(id)).await });
            if tokio::time::timeout(REVOKE_PATIENCE, task).await.is_err() {
                tracing::info!(connection = %id, "the provider is slow to confirm a revocation; it will be tried again");
            }
        }
    }
}

pub(crate) const fn there(found: bool) -> Result<(), BrokerError> {
    if found { Ok(()) } else { Err(BrokerError::NoSuchConnection) }
}

/// The longest life that can be asked for of tokens that live so long: a tenth of it, at most a minute, less.
fn most_of(life: Duration) -> Duration {
    life.saturating_sub(Duration::from_mins(1).min(life / 10))
}

fn too_short(connection: &Connection, life: Duration) -> BrokerError {
    // A life of an hour is an hour, whatever the answer's way cost.
    let seconds = life.as_secs_f64().round();
    BrokerError::field(
        "min_valid_for",
        format!(
            "is more than {} gives: its tokens live for {seconds} s; ask for at most {} s",
            connection.provider,
            most_of(life).as_secs()
        ),
    )
}

/// Whether the token came at a time that has yet to be: it was written while a clock was wrong, by more than the clocks of
/// replicas differ, and so were its ends. The next refresh writes them anew.
fn is_of_tomorrow(born: Option<Timestamp>, due: Option<Timestamp>, now: Timestamp) -> bool {
    due.is_some() && born.is_some_and(|born| born.since(now) > CLOCKS_DIFFER)
}

fn is_alive(connection: &Connection, now: Timestamp) -> bool {
    connection.times.expires_at.is_none_or(|at| at > now)
}

/// Whether the failure of a refresh says nothing about the connection.
const fn is_nobodys_fault(error: &BrokerError) -> bool {
    matches!(
        error,
        BrokerError::ProviderAway { .. }
            | BrokerError::ProviderRefused { .. }
            | BrokerError::ProviderNotConfigured { .. }
            | BrokerError::ProviderGone { .. }
            | BrokerError::Store(_)
            | BrokerError::Internal(_)
    )
}
