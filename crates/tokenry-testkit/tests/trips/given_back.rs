//! A grant that came and cannot be kept, because the database does not take it.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokenry_model::ExposeSecret as _;
use tokenry_sandbox::{Endpoint, Fault, FaultKind, Grant};

use crate::world::{World, eventually};

/// Keeps everybody else from writing.
enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    async fn take(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            let mut database = SqliteConnection::connect(url).await.unwrap();
            sqlx::query("BEGIN IMMEDIATE").execute(&mut database).await.unwrap();
            return Self::Sqlite(database);
        }
        let mut database = PgConnection::connect(url).await.unwrap();
        sqlx::query("BEGIN").execute(&mut database).await.unwrap();
        let lock = "LOCK TABLE connections, flows IN SHARE ROW EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut database).await.unwrap();
        Self::Postgres(database)
    }

    async fn release(self) {
        match self {
            Self::Sqlite(database) => database.close().await.unwrap(),
            Self::Postgres(database) => database.close().await.unwrap(),
        }
    }
}

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
    let lock = Lock::take(world.app.config.database_url.expose_secret()).await;
    let page = coming.await.unwrap();
    assert_eq!(page.status.as_u16(), 503, "{}", page.body);
    assert_eq!(world.seen().live_families, 1);

    lock.release().await;
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
