//! What waits to be written: what happens when the database does not take it, and what a stop leaves.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, SqliteConnection};
use tokenry_testkit::app::{TestApp, TestUser};

use crate::support::{BOTH, On, assert_whole, raw, rows_after, short, start};

/// Somebody else who keeps the log from being written, while all else can be read.
enum Held {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Held {
    async fn take(on: On, app: &TestApp) -> Self {
        use secrecy::ExposeSecret as _;
        match on {
            On::Sqlite => {
                let mut raw = raw(app).await;
                sqlx::query("BEGIN IMMEDIATE").execute(&mut raw).await.unwrap();
                Self::Sqlite(raw)
            }
            On::Postgres => {
                let mut raw = PgConnection::connect(app.config.database_url.expose_secret()).await.unwrap();
                sqlx::query("BEGIN").execute(&mut raw).await.unwrap();
                sqlx::query("LOCK TABLE audit_log IN EXCLUSIVE MODE").execute(&mut raw).await.unwrap();
                Self::Postgres(raw)
            }
        }
    }

    async fn give_back(self) {
        match self {
            Self::Sqlite(raw) => raw.close().await.unwrap(),
            Self::Postgres(raw) => raw.close().await.unwrap(),
        }
    }
}

/// How often each connection was read, by the log.
async fn reads(app: &TestApp, connections: std::ops::RangeInclusive<i64>) -> Vec<i64> {
    let rows = rows_after(app, 0).await;
    let of = |id: i64| {
        let of = rows.iter().filter(|line| {
            line.row.entry.action == "token.read"
                && line.row.entry.outcome == "ok"
                && line.row.entry.connection == Some(id)
        });
        of.map(|line| line.row.entry.count).sum()
    };
    connections.map(of).collect()
}

async fn ada_with(app: &TestApp, connections: i64) -> TestUser {
    let ada = app.user("ada").await;
    for number in 1..=connections {
        assert_eq!(ada.add("", "spotify", "t").await, number);
    }
    ada
}

#[tokio::test]
async fn reads_go_on_while_the_log_cannot_be_written_and_all_of_them_are_in_it_later() {
    for on in BOTH {
        let app = start(on, |_| {}).await;
        let ada = ada_with(&app, 3).await;
        let held = Held::take(on, &app).await;
        for _ in 0..20 {
            for id in 1..=3 {
                ada.token_of(id).await;
            }
        }
        held.give_back().await;
        assert_eq!(reads(&app, 1..=3).await, [20, 20, 20], "{on:?}");
        assert_whole(&app).await;
    }
}

#[tokio::test]
async fn a_read_that_cannot_be_noted_is_refused_until_there_is_room_again() {
    for on in BOTH {
        let app = start(on, |config| config.audit_queue = 3).await;
        let ada = ada_with(&app, 8).await;
        // Nothing of before may take up room.
        app.server().broker().flush_audit().await.unwrap();
        let held = Held::take(on, &app).await;
        for id in 1..=3 {
            ada.token_of(id).await;
        }
        // The background may have taken these to write them: then there is room for as many again, and no more.
        let mut refused = 0;
        for id in 4..=8 {
            let answer = ada.get_token(id).await;
            if answer.status != StatusCode::OK {
                let answer = answer.expect_error(503, "audit_unavailable");
                assert!(answer.text("message").contains("unrecorded"), "{answer:?}");
                refused += 1;
            }
        }
        assert!(refused >= 2, "{on:?}: {refused}");
        let metrics = app.anonymous().get("/metrics").await.body;
        let count =
            metrics.lines().find(|line| line.starts_with("tokenry_audit_refused_reads_total")).unwrap();
        assert!(!count.ends_with(" 0"), "{on:?} {count}");
        held.give_back().await;
        let begun = Instant::now();
        while ada.get_token(5).await.status != StatusCode::OK {
            assert!(begun.elapsed() < Duration::from_mins(1), "{on:?}: there is no room again");
        }
        let logged = reads(&app, 1..=8).await;
        assert!(logged[..3].iter().all(|count| *count == 1) && logged[4] >= 1, "{on:?}: {logged:?}");
        assert_whole(&app).await;
    }
}

#[tokio::test]
async fn refusals_that_find_no_room_are_counted_in_the_log() {
    for on in BOTH {
        let app = start(on, |config| config.audit_queue = 2).await;
        let ada = ada_with(&app, 1).await;
        let held = Held::take(on, &app).await;
        for id in 100..140 {
            ada.get_token(id).await.expect_error(404, "no_such_connection");
        }
        held.give_back().await;
        let rows = rows_after(&app, 0).await;
        let counted = |action: &str, outcome: &str| -> i64 {
            let of = rows
                .iter()
                .filter(|line| line.row.entry.action == action && line.row.entry.outcome == outcome);
            of.map(|line| line.row.entry.count).sum()
        };
        let (noted, lost) = (counted("token.read", "refused"), counted("audit.lost", "failed"));
        assert!(lost > 0, "{on:?}");
        assert_eq!(noted + lost, 40, "{on:?}");
        let report = app.server().broker().verify_audit(None).await.unwrap();
        assert_eq!((report.lost, report.fault_count), (lost, 0), "{on:?}");
    }
}

#[tokio::test]
async fn an_act_that_is_acknowledged_is_in_the_log_already() {
    for on in BOTH {
        let app = start(on, |_| {}).await;
        let ada = ada_with(&app, 1).await;
        let body = json!({"name": "new"});
        ada.api.put(&ada.path("update/connection/name/1"), &body).await.expect(StatusCode::OK);
        // Not flushed by us: what another process would see.
        let lines = app
            .server()
            .broker()
            .list_audit(&tokenry_broker::AuditFilter::default(), 10)
            .await
            .unwrap()
            .lines;
        assert_eq!(short(&lines[0]), "connection.rename ok - ada ada 1 spotify", "{on:?}");
    }
}

#[tokio::test]
async fn an_act_that_was_done_while_the_log_could_not_be_written_is_in_it_later() {
    // On SQLite nothing can be done while nothing can be written.
    let on = On::Postgres;
    let app = start(on, |_| {}).await;
    let ada = ada_with(&app, 1).await;
    let held = Held::take(on, &app).await;
    ada.api.delete(&ada.path("connection/delete/1")).await.expect(StatusCode::OK);
    held.give_back().await;
    let rows: Vec<_> = rows_after(&app, 0).await.iter().map(short).collect();
    assert_eq!(rows.last().unwrap(), "connection.delete ok - ada ada 1 spotify");
    assert_whole(&app).await;
}

#[tokio::test]
async fn a_graceful_stop_loses_nothing_of_what_was_counted() {
    for on in BOTH {
        let app = start(on, |_| {}).await;
        let ada = ada_with(&app, 20).await;
        for round in 0..5 {
            for id in 1..=20 {
                ada.token_of(id).await;
            }
            // Some are written, and what comes after is counted for a minute.
            if round == 1 {
                app.server().broker().flush_audit().await.unwrap();
            }
        }
        let app = app.restart_with(|_| {}).await;
        assert_eq!(reads(&app, 1..=20).await, [5; 20], "{on:?}");
        assert_whole(&app).await;
    }
}

#[tokio::test]
async fn what_is_read_is_in_the_log_without_anybody_asking_for_it() {
    for on in BOTH {
        let app = start(on, |_| {}).await;
        let ada = ada_with(&app, 1).await;
        ada.token_of(1).await;
        let begun = Instant::now();
        loop {
            let page =
                app.server().broker().list_audit(&tokenry_broker::AuditFilter::default(), 10).await.unwrap();
            if page.lines.iter().any(|line| line.row.entry.action == "token.read") {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{on:?}: it is never written");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
