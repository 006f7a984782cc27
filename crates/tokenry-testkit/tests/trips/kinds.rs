//! A connection of every kind of credential, from bringing it along to calling the service with it.

use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokenry_sandbox::{Endpoint, Fault, FaultKind};
use tokenry_testkit::app::CLIENT_ID;

use crate::services::{KEY, Services};
use crate::world::{PAST_EXPIRY, browser_with, connection_on, expect_refusal};

#[tokio::test]
async fn a_key_is_stored_with_its_account_and_opens_the_api() {
    let services = Services::start().await;
    let body = json!({"kind": "api_key", "service": "keys", "api_key": KEY});
    let detail = services.imported(&body).await;
    assert_eq!((&detail["kind"], &detail["state"]), (&json!("api_key"), &json!("ok")), "{detail}");
    assert_eq!(detail["account"], json!({"id": "grace", "label": "Grace"}));
    assert_eq!(detail["name"], "keys (Grace)");
    assert!(!detail.to_string().contains(KEY), "{detail}");
    let token = services.token(&detail["id"]).await;
    assert_eq!((&token["token"], &token["expires_at"]), (&json!(KEY), &json!(null)));
    let me = services.at("/api/me");
    let (status, account) = services.call(&me, &token["header"]).await;
    assert_eq!((status, &account["sub"]), (StatusCode::OK, &json!("grace")));
    let signed = services.authorization(&detail["id"], "GET", &me).await.expect(StatusCode::OK);
    assert_eq!(signed.header("cache-control"), "no-store");
    assert_eq!(signed.json(), token["header"]);
    // The key goes to the service and nowhere else.
    for url in ["https://elsewhere.example/api/me", "ftp://127.0.0.1/", "127.0.0.1", "http://u:p@127.0.0.1/"]
    {
        let refused = services.authorization(&detail["id"], "GET", url).await;
        let refused = refused.expect_error(422, "invalid_field");
        assert!(refused.text("message").contains("`url`") && !refused.body.contains(KEY), "{refused:?}");
    }
    let refused = services.authorization(&detail["id"], "GET it", &me).await;
    assert!(refused.expect_error(422, "invalid_field").text("message").contains("`method`"));

    // A second key of the same account is another connection, and both are kept.
    let second = services.imported(&body).await;
    assert_ne!(second["id"], detail["id"]);
    assert_eq!(services.token(&detail["id"]).await["token"], KEY);
}

