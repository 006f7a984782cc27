//! A clock that jumps ahead by a day and comes back: nothing is spent twice, and nothing stays wrong for longer than the jump.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_model::Clock as _;
use tokenry_sandbox::{Endpoint, Fault, FaultKind};
use tokenry_testkit::app::{PASSWORD, TestApp};

use crate::world::{PAST_EXPIRY, World, browser_with, token_requests};

const A_DAY: Duration = Duration::from_hours(24);
const LONG: Duration = Duration::from_hours(24 * 30);

async fn world() -> World {
    World::start_with(|config| config.session_ttl = LONG).await
}

#[tokio::test]
async fn a_token_that_came_tomorrow_is_fetched_anew_once_the_clock_is_right_again() {
    let world = world().await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    world.app.clock.advance(A_DAY);
    ada.token_of(id).await;
    assert_eq!(world.seen().refreshes, 1);
    world.app.clock.put_back(A_DAY);
    // By what was written tomorrow it would be good for a day yet.
    let fresh = ada.token_of(id).await;
    assert_eq!(world.seen().refreshes, 2);
    for _ in 0..3 {
        assert_eq!(ada.token_of(id).await, fresh);
    }
    let seen = world.seen();
    assert_eq!((seen.refreshes, seen.reuses_detected), (2, 0));
}

#[tokio::test]
async fn a_clock_that_goes_back_by_a_day_costs_each_token_one_refresh() {
    let world = world().await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    world.app.clock.put_back(A_DAY);
    let fresh = ada.token_of(id).await;
    for _ in 0..3 {
        assert_eq!(ada.token_of(id).await, fresh);
    }
    let seen = world.seen();
    assert_eq!((seen.refreshes, seen.reuses_detected), (1, 0));
    // A pasted token knows no time.
    let pasted = ada.add("pasted", "spotify", "mine").await;
    assert_eq!(ada.token_of(pasted).await, "mine");
}

#[tokio::test]
async fn a_lease_that_was_left_behind_tomorrow_is_taken_over_when_nobody_keeps_it() {
    let world = world().await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    let tomorrow = world.app.clock.now().plus(A_DAY).micros();
    let left = format!(
        "UPDATE connections SET lease_owner = 'gone', lease_until = {tomorrow} RETURNING name, lease_until"
    );
    assert_eq!(world.rows(&left).await.len(), 1);
    let (one, other) = tokio::join!(ada.get_token(id), ada.get_token(id));
    assert_eq!(one.expect(StatusCode::OK).text("token"), other.expect(StatusCode::OK).text("token"));
    let seen = world.seen();
    assert_eq!((seen.refreshes, seen.reuses_detected), (1, 0));
}

#[tokio::test]
async fn a_pause_that_was_asked_for_tomorrow_does_not_last_until_then() {
    let world = world().await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    world.app.clock.advance(A_DAY * 2);
    let limited = FaultKind::Status { code: 429, retry_after_s: Some(60) };
    world.sandbox.inject(Fault::on_refresh(limited));
    let answer = ada.get_token(id).await.expect_error(503, "provider_unavailable");
    assert_eq!(answer.header("retry-after"), "60");
    ada.get_token(id).await.expect_error(503, "provider_unavailable");
    world.app.clock.put_back(A_DAY * 2);
    world.app.clock.advance(PAST_EXPIRY);
    ada.token_of(id).await;
}

#[tokio::test]
async fn wrong_passwords_of_tomorrow_lock_nobody_out_today_and_are_counted_anew() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let try_log_in = async |password: &str| {
        let body = json!({"username": "ada", "password": password});
        app.anonymous().post("/api/auth/login", &body).await.status.as_u16()
    };
    app.clock.advance(A_DAY);
    for _ in 0..10 {
        assert_eq!(try_log_in("wrong password").await, 401);
    }
    assert_eq!(try_log_in(PASSWORD).await, 429);
    app.clock.put_back(A_DAY);
    for _ in 0..10 {
        assert_eq!(try_log_in("wrong password").await, 401);
    }
    assert_eq!(try_log_in(PASSWORD).await, 429);
}

#[tokio::test]
async fn a_session_and_a_link_of_tomorrow_are_good_and_one_of_yesterday_is_over_for_as_long_as_it_is_tomorrow()
 {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let (link, cookie) = ada.link("sandbox").await;
    world.app.clock.advance(A_DAY * 2);
    ada.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    let late = browser_with(&world.app, &cookie).consent_sandbox(&link, "grace").await;
    assert!(late.body.contains("expired"), "{}", late.body);
    let mut tomorrow = ada.clone();
    tomorrow.api.token = Some(ada.api.log_in("ada", PASSWORD).await);
    let (link, cookie) = tomorrow.link("sandbox").await;
    world.app.clock.put_back(A_DAY * 2);
    // A log-out ends it all the same; it lives longer by as much as the clock was wrong.
    tomorrow.api.get("/api/auth/user").await.expect(StatusCode::OK);
    ada.api.get("/api/auth/user").await.expect(StatusCode::OK);
    let page = browser_with(&world.app, &cookie).consent_sandbox(&link, "grace").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_eq!(token_requests(&world.seen()), 1);
    ada.api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);
    tomorrow.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
}

#[tokio::test]
async fn a_revocation_of_tomorrow_is_made_and_chores_do_not_mind_the_clock() {
    let world = world().await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    world.app.clock.advance(A_DAY);
    let away = FaultKind::Status { code: 503, retry_after_s: None };
    world.sandbox.inject(Fault::once(Endpoint::Revoke, away));
    ada.api.delete(&ada.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    world.app.server().broker().do_chores().await;
    world.app.clock.put_back(A_DAY);
    world.app.server().broker().do_chores().await;
    assert_eq!(world.seen().live_families, 1);
    // It waits until the time it was put off to has come: for as long as the clock was wrong, and no longer.
    world.app.clock.advance(A_DAY + Duration::from_mins(5));
    world.app.server().broker().do_chores().await;
    assert_eq!(world.seen().live_families, 0);
}
