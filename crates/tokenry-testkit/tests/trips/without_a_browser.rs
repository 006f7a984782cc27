//! Ways to a token in which no browser comes back to us, against the real `oidc-provider`, with the engine alone: the device
//! flow (RFC 8628) and client credentials (RFC 6749 §4.4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret;
use tokenry_model::{ProviderId, Scopes, SystemClock};
use tokenry_oauth::{
    Catalogue, DeviceAuthorization, DevicePoll, Grant, OAuth, OAuthError, OutboundPolicy, Provider,
    ProviderSettings,
};
use tokenry_testkit::app::providers;
use tokenry_testkit::browser::{Browser, Page};
use tokenry_testkit::oidc_provider::{ClientAuth, KeyKind, OidcOptions, OidcProvider};

fn engine() -> OAuth {
    let policy = OutboundPolicy { allow_private: true, ..OutboundPolicy::default() };
    OAuth::new(policy, Arc::new(SystemClock)).unwrap()
}

fn as_known_here(settings: ProviderSettings) -> Arc<Provider> {
    let catalogue = Catalogue::load(&providers(vec![("acme", settings)])).unwrap();
    Arc::clone(catalogue.find(ProviderId::parse("acme").unwrap().as_str()).unwrap())
}

async fn start(client_auth: ClientAuth) -> (OidcProvider, Arc<Provider>, OAuth) {
    let server = OidcProvider::start(OidcOptions { client_auth, ..OidcOptions::default() }).await;
    let provider = as_known_here(server.settings());
    (server, provider, engine())
}

fn scopes(words: &[&str]) -> Scopes {
    words.iter().copied().collect()
}

/// How the person answers on their own device.
async fn answer_as_alice(device: &DeviceAuthorization, consents: bool) -> Page {
    let mut browser = Browser::new();
    let page = browser.get(&device.verification_uri).await;
    let form = page.form_with("user_code").unwrap();
    let page = browser.submit(&form, &[("user_code", &device.user_code)]).await;
    let page = browser.submit(&page.form_with("confirm").expect("a page to confirm"), &[]).await;
    let form = page.form_with("login").unwrap();
    let page = browser.submit(&form, &[("login", "alice"), ("password", "any will do")]).await;
    if consents {
        return browser.submit(&page.form_with("prompt").unwrap(), &[]).await;
    }
    let links = page.links();
    let cancel = links.iter().find(|link| link.path().ends_with("/abort")).expect("a way to cancel");
    browser.follow(&page, cancel).await
}

/// Once through the device flow: wait, consent, use, refresh, give back.
async fn device_walk(client_auth: ClientAuth) {
    let (server, provider, engine) = start(client_auth).await;
    let asked = scopes(&["openid", "profile"]);
    let device = engine.device_begin(&provider, &asked).await.unwrap();
    assert!(device.verification_uri.as_str().starts_with(server.issuer()), "{device:?}");
    let code = &device.device_code;
    let poll = engine.device_poll(&provider, code, &asked).await.unwrap();
    assert!(matches!(poll, DevicePoll::Pending), "{poll:?}");
    assert_eq!(answer_as_alice(&device, true).await.status, StatusCode::OK);
    let poll = engine.device_poll(&provider, code, &asked).await.unwrap();
    let DevicePoll::Done(tokens) = poll else { panic!("{poll:?}") };
    assert_eq!(tokens.id_claims.unwrap().subject, "alice");
    assert_eq!(server.userinfo_sub(tokens.access_token.expose_secret()).await, Ok("alice".to_owned()));

    // The code was good once.
    let again = engine.device_poll(&provider, code, &asked).await.unwrap_err();
    assert!(matches!(&again, OAuthError::Refused { code, .. } if code == "invalid_grant"), "{again:?}");
}

#[tokio::test]
async fn a_device_has_tokens_once_its_person_has_said_yes_elsewhere() {
    for client_auth in
        [ClientAuth::SecretBasic, ClientAuth::Public, ClientAuth::PrivateKeyJwt(KeyKind::Ed25519)]
    {
        device_walk(client_auth).await;
    }
}

