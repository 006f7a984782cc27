//! SQLite: one file, one writer, several readers.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::commits::Writer;
use crate::database::{Database, refuse_url};
use crate::error::StoreError;

/// How long a statement waits for another process that holds SQLite's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a process that could not open the file pauses before it tries again.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// How long a caller waits for a free database connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers never block one another; more of them than this only cost memory on the machines SQLite is for.
const READERS: u32 = 4;

/// Opens the file, makes it if it is not there, and brings its schema to this version.
pub(crate) async fn open(url: &str) -> Result<Database, StoreError> {
    let path = path_of(url)?;
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
    let writer = connect(1, &options).await?;
    // Under the write lock from the first look on: of several processes that start at once, the others wait.
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::migrate!("./migrations/sqlite").run_direct(None, &mut *tx, false).await?;
    tx.commit().await?;
    let reader = connect(READERS, &options.pragma("query_only", "ON")).await?;
    Ok(Database::Sqlite { reader, writer: Writer::new(writer) })
}

/// A pool whose first connection stands.
///
/// While one process turns a new file to a write-ahead log, SQLite refuses another's attempt at once: waiting for
/// each other could last for ever, so it does not look at the busy timeout. Here we wait in its stead.
async fn connect(connections: u32, options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match pool().max_connections(connections).connect_with(options.clone()).await {
            Err(why) if is_busy(&why) && Instant::now() < until => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Whether another connection holds what this one needs: `SQLITE_BUSY` or one of its extended codes.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|why| why.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        // When the disk is full SQLite rolls back by itself, and sqlx's own rollback then fails: the connection
        // would count itself inside a transaction for ever. Such a one is replaced.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

/// Writes the log into the file and empties it.
pub(crate) async fn empty_log(writer: &SqlitePool) {
    if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer).await {
        tracing::debug!(%error, "the log was not emptied");
    }
}

/// The file as it is, if it has this table. Nothing is written.
pub(crate) async fn look(url: &str, table: &str) -> Result<Option<Database>, StoreError> {
    let path = path_of(url)?;
    if !std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
        return Ok(None);
    }
    // Without a log beside it the file is all there is. Said so, SQLite makes no files of its own to read it.
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let settled = !std::fs::metadata(&log).is_ok_and(|file| file.len() > 0);
    let options = SqliteConnectOptions::new().filename(&path).read_only(true).immutable(settled);
    let reader = pool().max_connections(1).connect_with(options).await?;
    let find = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1";
    let found = sqlx::query(find).bind(table).fetch_optional(&reader).await?;
    Ok(found.map(|_| Database::Sqlite { writer: Writer::new(reader.clone()), reader }))
}

/// The file that a `sqlite://` URL names.
pub(crate) fn path_of(url: &str) -> Result<PathBuf, StoreError> {
    let path = url.strip_prefix("sqlite://").unwrap_or_default();
    if path.is_empty() || path.contains(['?', '#']) || path.starts_with(":memory:") {
        return Err(refuse_url(url, "write sqlite:// and the path of a file, without options"));
    }
    PathBuf::from_str(path).map_err(|_| refuse_url(url, "the path is not readable"))
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
    use crate::Store;

    /// The pragmas belong to a connection, so only the store's own pools show them.
    #[tokio::test]
    async fn each_connection_writes_in_full_and_overwrites_what_it_deletes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/tokenry.db", dir.path().display())).await.unwrap();
        let Database::Sqlite { reader, writer } = &store.db else { panic!("it is another database") };
        for (pool, query_only) in [(writer.pool(), 0), (reader, 1)] {
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

    /// The change to a write-ahead log is refused at once, whatever the busy timeout, while another makes it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn those_who_open_a_new_file_at_once_all_get_in() {
        for round in 0..30 {
            let dir = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}/tokenry.db", dir.path().display());
            let opening: Vec<_> = (0..6)
                .map(|_| {
                    let url = url.clone();
                    tokio::spawn(async move { Store::open(&url).await.map(drop) })
                })
                .collect();
            for each in opening {
                each.await.unwrap().unwrap_or_else(|why| panic!("round {round}: {why}"));
            }
        }
    }

    /// On a full disk SQLite rolls back by itself, and the connection that thinks itself in a transaction is of no more use.
    #[tokio::test]
    async fn a_full_disk_costs_the_write_that_met_it_and_none_after() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/tokenry.db", dir.path().display())).await.unwrap();
        let Database::Sqlite { writer, .. } = &store.db else { panic!("it is another database") };
        let (pages,): (i64,) = sqlx::query_as("PRAGMA page_count").fetch_one(writer.pool()).await.unwrap();
        let full = format!("PRAGMA max_page_count = {}", pages + 2);
        sqlx::query(sqlx::AssertSqlSafe(full)).execute(writer.pool()).await.unwrap();
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
