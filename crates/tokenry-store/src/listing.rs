//! Lists of a user's connections, narrowed down.

use sqlx::{FromRow as _, Row as _};
use tokenry_model::{CredentialKind, ProviderId, UserId};

use crate::connections::{ConnectionRow, OwnedList, columns};
use crate::database::{Store, on};
use crate::error::StoreError;

/// Which of a user's connections are wanted. What is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of this provider.
    pub provider: Option<ProviderId>,
    /// With a credential of this kind.
    pub kind: Option<CredentialKind>,
    /// In a state that is stored under this word.
    pub state: Option<&'static str>,
    /// Of this account: its id or its label.
    pub account: Option<String>,
}

impl Store {
    /// A user's connections with an id above `after`, oldest first, at most `limit`, as far as they are wanted; and the
    /// user's session epoch, in the same query. Nothing if there is no such user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_wanted(
        &self,
        user: UserId,
        wanted: &Wanted,
        after: i64,
        limit: i64,
    ) -> Result<Option<OwnedList>, StoreError> {
        let sql = concat!(
            "SELECT u.session_epoch, ",
            columns!(),
            // The limit is inside, next to the index: outside, PostgreSQL sorts all that the user has.
            " FROM users u LEFT JOIN (SELECT ",
            columns!(),
            " FROM connections c WHERE c.user_id = $1 AND c.deleted_at IS NULL AND c.delete_at IS NULL AND c.id > $2 \
             AND ($4 = '' OR c.provider = $4) AND ($5 = '' OR c.kind = $5) AND ($6 = '' OR c.state = $6) \
             AND ($7 = '' OR c.account_id = $7 OR c.account_label = $7) ORDER BY c.id LIMIT $3) c \
             ON c.user_id = u.id WHERE u.id = $1 ORDER BY c.id"
        );
        on!(self, read, |pool| {
            let rows = sqlx::query(sql)
                .bind(user.get())
                .bind(after)
                .bind(limit)
                .bind(wanted.provider.as_ref().map_or("", ProviderId::as_str))
                .bind(wanted.kind.map_or("", CredentialKind::as_str))
                .bind(wanted.state.unwrap_or_default())
                .bind(wanted.account.as_deref().unwrap_or_default())
                .fetch_all(pool)
                .await?;
            let Some(first) = rows.first() else { return Ok(None) };
            let session_epoch = first.try_get("session_epoch")?;
            let mut connections = Vec::with_capacity(rows.len());
            for row in &rows {
                let there: Option<i64> = row.try_get("id")?;
                if there.is_some() {
                    connections.push(ConnectionRow::from_row(row)?.try_into()?);
                }
            }
            Ok(Some(OwnedList { session_epoch, connections }))
        })
    }
}
