//! Keys that change under what is under way.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tokenry::config::MasterKeySource;
use tokenry_broker::{KeyAdmin, KeyError};
use tokenry_model::Clock;
use tokenry_sandbox::{Fault, FaultKind};
use tokenry_store::{Spool, Store};
use tokenry_testkit::app::{CLIENT_ID, PASSWORD, TestApp, TestUser};
use tokenry_vault::SystemRandom;

use crate::world::{PAST_EXPIRY, World, eventually};

/// What the operator does on the command line, with the app's clock.
async fn admin(app: &TestApp) -> KeyAdmin {
    let store = Store::open(app.config.database_url.expose_secret()).await.unwrap();
    let MasterKeySource::DataDir(path) = &app.config.master_key else { panic!() };
    let master = tokenry::master_key::read(path).unwrap();
    let clock: Arc<dyn Clock> = app.clock.clone();
    KeyAdmin::open(store, master, clock, Arc::new(SystemRandom)).await.unwrap()
}

/// Another server on the same database, with a data directory of its own.
async fn replica(app: &TestApp) -> TestApp {
    let MasterKeySource::DataDir(path) = &app.config.master_key else { panic!() };
    let (url, path) = (app.config.database_url.clone(), path.clone());
    let providers = app.config.providers.clone();
    TestApp::start_with(|config| {
        config.database_url = url;
        config.master_key = MasterKeySource::File(path);
        config.providers = providers;
    })
    .await
}

fn at(app: &TestApp, user: &TestUser) -> TestUser {
    let mut api = app.anonymous();
    api.token.clone_from(&user.api.token);
    TestUser { name: user.name.clone(), api }
}

fn spool(app: &TestApp) -> Spool {
    Spool::new(app.data_dir().join("spool"))
}

#[tokio::test]
async fn a_refresh_token_on_its_way_is_not_lost_when_its_row_is_sealed_again() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let grant = || world.sandbox.issue_grants(CLIENT_ID, "person", 1, "profile email").unwrap().remove(0);
    let (first, second) = (grant(), grant());
    let refresh = first.refresh_token.as_ref().unwrap().expose_secret().to_owned();
    let body = json!({
        "kind": "oauth2", "service": "sandbox", "access_token": first.access_token.expose_secret(),
        "refresh_token": refresh, "expires_in": 3600,
    });
    let path = "/api/users/ada/connections";
    let id = ada.api.post(path, &body).await.expect(StatusCode::CREATED).json()["id"].as_i64().unwrap();
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(Fault::on_refresh(FaultKind::SlowBody { ms_total: 3000 }));
    let reader = ada.clone();
    let read = tokio::spawn(async move { reader.get_token(id).await });
    eventually("the refresh token is spent", async || world.seen().refreshes == 1).await;
    // A reconnect keeps the refresh token that the row has, and that row is sealed again, with another key.
    let body = json!({
        "kind": "oauth2", "service": "sandbox", "access_token": second.access_token.expose_secret(),
        "expires_in": 3600,
    });
    assert_eq!(ada.api.post(path, &body).await.expect(StatusCode::OK).json()["id"], id);
    let admin = admin(&world.app).await;
    assert_eq!(admin.rotate().await.unwrap(), 2);
    world.app.server().broker().do_keys().await.unwrap();
    assert_eq!(admin.status().await.unwrap().sealed_with(1), 0, "the row was not sealed again in time");
    assert!(!read.is_finished(), "the answer came too early for this test");
    read.await.unwrap();
    world.app.clock.advance(PAST_EXPIRY);
    let answer = ada.get_token(id).await;
    assert_eq!((answer.status.as_u16(), world.seen().reuses_detected), (200, 0), "{answer:?}");
    admin.close().await;
}

#[tokio::test]
async fn a_refresh_in_flight_lands_in_a_row_that_was_sealed_again() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(Fault::on_refresh(FaultKind::SlowBody { ms_total: 2000 }));
    let reader = ada.clone();
    let read = tokio::spawn(async move { reader.token_of(id).await });
    eventually("the refresh token is spent", async || world.seen().refreshes == 1).await;
    let admin = admin(&world.app).await;
    admin.rotate().await.unwrap();
    world.app.server().broker().do_keys().await.unwrap();
    let fresh = read.await.unwrap();
    assert_eq!(ada.token_of(id).await, fresh);
    world.app.clock.advance(PAST_EXPIRY);
    assert_ne!(ada.token_of(id).await, fresh);
    assert_eq!((world.seen().refresh_attempts, world.seen().reuses_detected), (2, 0));
    admin.close().await;
}

