//! Keys that sign access tokens: one signs, those before it are kept until the last token they signed has expired.

use std::time::Duration;

use tokenry_model::Timestamp;

use crate::connections::at;
use crate::database::{Store, on};
use crate::error::StoreError;
use crate::keys::StoredSigningKey;

/// What there is to say about a signing key without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// Its id, sent as `kid`.
    pub id: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When another began to sign in its place.
    pub superseded_at: Option<Timestamp>,
    /// How long the tokens that it signed live at most.
    pub longest_ttl: Duration,
}

impl Store {
    /// The signing keys without their bytes, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn list_signing_key_rows(&self) -> Result<Vec<SigningKeyRow>, StoreError> {
        let sql = "SELECT id, created_at, superseded_at, longest_ttl FROM signing_keys ORDER BY id";
        let rows: Vec<(i64, i64, Option<i64>, i64)> =
            on!(self, read, |pool| sqlx::query_as(sql).fetch_all(pool).await)?;
        let read = |(id, created_at, superseded_at, ttl): (i64, i64, Option<i64>, i64)| SigningKeyRow {
            id,
            created_at: Timestamp::from_micros(created_at),
            superseded_at: at(superseded_at),
            longest_ttl: Duration::from_micros(u64::try_from(ttl).unwrap_or_default()),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Adds a signing key, which signs from now on; all others only verify.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one of its id; [`StoreError::Unavailable`] when the database is away.
    pub async fn rotate_signing_key(&self, new: &StoredSigningKey, now: Timestamp) -> Result<(), StoreError> {
        let insert = "INSERT INTO signing_keys (id, sealed, created_at) VALUES ($1, $2, $3)";
        let supersede = "UPDATE signing_keys SET superseded_at = $2 WHERE id < $1 AND superseded_at IS NULL";
        on!(self, begin, |tx| {
            sqlx::query(insert)
                .bind(new.id)
                .bind(new.sealed.as_bytes())
                .bind(now.micros())
                .execute(&mut *tx)
                .await
                .map_err(StoreError::or_conflict)?;
            sqlx::query(supersede).bind(new.id).bind(now.micros()).execute(&mut *tx).await?;
            tx.commit().await?;
        });
        Ok(())
    }

    /// A process signs with this key tokens that live so long.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_signing_ttl(&self, id: i64, ttl: Duration) -> Result<(), StoreError> {
        let sql = "UPDATE signing_keys SET longest_ttl = $2 WHERE id = $1 AND longest_ttl < $2";
        let micros = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
        on!(self, write, |pool| sqlx::query(sql).bind(id).bind(micros).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Deletes the signing keys whose last token has expired: those that another took the place of, whose longest life ended
    /// `slack` ago. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_spent_signing_keys(
        &self,
        slack: Duration,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let sql =
            "DELETE FROM signing_keys WHERE superseded_at IS NOT NULL AND superseded_at + longest_ttl < $1";
        Ok(on!(self, write, |pool| sqlx::query(sql)
            .bind(now.minus(slack).micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
