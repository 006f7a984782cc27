//! A refresh that fails: whose fault it is, and what the reader gets.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokenry_model::ProviderId;
use tokenry_sandbox::{Fault, FaultKind};
use tokenry_testkit::app::{TestApp, providers};

use crate::little::{Little, deliver};
use crate::world::{ACCESS_TTL, PAST_EXPIRY, World};

/// After this the token is due, and lives for most of a minute yet.
const JUST_DUE: Duration = Duration::from_secs(ACCESS_TTL.as_secs() - 59);
/// How long a provider is left alone after a failure that names no time, at most, while failures are few.
const A_PAUSE: u64 = 5;

fn away(code: u16, retry_after_s: Option<u64>) -> FaultKind {
    FaultKind::Status { code, retry_after_s }
}

#[tokio::test]
async fn a_grant_that_is_over_asks_for_a_person_and_is_not_tried_again() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let old = user.token_of(id).await;
    assert_eq!(world.sandbox.forget_grants_of("grace"), 1);
    world.app.clock.advance(PAST_EXPIRY);
    for _ in 0..3 {
        let refused = user.get_token(id).await.expect_error(409, "reconnect_required");
        let message = refused.text("message");
        assert!(message.contains("must be connected again"), "{message}");
        assert!(message.contains("Sandbox") && message.contains("invalid_grant"), "{message}");
    }
    assert_eq!(world.seen().refresh_attempts, 1);
    // The credential is kept: providers have incidents.
    assert_eq!(user.list().await[0]["Token"], old);
    let check = user.path(&format!("check/connection/{id}"));
    user.api.get(&check).await.expect(reqwest::StatusCode::OK);
}

/// What was left open by the first stays open, whatever turns the second away.
#[tokio::test]
async fn a_lost_answer_is_told_of_also_when_another_try_was_turned_away_in_between() {
    for (turned_away, wait) in [(away(429, Some(1)), 2), (away(503, None), A_PAUSE)] {
        let world = World::start().await;
        let user = world.app.user("ada").await;
        let id = world.connect(&user, "grace").await;
        world.app.clock.advance(PAST_EXPIRY);
        world.sandbox.inject(Fault::on_refresh(FaultKind::DropAfter));
        user.get_token(id).await.expect_error(503, "provider_unavailable");
        assert_eq!(world.seen().refreshes, 1, "nothing was spent");
        for fault in [turned_away.clone(), turned_away] {
            world.sandbox.inject(Fault::on_refresh(fault));
            world.app.clock.advance(Duration::from_secs(A_PAUSE));
            user.get_token(id).await.expect_error(503, "provider_unavailable");
            world.app.clock.advance(Duration::from_secs(wait));
        }
        let said = user.get_token(id).await.expect_error(409, "reconnect_required").text("message");
        assert!(said.contains("never got its answer"), "{said}");
    }
}

#[tokio::test]
async fn the_mark_outlives_a_restart() {
    let mut world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.sandbox.forget_grants_of("grace");
    world.app.clock.advance(PAST_EXPIRY);
    user.get_token(id).await.expect_error(409, "reconnect_required");
    world.app = world.app.restart_with(|_| {}).await;
    user.get_token(id).await.expect_error(409, "reconnect_required");
    assert_eq!(world.seen().refresh_attempts, 1);
}

#[tokio::test]
async fn wrong_client_credentials_are_the_operators_fault_and_mark_no_connection() {
    let mut world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let sandbox = ProviderId::parse("sandbox").unwrap();
    let right = world.app.config.providers[&sandbox].clone();
    world.app = world
        .app
        .restart_with(|config| {
            config.providers.get_mut(&sandbox).unwrap().client_secret = Some("not the secret".into());
        })
        .await;
    world.app.clock.advance(PAST_EXPIRY);
    for attempts in 1..=2 {
        let refused = user.get_token(id).await.expect_error(502, "provider_refused");
        assert!(refused.text("message").contains("invalid_client"), "{refused:?}");
        assert_eq!(world.seen().refresh_attempts, attempts);
    }
    world.app = world.app.restart_with(|config| *config.providers.get_mut(&sandbox).unwrap() = right).await;
    user.token_of(id).await;
    assert_eq!(world.seen().refreshes, 1);
}

#[tokio::test]
async fn while_the_provider_is_away_a_token_that_still_lives_is_served() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let old = user.token_of(id).await;
    world.app.clock.advance(JUST_DUE);
    let faults = [
        away(503, Some(7)),
        away(500, None),
        away(429, Some(7)),
        FaultKind::Drop,
        FaultKind::Malformed,
        FaultKind::OAuthError { code: "invalid_client".into(), status: 401 },
        FaultKind::OAuthError { code: "temporarily_unavailable".into(), status: 400 },
    ];
    for (fault, attempts) in faults.into_iter().zip(1..) {
        world.sandbox.inject(Fault::on_refresh(fault.clone()));
        assert_eq!(user.token_of(id).await, old, "{fault:?}");
        assert_eq!(world.seen().refresh_attempts, attempts, "{fault:?}");
        // As long as it asked for, or until the next try is due.
        let FaultKind::Status { retry_after_s, .. } = fault else {
            world.app.clock.advance(Duration::from_secs(A_PAUSE));
            continue;
        };
        world.app.clock.advance(Duration::from_secs(retry_after_s.unwrap_or(A_PAUSE)));
    }
    // Nothing was lost by it.
    assert_ne!(user.token_of(id).await, old);
}

