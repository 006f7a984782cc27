//! What can go wrong between Tokenry and its database.

use tokenry_model::UnknownState;

/// A failure of the database, or of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or answered with an error. The cause is for the log, not for a client.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
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
    /// The database's file cannot be opened.
    #[error("the database file {} cannot be opened: {why}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the file system says.
        why: std::io::Error,
    },
    /// What is in this database lives on in another one.
    #[error(
        "this database was moved {to}; start the server on that one. If the move did not come to its end, run \
         `tokenry migrate-store` again"
    )]
    Moved {
        /// Where to, and when.
        to: String,
    },
    /// A copy of a database is not what it was copied from, or must not be made.
    #[error("{0}")]
    Copy(String),
    /// A row that must be unique is there already.
    #[error("the row is there already")]
    Conflict,
    /// A data key that is to be deleted is still needed; or one that a value was sealed with is gone.
    #[error("a data key is still needed, or gone already")]
    KeyInUse,
    /// The user has as many as they may.
    #[error("the user has as many as they may")]
    Full,
    /// A connect link is not the caller's to spend, or not any more.
    #[error("the connect link cannot be spent")]
    Spent,
}

/// A value that does not fit its column's type is a broken row, not a database that is away.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { index, source } => {
                Self::Corrupt { row: format!("with the column {index}"), why: source.to_string() }
            }
            other => Self::Unavailable(other),
        }
    }
}

impl StoreError {
    /// Turns a unique-constraint violation into [`StoreError::Conflict`].
    pub(crate) fn or_conflict(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(db) if db.is_unique_violation() => Self::Conflict,
            _ => error.into(),
        }
    }

    /// Turns the violation of a reference to a data key into [`StoreError::KeyInUse`].
    pub(crate) fn or_key_in_use(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(db) if db.is_foreign_key_violation() => Self::KeyInUse,
            _ => error.into(),
        }
    }

    /// What failed for several at once, told to one of them.
    pub(crate) fn shared(why: &str) -> Self {
        Self::Unavailable(sqlx::Error::Io(std::io::Error::other(why)))
    }

    /// Whether the database gave this up because somebody else held the rows it wanted, in another order: it wrote nothing,
    /// and the next try will do.
    pub(crate) fn is_collision(&self) -> bool {
        let Self::Unavailable(sqlx::Error::Database(error)) = self else { return false };
        // Deadlock; and, of databases that are always serializable, a transaction to be run again.
        matches!(error.code().as_deref(), Some("40P01" | "40001"))
    }

    /// A row of `table` that fits no state.
    pub(crate) fn unknown_state(table: &str, id: impl std::fmt::Display, state: &UnknownState) -> Self {
        Self::corrupt(table, id, state)
    }

    /// The id that a row of `table` holds: a database gives out nothing below 1.
    pub(crate) fn check_id(table: &str, row: impl std::fmt::Display, id: i64) -> Result<i64, Self> {
        if id > 0 { Ok(id) } else { Err(Self::corrupt(table, row, format!("{id} is not an id"))) }
    }

    /// A row of `table` that cannot be read.
    pub(crate) fn corrupt(table: &str, id: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { row: format!("{table} {id}"), why: why.to_string() }
    }
}
