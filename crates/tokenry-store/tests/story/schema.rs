//! The two sets of migrations and the one set of statements: that they make the same, keep to what every database
//! understands, and bring an old installation up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokenry_model::{ConnectionId, Timestamp, UserId};
use tokenry_store::Store;

use crate::fixture::{postgres, sqlite};

/// A column: its type in SQLite's words, and whether it may be NULL.
type Columns = BTreeMap<(String, String), (String, bool)>;
/// What an index covers, and what it says behind that: by its name, or by what it covers if it has none of its own.
type Indexes = BTreeSet<String>;

async fn columns_of_sqlite(db: &mut SqliteConnection) -> Columns {
    let sql = "SELECT t.name, c.name, c.type, c.\"notnull\" = 0 AND c.pk = 0 FROM sqlite_master t \
               JOIN pragma_table_xinfo(t.name) c WHERE t.type = 'table' \
               AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name <> '_sqlx_migrations'";
    let rows: Vec<(String, String, String, bool)> = sqlx::query_as(sql).fetch_all(db).await.unwrap();
    rows.into_iter().map(|(table, column, kind, null)| ((table, column), (kind, null))).collect()
}

async fn columns_of_postgres(db: &mut PgConnection) -> Columns {
    let sql = "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' \
               FROM information_schema.columns WHERE table_schema = current_schema() \
               AND table_name NOT IN ('_sqlx_migrations', 'migration_lock')";
    let rows: Vec<(String, String, String, bool)> = sqlx::query_as(sql).fetch_all(db).await.unwrap();
    let kind = |kind: &str| match kind {
        "bigint" => "INTEGER".to_owned(),
        "bytea" => "BLOB".to_owned(),
        "text" => "TEXT".to_owned(),
        other => panic!("PostgreSQL has a column of the type {other}, for which SQLite has no other word"),
    };
    rows.into_iter().map(|(table, column, of, null)| ((table, column), (kind(&of), null))).collect()
}

/// The definition of an index without what the databases write differently.
fn plain(definition: &str) -> String {
    let text = definition.replace("USING btree ", "").replace("public.", "").replace("::text", "");
    let text = text.replace(['(', ')'], " ").replace(',', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn indexes_of_sqlite(db: &mut SqliteConnection) -> Indexes {
    let sql = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
    let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut *db).await.unwrap();
    let mut found: Indexes = rows.into_iter().map(|(sql,)| plain(&sql)).collect();
    // What a primary key or a UNIQUE column makes by itself.
    let sql = "SELECT t.name, (SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_index_info(i.name) \
               ORDER BY seqno)) FROM sqlite_master t JOIN pragma_index_list(t.name) i \
               WHERE t.type = 'table' AND i.origin <> 'c' AND t.name <> '_sqlx_migrations'";
    let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut *db).await.unwrap();
    found.extend(rows.into_iter().map(|(table, columns)| format!("unique {table} {columns}")));
    // An integer primary key is the row itself, and has no index.
    let sql = "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' \
               AND c.pk > 0 AND c.type = 'INTEGER' AND (SELECT COUNT(*) FROM pragma_table_info(t.name) WHERE pk > 0) = 1";
    let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut *db).await.unwrap();
    let rows = rows.into_iter().filter(|(table, _)| table != "_sqlx_migrations");
    found.extend(rows.map(|(table, column)| format!("unique {table} {column}")));
    found
}

async fn indexes_of_postgres(db: &mut PgConnection) -> Indexes {
    let sql = "SELECT i.indexdef, c.conname IS NOT NULL, i.tablename::text FROM pg_indexes i \
               LEFT JOIN pg_constraint c ON c.conname = i.indexname WHERE i.schemaname = current_schema() \
               AND i.tablename NOT IN ('_sqlx_migrations', 'migration_lock')";
    let rows: Vec<(String, bool, String)> = sqlx::query_as(sql).fetch_all(db).await.unwrap();
    let read = |(definition, constraint, table): (String, bool, String)| {
        if !constraint {
            return plain(&definition);
        }
        let columns = definition.split_once('(').unwrap().1.trim_end_matches(')').replace(", ", " ");
        format!("unique {table} {columns}")
    };
    rows.into_iter().map(read).collect()
}

