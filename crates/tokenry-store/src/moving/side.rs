//! One end of a move: a single connection to either database, and what only that database is asked.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteLockingMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tokenry_model::Timestamp;

use super::layout::{Catalogue, Table, Type};
use super::rows::Value;
use crate::database::Kind;
use crate::error::StoreError;
use crate::installation::MOVED;
use crate::{postgres, sqlite};

/// How long a lock is waited for: a server holds it for as long as it runs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// To look at it.
    Look,
    /// To read all of it while nobody else has it open.
    Alone,
    /// To fill it in one transaction.
    Fill,
}

/// One end of a move.
pub(super) enum Side {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Runs the same code on either connection.
macro_rules! each {
    ($side:expr, |$connection:ident| $body:expr) => {
        match $side {
            Side::Sqlite($connection) => $body,
            Side::Postgres($connection) => $body,
        }
    };
}

/// Binds values to a query.
macro_rules! bind_all {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Integer(value) => query.bind(*value),
                Value::Text(value) => query.bind(value.as_deref()),
                Value::Bytes(value) => query.bind(value.as_deref()),
            };
        }
        query
    }};
}

impl Side {
    pub(super) async fn open(url: &str, wanted: Use) -> Result<Self, StoreError> {
        match Kind::of(url)? {
            Kind::Sqlite => open_sqlite(url, wanted).await.map(Self::Sqlite),
            Kind::Postgres => open_postgres(url, wanted).await.map(Self::Postgres),
        }
    }

    pub(super) async fn close(self) -> Result<(), StoreError> {
        each!(self, |connection| connection.close().await)?;
        Ok(())
    }

