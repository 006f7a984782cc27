//! Connecting a connection again, by its id: more scopes, the wrong account, after it was revoked; and with settings.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_model::ProviderId;
use tokenry_sandbox::quirks::{Quirks, Tenants};
use tokenry_testkit::app::TestUser;
use tokenry_testkit::browser::{Browser, Page};

use crate::services::Services;
use crate::world::{PAST_EXPIRY, browser_with, connection_on, expect_refusal};

async fn link(services: &Services, user: &TestUser, path: &str, body: &Value) -> (Browser, String) {
    let answer = user.api.post(&user.path(path), body).await.expect(StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(answer.json()["expires_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{answer:?}");
    (browser_with(&services.app, &cookie), answer.text("url"))
}

async fn again(services: &Services, id: i64, body: &Value, account: &str) -> Page {
    let path = format!("connections/{id}/authorize");
    let (mut browser, url) = link(services, &services.ada, &path, body).await;
    browser.consent_sandbox(url, account).await
}

async fn connect(services: &Services, body: &Value, account: &str) -> i64 {
    let (mut browser, url) = link(services, &services.ada, "connections/authorize", body).await;
    connection_on(&browser.consent_sandbox(url, account).await)
}

#[tokio::test]
async fn more_scopes_keep_the_id_and_what_was_not_granted_is_shown() {
    let services = Services::start().await;
    let begin = json!({"service": "sandbox", "name": "mine", "scopes": ["profile"]});
    let id = connect(&services, &begin, "grace").await;
    let detail = services.ada.detail(id).await;
    assert_eq!((&detail["name"], &detail["scopes"]["granted"]), (&json!("mine"), &json!(["profile"])));
    let first = services.ada.token_of(id).await;

    let path = format!("connections/{id}/authorize");
    let (mut browser, url) =
        link(&services, &services.ada, &path, &json!({"scopes": ["email", "files"]})).await;
    // The person unticks a box.
    let page = browser.get(&url).await;
    let form = page.form_with("decision").unwrap();
    let fields = [("account", "grace"), ("scope", "profile"), ("scope", "email"), ("decision", "allow")];
    assert_eq!(connection_on(&browser.submit(&form, &fields).await), id);
    let detail = services.ada.detail(id).await;
    assert_eq!(
        detail["scopes"],
        json!({
            "requested": ["profile", "email", "files"], "granted": ["profile", "email"], "missing": ["files"],
        })
    );
    assert_eq!(detail["name"], "mine");
    assert_ne!(services.ada.token_of(id).await, first);
    services.app.clock.advance(PAST_EXPIRY);
    services.ada.token_of(id).await;
    assert_eq!(services.ada.detail(id).await["scopes"], detail["scopes"]);
    assert_eq!(services.ada.list().await.len(), 1);
}

#[tokio::test]
async fn the_wrong_account_moves_nothing_and_what_it_granted_is_given_back() {
    let services = Services::start().await;
    let id = connect(&services, &json!({"service": "sandbox"}), "grace").await;
    let (before, token) = (services.ada.detail(id).await, services.ada.token_of(id).await);
    let revocations = services.sandbox.seen().revocations;
    let page = again(&services, id, &json!({"scopes": ["files"]}), "linus").await;
    expect_refusal(&page, "wrong account");
    assert!(page.body.contains("grace") && page.body.contains("linus"), "{}", page.body);
    assert!(services.sandbox.seen().revocations > revocations);
    let mut after = services.ada.detail(id).await;
    after["last_used_at"] = before["last_used_at"].clone();
    assert_eq!(after, before);
    assert_eq!(services.ada.token_of(id).await, token);
    assert_eq!(services.ada.list().await.len(), 1);
    services.app.clock.advance(PAST_EXPIRY);
    services.ada.token_of(id).await;

    // Nor does an account move into a connection that has none, when it has one of its own.
    let plain = services.ada.add("pasted", "sandbox", "t").await;
    let page = again(&services, plain, &json!({}), "grace").await;
    expect_refusal(&page, &format!("as connection {id}"));
    assert_eq!(services.ada.token_of(plain).await, "t");
    assert_eq!(connection_on(&again(&services, plain, &json!({}), "linus").await), plain);
    let detail = services.ada.detail(plain).await;
    assert_eq!((&detail["kind"], &detail["account"]["id"]), (&json!("oauth2"), &json!("linus")));
    assert_eq!(detail["name"], "pasted");
}

#[tokio::test]
async fn a_revoked_connection_has_no_token_and_comes_back_with_its_id() {
    let services = Services::start().await;
    let id = connect(&services, &json!({"service": "sandbox"}), "grace").await;
    let token = services.ada.token_of(id).await;
    let bearer = json!({"name": "authorization", "value": format!("Bearer {token}")});
    let revoke = services.ada.path(&format!("connections/{id}/revoke"));
    let answer = services.ada.api.post(&revoke, &json!({})).await.expect(StatusCode::OK);
    assert_eq!(answer.json(), json!({"message": "revoked connection successfully"}));
    assert_eq!(services.call(&services.at("/userinfo"), &bearer).await.0, StatusCode::UNAUTHORIZED);
    services.ada.get_token(id).await.expect_error(409, "reconnect_required");
    let url = services.at("/userinfo");
    services.authorization(&json!(id), "GET", &url).await.expect_error(409, "reconnect_required");
    let detail = services.ada.detail(id).await;
    assert_eq!(detail["state"], "revoked");
    assert!(detail["reason"].as_str().unwrap().contains("owner"), "{detail}");
    assert_eq!(services.ada.list().await[0]["Token"], "");
    // Again does nothing.
    let revocations = services.sandbox.seen().revocations;
    services.ada.api.post(&revoke, &json!({})).await.expect(StatusCode::OK);
    assert_eq!(services.sandbox.seen().revocations, revocations);

    assert_eq!(connection_on(&again(&services, id, &json!({}), "grace").await), id);
    assert_eq!(services.ada.detail(id).await["state"], "ok");
    services.ada.token_of(id).await;
    // So it does by the seed's link, and by being deleted it ends.
    services.ada.api.post(&revoke, &json!({})).await.expect(StatusCode::OK);
    let (url, cookie) = services.ada.link("sandbox").await;
    let page = browser_with(&services.app, &cookie).consent_sandbox(url, "grace").await;
    assert_eq!(connection_on(&page), id);
    services.ada.api.post(&revoke, &json!({})).await.expect(StatusCode::OK);
    services
        .ada
        .api
        .delete(&services.ada.path(&format!("connection/delete/{id}")))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_connection_with_an_address_of_its_own_is_connected_refreshed_and_revoked_there() {
    let quirks = Quirks { tenants: Some(Tenants::Path), ..Quirks::default() };
    let services = Services::start_with(|options| options.quirks = quirks).await;
    let bare = services.ada.api.get("/api/user/connection/access/token/tenants").await;
    let bare = bare.expect_error(409, "settings_required");
    let message = bare.text("message");
    assert!(message.contains("tenant") && message.contains("/connections/authorize"), "{message}");
    let mut body = json!({"service": "tenants", "settings": {"tenant": "ac/me"}});
    let wrong = services.ada.api.post("/api/users/ada/connections/authorize", &body).await;
    assert!(wrong.expect_error(422, "invalid_field").text("message").contains("`settings.tenant`"));

    body["settings"]["tenant"] = json!("acme");
    let id = connect(&services, &body, "grace").await;
    let detail = services.ada.detail(id).await;
    assert_eq!(
        (&detail["settings"], &detail["account"]["id"]),
        (&json!({"tenant": "acme"}), &json!("grace"))
    );
    let first = services.ada.token_of(id).await;
    services.app.clock.advance(PAST_EXPIRY);
    let second = services.ada.token_of(id).await;
    assert_ne!(first, second);
    // Again, it goes to the same place.
    let other = json!({"settings": {"tenant": "other"}});
    let path = services.ada.path(&format!("connections/{id}/authorize"));
    services.ada.api.post(&path, &other).await.expect_error(422, "invalid_field");
    assert_eq!(connection_on(&again(&services, id, &json!({}), "grace").await), id);
    let token = services.ada.token_of(id).await;
    let bearer = json!({"name": "authorization", "value": format!("Bearer {token}")});
    assert_eq!(services.call(&services.at("/acme/userinfo"), &bearer).await.0, StatusCode::OK);
    services
        .ada
        .api
        .delete(&services.ada.path(&format!("connection/delete/{id}")))
        .await
        .expect(StatusCode::OK);
    assert_eq!(services.call(&services.at("/acme/userinfo"), &bearer).await.0, StatusCode::UNAUTHORIZED);
}

/// The app with this tenant fixed by its operator.
async fn with_tenant(services: Services, tenant: &str) -> Services {
    let Services { app, sandbox, ada } = services;
    let id = ProviderId::parse("tenants").unwrap();
    let app = app
        .restart_with(|config| {
            let settings = &mut config.providers.get_mut(&id).unwrap().settings;
            settings.insert("tenant".to_owned(), tenant.to_owned());
        })
        .await;
    Services { app, sandbox, ada }
}

#[tokio::test]
async fn a_connection_stays_at_the_address_it_was_made_with_when_the_operator_fixes_another() {
    let quirks = Quirks { tenants: Some(Tenants::Path), ..Quirks::default() };
    let services = Services::start_with(|options| options.quirks = quirks).await;
    let services = with_tenant(services, "acme").await;
    let (url, cookie) = services.ada.link("tenants").await;
    let id = connection_on(&browser_with(&services.app, &cookie).consent_sandbox(url, "grace").await);
    let first = services.ada.token_of(id).await;

    let services = with_tenant(services, "other").await;
    services.app.clock.advance(PAST_EXPIRY);
    let second = services.ada.token_of(id).await;
    assert_ne!(second, first);
    let bearer = json!({"name": "authorization", "value": format!("Bearer {second}")});
    assert_eq!(services.call(&services.at("/acme/userinfo"), &bearer).await.0, StatusCode::OK);
    assert_eq!(services.ada.detail(id).await["settings"], json!({"tenant": "acme"}));
}