#[tokio::test]
async fn both_sets_of_migrations_make_the_same_columns_and_indexes() {
    let (of_sqlite, of_postgres) = (sqlite().await, postgres().await);
    let mut lite = SqliteConnection::connect(&of_sqlite.url).await.unwrap();
    let mut server = PgConnection::connect(&of_postgres.url).await.unwrap();
    let columns = columns_of_sqlite(&mut lite).await;
    assert!(columns.len() > 80, "only {} columns were seen", columns.len());
    assert_eq!(columns, columns_of_postgres(&mut server).await);
    let indexes = indexes_of_sqlite(&mut lite).await;
    assert!(indexes.len() > 18, "only {} indexes were seen", indexes.len());
    assert_eq!(indexes, indexes_of_postgres(&mut server).await);
}

#[test]
fn both_sets_of_migrations_have_the_same_numbers() {
    let names = |database: &str| -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        files.map(|name| name.into_string().unwrap()).collect()
    };
    let (lite, server) = (names("sqlite"), names("postgres"));
    // PostgreSQL came when there were three.
    let early = ["0001_foundation.sql", "0002_refresh_lease.sql", "0003_services_and_refresh.sql"];
    let shared = |names: BTreeSet<String>, but: &[&str]| -> BTreeSet<String> {
        names.into_iter().filter(|name| !but.contains(&name.as_str())).collect()
    };
    assert_eq!(shared(lite, &early), shared(server, &["0003_foundation.sql"]));
}

/// The texts between quotation marks in the room's code that hold a statement or a part of one.
fn statements() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let folders = [src.clone(), src.join("moving")];
    for file in folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
        let path = file.unwrap().path();
        if path.is_dir() {
            assert!(folders.contains(&path), "{} is not looked into", path.display());
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let code = fs::read_to_string(&path).unwrap();
        let code = code.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n").replace("\\\"", "'");
        for text in code.split('"').skip(1).step_by(2) {
            let text = text.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
            let verbs =
                ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WHERE ", "FROM ", "CREATE ", "RETURNING "];
            if verbs.iter().any(|verb| text.contains(verb)) {
                found.push((name.clone(), text));
            }
        }
    }
    found
}

/// What SQLite, PostgreSQL, CockroachDB and YugabyteDB do not all have, or do not do alike.
const NOT_SHARED: &[&str] = &[
    "ADVISORY",
    "LISTEN",
    "NOTIFY",
    "FOR UPDATE",
    "FOR SHARE",
    "SKIP LOCKED",
    "LOCK TABLE",
    "ROWID",
    "CTID",
    "PRAGMA",
    "SQLITE_MASTER",
    "PG_",
    "INSERT OR",
    "REPLACE INTO",
    "RETURNING *",
    "SELECT *",
    "::",
    "ILIKE",
    "JSON_",
    "DATETIME(",
    "NOW()",
    "ON CONFLICT DO",
    "TEMP TABLE",
    "ANY(",
    "GLOB ",
    "IFNULL(",
    "NULLS FIRST",
    "XMAX",
    "USING GIN",
    "TRUNCATE",
];

#[test]
fn every_statement_keeps_to_what_all_databases_understand() {
    let statements = statements();
    assert!(statements.len() > 80, "only {} statements were found", statements.len());
    for (file, text) in statements {
        let upper = text.to_ascii_uppercase();
        for word in NOT_SHARED {
            // Each database's own file looks into its own catalogue; nothing else is there.
            let own = match file.as_str() {
                "sqlite.rs" | "backup.rs" => *word == "SQLITE_MASTER" || *word == "PRAGMA",
                // One end of a move: what only that database is asked.
                "side.rs" => ["SQLITE_MASTER", "PRAGMA", "PG_"].contains(word),
                _ => false,
            };
            assert!(own || !upper.contains(word), "{file}: {word} is not for all of them: {text}");
        }
        assert!(!text.contains('?'), "{file}: a parameter is $1, not a question mark: {text}");
    }
}

/// A chapter runs on every database; a method that no chapter calls would have been run on none.
#[test]
fn every_method_of_the_store_has_its_part_in_the_story() {
    let read = |folder: &str| -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
        files.map(|path| fs::read_to_string(path).unwrap()).collect()
    };
    let (code, story) = (read("src"), read("tests/story"));
    let methods: BTreeSet<&str> =
        code.split("pub async fn ").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap()).collect();
    assert!(methods.len() > 50, "only {} methods were found", methods.len());
    let unheard =
        |method: &&&str| !story.contains(&format!(".{method}(")) && !story.contains(&format!("::{method}("));
    let missing: Vec<_> = methods.iter().filter(unheard).collect();
    assert!(missing.is_empty(), "no chapter calls {missing:?}");
}

