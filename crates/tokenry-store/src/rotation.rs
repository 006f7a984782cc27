//! Data keys that come and go: which there are, who still needs one, and the statements that change the ring.
//!
//! The database keeps the promise. What a sealed value begins with refers to its key, and so does a process's hold on it: a
//! key that anything needs cannot be deleted, and nothing that was sealed with a deleted one is taken.

use tokenry_model::{Sealed, Timestamp};

use crate::connections::at;
use crate::database::{Store, on};
use crate::error::StoreError;
use crate::keys::{StoredKey, header};

/// What there is to say about a data key without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: u32,
    /// Whether new values are sealed with it.
    pub is_current: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When another became current in its place.
    pub superseded_at: Option<Timestamp>,
}

/// A data key that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredKey {
    /// Its id, which no key has again.
    pub id: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its bytes were deleted.
    pub retired_at: Timestamp,
}

/// A process that seals with a key, or has something in its spool that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHold {
    /// The process, by the name it gave itself.
    pub holder: String,
    /// The spool that it writes to, by its name.
    pub spool: String,
    /// The key.
    pub key_id: u32,
    /// When the process last said that it lives.
    pub seen_at: Timestamp,
}

impl Store {
    /// The ring without its bytes, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_key_rows(&self) -> Result<Vec<KeyRow>, StoreError> {
        let sql = "SELECT id, is_current, created_at, superseded_at FROM data_keys ORDER BY id";
        let rows: Vec<(i64, i64, i64, Option<i64>)> =
            on!(self, read, |pool| sqlx::query_as(sql).fetch_all(pool).await)?;
        rows.into_iter()
            .map(|(id, is_current, created_at, superseded_at)| {
                Ok(KeyRow {
                    id: key_id("data_keys", id)?,
                    is_current: is_current == 1,
                    created_at: Timestamp::from_micros(created_at),
                    superseded_at: at(superseded_at),
                })
            })
            .collect()
    }

    /// The keys that are gone, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_retired_keys(&self) -> Result<Vec<RetiredKey>, StoreError> {
        let sql = "SELECT id, created_at, retired_at FROM retired_keys ORDER BY id";
        let rows: Vec<(i64, i64, i64)> = on!(self, read, |pool| sqlx::query_as(sql).fetch_all(pool).await)?;
        rows.into_iter()
            .map(|(id, created_at, retired_at)| {
                Ok(RetiredKey {
                    id: key_id("retired_keys", id)?,
                    created_at: Timestamp::from_micros(created_at),
                    retired_at: Timestamp::from_micros(retired_at),
                })
            })
            .collect()
    }

    /// Adds a key and makes it the current one in the place of `current`. Returns whether that was still the current one, with
    /// these very bytes: somebody else may have changed the ring.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is a key of the new id; [`StoreError::Unavailable`] when the database is away.
    pub async fn rotate_key(
        &self,
        new: &StoredKey,
        current: &StoredKey,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let supersede = "UPDATE data_keys SET is_current = 0, superseded_at = $3 \
                         WHERE id = $1 AND is_current = 1 AND wrapped = $2";
        let insert =
            "INSERT INTO data_keys (id, wrapped, is_current, created_at, header) VALUES ($1, $2, 1, $3, $4)";
        on!(self, begin, |tx| {
            let done = sqlx::query(supersede)
                .bind(i64::from(current.id))
                .bind(&current.wrapped)
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            if done.rows_affected() != 1 {
                tx.rollback().await?;
                return Ok(false);
            }
            sqlx::query(insert)
                .bind(i64::from(new.id))
                .bind(&new.wrapped)
                .bind(now.micros())
                .bind(&header(new.id)[..])
                .execute(&mut *tx)
                .await
                .map_err(StoreError::or_conflict)?;
            tx.commit().await?;
        });
        Ok(true)
    }

    /// Deletes a key that is not the current one. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError::KeyInUse`] when anything was sealed with it, or a process holds it; [`StoreError::Unavailable`] when the
    /// database is away.
    pub async fn delete_key(&self, id: u32, now: Timestamp) -> Result<bool, StoreError> {
        let note = "INSERT INTO retired_keys (id, created_at, retired_at) \
                    SELECT id, created_at, CAST($2 AS BIGINT) FROM data_keys WHERE id = $1 AND is_current = 0";
        let delete = "DELETE FROM data_keys WHERE id = $1 AND is_current = 0";
        let rows = on!(self, begin, |tx| {
            sqlx::query(note)
                .bind(i64::from(id))
                .bind(now.micros())
                .execute(&mut *tx)
                .await
                .map_err(StoreError::or_conflict)?;
            let done = sqlx::query(delete).bind(i64::from(id)).execute(&mut *tx).await;
            let done = done.map_err(StoreError::or_key_in_use)?;
            tx.commit().await.map_err(StoreError::or_key_in_use)?;
            done.rows_affected()
        });
        Ok(rows == 1)
    }

    /// Puts other wrapped bytes in the place of each key's, all or none: they are wrapped by another master key. Returns whether
    /// the ring was still the one given.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn rewrap_keys(&self, ring: &[(StoredKey, Vec<u8>)]) -> Result<bool, StoreError> {
        let sql = "UPDATE data_keys SET wrapped = $4 WHERE id = $1 AND wrapped = $2 AND is_current = $3";
        let count = "SELECT COUNT(*) FROM data_keys";
        on!(self, begin, |tx| {
            for (old, new) in ring {
                // With the current key's row, a rotation that came between is noticed: it would have changed that row.
                let done = sqlx::query(sql)
                    .bind(i64::from(old.id))
                    .bind(&old.wrapped)
                    .bind(i64::from(old.is_current))
                    .bind(new)
                    .execute(&mut *tx)
                    .await?;
                if done.rows_affected() != 1 {
                    tx.rollback().await?;
                    return Ok(false);
                }
            }
            let (all,): (i64,) = sqlx::query_as(count).fetch_one(&mut *tx).await?;
            if usize::try_from(all).ok() != Some(ring.len()) {
                tx.rollback().await?;
                return Ok(false);
            }
            tx.commit().await?;
        });
        Ok(true)
    }

    /// A process says that it seals with a key, before it does; and, said again, that it lives. Returns whether there is such a
    /// key.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_key_hold(
        &self,
        holder: &str,
        spool: &str,
        key: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO key_holds (holder, key_id, spool, seen_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (holder, key_id) DO UPDATE SET seen_at = excluded.seen_at";
        let done = on!(self, write, |pool| sqlx::query(sql)
            .bind(holder)
            .bind(i64::from(key))
            .bind(spool)
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|_| ())
            .map_err(StoreError::or_key_in_use));
        match done {
            Ok(()) => Ok(true),
            Err(StoreError::KeyInUse) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A process no longer needs a key.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_key_hold(&self, holder: &str, key: u32) -> Result<(), StoreError> {
        let sql = "DELETE FROM key_holds WHERE holder = $1 AND key_id = $2";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(holder)
            .bind(i64::from(key))
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Every hold, the longest silent first.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_key_holds(&self) -> Result<Vec<KeyHold>, StoreError> {
        let sql = "SELECT holder, spool, key_id, seen_at FROM key_holds ORDER BY seen_at, holder, key_id";
        let rows: Vec<(String, String, i64, i64)> =
            on!(self, read, |pool| sqlx::query_as(sql).fetch_all(pool).await)?;
        rows.into_iter()
            .map(|(holder, spool, key, seen_at)| {
                let key_id = key_id("key_holds", key)?;
                Ok(KeyHold { holder, spool, key_id, seen_at: Timestamp::from_micros(seen_at) })
            })
            .collect()
    }

    /// A secret of the installation.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn find_installation_secret(&self, name: &str) -> Result<Option<Sealed>, StoreError> {
        let sql = "SELECT sealed FROM installation_secrets WHERE name = $1";
        let row: Option<(Vec<u8>,)> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(name).fetch_optional(pool).await)?;
        Ok(row.map(|(sealed,)| Sealed::new(sealed)))
    }

    /// Keeps a secret of the installation, if there is none of that name yet.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_installation_secret(&self, name: &str, sealed: &Sealed) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO installation_secrets (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(name)
            .bind(sealed.as_bytes())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }
}

fn key_id(table: &str, id: i64) -> Result<u32, StoreError> {
    u32::try_from(id).map_err(|_| StoreError::corrupt(table, id, "the id is out of range"))
}
