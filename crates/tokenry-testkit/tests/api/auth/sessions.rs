//! `POST /api/auth/refresh`, `GET /api/auth/user`, `POST /api/auth/logout`

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokenry_testkit::app::{ApiClient, PASSWORD, TestApp};

use crate::support::jwt_part;

async fn post(api: &ApiClient, path: &str) -> tokenry_testkit::app::Answer {
    api.send(Method::POST, path, &[], Vec::new()).await
}

fn with(app: &TestApp, token: &str) -> ApiClient {
    let mut api = app.anonymous();
    api.token = Some(token.to_owned());
    api
}

#[tokio::test]
async fn refresh_gives_a_new_access_token_under_its_historical_name() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let answer = post(&ada.api, "/api/auth/refresh").await.expect(StatusCode::OK);
    let renewed = answer.text("refresh_token");
    assert_eq!(answer.body, format!(r#"{{"refresh_token":"{renewed}"}}"#));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_ne!(Some(&renewed), ada.api.token.as_ref());
    assert!(jwt_part(&renewed, 1).starts_with(r#"{"username":"ada","#));
    with(&app, &renewed).get("/api/users/ada/get/connections").await.expect(StatusCode::OK);
    ada.api.get("/api/auth/user").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_refreshed_token_outlives_the_one_it_came_from() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.clock.advance(Duration::from_hours(20));
    let renewed = post(&ada.api, "/api/auth/refresh").await.expect(StatusCode::OK).text("refresh_token");
    app.clock.advance(Duration::from_hours(20));
    ada.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    post(&ada.api, "/api/auth/refresh").await.expect_error(401, "unauthenticated");
    with(&app, &renewed).get("/api/auth/user").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn user_says_who_the_caller_is() {
    let app = TestApp::start().await;
    let ada = app.user("Ada").await;
    let answer = ada.api.get("/api/auth/user").await.expect(StatusCode::OK);
    assert_eq!(answer.body, r#"{"user":{"email":"Ada@example.org","username":"Ada"}}"#);
}

#[tokio::test]
async fn a_log_out_ends_every_token_issued_before_at_once_and_nobody_elses() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let id = ada.add("", "spotify", "t").await;
    let second = with(&app, &app.anonymous().log_in("ada", PASSWORD).await);
    let renewed = post(&ada.api, "/api/auth/refresh").await.text("refresh_token");
    let renewed = with(&app, &renewed);

    let answer = post(&second, "/api/auth/logout").await.expect(StatusCode::OK);
    assert_eq!(answer.body, r#"{"message":"logged out"}"#);
    for ended in [&ada.api, &second, &renewed] {
        ended.get(&ada.path(&format!("get/connection/{id}"))).await.expect_error(401, "unauthenticated");
        post(ended, "/api/auth/refresh").await.expect_error(401, "unauthenticated");
        post(ended, "/api/auth/logout").await.expect_error(401, "unauthenticated");
    }
    bob.api.get("/api/auth/user").await.expect(StatusCode::OK);
    let fresh = with(&app, &app.anonymous().log_in("ada", PASSWORD).await);
    fresh.get(&ada.path(&format!("get/connection/{id}"))).await.expect(StatusCode::OK);
    ada.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
}

#[tokio::test]
async fn a_log_out_holds_over_a_restart() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    post(&ada.api, "/api/auth/logout").await.expect(StatusCode::OK);
    let app = app.restart_with(|_| {}).await;
    ada.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    bob.api.get("/api/auth/user").await.expect(StatusCode::OK);
    drop(app);
}
