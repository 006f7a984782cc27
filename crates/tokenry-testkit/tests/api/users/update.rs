//! `PUT /api/users/{username}/update/connection/name/{id}` and `…/token/{id}`

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokenry_testkit::app::{TestApp, TestUser};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const DONE: &str = r#"{"message":"updated connection successfully"}"#;

/// Sends a change a minute after `before` was read, and gives the connection before and after.
async fn change(app: &TestApp, ada: &TestUser, path: &str, body: &str) -> (Value, Value) {
    let before = ada.list().await.remove(0);
    app.clock.advance(Duration::from_mins(1));
    let answer = ada.api.send(Method::PUT, path, &JSON, body.into()).await.expect(StatusCode::OK);
    assert_eq!(answer.body, DONE);
    (before, ada.list().await.remove(0))
}

#[tokio::test]
async fn a_name_is_updated_as_printed_and_nothing_else_moves_but_the_time() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("spotify3", "git", "the token").await;
    let (before, after) =
        change(&app, &ada, "/api/users/ada/update/connection/name/1", "{\n   \"name\": \"git1\"\n}").await;
    assert!(after["UpdatedAt"].as_str().unwrap() > before["UpdatedAt"].as_str().unwrap());
    let mut expected = before;
    expected["Name"] = json!("git1");
    expected["UpdatedAt"] = after["UpdatedAt"].clone();
    assert_eq!(after, expected);
}

#[tokio::test]
async fn a_token_is_updated_as_printed_and_nothing_else_moves_but_the_time() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("spotify3", "spotify", "the old one").await;
    let body = r#"{ "token" : "asdpjbfipdsafhbcop;bfdhsbocp;x" }"#;
    let (before, after) = change(&app, &ada, "/api/users/ada/update/connection/token/1", body).await;
    assert!(after["UpdatedAt"].as_str().unwrap() > before["UpdatedAt"].as_str().unwrap());
    let mut expected = before;
    expected["Token"] = json!("asdpjbfipdsafhbcop;bfdhsbocp;x");
    expected["UpdatedAt"] = after["UpdatedAt"].clone();
    assert_eq!(after, expected);
    assert_eq!(ada.token_of(1).await, "asdpjbfipdsafhbcop;bfdhsbocp;x");
}

#[tokio::test]
async fn only_the_named_connection_is_updated() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for name in ["a", "b", "c"] {
        ada.add(name, "spotify", name).await;
    }
    let before = ada.list().await;
    ada.api
        .put("/api/users/ada/update/connection/name/2", &json!({"name": "B"}))
        .await
        .expect(StatusCode::OK);
    ada.api
        .put("/api/users/ada/update/connection/token/2", &json!({"token": "B"}))
        .await
        .expect(StatusCode::OK);
    let after = ada.list().await;
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    assert_eq!((&after[1]["Name"], &after[1]["Token"]), (&json!("B"), &json!("B")));
}

#[tokio::test]
async fn a_connection_can_be_renamed_to_nothing_and_to_a_name_that_is_taken() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("a", "spotify", "t").await;
    ada.add("b", "spotify", "t").await;
    for name in ["b", "", "ملف 🎵"] {
        let body = json!({"name": name});
        ada.api.put("/api/users/ada/update/connection/name/1", &body).await.expect(StatusCode::OK);
        assert_eq!(ada.list().await[0]["Name"], name);
    }
}

#[tokio::test]
async fn a_name_or_a_token_that_is_not_allowed_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("a", "spotify", "t").await;
    let before = ada.list().await;
    let long_name = "sentinel".to_owned() + &"x".repeat(250);
    let long_token = "sentinel".repeat(8 * 1024) + "x";
    for (field, value) in [
        ("name", "sentinel\0"),
        ("name", "sentinel\r\n"),
        ("name", long_name.as_str()),
        ("token", ""),
        ("token", "\0sentinel"),
        ("token", long_token.as_str()),
    ] {
        let path = format!("/api/users/ada/update/connection/{field}/1");
        let answer = ada.api.put(&path, &json!({field: value})).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains(&format!("`{field}`")), "{answer:?}");
        assert!(!answer.body.contains("sentinel"), "{answer:?}");
    }
    assert_eq!(ada.list().await, before);
}
