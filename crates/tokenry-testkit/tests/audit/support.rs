//! An app on either database, its audit log, and hands that change it behind its back.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};
use tokenry::config::Config;
use tokenry_broker::{AuditFilter, AuditLine, AuditReport};
use tokenry_testkit::app::TestApp;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// All of them.
pub(crate) const BOTH: [On; 2] = [On::Sqlite, On::Postgres];

/// An app with nothing in it, on a database of its own.
pub(crate) async fn start(on: On, change: impl FnOnce(&mut Config)) -> TestApp {
    let url = match on {
        On::Sqlite => None,
        On::Postgres => {
            let made = tokio::task::spawn_blocking(|| tokenry_postgres::Server::shared().database());
            Some(made.await.unwrap())
        }
    };
    TestApp::start_with(|config| {
        let file = || format!("sqlite://{}", config.data_dir.join("tokenry.db").display());
        config.database_url = url.unwrap_or_else(file).into();
        config.database_pool.connections = 4;
        change(config);
    })
    .await
}

/// A connection to an app's SQLite that knows nothing of it.
pub(crate) async fn raw(app: &TestApp) -> SqliteConnection {
    let path = app.data_dir().join("tokenry.db");
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(10));
    options.connect().await.unwrap()
}

/// Runs a statement behind the app's back. Says how many rows it changed.
pub(crate) async fn execute(on: On, app: &TestApp, sql: &str) -> u64 {
    use secrecy::ExposeSecret as _;
    match on {
        On::Sqlite => {
            let mut raw = raw(app).await;
            let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut raw).await.unwrap();
            raw.close().await.unwrap();
            done.rows_affected()
        }
        On::Postgres => {
            let mut raw = PgConnection::connect(app.config.database_url.expose_secret()).await.unwrap();
            let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut raw).await.unwrap();
            raw.close().await.unwrap();
            done.rows_affected()
        }
    }
}

/// What the log has after the row `after`, the oldest first, with all that waited to be written.
pub(crate) async fn rows_after(app: &TestApp, after: i64) -> Vec<AuditLine> {
    let broker = app.server().broker();
    broker.flush_audit().await.unwrap();
    let mut lines = broker.list_audit(&AuditFilter::default(), 10_000).await.unwrap().lines;
    lines.retain(|line| line.row.seq > after);
    lines.reverse();
    lines
}

/// A row in short: what, how, why, who, whose, which connection, which service.
pub(crate) fn short(line: &AuditLine) -> String {
    let entry = &line.row.entry;
    let or_dash = |id: Option<i64>| id.map_or("-".to_owned(), |id| id.to_string());
    [
        entry.action.to_string(),
        entry.outcome.to_string(),
        entry.reason.as_deref().unwrap_or("-").to_owned(),
        line.actor.clone().unwrap_or_else(|| entry.actor.to_string()),
        line.owner.clone().unwrap_or_else(|| or_dash(entry.owner)),
        or_dash(entry.connection),
        entry.provider.clone().unwrap_or_else(|| "-".to_owned()),
    ]
    .join(" ")
}

/// What a walk along the chain finds.
pub(crate) async fn verify(app: &TestApp) -> AuditReport {
    app.server().broker().verify_audit(None).await.unwrap()
}

/// That the log is whole.
pub(crate) async fn assert_whole(app: &TestApp) {
    let report = verify(app).await;
    assert_eq!(report.faults, [], "{report:?}");
    assert!(report.rows > 0, "{report:?}");
}

/// What is wrong with the log, in words.
pub(crate) async fn faults(app: &TestApp) -> Vec<String> {
    verify(app).await.faults.iter().map(ToString::to_string).collect()
}
