//! Revocations that a provider has yet to be told of.

use std::time::Duration;

use tokenry_model::{ConnectionId, ProviderId, Sealed, Timestamp, UserId, Values};

use crate::connections::{SealedCredential, read_values, write_values};
use crate::database::{Store, on};
use crate::error::StoreError;

/// A grant to revoke. Its halves are still sealed for the connection they came from.
#[derive(Debug, Clone)]
pub struct Revocation {
    /// The row.
    pub id: i64,
    /// Whose connection it was.
    pub user_id: UserId,
    /// Which connection it was.
    pub connection_id: ConnectionId,
    /// Whom to tell.
    pub provider: ProviderId,
    /// The account that had granted it, where it is known.
    pub account_id: Option<String>,
    /// What differs from connection to connection at this provider.
    pub values: Values,
    /// The grant.
    pub sealed: SealedCredential,
    /// How often it was tried.
    pub attempts: i64,
    /// When the connection was deleted.
    pub created_at: Timestamp,
}

/// A grant to revoke whose connection no longer holds it.
#[derive(Debug, Clone, Copy)]
pub struct NewRevocation<'a> {
    /// Whose connection it was.
    pub user_id: UserId,
    /// Which connection it was.
    pub connection_id: ConnectionId,
    /// Whom to tell.
    pub provider: &'a ProviderId,
    /// The account that had granted it, where it is known.
    pub account_id: Option<&'a str>,
    /// What differs from connection to connection at this provider.
    pub values: &'a Values,
    /// The grant, sealed for the connection.
    pub sealed: &'a SealedCredential,
}

/// Takes a live connection's row until the transaction ends, so that no refresh changes the grant between its copy and
/// what then becomes of the row. $1 user, $2 connection, $3 now.
pub(crate) const HOLD_GRANT: &str = "UPDATE connections SET updated_at = $3 \
    WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL";

/// Copies the grant of a live connection, which is [held](HOLD_GRANT), into the revocations. $1 user, $2 connection, $3 now.
pub(crate) const QUEUE_GRANT: &str = "INSERT INTO revocations \
    (user_id, connection_id, provider, account_id, settings, sealed_access, sealed_refresh, next_attempt_at, created_at) \
    SELECT user_id, id, provider, account_id, settings, sealed_access, sealed_refresh, $3, $3 FROM connections \
    WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL AND kind = 'oauth2' AND state NOT IN ('revoked', 'handed_over')";

#[derive(sqlx::FromRow)]
struct RevocationRow {
    id: i64,
    user_id: i64,
    connection_id: i64,
    provider: String,
    account_id: Option<String>,
    settings: String,
    sealed_access: Vec<u8>,
    sealed_refresh: Option<Vec<u8>>,
    attempts: i64,
    created_at: i64,
}

impl TryFrom<RevocationRow> for Revocation {
    type Error = StoreError;

    fn try_from(row: RevocationRow) -> Result<Self, StoreError> {
        let id = |value| StoreError::check_id("revocations", row.id, value);
        Ok(Self {
            id: row.id,
            user_id: UserId::new(id(row.user_id)?),
            connection_id: ConnectionId::new(id(row.connection_id)?),
            provider: ProviderId::parse(&row.provider)
                .map_err(|e| StoreError::corrupt("revocations", row.id, e))?,
            account_id: row.account_id,
            values: read_values(&row.settings).map_err(|e| StoreError::corrupt("revocations", row.id, e))?,
            sealed: SealedCredential {
                access: Sealed::new(row.sealed_access),
                refresh: row.sealed_refresh.map(Sealed::new),
            },
            attempts: row.attempts,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

impl Store {
    /// Queues the revocation of a grant whose connection went away while the grant was being made or refreshed.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_revocation(&self, new: &NewRevocation<'_>, now: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO revocations (user_id, connection_id, provider, account_id, settings, sealed_access, \
                   sealed_refresh, next_attempt_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(new.user_id.get())
            .bind(new.connection_id.get())
            .bind(new.provider.as_str())
            .bind(new.account_id)
            .bind(write_values(new.values))
            .bind(new.sealed.access.as_bytes())
            .bind(new.sealed.refresh.as_ref().map(Sealed::as_bytes))
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Takes the revocations that are due, at most `limit`, and puts their next attempt to `retry_at`: nobody else takes
    /// them before. With `connection`, only that connection's.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn claim_revocations(
        &self,
        connection: Option<ConnectionId>,
        limit: i64,
        now: Timestamp,
        retry_in: Duration,
    ) -> Result<Vec<Revocation>, StoreError> {
        let find = "SELECT id FROM revocations WHERE next_attempt_at <= $1 AND ($2 = 0 OR connection_id = $2) \
                    ORDER BY next_attempt_at LIMIT $3";
        // One by one: two that took many rows each, in different orders, would wait for each other.
        let claim = "UPDATE revocations SET attempts = attempts + 1, next_attempt_at = $2 \
                     WHERE id = $3 AND next_attempt_at <= $1 \
                     RETURNING id, user_id, connection_id, provider, account_id, settings, sealed_access, sealed_refresh, \
                     attempts, created_at";
        let due: Vec<(i64,)> = on!(self, read, |pool| sqlx::query_as(find)
            .bind(now.micros())
            .bind(connection.map_or(0, ConnectionId::get))
            .bind(limit)
            .fetch_all(pool)
            .await)?;
        let mut rows: Vec<RevocationRow> = Vec::new();
        for (id,) in due {
            let row = on!(self, write, |pool| sqlx::query_as(claim)
                .bind(now.micros())
                .bind(now.plus(retry_in).micros())
                .bind(id)
                .fetch_optional(pool)
                .await)?;
            rows.extend(row);
        }
        rows.into_iter().map(Revocation::try_from).collect()
    }

    /// Puts off the next attempt at a revocation.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_revocation_attempt(&self, id: i64, next: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE revocations SET next_attempt_at = $2 WHERE id = $1";
        on!(self, write, |pool| sqlx::query(sql).bind(id).bind(next.micros()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Strikes a revocation off: it is done, or nothing more can be done.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_revocation(&self, id: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM revocations WHERE id = $1";
        on!(self, write, |pool| sqlx::query(sql).bind(id).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// How many revocations wait.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn count_revocations(&self) -> Result<i64, StoreError> {
        let sql = "SELECT COUNT(*) FROM revocations";
        let (count,): (i64,) = on!(self, read, |pool| sqlx::query_as(sql).fetch_one(pool).await)?;
        Ok(count)
    }
}