#[tokio::test]
async fn user_and_password_become_a_basic_header() {
    let services = Services::start().await;
    let mut body = json!({"kind": "basic", "service": "login", "username": "grace", "password": KEY});
    let detail = services.imported(&body).await;
    assert_eq!(detail["account"]["id"], "grace");
    let token = services.token(&detail["id"]).await;
    assert_eq!(token["token"], format!("grace:{KEY}"));
    let (status, _) = services.call(&services.at("/api/me"), &token["header"]).await;
    assert_eq!(status, StatusCode::OK);
    // Some have the key as the user; and a wrong one is stored as well, without an account.
    body["password"] = json!("");
    let bare = services.imported(&body).await;
    assert_eq!((&bare["account"], &bare["name"]), (&json!(null), &json!("login")));
    assert_eq!(services.token(&bare["id"]).await["token"], "grace:");
    for (username, password) in [("", ""), ("a:b", "x")] {
        body["username"] = json!(username);
        body["password"] = json!(password);
        let refused = services.import(&body).await.expect_error(422, "invalid_field");
        assert!(refused.text("message").contains("`username`"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_client_of_ones_own_gets_a_token_at_once_and_the_next_when_it_is_due() {
    let services = Services::start().await;
    let body = json!({
        "kind": "client_credentials", "service": "program", "client_id": "of-ada", "client_secret": "her secret",
    });
    let detail = services.imported(&body).await;
    assert_eq!((&detail["kind"], &detail["reconnect_by"]), (&json!("client_credentials"), &json!(null)));
    assert!(detail["expires_at"].is_string(), "{detail}");
    let first = services.token(&detail["id"]).await["token"].clone();
    assert_eq!(services.token(&detail["id"]).await["token"], first);
    // Twice, for the client must survive being used.
    let mut seen = vec![first];
    for _ in 0..2 {
        services.app.clock.advance(PAST_EXPIRY);
        let next = services.token(&detail["id"]).await["token"].clone();
        assert!(!seen.contains(&next), "{next}");
        seen.push(next);
    }
    assert!(services.ada.detail(detail["id"].as_i64().unwrap()).await["last_refreshed_at"].is_string());
}

#[tokio::test]
async fn the_operators_client_serves_where_a_person_has_none() {
    let services = Services::start().await;
    let detail = services.imported(&json!({"kind": "client_credentials", "service": "program"})).await;
    let first = services.token(&detail["id"]).await["token"].clone();
    services.app.clock.advance(PAST_EXPIRY);
    assert_ne!(services.token(&detail["id"]).await["token"], first);
    // There is none at this one.
    let none = services.import(&json!({"kind": "client_credentials", "service": "amadeus"})).await;
    let none = none.expect_error(409, "provider_not_configured");
    assert!(none.text("message").contains("providers.amadeus.client_id"), "{none:?}");
    // At this one it is there to connect people's accounts.
    let refused = services.import(&json!({"kind": "client_credentials", "service": "sandbox"})).await;
    assert!(refused.expect_error(422, "invalid_field").text("message").contains("`client_id`"));
}

#[tokio::test]
async fn a_client_that_is_refused_is_not_stored_and_one_that_cannot_be_tried_neither() {
    let services = Services::start().await;
    let mut body = json!({
        "kind": "client_credentials", "service": "program", "client_id": "of-ada", "client_secret": "sentinel",
    });
    let refused = services.import(&body).await.expect_error(422, "credential_refused");
    assert!(refused.text("message").contains("invalid_client"), "{refused:?}");
    assert!(!refused.body.contains("sentinel"), "{refused:?}");
    body["client_secret"] = json!("her secret");
    let away = FaultKind::Status { code: 503, retry_after_s: Some(7) };
    services.sandbox.inject(Fault::once(Endpoint::Token, away));
    let away = services.import(&body).await.expect_error(503, "provider_unavailable");
    assert_eq!(away.header("retry-after"), "7");
    assert!(services.ada.list().await.is_empty());
    for field in ["client_id", "client_secret"] {
        let mut half = body.clone();
        half.as_object_mut().unwrap().remove(field);
        let answer = services.import(&half).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains(&format!("`{field}` is missing")), "{answer:?}");
    }
}

#[tokio::test]
async fn an_oauth_1_account_is_connected_in_the_browser_and_each_call_is_signed() {
    let services = Services::start().await;
    let body = json!({"service": "old", "name": "an old one"});
    let answer = services.ada.api.post("/api/users/ada/connections/authorize", &body).await;
    let answer = answer.expect(StatusCode::OK);
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let mut browser = browser_with(&services.app, &cookie);
    let id = json!(connection_on(&browser.consent_sandbox(answer.text("url"), "grace").await));
    let detail = services.ada.detail(id.as_i64().unwrap()).await;
    assert_eq!((&detail["kind"], &detail["name"]), (&json!("oauth1"), &json!("an old one")));
    assert_eq!(detail["account"]["id"], "grace");

    let token = services.token(&id).await;
    assert_eq!((&token["header"], &token["expires_at"]), (&json!(null), &json!(null)), "{token}");
    assert!(token["token_secret"].as_str().is_some_and(|secret| !secret.is_empty()), "{token}");
    let me = services.at("/oauth1/me?a=b%20c");
    let signed = services.authorization(&id, "GET", &me).await.expect(StatusCode::OK).json();
    let (status, account) = services.call(&me, &signed).await;
    assert_eq!((status, &account["sub"]), (StatusCode::OK, &json!("grace")));
    // Once, and for this call alone.
    assert_eq!(services.call(&me, &signed).await.0, StatusCode::UNAUTHORIZED);
    let signed = services.authorization(&id, "GET", &me).await.expect(StatusCode::OK).json();
    assert_eq!(services.call(&services.at("/oauth1/me?a=x"), &signed).await.0, StatusCode::UNAUTHORIZED);

    // The same credential, brought along, renews the connection of its account.
    let brought = json!({
        "kind": "oauth1", "service": "old", "token": token["token"], "token_secret": token["token_secret"],
    });
    let renewed = services.import(&brought).await.expect(StatusCode::OK).json();
    assert_eq!(renewed["id"], id);
    let signed = services.authorization(&id, "GET", &me).await.expect(StatusCode::OK).json();
    assert_eq!(services.call(&me, &signed).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_oauth_1_answer_that_is_not_the_one_asked_for_stores_nothing() {
    let services = Services::start().await;
    for (param, value) in
        [("oauth_token", "another"), ("oauth_verifier", "wrong"), ("oauth_verifier", ""), ("oauth_token", "")]
    {
        let body = json!({"service": "old"});
        let answer = services.ada.api.post("/api/users/ada/connections/authorize", &body).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let mut browser = browser_with(&services.app, &cookie);
        browser.stop_before(services.app.base());
        let callback = browser.consent_sandbox(answer.text("url"), "grace").await.url;
        browser.stop_nowhere();
        let changed = crate::world::with_param(&callback, param, Some(value));
        expect_refusal(&browser.get(&changed).await, "Old");
    }
    assert!(services.ada.list().await.is_empty());
}

#[tokio::test]
async fn a_kind_that_the_service_does_not_take_is_refused_with_the_one_it_does() {
    let services = Services::start().await;
    for (body, takes) in [
        (json!({"kind": "basic", "service": "keys", "username": "u", "password": "p"}), "api_key"),
        (json!({"kind": "api_key", "service": "login", "api_key": "k"}), "basic"),
        (json!({"kind": "oauth2", "service": "old", "access_token": "t"}), "oauth1"),
        (json!({"kind": "oauth1", "service": "sandbox", "token": "t", "token_secret": "s"}), "oauth2"),
        (json!({"kind": "api_key", "service": "program", "api_key": "k"}), "client_credentials"),
    ] {
        let answer = services.import(&body).await.expect_error(422, "invalid_field");
        let message = answer.text("message");
        assert!(message.contains("`kind`") && message.contains(takes), "{message}");
    }
    for (body, field) in [
        (json!({"kind": "api_key", "service": "keys"}), "api_key"),
        (json!({"kind": "api_key", "service": "keys", "api_key": "k", "password": "p"}), "password"),
        (json!({"kind": "oauth2", "service": "sandbox", "access_token": "a b"}), "access_token"),
        (
            json!({"kind": "oauth2", "service": "sandbox", "access_token": "a", "expires_at": "soon"}),
            "expires_at",
        ),
        (
            json!({"kind": "oauth2", "service": "sandbox", "access_token": "a", "expires_in": 1, "expires_at": "2030-01-01T00:00:00Z"}),
            "expires_in",
        ),
        (json!({"kind": "oauth2", "service": "sandbox", "access_token": "a", "scopes": ["a b"]}), "scopes"),
        (
            json!({"kind": "oauth2", "service": "sandbox", "access_token": "a", "settings": {"x": "y"}}),
            "settings.x",
        ),
        (json!({"kind": "oauth2", "service": "tenants", "access_token": "a"}), "settings.tenant"),
        (json!({"kind": "magic", "service": "sandbox"}), "kind"),
    ] {
        let answer = services.import(&body).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains(&format!("`{field}`")), "{body} {answer:?}");
    }
    // A text that is handed out as it is, goes everywhere.
    for service in ["keys", "login", "old", "sandbox", "program", "tenants"] {
        let detail = services.imported(&json!({"kind": "plain", "service": service, "token": "t"})).await;
        assert_eq!(services.token(&detail["id"]).await["token"], "t");
    }
    assert_eq!(services.ada.list().await.len(), 6);
}

#[tokio::test]
async fn a_token_set_is_brought_along_kept_fresh_and_revoked_when_it_is_deleted() {
    let services = Services::start().await;
    let grants = services.sandbox.issue_grants(CLIENT_ID, "person", 1, "profile email").unwrap();
    let body = json!({
        "kind": "oauth2", "service": "sandbox", "access_token": grants[0].access_token.expose_secret(),
        "refresh_token": grants[0].refresh_token.as_ref().unwrap().expose_secret(), "expires_in": 3600, "scopes": ["profile", "email"],
    });
    let detail = services.imported(&body).await;
    let scopes = json!(["profile", "email"]);
    assert_eq!(detail["scopes"], json!({"requested": scopes, "granted": scopes, "missing": []}));
    assert_eq!(detail["account"]["id"], "person0");
    let id = detail["id"].as_i64().unwrap();
    let first = services.ada.token_of(id).await;
    assert_eq!(json!(first), body["access_token"]);
    services.app.clock.advance(PAST_EXPIRY);
    let second = services.ada.token_of(id).await;
    assert_ne!(second, first);
    services.app.clock.advance(Duration::from_mins(1));
    let detail = services.ada.detail(id).await;
    assert!(detail["last_refreshed_at"].is_string() && detail["last_used_at"].is_string(), "{detail}");
    let bearer = json!({"name": "authorization", "value": format!("Bearer {second}")});
    let me = services.at("/userinfo");
    assert_eq!(services.call(&me, &bearer).await.0, StatusCode::OK);
    services.ada.api.delete(&format!("/api/users/ada/connection/delete/{id}")).await.expect(StatusCode::OK);
    assert_eq!(services.call(&me, &bearer).await.0, StatusCode::UNAUTHORIZED);
}
