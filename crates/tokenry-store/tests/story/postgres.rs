//! What only a database server does: it goes away, it makes somebody wait, and it asks who is there.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokenry_postgres::{Durability, Server};
use tokenry_store::{Pool, Store, StoreError};

use crate::fixture::{NOW, postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_is_said_to_be_away_and_used_again_when_it_is_back() {
    let server = tokio::task::spawn_blocking(|| Server::start(Durability::Process)).await.unwrap();
    let impatient = Pool { connections: 4, acquire_timeout: Duration::from_millis(500), ..Pool::default() };
    let store = Store::open_with(&server.database(), &impatient).await.unwrap();
    let user = tokenry_model::UserId::new(1);
    store.update_session_epoch(user, NOW).await.unwrap();
    for _ in 0..2 {
        server.kill();
        for _ in 0..3 {
            assert!(matches!(store.find_user(user).await, Err(StoreError::Unavailable(_))));
            assert!(matches!(store.update_session_epoch(user, NOW).await, Err(StoreError::Unavailable(_))));
            assert!(store.ping().await.is_err());
        }
        server.run_again();
        // Connections that the old server had are found to be dead, and are replaced: no restart of ours.
        store.ping().await.unwrap();
        store.update_session_epoch(user, NOW).await.unwrap();
        assert!(store.find_user(user).await.unwrap().is_none());
    }
    store.close().await;
}

#[tokio::test]
async fn a_row_that_somebody_else_holds_is_not_waited_for_for_ever() {
    let db = postgres().await;
    let impatient = Pool { statement_timeout: Duration::from_millis(200), ..Pool::default() };
    let store = Store::open_with(&db.url, &impatient).await.unwrap();
    let ada = db.user().await;
    let mut holder = PgConnection::connect(&db.url).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("UPDATE users SET email = email").execute(&mut *held).await.unwrap();
    assert!(matches!(store.update_session_epoch(ada, NOW).await, Err(StoreError::Unavailable(_))));
    held.rollback().await.unwrap();
    store.update_session_epoch(ada, NOW).await.unwrap();
    assert_eq!(store.find_user(ada).await.unwrap().unwrap().session_epoch, 1);
}

#[tokio::test]
async fn tls_that_is_asked_for_is_not_done_without() {
    let db = postgres().await;
    for mode in ["require", "verify-ca", "verify-full"] {
        let Err(error) = Store::open(&format!("{}?sslmode={mode}", db.url)).await else {
            panic!("{mode}: it went on without TLS")
        };
        assert!(error.to_string().to_lowercase().contains("tls"), "{mode}: {error}");
    }
    Store::open(&format!("{}?sslmode=prefer", db.url)).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_there_is_said_to_be_so_and_not_with_its_password() {
    let db = postgres().await;
    let there = db.url.replace("tokenry@", "tokenry:hush-hush@");
    Store::open(&there).await.unwrap();
    let Err(error) = Store::open(&format!("{there}nowhere")).await else { panic!("it opened") };
    let said = format!("{error} {error:?}");
    assert!(said.contains("does not exist") && !said.contains("hush-hush"), "{said}");
}

#[tokio::test]
async fn looking_at_the_keys_makes_nothing() {
    let url = tokio::task::spawn_blocking(|| Server::shared().database()).await.unwrap();
    assert!(Store::peek_keys(&url).await.unwrap().is_empty());
    let mut raw = PgConnection::connect(&url).await.unwrap();
    let sql = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema()";
    let (tables,): (i64,) = sqlx::query_as(sql).fetch_one(&mut raw).await.unwrap();
    assert_eq!(tables, 0);
}
