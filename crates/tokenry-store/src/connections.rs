//! Connections.

use sqlx::{FromRow, Row as _};
use tokenry_model::{
    Account, Connection, ConnectionId, ConnectionName, ConnectionState, CredentialKind, Deadlines,
    ProviderId, RefreshIntent, Scopes, Sealed, Timestamp, UserId, Values,
};

use crate::database::{Store, on};
use crate::error::StoreError;
use crate::links::{HeldLink, SPEND};

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
    /// What was asked for. A refresh leaves what the row has.
    pub requested: Scopes,
    /// What was granted.
    pub scopes: Scopes,
    /// What differs from connection to connection at this service.
    pub values: Values,
    /// When what ends.
    pub times: Deadlines,
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
    /// From when on it is to be deleted, if so: then it is out of service, and only its owner's pages show it.
    pub delete_at: Option<Timestamp>,
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
pub(crate) struct ConnectionRow {
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
    requested_scopes: String,
    scopes: String,
    settings: String,
    sealed_access: Vec<u8>,
    sealed_refresh: Option<Vec<u8>>,
    expires_at: Option<i64>,
    due_at: Option<i64>,
    renew_at: Option<i64>,
    keep_at: Option<i64>,
    ends_at: Option<i64>,
    idle_ends_at: Option<i64>,
    generation: i64,
    lease_owner: Option<String>,
    intent_hash: Option<Vec<u8>>,
    intent_at: Option<i64>,
    doubt: Option<String>,
    doubted_generation: Option<i64>,
    failures: i64,
    retry_at: Option<i64>,
    connected_at: Option<i64>,
    last_refreshed_at: Option<i64>,
    last_used_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

macro_rules! columns {
    () => {
        "c.id, c.user_id, c.name, c.token_type, c.provider, c.kind, c.state, c.state_reason, c.account_id, \
         c.account_label, c.requested_scopes, c.scopes, c.settings, c.sealed_access, c.sealed_refresh, c.expires_at, \
         c.due_at, c.renew_at, c.keep_at, c.ends_at, c.idle_ends_at, c.generation, c.lease_owner, c.intent_hash, \
         c.intent_at, c.doubt, c.doubted_generation, c.failures, c.retry_at, c.connected_at, c.last_refreshed_at, c.last_used_at, c.created_at, \
         c.updated_at"
    };
}
pub(crate) use columns;

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
            requested: Scopes::split(&row.requested_scopes, " "),
            scopes: Scopes::split(&row.scopes, " "),
            values: read_values(&row.settings).map_err(|e| corrupt(&e))?,
            access_token: Sealed::new(row.sealed_access),
            refresh_token: row.sealed_refresh.map(Sealed::new),
            times: Deadlines::from_micros([
                row.expires_at,
                row.due_at,
                row.renew_at,
                row.keep_at,
                row.ends_at,
                row.idle_ends_at,
            ]),
            generation: row.generation,
            intent: intent(row.intent_hash, row.intent_at, row.lease_owner.is_some())
                .map_err(|why| corrupt(&why))?,
            // A credential that came later has nothing to do with it.
            doubt: row.doubt.filter(|_| row.doubted_generation == Some(row.generation)),
            failures: u32::try_from(row.failures).map_err(|_| corrupt(&"a count is below zero"))?,
            retry_at: at(row.retry_at),
            connected_at: at(row.connected_at),
            last_refreshed_at: at(row.last_refreshed_at),
            last_used_at: at(row.last_used_at),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

/// A missing time is no time.
pub(crate) fn at(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

/// Values as a row keeps them: a JSON object of texts.
pub(crate) fn read_values(json: &str) -> Result<Values, serde_json::Error> {
    serde_json::from_str(json)
}

pub(crate) fn write_values(values: &Values) -> String {
    let members = values.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    serde_json::Value::Object(members.collect()).to_string()
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
        self.insert_connection_within(0, None, new, now, seal).await
    }

    /// Adds a connection, as [`Store::insert_connection`], if the user then has no more than `most`; 0: any number. The
    /// statement that writes counts as well, so that what many do at once adds up; where a database lets statements run
    /// side by side (READ COMMITTED), as many too many can come in as are written at the same moment.
    ///
    /// `spends`: the connect link that brings it. It is spent in the same transaction, so of all that come with one link one
    /// connection is stored, and a link is spent exactly when there is one.
    ///
    /// # Errors
    /// Those of [`Store::insert_connection`]; [`StoreError::Full`]; [`StoreError::Spent`].
    pub async fn insert_connection_within<E: From<StoreError>>(
        &self,
        most: i64,
        spends: Option<&HeldLink>,
        new: &NewConnection,
        now: Timestamp,
        seal: impl FnOnce(ConnectionId) -> Result<SealedCredential, E> + Send,
    ) -> Result<ConnectionId, E> {
        let insert = "INSERT INTO connections (user_id, name, token_type, provider, kind, state, account_id, \
                      account_label, requested_scopes, scopes, settings, sealed_access, expires_at, due_at, renew_at, \
                      keep_at, ends_at, idle_ends_at, connected_at, created_at, updated_at) \
                      SELECT $1, $2, $3, $4, $5, 'ok', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18, \
                      $18 WHERE $19 = 0 OR (SELECT COUNT(*) FROM connections \
                      WHERE user_id = $1 AND deleted_at IS NULL) < $19 RETURNING id";
        let fill = "UPDATE connections SET sealed_access = $2, sealed_refresh = $3 WHERE id = $1";
        let [expires, due, renew, keep, ends, idle] = new.credential.times.to_micros();
        let run = async {
            on!(self, begin, |tx| 'written: {
                let row: Option<(i64,)> = sqlx::query_as(insert)
                    .bind(new.user_id.get())
                    .bind(new.name.as_str())
                    .bind(&new.token_type)
                    .bind(new.provider.as_str())
                    .bind(new.credential.kind.as_str())
                    .bind(new.account.as_ref().map(|a| &a.id))
                    .bind(new.account.as_ref().and_then(|a| a.label.as_ref()))
                    .bind(new.credential.requested.to_string())
                    .bind(new.credential.scopes.to_string())
                    .bind(write_values(&new.credential.values))
                    .bind(&b""[..])
                    .bind(expires)
                    .bind(due)
                    .bind(renew)
                    .bind(keep)
                    .bind(ends)
                    .bind(idle)
                    .bind(now.micros())
                    .bind(most)
                    .fetch_optional(&mut *tx)
                    .await
                    .map_err(StoreError::or_conflict)?;
                let Some((id,)) = row else { return Err(StoreError::Full) };
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
                if let Some(link) = spends {
                    let spent = sqlx::query(SPEND)
                        .bind(&link.id.as_bytes()[..])
                        .bind(&link.browser_hash[..])
                        .bind(new.provider.as_str())
                        .bind(id)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                    if spent == 0 {
                        tx.rollback().await?;
                        // Not at once: whoever spent it may be in the same commit, and is to be seen by who looks why.
                        break 'written Err(StoreError::Spent);
                    }
                }
                tx.commit().await?;
                Ok::<_, StoreError>(Ok(ConnectionId::new(id)))
            })
        };
        run.await?
    }

