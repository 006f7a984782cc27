//! Connections on their way to another installation and from one: who may spend a refresh token is written down before
//! anybody else can.

use sqlx::{FromRow as _, Row as _};
use tokenry_model::{Connection, ConnectionId, ConnectionState, Timestamp, UserId, Username};

use crate::connections::{
    ConnectionRow, NewConnection, NewCredential, SealedCredential, columns, write_values,
};
use crate::database::{Store, on, retried};
use crate::error::StoreError;

/// A connection as an export sees it.
#[derive(Debug, Clone)]
pub struct Exportable {
    /// The row.
    pub connection: Connection,
    /// Its owner.
    pub username: Username,
    /// The export that it was handed over with.
    pub handover: Option<String>,
    /// Whether somebody refreshes it, or began to and never said how that ended.
    pub is_held: bool,
}

/// What an import brings beside the credential.
#[derive(Debug, Clone)]
pub struct Brought {
    /// Which connection of which installation it was.
    pub origin: String,
    /// Where it stands.
    pub state: ConnectionState,
    /// Why its refresh token may be spent.
    pub doubt: Option<String>,
    /// When a person last consented to it, or gave it.
    pub connected_at: Option<Timestamp>,
    /// When it was last refreshed.
    pub last_refreshed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

macro_rules! exportable {
    () => {
        concat!(
            "SELECT u.username, c.handover, ",
            columns!(),
            " FROM connections c JOIN users u ON u.id = c.user_id "
        )
    };
}

/// Reads one row of an export.
macro_rules! read_exportable {
    ($row:expr) => {{
        let username: String = $row.try_get("username")?;
        let held: Option<String> = $row.try_get("lease_owner")?;
        let connection: Connection = ConnectionRow::from_row($row)?.try_into()?;
        Exportable {
            username: Username::parse(&username)
                .map_err(|e| StoreError::corrupt("users", connection.user_id, format!("username {e}")))?,
            handover: $row.try_get("handover")?,
            is_held: held.is_some(),
            connection,
        }
    }};
}

impl Store {
    /// All live connections with an id above `after`, or those of one user, oldest first, at most `limit`. None that waits to
    /// be deleted.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_exportable(
        &self,
        user: Option<UserId>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Exportable>, StoreError> {
        let sql = concat!(
            exportable!(),
            "WHERE c.deleted_at IS NULL AND c.delete_at IS NULL AND c.id > $1 AND ($2 = 0 OR c.user_id = $2) ORDER BY c.id LIMIT $3"
        );
        on!(self, read, |pool| {
            let user = user.map_or(0, UserId::get);
            let rows = sqlx::query(sql).bind(after).bind(user).bind(limit).fetch_all(pool).await?;
            rows.iter().map(|row| Ok(read_exportable!(row))).collect()
        })
    }

    /// One live connection, whoever owns it, unless it waits to be deleted.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_exportable(&self, id: ConnectionId) -> Result<Option<Exportable>, StoreError> {
        let sql = concat!(exportable!(), "WHERE c.deleted_at IS NULL AND c.delete_at IS NULL AND c.id = $1");
        on!(self, read, |pool| {
            let row = sqlx::query(sql).bind(id.get()).fetch_optional(pool).await?;
            row.as_ref().map(|row| Ok(read_exportable!(row))).transpose()
        })
    }