#[tokio::test]
async fn while_the_provider_is_away_a_dead_token_is_not_served() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    for (fault, retry_after) in [
        (away(503, Some(7)), "7"),
        (away(429, Some(11)), "11"),
        (away(503, None), "5"),
        (away(429, None), "5"),
        (FaultKind::Drop, "5"),
        (FaultKind::ErrorInOk { code: "server_error".into() }, "5"),
    ] {
        world.sandbox.inject(Fault::on_refresh(fault.clone()));
        let answer = user.get_token(id).await.expect_error(503, "provider_unavailable");
        assert_eq!(answer.header("retry-after"), retry_after, "{fault:?}");
        assert!(answer.text("message").starts_with("Sandbox is not answering"), "{answer:?}");
        world.app.clock.advance(Duration::from_secs(retry_after.parse::<u64>().unwrap() + A_PAUSE));
    }
    user.token_of(id).await;
    let seen = world.seen();
    assert_eq!((seen.refresh_attempts, seen.refreshes), (7, 1));
}

#[tokio::test]
async fn nonsense_from_the_provider_is_a_bad_gateway_and_marks_nothing() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    let elsewhere = format!("{}/userinfo", world.sandbox.base_url()).parse().unwrap();
    for fault in [
        FaultKind::Malformed,
        away(404, None),
        FaultKind::HugeBody { bytes: 2 * 1024 * 1024 },
        FaultKind::RedirectTo { url: elsewhere },
    ] {
        world.sandbox.inject(Fault::on_refresh(fault));
        user.get_token(id).await.expect_error(502, "provider_refused");
        world.app.clock.advance(Duration::from_secs(A_PAUSE));
    }
    user.token_of(id).await;
    // The one look at who the account is; the redirect was not followed.
    assert_eq!(world.seen().userinfo_calls, 1);
}

#[tokio::test]
async fn while_a_provider_asks_to_be_left_alone_nobody_asks_it() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (first, second) = (world.connect(&user, "grace").await, world.connect(&user, "linus").await);
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(Fault::on_refresh(away(429, Some(30))));
    for id in [first, second, first, second] {
        let answer = user.get_token(id).await.expect_error(503, "provider_unavailable");
        assert!((25..=30).contains(&answer.header("retry-after").parse().unwrap()), "{answer:?}");
    }
    assert_eq!(world.seen().refresh_attempts, 1);
    world.app.clock.advance(Duration::from_secs(31));
    user.token_of(first).await;
    user.token_of(second).await;
    assert_eq!(world.seen().refresh_attempts, 3);
}

#[tokio::test]
async fn a_connection_that_is_refused_again_and_again_is_set_aside_and_comes_back_by_itself() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    let odd = FaultKind::OAuthError { code: "what_is_this".into(), status: 400 };
    for _ in 0..5 {
        world.sandbox.inject(Fault::on_refresh(odd.clone()));
        let refused = user.get_token(id).await.expect_error(502, "provider_refused");
        assert!(refused.text("message").contains("what_is_this"), "{refused:?}");
        world.app.clock.advance(Duration::from_secs(10));
    }
    // It is left alone now, and says why; nobody else at the provider is.
    user.get_token(id).await.expect_error(503, "provider_unavailable");
    assert_eq!(world.seen().refresh_attempts, 5);
    let detail = user.detail(id).await;
    assert_eq!(detail["state"], "quarantined");
    assert!(detail["reason"].as_str().unwrap().contains("what_is_this"), "{detail}");
    let other = world.connect(&user, "linus").await;
    user.token_of(other).await;
    world.app.clock.advance(Duration::from_mins(5));
    user.token_of(id).await;
    let detail = user.detail(id).await;
    assert_eq!((&detail["state"], &detail["reason"]), (&"ok".into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn readers_who_share_a_refresh_that_fails_all_hear_why() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.sandbox.forget_grants_of("grace");
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(Fault::on_refresh(FaultKind::Delay { ms: 300 }));
    let readers: Vec<_> = (0..10)
        .map(|_| {
            let user = user.clone();
            tokio::spawn(async move { user.get_token(id).await })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap().expect_error(409, "reconnect_required");
    }
    assert_eq!(world.seen().refresh_attempts, 1);
}

#[tokio::test]
async fn a_dead_token_that_came_without_a_refresh_token_asks_for_a_person() {
    let little = Little::start().await;
    little.answer(Method::POST, "/token", 200, &json!({"access_token": "short", "expires_in": 600}));
    little.answer(Method::GET, "/user", 200, &json!({"id": 7, "name": "Grace"}));
    let settings = little.settings();
    let app = TestApp::start_with(|config| config.providers = providers(vec![("little", settings)])).await;
    let user = app.user("ada").await;
    let id = deliver(&app, &user, "little", "/callback/little").await;
    assert_eq!(user.token_of(id).await, "short");
    // Due, and nothing to refresh it with: good to its last second.
    app.clock.advance(Duration::from_secs(570));
    assert_eq!(user.token_of(id).await, "short");
    app.clock.advance(Duration::from_mins(1));
    for _ in 0..2 {
        let refused = user.get_token(id).await.expect_error(409, "reconnect_required");
        assert!(refused.text("message").contains("gave no refresh token"), "{refused:?}");
    }
    assert_eq!(little.seen_at("/token").len(), 1);
}
