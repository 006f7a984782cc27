use reqwest::Method;
use serde_json::{Value, json};

use crate::fixture::{refusal, start_odd};

#[tokio::test]
async fn an_access_token_can_be_revoked_by_delete_with_basic_and_json_at_the_client_s_address() {
    let quirks = json!({ "token": { "auth": "body" }, "revoke": {
        "method": "delete", "auth": "basic", "encoding": "json", "token_param": "access_token",
        "access_token_only": true, "client_in_path": true, "gone_status": 404,
    } });
    let fx = start_odd(quirks).await;
    let issued = fx.sandbox.issue_grants("app", "g", 1, "read").unwrap().remove(0);
    let access = secrecy::ExposeSecret::expose_secret(&issued.access_token);
    let delete = |path: &str, body: Value| {
        fx.http.delete(fx.url(path)).basic_auth("app", Some("s3cret")).json(&body).send()
    };
    assert_eq!(delete("/revoke", json!({ "access_token": access })).await.unwrap().status(), 404);
    assert_eq!(delete("/revoke/other", json!({ "access_token": access })).await.unwrap().status(), 401);
    assert_eq!(delete("/revoke/app", json!({ "token": access })).await.unwrap().status(), 400);
    let refresh = issued.refresh_token.unwrap();
    let refresh = json!({ "access_token": secrecy::ExposeSecret::expose_secret(&refresh) });
    let response = delete("/revoke/app", refresh.clone()).await.unwrap();
    assert_eq!(refusal(response).await.1, "unsupported_token_type");
    let posted = fx.http.post(fx.url("/revoke/app")).basic_auth("app", Some("s3cret"));
    assert_eq!(posted.json(&json!({ "access_token": access })).send().await.unwrap().status(), 405);
    assert!(fx.accepts(access).await);
    assert_eq!(delete("/revoke/app", json!({ "access_token": access })).await.unwrap().status(), 200);
    assert_eq!((fx.sandbox.seen().revocations, fx.sandbox.seen().live_families), (1, 0));
    assert_eq!(delete("/revoke/app", json!({ "access_token": access })).await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_token_can_be_given_back_in_the_header_it_is_used_in() {
    let quirks = json!({
        "revoke": { "auth": "omit", "token_in": "header", "require": { "why": "bye" } },
        "api": { "header": "X-Token", "scheme": "" },
    });
    let fx = start_odd(quirks).await;
    let access = fx.connect("ada").await.access;
    let request = || fx.http.post(fx.url("/revoke")).form(&[("why", "bye")]);
    assert_eq!(request().bearer_auth(&access).send().await.unwrap().status(), 400);
    let with_client = request().basic_auth("app", Some("s3cret")).header("X-Token", &access);
    assert_eq!(with_client.send().await.unwrap().status(), 400);
    assert_eq!(request().header("X-Token", &access).send().await.unwrap().status(), 200);
    assert_eq!(fx.sandbox.seen().revocations, 1);
}

#[tokio::test]
async fn one_revocation_can_end_all_grants_of_the_account() {
    for (shared, left) in [(true, 1), (false, 2)] {
        let fx = start_odd(json!({ "revoke": { "shared": shared } })).await;
        let (first, _second) = (fx.connect("ada").await, fx.connect("ada").await);
        fx.connect("grace").await;
        assert_eq!(fx.post("/revoke", &[("token", &first.refresh)]).await.status(), 200);
        assert_eq!(fx.sandbox.seen().live_families, left);
    }
}

#[tokio::test]
async fn the_token_s_field_can_have_another_name() {
    let fx = start_odd(json!({ "revoke": { "token_param": "access_token" } })).await;
    let access = fx.connect("ada").await.access;
    assert_eq!(fx.post("/revoke", &[("token", &access)]).await.status(), 400);
    assert_eq!(fx.post("/revoke", &[("access_token", &access)]).await.status(), 200);
    let put = fx.http.request(Method::PUT, fx.url("/revoke")).send().await.unwrap();
    assert_eq!(put.status(), 405);
}
