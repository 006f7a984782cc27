//! How an installation gets its first operator, and keeps its last one.

use tokenry_model::{Timestamp, UserId};

use crate::database::{Store, on};
use crate::error::StoreError;
use crate::users::NewUser;

/// Whoever decides who operates touches this row first: of two who do, the second sees what the first did.
const ROLES: &str = "roles";
const TOUCH: &str = "INSERT INTO installation (name, value, written_at) VALUES ($1, 'decided', $2) \
                     ON CONFLICT (name) DO UPDATE SET written_at = excluded.written_at";

/// Who becomes the operator.
#[derive(Debug, Clone, Copy)]
pub enum FirstOperator<'a> {
    /// Somebody who is a user.
    User(UserId),
    /// Somebody who becomes one with it.
    New(&'a NewUser<'a>),
}

impl Store {
    /// Keeps a link that makes the first operator until `expires_at`, and forgets those that have ended.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_setup_link(
        &self,
        link_hash: &[u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let forget = "DELETE FROM setup_links WHERE expires_at <= $1";
        let insert = "INSERT INTO setup_links (link_hash, created_at, expires_at) VALUES ($1, $2, $3)";
        on!(self, begin, |tx| {
            sqlx::query(forget).bind(now.micros()).execute(&mut *tx).await?;
            sqlx::query(insert)
                .bind(&link_hash[..])
                .bind(now.micros())
                .bind(expires_at.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        });
        Ok(())
    }

    /// Whether a link would make an operator now: it has not ended, and there is no operator.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn is_setup_link_good(&self, link_hash: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT created_at FROM setup_links WHERE link_hash = $1 AND expires_at > $2 \
                   AND NOT EXISTS (SELECT id FROM users WHERE is_operator = 1)";
        let row: Option<(i64,)> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(&link_hash[..])
            .bind(now.micros())
            .fetch_optional(pool)
            .await)?;
        Ok(row.is_some())
    }

    /// Spends a link: whoever it is becomes the operator. Of all who try, with whatever links, one does, and all links are gone.
    /// Nothing if the link is not good.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the new user's name is taken: the link is as it was; [`StoreError`] when the database is
    /// away.
    pub async fn claim_setup_link(
        &self,
        link_hash: &[u8; 32],
        who: FirstOperator<'_>,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError> {
        let spend = "DELETE FROM setup_links WHERE link_hash = $1 AND expires_at > $2 \
                     AND NOT EXISTS (SELECT id FROM users WHERE is_operator = 1)";
        let insert = "INSERT INTO users (username, username_folded, email, password_hash, is_operator, created_at, \
                      updated_at) VALUES ($1, $2, $3, $4, 1, $5, $5) ON CONFLICT (username_folded) DO NOTHING RETURNING id";
        let promote = "UPDATE users SET is_operator = 1, updated_at = $2 WHERE id = $1 RETURNING id";
        let forget = "DELETE FROM setup_links";
        on!(self, begin, |tx| {
            sqlx::query(TOUCH).bind(ROLES).bind(now.micros()).execute(&mut *tx).await?;
            let spent = sqlx::query(spend).bind(&link_hash[..]).bind(now.micros()).execute(&mut *tx).await?;
            if spent.rows_affected() != 1 {
                tx.rollback().await?;
                return Ok(None);
            }
            let row: Option<(i64,)> = match who {
                FirstOperator::User(id) => {
                    sqlx::query_as(promote).bind(id.get()).bind(now.micros()).fetch_optional(&mut *tx).await?
                }
                FirstOperator::New(new) => {
                    sqlx::query_as(insert)
                        .bind(new.username.as_str())
                        .bind(new.username.folded())
                        .bind(new.email.as_str())
                        .bind(new.password_hash)
                        .bind(now.micros())
                        .fetch_optional(&mut *tx)
                        .await?
                }
            };
            let Some((id,)) = row else {
                tx.rollback().await?;
                return Err(StoreError::Conflict);
            };
            sqlx::query(forget).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(Some(UserId::new(id)))
        })
    }

    /// Takes the operator's role from a user, unless they are the last who has it. Returns whether it was taken.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn demote_unless_last(&self, id: UserId, now: Timestamp) -> Result<bool, StoreError> {
        let demote = "UPDATE users SET is_operator = 0, updated_at = $2 WHERE id = $1 AND is_operator = 1 \
                      AND EXISTS (SELECT o.id FROM users o WHERE o.is_operator = 1 AND o.id <> $1)";
        let rows = on!(self, begin, |tx| {
            sqlx::query(TOUCH).bind(ROLES).bind(now.micros()).execute(&mut *tx).await?;
            let done = sqlx::query(demote).bind(id.get()).bind(now.micros()).execute(&mut *tx).await?;
            tx.commit().await?;
            done.rows_affected()
        });
        Ok(rows == 1)
    }
}
