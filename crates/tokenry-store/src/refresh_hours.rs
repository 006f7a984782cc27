//! How refreshes went, by provider and hour, over all processes.

use tokenry_model::{ProviderId, Timestamp};

use crate::database::{Store, on, retried};
use crate::error::StoreError;

/// How refreshes went at a provider within an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshHour {
    /// When the hour begins.
    pub hour: Timestamp,
    /// The provider.
    pub provider: ProviderId,
    /// How many refreshes went well.
    pub done: i64,
    /// How many did not.
    pub failed: i64,
    /// Whether the provider's refreshes were held back at any time in it.
    pub held: bool,
}

impl Store {
    /// Adds these counts to what is there. An hour that was held back once stays so.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away: then none is added, unless it was the commit's answer that got lost.
    pub async fn update_refresh_hours(&self, counted: &[RefreshHour]) -> Result<(), StoreError> {
        // What is held back already and has nothing to add writes no row: an incident that lasts costs nothing.
        let sql = "INSERT INTO refresh_hours (hour, provider, done, failed, held) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (hour, provider) DO UPDATE SET done = refresh_hours.done + excluded.done, \
                   failed = refresh_hours.failed + excluded.failed, \
                   held = CASE WHEN excluded.held = 1 THEN 1 ELSE refresh_hours.held END \
                   WHERE excluded.done > 0 OR excluded.failed > 0 OR excluded.held > refresh_hours.held";
        // In one order, whoever writes: two that do so never wait for each other.
        let mut counted: Vec<_> = counted.iter().collect();
        counted.sort_unstable_by(|a, b| (a.hour, &a.provider).cmp(&(b.hour, &b.provider)));
        retried!({
            on!(self, begin, |tx| {
                for it in &counted {
                    sqlx::query(sql)
                        .bind(it.hour.micros())
                        .bind(it.provider.as_str())
                        .bind(it.done)
                        .bind(it.failed)
                        .bind(i64::from(it.held))
                        .execute(&mut *tx)
                        .await?;
                }
                tx.commit().await?;
            });
            Ok(())
        })
    }

    /// The hours that begin at `since` or later and not after `until`, the oldest first. Walks the key.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_refresh_hours(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<RefreshHour>, StoreError> {
        let sql = "SELECT hour, provider, done, failed, held FROM refresh_hours WHERE hour >= $1 AND hour <= $2 \
                   ORDER BY hour, provider";
        let rows: Vec<(i64, String, i64, i64, i64)> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(since.micros())
            .bind(until.micros())
            .fetch_all(pool)
            .await)?;
        let read = |(hour, provider, done, failed, held): (i64, String, i64, i64, i64)| {
            let id = ProviderId::parse(&provider)
                .map_err(|e| StoreError::corrupt("refresh_hours of", &provider, e))?;
            Ok(RefreshHour {
                hour: Timestamp::from_micros(hour),
                provider: id,
                done,
                failed,
                held: held != 0,
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Forgets the hours that begin before `before`. Returns how many rows there were.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_old_refresh_hours(&self, before: Timestamp) -> Result<u64, StoreError> {
        let sql = "DELETE FROM refresh_hours WHERE hour < $1";
        Ok(on!(self, write, |pool| sqlx::query(sql)
            .bind(before.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
