//! Connections.

use sqlx::{FromRow, Row as _};
use tokenry_model::{
    Account, Connection, ConnectionId, ConnectionName, ConnectionState, CredentialKind, ProviderId,
    RefreshIntent, Scopes, Sealed, Timestamp, UserId,
};

use crate::database::{Store, on};
use crate::error::StoreError;

/// The sealed halves of a credential.
#[derive(Debug, Clone)]
pub struct SealedCredential {
    /// The access token, or the pasted one.
    pub access: Sealed,
    /// The refresh token.
    pub refresh: Option<Sealed>,
}

/// A credential as it comes from a provider or a person, but for the sealed bytes.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// What kind it is.
    pub kind: CredentialKind,
    /// What was granted.
    pub scopes: Scopes,
    /// When the access token dies.
    pub expires_at: Option<Timestamp>,
    /// From when on it is to be refreshed.
    pub due_at: Option<Timestamp>,
}

/// A connection to insert.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// Whose it is.
    pub user_id: UserId,
    /// What the owner calls it.
    pub name: ConnectionName,
    /// The word the service was asked for by.
    pub token_type: String,
    /// The provider that word means.
    pub provider: ProviderId,
    /// The account at the provider.
    pub account: Option<Account>,
    /// The credential.
    pub credential: NewCredential,
}

/// What one query says about a caller and one of their connections.
#[derive(Debug, Clone)]
pub struct Owned {
    /// The owner's session epoch: a token issued under another is void.
    pub session_epoch: i64,
    /// The connection, if this user has one of that id.
    pub connection: Option<Connection>,
}

/// What one query says about a caller and all of their connections.
#[derive(Debug, Clone)]
pub struct OwnedList {
    /// The owner's session epoch.
    pub session_epoch: i64,
    /// The connections, oldest first.
    pub connections: Vec<Connection>,
}

#[derive(FromRow)]
struct ConnectionRow {
    id: i64,
    user_id: i64,
    name: String,
    token_type: String,
    provider: String,
    kind: String,
    state: String,
    state_reason: Option<String>,
    account_id: Option<String>,
    account_label: Option<String>,
    scopes: String,
    sealed_access: Vec<u8>,
    sealed_refresh: Option<Vec<u8>>,
    expires_at: Option<i64>,
    due_at: Option<i64>,
    generation: i64,
    lease_owner: Option<String>,
    intent_hash: Option<Vec<u8>>,
    intent_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

macro_rules! columns {
    () => {
        "c.id, c.user_id, c.name, c.token_type, c.provider, c.kind, c.state, c.state_reason, c.account_id, \
         c.account_label, c.scopes, c.sealed_access, c.sealed_refresh, c.expires_at, c.due_at, c.generation, \
         c.lease_owner, c.intent_hash, c.intent_at, c.created_at, c.updated_at"
    };
}

impl TryFrom<ConnectionRow> for Connection {
    type Error = StoreError;

