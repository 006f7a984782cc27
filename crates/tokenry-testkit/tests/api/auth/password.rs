//! `PUT /api/auth/password`

use reqwest::StatusCode;
use serde_json::json;
use tokenry_testkit::app::{Answer, PASSWORD, TestApp, TestUser};

use crate::support::try_log_in;

const NEW: &str = "staple and stapler";

async fn change(user: &TestUser, current: &str, new: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": new});
    user.api.put("/api/auth/password", &body).await
}

#[tokio::test]
async fn a_new_password_ends_every_token_and_takes_the_old_ones_place() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let mut second = app.anonymous();
    second.token = Some(second.log_in("ada", PASSWORD).await);

    let answer = change(&ada, PASSWORD, NEW).await.expect(StatusCode::OK);
    assert_eq!(answer.body, r#"{"message":"password changed; log in again"}"#);
    ada.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    second.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    bob.api.get("/api/auth/user").await.expect(StatusCode::OK);

    let api = app.anonymous();
    try_log_in(&api, "ada", PASSWORD, None, None).await.expect_error(401, "wrong_login");
    api.log_in("ada", NEW).await;
}

#[tokio::test]
async fn a_wrong_current_password_is_named_and_ends_nothing() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for current in ["not her password", "", "sentinel\0"] {
        let answer = change(&ada, current, NEW).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains("`current_password`"), "{answer:?}");
        assert!(!answer.body.contains("sentinel"), "{answer:?}");
    }
    ada.api.get("/api/auth/user").await.expect(StatusCode::OK);
    app.anonymous().log_in("ada", PASSWORD).await;
}

#[tokio::test]
async fn a_new_password_that_is_not_allowed_is_named_and_ends_nothing() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for new in ["", "sntnl 7", &"x".repeat(1025)] {
        let answer = change(&ada, PASSWORD, new).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains("`new_password`"), "{answer:?}");
        assert!(!answer.body.contains("sntnl"), "{answer:?}");
    }
    ada.api.get("/api/auth/user").await.expect(StatusCode::OK);
    app.anonymous().log_in("ada", PASSWORD).await;
}

#[tokio::test]
async fn whoever_holds_a_token_cannot_guess_the_password_with_it_for_ever() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for _ in 0..10 {
        change(&ada, "a guess", NEW).await.expect_error(422, "invalid_field");
    }
    change(&ada, "a guess", NEW).await.expect_error(429, "too_many_attempts");
    change(&ada, PASSWORD, NEW).await.expect_error(429, "too_many_attempts");
    // It is the token that is out of tries, not the person.
    app.anonymous().log_in("ada", PASSWORD).await;
}
