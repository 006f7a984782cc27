use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::fixture::{Fixture, invalid_grant, refusal, start, tokens};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

struct Codes {
    device: String,
    user: String,
}

async fn begin(fx: &Fixture) -> Codes {
    let answer: Value =
        fx.post("/device_authorization", &[("scope", "read write")]).await.json().await.unwrap();
    assert_eq!((&answer["interval"], &answer["expires_in"]), (&json!(5), &json!(600)));
    assert_eq!(answer["verification_uri"], fx.url("/device"));
    let member = |name: &str| answer[name].as_str().unwrap().to_owned();
    Codes { device: member("device_code"), user: member("user_code") }
}

async fn poll(fx: &Fixture, codes: &Codes) -> reqwest::Response {
    fx.post("/token", &[("grant_type", GRANT), ("device_code", &codes.device)]).await
}

async fn error(fx: &Fixture, codes: &Codes) -> String {
    refusal(poll(fx, codes).await).await.1
}

#[tokio::test]
async fn a_device_waits_until_the_person_allows_it_and_gets_tokens_once() {
    let fx = start().await;
    let codes = begin(&fx).await;
    assert_eq!(error(&fx, &codes).await, "authorization_pending");
    let typed = codes.user.to_lowercase().replace('-', " ");
    let page = Url::parse_with_params(&fx.url("/device"), [("user_code", typed)]).unwrap();
    let html = fx.http.get(page.clone()).send().await.unwrap().text().await.unwrap();
    assert!(html.contains(r#"name="decision""#) && html.contains("<code>write</code>"), "{html}");
    let form = [("decision", "allow"), ("account", "ada"), ("scope", "read")];
    assert_eq!(fx.decide(page.clone(), &form).await.status(), 200);
    assert_eq!(fx.decide(page, &form).await.status(), 400, "it is decided");
    fx.sandbox.advance(Duration::from_secs(5));
    let other = [("grant_type", GRANT), ("device_code", codes.device.as_str())];
    let other = fx.http.post(fx.url("/token")).basic_auth("other", Some("hush")).form(&other);
    assert_eq!(refusal(other.send().await.unwrap()).await, invalid_grant(), "another client's");
    let response = poll(&fx, &codes).await;
    let issued = tokens(response).await;
    assert!(fx.accepts(&issued.access).await);
    assert_eq!(fx.refresh(&issued.refresh).await.status(), 200);
    assert_eq!(error(&fx, &codes).await, "invalid_grant", "it is spent");
    assert_eq!((fx.sandbox.seen().device_grants, fx.sandbox.seen().consents_allowed), (1, 1));
}

#[tokio::test]
async fn polling_too_fast_slows_down_and_each_time_by_five_seconds() {
    let fx = start().await;
    let codes = begin(&fx).await;
    assert_eq!(error(&fx, &codes).await, "authorization_pending");
    assert_eq!(error(&fx, &codes).await, "slow_down");
    fx.sandbox.advance(Duration::from_secs(7));
    assert_eq!(error(&fx, &codes).await, "slow_down", "the interval is ten seconds now");
    fx.sandbox.advance(Duration::from_secs(16));
    assert_eq!(error(&fx, &codes).await, "authorization_pending");
}

#[tokio::test]
async fn a_declined_and_an_expired_code_say_so() {
    let fx = start().await;
    let codes = begin(&fx).await;
    assert_eq!(fx.control(json!({ "device": { "user_code": codes.user } })).await.status(), 200);
    assert_eq!(error(&fx, &codes).await, "access_denied");
    let codes = begin(&fx).await;
    fx.sandbox.advance(Duration::from_mins(10));
    assert_eq!(error(&fx, &codes).await, "expired_token");
    assert!(fx.sandbox.decide_device(&codes.user, Some("ada")).is_err());
}

#[tokio::test]
async fn control_plays_the_person() {
    let fx = start().await;
    let codes = begin(&fx).await;
    let decide = |account: &str| json!({ "device": { "user_code": codes.user, "account": account } });
    assert_eq!(fx.control(decide("nobody")).await.status(), 404);
    assert_eq!(fx.control(decide("ada")).await.status(), 200);
    assert_eq!(poll(&fx, &codes).await.status(), 200);
    assert!(fx.sandbox.decide_device("BCDF-GHJK", Some("ada")).is_err());
    let html = fx.http.get(fx.url("/device")).send().await.unwrap().text().await.unwrap();
    assert!(html.contains(r#"name="user_code""#), "without a code it is asked for");
}