    /// Hands a grant over, if it still is as `seen`: the same credential, nobody refreshing it, and no refresh that was begun
    /// meanwhile. From then on nobody here spends its refresh token. Returns whether it was written.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn claim_handover(
        &self,
        seen: &Connection,
        export: &str,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET state = 'handed_over', state_reason = $4, handover = $5, renew_at = NULL, \
                   keep_at = NULL, failures = 0, retry_at = NULL, refused_at = NULL, generation = generation + 1, \
                   lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $1 AND generation = $2 AND COALESCE(intent_at, 0) = $3 AND lease_owner IS NULL \
                   AND deleted_at IS NULL AND delete_at IS NULL AND kind = 'oauth2' AND state IN ('ok', 'quarantined')";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(seen.id.get())
            .bind(seen.generation)
            .bind(seen.intent.map_or(0, |intent| intent.at.micros()))
            .bind(reason)
            .bind(export)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Takes back what was handed over with an export. Whoever has the file may have spent the refresh tokens. Returns how
    /// many connections came back.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_taken_back(
        &self,
        export: &str,
        doubt: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let sql = "UPDATE connections SET state = 'ok', state_reason = NULL, handover = NULL, generation = generation + 1, \
                   doubt = $2, doubted_generation = generation + 1, renew_at = due_at, \
                   keep_at = CASE WHEN idle_ends_at IS NULL THEN NULL ELSE $3 END \
                   WHERE handover = $1 AND deleted_at IS NULL AND state = 'handed_over'";
        retried!({
            Ok(on!(self, write, |pool| sqlx::query(sql)
                .bind(export)
                .bind(doubt)
                .bind(now.micros())
                .execute(pool)
                .await
                .map(|done| done.rows_affected()))?)
        })
    }

    /// The live connection that came from this origin.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_connection_by_origin(&self, origin: &str) -> Result<Option<Connection>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM connections c WHERE c.origin = $1 AND c.deleted_at IS NULL"
        );
        let row: Option<ConnectionRow> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(origin).fetch_optional(pool).await)?;
        row.map(Connection::try_from).transpose()
    }

    /// Adds a connection that an import brings. `seal` is called with the new id, inside the transaction.
    ///
    /// # Errors
    /// What `seal` says; [`StoreError::Conflict`] when the origin or the account is there already.
    pub async fn insert_imported<E: From<StoreError>>(
        &self,
        new: &NewConnection,
        brought: &Brought,
        now: Timestamp,
        seal: impl FnOnce(ConnectionId) -> Result<SealedCredential, E> + Send,
    ) -> Result<ConnectionId, E> {
        let insert = "INSERT INTO connections (user_id, name, token_type, provider, kind, state, state_reason, account_id, \
                      account_label, requested_scopes, scopes, settings, sealed_access, expires_at, due_at, renew_at, \
                      keep_at, ends_at, idle_ends_at, connected_at, last_refreshed_at, created_at, updated_at, origin, \
                      doubt, doubted_generation) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
                      $21, $22, $23, $24, $25, 1) RETURNING id";
        let fill = "UPDATE connections SET sealed_access = $2, sealed_refresh = $3 WHERE id = $1";
        let [expires, due, renew, keep, ends, idle] = new.credential.times.to_micros();
        let run = async {
            on!(self, begin, |tx| {
                let (id,): (i64,) = sqlx::query_as(insert)
                    .bind(new.user_id.get())
                    .bind(new.name.as_str())
                    .bind(&new.token_type)
                    .bind(new.provider.as_str())
                    .bind(new.credential.kind.as_str())
                    .bind(brought.state.as_str())
                    .bind(brought.state.reason())
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
                    .bind(brought.connected_at.map(Timestamp::micros))
                    .bind(brought.last_refreshed_at.map(Timestamp::micros))
                    .bind(brought.created_at.micros())
                    .bind(now.micros())
                    .bind(&brought.origin)
                    .bind(brought.doubt.as_deref())
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
                    .bind(sealed.refresh.as_ref().map(tokenry_model::Sealed::as_bytes))
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok::<_, StoreError>(Ok(ConnectionId::new(id)))
            })
        };
        run.await?
    }

    /// The grant behind a copy has come: from now on it is renewed here. Returns whether the copy still was one.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_activated(
        &self,
        copy: &Connection,
        sealed: &SealedCredential,
        credential: &NewCredential,
        doubt: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET state = 'ok', state_reason = NULL, sealed_access = $3, sealed_refresh = $4, \
                   requested_scopes = $5, scopes = $6, settings = $7, expires_at = $8, due_at = $9, renew_at = $10, \
                   keep_at = $11, ends_at = $12, idle_ends_at = $13, updated_at = $14, generation = generation + 1, \
                   doubt = $15, doubted_generation = generation + 1 \
                   WHERE id = $1 AND generation = $2 AND deleted_at IS NULL AND state = 'handed_over' AND handover IS NULL";
        let [expires, due, renew, keep, ends, idle] = credential.times.to_micros();
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(copy.id.get())
            .bind(copy.generation)
            .bind(sealed.access.as_bytes())
            .bind(sealed.refresh.as_ref().map(tokenry_model::Sealed::as_bytes))
            .bind(credential.requested.to_string())
            .bind(credential.scopes.to_string())
            .bind(write_values(&credential.values))
            .bind(expires)
            .bind(due)
            .bind(renew)
            .bind(keep)
            .bind(ends)
            .bind(idle)
            .bind(now.micros())
            .bind(doubt)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }
}
