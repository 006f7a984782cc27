//! `tokenry migrate-store`: from a file to a database server, and what reads the same afterwards.
//!
//! `TOKENRY_TEST_CONNECTIONS` sets how many connections are moved (500 unless told).

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use reqwest::StatusCode;
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use tokenry_model::{ConnectionId, UserId};
use tokenry_testkit::app::TestUser;
use tokenry_vault::{ConnectionField, Context, KeyId, MasterKey, SystemRandom, Vault, WrappedKey};

use crate::process::Home;
use crate::server::Server;

/// How many of them are read over HTTP, before and after.
const SAMPLE: i64 = 200;

fn count() -> i64 {
    std::env::var("TOKENRY_TEST_CONNECTIONS").map_or(500, |text| text.parse().unwrap())
}

/// Adds connections to a database that no server has open, sealed as the server seals them.
async fn seed(home: &Home, user: i64, count: i64) {
    let key = fs::read_to_string(home.data().join("master.key")).unwrap();
    let master = MasterKey::from_base64(&key.into()).unwrap();
    let url = format!("sqlite://{}", home.database().display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let ring: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT id, wrapped FROM data_keys").fetch_all(&mut database).await.unwrap();
    let ring: Vec<_> = ring
        .into_iter()
        .map(|(id, wrapped)| WrappedKey { id: KeyId::new(id.try_into().unwrap()).unwrap(), wrapped })
        .collect();
    let vault = Vault::unlock(&master, &ring, ring[0].id, Arc::new(SystemRandom)).unwrap();
    let mut tx = database.begin().await.unwrap();
    for id in 1..=count {
        let (user_id, connection) = (UserId::new(user), ConnectionId::new(id));
        let seal = |field, text: String| {
            vault.seal(&Context::Connection { user: user_id, connection, field }, text.as_bytes()).unwrap()
        };
        let access = seal(ConnectionField::AccessToken, format!("access token {id}"));
        let refresh = seal(ConnectionField::RefreshToken, format!("refresh token {id}"));
        let sql = "INSERT INTO connections (id, user_id, name, token_type, provider, kind, state, account_id, account_label, \
                   requested_scopes, scopes, settings, sealed_access, sealed_refresh, expires_at, due_at, generation, \
                   connected_at, created_at, updated_at) VALUES ($1, $2, $3, 'git', 'github', 'oauth2', 'ok', $4, $5, \
                   'email', 'email profile', '{}', $6, $7, 9000000000000000, 8999999999000000, 3, 17, 16, 18)";
        sqlx::query(sql)
            .bind(id)
            .bind(user)
            .bind(format!("Nr. {id} – ünïcødé ✓"))
            .bind(id.to_string())
            .bind(format!("person{id}"))
            .bind(access.as_bytes())
            .bind(refresh.as_bytes())
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    database.close().await.unwrap();
}

/// What a sample of the connections reads like.
async fn read_sample(user: &TestUser, count: i64) -> Vec<(i64, String, Value)> {
    let step = (count / SAMPLE).max(1);
    let mut found = Vec::new();
    for id in (1..=count).step_by(usize::try_from(step).unwrap()).chain([count]) {
        let token = user.token_of(id).await;
        assert_eq!(token, format!("access token {id}"));
        let mut detail = user.detail(id).await;
        // It was used just now.
        detail.as_object_mut().unwrap().remove("last_used_at");
        found.push((id, token, detail));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_of_a_sample_reads_the_same_after_the_move() {
    let count = count();
    let home = Home::new();
    // One user has them all.
    let off = [("TOKENRY_REFRESH_AHEAD", "false"), ("TOKENRY_LIMITS__CONNECTIONS_PER_USER", "0")];
    let server = Server::start(&home, &off);
    let ada = server.user("ada").await;
    let (status, _, log) = server.stop();
    assert!(status.success(), "{log}");
    seed(&home, 1, count).await;
    let server = Server::start(&home, &off);
    let ada = server.again(&ada);
    let before = read_sample(&ada, count).await;

    let url = tokio::task::spawn_blocking(|| tokenry_postgres::Server::shared().database()).await.unwrap();
    fs::write(home.path().join("to"), &url).unwrap();
    let move_it = ["migrate-store", "--to-file", "to"];
    let error = home.run(&move_it, &off).refused();
    assert!(error.contains("is in use: stop every server"), "{error}");
    ada.token_of(1).await;
    let (status, _, log) = server.stop();
    assert!(status.success(), "{log}");

    let began = Instant::now();
    let said = home.run(&move_it, &off).ok();
    let took = began.elapsed();
    assert!(said.contains(&format!("{count}  connections")), "{said}");
    let error = home.run(&["serve"], &[("TOKENRY_LISTEN", "127.0.0.1:0")]).refused();
    assert!(
        error.contains("was moved to postgres://127.0.0.1") && error.contains("start the server on that"),
        "{error}"
    );
    let error = home.run(&move_it, &off).refused();
    assert!(error.contains("the target is not empty"), "{error}");

    let env = [("TOKENRY_DATABASE_URL", url.as_str()), off[0], off[1]];
    let server = Server::start(&home, &env);
    // The same session, too.
    let ada = server.again(&ada);
    let after = read_sample(&ada, count).await;
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    let new = ada.add("new", "spotify", "a pasted token").await;
    assert_eq!(new, count + 1, "ids go on");
    let body = serde_json::json!({"name": "renamed"});
    ada.api.put(&ada.path(&format!("update/connection/name/{count}")), &body).await.expect(StatusCode::OK);
    println!(
        "{count} connections moved from SQLite to PostgreSQL in {took:.1?} ({:.0}/s), read back and compared; {} read the same over HTTP",
        f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64(),
        after.len()
    );
}

#[tokio::test]
async fn what_was_moved_can_be_taken_back_if_the_other_never_runs() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let ada = server.user("ada").await;
    let id = ada.add("mine", "spotify", "a pasted token").await;
    let (status, _, log) = server.stop();
    assert!(status.success(), "{log}");
    let to = format!("sqlite://{}", home.path().join("other.db").display());
    let error = home.run(&["migrate-store", "--take-back"], &[]).refused();
    assert!(error.contains("was not moved away"), "{error}");
    home.run(&["migrate-store", "--to", &to], &[]).ok();
    home.run(&["user", "list"], &[]).refused();
    assert!(home.run(&["user", "list", "--database-url", &to], &[]).ok().contains("ada"));
    let said = home.run(&["migrate-store", "--take-back"], &[]).ok();
    assert!(said.contains("must never run any more"), "{said}");
    let server = Server::start(&home, &[]);
    assert_eq!(server.log_in("ada").await.token_of(id).await, "a pasted token");
}
