//! The databases Tokenry runs on, and the one way to run a statement on whichever it is.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::StoreError;

/// How long a statement waits for another process that holds SQLite's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller waits for a free database connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers never block one another; more of them than this only cost memory on the machines SQLite is for.
const READERS: u32 = 4;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) db: Database,
}

/// Which database it is.
#[derive(Clone)]
pub(crate) enum Database {
    /// One file. SQLite allows one writer at a time, so there is one, and nobody waits on a lock inside the process.
    Sqlite { reader: SqlitePool, writer: SqlitePool },
}

/// Runs the same code on whichever database this is. `read` and `write` give a pool, `begin` a transaction
/// that already holds the write lock (a lock taken later could fail half-way).
macro_rules! on {
    ($store:expr, read, |$pool:ident| $body:expr) => {
        match &$store.db {
            $crate::database::Database::Sqlite { reader: $pool, .. } => $body,
        }
    };
    ($store:expr, write, |$pool:ident| $body:expr) => {
        match &$store.db {
            $crate::database::Database::Sqlite { writer: $pool, .. } => $body,
        }
    };
    ($store:expr, begin, |$tx:ident| $body:expr) => {
        match &$store.db {
            $crate::database::Database::Sqlite { writer, .. } => {
                let mut $tx = writer.begin_with("BEGIN IMMEDIATE").await?;
                $body
            }
        }
    };
}
pub(crate) use on;

impl Store {
    /// Opens the database at `url` (`sqlite://<path>`), makes it if it is not there, and brings its schema to this version.
    ///
    /// # Errors
    /// [`StoreError::Url`] for an address that is not understood, [`StoreError::Unavailable`] when it cannot be opened,
    /// [`StoreError::Migration`] when its schema is newer than this version.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let path = sqlite_path(url)?;
        make_private_file(&path).map_err(|why| StoreError::File { path: path.clone(), why })?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // What is deleted is overwritten, not just unlinked.
            .pragma("secure_delete", "ON")
            .pragma("journal_size_limit", "67108864");
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                // When the disk is full SQLite rolls back by itself, and sqlx's own rollback then fails: the connection
                // would count itself inside a transaction for ever. Such a one is replaced.
                .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        };
        let writer = pool().max_connections(1).connect_with(options.clone()).await?;
        // Under the write lock from the first look on: of several processes that start at once, the others wait.
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::migrate!("./migrations/sqlite").run_direct(None, &mut *tx, false).await?;
        tx.commit().await?;
        let reader = pool().max_connections(READERS).connect_with(options.pragma("query_only", "ON")).await?;
        Ok(Self { db: Database::Sqlite { reader, writer } })
    }

    /// Whether the database can be read, and written: the write lock is taken and given back.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on!(self, read, |pool| sqlx::query("SELECT 1").execute(pool).await)?;
        on!(self, begin, |tx| {
            sqlx::query("SELECT 1").execute(&mut *tx).await?;
            tx.rollback().await?;
        });
        Ok(())
    }

    /// Has what was overwritten leave the log beside the database, where there is one. A reader may be in the way: then it leaves
    /// with the next checkpoint.
    pub async fn settle(&self) {
        let Database::Sqlite { writer, .. } = &self.db;
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer).await {
            tracing::debug!(%error, "the log was not emptied");
        }
    }

    /// Waits for what is under way and closes the database.
    pub async fn close(&self) {
        match &self.db {
            Database::Sqlite { reader, writer } => {
                reader.close().await;
                writer.close().await;
            }
        }
    }
}

/// A look into a database that is not opened, and is left as it is to the byte. Nothing if there is none, or it has no such
/// table.
pub(crate) async fn peek(url: &str, table: &str) -> Result<Option<SqliteConnection>, StoreError> {
    let path = sqlite_path(url)?;
    if !std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
        return Ok(None);
    }
    // Without a log beside it the file is all there is. Said so, SQLite makes no files of its own to read it.
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let settled = !std::fs::metadata(&log).is_ok_and(|file| file.len() > 0);
    let options = SqliteConnectOptions::new().filename(&path).read_only(true).immutable(settled);
    let mut connection = options.connect().await?;
    let find = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1";
    let found = sqlx::query(find).bind(table).fetch_optional(&mut connection).await?;
    Ok(found.map(|_| connection))
}

/// The file that a `sqlite://` URL names.
pub(crate) fn sqlite_path(url: &str) -> Result<PathBuf, StoreError> {
    let refuse = |why: &str| StoreError::Url { url: scheme_of(url), why: why.to_owned() };
    let Some(path) = url.strip_prefix("sqlite://") else {
        return Err(refuse("this version runs on SQLite only; write sqlite:// and the path of the file"));
    };
    if path.is_empty() || path.contains(['?', '#']) || path.starts_with(":memory:") {
        return Err(refuse("write sqlite:// and the path of a file, without options"));
    }
    PathBuf::from_str(path).map_err(|_| refuse("the path is not readable"))
}

/// An address may hold a password: only what is before `://` is ever shown.
fn scheme_of(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…"),
        None => "…".to_owned(),
    }
}

/// Makes an empty file that only its owner reads. SQLite gives the files beside it the same mode.
fn make_private_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pragmas belong to a connection, so only the store's own pools show them.
    #[tokio::test]
    async fn each_connection_writes_in_full_and_overwrites_what_it_deletes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/tokenry.db", dir.path().display())).await.unwrap();
        let Database::Sqlite { reader, writer } = &store.db;
        for (pool, query_only) in [(writer, 0), (reader, 1)] {
            let text = async |sql: &'static str| {
                let (value,): (String,) = sqlx::query_as(sql).fetch_one(pool).await.unwrap();
                value
            };
            let number = async |sql: &'static str| {
                let (value,): (i64,) = sqlx::query_as(sql).fetch_one(pool).await.unwrap();
                value
            };
            assert_eq!(text("PRAGMA journal_mode").await, "wal");
            assert_eq!(number("PRAGMA synchronous").await, 2, "2 is FULL");
            assert_eq!(number("PRAGMA foreign_keys").await, 1);
            assert_eq!(number("PRAGMA secure_delete").await, 1);
            assert_eq!(number("PRAGMA query_only").await, query_only);
        }
    }

    /// On a full disk SQLite rolls back by itself, and the connection that thinks itself in a transaction is of no more use.
    #[tokio::test]
    async fn a_full_disk_costs_the_write_that_met_it_and_none_after() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/tokenry.db", dir.path().display())).await.unwrap();
        let Database::Sqlite { writer, .. } = &store.db;
        let (pages,): (i64,) = sqlx::query_as("PRAGMA page_count").fetch_one(writer).await.unwrap();
        let full = format!("PRAGMA max_page_count = {}", pages + 2);
        sqlx::query(sqlx::AssertSqlSafe(full)).execute(writer).await.unwrap();
        let now = tokenry_model::Timestamp::from_micros(1);
        let buckets: Vec<[u8; 32]> =
            (0..5000_u16).map(|n| [n.to_be_bytes(); 16].concat().try_into().unwrap()).collect();
        let window = Duration::from_secs(1);
        assert!(store.insert_login_failures(&buckets, window, now).await.is_err(), "the disk was not full");

        // The connection that takes its place has no such limit: there is room again.
        store.insert_login_failures(&buckets[..1], window, now).await.unwrap();
        store.ping().await.unwrap();
        assert!(store.find_login_failures(&buckets[0]).await.unwrap().is_some());
        assert!(store.find_login_failures(&buckets[1]).await.unwrap().is_none());
    }
}
