//! Leases: who refreshes a connection at the moment, over all processes.

use tokenry_model::{ConnectionId, RefreshIntent, Timestamp};

use crate::connections::at;
use crate::database::{Store, on};
use crate::error::StoreError;

impl Store {
    /// Takes the lease on a connection's refresh and writes down what is about to be spent, in one durable statement. Of
    /// all who try, one gets it; nobody does while another's lease runs, or when the credential is no longer that of
    /// `generation`, or when this database was moved away: then the other one spends.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn claim_refresh(
        &self,
        id: ConnectionId,
        generation: i64,
        owner: &str,
        until: Timestamp,
        intent: &RefreshIntent,
    ) -> Result<bool, StoreError> {
        self.claim_refresh_from(id, generation, owner, until, intent, None).await
    }

    /// As [`Store::claim_refresh`], and over a lease that still ends at `left`, whatever the clock says: whoever watched it
    /// for longer than a lease runs, and saw nobody keep it, knows that it was left behind.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn claim_refresh_from(
        &self,
        id: ConnectionId,
        generation: i64,
        owner: &str,
        until: Timestamp,
        intent: &RefreshIntent,
        left: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET lease_owner = $3, lease_until = $4, intent_hash = $5, intent_at = $6 \
                   WHERE id = $1 AND generation = $2 AND deleted_at IS NULL AND delete_at IS NULL \
                   AND state IN ('ok', 'quarantined') \
                   AND (lease_until IS NULL OR lease_until <= $6 OR lease_until = $7) \
                   AND NOT EXISTS (SELECT 1 FROM installation WHERE name = 'moved')";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(generation)
            .bind(owner)
            .bind(until.micros())
            .bind(&intent.token[..])
            .bind(intent.at.micros())
            .bind(left.map(Timestamp::micros))
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Until when the lease on a connection's refresh runs, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn find_lease(&self, id: ConnectionId) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT lease_until FROM connections WHERE id = $1";
        let row: Option<(Option<i64>,)> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(id.get()).fetch_optional(pool).await)?;
        Ok(row.and_then(|(until,)| at(until)))
    }

    /// Keeps a lease for longer, while the provider takes its time. Returns whether it was still held.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_lease(
        &self,
        id: ConnectionId,
        owner: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET lease_until = $3 WHERE id = $1 AND lease_owner = $2";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(owner)
            .bind(until.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }
}
