//! Where the app does not go, seen from its API.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokenry_oauth::{Issuer, ProviderSettings};
use tokenry_testkit::app::{TestApp, providers};

use crate::little::{Little, deliver};

fn found_by(issuer: &str) -> ProviderSettings {
    ProviderSettings {
        client_id: Some("id".to_owned()),
        client_secret: Some("secret".into()),
        issuer: Some(Issuer::parse(issuer).unwrap()),
        ..ProviderSettings::default()
    }
}

#[tokio::test]
async fn a_provider_on_this_machine_is_not_asked_unless_the_configuration_allows_it() {
    let little = Little::start().await;
    let named = little.base.replace("127.0.0.1", "localhost");
    let list = vec![
        ("by-issuer", found_by(&little.base)),
        ("by-name", found_by(&named.replace("http://", "https://"))),
        ("by-urls", little.settings()),
    ];
    let app = TestApp::start_with(|config| {
        config.outbound.allow_private = false;
        config.providers = providers(list);
    })
    .await;
    let user = app.user("ada").await;
    for service in ["by-issuer", "by-name", "by-urls"] {
        let path = format!("/api/user/connection/access/token/{service}");
        let answer = user.api.get(&path).await.expect_error(502, "provider_refused");
        let message = answer.text("message");
        assert!(message.contains("this address is not allowed"), "{message}");
        assert!(message.contains(service), "{message}");
        // It is about a link: nobody has asked for a token.
        assert!(!message.contains("new token"), "{message}");
    }
    assert!(little.seen().is_empty(), "{:?}", little.seen());
}

#[tokio::test]
async fn the_metadata_service_of_a_cloud_is_never_asked() {
    let list = vec![
        ("cloud", found_by("http://169.254.169.254")),
        ("mapped", found_by("http://[::ffff:169.254.169.254]")),
        ("elsewhere", found_by("http://8.8.8.8")),
    ];
    let app = TestApp::start_with(|config| config.providers = providers(list)).await;
    let user = app.user("ada").await;
    for service in ["cloud", "mapped", "elsewhere"] {
        let path = format!("/api/user/connection/access/token/{service}");
        let answer = user.api.get(&path).await.expect_error(502, "provider_refused");
        assert!(answer.text("message").contains("this address is not allowed"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_issuer_cannot_send_the_app_where_it_does_not_go() {
    let little = Little::start().await;
    let metadata = json!({
        "issuer": little.base,
        "authorization_endpoint": little.url("/authorize"),
        "token_endpoint": "http://169.254.169.254/token",
    });
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        little.answer(Method::GET, path, 200, &metadata);
    }
    let list = vec![("sly", found_by(&little.base))];
    let app = TestApp::start_with(|config| config.providers = providers(list)).await;
    let user = app.user("ada").await;
    let answer = user.api.get("/api/user/connection/access/token/sly").await;
    let answer = answer.expect_error(502, "provider_refused");
    assert!(answer.text("message").contains("169.254.169.254"), "{answer:?}");
}

#[tokio::test]
async fn a_rule_that_is_made_stricter_holds_for_connections_that_are_there() {
    let little = Little::start().await;
    let tokens = json!({"access_token": "one", "expires_in": 3600, "refresh_token": "r"});
    little.answer(Method::POST, "/token", 200, &tokens);
    little.answer(Method::GET, "/user", 200, &json!({"sub": "1"}));
    little.answer(Method::POST, "/revoke", 200, &json!({}));
    let settings = ProviderSettings { revoke_url: Some(little.url("/revoke")), ..little.settings() };
    let app = TestApp::start_with(|config| config.providers = providers(vec![("little", settings)])).await;
    let user = app.user("ada").await;
    let id = deliver(&app, &user, "little", "/callback/little").await;
    let before = little.seen().len();

    let app = app.restart_with(|config| config.outbound.allow_private = false).await;
    app.clock.advance(Duration::from_hours(2));
    let answer = user.get_token(id).await.expect_error(502, "provider_refused");
    assert!(answer.text("message").contains("not https"), "{answer:?}");
    assert_eq!(little.seen().len(), before);

    let app = app.restart_with(|config| config.outbound.allow_private = true).await;
    assert_eq!(user.token_of(id).await, "one");
    let app = app.restart_with(|config| config.outbound.allow_private = false).await;
    let before = little.seen().len();
    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    app.server().broker().do_chores().await;
    assert_eq!(little.seen().len(), before);
}
