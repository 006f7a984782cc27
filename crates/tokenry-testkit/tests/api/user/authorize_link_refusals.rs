//! `GET /api/user/connection/access/token/{service}`: when there is no link.

use reqwest::StatusCode;
use tokenry_oauth::ProviderSettings;
use tokenry_testkit::app::{TestApp, providers};

use super::authorize_link;

#[tokio::test]
async fn a_service_without_credentials_says_what_to_register_and_where() {
    let app = TestApp::start_with(|config| {
        config.public_url = "https://example.org/tools/tokenry".parse().unwrap();
    })
    .await;
    let ada = app.user("ada").await;
    for (word, provider, docs) in [
        ("spotify", "spotify", "https://developer.spotify.com/"),
        ("google", "google", "https://developers.google.com/"),
        ("git", "github", "https://docs.github.com/"),
        ("github", "github", "https://docs.github.com/"),
        ("discord", "discord", "https://discord.com/developers/"),
    ] {
        let answer = ada.api.get(&format!("/api/user/connection/access/token/{word}")).await;
        let answer = answer.expect_error(409, "provider_not_configured");
        let message = answer.text("message");
        for part in [
            "https://example.org/tools/tokenry/callback",
            &format!("providers.{provider}.client_id"),
            &format!("providers.{provider}.client_secret"),
            docs,
        ] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
}

#[tokio::test]
async fn a_redirect_uri_to_register_is_the_one_that_will_be_sent() {
    let app =
        TestApp::start_with(|config| config.public_url = "http://localhost:8080".parse().unwrap()).await;
    let ada = app.user("ada").await;
    for (word, redirect_uri) in
        [("spotify", "http://127.0.0.1:8080/callback"), ("google", "http://localhost:8080/callback")]
    {
        let answer = ada.api.get(&format!("/api/user/connection/access/token/{word}")).await;
        let message = answer.expect_error(409, "provider_not_configured").text("message");
        assert!(message.contains(redirect_uri), "{message}");
    }
}

#[tokio::test]
async fn a_secret_without_an_id_is_not_enough() {
    let app = TestApp::start_with(|config| {
        let settings =
            ProviderSettings { client_secret: Some("sentinel".into()), ..ProviderSettings::default() };
        config.providers = providers(vec![("google", settings)]);
    })
    .await;
    let ada = app.user("ada").await;
    let answer = ada.api.get("/api/user/connection/access/token/google").await;
    let message = answer.expect_error(409, "provider_not_configured").text("message");
    assert!(message.contains("providers.google.client_id"), "{message}");
    assert!(!message.contains("client_secret") && !message.contains("sentinel"), "{message}");
}

#[tokio::test]
async fn an_unknown_service_is_refused_with_close_matches() {
    let (app, _) = authorize_link::app(|port| format!("http://localhost:{port}")).await;
    let ada = app.user("ada").await;
    for (word, close) in
        [("spotfy", "spotify"), ("gitub", "github"), ("goggle", "google"), ("discrd", "discord")]
    {
        let answer = ada.api.get(&format!("/api/user/connection/access/token/{word}")).await;
        let message = answer.expect_error(422, "unknown_service").text("message");
        assert!(message.contains("did you mean") && message.contains(close), "{message}");
    }
    for word in ["zzzz", "%00", "..%2F..%2Fetc", "%3Czzqq%3E", "%E2%80%AE", &"q".repeat(5000)] {
        let answer = ada.api.get(&format!("/api/user/connection/access/token/{word}")).await;
        let answer = answer.expect_error(422, "unknown_service");
        assert!(!answer.text("message").contains("did you mean"), "{answer:?}");
        assert!(answer.body.len() < 300, "{answer:?}");
    }
    let answer = ada.api.get("/api/user/connection/access/token/%FF").await;
    answer.expect_error(400, "invalid_path");
}

#[tokio::test]
async fn a_service_is_found_in_any_case_and_answered_in_the_callers_word() {
    let (app, _) = authorize_link::app(|port| format!("http://localhost:{port}")).await;
    let ada = app.user("ada").await;
    let answer = ada.api.get("/api/user/connection/access/token/Spotify").await.expect(StatusCode::OK);
    assert_eq!(answer.text("Spotify_url"), answer.text("url"));
}
