//! A grant that came and cannot be kept, because the database does not take it.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokenry_sandbox::{Endpoint, Fault, FaultKind, Grant};

use crate::world::{World, eventually};

#[tokio::test]
async fn a_grant_that_the_database_does_not_take_is_given_back_once_it_does() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let (mut browser, callback) = world.consent(&ada, "grace").await;
    // The code is exchanged while the database can still be written; what comes cannot be.
    let delay = Fault {
        grant: Some(Grant::AuthorizationCode),
        ..Fault::once(Endpoint::Token, FaultKind::Delay { ms: 1500 })
    };
    world.sandbox.inject(delay);
    let coming = tokio::spawn(async move { browser.get(callback).await });
    tokio::time::sleep(Duration::from_millis(700)).await;
    let file = world.app.data_dir().join("tokenry.db");
    let mut lock = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut lock).await.unwrap();
    let page = coming.await.unwrap();
    assert_eq!(page.status.as_u16(), 503, "{}", page.body);
    assert_eq!(world.seen().live_families, 1);

    sqlx::query("ROLLBACK").execute(&mut lock).await.unwrap();
    lock.close().await.unwrap();
    eventually("it is given back", async || {
        world.app.server().broker().do_chores().await;
        world.seen().live_families == 0
    })
    .await;
    assert!(ada.list().await.is_empty());
    // The account can be connected again, and stays.
    let id = world.connect(&ada, "grace").await;
    world.app.server().broker().do_chores().await;
    ada.token_of(id).await;
    assert_eq!(world.seen().live_families, 1);
}
