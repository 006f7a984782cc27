//! Reading a token that has expired: one refresh, whoever asks and however often, and what it brought is not lost.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokenry_model::{Clock as _, SystemClock};
use tokenry_sandbox::{Endpoint, Fault, FaultKind, Sandbox, SandboxOptions, TokenState};

use crate::world::{PAST_EXPIRY, World, eventually, sandbox_options};

/// Long enough for others to come while a refresh is under way.
const SLOW: FaultKind = FaultKind::Delay { ms: 500 };

#[tokio::test]
async fn a_token_that_is_good_is_handed_out_without_asking_the_provider() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let first = user.token_of(id).await;
    assert_eq!(user.token_of(id).await, first);
    assert_eq!(world.seen().refresh_attempts, 0);
}

#[tokio::test]
async fn fifty_readers_of_one_expired_token_cost_one_refresh() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let old = user.token_of(id).await;
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(Fault::on_refresh(SLOW));
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let user = user.clone();
            tokio::spawn(async move { user.token_of(id).await })
        })
        .collect();
    let mut tokens = Vec::new();
    for reader in readers {
        tokens.push(reader.await.unwrap());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    assert_ne!(tokens[0], old);
    let seen = world.seen();
    assert_eq!((seen.refresh_attempts, seen.refreshes, seen.reuses_detected), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_who_come_while_a_refresh_lands_do_not_start_another() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    for round in 1..=10 {
        world.app.clock.advance(PAST_EXPIRY);
        // Of so many, some look at the row just before the new token is written, and ask for a refresh just after.
        let readers: Vec<_> = (0..40)
            .map(|_| {
                let user = user.clone();
                tokio::spawn(async move { user.token_of(id).await })
            })
            .collect();
        for reader in readers {
            reader.await.unwrap();
        }
        assert_eq!(world.seen().refresh_attempts, round);
    }
}

#[tokio::test]
async fn readers_of_different_connections_do_not_wait_for_each_other() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (slow, quick) = (world.connect(&user, "grace").await, world.connect(&user, "linus").await);
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(Fault::on_refresh(FaultKind::Delay { ms: 3000 }));
    let waiting = tokio::spawn({
        let user = user.clone();
        async move { user.token_of(slow).await }
    });
    eventually("the slow refresh is under way", async || world.seen().refresh_attempts == 1).await;
    user.token_of(quick).await;
    assert!(!waiting.is_finished());
    waiting.await.unwrap();
    assert_eq!(world.seen().refreshes, 2);
}

#[tokio::test]
async fn a_reader_that_hangs_up_does_not_lose_the_refresh() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let old = user.token_of(id).await;
    world.app.clock.advance(PAST_EXPIRY);
    // The provider spends the refresh token at once, and takes its time to say so.
    world.sandbox.inject(Fault::on_refresh(FaultKind::SlowBody { ms_total: 600 }));
    let reader = tokio::spawn({
        let user = user.clone();
        async move { user.get_token(id).await }
    });
    eventually("the refresh token is spent", async || world.seen().refreshes == 1).await;
    reader.abort();
    assert!(reader.await.unwrap_err().is_cancelled());

    let new = user.token_of(id).await;
    assert_ne!(new, old);
    let seen = world.seen();
    assert_eq!((seen.refresh_attempts, seen.reuses_detected), (1, 0));
    // What was kept is the whole of it: the refresh token that came with it works.
    world.app.clock.advance(PAST_EXPIRY);
    assert_ne!(user.token_of(id).await, new);
    assert_eq!(world.seen().refreshes, 2);
}

#[tokio::test]
async fn a_stop_waits_for_a_refresh_and_keeps_what_it_brought() {
    let mut world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(Fault::on_refresh(FaultKind::SlowBody { ms_total: 600 }));
    let reader = tokio::spawn({
        let user = user.clone();
        async move { user.get_token(id).await }
    });
    eventually("the refresh token is spent", async || world.seen().refreshes == 1).await;
    reader.abort();
    world.app = world.app.restart_with(|_| {}).await;
    user.token_of(id).await;
    let seen = world.seen();
    assert_eq!((seen.refresh_attempts, seen.reuses_detected, seen.live_families), (1, 0, 1));
}

#[tokio::test]
async fn a_new_refresh_token_replaces_the_old_one_each_time() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let mut tokens = vec![user.token_of(id).await];
    for _ in 0..4 {
        world.app.clock.advance(PAST_EXPIRY);
        tokens.push(user.token_of(id).await);
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 5);
    let seen = world.seen();
    assert_eq!((seen.refreshes, seen.reuses_detected, seen.live_families), (4, 0, 1));
}

#[tokio::test]
async fn a_provider_that_sends_no_new_refresh_token_leaves_the_old_one_in_use() {
    let options = SandboxOptions { rotate: false, ..sandbox_options("sandbox") };
    let world = World::around(Sandbox::start(options).await.unwrap(), |_| {}).await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    for refreshes in 1..=3 {
        world.app.clock.advance(PAST_EXPIRY);
        user.token_of(id).await;
        assert_eq!(world.seen().refreshes, refreshes);
    }
}

#[tokio::test]
async fn a_list_shows_what_is_stored_and_refreshes_nothing() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let old = user.token_of(id).await;
    world.app.clock.advance(PAST_EXPIRY);
    assert_eq!(user.list().await[0]["Token"], old);
    assert_eq!(world.seen().refresh_attempts, 0);
    let new = user.token_of(id).await;
    assert_eq!(user.list().await[0]["Token"], new);
}

#[tokio::test]
async fn what_a_refresh_brings_for_a_connection_deleted_meanwhile_is_given_back() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    world.sandbox.inject(Fault::on_refresh(FaultKind::SlowBody { ms_total: 600 }));
    // The delete's own revocation fails, so that only the refresh's can end the grant.
    world.sandbox.inject(Fault::once(Endpoint::Revoke, FaultKind::Status { code: 503, retry_after_s: None }));
    let reader = tokio::spawn({
        let user = user.clone();
        async move { user.get_token(id).await }
    });
    eventually("the refresh token is spent", async || world.seen().refreshes == 1).await;
    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(reqwest::StatusCode::OK);
    assert_eq!(world.seen().live_families, 1);
    reader.await.unwrap().expect_error(404, "no_such_connection");
    eventually("the new grant is revoked", async || world.seen().live_families == 0).await;
}

/// The provider counts a life from when it answers, and nobody here knows how long the answer was on its way.
#[tokio::test]
async fn an_answer_that_is_slow_to_come_makes_no_token_live_longer() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    let ahead = world.app.clock.now().micros() - SystemClock.now().micros();
    world.sandbox.inject(Fault::on_refresh(FaultKind::SlowBody { ms_total: 2_000 }));
    let token = user.token_of(id).await;
    let TokenState::Living { left: Some(left), .. } = world.sandbox.state_of(&token) else {
        panic!("the token is not good");
    };
    let ends_at = SystemClock.now().plus(left).micros() + ahead;
    let said = user.detail(id).await["expires_at"].as_str().unwrap().to_owned();
    let said = OffsetDateTime::parse(&said, &Rfc3339).unwrap().unix_timestamp_nanos() / 1_000;
    assert!(said <= i128::from(ends_at), "it lives {} us longer here than there", said - i128::from(ends_at));
}
