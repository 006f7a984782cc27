//! Which connections are to be renewed, and what became of trying.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tokenry_model::{Connection, ConnectionId, ProviderId, Timestamp};

use crate::connections::{ConnectionRow, columns};
use crate::database::{Store, on, retried};
use crate::error::StoreError;

/// How many connections of a provider wait to be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The provider.
    pub provider: ProviderId,
    /// How many.
    pub count: i64,
    /// How many of them have an access token that is dead already.
    pub overdue: i64,
}

/// How many connections of a provider end soon for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The provider.
    pub provider: ProviderId,
    /// How many.
    pub count: i64,
}

/// How many uses one statement writes down.
const USED: usize = 32;

/// For so many, and for one. The places that are left over are filled with the same uses once more.
static USED_SQL: LazyLock<(String, String)> = LazyLock::new(|| {
    let text = |size: usize| {
        let rows: Vec<_> = (0..size).map(|n| format!("(${}, ${})", n * 2 + 1, n * 2 + 2)).collect();
        format!(
            "UPDATE connections SET last_used_at = used.column2 FROM (VALUES {}) AS used \
             WHERE connections.id = used.column1 \
             AND (connections.last_used_at IS NULL OR connections.last_used_at < used.column2)",
            rows.join(", ")
        )
    };
    (text(USED), text(1))
});