    fn try_from(row: ConnectionRow) -> Result<Self, StoreError> {
        let id = row.id;
        let corrupt = |why: &dyn std::fmt::Display| StoreError::corrupt("connections", id, why);
        Ok(Self {
            id: ConnectionId::new(StoreError::check_id("connections", id, id)?),
            user_id: UserId::new(StoreError::check_id("connections", id, row.user_id)?),
            name: ConnectionName::parse(&row.name).map_err(|e| corrupt(&e))?,
            token_type: row.token_type,
            provider: ProviderId::parse(&row.provider).map_err(|e| corrupt(&e))?,
            kind: CredentialKind::parse(&row.kind)
                .map_err(|e| StoreError::unknown_state("connections", id, &e))?,
            state: ConnectionState::parse(&row.state, row.state_reason)
                .map_err(|e| StoreError::unknown_state("connections", id, &e))?,
            account: row.account_id.map(|id| Account { id, label: row.account_label }),
            scopes: Scopes::split(&row.scopes, " "),
            access_token: Sealed::new(row.sealed_access),
            refresh_token: row.sealed_refresh.map(Sealed::new),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            due_at: row.due_at.map(Timestamp::from_micros),
            generation: row.generation,
            intent: intent(row.intent_hash, row.intent_at, row.lease_owner.is_some())
                .map_err(|why| corrupt(&why))?,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

fn intent(hash: Option<Vec<u8>>, at: Option<i64>, held: bool) -> Result<Option<RefreshIntent>, &'static str> {
    match (hash, at) {
        (None, None) => Ok(None),
        (Some(hash), Some(at)) => {
            let token = hash.try_into().map_err(|_| "the intent's hash is not 32 bytes")?;
            Ok(Some(RefreshIntent { token, at: Timestamp::from_micros(at), held }))
        }
        _ => Err("an intent is only half there"),
    }
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::micros)
}

impl Store {
    /// Adds a connection. `seal` is called with the new id, inside the transaction, because a seal is bound to the id;
    /// it must not wait for anything.
    ///
    /// # Errors
    /// What `seal` says; [`StoreError::Conflict`] when the user has a connection for this account already.
    pub async fn insert_connection<E: From<StoreError>>(
        &self,
        new: &NewConnection,
        now: Timestamp,
        seal: impl FnOnce(ConnectionId) -> Result<SealedCredential, E> + Send,
    ) -> Result<ConnectionId, E> {
        let insert = "INSERT INTO connections (user_id, name, token_type, provider, kind, state, account_id, \
                      account_label, scopes, sealed_access, expires_at, due_at, created_at, updated_at) \
                      VALUES ($1, $2, $3, $4, $5, 'ok', $6, $7, $8, $9, $10, $11, $12, $12) RETURNING id";
        let fill = "UPDATE connections SET sealed_access = $2, sealed_refresh = $3 WHERE id = $1";
        let run = async {
            on!(self, begin, |tx| {
                let (id,): (i64,) = sqlx::query_as(insert)
                    .bind(new.user_id.get())
                    .bind(new.name.as_str())
                    .bind(&new.token_type)
                    .bind(new.provider.as_str())
                    .bind(new.credential.kind.as_str())
                    .bind(new.account.as_ref().map(|a| &a.id))
                    .bind(new.account.as_ref().and_then(|a| a.label.as_ref()))
                    .bind(new.credential.scopes.to_string())
                    .bind(&b""[..])
                    .bind(micros(new.credential.expires_at))
                    .bind(micros(new.credential.due_at))
                    .bind(now.micros())
                    .fetch_one(&mut *tx)
                    .await
                    .map_err(StoreError::or_conflict)?;
                let sealed = match seal(ConnectionId::new(id)) {
                    Ok(sealed) => sealed,
                    Err(error) => return Ok(Err(error)),
                };
                sqlx::query(fill)
                    .bind(id)
                    .bind(sealed.access.as_bytes())
                    .bind(sealed.refresh.as_ref().map(Sealed::as_bytes))
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok::<_, StoreError>(Ok(ConnectionId::new(id)))
            })
        };
        run.await?
    }

    /// A user's connection and the user's session epoch, in one query. Nothing if there is no such user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_connection(&self, user: UserId, id: ConnectionId) -> Result<Option<Owned>, StoreError> {
        let sql = concat!(
            "SELECT u.session_epoch, ",
            columns!(),
            " FROM users u LEFT JOIN connections c ON c.id = $2 AND c.user_id = u.id AND c.deleted_at IS NULL \
             WHERE u.id = $1"
        );
        on!(self, read, |pool| {
            let row = sqlx::query(sql).bind(user.get()).bind(id.get()).fetch_optional(pool).await?;
            let Some(row) = row else { return Ok(None) };
            let session_epoch = row.try_get("session_epoch")?;
            let there: Option<i64> = row.try_get("id")?;
            let connection = match there {
                Some(_) => Some(ConnectionRow::from_row(&row)?.try_into()?),
                None => None,
            };
            Ok(Some(Owned { session_epoch, connection }))
        })
    }

    /// A user's connections with an id above `after`, oldest first, at most `limit`; and the user's session epoch, in the
    /// same query. Nothing if there is no such user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_connections(
        &self,
        user: UserId,
        after: i64,
        limit: i64,
    ) -> Result<Option<OwnedList>, StoreError> {
        let sql = concat!(
            "SELECT u.session_epoch, ",
            columns!(),
            " FROM users u LEFT JOIN connections c ON c.user_id = u.id AND c.deleted_at IS NULL AND c.id > $2 \
             WHERE u.id = $1 ORDER BY c.id LIMIT $3"
        );
        on!(self, read, |pool| {
            let rows = sqlx::query(sql).bind(user.get()).bind(after).bind(limit).fetch_all(pool).await?;
            let Some(first) = rows.first() else { return Ok(None) };
            let session_epoch = first.try_get("session_epoch")?;
            let mut connections = Vec::with_capacity(rows.len());
            for row in &rows {
                let there: Option<i64> = row.try_get("id")?;
                if there.is_some() {
                    connections.push(ConnectionRow::from_row(row)?.try_into()?);
                }
            }
            Ok(Some(OwnedList { session_epoch, connections }))
        })
    }

