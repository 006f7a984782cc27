//! What one user may not do to the others, nor to a provider.

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokenry_sandbox::{Endpoint, Fault, FaultKind};
use tokenry_testkit::app::{CLIENT_ID, TestUser};

use crate::services::Services;
use crate::world::{ACCESS_TTL, PAST_EXPIRY, World, browser_with, connect, connection_on};

async fn garbage(user: &TestUser, name: &str, n: usize) -> i64 {
    let body = json!({
        "kind": "oauth2", "service": "sandbox", "access_token": format!("garbage-{n}"),
        "refresh_token": format!("garbage-refresh-{n}"), "expires_in": 0,
    });
    let answer = user.api.post(&format!("/api/users/{name}/connections"), &body).await;
    answer.expect(StatusCode::CREATED).json()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn garbage_that_one_user_brings_opens_no_circuit_for_the_others() {
    let world = World::start().await;
    let (ada, mallory) = (world.app.user("ada").await, world.app.user("mallory").await);
    let id = world.connect(&ada, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    let mut reads = tokio::task::JoinSet::new();
    for n in 0..5 {
        let id = garbage(&mallory, "mallory", n).await;
        let mallory = mallory.clone();
        reads.spawn(async move { mallory.get_token(id).await });
    }
    reads.join_all().await;
    ada.get_token(id).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_client_of_ones_own_that_is_refused_is_not_the_operators_fault() {
    let services = Services::start().await;
    let body = json!({
        "kind": "client_credentials", "service": "sandbox", "client_id": "of-ada", "client_secret": "her secret",
    });
    let own = services.imported(&body).await;
    services.app.clock.advance(PAST_EXPIRY);
    // Its owner deletes the application at the service.
    let refused = FaultKind::OAuthError { code: "invalid_client".into(), status: 401 };
    services.sandbox.inject(Fault::once(Endpoint::Token, refused));
    services.ada.get_token(own["id"].as_i64().unwrap()).await;
    let metrics = services.app.anonymous().get("/metrics").await.body;
    let blamed: Vec<&str> = metrics
        .lines()
        .filter(|line| line.contains("provider=\"sandbox\"") && line.ends_with(" 1"))
        .filter(|line| line.contains("fault") || line.contains("circuit"))
        .collect();
    let detail = services.ada.detail(own["id"].as_i64().unwrap()).await;
    assert_eq!(detail["provider_trouble"], Value::Null, "{blamed:?}");
}

#[tokio::test]
async fn a_client_of_ones_own_that_is_told_to_wait_does_not_stop_the_others() {
    let services = Services::start().await;
    let bob = services.app.user("bob").await;
    let id = connect(&services.app, &bob, "sandbox", "grace").await;
    let body = json!({
        "kind": "client_credentials", "service": "sandbox", "client_id": "of-ada", "client_secret": "her secret",
    });
    let own = services.imported(&body).await;
    services.app.clock.advance(PAST_EXPIRY);
    let limited = FaultKind::Status { code: 429, retry_after_s: Some(86_400) };
    services.sandbox.inject(Fault::once(Endpoint::Token, limited));
    services.ada.get_token(own["id"].as_i64().unwrap()).await;
    bob.get_token(id).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_reader_who_wants_the_longest_life_does_not_make_a_request_of_every_read() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    for _ in 0..20 {
        let path =
            format!("/api/users/ada/connections/{id}/token?min_valid_for={}", ACCESS_TTL.as_secs() - 1);
        ada.api.get(&path).await;
        world.app.clock.advance(std::time::Duration::from_secs(2));
    }
    let attempts = world.seen().refresh_attempts;
    assert!(attempts <= 2, "{attempts} refreshes for 20 reads within 40 s of tokens that live for an hour");
}

#[tokio::test]
async fn the_operators_own_power_at_a_service_is_not_every_users() {
    let services = Services::start().await;
    // `sandbox` is there to connect people's accounts; nobody said that users may act as the app itself.
    let body = json!({"kind": "client_credentials", "service": "sandbox", "scopes": ["profile"]});
    let answer = services.import(&body).await;
    assert!(!answer.status.is_success(), "{}", answer.body);
}

#[tokio::test]
async fn the_same_account_number_at_two_tenants_is_two_accounts() {
    let services =
        Services::start_with(|options| options.quirks.tenants = Some(tokenry_sandbox::quirks::Tenants::Path))
            .await;
    let mut ids = Vec::new();
    for tenant in ["acme", "beta"] {
        let body = json!({"service": "tenants", "settings": {"tenant": tenant}});
        let answer = services.ada.api.post("/api/users/ada/connections/authorize", &body).await;
        let answer = answer.expect(StatusCode::OK);
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let mut browser = browser_with(&services.app, &cookie);
        ids.push(connection_on(&browser.consent_sandbox(answer.text("url"), "grace").await));
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(services.ada.detail(ids[0]).await["settings"], json!({"tenant": "acme"}));
}

#[tokio::test]
async fn what_one_user_brings_does_not_eat_the_probes_of_a_circuit() {
    let world = World::start().await;
    let (ada, mallory) = (world.app.user("ada").await, world.app.user("mallory").await);
    let id = world.connect(&ada, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(garbage(&mallory, "mallory", n).await);
    }
    let mut reads = tokio::task::JoinSet::new();
    for id in ids.clone() {
        let mallory = mallory.clone();
        reads.spawn(async move { mallory.get_token(id).await });
    }
    reads.join_all().await;
    // Mallory is always a little faster than anybody else, for eleven minutes.
    let mut refused = 0;
    for _ in 0..66 {
        world.app.clock.advance(std::time::Duration::from_secs(10));
        mallory.get_token(ids[0]).await;
        if ada.get_token(id).await.status == StatusCode::OK {
            break;
        }
        refused += 1;
    }
    assert!(refused < 10, "{refused} reads in a row, ten seconds apart, were refused");
}

#[tokio::test]
async fn a_new_access_token_alone_does_not_throw_away_the_refresh_token_that_is_on_its_way() {
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
    // The refresh token is spent at once; the answer takes its time.
    world.sandbox.inject(Fault::on_refresh(FaultKind::SlowBody { ms_total: 2000 }));
    let reader = ada.clone();
    let read = tokio::spawn(async move { reader.get_token(id).await });
    crate::world::eventually("the refresh token is spent", async || world.seen().refreshes == 1).await;
    // The same account comes again meanwhile, without a refresh token: many services give one only once.
    let body = json!({
        "kind": "oauth2", "service": "sandbox", "access_token": second.access_token.expose_secret(),
        "expires_in": 3600,
    });
    let again = ada.api.post(path, &body).await.expect(StatusCode::OK).json();
    assert_eq!(again["id"], id);
    read.await.unwrap();
    world.app.clock.advance(PAST_EXPIRY);
    let answer = ada.get_token(id).await;
    assert_eq!((answer.status.as_u16(), world.seen().reuses_detected), (200, 0), "{answer:?}");
}
