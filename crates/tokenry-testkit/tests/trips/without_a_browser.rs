//! Ways to a token in which no browser comes back to us, against the real `oidc-provider`: the device flow (RFC 8628) and
//! client credentials (RFC 6749 §4.4). First with the engine alone, then through the app.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokenry_model::{ProviderId, Scopes, SystemClock};
use tokenry_oauth::{
    Catalogue, DeviceAuthorization, DevicePoll, Grant, OAuth, OAuthError, OutboundPolicy, Provider,
    ProviderSettings,
};
use tokenry_testkit::app::{TestApp, TestUser, providers};
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
    answer_at(device.verification_uri.as_str(), &device.user_code, consents).await
}

async fn answer_at(verification_uri: &str, user_code: &str, consents: bool) -> Page {
    let mut browser = Browser::new();
    let page = browser.get(verification_uri).await;
    let form = page.form_with("user_code").unwrap();
    let page = browser.submit(&form, &[("user_code", user_code)]).await;
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

/// An app that knows the server as `acme`, and a user of it. The server's tokens live long enough to be ended by something
/// else than its clock.
async fn start_app() -> (OidcProvider, TestApp, TestUser) {
    let server = OidcProvider::start(OidcOptions { access_ttl: TTL, ..OidcOptions::default() }).await;
    let settings = server.settings();
    let app = TestApp::start_with(|config| config.providers = providers(vec![("acme", settings)])).await;
    let user = app.user("ada").await;
    (server, app, user)
}

const TTL: Duration = Duration::from_mins(5);

/// Begins a device flow, and gives where to ask how it is getting on, and what the person is told.
async fn begin_device(user: &TestUser) -> (String, Value) {
    let body = json!({"service": "acme", "name": "tv"});
    let answer = user.api.post(&user.path("connections/device"), &body).await.expect(StatusCode::CREATED);
    (answer.header("location").to_owned(), answer.json())
}

/// Asks how a device flow is getting on, when it is time to.
async fn ask_in_time(app: &TestApp, user: &TestUser, path: &str, begun: &Value) -> Value {
    app.clock.advance(Duration::from_secs(begun["interval"].as_u64().unwrap()));
    user.api.get(path).await.expect(StatusCode::OK).json()
}

async fn answer_begun(begun: &Value, consents: bool) -> Page {
    let text = |name: &str| begun[name].as_str().unwrap();
    answer_at(text("verification_uri"), text("user_code"), consents).await
}

async fn delete(user: &TestUser, id: i64) {
    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_connection_by_another_device_is_read_kept_fresh_and_given_back() {
    let (server, app, user) = start_app().await;
    let (path, begun) = begin_device(&user).await;
    assert!(begun["verification_uri"].as_str().unwrap().starts_with(server.issuer()), "{begun}");
    assert_eq!(ask_in_time(&app, &user, &path, &begun).await["status"], "pending");
    assert_eq!(answer_begun(&begun, true).await.status, StatusCode::OK);
    let done = ask_in_time(&app, &user, &path, &begun).await;
    assert_eq!(done["status"], "connected", "{done}");

    let id = done["connection"].as_i64().unwrap();
    let detail = user.detail(id).await;
    assert_eq!((&detail["name"], &detail["account"]["id"]), (&json!("tv"), &json!("alice")), "{detail}");
    let first = user.token_of(id).await;
    assert_eq!(server.userinfo_sub(&first).await, Ok("alice".to_owned()));
    assert_eq!(user.token_of(id).await, first);

    // Twice, for the refresh token rotates.
    let mut seen = vec![first];
    for refreshes in 1..=2 {
        app.clock.advance(TTL);
        let next = user.token_of(id).await;
        assert!(!seen.contains(&next));
        assert_eq!(server.userinfo_sub(&next).await, Ok("alice".to_owned()));
        assert_eq!(server.counts().await.grants.refresh_token.ok, refreshes);
        seen.push(next);
    }

    let newest = seen.last().unwrap();
    assert!(server.introspect_active(newest).await);
    delete(&user, id).await;
    assert!(!server.introspect_active(newest).await);
    assert!(user.list().await.is_empty());
}

#[tokio::test]
async fn a_person_who_cancels_on_their_device_leaves_no_connection() {
    let (_server, app, user) = start_app().await;
    let (path, begun) = begin_device(&user).await;
    answer_begun(&begun, false).await;
    assert_eq!(ask_in_time(&app, &user, &path, &begun).await["status"], "declined");
    assert!(user.list().await.is_empty());
}

#[tokio::test]
async fn a_programs_own_client_is_brought_along_and_gives_one_token_after_another() {
    let (server, app, user) = start_app().await;
    let mut body = json!({
        "kind": "client_credentials", "service": "acme", "client_id": server.client_id(),
        "client_secret": "not the secret", "scopes": ["api:read"],
    });
    let path = user.path("connections");
    let refused = user.api.post(&path, &body).await.expect_error(422, "credential_refused");
    assert!(refused.text("message").contains("invalid_client"), "{refused:?}");
    assert!(user.list().await.is_empty());

    body["client_secret"] = json!(server.client_secret());
    let detail = user.api.post(&path, &body).await.expect(StatusCode::CREATED).json();
    assert_eq!((&detail["kind"], &detail["state"]), (&json!("client_credentials"), &json!("ok")), "{detail}");
    assert_eq!(detail["scopes"]["granted"], json!(["api:read"]), "{detail}");
    let id = detail["id"].as_i64().unwrap();
    let mut seen: Vec<String> = Vec::new();
    for tokens in 1..=3 {
        let next = user.token_of(id).await;
        assert!(!seen.contains(&next));
        assert!(server.introspect_active(&next).await);
        assert_eq!(user.token_of(id).await, next);
        assert_eq!(server.counts().await.grants.client_credentials.ok, tokens);
        seen.push(next);
        app.clock.advance(TTL);
    }
    // The client is a person's own, and no grant is behind it: it is forgotten here and goes on there.
    delete(&user, id).await;
    assert!(user.list().await.is_empty());
}
