//! `POST /api/auth/login`

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_testkit::app::{PASSWORD, TestApp};

use crate::support::{assert_alike, jwt_part, try_log_in, user_id_of};

#[tokio::test]
async fn logging_in_gives_an_access_token_and_nothing_else() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let answer = try_log_in(&app.anonymous(), "ada", PASSWORD, None, None).await.expect(StatusCode::OK);
    let token = answer.text("access_token");
    assert_eq!(answer.body, format!(r#"{{"access_token":"{token}"}}"#));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("set-cookie"), "", "a program's log-in leaves no cookie");
}

#[tokio::test]
async fn an_access_token_is_a_jwt_that_begins_with_the_username() {
    let app = TestApp::start().await;
    let ada = app.user("Legato").await;
    let token = ada.api.token.unwrap();
    let header: Value = serde_json::from_str(&jwt_part(&token, 0)).unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&json!("HS256"), &json!("JWT")));
    let claims = jwt_part(&token, 1);
    assert!(claims.starts_with(r#"{"username":"Legato","#), "{claims}");
    let claims: Value = serde_json::from_str(&claims).unwrap();
    assert_eq!(claims["sub"], "1");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 24 * 60 * 60);
    assert!(claims["jti"].as_str().unwrap().len() >= 22, "128 bits at least");
}

#[tokio::test]
async fn no_two_tokens_are_alike() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let api = app.anonymous();
    let (one, other) = (api.log_in("ada", PASSWORD).await, api.log_in("ada", PASSWORD).await);
    assert_ne!(one, other);
    assert_eq!(user_id_of(&one), user_id_of(&other));
}

#[tokio::test]
async fn the_username_has_no_case_and_the_password_has() {
    let app = TestApp::start().await;
    app.user("Ada").await;
    let api = app.anonymous();
    for name in ["ada", "ADA", "aDa"] {
        let token = api.log_in(name, PASSWORD).await;
        assert!(jwt_part(&token, 1).contains(r#""username":"Ada""#), "the name as she wrote it");
    }
    for password in [&PASSWORD.to_uppercase(), &format!("{PASSWORD} "), &PASSWORD[1..], ""] {
        try_log_in(&api, "ada", password, None, None).await.expect_error(401, "wrong_login");
    }
}

#[tokio::test]
async fn a_wrong_password_an_unknown_user_and_an_impossible_name_cannot_be_told_apart() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let api = app.anonymous();
    let wrong =
        try_log_in(&api, "ada", "not her password", None, None).await.expect_error(401, "wrong_login");
    let long = "x".repeat(10_000);
    for name in ["nobody", "", "a b", "ada\0", "ädä", "nobody-can-have-this-name", long.as_str()] {
        assert_alike(&try_log_in(&api, name, PASSWORD, None, None).await, &wrong);
    }
}

#[tokio::test]
async fn a_token_of_any_kind_sent_along_changes_nothing_about_the_answer() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let api = app.anonymous();
    let wrong = try_log_in(&api, "ada", "not her password", None, None).await;
    for token in ["garbage", "Basic YTpi", ada.api.token.as_deref().unwrap()] {
        assert_alike(&try_log_in(&api, "ada", "not her password", None, Some(token)).await, &wrong);
        try_log_in(&api, "ada", PASSWORD, None, Some(token)).await.expect(StatusCode::OK);
    }
}