    /// Ends the transaction that it was opened with.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        each!(self, |connection| sqlx::query(sql).execute(connection).await.map(drop))?;
        Ok(())
    }

    /// Marks the database as moved, for good: from now on no server starts on it, and none that runs refreshes from it.
    pub(super) async fn mark_moved(&mut self, to: &str, now: Timestamp) -> Result<(), StoreError> {
        self.commit().await?;
        let sql = "INSERT INTO installation (name, value, written_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (name) DO UPDATE SET value = $2, written_at = $3";
        each!(self, |connection| sqlx::query(sql)
            .bind(MOVED)
            .bind(to)
            .bind(now.micros())
            .execute(connection)
            .await
            .map(drop))?;
        Ok(())
    }

    pub(super) async fn unmark(&mut self) -> Result<(), StoreError> {
        self.run("DELETE FROM installation WHERE name = 'moved'").await
    }

    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, StoreError> {
        let sql = format!("SELECT COUNT(*) FROM \"{}\"", table.name);
        let (count,): (i64,) =
            each!(self, |connection| sqlx::query_as(AssertSqlSafe(sql)).fetch_one(connection).await)?;
        Ok(count.unsigned_abs())
    }

    pub(super) async fn execute<'v>(
        &mut self,
        sql: &str,
        values: impl Iterator<Item = &'v Value>,
    ) -> Result<(), StoreError> {
        let sql = AssertSqlSafe(sql.to_owned());
        each!(self, |connection| {
            bind_all!(sqlx::query(sql), values).execute(connection).await.map(drop)
        })?;
        Ok(())
    }

    pub(super) async fn fetch(
        &mut self,
        sql: &str,
        values: &[Value],
        kinds: &[Type],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let sql = AssertSqlSafe(sql.to_owned());
        each!(self, |connection| {
            let rows = bind_all!(sqlx::query(sql), values).fetch_all(connection).await?;
            let mut found = Vec::with_capacity(rows.len());
            for row in &rows {
                let mut values = Vec::with_capacity(kinds.len());
                for (at, kind) in kinds.iter().enumerate() {
                    values.push(match kind {
                        Type::Integer => Value::Integer(row.try_get(at)?),
                        Type::Text => Value::Text(row.try_get(at)?),
                        Type::Bytes => Value::Bytes(row.try_get(at)?),
                    });
                }
                found.push(values);
            }
            Ok(found)
        })
    }

    pub(super) async fn version(&mut self) -> Result<String, StoreError> {
        let (version,): (String,) = match self {
            Self::Sqlite(connection) => {
                sqlx::query_as("SELECT 'SQLite ' || sqlite_version()").fetch_one(connection).await?
            }
            Self::Postgres(connection) => sqlx::query_as("SELECT version()").fetch_one(connection).await?,
        };
        Ok(version)
    }

    pub(super) async fn schema(&mut self) -> Result<i64, StoreError> {
        let sql = "SELECT CAST(MAX(version) AS BIGINT) FROM _sqlx_migrations";
        let (schema,): (i64,) = each!(self, |connection| sqlx::query_as(sql).fetch_one(connection).await)?;
        Ok(schema)
    }

    /// The last id that was given out, also if its row is gone.
    pub(super) async fn last_id(&mut self, table: &Table) -> Result<i64, StoreError> {
        let highest = AssertSqlSafe(format!("SELECT MAX(id) FROM \"{}\"", table.name));
        let (there,): (Option<i64>,) =
            each!(&mut *self, |connection| sqlx::query_as(highest).fetch_one(connection).await)?;
        let counted: Option<(Option<i64>,)> = match self {
            Self::Sqlite(connection) => {
                let sql = "SELECT seq FROM sqlite_sequence WHERE name = $1";
                sqlx::query_as(sql).bind(&table.name).fetch_optional(connection).await?
            }
            Self::Postgres(connection) => {
                let sql = "SELECT last_value FROM pg_sequences WHERE schemaname = current_schema() \
                           AND CAST(pg_get_serial_sequence($1, 'id') AS TEXT) \
                           IN (schemaname || '.' || sequencename, sequencename)";
                sqlx::query_as(sql).bind(&table.name).fetch_optional(connection).await?
            }
        };
        Ok(there.max(counted.and_then(|(last,)| last)).unwrap_or(0))
    }

    /// New ids go on behind this one.
    pub(super) async fn set_last_id(&mut self, table: &Table, last: i64) -> Result<(), StoreError> {
        if last == 0 {
            return Ok(());
        }
        match self {
            Self::Sqlite(connection) => {
                let forget = "DELETE FROM sqlite_sequence WHERE name = $1";
                sqlx::query(forget).bind(&table.name).execute(&mut *connection).await?;
                let set = "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)";
                sqlx::query(set).bind(&table.name).bind(last).execute(connection).await?;
            }
            Self::Postgres(connection) => {
                let set = "SELECT setval(CAST(pg_get_serial_sequence($1, 'id') AS TEXT), $2)";
                sqlx::query(set).bind(&table.name).bind(last).execute(connection).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn catalogue(&mut self) -> Result<Catalogue, StoreError> {
        match self {
            Self::Sqlite(connection) => {
                let tables = "FROM sqlite_master m, ";
                let only = "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'";
                let columns = format!(
                    "SELECT m.name, c.name, c.type {tables} pragma_table_info(m.name) c {only} ORDER BY m.name"
                );
                let keys = format!(
                    "SELECT m.name, c.name {tables} pragma_table_info(m.name) c {only} AND c.pk > 0 ORDER BY m.name, c.pk"
                );
                let references =
                    format!("SELECT m.name, f.\"table\" {tables} pragma_foreign_key_list(m.name) f {only}");
                let counted =
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'";
                let counted: Vec<(String,)> = sqlx::query_as(counted).fetch_all(&mut *connection).await?;
                Ok(Catalogue {
                    columns: sqlx::query_as(AssertSqlSafe(columns)).fetch_all(&mut *connection).await?,
                    keys: sqlx::query_as(AssertSqlSafe(keys)).fetch_all(&mut *connection).await?,
                    references: sqlx::query_as(AssertSqlSafe(references)).fetch_all(connection).await?,
                    counted: counted.into_iter().map(|(name,)| name).collect(),
                })
            }
            Self::Postgres(connection) => {
                // A generated column comes by itself; SQLite does not name it here either.
                let columns = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT) \
                               FROM information_schema.columns WHERE table_schema = current_schema() \
                               AND is_generated = 'NEVER' ORDER BY table_name, ordinal_position";
                let keys = "SELECT CAST(k.table_name AS TEXT), CAST(k.column_name AS TEXT) \
                            FROM information_schema.table_constraints c \
                            JOIN information_schema.key_column_usage k ON k.constraint_name = c.constraint_name \
                            AND k.table_schema = c.table_schema AND k.table_name = c.table_name \
                            WHERE c.constraint_type = 'PRIMARY KEY' AND c.table_schema = current_schema() \
                            ORDER BY k.table_name, k.ordinal_position";
                let references = "SELECT CAST(c.table_name AS TEXT), CAST(u.table_name AS TEXT) \
                                  FROM information_schema.table_constraints c \
                                  JOIN information_schema.constraint_column_usage u \
                                  ON u.constraint_name = c.constraint_name AND u.constraint_schema = c.constraint_schema \
                                  WHERE c.constraint_type = 'FOREIGN KEY' AND c.table_schema = current_schema()";
                let counted = "SELECT CAST(table_name AS TEXT) FROM information_schema.columns \
                               WHERE table_schema = current_schema() AND column_name = 'id' AND is_identity = 'YES'";
                let counted: Vec<(String,)> = sqlx::query_as(counted).fetch_all(&mut *connection).await?;
                Ok(Catalogue {
                    columns: sqlx::query_as(columns).fetch_all(&mut *connection).await?,
                    keys: sqlx::query_as(keys).fetch_all(&mut *connection).await?,
                    references: sqlx::query_as(references).fetch_all(connection).await?,
                    counted: counted.into_iter().map(|(name,)| name).collect(),
                })
            }
        }
    }
}

async fn open_sqlite(url: &str, wanted: Use) -> Result<SqliteConnection, StoreError> {
    let path = sqlite::path_of(url)?;
    let mut options = SqliteConnectOptions::new()
        .filename(&path)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("secure_delete", "ON");
    if wanted == Use::Alone {
        // Whoever has the file open holds a lock on it that this one does not get on with, and the other way round.
        options = options.locking_mode(SqliteLockingMode::Exclusive);
    }
    if !std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
        return Err(StoreError::Copy(format!("there is no database at {}", path.display())));
    }
    let in_use = |error: sqlx::Error| match &error {
        sqlx::Error::Database(cause) if cause.message().contains("locked") => {
            StoreError::Copy(format!("{} is in use: stop every server on it first", path.display()))
        }
        _ => error.into(),
    };
    let mut connection = options.connect().await.map_err(in_use)?;
    match wanted {
        Use::Look => {}
        Use::Alone => {
            sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.map_err(in_use)?;
        }
        Use::Fill => {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.map_err(in_use)?;
        }
    }
    Ok(connection)
}

async fn open_postgres(url: &str, wanted: Use) -> Result<PgConnection, StoreError> {
    let mut connection = postgres::options(url)?.connect().await?;
    match wanted {
        Use::Look => {}
        Use::Alone => {
            must_be_alone(&mut connection).await?;
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
            sqlx::query(begin).execute(&mut connection).await?;
        }
        Use::Fill => {
            sqlx::query("BEGIN").execute(&mut connection).await?;
        }
    }
    Ok(connection)
}

/// Whoever has just left may still be on the list for a moment.
async fn must_be_alone(connection: &mut PgConnection) -> Result<(), StoreError> {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'tokenry' AND pid <> pg_backend_pid()";
    let began = Instant::now();
    loop {
        let (others,): (i64,) = sqlx::query_as(sql).fetch_one(&mut *connection).await?;
        if others == 0 {
            return Ok(());
        }
        if began.elapsed() >= BUSY_TIMEOUT {
            return Err(StoreError::Copy(format!(
                "the database is in use: {others} connections of servers are open. Stop every server on it first"
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
