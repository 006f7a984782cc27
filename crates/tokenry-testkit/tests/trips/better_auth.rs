//! The whole trip against `better-auth`: opaque subjects, refresh tokens for `offline_access` only, another way to say
//! that a token is dead.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry_testkit::app::{TestApp, providers};
use tokenry_testkit::better_auth::{BetterAuth, TokenRequests};

use crate::world::{browser_with, connection_on, expect_refusal, param};

const ACCESS_TTL: Duration = Duration::from_secs(3);

async fn start(access_ttl: Duration) -> (BetterAuth, TestApp) {
    let provider = BetterAuth::start("http://127.0.0.1/callback/better", access_ttl).await;
    let settings = provider.settings();
    let app = TestApp::start_with(|config| config.providers = providers(vec![("better", settings)])).await;
    (provider, app)
}

#[tokio::test]
async fn a_connection_to_better_auth_stays_fresh_until_it_is_deleted_and_then_its_tokens_are_dead() {
    let (provider, app) = start(ACCESS_TTL).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("better").await;
    assert_eq!(param(&link.parse().unwrap(), "code_challenge_method"), "S256");
    let id = connection_on(&provider.consent(&mut browser_with(&app, &cookie), &link, "alice").await);
    assert_eq!(user.list().await[0]["Name"], "better (alice)");
    let first = user.token_of(id).await;
    let subject = provider.userinfo_sub(&first).await.unwrap();
    assert_eq!(provider.state().await.token_requests, TokenRequests { ok: 1, failed: 0 });

    // The provider is another process with its own clock: for once, time has to pass.
    tokio::time::sleep(ACCESS_TTL + Duration::from_millis(100)).await;
    assert_eq!(provider.userinfo_sub(&first).await, Err(StatusCode::UNAUTHORIZED));
    let second = user.token_of(id).await;
    assert_eq!(provider.userinfo_sub(&second).await, Ok(subject.clone()));
    assert!(provider.introspect_active(&second).await);

    // The refresh token that came with the second access token works too, and nothing was spent twice: this provider
    // would have ended everything.
    app.clock.advance(ACCESS_TTL);
    let third = user.token_of(id).await;
    assert_ne!(second, third);
    assert_eq!(provider.userinfo_sub(&third).await, Ok(subject));
    let state = provider.state().await;
    assert_eq!(state.token_requests, TokenRequests { ok: 3, failed: 0 });
    assert_eq!(state.live_refresh_tokens, 1);

    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    assert!(!provider.introspect_active(&third).await);
    assert_eq!(provider.userinfo_sub(&third).await, Err(StatusCode::UNAUTHORIZED));
    assert_eq!(provider.state().await.live_refresh_tokens, 0);
    user.get_token(id).await.expect_error(404, "no_such_connection");
}

#[tokio::test]
async fn two_accounts_at_better_auth_are_two_connections_and_deleting_one_leaves_the_other() {
    let (provider, app) = start(Duration::from_mins(1)).await;
    let user = app.user("ada").await;
    let mut ids = Vec::new();
    for account in ["alice", "bob"] {
        let (link, cookie) = user.link("better").await;
        let mut browser = browser_with(&app, &cookie);
        ids.push(connection_on(&provider.consent(&mut browser, &link, account).await));
    }
    let (alice, bob) = (user.token_of(ids[0]).await, user.token_of(ids[1]).await);
    assert_ne!(provider.userinfo_sub(&alice).await.unwrap(), provider.userinfo_sub(&bob).await.unwrap());
    user.api.delete(&user.path(&format!("connection/delete/{}", ids[0]))).await.expect(StatusCode::OK);
    assert!(!provider.introspect_active(&alice).await);
    assert!(provider.introspect_active(&bob).await);
    app.clock.advance(Duration::from_mins(1));
    assert_ne!(user.token_of(ids[1]).await, bob);
}

#[tokio::test]
async fn a_person_who_denies_at_better_auth_is_told_that_nothing_was_connected() {
    let (provider, app) = start(ACCESS_TTL).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("better").await;
    let page = provider.deny(&mut browser_with(&app, &cookie), &link, "alice").await;
    expect_refusal(&page, "was not connected");
    assert!(user.list().await.is_empty());
    assert_eq!(provider.state().await.token_requests, TokenRequests { ok: 0, failed: 0 });
}
