//! How many wrong passwords are too many: by name and address, and by token.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry_testkit::app::{Answer, ApiClient, PASSWORD, TestApp};

use crate::support::try_log_in;

/// Wrong passwords for one name from one address.
const LIMIT: usize = 10;

async fn guess(api: &ApiClient, name: &str, times: usize) {
    for _ in 0..times {
        try_log_in(api, name, "a guess", None, None).await.expect_error(401, "wrong_login");
    }
}

fn without_digits(answer: &Answer) -> String {
    answer.body.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[tokio::test]
async fn after_ten_wrong_passwords_even_the_right_one_has_to_wait() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let api = app.anonymous();
    guess(&api, "ada", LIMIT).await;
    for password in ["a guess", PASSWORD] {
        let answer = try_log_in(&api, "ADA", password, None, None).await;
        let answer = answer.expect_error(429, "too_many_attempts");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((800..=900).contains(&wait), "a quarter of an hour: {wait}");
    }
}

#[tokio::test]
async fn the_limit_passes_with_the_window() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let api = app.anonymous();
    guess(&api, "ada", LIMIT).await;
    let answer = try_log_in(&api, "ada", PASSWORD, None, None).await.expect_error(429, "too_many_attempts");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    app.clock.advance(Duration::from_secs(wait - 30));
    try_log_in(&api, "ada", PASSWORD, None, None).await.expect_error(429, "too_many_attempts");
    app.clock.advance(Duration::from_secs(30));
    try_log_in(&api, "ada", PASSWORD, None, None).await.expect(StatusCode::OK);
    guess(&api, "ada", LIMIT).await;
    try_log_in(&api, "ada", PASSWORD, None, None).await.expect_error(429, "too_many_attempts");
}

#[tokio::test]
async fn waiting_at_the_limit_does_not_make_the_wait_longer() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let api = app.anonymous();
    guess(&api, "ada", LIMIT).await;
    app.clock.advance(Duration::from_mins(14));
    for _ in 0..20 {
        try_log_in(&api, "ada", "a guess", None, None).await.expect_error(429, "too_many_attempts");
    }
    app.clock.advance(Duration::from_mins(1));
    try_log_in(&api, "ada", PASSWORD, None, None).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_name_that_nobody_has_meets_the_same_limit_in_the_same_words() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let api = app.anonymous();
    guess(&api, "ada", LIMIT).await;
    guess(&api, "nobody", LIMIT).await;
    let ada = try_log_in(&api, "ada", "a guess", None, None).await.expect_error(429, "too_many_attempts");
    let nobody =
        try_log_in(&api, "nobody", "a guess", None, None).await.expect_error(429, "too_many_attempts");
    assert_eq!(without_digits(&ada), without_digits(&nobody));
}

#[tokio::test]
async fn one_name_at_its_limit_leaves_the_others_alone() {
    let app = TestApp::start().await;
    app.user("ada").await;
    app.user("bob").await;
    let api = app.anonymous();
    guess(&api, "ada", LIMIT).await;
    try_log_in(&api, "bob", PASSWORD, None, None).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_log_in_that_succeeds_forgets_the_tries_before_it() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let api = app.anonymous();
    for _ in 0..3 {
        guess(&api, "ada", LIMIT - 1).await;
        try_log_in(&api, "ada", PASSWORD, None, None).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_limit_holds_over_a_restart() {
    let app = TestApp::start().await;
    app.user("ada").await;
    guess(&app.anonymous(), "ada", LIMIT).await;
    let app = app.restart_with(|_| {}).await;
    try_log_in(&app.anonymous(), "ada", PASSWORD, None, None).await.expect_error(429, "too_many_attempts");
}

#[tokio::test]
async fn an_old_token_sent_along_has_tries_of_its_own_and_no_more_than_ten() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let api = app.anonymous();
    let token = ada.api.token.as_deref();
    guess(&api, "ada", LIMIT).await;
    for _ in 0..LIMIT {
        try_log_in(&api, "ada", "a guess", None, token).await.expect_error(401, "wrong_login");
    }
    try_log_in(&api, "ada", PASSWORD, None, token).await.expect_error(429, "too_many_attempts");
}

#[tokio::test]
async fn another_users_token_sent_along_gives_no_more_tries() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let mallory = app.user("mallory").await;
    let api = app.anonymous();
    guess(&api, "ada", LIMIT).await;
    let token = mallory.api.token.as_deref();
    try_log_in(&api, "ada", "a guess", None, token).await.expect_error(429, "too_many_attempts");
    try_log_in(&api, "ada", "a guess", None, Some("garbage")).await.expect_error(429, "too_many_attempts");
}

#[tokio::test]
async fn a_renewed_token_has_no_more_tries_than_the_one_it_came_from() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut token = ada.api.token.clone().unwrap();
    for _ in 0..LIMIT {
        try_log_in(&app.anonymous(), "ada", "a guess", None, Some(&token))
            .await
            .expect_error(401, "wrong_login");
        let mut api = app.anonymous();
        api.token = Some(token);
        token = api.post("/api/auth/refresh", &serde_json::json!({})).await.text("refresh_token");
    }
    let answer = try_log_in(&app.anonymous(), "ada", PASSWORD, None, Some(&token)).await;
    answer.expect_error(429, "too_many_attempts");
}