#[tokio::test]
async fn a_replica_reads_at_once_what_another_sealed_with_a_key_it_has_not_seen() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let other = replica(&world.app).await;
    let there = at(&other, &ada);
    let old = ada.add("old", "spotify", "an old token").await;
    let admin = admin(&world.app).await;
    for round in 2..5 {
        assert_eq!(admin_again(&world.app).await, round);
        world.app.server().broker().do_keys().await.unwrap();
        let token = format!("token {round}");
        let id = ada.add("new", "spotify", &token).await;
        assert_eq!(there.token_of(id).await, token);
        assert_eq!(there.token_of(old).await, "an old token");
        assert!(there.list().await.iter().any(|each| each["Token"] == token.as_str()));
    }
    assert_eq!(admin.status().await.unwrap().keys.len(), 4);
    admin.close().await;
}

async fn admin_again(app: &TestApp) -> u32 {
    let admin = admin(app).await;
    let id = admin.rotate().await.unwrap();
    admin.close().await;
    id
}

/// A process that does not know of a new key goes on with the former one, which cannot be retired while it may.
#[tokio::test]
async fn a_key_is_not_retired_while_a_replica_may_seal_with_it() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let mut other = replica(&world.app).await;
    admin_again(&world.app).await;
    world.app.server().broker().do_keys().await.unwrap();
    let admin = admin(&world.app).await;
    let refused = admin.retire(1, &spool(&world.app), None).await.unwrap_err();
    assert!(matches!(refused, KeyError::Held { .. }), "{refused}");
    assert!(refused.to_string().contains("2 processes that run"), "{refused}");
    let refused = admin.retire(2, &spool(&world.app), None).await.unwrap_err();
    assert!(matches!(refused, KeyError::Current(2)), "{refused}");
    assert!(matches!(admin.retire(9, &spool(&world.app), None).await, Err(KeyError::NoSuchKey(9))));

    // Whoever ends in order lets go of it; who began after the rotation never held it.
    other.stop().await;
    let app = world.app.restart_with(|_| {}).await;
    admin.retire(1, &spool(&app), None).await.unwrap();
    assert!(matches!(admin.retire(1, &spool(&app), None).await, Err(KeyError::RetiredAlready(1))));
    let ada = at(&app, &ada);
    let id = ada.add("new", "spotify", "a new token").await;
    assert_eq!(ada.token_of(id).await, "a new token");
    let rows = admin.status().await.unwrap();
    assert_eq!((rows.keys.len(), rows.retired.len()), (1, 1));
    admin.close().await;
}

/// Even a process that nothing holds back, because its hold was struck out, cannot write with a key that is gone.
#[tokio::test]
async fn what_a_stale_replica_seals_with_a_retired_key_is_not_taken_and_it_recovers() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let stale = replica(&world.app).await;
    admin_again(&world.app).await;
    world.app.server().broker().do_keys().await.unwrap();
    let url = world.app.config.database_url.expose_secret().to_owned();
    let store = Store::open(&url).await.unwrap();
    for hold in store.list_key_holds().await.unwrap() {
        store.delete_key_hold(&hold.holder, hold.key_id).await.unwrap();
    }
    assert!(store.delete_key(1, world.app.clock.now()).await.unwrap());

    let there = at(&stale, &ada);
    let body = json!({"name": "n", "token_type": "spotify", "token": "a pasted token"});
    let tried = there.api.post(&there.path("add/connection"), &body).await;
    // It has either read the ring by itself in the meantime, or the database said no.
    assert!([200, 503].contains(&tried.status.as_u16()), "{tried:?}");
    stale.server().broker().do_keys().await.unwrap();
    let id = there.add("mine", "spotify", "a pasted token").await;
    assert_eq!(ada.token_of(id).await, "a pasted token");
    let all = store.count_sealed().await.unwrap();
    assert!(all.iter().all(|each| each.key == Some(2)), "{all:?}");
    store.close().await;
}

