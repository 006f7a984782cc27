//! `GET /api/users/{username}/get/connection/{id}` and `GET …/check/connection/{id}`

use reqwest::StatusCode;
use tokenry_testkit::app::TestApp;

#[tokio::test]
async fn a_token_is_handed_out_as_printed_and_not_kept_by_caches() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImxlZ2F0by";
    ada.add("spotify3", "spotify", token).await;
    let answer = ada.api.get("/api/users/ada/get/connection/1").await.expect(StatusCode::OK);
    assert_eq!(answer.body, format!(r#"{{"token":"{token}"}}"#));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(!answer.header("x-request-id").is_empty());
}

#[tokio::test]
async fn a_token_that_was_pasted_never_grows_old() {
    let app = TestApp::start_with(|config| {
        config.session_ttl = std::time::Duration::from_hours(365 * 24);
    })
    .await;
    let ada = app.user("ada").await;
    let id = ada.add("", "spotify", "for ever").await;
    app.clock.advance(std::time::Duration::from_hours(360 * 24));
    assert_eq!(ada.token_of(id).await, "for ever");
}

#[tokio::test]
async fn a_connection_is_checked_as_printed() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("git1", "git", "sentinel").await;
    let answer = ada.api.get("/api/users/ada/check/connection/1").await.expect(StatusCode::OK);
    assert_eq!(answer.body, r#"{"message":"correct connection"}"#);
    ada.api.get("/api/users/ada/check/connection/2").await.expect_error(404, "no_such_connection");
}

#[tokio::test]
async fn the_stray_quote_of_the_printed_path_is_no_route() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("git1", "git", "t").await;
    ada.api.get("/api/%22users/ada/check/connection/1").await.expect_error(404, "not_found");
}

#[tokio::test]
async fn an_answer_to_head_has_the_headers_and_no_token() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("git1", "git", "sentinel").await;
    let answer =
        ada.api.send(reqwest::Method::HEAD, "/api/users/ada/get/connection/1", &[], Vec::new()).await;
    let answer = answer.expect(StatusCode::OK);
    assert_eq!(answer.body, "");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn an_id_may_be_percent_encoded_digit_by_digit() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("git1", "git", "t").await;
    ada.api.get("/api/users/%61%64a/get/connection/%31").await.expect(StatusCode::OK);
}
