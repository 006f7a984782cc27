//! Deletes that their owner may still take back: asked for, taken back, carried out. Each is a compare-and-set, so that of
//! two who come at once one has it.

use sqlx::{FromRow as _, Row as _};
use tokenry_model::{Connection, ConnectionId, Timestamp, UserId};

use crate::connections::{ConnectionRow, columns};
use crate::credentials::DELETE;
use crate::database::{Store, on};
use crate::error::StoreError;
use crate::revocations::QUEUE_GRANT;

/// Takes the row of a connection whose delete is due until the transaction ends: from here on it cannot be taken back.
/// $1 user, $2 connection, $3 now.
const HOLD_DUE: &str = "UPDATE connections SET updated_at = $3 \
    WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL AND delete_at <= $3";

/// Connections whose delete is due.
#[derive(Debug)]
pub struct DueDeletes {
    /// Those that can be read.
    pub connections: Vec<Connection>,
    /// The last that was looked at, and when its delete was due. `None`: there are no more.
    pub last: Option<(Timestamp, ConnectionId)>,
}

impl Store {
    /// Takes a user's connection out of service, to be deleted at `delete_at`. Returns whether it was in service.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_to_delete(
        &self,
        user: UserId,
        id: ConnectionId,
        delete_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET delete_at = $3 \
                   WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL AND delete_at IS NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(user.get())
            .bind(id.get())
            .bind(delete_at.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Puts a user's connection back into service that waits to be deleted. Returns whether it waited.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_undeleted(&self, user: UserId, id: ConnectionId) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET delete_at = NULL \
                   WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL AND delete_at IS NOT NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(user.get())
            .bind(id.get())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// The connections of a user that wait to be deleted, and when they are; those that are deleted first come first.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_leaving(&self, user: UserId) -> Result<Vec<(Connection, Timestamp)>, StoreError> {
        let sql = concat!(
            "SELECT c.delete_at, ",
            columns!(),
            " FROM connections c WHERE c.user_id = $1 AND c.deleted_at IS NULL AND c.delete_at IS NOT NULL \
             ORDER BY c.delete_at, c.id"
        );
        on!(self, read, |pool| {
            let rows = sqlx::query(sql).bind(user.get()).fetch_all(pool).await?;
            rows.iter()
                .map(|row| -> Result<_, StoreError> {
                    let connection = ConnectionRow::from_row(row)?.try_into()?;
                    Ok((connection, Timestamp::from_micros(row.try_get("delete_at")?)))
                })
                .collect()
        })
    }

    /// The connections, of whatever user, whose delete is due, the longest due first, at most `limit`, from behind `after` on.
    /// One that cannot be read is told to the log, and left out: it must not hold back the others.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn list_to_delete(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, ConnectionId)>,
        limit: i64,
    ) -> Result<DueDeletes, StoreError> {
        let sql = concat!(
            "SELECT c.delete_at, ",
            columns!(),
            " FROM connections c WHERE c.deleted_at IS NULL AND c.delete_at <= $1 \
             AND (c.delete_at > $2 OR (c.delete_at = $2 AND c.id > $3)) ORDER BY c.delete_at, c.id LIMIT $4"
        );
        let (at, id) = after.map_or((i64::MIN, i64::MIN), |(at, id)| (at.micros(), id.get()));
        on!(self, read, |pool| {
            let rows =
                sqlx::query(sql).bind(now.micros()).bind(at).bind(id).bind(limit).fetch_all(pool).await?;
            let mut due = DueDeletes { connections: Vec::with_capacity(rows.len()), last: None };
            for row in &rows {
                let at = Timestamp::from_micros(row.try_get("delete_at")?);
                due.last = Some((at, ConnectionId::new(row.try_get("id")?)));
                match Connection::try_from(ConnectionRow::from_row(row)?) {
                    Ok(connection) => due.connections.push(connection),
                    Err(error) => tracing::error!(%error, "a connection cannot be deleted"),
                }
            }
            Ok(due)
        })
    }

    /// Carries out the delete of a connection, as [`Store::delete_connection`], if it is due and was not taken back. Returns
    /// whether it was carried out here.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn claim_delete(
        &self,
        user: UserId,
        id: ConnectionId,
        revoke: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let rows = on!(self, begin, |tx| {
            let (user, id, at) = (user.get(), id.get(), now.micros());
            let held = sqlx::query(HOLD_DUE).bind(user).bind(id).bind(at).execute(&mut *tx).await?;
            if held.rows_affected() == 0 {
                return Ok(false);
            }
            if revoke {
                sqlx::query(QUEUE_GRANT).bind(user).bind(id).bind(at).execute(&mut *tx).await?;
            }
            let gone = sqlx::query(DELETE).bind(user).bind(id).bind(at).bind(&b""[..]).execute(&mut *tx);
            let rows = gone.await?.rows_affected();
            tx.commit().await?;
            rows
        });
        Ok(rows == 1)
    }
}
