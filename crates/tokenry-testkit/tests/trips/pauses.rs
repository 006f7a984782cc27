//! A provider that wants to be left alone is left alone by whatever asks it, and whatever it said it to.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_model::ProviderId;
use tokenry_sandbox::{Endpoint, Fault, FaultKind};

use crate::services::Services;
use crate::world::{PAST_EXPIRY, World, events_at};

fn limited(seconds: u64) -> Fault {
    Fault::once(Endpoint::Token, FaultKind::Status { code: 429, retry_after_s: Some(seconds) })
}

#[tokio::test]
async fn a_device_that_is_told_to_wait_makes_refreshes_wait_and_the_other_way_round() {
    let services = Services::start().await;
    let (app, sandbox, ada) = (services.app, services.sandbox, services.ada);
    let wait = |seconds| {
        app.clock.advance(Duration::from_secs(seconds));
        sandbox.advance(Duration::from_secs(seconds));
    };
    let begun = ada.api.post(&ada.path("connections/device"), &json!({"service": "sandbox"})).await;
    let begun = begun.expect(StatusCode::CREATED);
    let path = begun.header("location").to_owned();
    wait(5);
    sandbox.inject(limited(60));
    assert_eq!(ada.api.get(&path).await.json()["status"], "pending");
    let asked = events_at(&sandbox.seen(), "token");
    // Neither the device is asked after, nor another one begun, for as long as it said.
    wait(30);
    assert_eq!(ada.api.get(&path).await.json()["status"], "pending");
    let answer = ada.api.post(&ada.path("connections/device"), &json!({"service": "sandbox"})).await;
    let answer = answer.expect_error(503, "provider_unavailable");
    assert!((1..=30).contains(&answer.header("retry-after").parse::<u64>().unwrap()), "{answer:?}");
    assert_eq!(events_at(&sandbox.seen(), "token"), asked);
    sandbox.decide_device(&begun.text("user_code"), Some("grace")).unwrap();
    wait(60);
    assert_eq!(ada.api.get(&path).await.json()["status"], "connected");
}

#[tokio::test]
async fn an_exchange_that_is_told_to_wait_makes_refreshes_wait_and_is_itself_never_held_back() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(limited(600));
    let (mut browser, callback) = world.consent(&ada, "linus").await;
    let page = browser.get(callback).await;
    assert!(page.body.contains("fewer requests"), "{}", page.body);
    let attempts = world.seen().refresh_attempts;
    ada.get_token(id).await.expect_error(503, "provider_unavailable");
    assert_eq!(world.seen().refresh_attempts, attempts);
    // A code dies while it waits.
    let other = world.connect(&ada, "linus").await;
    ada.token_of(other).await;
}

#[tokio::test]
async fn a_client_that_is_refused_is_asked_about_once_in_a_while_however_many_read() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    let sandbox = ProviderId::parse("sandbox").unwrap();
    let right = world.app.config.providers[&sandbox].clone();
    let app = world
        .app
        .restart_with(|config| {
            config.providers.get_mut(&sandbox).unwrap().client_secret = Some("not the secret".into());
        })
        .await;
    app.clock.advance(PAST_EXPIRY);
    let attempts = || events_at(&world.sandbox.seen(), "token");
    let before = attempts();
    for _ in 0..10 {
        let refused = ada.get_token(id).await.expect_error(502, "provider_refused");
        assert!(refused.text("message").contains("invalid_client"), "{refused:?}");
    }
    assert_eq!(attempts() - before, 1);
    app.clock.advance(Duration::from_secs(6));
    ada.get_token(id).await.expect_error(502, "provider_refused");
    assert_eq!(attempts() - before, 2);

    // Whoever mends it need not wait.
    let mut mended = app.config.clone();
    *mended.providers.get_mut(&sandbox).unwrap() = right;
    app.server().reload(&mended).unwrap();
    ada.token_of(id).await;
}
