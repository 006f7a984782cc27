//! What can go wrong between Tokenry and its database.

use tokenry_model::UnknownState;

/// A failure of the database, or of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or answered with an error. The cause is for the log, not for a client.
    #[error("the database is not available: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// The database has a schema that this version does not know, or the migration failed.
    #[error("the database could not be brought to this version's schema: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what no version of Tokenry writes.
    #[error("the row {row} cannot be read: {why}")]
    Corrupt {
        /// Which row, by table and id.
        row: String,
        /// What is wrong with it.
        why: String,
    },
    /// The address of the database is not understood.
    #[error("the database URL {url:?} is not understood: {why}")]
    Url {
        /// The address, without credentials.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A row that must be unique is there already.
    #[error("the row is there already")]
    Conflict,
}

impl StoreError {
    /// Turns a unique-constraint violation into [`StoreError::Conflict`].
    pub(crate) fn or_conflict(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(db) if db.is_unique_violation() => Self::Conflict,
            _ => Self::Unavailable(error),
        }
    }

    /// A row of `table` that fits no state.
    pub(crate) fn unknown_state(table: &str, id: impl std::fmt::Display, state: &UnknownState) -> Self {
        Self::corrupt(table, id, state)
    }

    /// A row of `table` that cannot be read.
    pub(crate) fn corrupt(table: &str, id: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { row: format!("{table} {id}"), why: why.to_string() }
    }
}