impl Store {
    /// How many connections wait to be renewed at `now`, by provider. Those that nobody has read, or connected, since
    /// `read_since` only wait when an idle refresh token would die.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_due(&self, now: Timestamp, read_since: Timestamp) -> Result<Vec<Due>, StoreError> {
        // Two statements, each of which walks an index of its own.
        let to_renew = "SELECT provider, COUNT(*), COUNT(CASE WHEN expires_at <= $1 THEN 1 END) FROM connections \
                        WHERE deleted_at IS NULL AND delete_at IS NULL AND renew_at <= $1 \
                        AND (last_used_at >= $2 OR COALESCE(connected_at, created_at) >= $2) GROUP BY provider";
        let to_keep = "SELECT provider, COUNT(*), COUNT(CASE WHEN expires_at <= $1 THEN 1 END) FROM connections \
                       WHERE deleted_at IS NULL AND delete_at IS NULL AND keep_at <= $1 \
                       AND NOT (renew_at IS NOT NULL AND renew_at <= $1 \
                       AND ((last_used_at IS NOT NULL AND last_used_at >= $2) \
                       OR COALESCE(connected_at, created_at) >= $2)) GROUP BY provider";
        let mut found: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for sql in [to_renew, to_keep] {
            let rows: Vec<(String, i64, i64)> = on!(self, read, |pool| sqlx::query_as(sql)
                .bind(now.micros())
                .bind(read_since.micros())
                .fetch_all(pool)
                .await)?;
            for (provider, count, overdue) in rows {
                let sum = found.entry(provider).or_default();
                *sum = (sum.0 + count, sum.1 + overdue);
            }
        }
        let read = |(provider, (count, overdue)): (String, (i64, i64))| {
            let id = ProviderId::parse(&provider)
                .map_err(|e| StoreError::corrupt("connections of", &provider, e))?;
            Ok(Due { provider: id, count, overdue })
        };
        found.into_iter().map(read).collect()
    }

    /// How many connections' grants end between `now` and `until`, by provider.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_ending(&self, now: Timestamp, until: Timestamp) -> Result<Vec<Ending>, StoreError> {
        let sql = "SELECT provider, COUNT(*) FROM connections WHERE deleted_at IS NULL AND delete_at IS NULL AND state = 'ok' \
                   AND ends_at > $1 AND ends_at <= $2 GROUP BY provider";
        let rows: Vec<(String, i64)> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(now.micros())
            .bind(until.micros())
            .fetch_all(pool)
            .await)?;
        let read = |(provider, count): (String, i64)| {
            let id = ProviderId::parse(&provider)
                .map_err(|e| StoreError::corrupt("connections of", &provider, e))?;
            Ok(Ending { provider: id, count })
        };
        rows.into_iter().map(read).collect()
    }

    /// A provider's connections that wait to be renewed, as [`Store::list_due`] counts them, the longest wait first, at most
    /// `limit`. Those that another process is refreshing are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_renewable(
        &self,
        provider: &ProviderId,
        now: Timestamp,
        read_since: Timestamp,
        limit: i64,
    ) -> Result<Vec<Connection>, StoreError> {
        let to_renew = concat!(
            "SELECT ",
            columns!(),
            " FROM connections c WHERE c.provider = $1 AND c.deleted_at IS NULL AND c.delete_at IS NULL AND c.renew_at <= $2 \
             AND (c.last_used_at >= $3 OR COALESCE(c.connected_at, c.created_at) >= $3) \
             AND (c.lease_until IS NULL OR c.lease_until <= $2) ORDER BY c.renew_at LIMIT $4"
        );
        let to_keep = concat!(
            "SELECT ",
            columns!(),
            " FROM connections c WHERE c.provider = $1 AND c.deleted_at IS NULL AND c.delete_at IS NULL AND c.keep_at <= $2 \
             AND NOT (c.renew_at IS NOT NULL AND c.renew_at <= $2 \
             AND ((c.last_used_at IS NOT NULL AND c.last_used_at >= $3) \
             OR COALESCE(c.connected_at, c.created_at) >= $3)) \
             AND (c.lease_until IS NULL OR c.lease_until <= $2) ORDER BY c.keep_at LIMIT $4"
        );
        let mut found = Vec::new();
        for sql in [to_renew, to_keep] {
            let room = limit - i64::try_from(found.len()).unwrap_or(limit);
            let rows: Vec<ConnectionRow> = on!(self, read, |pool| sqlx::query_as(sql)
                .bind(provider.as_str())
                .bind(now.micros())
                .bind(read_since.micros())
                .bind(room)
                .fetch_all(pool)
                .await)?;
            for row in rows {
                found.push(row.try_into()?);
            }
        }
        Ok(found)
    }

    /// Leaves connections alone that are due and that nobody has read since `unread_since`: the next reader refreshes them.
    /// Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_unread(&self, unread_since: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let sql = "UPDATE connections SET renew_at = NULL WHERE renew_at <= $1 AND deleted_at IS NULL \
                   AND (last_used_at IS NULL OR last_used_at < $2) AND COALESCE(connected_at, created_at) < $2";
        retried!({
            Ok(on!(self, write, |pool| sqlx::query(sql)
                .bind(now.micros())
                .bind(unread_since.micros())
                .execute(pool)
                .await
                .map(|done| done.rows_affected()))?)
        })
    }

    /// Puts off a renewal that is due. Returns whether it was due.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_put_off(
        &self,
        id: ConnectionId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET renew_at = CASE WHEN renew_at <= $3 THEN $2 ELSE renew_at END, \
                   keep_at = CASE WHEN keep_at <= $3 THEN $2 ELSE keep_at END \
                   WHERE id = $1 AND (renew_at <= $3 OR keep_at <= $3) AND deleted_at IS NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(until.micros())
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Writes down when tokens were last handed out.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away: then none is written.
    pub async fn update_used(&self, used: &[(ConnectionId, Timestamp)]) -> Result<(), StoreError> {
        // In one order, whoever writes: two that do so never wait for each other.
        let mut used = used.to_vec();
        used.sort_unstable();
        // Of one connection the latest.
        used.dedup_by(|next, kept| {
            let again = next.0 == kept.0;
            kept.1 = if again { next.1 } else { kept.1 };
            again
        });
        retried!({
            on!(self, begin, |tx| {
                for some in used.chunks(USED) {
                    let sql = if some.len() > 1 { USED_SQL.0.as_str() } else { USED_SQL.1.as_str() };
                    let size = if some.len() > 1 { USED } else { 1 };
                    let mut update = sqlx::query(sql);
                    for (id, at) in some.iter().cycle().take(size) {
                        update = update.bind(id.get()).bind(at.micros());
                    }
                    update.execute(&mut *tx).await?;
                }
                tx.commit().await?;
            });
            Ok(())
        })
    }

    /// A refresh brought nothing: gives the lease back, counts the failure, and puts the next try to `retry_at`, by the
    /// background to `renew_at`. With `spent_unknown` the intent stays: no answer came, so the refresh token may be spent.
    /// With `quarantine` the connection is set aside for that reason. Nothing is written if another process holds the lease
    /// by now.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_failed(
        &self,
        id: ConnectionId,
        owner: &str,
        failed: &Failed,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE connections SET lease_owner = NULL, lease_until = NULL, \
                   intent_hash = CASE WHEN $3 = 1 THEN intent_hash ELSE NULL END, \
                   intent_at = CASE WHEN $3 = 1 THEN intent_at ELSE NULL END, \
                   failures = CASE WHEN $4 = 1 THEN failures + 1 ELSE failures END, retry_at = $5, \
                   renew_at = CASE WHEN renew_at IS NULL THEN NULL ELSE $6 END, \
                   keep_at = CASE WHEN keep_at < $6 THEN $6 ELSE keep_at END, \
                   state = CASE WHEN $7 IS NULL THEN state ELSE 'quarantined' END, \
                   state_reason = CASE WHEN $7 IS NULL THEN state_reason ELSE $7 END \
                   WHERE id = $1 AND lease_owner = $2 AND state IN ('ok', 'quarantined')";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(owner)
            .bind(i64::from(failed.spent_unknown))
            .bind(i64::from(failed.counts))
            .bind(failed.retry_at.map(Timestamp::micros))
            .bind(failed.renew_at.micros())
            .bind(failed.quarantine.as_deref())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }
}

/// What a refresh that brought nothing leaves behind.
#[derive(Debug, Clone)]
pub struct Failed {
    /// No answer came that says whether the refresh token was spent.
    pub spent_unknown: bool,
    /// Whether it counts as a failure of this connection.
    pub counts: bool,
    /// Before this, readers do not try again.
    pub retry_at: Option<Timestamp>,
    /// From when on the background tries again.
    pub renew_at: Timestamp,
    /// Why it is set aside, if it is.
    pub quarantine: Option<String>,
}
