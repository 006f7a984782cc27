//! Refreshing ahead of time: a reader does not wait for a token that could have been fresh, and gets one that lives as
//! long as it asked for, or an error.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry_sandbox::{Fault, FaultKind};
use tokenry_testkit::app::{Answer, PASSWORD, TestUser};

use crate::world::{ACCESS_TTL, PAST_EXPIRY, World, eventually};

/// Within the last five minutes before a token is due, so that the background has it in sight whatever its lot was.
const NEARLY_DUE: Duration = Duration::from_secs(ACCESS_TTL.as_secs() - 3 * 60);

async fn ahead() -> World {
    World::start_with(|config| config.refresh_ahead = true).await
}

async fn refreshed(world: &World, times: u64) {
    eventually("the background refreshes it", async || world.seen().refreshes == times).await;
}

#[tokio::test]
async fn what_is_read_is_fresh_before_a_reader_has_to_wait() {
    let world = ahead().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    for round in 1..=3 {
        let old = user.token_of(id).await;
        world.app.clock.advance(NEARLY_DUE);
        refreshed(&world, round).await;
        eventually("it is in the database", async || user.list().await[0]["Token"] != old.as_str()).await;
    }
    user.token_of(id).await;
    assert_eq!(world.seen().refresh_attempts, 3);
}

#[tokio::test]
async fn what_nobody_reads_waits_for_its_next_reader() {
    let world = ahead().await;
    let user = world.app.user("ada").await;
    let (read, unread) = (world.connect(&user, "grace").await, world.connect(&user, "linus").await);
    let stored = async || -> Vec<serde_json::Value> {
        user.list().await.into_iter().map(|connection| connection["Token"].clone()).collect()
    };
    let old = stored().await;
    // Days later a program comes that has only ever used the one.
    world.app.clock.advance(Duration::from_hours(8 * 24));
    let mut user = user.clone();
    user.api.token = Some(user.api.log_in("ada", PASSWORD).await);
    let fresh = user.token_of(read).await;
    eventually("its use is written down", async || used(&world, read).await).await;
    world.app.clock.advance(NEARLY_DUE);
    refreshed(&world, 2).await;
    eventually("it is in the database", async || user.list().await[0]["Token"] != fresh.as_str()).await;
    let now = user.list().await;
    assert_eq!(now[1]["Token"], old[1], "nobody reads it, and it was refreshed all the same");
    user.token_of(unread).await;
    assert_eq!(world.seen().refreshes, 3);
}

/// Whether the row knows that its token was handed out.
async fn used(world: &World, id: i64) -> bool {
    let sql = format!(
        "SELECT name, CAST(CASE WHEN last_used_at IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM connections WHERE id = {id}"
    );
    world.rows(&sql).await[0].1 == 1
}

#[tokio::test]
async fn a_failure_ahead_of_time_is_tried_again_by_itself() {
    let world = ahead().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.sandbox.inject(Fault::on_refresh(FaultKind::Status { code: 500, retry_after_s: None }));
    world.app.clock.advance(NEARLY_DUE);
    eventually("the first try fails", async || world.seen().refresh_attempts == 1).await;
    eventually("the failure is written down", async || {
        world.app.clock.advance(Duration::from_secs(5));
        world.seen().refreshes == 1
    })
    .await;
    user.token_of(id).await;
    assert_eq!(world.seen().refresh_attempts, 2);
}

async fn get_with(user: &TestUser, id: i64, min_valid_for: &str) -> Answer {
    user.api.get(&user.path(&format!("get/connection/{id}?min_valid_for={min_valid_for}"))).await
}

#[tokio::test]
async fn a_reader_gets_a_token_that_lives_as_long_as_it_asked_for_or_an_error() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let first = get_with(&user, id, "3000").await.expect(StatusCode::OK).text("token");
    assert_eq!(world.seen().refresh_attempts, 0);

    // Good, not due, and too short for this reader alone.
    world.app.clock.advance(Duration::from_mins(20));
    assert_eq!(user.token_of(id).await, first);
    let second = get_with(&user, id, "3000").await.expect(StatusCode::OK).text("token");
    assert_ne!(second, first);
    assert_eq!(world.seen().refreshes, 1);

    // Longer than the provider's tokens live: asking again and again costs the provider nothing.
    for _ in 0..3 {
        let refused = get_with(&user, id, "7200").await.expect_error(422, "invalid_field");
        let said = refused.text("message");
        assert!(said.contains("`min_valid_for`") && said.contains("3600 s"), "{said}");
    }
    assert_eq!(world.seen().refresh_attempts, 1);

    // The provider is away: the old token would be shorter than what was asked for.
    world.app.clock.advance(Duration::from_mins(30));
    world.sandbox.inject(Fault::on_refresh(FaultKind::Status { code: 503, retry_after_s: Some(9) }));
    get_with(&user, id, "3000").await.expect_error(503, "provider_unavailable");
    assert_eq!(user.token_of(id).await, second);
    world.app.clock.advance(Duration::from_secs(10));
    get_with(&user, id, "3000").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_wish_that_is_no_number_of_seconds_is_refused() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = user.add("mine", "github", "pasted").await;
    for wish in ["", "-1", "1.5", "soon", "31536001", "99999999999999999999", "1&min_valid_for=2"] {
        get_with(&user, id, wish).await.expect_error(422, "invalid_field");
    }
    // A token without a known end outlives every wish.
    assert_eq!(get_with(&user, id, "31536000").await.expect(StatusCode::OK).text("token"), "pasted");
    world.app.clock.advance(PAST_EXPIRY);
}
