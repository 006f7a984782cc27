//! Everything that is in the database, but for who is signed in and who did what.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Row as _};

/// The rows of each table, as texts.
pub(crate) type Dump = BTreeMap<String, Vec<String>>;

/// Tables that say who came, or that the background keeps.
const PASSING: [&str; 5] = ["browser_sessions", "refresh_hours", "audit", "sqlite_", "_sqlx"];

pub(crate) async fn open(data: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(data.join("tokenry.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Reads it all.
pub(crate) async fn dump(data: &Path) -> Dump {
    let mut database = open(data).await;
    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table'");
    let mut all = Dump::new();
    for table in tables.fetch_all(&mut database).await.unwrap() {
        let table: String = table.get(0);
        if PASSING.iter().any(|passing| table.starts_with(passing)) {
            continue;
        }
        let columns = format!("SELECT name FROM pragma_table_xinfo('{table}')");
        let columns = sqlx::query(sqlx::AssertSqlSafe(columns)).fetch_all(&mut database).await.unwrap();
        let columns: Vec<String> = columns
            .iter()
            .map(|column| column.get::<String, _>(0))
            .filter(|column| column != "last_used_at")
            .map(|column| format!("'{column}=' || quote(\"{column}\")"))
            .collect();
        let rows = format!("SELECT {} FROM \"{table}\" ORDER BY 1", columns.join(" || ' ' || "));
        let rows = sqlx::query(sqlx::AssertSqlSafe(rows)).fetch_all(&mut database).await.unwrap();
        all.insert(table, rows.iter().map(|row| row.get(0)).collect());
    }
    assert!(all.len() > 5, "this is not the database: {:?}", all.keys());
    all
}

/// The rows in which two dumps differ.
pub(crate) fn differences(before: &Dump, after: &Dump) -> Vec<String> {
    let rows = |dump: &Dump| -> Vec<String> {
        dump.iter().flat_map(|(table, rows)| rows.iter().map(move |row| format!("{table}: {row}"))).collect()
    };
    let (before, after) = (rows(before), rows(after));
    let gone = before.iter().filter(|row| !after.contains(row)).map(|row| format!("- {row}"));
    let new = after.iter().filter(|row| !before.contains(row)).map(|row| format!("+ {row}"));
    gone.chain(new).collect()
}