    /// A user's connection, be it one that waits to be deleted, and the user's session epoch, in one query. Nothing if there
    /// is no such user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_connection(&self, user: UserId, id: ConnectionId) -> Result<Option<Owned>, StoreError> {
        let sql = concat!(
            "SELECT u.session_epoch, c.delete_at, ",
            columns!(),
            " FROM users u LEFT JOIN connections c ON c.id = $2 AND c.user_id = u.id AND c.deleted_at IS NULL \
             WHERE u.id = $1"
        );
        on!(self, read, |pool| {
            let row = sqlx::query(sql).bind(user.get()).bind(id.get()).fetch_optional(pool).await?;
            let Some(row) = row else { return Ok(None) };
            let session_epoch = row.try_get("session_epoch")?;
            let delete_at = at(row.try_get("delete_at")?);
            let there: Option<i64> = row.try_get("id")?;
            let connection = match there {
                Some(_) => Some(ConnectionRow::from_row(&row)?.try_into()?),
                None => None,
            };
            Ok(Some(Owned { session_epoch, connection, delete_at }))
        })
    }

    /// A user's connections with an id above `after`, oldest first, at most `limit`, without those that wait to be deleted;
    /// and the user's session epoch, in the same query. Nothing if there is no such user.
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
            // The limit is inside, next to the index: outside, PostgreSQL sorts all that the user has.
            " FROM users u LEFT JOIN (SELECT ",
            columns!(),
            " FROM connections c WHERE c.user_id = $1 AND c.deleted_at IS NULL AND c.delete_at IS NULL AND c.id > $2 \
             ORDER BY c.id LIMIT $3) c \
             ON c.user_id = u.id WHERE u.id = $1 ORDER BY c.id"
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

    /// The user's live connection for an account at a provider, with these settings: one number may be two accounts at two
    /// tenants.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_connection_by_account(
        &self,
        user: UserId,
        provider: &ProviderId,
        account_id: &str,
        values: &Values,
    ) -> Result<Option<Connection>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM connections c WHERE c.user_id = $1 AND c.provider = $2 AND c.account_id = $3 \
             AND c.settings = $4 AND c.deleted_at IS NULL"
        );
        let row: Option<ConnectionRow> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(user.get())
            .bind(provider.as_str())
            .bind(account_id)
            .bind(write_values(values))
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
                   AND deleted_at IS NULL AND kind = 'oauth2' AND state <> 'revoked' LIMIT 1";
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
                   WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL AND delete_at IS NULL";
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
}
