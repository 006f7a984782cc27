//! Lists of a user's connections, narrowed down.

use sqlx::{FromRow as _, Row as _};
use tokenry_model::{
    ConnectionId, ConnectionName, ConnectionState, CredentialKind, ProviderId, Sealed, Timestamp, UserId,
};

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

/// What a list of tokens shows of a connection. To read all of a row costs several times as much.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: ConnectionId,
    /// What the owner calls it.
    pub name: ConnectionName,
    /// The word the service was asked for by.
    pub token_type: String,
    /// The access token; empty when it was revoked.
    pub access_token: Sealed,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

/// What one query says about a caller and the tokens of all of their connections.
#[derive(Debug, Clone)]
pub struct ListedTokens {
    /// The owner's session epoch.
    pub session_epoch: i64,
    /// The connections, oldest first.
    pub connections: Vec<Listed>,
}

/// In the order of the columns; but for the first, all are NULL for a user without connections.
type Row = (
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
);

fn listed(row: Row) -> Result<Option<Listed>, StoreError> {
    let (
        _,
        Some(id),
        Some(name),
        Some(token_type),
        Some(state),
        reason,
        Some(access),
        Some(created),
        Some(updated),
    ) = row
    else {
        return Ok(None);
    };
    ConnectionState::parse(&state, reason).map_err(|e| StoreError::unknown_state("connections", id, &e))?;
    Ok(Some(Listed {
        id: ConnectionId::new(StoreError::check_id("connections", id, id)?),
        name: ConnectionName::parse(&name).map_err(|e| StoreError::corrupt("connections", id, e))?,
        token_type,
        access_token: Sealed::new(access),
        created_at: Timestamp::from_micros(created),
        updated_at: Timestamp::from_micros(updated),
    }))
}

impl Store {
    /// The tokens of a user's connections with an id above `after`, oldest first, at most `limit`; and the user's session
    /// epoch, in the same query. Nothing if there is no such user.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_tokens(
        &self,
        user: UserId,
        after: i64,
        limit: i64,
    ) -> Result<Option<ListedTokens>, StoreError> {
        // The limit is inside, next to the index: outside, PostgreSQL sorts all that the user has.
        let sql = "SELECT u.session_epoch, c.id, c.name, c.token_type, c.state, c.state_reason, c.sealed_access, \
                   c.created_at, c.updated_at FROM users u LEFT JOIN \
                   (SELECT id, user_id, name, token_type, state, state_reason, sealed_access, created_at, updated_at \
                   FROM connections WHERE user_id = $1 AND deleted_at IS NULL AND delete_at IS NULL AND id > $2 \
                   ORDER BY id LIMIT $3) c \
                   ON c.user_id = u.id WHERE u.id = $1 ORDER BY c.id";
        let rows: Vec<Row> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(user.get())
            .bind(after)
            .bind(limit)
            .fetch_all(pool)
            .await)?;
        let Some((session_epoch, ..)) = rows.first() else { return Ok(None) };
        let session_epoch = *session_epoch;
        let connections = rows.into_iter().filter_map(|row| listed(row).transpose());
        Ok(Some(ListedTokens { session_epoch, connections: connections.collect::<Result<_, _>>()? }))
    }

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
