//! How much a user has of what they may not have without end.

use tokenry_model::{StateHash, UserId};

use crate::database::{Store, on};
use crate::error::StoreError;

/// So many spent flows are kept for each that may be under way: they say no more than that a link was used before.
const SPENT: i64 = 10;

impl Store {
    /// How many connections a user has.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn count_connections(&self, user: UserId) -> Result<i64, StoreError> {
        let sql = "SELECT COUNT(*) FROM connections WHERE user_id = $1 AND deleted_at IS NULL";
        let (count,): (i64,) =
            on!(self, read, |pool| sqlx::query_as(sql).bind(user.get()).fetch_one(pool).await)?;
        Ok(count)
    }

    /// Forgets a user's oldest flows: those that nobody came back from beyond the `most` newest, and spent ones beyond ten
    /// times as many. `newest` stays, whatever the clock said when it was written. Those that hold a grant stay as well.
    /// Returns how many were forgotten.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_oldest_flows(
        &self,
        user: UserId,
        newest: &StateHash,
        most: i64,
    ) -> Result<u64, StoreError> {
        let sql = "DELETE FROM flows WHERE user_id = $1 AND stage = $2 AND state_hash <> $3 AND state_hash NOT IN \
                   (SELECT state_hash FROM flows WHERE user_id = $1 AND stage = $2 AND state_hash <> $3 \
                   ORDER BY created_at DESC, state_hash LIMIT $4)";
        let mut forgotten = 0;
        for (stage, most) in [("pending", most - 1), ("used", most.saturating_mul(SPENT))] {
            forgotten += on!(self, write, |pool| sqlx::query(sql)
                .bind(user.get())
                .bind(stage)
                .bind(&newest.as_bytes()[..])
                .bind(most)
                .execute(pool)
                .await
                .map(|done| done.rows_affected()))?;
        }
        Ok(forgotten)
    }
}