    /// The user's live connection for an account at a provider.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_connection_by_account(
        &self,
        user: UserId,
        provider: &ProviderId,
        account_id: &str,
    ) -> Result<Option<Connection>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM connections c WHERE c.user_id = $1 AND c.provider = $2 AND c.account_id = $3 \
             AND c.deleted_at IS NULL"
        );
        let row: Option<ConnectionRow> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(user.get())
            .bind(provider.as_str())
            .bind(account_id)
            .fetch_optional(pool)
            .await)?;
        row.map(Connection::try_from).transpose()
    }

    /// Whether another live connection, of whatever user, holds a grant for this account at this provider.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn find_account_sharer(
        &self,
        provider: &ProviderId,
        account_id: &str,
        except: ConnectionId,
    ) -> Result<Option<ConnectionId>, StoreError> {
        let sql = "SELECT id FROM connections WHERE provider = $1 AND account_id = $2 AND id <> $3 \
                   AND deleted_at IS NULL LIMIT 1";
        let row: Option<(i64,)> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(provider.as_str())
            .bind(account_id)
            .bind(except.get())
            .fetch_optional(pool)
            .await)?;
        row.map(|(id,)| StoreError::check_id("connections", id, id).map(ConnectionId::new)).transpose()
    }

    /// Renames a user's connection. Returns whether there is one of that id.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_connection_name(
        &self,
        user: UserId,
        id: ConnectionId,
        name: &ConnectionName,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET name = $3, updated_at = $4 \
                   WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(user.get())
            .bind(id.get())
            .bind(name.as_str())
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Writes what a refresh brought, if the connection still has the credential of `generation`. A refresh token that
    /// did not come leaves the old one (RFC 6749 §6). Returns whether it was written.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_refreshed(
        &self,
        id: ConnectionId,
        generation: i64,
        sealed: &SealedCredential,
        credential: &NewCredential,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET sealed_access = $3, sealed_refresh = COALESCE($4, sealed_refresh), \
                   scopes = $5, expires_at = $6, due_at = $7, updated_at = $8, generation = generation + 1, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $1 AND generation = $2 AND deleted_at IS NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(generation)
            .bind(sealed.access.as_bytes())
            .bind(sealed.refresh.as_ref().map(Sealed::as_bytes))
            .bind(credential.scopes.to_string())
            .bind(micros(credential.expires_at))
            .bind(micros(credential.due_at))
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Marks a connection as to be connected again, if it still has the credential of `generation`. The credential is
    /// kept. Returns whether it was written.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_reconnect_required(
        &self,
        id: ConnectionId,
        generation: i64,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET state = 'reconnect_required', state_reason = $3, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $1 AND generation = $2 AND deleted_at IS NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(generation)
            .bind(reason)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Gives a connection a new grant for the same account, whatever it held before: a person's consent wins over a
    /// refresh in flight. When no refresh token came, one that was still good stays: many providers give one at the first
    /// consent only. Returns whether the connection is still there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_reconnected(
        &self,
        id: ConnectionId,
        label: Option<&str>,
        sealed: &SealedCredential,
        credential: &NewCredential,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET kind = $2, state = 'ok', state_reason = NULL, \
                   account_label = COALESCE($3, account_label), sealed_access = $4, \
                   sealed_refresh = CASE WHEN $10 = 1 AND kind = 'oauth2' AND state = 'ok' \
                   THEN sealed_refresh ELSE $5 END, \
                   scopes = $6, expires_at = $7, due_at = $8, updated_at = $9, generation = generation + 1, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $1 AND deleted_at IS NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(credential.kind.as_str())
            .bind(label)
            .bind(sealed.access.as_bytes())
            .bind(sealed.refresh.as_ref().map(Sealed::as_bytes))
            .bind(credential.scopes.to_string())
            .bind(micros(credential.expires_at))
            .bind(micros(credential.due_at))
            .bind(now.micros())
            .bind(i64::from(sealed.refresh.is_none()))
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Makes a user's connection a plain stored token. With `revoke`, a grant it held goes to the revocations, in the
    /// same transaction. Returns whether the connection is there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_plain_token(
        &self,
        user: UserId,
        id: ConnectionId,
        sealed: &Sealed,
        revoke: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET kind = 'plain', state = 'ok', state_reason = NULL, account_id = NULL, \
                   account_label = NULL, scopes = '', sealed_access = $3, sealed_refresh = NULL, expires_at = NULL, \
                   due_at = NULL, updated_at = $4, generation = generation + 1, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL";
        let rows = on!(self, begin, |tx| {
            if revoke {
                let queue = crate::revocations::QUEUE_GRANT;
                let at = now.micros();
                sqlx::query(queue).bind(user.get()).bind(id.get()).bind(at).execute(&mut *tx).await?;
            }
            let done = sqlx::query(sql)
                .bind(user.get())
                .bind(id.get())
                .bind(sealed.as_bytes())
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            done.rows_affected()
        });
        Ok(rows == 1)
    }

    /// Deletes a user's connection: it is marked, and its credential is gone from the row at once. With `revoke`, a grant
    /// it held goes to the revocations, in the same transaction. Returns whether the connection was there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_connection(
        &self,
        user: UserId,
        id: ConnectionId,
        revoke: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET deleted_at = $3, updated_at = $3, sealed_access = $4, \
                   sealed_refresh = NULL, due_at = NULL, generation = generation + 1, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL";
        let rows = on!(self, begin, |tx| {
            if revoke {
                let queue = crate::revocations::QUEUE_GRANT;
                let at = now.micros();
                sqlx::query(queue).bind(user.get()).bind(id.get()).bind(at).execute(&mut *tx).await?;
            }
            let done = sqlx::query(sql)
                .bind(user.get())
                .bind(id.get())
                .bind(now.micros())
                .bind(&b""[..])
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            done.rows_affected()
        });
        Ok(rows == 1)
    }
}
