//! The database is away at the moment a refresh is answered: the token is served, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "in a test a failed step is a failed test")]

use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tokenry_sandbox::{Fault, FaultKind, Sandbox};
use tokenry_testkit::app::{CLIENT_ID, TestApp, TestUser, start_sandbox};
use tokenry_testkit::browser::Browser;

/// A transaction of somebody else's that holds SQLite's write lock until it is dropped.
async fn lock(app: &TestApp) -> SqliteConnection {
    let url = format!("sqlite://{}", app.data_dir().join("tokenry.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

/// How many answers wait on disk. The room that is set aside is none.
fn spooled(app: &TestApp) -> usize {
    let files = std::fs::read_dir(app.data_dir().join("spool")).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "spooled")).count()
}

async fn connected(sandbox: &Sandbox) -> (TestApp, TestUser, i64) {
    let app = TestApp::start_with_sandbox(sandbox).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("sandbox").await;
    let mut browser = Browser::new();
    browser.set_cookie(app.base(), &cookie);
    let page = browser.consent_sandbox(&link, "ada").await;
    assert!(page.body.contains("is connected"), "{}", page.body);
    let id = user.list().await[0]["ID"].as_i64().unwrap();
    (app, user, id)
}

/// Reads a token whose refresh is answered while somebody holds the write lock. Gives the lock and the new token.
async fn refresh_under_lock(
    app: &TestApp,
    user: &TestUser,
    id: i64,
    sandbox: &Sandbox,
) -> (SqliteConnection, String) {
    app.clock.advance(Duration::from_mins(2));
    // The intent is written before the call; the lock is taken while the provider thinks.
    sandbox.inject(Fault::on_refresh(FaultKind::Delay { ms: 600 }));
    let reader = user.clone();
    let read = tokio::spawn(async move { reader.get_token(id).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let held = lock(app).await;
    let token = read.await.unwrap().expect(StatusCode::OK).text("token");
    (held, token)
}

async fn stored_token(user: &TestUser) -> String {
    user.list().await[0]["Token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_that_the_database_does_not_take_is_served_at_once_and_written_later() {
    let sandbox = start_sandbox(Duration::from_mins(1)).await;
    let (app, user, id) = connected(&sandbox).await;
    let old = stored_token(&user).await;
    let (held, token) = refresh_under_lock(&app, &user, id, &sandbox).await;
    assert_ne!(token, old);
    // The lock is still held: the row has the old token, and readers get the new one without another refresh.
    assert_eq!(stored_token(&user).await, old);
    for _ in 0..10 {
        assert_eq!(user.token_of(id).await, token);
    }
    assert_eq!(sandbox.seen().refresh_attempts, 1);
    assert_eq!(spooled(&app), 1);

    held.close().await.unwrap();
    while stored_token(&user).await != token {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(user.token_of(id).await, token);
    while spooled(&app) > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The refresh token that came with it is the one that is used next.
    app.clock.advance(Duration::from_mins(2));
    assert_ne!(user.token_of(id).await, token);
    let seen = sandbox.seen();
    assert_eq!((seen.refreshes, seen.refresh_attempts, seen.reuses_detected), (2, 2, 0));
}

#[tokio::test]
async fn a_spooled_token_is_in_the_database_after_a_restart() {
    let sandbox = start_sandbox(Duration::from_mins(1)).await;
    let (mut app, user, id) = connected(&sandbox).await;
    let (held, token) = refresh_under_lock(&app, &user, id, &sandbox).await;
    app.stop().await;
    assert_eq!(spooled(&app), 1);
    held.close().await.unwrap();

    let app = app.restart_with(|_| {}).await;
    assert_eq!(stored_token(&user).await, token);
    assert_eq!(user.token_of(id).await, token);
    assert_eq!(spooled(&app), 0);
    assert_eq!(sandbox.seen().refresh_attempts, 1);
}

#[tokio::test]
async fn a_spooled_token_of_a_connection_that_is_deleted_meanwhile_is_revoked() {
    let sandbox = start_sandbox(Duration::from_mins(1)).await;
    let (mut app, user, id) = connected(&sandbox).await;
    let (held, _) = refresh_under_lock(&app, &user, id, &sandbox).await;
    app.stop().await;
    held.close().await.unwrap();
    // Somebody deletes the row while the process is down: another replica, as far as this one can tell.
    let mut other = lock(&app).await;
    let sql = "UPDATE connections SET deleted_at = 1, sealed_access = x'', sealed_refresh = NULL";
    sqlx::query(sql).execute(&mut other).await.unwrap();
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    other.close().await.unwrap();

    let app = app.restart_with(|_| {}).await;
    app.server().broker().do_chores().await;
    user.get_token(id).await.expect_error(404, "no_such_connection");
    assert_eq!(sandbox.seen().live_families, 0);
}

/// Another replica, for which the lease has run out, must leave the refresh token alone that the waiting answer has spent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_waits_for_the_database_is_not_overtaken_by_another_replica() {
    const CONNECTIONS: usize = 6;
    let sandbox = start_sandbox(Duration::from_mins(1)).await;
    let app = TestApp::start_with_sandbox(&sandbox).await;
    let user = app.user("ada").await;
    for grant in sandbox.issue_grants(CLIENT_ID, "person", CONNECTIONS, "profile").unwrap() {
        let body = json!({
            "kind": "oauth2", "service": "sandbox", "expires_in": grant.expires_in,
            "access_token": grant.access_token.expose_secret(),
            "refresh_token": grant.refresh_token.unwrap().expose_secret(),
        });
        user.api.post(&user.path("connections"), &body).await.expect(StatusCode::CREATED);
    }
    let ids: Vec<i64> = user.list().await.iter().map(|row| row["ID"].as_i64().unwrap()).collect();
    let config = app.config.clone();
    let other = TestApp::start_with(|own| {
        own.database_url = config.database_url;
        own.master_key = config.master_key;
        own.providers = config.providers;
    })
    .await;
    app.clock.advance(Duration::from_mins(2));
    // For this one the leases that the first is about to take ran out long ago.
    other.clock.advance(Duration::from_mins(4));
    let mut at_other = other.anonymous();
    at_other.token.clone_from(&user.api.token);
    let at_other = TestUser { name: user.name.clone(), api: at_other };

    sandbox.inject(Fault::on_refresh(FaultKind::Delay { ms: 1_000 }).times(6));
    let read = |user: &TestUser| {
        let reads = ids.iter().map(|id| {
            let (user, id) = (user.clone(), *id);
            tokio::spawn(async move { user.get_token(id).await })
        });
        reads.collect::<Vec<_>>()
    };
    let first = read(&user);
    while sandbox.seen().refresh_attempts < 6 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let held = lock(&app).await;
    for answer in first {
        answer.await.unwrap().expect(StatusCode::OK);
    }
    assert_eq!(spooled(&app), CONNECTIONS, "the database took them");
    let second = read(&at_other);
    tokio::time::sleep(Duration::from_secs(4)).await;
    drop(held);
    for answer in second {
        assert_ne!(answer.await.unwrap().status, StatusCode::CONFLICT, "a connection is lost");
    }
    assert_eq!(sandbox.seen().reuses_detected, 0);
    for id in &ids {
        user.token_of(*id).await;
    }
}