/// A row of the first version's, in the words that both databases share.
const OLD_ROWS: [&str; 2] = [
    "INSERT INTO users (username, username_folded, email, password_hash, created_at, updated_at) \
     VALUES ('ada', 'ada', 'ada@example.org', 'x', 1, 1)",
    "INSERT INTO connections (user_id, name, token_type, provider, kind, state, account_id, scopes, sealed_access, \
     sealed_refresh, expires_at, due_at, created_at, updated_at) \
     VALUES (1, 'mine', 'git', 'github', 'oauth2', 'ok', '42', 'email profile', $1, $2, 900, 800, 5, 6)",
];

/// The first so many migrations of a database, in a folder of their own.
fn first_migrations(database: &str, count: usize) -> tempfile::TempDir {
    let known = tempfile::tempdir().unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    let mut files: Vec<_> = fs::read_dir(all).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in &files[..count] {
        fs::copy(file, known.path().join(file.file_name().unwrap())).unwrap();
    }
    known
}

async fn assert_brought_up(url: &str) -> tokenry_model::Connection {
    let store = Store::open(url).await.unwrap();
    let owned = store.find_connection(UserId::new(1), ConnectionId::new(1)).await.unwrap().unwrap();
    let it = owned.connection.unwrap();
    assert_eq!(
        (it.access_token.as_bytes(), it.times.expires_at),
        (&b"a"[..], Some(Timestamp::from_micros(900)))
    );
    assert!(it.values.is_empty() && it.failures == 0 && it.last_used_at.is_none());
    let again = store.find_connection_by_account(UserId::new(1), &it.provider, "42", &it.values).await;
    assert_eq!(again.unwrap().unwrap().id, it.id);
    assert_eq!(store.list_users().await.unwrap().len(), 1);
    store.ping().await.unwrap();
    it
}

#[tokio::test]
async fn a_sqlite_file_of_the_first_schema_is_brought_up_with_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("tokenry.db").display());
    let mut raw = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
    let known = first_migrations("sqlite", 1);
    Migrator::new(known.path()).await.unwrap().run(&mut raw).await.unwrap();
    sqlx::query(OLD_ROWS[0]).execute(&mut raw).await.unwrap();
    sqlx::query(OLD_ROWS[1]).bind(&b"a"[..]).bind(&b"r"[..]).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let it = assert_brought_up(&url).await;
    // It was made before tokens were refreshed ahead of time: from now on they are.
    assert_eq!(it.times.renew_at, Some(Timestamp::from_micros(800)));
    assert_eq!(
        (it.requested.to_string(), it.connected_at),
        ("email profile".to_owned(), Some(Timestamp::from_micros(5)))
    );
}

#[tokio::test]
async fn a_postgres_database_of_its_first_schema_is_brought_up_with_what_is_in_it() {
    let url = tokio::task::spawn_blocking(|| tokenry_postgres::Server::shared().database()).await.unwrap();
    let mut raw = PgConnection::connect(&url).await.unwrap();
    let known = first_migrations("postgres", 1);
    Migrator::new(known.path()).await.unwrap().run(&mut raw).await.unwrap();
    sqlx::query(OLD_ROWS[0]).execute(&mut raw).await.unwrap();
    sqlx::query(OLD_ROWS[1]).bind(&b"a"[..]).bind(&b"r"[..]).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    assert_brought_up(&url).await;
}

#[tokio::test]
async fn a_postgres_schema_of_a_newer_version_is_refused() {
    let db = postgres().await;
    let future = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                  VALUES (9999, 'from the future', TRUE, '', 0)";
    let mut raw = PgConnection::connect(&db.url).await.unwrap();
    sqlx::query(AssertSqlSafe(future)).execute(&mut raw).await.unwrap();
    let Err(error) = Store::open(&db.url).await else { panic!("it opened") };
    assert!(matches!(error, tokenry_store::StoreError::Migration(_)), "{error:?}");
}
