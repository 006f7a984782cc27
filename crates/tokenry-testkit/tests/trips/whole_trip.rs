//! The whole trip against the certified `oidc-provider`: found by its issuer, PKCE required, refresh tokens that rotate,
//! access tokens of three seconds.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry_oauth::ProviderSettings;
use tokenry_testkit::app::{TestApp, providers};
use tokenry_testkit::oidc_provider::{ClientAuth, Fault, KeyKind, OidcOptions, OidcProvider};
use url::Url;

use crate::world::{browser_with, connection_on, expect_refusal, param, with_param};

async fn start(options: OidcOptions) -> (OidcProvider, TestApp) {
    let redirect_uris = vec!["http://127.0.0.1/callback/acme".to_owned()];
    let provider = OidcProvider::start(OidcOptions { redirect_uris, ..options }).await;
    let settings = ProviderSettings { name: Some("Acme".to_owned()), ..provider.settings() };
    let app = TestApp::start_with(|config| config.providers = providers(vec![("acme", settings)])).await;
    (provider, app)
}

fn with(client_auth: ClientAuth) -> OidcOptions {
    OidcOptions { client_auth, ..OidcOptions::default() }
}

async fn walk(options: OidcOptions) {
    let pushes = options.require_par;
    let (provider, app) = start(options).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("acme").await;
    let url: Url = link.parse().unwrap();
    if pushes {
        // Nothing of the request goes through the browser (RFC 9126 §1).
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["client_id", "request_uri"]);
    } else {
        assert_eq!(param(&url, "code_challenge_method"), "S256");
        assert_eq!(param(&url, "redirect_uri"), format!("{}/callback/acme", app.base()));
    }
    assert_eq!(provider.counts().await.requests.pushed_authorization, u64::from(pushes));
    let page = browser_with(&app, &cookie).consent_oidc(&link, "alice").await;
    let id = connection_on(&page);
    assert!(page.body.contains("Acme is connected"), "{}", page.body);
    assert_eq!(user.list().await[0]["Name"], "acme (alice)");

    let first = user.token_of(id).await;
    assert_eq!(provider.userinfo_sub(&first).await, Ok("alice".to_owned()));
    assert_eq!(provider.counts().await.grants.refresh_token.ok, 0);

    // The provider is another process with its own clock: for once, time has to pass.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(provider.userinfo_sub(&first).await, Err(StatusCode::UNAUTHORIZED));
    let second = user.token_of(id).await;
    assert_eq!(provider.userinfo_sub(&second).await, Ok("alice".to_owned()));
    assert_eq!(provider.counts().await.grants.refresh_token.ok, 1);

    // The refresh token that came with the second access token works too. From here on tokens live long enough to be
    // ended by something else than time.
    provider.set_access_ttl(Duration::from_mins(1)).await;
    app.clock.advance(Duration::from_secs(3));
    let third = user.token_of(id).await;
    assert_ne!(second, third);
    assert_eq!(provider.userinfo_sub(&third).await, Ok("alice".to_owned()));
    assert_eq!(user.token_of(id).await, third);
    let refreshes = provider.counts().await.grants.refresh_token;
    assert_eq!((refreshes.ok, refreshes.failed), (2, 0));

    assert!(provider.introspect_active(&third).await);
    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    for token in [&first, &second, &third] {
        assert!(!provider.introspect_active(token).await);
    }
    user.get_token(id).await.expect_error(404, "no_such_connection");
    assert!(user.list().await.is_empty());
    let exchanges = provider.counts().await.grants.authorization_code;
    assert_eq!((exchanges.ok, exchanges.failed), (1, 0));
}

#[tokio::test]
async fn a_connection_to_a_real_provider_stays_fresh_until_it_is_deleted() {
    walk(with(ClientAuth::SecretBasic)).await;
}

#[tokio::test]
async fn the_trip_is_the_same_with_the_secret_in_the_body() {
    walk(with(ClientAuth::SecretPost)).await;
}

#[tokio::test]
async fn the_trip_is_the_same_for_a_public_client() {
    walk(with(ClientAuth::Public)).await;
}

