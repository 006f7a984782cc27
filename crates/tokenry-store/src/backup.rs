//! Backups of a SQLite database: one file that holds the whole state at one moment, the spool included. PostgreSQL has tools
//! of its own for that.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokenry_model::Timestamp;

use crate::error::StoreError;
use crate::spool::Spool;
use crate::sqlite::path_of;

/// How long a backup waits for a writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// When it was made.
    pub made_at: Timestamp,
    /// The newest migration that it knows.
    pub schema: i64,
    /// How many rows each table has.
    pub tables: Vec<(String, i64)>,
    /// How many answers waited in the spool.
    pub spooled: i64,
}

/// Copies the SQLite database at `url` into the file `into`, which must be empty, as it was at one moment; servers go on
/// writing meanwhile. Waiting answers of the spool go along. What was written is not synced yet.
///
/// # Errors
/// [`StoreError`] when the database cannot be read or the file cannot be written; [`StoreError::Copy`] when the copy is not
/// whole.
pub async fn back_up(url: &str, spool: &Spool, into: &Path, now: Timestamp) -> Result<BackedUp, StoreError> {
    let path = path_of(url)?;
    // Before the copy: an answer that leaves the spool meanwhile is in the database by then.
    let spooled =
        spool.files().map_err(|why| StoreError::Copy(format!("the spool cannot be read: {why}")))?;
    let mut source = SqliteConnectOptions::new().filename(&path).busy_timeout(BUSY_TIMEOUT).connect().await?;
    let target = into.to_str().ok_or_else(|| StoreError::Copy("the path is not readable".to_owned()))?;
    sqlx::query("VACUUM INTO $1").bind(target).execute(&mut source).await?;
    let expected = schema_of(&mut source).await?;
    source.close().await?;

    let mut copy = SqliteConnectOptions::new().filename(into).connect().await?;
    if schema_of(&mut copy).await? != expected {
        return Err(StoreError::Copy("the schema was changed while it was copied; try again".to_owned()));
    }
    let mut tx = copy.begin().await?;
    let tables = "CREATE TABLE backed_up (made_at INTEGER NOT NULL); \
                  CREATE TABLE backed_up_spool (name TEXT NOT NULL PRIMARY KEY, content BLOB NOT NULL)";
    sqlx::raw_sql(tables).execute(&mut *tx).await?;
    for (name, bytes) in &spooled {
        let sql = "INSERT INTO backed_up_spool (name, content) VALUES ($1, $2)";
        sqlx::query(sql).bind(name).bind(bytes).execute(&mut *tx).await?;
    }
    // Last: whatever has this row came to its end.
    let sql = "INSERT INTO backed_up (made_at) VALUES ($1)";
    sqlx::query(sql).bind(now.micros()).execute(&mut *tx).await?;
    tx.commit().await?;
    copy.close().await?;
    check_backup(into).await
}

/// Reads a backup from its first byte to its last, and says what is in it. Changes nothing.
///
/// # Errors
/// [`StoreError::Copy`] when it is damaged, or no backup; [`StoreError`] when it cannot be read.
pub async fn check_backup(file: &Path) -> Result<BackedUp, StoreError> {
    let no_backup = || StoreError::Copy(format!("{} is no backup that came to its end", file.display()));
    if !std::fs::metadata(file).is_ok_and(|file| file.len() > 0) {
        return Err(no_backup());
    }
    let mut copy =
        SqliteConnectOptions::new().filename(file).read_only(true).immutable(true).connect().await?;
    let (sound,): (String,) = sqlx::query_as("PRAGMA integrity_check").fetch_one(&mut copy).await?;
    if sound != "ok" {
        return Err(StoreError::Copy(format!("{} is damaged: {sound}", file.display())));
    }
    if let Some(row) = sqlx::query("PRAGMA foreign_key_check").fetch_optional(&mut copy).await? {
        let table: String = sqlx::Row::try_get(&row, 0)?;
        return Err(StoreError::Copy(format!(
            "{} is damaged: rows of {table} belong to nobody",
            file.display()
        )));
    }
    let tables = tables_of(&mut copy).await?;
    if !tables.iter().any(|name| name == "backed_up") {
        return Err(no_backup());
    }
    let made: Option<(i64,)> =
        sqlx::query_as("SELECT made_at FROM backed_up").fetch_optional(&mut copy).await?;
    let (made_at,) = made.ok_or_else(no_backup)?;
    let (schema,): (i64,) = sqlx::query_as("SELECT CAST(MAX(version) AS BIGINT) FROM _sqlx_migrations")
        .fetch_one(&mut copy)
        .await?;
    let mut counts = Vec::new();
    for table in tables {
        let (count,) = count_of(&mut copy, &table).await?;
        counts.push((table, count));
    }
    copy.close().await?;
    let of = |name: &str| counts.iter().find(|(table, _)| table == name).map_or(0, |(_, count)| *count);
    let spooled = of("backed_up_spool");
    counts.retain(|(table, _)| !table.starts_with("backed_up") && table != "_sqlx_migrations");
    Ok(BackedUp { made_at: Timestamp::from_micros(made_at), schema, tables: counts, spooled })
}

/// Makes of the copy of a backup a database again, and puts the answers that waited into the spool, if there is to be one.
///
/// # Errors
/// [`StoreError`] when the copy cannot be changed, or the spool cannot be written.
pub async fn unpack_backup(copy: &Path, spool: Option<&Spool>) -> Result<(), StoreError> {
    let mut database = SqliteConnectOptions::new().filename(copy).connect().await?;
    let sql = "SELECT name, content FROM backed_up_spool";
    let files: Vec<(String, Vec<u8>)> = sqlx::query_as(sql).fetch_all(&mut database).await?;
    for (spool, (name, bytes)) in
        spool.into_iter().flat_map(|spool| files.iter().map(move |file| (spool, file)))
    {
        let failed = |why| StoreError::Copy(format!("{name} cannot be put into the spool: {why}"));
        spool.put_file(name, bytes).map_err(failed)?;
    }
    sqlx::raw_sql("DROP TABLE backed_up_spool; DROP TABLE backed_up").execute(&mut database).await?;
    database.close().await?;
    Ok(())
}

/// Everything that makes up the schema, as the database keeps it.
async fn schema_of(database: &mut SqliteConnection) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT name, COALESCE(sql, '') FROM sqlite_master ORDER BY type, name";
    Ok(sqlx::query_as(sql).fetch_all(database).await?)
}

async fn tables_of(database: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let sql =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(database).await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

async fn count_of(database: &mut SqliteConnection, table: &str) -> Result<(i64,), StoreError> {
    // The name comes from the schema.
    let sql = format!("SELECT COUNT(*) FROM \"{table}\"");
    Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_one(database).await?)
}