#[tokio::test]
async fn what_a_device_was_given_can_be_refreshed_and_given_back() {
    let (server, provider, engine) = start(ClientAuth::SecretBasic).await;
    let asked = scopes(&["openid"]);
    let device = engine.device_begin(&provider, &asked).await.unwrap();
    answer_as_alice(&device, true).await;
    let poll = engine.device_poll(&provider, &device.device_code, &asked).await.unwrap();
    let DevicePoll::Done(first) = poll else { panic!("{poll:?}") };
    let second =
        engine.refresh(&provider, &first.refresh_token.unwrap(), &asked, &BTreeMap::default()).await.unwrap();
    let access = second.access_token.expose_secret();
    assert_eq!(server.userinfo_sub(access).await, Ok("alice".to_owned()));
    let grant = Grant { access: second.access_token.clone(), refresh: second.refresh_token };
    engine.revoke(&provider, &grant).await.unwrap();
    assert!(!server.introspect_active(access).await);
    assert!(!server.introspect_active(grant.refresh.unwrap().expose_secret()).await);
}

#[tokio::test]
async fn a_person_who_cancels_on_their_device_has_declined() {
    let (_server, provider, engine) = start(ClientAuth::SecretBasic).await;
    let asked = scopes(&["openid"]);
    let device = engine.device_begin(&provider, &asked).await.unwrap();
    answer_as_alice(&device, false).await;
    let poll = engine.device_poll(&provider, &device.device_code, &asked).await.unwrap();
    assert!(matches!(poll, DevicePoll::Declined), "{poll:?}");
}

#[tokio::test]
async fn a_device_code_that_nobody_typed_in_time_has_expired() {
    let (server, provider, engine) = start(ClientAuth::SecretBasic).await;
    let asked = scopes(&["openid"]);
    let life = Duration::from_secs(1);
    server.set_device_ttl(life).await;
    let device = engine.device_begin(&provider, &asked).await.unwrap();
    assert_eq!(device.expires_in, life);
    // The provider is another process with its own clock: for once, time has to pass.
    tokio::time::sleep(life + Duration::from_millis(100)).await;
    let poll = engine.device_poll(&provider, &device.device_code, &asked).await.unwrap();
    assert!(matches!(poll, DevicePoll::Expired), "{poll:?}");
}

#[tokio::test]
async fn a_program_has_a_token_of_its_own_by_its_secret_or_its_key_and_none_by_its_name() {
    for client_auth in [
        ClientAuth::SecretBasic,
        ClientAuth::SecretPost,
        ClientAuth::PrivateKeyJwt(KeyKind::Rsa),
        ClientAuth::PrivateKeyJwt(KeyKind::P256),
    ] {
        let (server, provider, engine) = start(client_auth).await;
        let tokens = engine.client_credentials(&provider, &scopes(&["api:read"])).await.unwrap();
        let access = tokens.access_token.expose_secret();
        assert!(server.introspect_active(access).await, "{client_auth:?}");
        assert_eq!(tokens.scopes, Some(scopes(&["api:read"])));
        let grant = Grant { access: tokens.access_token.clone(), refresh: None };
        engine.revoke(&provider, &grant).await.unwrap();
        assert!(!server.introspect_active(access).await, "{client_auth:?}");
    }
    let (server, provider, engine) = start(ClientAuth::Public).await;
    let error = engine.client_credentials(&provider, &scopes(&["api:read"])).await.unwrap_err();
    assert!(matches!(error, OAuthError::NotConfigured { .. }), "{error:?}");
    assert_eq!(server.counts().await.requests.token, 0);
}

#[tokio::test]
async fn a_key_that_the_server_does_not_know_signs_nobody_in() {
    let (server, _, engine) = start(ClientAuth::PrivateKeyJwt(KeyKind::P256)).await;
    let (other, _, _) = start(ClientAuth::PrivateKeyJwt(KeyKind::P256)).await;
    let other_key = other.settings().private_key;
    let provider = as_known_here(ProviderSettings { private_key: other_key, ..server.settings() });
    let error = engine.client_credentials(&provider, &scopes(&["api:read"])).await.unwrap_err();
    assert!(matches!(&error, OAuthError::Refused { code, .. } if code == "invalid_client"), "{error:?}");
    let outcomes = server.counts().await.grants.client_credentials;
    assert_eq!((outcomes.ok, outcomes.failed), (0, 1));
}