#[tokio::test]
async fn the_trip_is_the_same_for_a_client_that_signs_with_its_private_key() {
    for kind in [KeyKind::Rsa, KeyKind::P256, KeyKind::Ed25519] {
        walk(with(ClientAuth::PrivateKeyJwt(kind))).await;
    }
}

#[tokio::test]
async fn the_trip_is_the_same_where_only_pushed_requests_are_taken() {
    walk(OidcOptions { require_par: true, ..OidcOptions::default() }).await;
    let signed = with(ClientAuth::PrivateKeyJwt(KeyKind::P256));
    walk(OidcOptions { require_par: true, ..signed }).await;
}

#[tokio::test]
async fn a_person_who_cancels_at_a_real_provider_is_told_that_nothing_was_connected() {
    let (provider, app) = start(OidcOptions::default()).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("acme").await;
    let page = browser_with(&app, &cookie).deny_oidc(link, "alice").await;
    expect_refusal(&page, "Acme was not connected");
    assert!(user.list().await.is_empty());
    assert_eq!(provider.counts().await.requests.token, 0);
}

#[tokio::test]
async fn an_account_that_disconnects_at_a_real_provider_must_be_connected_again_and_keeps_its_id() {
    let (provider, app) = start(OidcOptions::default()).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("acme").await;
    let id = connection_on(&browser_with(&app, &cookie).consent_oidc(link, "alice").await);
    provider.revoke_account("alice").await;
    app.clock.advance(Duration::from_secs(3));
    let refused = user.get_token(id).await.expect_error(409, "reconnect_required");
    assert!(refused.text("message").contains("invalid_grant"), "{refused:?}");

    let (link, cookie) = user.link("acme").await;
    let page = browser_with(&app, &cookie).consent_oidc(link, "alice").await;
    assert_eq!(connection_on(&page), id);
    assert_eq!(provider.userinfo_sub(&user.token_of(id).await).await, Ok("alice".to_owned()));
}

#[tokio::test]
async fn a_callback_of_a_real_provider_without_its_issuer_or_with_another_costs_no_code() {
    let (provider, app) = start(OidcOptions::default()).await;
    let user = app.user("ada").await;
    for issuer in [None, Some("https://elsewhere.example")] {
        let (link, cookie) = user.link("acme").await;
        let mut browser = browser_with(&app, &cookie);
        browser.stop_before(app.base());
        let callback = browser.consent_oidc(link, "alice").await.url;
        assert_eq!(param(&callback, "iss"), provider.issuer());
        let page = browser.stop_nowhere().get(with_param(&callback, "iss", issuer)).await;
        expect_refusal(&page, "the issuer is");
    }
    assert!(user.list().await.is_empty());
    assert_eq!(provider.counts().await.requests.token, 0);
}

/// The worst that can happen: the provider has spent the refresh token, and its answer was on the wire.
#[tokio::test]
async fn an_answer_that_a_real_provider_lost_costs_the_connection_which_says_so_and_is_connected_again() {
    let (provider, app) = start(OidcOptions::default()).await;
    let user = app.user("ada").await;
    let (link, cookie) = user.link("acme").await;
    let id = connection_on(&browser_with(&app, &cookie).consent_oidc(link, "alice").await);
    provider.set_access_ttl(Duration::from_mins(1)).await;
    app.clock.advance(Duration::from_secs(3));
    provider.inject(Fault::cut("/token").after_the_work()).await;
    user.get_token(id).await.expect_error(503, "provider_unavailable");
    let refused = user.get_token(id).await.expect_error(409, "reconnect_required");
    let why = refused.text("message");
    assert!(why.contains("invalid_grant") && why.contains("never got its answer"), "{why}");
    let refreshes = provider.counts().await.grants.refresh_token;
    assert_eq!((refreshes.ok, refreshes.failed), (1, 1));
    // A connection that is known to be over costs the provider nothing more.
    user.get_token(id).await.expect_error(409, "reconnect_required");
    assert_eq!(provider.counts().await.grants.refresh_token.failed, 1);

    let (link, cookie) = user.link("acme").await;
    let page = browser_with(&app, &cookie).consent_oidc(link, "alice").await;
    assert_eq!(connection_on(&page), id);
    assert_eq!(provider.userinfo_sub(&user.token_of(id).await).await, Ok("alice".to_owned()));
}
