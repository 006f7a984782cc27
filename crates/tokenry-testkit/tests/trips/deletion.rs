//! Deleting and replacing: the grant is given back at the provider, now or as soon as it hears.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_sandbox::{Endpoint, Fault, FaultKind};
use tokenry_testkit::app::TestUser;

use crate::world::{PAST_EXPIRY, World, events_at, eventually};

/// The first pause before a revocation is tried again, and a little more.
const PAUSE: Duration = Duration::from_secs(31);

async fn delete(user: &TestUser, id: i64) {
    let answer = user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    assert_eq!(answer.json(), json!({"message": "deleted connection successfully"}));
    user.get_token(id).await.expect_error(404, "no_such_connection");
}

fn revoke_fails(times: u32, kind: FaultKind) -> Fault {
    Fault::once(Endpoint::Revoke, kind).times(times)
}

const AWAY: FaultKind = FaultKind::Status { code: 503, retry_after_s: None };

#[tokio::test]
async fn a_deleted_connection_is_revoked_at_the_provider_before_the_answer() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    delete(&user, id).await;
    let seen = world.seen();
    assert_eq!((seen.live_families, seen.revocations), (0, 1));
    // The refresh token, and the access token as well: with RFC 7009 §2.1, one need not end the other.
    assert_eq!(events_at(&seen, "revoke"), 2);
    let again = user.path(&format!("connection/delete/{id}"));
    user.api.delete(&again).await.expect_error(404, "no_such_connection");
    assert_eq!(events_at(&world.seen(), "revoke"), 2);
}

#[tokio::test]
async fn a_deleted_connection_leaves_the_others_alone() {
    let world = World::start().await;
    let (ada, bob) = (world.app.user("ada").await, world.app.user("bob").await);
    let (gone, stays) = (world.connect(&ada, "grace").await, world.connect(&ada, "linus").await);
    let his = world.connect(&bob, "grace").await;
    delete(&ada, gone).await;
    assert_eq!(world.seen().live_families, 2);
    world.app.clock.advance(PAST_EXPIRY);
    ada.token_of(stays).await;
    bob.token_of(his).await;
}

#[tokio::test]
async fn a_connection_that_must_be_connected_again_can_be_deleted() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.sandbox.forget_grants_of("grace");
    world.app.clock.advance(PAST_EXPIRY);
    user.get_token(id).await.expect_error(409, "reconnect_required");
    delete(&user, id).await;
}

#[tokio::test]
async fn a_replaced_token_gives_the_grant_back_and_is_plain_from_then_on() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let replace = user.path(&format!("update/connection/token/{id}"));
    let answer = user.api.put(&replace, &json!({"token": "pasted"})).await.expect(StatusCode::OK);
    assert_eq!(answer.json(), json!({"message": "updated connection successfully"}));
    assert_eq!((world.seen().live_families, world.seen().revocations), (0, 1));
    world.app.clock.advance(PAST_EXPIRY);
    assert_eq!(user.token_of(id).await, "pasted");
    assert_eq!(world.seen().refresh_attempts, 0);
    // Nothing is left to give back.
    let before = events_at(&world.seen(), "revoke");
    delete(&user, id).await;
    assert_eq!(events_at(&world.seen(), "revoke"), before);
}

#[tokio::test]
async fn an_account_is_free_for_a_new_connection_once_its_token_was_replaced() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let first = world.connect(&user, "grace").await;
    let replace = user.path(&format!("update/connection/token/{first}"));
    user.api.put(&replace, &json!({"token": "pasted"})).await.expect(StatusCode::OK);
    let second = world.connect(&user, "grace").await;
    assert_ne!(first, second);
    assert_eq!(user.token_of(first).await, "pasted");
}

#[tokio::test]
async fn a_provider_that_is_away_does_not_block_the_delete_and_is_told_later() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let kinds = [AWAY, FaultKind::Drop, FaultKind::Status { code: 429, retry_after_s: Some(1) }];
    for kind in kinds {
        world.sandbox.inject(revoke_fails(1, kind));
    }
    delete(&user, id).await;
    assert_eq!((world.seen().live_families, world.seen().faults_served), (1, 1));

    // Not before the pause is over, which doubles each time: 30, 60, 120 s.
    for (pause_s, faults, living) in [(30, 2, 1), (60, 3, 1), (120, 3, 0)] {
        let before = world.seen().faults_served;
        world.app.clock.advance(Duration::from_secs(pause_s - 10));
        world.app.server().broker().do_chores().await;
        assert_eq!((world.seen().faults_served, world.seen().live_families), (before, 1));
        world.app.clock.advance(PAUSE);
        world.app.server().broker().do_chores().await;
        eventually("it is tried again", async || {
            (world.seen().faults_served, world.seen().live_families) == (faults, living)
        })
        .await;
    }

    // It is done: nothing is told twice.
    let before = events_at(&world.seen(), "revoke");
    world.app.clock.advance(Duration::from_hours(2));
    world.app.server().broker().do_chores().await;
    assert_eq!(events_at(&world.seen(), "revoke"), before);
}

#[tokio::test]
async fn a_revocation_that_is_due_outlives_a_restart() {
    let mut world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.sandbox.inject(revoke_fails(1, AWAY));
    delete(&user, id).await;
    assert_eq!(world.seen().live_families, 1);
    world.app = world.app.restart_with(|_| {}).await;
    world.app.clock.advance(PAUSE);
    world.app.server().broker().do_chores().await;
    eventually("the grant is revoked", async || world.seen().live_families == 0).await;
}

#[tokio::test]
async fn a_provider_that_does_not_answer_holds_the_delete_up_for_a_few_seconds_at_most() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.sandbox.inject(revoke_fails(1, FaultKind::Delay { ms: 9000 }));
    let start = std::time::Instant::now();
    delete(&user, id).await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    // The revocation was not given up with the wait.
    eventually("the grant is revoked", async || world.seen().live_families == 0).await;
}

#[tokio::test]
async fn a_plain_token_is_nobody_elses_to_revoke() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = user.add("pasted", "sandbox", "a-token").await;
    delete(&user, id).await;
    assert_eq!(events_at(&world.seen(), "revoke"), 0);
}