#[tokio::test]
async fn a_key_stays_for_the_token_in_a_spool_until_its_server_is_back() {
    // One who holds SQLite's write lock is what keeps the answer out.
    let mut world = World::start_with(|config| {
        config.database_url = format!("sqlite://{}", config.data_dir.join("tokenry.db").display()).into();
    })
    .await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    world.app.server().broker().do_keys().await.unwrap();
    // Somebody holds the write lock while the answer comes, and the server ends before it is given back.
    world.sandbox.inject(Fault::on_refresh(FaultKind::Delay { ms: 4000 }));
    let reader = ada.clone();
    let read = tokio::spawn(async move { reader.token_of(id).await });
    eventually("the provider is asked", async || world.seen().refresh_attempts == 1).await;
    let url = world.app.config.database_url.expose_secret().to_owned();
    let mut lock = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut lock).await.unwrap();
    let fresh = read.await.unwrap();
    world.app.stop().await;
    // A write that was under way when it stopped waits in SQLite itself for as long as SQLite waits for a lock.
    tokio::time::sleep(Duration::from_secs(11)).await;
    lock.close().await.unwrap();
    assert_eq!(spool(&world.app).list().unwrap().len(), 1);

    assert_eq!(admin_again(&world.app).await, 2);
    let mut other = replica(&world.app).await;
    other.server().broker().do_keys().await.unwrap();
    let admin = admin(&world.app).await;
    assert_eq!(admin.status().await.unwrap().sealed_with(1), 0);
    let here = admin.retire(1, &spool(&world.app), None).await.unwrap_err();
    assert!(matches!(here, KeyError::Spooled { count: 1, .. }), "{here}");
    // From a machine that does not see that spool.
    let elsewhere = admin.retire(1, &spool(&other), None).await.unwrap_err();
    assert!(matches!(elsewhere, KeyError::Held { .. }), "{elsewhere}");
    let name = spool(&world.app).name("none").unwrap();
    let alive = admin.retire(1, &spool(&other), Some(&name)).await.unwrap_err();
    assert!(matches!(alive, KeyError::SpoolInUse(_)), "{alive}");

    let app = world.app.restart_with(|_| {}).await;
    let ada = at(&app, &ada);
    assert_eq!(ada.token_of(id).await, fresh);
    // The process that ended is dead now, and its spool holds nothing any more. The one that took the answer up holds the
    // key for as long as it has it in memory, and a moment more.
    eventually("the key is retired", async || {
        app.clock.advance(Duration::from_mins(3));
        app.server().broker().do_keys().await.unwrap();
        match admin.retire(1, &spool(&app), None).await {
            Ok(()) => true,
            Err(KeyError::Held { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    app.clock.advance(PAST_EXPIRY);
    assert_ne!(ada.token_of(id).await, fresh);
    assert_eq!(world.sandbox.seen().reuses_detected, 0);
    admin.close().await;
    other.stop().await;
}

#[tokio::test]
async fn a_token_signed_with_a_key_that_a_replica_has_not_read_is_good_there_at_once() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let other = replica(&world.app).await;
    let operator = admin(&world.app).await;
    for kid in 2..5 {
        assert_eq!(operator.rotate_signing().await.unwrap(), kid);
        world.app.server().broker().do_keys().await.unwrap();
        let mut new = ada.clone();
        new.api.token = Some(new.api.log_in("ada", PASSWORD).await);
        assert_eq!(kid_of(&new), kid);
        // At the one that has not looked since, and the old token at both.
        at(&other, &new).api.get("/api/auth/user").await.expect(StatusCode::OK);
        at(&other, &ada).api.get("/api/auth/user").await.expect(StatusCode::OK);
        ada.api.get("/api/auth/user").await.expect(StatusCode::OK);
    }
    // The last token that they signed has expired, and some minutes more.
    world.app.clock.advance(Duration::from_hours(25));
    world.app.server().broker().do_keys().await.unwrap();
    let signing = operator.status().await.unwrap().signing;
    assert_eq!(signing.iter().map(|key| key.id).collect::<Vec<_>>(), [4]);
    ada.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    operator.close().await;
}

fn kid_of(user: &TestUser) -> i64 {
    use base64::Engine as _;
    let token = user.api.token.as_deref().unwrap();
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn counts_of_failed_log_ins_outlive_the_data_key_they_began_under() {
    let world = World::start().await;
    world.app.user("ada").await;
    let wrong = json!({"username": "ada", "password": "not the password"});
    for _ in 0..10 {
        world.app.anonymous().post("/api/auth/login", &wrong).await.expect(StatusCode::UNAUTHORIZED);
    }
    let throttled = async |app: &TestApp| app.anonymous().post("/api/auth/login", &wrong).await.status;
    assert_eq!(throttled(&world.app).await, StatusCode::TOO_MANY_REQUESTS);
    admin_again(&world.app).await;
    world.app.server().broker().do_keys().await.unwrap();
    assert_eq!(throttled(&world.app).await, StatusCode::TOO_MANY_REQUESTS);
    let app = world.app.restart_with(|_| {}).await;
    let operator = admin(&app).await;
    operator.retire(1, &spool(&app), None).await.unwrap();
    operator.close().await;
    let app = app.restart_with(|_| {}).await;
    assert_eq!(throttled(&app).await, StatusCode::TOO_MANY_REQUESTS);
}
