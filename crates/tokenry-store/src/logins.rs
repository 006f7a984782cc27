//! Failed logins, counted; and the addresses a user is known by.

use std::time::Duration;

use tokenry_model::{Timestamp, UserId};

use crate::database::{Store, on};
use crate::error::StoreError;

/// What failures are counted under: a keyed fingerprint of a name, an address, or both.
pub type Bucket = [u8; 32];

impl Store {
    /// How many failures a bucket has in its present window, and when that window began. Nothing if it has none.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn find_login_failures(&self, bucket: &Bucket) -> Result<Option<(i64, Timestamp)>, StoreError> {
        let sql = "SELECT failures, window_started_at FROM login_failures WHERE bucket = $1";
        let row: Option<(i64, i64)> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(&bucket[..]).fetch_optional(pool).await)?;
        Ok(row.map(|(failures, since)| (failures, Timestamp::from_micros(since))))
    }

    /// Counts one failure in each of the buckets. A window that has passed begins anew, and so does one that has not begun:
    /// it was written while the clock was wrong.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_login_failures(
        &self,
        buckets: &[Bucket],
        window: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO login_failures (bucket, failures, window_started_at) VALUES ($1, 1, $2) \
                   ON CONFLICT (bucket) DO UPDATE SET \
                   failures = CASE WHEN login_failures.window_started_at > $3 AND login_failures.window_started_at <= $2 \
                              THEN login_failures.failures + 1 ELSE 1 END, \
                   window_started_at = CASE WHEN login_failures.window_started_at > $3 \
                              AND login_failures.window_started_at <= $2 \
                              THEN login_failures.window_started_at ELSE $2 END";
        // In one order, whoever counts: two transactions never wait for each other.
        let mut buckets = buckets.to_vec();
        buckets.sort_unstable();
        on!(self, begin, |tx| {
            for bucket in &buckets {
                sqlx::query(sql)
                    .bind(&bucket[..])
                    .bind(now.micros())
                    .bind(now.minus(window).micros())
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// Forgets the failures of a bucket.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_login_failures(&self, bucket: &Bucket) -> Result<(), StoreError> {
        let sql = "DELETE FROM login_failures WHERE bucket = $1";
        on!(self, write, |pool| sqlx::query(sql).bind(&bucket[..]).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Forgets windows that began before `before`.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_old_login_failures(&self, before: Timestamp) -> Result<(), StoreError> {
        let sql = "DELETE FROM login_failures WHERE window_started_at < $1";
        on!(self, write, |pool| sqlx::query(sql).bind(before.micros()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// When a user last logged in from an address, if ever.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn find_known_address(
        &self,
        user: UserId,
        fingerprint: &[u8; 32],
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT last_seen_at FROM known_addresses WHERE user_id = $1 AND fingerprint = $2";
        let row: Option<(i64,)> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(user.get())
            .bind(&fingerprint[..])
            .fetch_optional(pool)
            .await)?;
        Ok(row.map(|(at,)| Timestamp::from_micros(at)))
    }

    /// Remembers that a user logged in from an address.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_known_address(
        &self,
        user: UserId,
        fingerprint: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO known_addresses (user_id, fingerprint, last_seen_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (user_id, fingerprint) DO UPDATE SET last_seen_at = $3";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(user.get())
            .bind(&fingerprint[..])
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }
}
