//! `POST /api/users/{username}/add/connection`

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokenry_testkit::app::TestApp;

#[tokio::test]
async fn a_connection_is_added_as_printed() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let body = r#"{
        "name" :"spotify3",
        "token_type" : "spotify",
        "token" : "1afcd222222sdcfaxfdfa52aafkkkbvdj"
    }"#;
    let headers = [("content-type", "application/json")];
    let answer = ada.api.send(Method::POST, "/api/users/ada/add/connection", &headers, body.into()).await;
    let answer = answer.expect(StatusCode::OK);
    assert_eq!(answer.body, r#"{"message":"connection added"}"#);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("location"), "/api/users/ada/get/connection/1");
    let followed = ada.api.get(answer.header("location")).await.expect(StatusCode::OK);
    assert_eq!(followed.body, r#"{"token":"1afcd222222sdcfaxfdfa52aafkkkbvdj"}"#);
}

#[tokio::test]
async fn the_location_is_below_the_path_of_the_public_url() {
    let app = TestApp::start_with(|config| {
        config.public_url = "https://example.org/tools/tokenry".parse().unwrap();
    })
    .await;
    let ada = app.user("ada").await;
    let body = json!({"token_type": "spotify", "token": "t"});
    let answer = ada.api.post("/api/users/ada/add/connection", &body).await.expect(StatusCode::OK);
    assert_eq!(answer.header("location"), "/tools/tokenry/api/users/ada/get/connection/1");
}

#[tokio::test]
async fn the_location_names_the_user_as_they_signed_up() {
    let app = TestApp::start().await;
    let ada = app.user("Ada").await;
    let body = json!({"token_type": "spotify", "token": "t"});
    let answer = ada.api.post("/api/users/aDA/add/connection", &body).await.expect(StatusCode::OK);
    assert_eq!(answer.header("location"), "/api/users/Ada/get/connection/1");
}

#[tokio::test]
async fn ids_are_counted_over_all_users() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    assert_eq!(ada.add("a", "spotify", "t1").await, 1);
    assert_eq!(bob.add("b", "spotify", "t2").await, 2);
    assert_eq!(ada.add("c", "google", "t3").await, 3);
}

#[tokio::test]
async fn a_name_may_be_missing_or_empty_and_a_token_may_be_stored_twice() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for body in [
        json!({"token_type": "spotify", "token": "the same"}),
        json!({"name": "", "token_type": "spotify", "token": "the same"}),
        json!({"name": "", "token_type": "spotify", "token": "the same"}),
    ] {
        let answer = ada.api.post("/api/users/ada/add/connection", &body).await.expect(StatusCode::OK);
        assert_eq!(answer.json(), json!({"message": "connection added"}));
    }
    let list = ada.list().await;
    assert_eq!(list.len(), 3);
    for connection in list {
        assert_eq!(
            (&connection["Name"], &connection["Token"]),
            (&json!(""), &json!("the same")),
            "{connection}"
        );
    }
}

#[tokio::test]
async fn names_of_any_script_and_direction_are_kept_byte_for_byte() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let names = [
        "موسيقى",
        "\u{202e}desrever\u{202c}",
        "שלום \u{200f}ada\u{200e}",
        "👩🏽‍🚀🎵🏳️‍🌈",
        "e\u{301} is not \u{e9}",
        "  spaces stay  ",
        "\\ \" / ' <b>&amp;</b> %00 {{name}}",
        "\u{feff}\u{2028}\u{10ffff}",
    ];
    for name in names {
        ada.add(name, "spotify", "t").await;
    }
    let widest = "𝒳".repeat(255);
    ada.add(&widest, "spotify", "t").await;
    let stored: Vec<String> =
        ada.list().await.iter().map(|c| c["Name"].as_str().unwrap().to_owned()).collect();
    let given: Vec<String> = names.iter().map(|name| (*name).to_owned()).chain([widest]).collect();
    assert_eq!(stored, given);
}

#[tokio::test]
async fn a_token_of_any_characters_comes_back_byte_for_byte() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let long = "\u{1}".repeat(64 * 1024);
    for token in
        ["asdpjbfipdsafhbcop;bfdhsbocp;x", " a b ", "tökén 🎵", "line\nline\r\n", "\"\\", long.as_str()]
    {
        let id = ada.add("", "spotify", token).await;
        assert_eq!(ada.token_of(id).await, token);
    }
}

#[tokio::test]
async fn a_token_that_is_empty_too_long_or_has_a_null_byte_is_refused_by_the_fields_name() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let long = "sentinel".repeat(8 * 1024) + "x";
    for token in ["", "sentinel\0", long.as_str()] {
        let body = json!({"token_type": "spotify", "token": token});
        let answer = ada.api.post("/api/users/ada/add/connection", &body).await;
        let answer = answer.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains("`token`"), "{answer:?}");
        assert!(!answer.body.contains("sentinel"), "{answer:?}");
    }
    assert_eq!(ada.list().await.len(), 0);
}

#[tokio::test]
async fn a_name_that_is_too_long_or_has_a_control_character_is_refused_by_the_fields_name() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for name in ["sentinel\0", "sentinel\n", "\u{7f}sentinel", &("sentinel".to_owned() + &"x".repeat(248))] {
        let body = json!({"name": name, "token_type": "spotify", "token": "t"});
        let answer = ada.api.post("/api/users/ada/add/connection", &body).await;
        let answer = answer.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains("`name`"), "{answer:?}");
        assert!(!answer.body.contains("sentinel"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_unknown_token_type_is_refused_with_close_matches() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for (word, close) in [
        ("spotfy", "spotify"),
        ("gogle", "google"),
        ("gitt", "github"),
        ("Discrod", "discord"),
        ("spotify\0", "spotify"),
    ] {
        let body = json!({"token_type": word, "token": "sentinel"});
        let answer = ada.api.post("/api/users/ada/add/connection", &body).await;
        let answer = answer.expect_error(422, "unknown_service");
        let message = answer.text("message");
        assert!(message.contains("`token_type`"), "names the field: {message}");
        assert!(message.contains("did you mean") && message.contains(close), "{word}: {message}");
        assert!(!answer.body.contains("sentinel"));
    }
    for word in ["", "zzzzzzzz", &"q".repeat(100_000)] {
        let body = json!({"token_type": word, "token": "sentinel"});
        let answer = ada.api.post("/api/users/ada/add/connection", &body).await;
        let answer = answer.expect_error(422, "unknown_service");
        assert!(answer.text("message").contains("`token_type`"), "{answer:?}");
        assert!(!answer.text("message").contains("did you mean"), "{answer:?}");
        assert!(answer.body.len() < 300, "a long word is not echoed whole");
    }
    assert_eq!(ada.list().await.len(), 0);
}

#[tokio::test]
async fn git_and_github_are_both_taken_and_each_stays_what_it_was_called() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let words = ["git", "github", "spotify", "google", "discord"];
    for word in words {
        ada.add(word, word, "t").await;
    }
    let listed = ada.list().await;
    let listed: Vec<&str> = listed.iter().map(|c| c["Token_type"].as_str().unwrap()).collect();
    assert_eq!(listed, words);
}
