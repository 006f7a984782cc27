//! The key ring and the signing keys, as the vault wrapped and sealed them.

use tokenry_model::{Sealed, Timestamp};

use crate::database::{Store, on, peek};
use crate::error::StoreError;

/// A data key, wrapped by the master key.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Its id in the ring.
    pub id: u32,
    /// The wrapped bytes.
    pub wrapped: Vec<u8>,
    /// Whether new values are sealed with it.
    pub is_current: bool,
}

/// A sealed key that signs access tokens.
#[derive(Debug, Clone)]
pub struct StoredSigningKey {
    /// Its id, sent as `kid`.
    pub id: i64,
    /// The sealed bytes.
    pub sealed: Sealed,
}

const LIST_KEYS: &str = "SELECT id, wrapped, is_current FROM data_keys ORDER BY id";

impl Store {
    /// The key ring of a database that is not opened yet, or nothing if there is no database or no ring.
    ///
    /// Reads only: a start with the wrong master key must leave the file as it was.
    ///
    /// # Errors
    /// [`StoreError`] when the file is there and cannot be read.
    pub async fn peek_keys(url: &str) -> Result<Vec<StoredKey>, StoreError> {
        let Some(store) = peek(url, "data_keys").await? else { return Ok(Vec::new()) };
        let ring = store.list_keys().await;
        store.close().await;
        ring
    }

    /// The key ring.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let rows: Vec<(i64, Vec<u8>, i64)> =
            on!(self, read, |pool| sqlx::query_as(LIST_KEYS).fetch_all(pool).await)?;
        rows.into_iter().map(stored_key).collect()
    }

    /// Adds a key if there is none with its id. Of several replicas that start at once, one wins; all read the ring afterwards.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_key(&self, key: &StoredKey, now: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO data_keys (id, wrapped, is_current, created_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (id) DO NOTHING";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(i64::from(key.id))
            .bind(&key.wrapped)
            .bind(i64::from(key.is_current))
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// The signing keys, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn list_signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError> {
        let sql = "SELECT id, sealed FROM signing_keys ORDER BY id";
        let rows: Vec<(i64, Vec<u8>)> = on!(self, read, |pool| sqlx::query_as(sql).fetch_all(pool).await)?;
        Ok(rows
            .into_iter()
            .map(|(id, sealed)| StoredSigningKey { id, sealed: Sealed::new(sealed) })
            .collect())
    }

    /// Adds a signing key if there is none with its id.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_signing_key(&self, key: &StoredSigningKey, now: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO signing_keys (id, sealed, created_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (id) DO NOTHING";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(key.id)
            .bind(key.sealed.as_bytes())
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }
}

fn stored_key((id, wrapped, is_current): (i64, Vec<u8>, i64)) -> Result<StoredKey, StoreError> {
    let number =
        u32::try_from(id).map_err(|_| StoreError::corrupt("data_keys", id, "the id is out of range"))?;
    let is_current = match is_current {
        0 => false,
        1 => true,
        _ => return Err(StoreError::corrupt("data_keys", id, "it is neither current nor not")),
    };
    Ok(StoredKey { id: number, wrapped, is_current })
}
