//! What is true of the installation as a whole: what it is called towards others, and where it was moved to.

use tokenry_model::Timestamp;

use crate::database::{Store, on};
use crate::error::StoreError;

/// The fact that this database was moved away. Its value says where to.
pub(crate) const MOVED: &str = "moved";

impl Store {
    /// The value of a fact, if it is there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn find_fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM installation WHERE name = $1";
        let row: Option<(String,)> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(name).fetch_optional(pool).await)?;
        Ok(row.map(|(value,)| value))
    }

    /// Adds a fact if there is none of this name. Of several who try, one is first; all read it afterwards.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_fact(&self, name: &str, value: &str, now: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO installation (name, value, written_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (name) DO NOTHING";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(name)
            .bind(value)
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Takes a fact away.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_fact(&self, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM installation WHERE name = $1";
        on!(self, write, |pool| sqlx::query(sql).bind(name).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// What is in this database comes from a backup, and the world has gone on meanwhile: every grant's refresh token may
    /// have been spent since, the leases are those of the dead, and whoever was signed in is not any more (the ids of users
    /// who came after the backup are given out again). With `copy`, the original lives on and is the one that spends: the
    /// grants are not renewed here. Returns how many grants there are.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away: then nothing was written.
    pub async fn update_restored(&self, why: &str, copy: bool) -> Result<u64, StoreError> {
        let doubt = "UPDATE connections SET doubt = $1, doubted_generation = generation, lease_owner = NULL, \
                     lease_until = NULL WHERE deleted_at IS NULL AND kind = 'oauth2' AND state IN ('ok', 'quarantined')";
        let hand_over = "UPDATE connections SET state = 'handed_over', state_reason = $1, renew_at = NULL, \
                         keep_at = NULL, failures = 0, retry_at = NULL, refused_at = NULL, generation = generation + 1, \
                         lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                         WHERE deleted_at IS NULL AND kind = 'oauth2' AND state IN ('ok', 'quarantined')";
        // What a copy revokes, the original would lose; grants that nobody claims are revoked as well.
        let forget =
            ["DELETE FROM revocations", "DELETE FROM flows", "DELETE FROM installation WHERE name = 'id'"];
        let sign_out = "DELETE FROM signing_keys";
        let rows = on!(self, begin, |tx| {
            let sql = if copy { hand_over } else { doubt };
            let done = sqlx::query(sql).bind(why).execute(&mut *tx).await?;
            if copy {
                for sql in forget {
                    sqlx::query(sql).execute(&mut *tx).await?;
                }
            }
            sqlx::query(sign_out).execute(&mut *tx).await?;
            tx.commit().await?;
            done.rows_affected()
        });
        Ok(rows)
    }

    /// An answer in the spool that is newer than its row, because the row is from a backup: the row is made to wait for it.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_to_await(&self, spooled: &crate::Spooled) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET generation = $3 \
                   WHERE id = $1 AND user_id = $2 AND generation < $3 AND deleted_at IS NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(spooled.connection_id.get())
            .bind(spooled.user_id.get())
            .bind(spooled.generation)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }
}
