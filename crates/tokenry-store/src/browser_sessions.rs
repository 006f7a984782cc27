//! Browsers that are signed in.

use tokenry_model::{Timestamp, User, UserId};

use crate::database::{Store, on};
use crate::error::StoreError;
use crate::users::UserRow;

/// A browser that is signed in, to insert.
#[derive(Debug, Clone, Copy)]
pub struct NewBrowserSession<'a> {
    /// The SHA-256 of its cookie.
    pub id_hash: &'a [u8; 32],
    /// Who signed in.
    pub user: UserId,
    /// The user's session epoch at that moment: the session ends when it moves.
    pub epoch: i64,
    /// What wrong passwords from this browser are counted by.
    pub device: &'a str,
}

/// A browser that is, or was, signed in.
#[derive(Debug, Clone)]
pub struct BrowserSession {
    /// Who signed in, as they are now.
    pub user: User,
    /// The user's session epoch when they signed in.
    pub epoch: i64,
    /// What wrong passwords from this browser are counted by.
    pub device: String,
    /// When they signed in.
    pub opened_at: Timestamp,
    /// When it was last seen, give or take what the caller thinks worth a write.
    pub seen_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    user: UserRow,
    epoch: i64,
    device: String,
    opened_at: i64,
    seen_at: i64,
}

impl Store {
    /// Keeps a session, and of its user's no more than the `most` newest.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_browser_session(
        &self,
        new: &NewBrowserSession<'_>,
        most: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO browser_sessions (id_hash, user_id, epoch, device, opened_at, seen_at) \
                      VALUES ($1, $2, $3, $4, $5, $5)";
        on!(self, write, |pool| sqlx::query(insert)
            .bind(&new.id_hash[..])
            .bind(new.user.get())
            .bind(new.epoch)
            .bind(new.device)
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        let forget = "DELETE FROM browser_sessions WHERE user_id = $1 AND id_hash <> $2 AND id_hash NOT IN \
                      (SELECT id_hash FROM browser_sessions WHERE user_id = $1 AND id_hash <> $2 \
                      ORDER BY opened_at DESC, id_hash LIMIT $3)";
        on!(self, write, |pool| sqlx::query(forget)
            .bind(new.user.get())
            .bind(&new.id_hash[..])
            .bind(most - 1)
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// The session of a cookie, whether it still holds or not.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_browser_session(
        &self,
        id_hash: &[u8; 32],
    ) -> Result<Option<BrowserSession>, StoreError> {
        let sql = "SELECT u.id, u.username, u.email, u.session_epoch, u.is_operator, u.created_at, \
                   s.epoch, s.device, s.opened_at, s.seen_at \
                   FROM browser_sessions s JOIN users u ON u.id = s.user_id WHERE s.id_hash = $1";
        let row: Option<Row> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(&id_hash[..]).fetch_optional(pool).await)?;
        row.map(|row| {
            Ok(BrowserSession {
                user: row.user.try_into()?,
                epoch: row.epoch,
                device: row.device,
                opened_at: Timestamp::from_micros(row.opened_at),
                seen_at: Timestamp::from_micros(row.seen_at),
            })
        })
        .transpose()
    }

    /// Writes down that a browser was seen.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_browser_session_seen(
        &self,
        id_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE browser_sessions SET seen_at = $2 WHERE id_hash = $1 AND seen_at < $2";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(&id_hash[..])
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Signs a browser out. Returns whether it was signed in.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_browser_session(&self, id_hash: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "DELETE FROM browser_sessions WHERE id_hash = $1";
        let gone = on!(self, write, |pool| sqlx::query(sql)
            .bind(&id_hash[..])
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(gone == 1)
    }

    /// Forgets browsers that were last seen before `seen_before`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_old_browser_sessions(&self, seen_before: Timestamp) -> Result<u64, StoreError> {
        let sql = "DELETE FROM browser_sessions WHERE seen_at < $1";
        let gone = on!(self, write, |pool| sqlx::query(sql)
            .bind(seen_before.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(gone)
    }
}
