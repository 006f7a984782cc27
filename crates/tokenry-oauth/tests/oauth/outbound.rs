//! Where Tokenry does not go.

use tokenry_oauth::{OAuthError, OutboundPolicy, ProviderSettings};
use url::Url;

use crate::fake::{Fake, client, engine, engine_with, provider, refresh};

async fn refresh_at(allow_private: bool, token_url: &str) -> OAuthError {
    let settings = ProviderSettings {
        authorize_url: Some(Url::parse("https://id.example/a").unwrap()),
        token_url: Some(Url::parse(token_url).unwrap()),
        ..client()
    };
    let policy = OutboundPolicy { allow_private, ..OutboundPolicy::default() };
    refresh(&engine_with(policy), &provider("own", settings)).await.unwrap_err()
}

#[tokio::test]
async fn private_places_are_refused_by_literal_and_by_name() {
    let fake = Fake::json(r#"{"access_token":"a"}"#).await;
    let port = fake.url.port().unwrap();
    for url in [
        format!("https://127.0.0.1:{port}/token"),
        format!("https://[::1]:{port}/token"),
        format!("https://localhost:{port}/token"),
        format!("http://127.0.0.1:{port}/token"),
        format!("http://localhost:{port}/token"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let error = refresh_at(false, &url).await;
        assert!(matches!(error, OAuthError::Forbidden { .. }), "{url}: {error:?}");
        assert!(error.is_operators_fault());
    }
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_private_name_is_reached_when_the_operator_allows_it() {
    let fake = Fake::json(r#"{"access_token":"a"}"#).await;
    let mut settings = fake.settings();
    let url = format!("http://localhost:{}/token", fake.url.port().unwrap());
    settings.token_url = Some(Url::parse(&url).unwrap());
    refresh(&engine(), &provider("own", settings)).await.unwrap();
    assert_eq!(fake.only().path, "/token");
}

#[tokio::test]
async fn some_places_are_refused_even_then() {
    for url in ["http://169.254.169.254/", "https://[fe80::1]/", "http://8.8.8.8/token", "https://0.0.0.0/"] {
        let error = refresh_at(true, url).await;
        assert!(matches!(error, OAuthError::Forbidden { .. }), "{url}: {error:?}");
    }
}
