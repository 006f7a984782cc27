//! The databases Tokenry runs on, and the one way to run a statement on whichever it is.

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;

use crate::commits::Writer;
use crate::error::StoreError;
use crate::reads::Reads;
use crate::{postgres, sqlite};

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) db: Database,
    pub(crate) reads: Reads,
}

/// Which database it is.
#[derive(Clone)]
pub(crate) enum Database {
    /// One file. SQLite allows one writer at a time, so there is one, and nobody waits on a lock inside the process.
    Sqlite { reader: SqlitePool, writer: Writer },
    /// A server, which any number of replicas share.
    Postgres { pool: PgPool },
}

/// How a database server is used. An embedded database has no need of it.
#[derive(Debug, Clone)]
pub struct Pool {
    /// How many connections to it are open at most.
    pub connections: usize,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a caller waits for a free connection, or for the server to come back.
    pub acquire_timeout: Duration,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            connections: 16,
            statement_timeout: Duration::from_secs(10),
            acquire_timeout: Duration::from_secs(3),
        }
    }
}

/// Runs the same code on whichever database this is. `read` and `write` give what runs a statement, `begin` a transaction.
///
/// On SQLite a write holds the write lock from its beginning (a lock taken later could fail half-way), and shares its
/// [commit](crate::commits) with others. On PostgreSQL a transaction is READ COMMITTED: what it read may have changed by the
/// time it writes, so a write says itself what it needs (compare-and-set), and the first statement on a row is the one that
/// changes it.
macro_rules! on {
    ($store:expr, read, |$pool:ident| $body:expr) => {
        match &$store.db {
            $crate::database::Database::Sqlite { reader: $pool, .. } => $body,
            $crate::database::Database::Postgres { pool: $pool } => $body,
        }
    };
    ($store:expr, write, |$pool:ident| $body:expr) => {
        match &$store.db {
            $crate::database::Database::Sqlite { writer, .. } => {
                let mut turn = writer.turn().await?;
                let $pool = turn.connection()?;
                let result = $body;
                turn.leave().await?;
                result
            }
            $crate::database::Database::Postgres { pool: $pool } => $body,
        }
    };
    ($store:expr, begin, |$tx:ident| $body:expr) => {
        match &$store.db {
            $crate::database::Database::Sqlite { writer, .. } => {
                let mut turn = writer.turn().await?;
                let mut $tx = turn.begin().await?;
                let result = $body;
                turn.leave().await?;
                result
            }
            $crate::database::Database::Postgres { pool } => {
                let mut $tx = pool.begin().await?;
                $body
            }
        }
    };
}
pub(crate) use on;

/// Runs what writes many rows, some times more when it met somebody else on them.
macro_rules! retried {
    ($run:expr) => {{
        let mut left = 4;
        loop {
            let done: Result<_, $crate::error::StoreError> = async { $run }.await;
            match done {
                Err(error) if left > 0 && error.is_collision() => left -= 1,
                done => break done,
            }
        }
    }};
}
pub(crate) use retried;

/// What an address says that the database is.
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// # Errors
    /// [`StoreError::Url`] when it is neither.
    pub(crate) fn of(url: &str) -> Result<Self, StoreError> {
        match url.split_once("://") {
            Some(("sqlite", _)) => Ok(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres),
            _ => Err(refuse_url(
                url,
                "write sqlite:// and the path of a file, or postgres://user@host/database",
            )),
        }
    }
}

/// An address may hold a password: only what is before `://` is ever shown.
pub(crate) fn refuse_url(url: &str, why: &str) -> StoreError {
    let shown = match url.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…"),
        None => "…".to_owned(),
    };
    StoreError::Url { url: shown, why: why.to_owned() }
}

impl Store {
    /// Opens the database at `url` as [`Store::open_with`] does, with the usual pool.
    ///
    /// # Errors
    /// As [`Store::open_with`].
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(url, &Pool::default()).await
    }

    /// Opens the database at `url` (`sqlite://<path>`, which is made if it is not there, or `postgres://…`), and brings its
    /// schema to this version. Of several processes that do so at once one does it, and the others wait.
    ///
    /// # Errors
    /// [`StoreError::Url`] for an address that is not understood, [`StoreError::Unavailable`] when it cannot be opened,
    /// [`StoreError::Migration`] when its schema is newer than this version, [`StoreError::Moved`] when what was in it lives
    /// on in another database.
    pub async fn open_with(url: &str, pool: &Pool) -> Result<Self, StoreError> {
        let store = Self::open_whatever_it_is(url, pool).await?;
        match store.find_fact(crate::installation::MOVED).await? {
            None => Ok(store),
            Some(to) => {
                store.close().await;
                Err(StoreError::Moved { to })
            }
        }
    }

    /// As [`Store::open_with`], also one that was moved.
    pub(crate) async fn open_whatever_it_is(url: &str, pool: &Pool) -> Result<Self, StoreError> {
        Ok(Self {
            db: match Kind::of(url)? {
                Kind::Sqlite => sqlite::open(url).await?,
                Kind::Postgres => postgres::open(url, pool).await?,
            },
            reads: Reads::default(),
        })
    }

    /// Whether the database can be read, and written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on!(self, read, |pool| sqlx::query("SELECT 1").execute(pool).await.map(drop))?;
        // On SQLite the write lock is taken and given back. A server that only reads (a standby, a full disk) says so
        // when a row is to be changed.
        on!(self, begin, |tx| {
            sqlx::query("UPDATE data_keys SET is_current = is_current WHERE id = 0")
                .execute(&mut *tx)
                .await?;
            tx.rollback().await?;
        });
        Ok(())
    }

    /// Has what was overwritten leave the log beside the database, where there is one. A reader may be in the way: then it leaves
    /// with the next checkpoint.
    pub async fn settle(&self) {
        if let Database::Sqlite { writer, .. } = &self.db {
            sqlite::empty_log(writer.pool()).await;
        }
    }

    /// Waits for what is under way and closes the database.
    pub async fn close(&self) {
        match &self.db {
            Database::Sqlite { reader, writer } => {
                reader.close().await;
                writer.pool().close().await;
            }
            Database::Postgres { pool } => pool.close().await,
        }
    }
}

/// A look into a database that is not opened, and is left as it is to the byte. Nothing if there is none, or it has no such
/// table.
pub(crate) async fn peek(url: &str, table: &str) -> Result<Option<Store>, StoreError> {
    let db = match Kind::of(url)? {
        Kind::Sqlite => sqlite::look(url, table).await?,
        Kind::Postgres => postgres::look(url, table).await?,
    };
    Ok(db.map(|db| Store { db, reads: Reads::default() }))
}
