//! What an operator looks at: how things stand, over all processes. Each statement walks an index that is small, or stops at a
//! limit, so that it takes no longer with a million connections than a person waits for a page.

use tokenry_model::{Timestamp, User, UserId};

use crate::audit::{AuditRow, Row as EventRow, columns};
use crate::database::{Store, on};
use crate::error::StoreError;
use crate::users::UserRow;

/// How many connections of a provider are in a state that is not in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Troubled {
    /// The provider's id.
    pub provider: String,
    /// The word that the state is stored under.
    pub state: String,
    /// How many.
    pub count: i64,
}

/// A user, and how many connections they have.
#[derive(Debug, Clone)]
pub struct ListedUser {
    /// The user.
    pub user: User,
    /// How many connections they have.
    pub connections: i64,
}

/// Which rows of the audit log an operator wants. What is `None` or empty does not matter.
#[derive(Debug, Clone, Default)]
pub struct EventsWanted {
    /// Of this user: what they did, and what was done with what is theirs.
    pub user: Option<UserId>,
    /// About this connection.
    pub connection: Option<i64>,
    /// What was done: the word, or its beginning.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// At which provider.
    pub provider: String,
    /// Only what happened at this time or later.
    pub since: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    user: UserRow,
    connections: i64,
}

impl Store {
    /// How many connections there are. Walks an index of ids.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn count_all_connections(&self) -> Result<i64, StoreError> {
        let sql = "SELECT COUNT(*) FROM connections WHERE deleted_at IS NULL";
        let (count,): (i64,) = on!(self, read, |pool| sqlx::query_as(sql).fetch_one(pool).await)?;
        Ok(count)
    }

    /// The connections that are not in order, by provider and state. Walks an index that holds no others.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn list_troubled(&self) -> Result<Vec<Troubled>, StoreError> {
        let sql = "SELECT provider, state, COUNT(*) FROM connections WHERE deleted_at IS NULL AND state <> 'ok' \
                   GROUP BY provider, state ORDER BY provider, state";
        let rows: Vec<(String, String, i64)> =
            on!(self, read, |pool| sqlx::query_as(sql).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|(provider, state, count)| Troubled { provider, state, count }).collect())
    }

    /// Users with an id above `after` whose name begins with `prefix` (in small letters), oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_people(
        &self,
        prefix: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<ListedUser>, StoreError> {
        let sql = "SELECT u.id, u.username, u.email, u.session_epoch, u.is_operator, u.created_at, \
                   (SELECT COUNT(*) FROM connections c WHERE c.user_id = u.id AND c.deleted_at IS NULL) AS connections \
                   FROM users u WHERE u.id > $2 AND ($1 = '' OR substr(u.username_folded, 1, length($1)) = $1) \
                   ORDER BY u.id LIMIT $3";
        let rows: Vec<ListedRow> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(prefix)
            .bind(after)
            .bind(limit)
            .fetch_all(pool)
            .await)?;
        rows.into_iter()
            .map(|row| Ok(ListedUser { user: row.user.try_into()?, connections: row.connections }))
            .collect()
    }

    /// The rows of the audit log with a place between `after` and `before`, both left out, that are wanted, the newest first, at
    /// most `limit`. However few are wanted, no more than those between the two places are looked at.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_events(
        &self,
        wanted: &EventsWanted,
        after: i64,
        before: i64,
        limit: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM audit_log a WHERE a.seq > $1 AND a.seq < $2 AND a.last_at >= $3 \
             AND ($4 = 0 OR a.owner_id = $4 OR a.actor_id = $4) AND ($5 = 0 OR a.connection_id = $5) \
             AND ($6 = '' OR substr(a.action, 1, length($6)) = $6) AND ($7 = '' OR a.outcome = $7) \
             AND ($8 = '' OR a.provider = $8) ORDER BY a.seq DESC LIMIT $9"
        );
        let rows: Vec<EventRow> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(after)
            .bind(before)
            .bind(wanted.since.map_or(i64::MIN, Timestamp::micros))
            .bind(wanted.user.map_or(0, UserId::get))
            .bind(wanted.connection.unwrap_or(0))
            .bind(wanted.action.as_str())
            .bind(wanted.outcome.as_str())
            .bind(wanted.provider.as_str())
            .bind(limit)
            .fetch_all(pool)
            .await)?;
        Ok(rows.into_iter().map(AuditRow::from).collect())
    }
}
