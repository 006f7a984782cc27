//! The ways of providers that nobody else has, from the link to the revocation.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokenry_oauth::ProviderSettings;
use tokenry_testkit::app::{CLIENT_ID, CLIENT_SECRET, TestApp, TestUser, providers};
use url::Url;

use crate::little::{Little, deliver};
use crate::world::param;

async fn start(little: &Little, id: &str, revoke: &str) -> (TestApp, TestUser) {
    let settings = ProviderSettings { revoke_url: Some(little.url(revoke)), ..little.settings() };
    let app = TestApp::start_with(|config| config.providers = providers(vec![(id, settings)])).await;
    let user = app.user("ada").await;
    (app, user)
}

async fn delete(user: &TestUser, id: i64) {
    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
}

/// `Basic` with id and secret, each form-encoded first (RFC 6749 §2.3.1).
fn basic() -> String {
    use base64::Engine as _;
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(CLIENT_ID), encode(CLIENT_SECRET));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

const GITHUB_REVOKE: &str = "/applications/tokenry/token";

#[tokio::test]
async fn github_is_told_by_a_delete_with_basic_and_json() {
    let little = Little::start().await;
    let answer = "access_token=gho_one&scope=read%3Auser%2Cgist&token_type=bearer";
    little.answer(Method::POST, "/token", 200, &Value::from(answer));
    little.answer(Method::GET, "/user", 200, &json!({"id": 583_231, "login": "grace"}));
    little.answer(Method::DELETE, GITHUB_REVOKE, 204, &Value::from(""));
    let (app, user) = start(&little, "github", "/applications/{client_id}/token").await;
    let id = deliver(&app, &user, "git", "/callback/github").await;
    assert_eq!(user.list().await[0]["Name"], "git (grace)");
    assert_eq!(user.list().await[0]["Token_type"], "git");
    // Such a token never expires.
    app.clock.advance(Duration::from_hours(20));
    assert_eq!(user.token_of(id).await, "gho_one");

    let exchange = &little.seen_at("/token")[0];
    let form = exchange.form();
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), (CLIENT_ID, CLIENT_SECRET));
    assert_eq!(exchange.header("authorization"), "");
    assert_eq!(little.seen_at("/user")[0].header("authorization"), "Bearer gho_one");

    delete(&user, id).await;
    let told = little.seen_at(GITHUB_REVOKE);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].method, Method::DELETE);
    assert_eq!(told[0].header("content-type"), "application/json");
    assert_eq!(serde_json::from_str::<Value>(&told[0].body).unwrap(), json!({"access_token": "gho_one"}));
    assert_eq!(told[0].header("authorization"), basic());
    assert_eq!(little.seen_at("/token").len(), 1);
}

#[tokio::test]
async fn a_token_that_github_no_longer_knows_is_revoked_already() {
    for status in [404, 422] {
        let little = Little::start().await;
        little.answer(Method::POST, "/token", 200, &json!({"access_token": "gho_one"}));
        little.answer(Method::GET, "/user", 200, &json!({"id": 1, "login": "grace"}));
        little.answer(Method::DELETE, GITHUB_REVOKE, status, &json!({"message": "Not Found"}));
        let (app, user) = start(&little, "github", "/applications/{client_id}/token").await;
        let id = deliver(&app, &user, "github", "/callback/github").await;
        delete(&user, id).await;
        app.clock.advance(Duration::from_hours(2));
        app.server().broker().do_chores().await;
        assert_eq!(little.seen_at(GITHUB_REVOKE).len(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_error_in_a_200_of_github_is_an_error() {
    let little = Little::start().await;
    let tokens = json!({"access_token": "ghu_one", "expires_in": 28800, "refresh_token": "ghr_one"});
    little.answer(Method::POST, "/token", 200, &tokens);
    little.answer(Method::GET, "/user", 200, &json!({"id": 1, "login": "grace"}));
    let (app, user) = start(&little, "github", "/applications/{client_id}/token").await;
    let id = deliver(&app, &user, "github", "/callback/github").await;
    app.clock.advance(Duration::from_hours(9));
    let over = json!({"error": "bad_refresh_token", "error_description": "The refresh token is incorrect or expired."});
    little.answer(Method::POST, "/token", 200, &over);
    let refused = user.get_token(id).await.expect_error(409, "reconnect_required");
    assert!(refused.text("message").contains("bad_refresh_token"), "{refused:?}");
    user.get_token(id).await.expect_error(409, "reconnect_required");
    let sent = little.seen_at("/token");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].form()["refresh_token"], "ghr_one");
}

#[tokio::test]
async fn google_is_asked_for_offline_access_and_told_by_the_refresh_token_alone() {
    let little = Little::start().await;
    let tokens = json!({"access_token": "ya29.one", "expires_in": 3599, "refresh_token": "1//refresh", "token_type": "Bearer"});
    little.answer(Method::POST, "/token", 200, &tokens);
    little.answer(Method::GET, "/user", 200, &json!({"sub": "1089", "email": "grace@example.org"}));
    little.answer(Method::POST, "/revoke", 200, &json!({}));
    let (app, user) = start(&little, "google", "/revoke").await;
    let link = Url::parse(&user.link("google").await.0).unwrap();
    for (name, value) in
        [("access_type", "offline"), ("prompt", "consent"), ("scope", "openid email profile")]
    {
        assert_eq!(param(&link, name), value);
    }
    let id = deliver(&app, &user, "google", "/callback/google").await;
    assert_eq!(user.list().await[0]["Name"], "google (grace@example.org)");

    // Google sends no second refresh token: the first one goes on.
    little.answer(Method::POST, "/token", 200, &json!({"access_token": "ya29.two", "expires_in": 3599}));
    for _ in 0..2 {
        app.clock.advance(Duration::from_hours(1));
        assert_eq!(user.token_of(id).await, "ya29.two");
    }
    let sent: Vec<_> =
        little.seen_at("/token").iter().skip(1).map(|sent| sent.form()["refresh_token"].clone()).collect();
    assert_eq!(sent, ["1//refresh", "1//refresh"]);

    delete(&user, id).await;
    let told = little.seen_at("/revoke");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].header("authorization"), "");
    let form = told[0].form();
    assert_eq!(form["token"], "1//refresh");
    assert!(!form.contains_key("client_id") && !form.contains_key("client_secret"), "{form:?}");
}

#[tokio::test]
async fn google_that_does_not_know_the_token_any_more_is_not_asked_again() {
    let little = Little::start().await;
    little.answer(Method::POST, "/token", 200, &json!({"access_token": "ya29.one", "expires_in": 3599}));
    little.answer(Method::GET, "/user", 200, &json!({"sub": "1089"}));
    let gone = json!({"error": "invalid_token", "error_description": "Token expired or revoked"});
    little.answer(Method::POST, "/revoke", 400, &gone);
    let (app, user) = start(&little, "google", "/revoke").await;
    let id = deliver(&app, &user, "google", "/callback/google").await;
    delete(&user, id).await;
    app.clock.advance(Duration::from_hours(2));
    app.server().broker().do_chores().await;
    assert_eq!(little.seen_at("/revoke").len(), 1);
}
