//! Flows that end on another device: how often the provider may be asked, and how they ended.

use sqlx::{FromRow as _, Row as _};
use tokenry_model::{ConnectionId, Flow, FlowStage, StateHash, Timestamp, UserId};

use crate::connections::at;
use crate::database::{Store, on};
use crate::error::StoreError;
use crate::flows::{FlowRow, NewFlow, columns};

/// A device flow as it stands.
#[derive(Debug)]
pub struct DeviceFlow {
    /// The flow. With an outcome, its connection is the one that it ended in.
    pub flow: Flow,
    /// How many seconds to wait between two questions.
    pub interval_s: i64,
    /// From when on the provider may be asked again.
    pub next_poll_at: Timestamp,
    /// How it ended, if it did.
    pub outcome: Option<String>,
}

impl Store {
    /// Keeps a device flow that begins.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_device_flow(
        &self,
        flow: &NewFlow,
        interval_s: i64,
        next_poll_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.insert_paced_flow(flow, Some((interval_s, next_poll_at)), now).await
    }

    /// A user's device flow.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_device_flow(
        &self,
        user: UserId,
        state: &StateHash,
    ) -> Result<Option<DeviceFlow>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            ", interval_s, next_poll_at, outcome FROM flows WHERE state_hash = $1 AND user_id = $2 AND kind = 'device'"
        );
        on!(self, read, |pool| {
            let row =
                sqlx::query(sql).bind(&state.as_bytes()[..]).bind(user.get()).fetch_optional(pool).await?;
            let Some(row) = row else { return Ok(None) };
            let (interval_s, next): (Option<i64>, Option<i64>) =
                (row.try_get("interval_s")?, row.try_get("next_poll_at")?);
            let outcome = row.try_get("outcome")?;
            let (flow, _) = FlowRow::from_row(&row)?.into_parts()?;
            let (Some(interval_s), Some(next_poll_at)) = (interval_s, at(next)) else {
                return Err(StoreError::corrupt("flows of user", user, "a device flow has no pace"));
            };
            Ok(Some(DeviceFlow { flow, interval_s, next_poll_at, outcome }))
        })
    }

    /// Takes the next question of a device flow that is due, and puts the one after it to `next`: of all who try, one gets it.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn claim_device_poll(
        &self,
        state: &StateHash,
        now: Timestamp,
        next: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE flows SET next_poll_at = $3 WHERE state_hash = $1 AND kind = 'device' AND stage = 'pending' \
                   AND next_poll_at <= $2 AND expires_at > $2";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(&state.as_bytes()[..])
            .bind(now.micros())
            .bind(next.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Says how long to wait between two questions from now on, and when the next may be.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_device_pace(
        &self,
        state: &StateHash,
        interval_s: i64,
        next: Timestamp,
    ) -> Result<(), StoreError> {
        let sql =
            "UPDATE flows SET interval_s = $2, next_poll_at = $3 WHERE state_hash = $1 AND stage = 'pending'";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(&state.as_bytes()[..])
            .bind(interval_s)
            .bind(next.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Ends a device flow: how, and in which connection.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_device_ended(
        &self,
        state: &StateHash,
        outcome: &str,
        connection: Option<ConnectionId>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE flows SET stage = $2, outcome = $3, connection_id = $4 WHERE state_hash = $1 AND stage = 'pending'";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(&state.as_bytes()[..])
            .bind(FlowStage::Used.as_str())
            .bind(outcome)
            .bind(connection.map(ConnectionId::get))
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }
}
