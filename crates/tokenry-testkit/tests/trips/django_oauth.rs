//! The whole trip against `django-oauth-toolkit`, found by its issuer and with its endpoints written out.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry_oauth::ProviderSettings;
use tokenry_testkit::app::{TestApp, providers};
use tokenry_testkit::django_oauth::{DjangoOauth, TokenRequests};

use crate::world::{browser_with, connection_on, expect_refusal, param};

const ACCESS_TTL: Duration = Duration::from_secs(3);

async fn start(access_ttl: Duration) -> DjangoOauth {
    DjangoOauth::start("http://127.0.0.1/callback/django", access_ttl).await
}

async fn app_with(settings: ProviderSettings) -> TestApp {
    TestApp::start_with(|config| config.providers = providers(vec![("django", settings)])).await
}

async fn walk(provider: DjangoOauth, settings: ProviderSettings) {
    let app = app_with(settings).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("django").await;
    assert_eq!(param(&link.parse().unwrap(), "code_challenge_method"), "S256");
    let id = connection_on(&provider.consent(&mut browser_with(&app, &cookie), &link, "alice").await);
    let first = user.token_of(id).await;
    let subject = provider.userinfo_sub(&first).await.unwrap();
    assert_eq!(provider.state().await.token_requests, TokenRequests { ok: 1, failed: 0 });

    // The provider is another process with its own clock: for once, time has to pass.
    tokio::time::sleep(ACCESS_TTL + Duration::from_millis(100)).await;
    assert_eq!(provider.userinfo_sub(&first).await, Err(StatusCode::UNAUTHORIZED));
    let second = user.token_of(id).await;
    assert_eq!(provider.userinfo_sub(&second).await, Ok(subject.clone()));

    // The refresh token that came with the second access token works too, and nothing was spent twice: this provider
    // would have ended everything.
    app.clock.advance(ACCESS_TTL);
    let third = user.token_of(id).await;
    assert_ne!(second, third);
    assert_eq!(provider.userinfo_sub(&third).await, Ok(subject));
    assert!(!provider.introspect_active(&second).await, "a refresh ends the access token before it");
    let state = provider.state().await;
    assert_eq!(state.token_requests, TokenRequests { ok: 3, failed: 0 });
    assert_eq!((state.live_access_tokens, state.live_refresh_tokens), (1, 1));

    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    assert!(!provider.introspect_active(&third).await);
    assert_eq!(provider.userinfo_sub(&third).await, Err(StatusCode::UNAUTHORIZED));
    let state = provider.state().await;
    assert_eq!((state.live_access_tokens, state.live_refresh_tokens), (0, 0));
    user.get_token(id).await.expect_error(404, "no_such_connection");
}

/// Its OpenID Connect description names no revocation endpoint, the one of RFC 8414 does.
#[tokio::test]
async fn a_connection_to_django_found_by_its_issuer_stays_fresh_until_it_is_deleted_and_is_then_dead() {
    let provider = start(ACCESS_TTL).await;
    let settings = provider.settings();
    walk(provider, settings).await;
}

#[tokio::test]
async fn a_connection_to_django_by_plain_oauth_stays_fresh_until_it_is_deleted_and_is_then_dead() {
    let provider = start(ACCESS_TTL).await;
    let settings = provider.settings_without_discovery();
    walk(provider, settings).await;
}

#[tokio::test]
async fn an_account_that_disconnects_at_django_must_be_connected_again_and_keeps_its_id() {
    let provider = start(Duration::from_mins(1)).await;
    let app = app_with(provider.settings()).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("django").await;
    let mut browser = browser_with(&app, &cookie);
    let id = connection_on(&provider.consent(&mut browser, &link, "alice").await);
    provider.disconnect_all(&mut browser).await;
    app.clock.advance(Duration::from_mins(1));
    let refused = user.get_token(id).await.expect_error(409, "reconnect_required");
    assert!(refused.text("message").contains("invalid_grant"), "{refused:?}");

    let (link, cookie) = user.link("django").await;
    let page = provider.consent(&mut browser_with(&app, &cookie), &link, "alice").await;
    assert_eq!(connection_on(&page), id);
    assert!(provider.introspect_active(&user.token_of(id).await).await);
}

#[tokio::test]
async fn a_person_who_cancels_at_django_is_told_that_nothing_was_connected() {
    let provider = start(ACCESS_TTL).await;
    let app = app_with(provider.settings_without_discovery()).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("django").await;
    let page = provider.deny(&mut browser_with(&app, &cookie), &link, "alice").await;
    expect_refusal(&page, "was not connected");
    assert!(user.list().await.is_empty());
    assert_eq!(provider.state().await.token_requests, TokenRequests { ok: 0, failed: 0 });
}

/// RFC 9207 §2.4: it may not be assumed that such an error comes from the provider that was asked. This provider
/// promises `iss` in every response and leaves it out of this one.
#[tokio::test]
async fn a_denial_that_does_not_name_its_issuer_as_promised_is_not_taken_for_the_providers_word() {
    let provider = start(ACCESS_TTL).await;
    let app = app_with(provider.settings()).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("django").await;
    let page = provider.deny(&mut browser_with(&app, &cookie), &link, "alice").await;
    expect_refusal(&page, "the issuer is not named");
    assert!(user.list().await.is_empty());
    assert_eq!(provider.state().await.token_requests, TokenRequests { ok: 0, failed: 0 });
}
