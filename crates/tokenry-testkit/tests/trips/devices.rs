//! Saying yes on another device (RFC 8628).

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_sandbox::{Endpoint, Fault, FaultKind};

use crate::services::Services;
use crate::world::PAST_EXPIRY;

/// Begins, and gives where to ask how it is getting on, and the code for the person.
async fn begin(services: &Services, body: &Value) -> (String, String) {
    let answer = services.ada.api.post("/api/users/ada/connections/device", body).await;
    let answer = answer.expect(StatusCode::CREATED);
    let begun = answer.json();
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((&begun["interval"], begun["expires_at"].is_string()), (&json!(5), true), "{begun}");
    assert!(begun["verification_uri"].as_str().unwrap().starts_with(services.sandbox.base_url()), "{begun}");
    let location = answer.header("location").to_owned();
    assert!(location.ends_with(begun["id"].as_str().unwrap()), "{location}");
    (location, begun["user_code"].as_str().unwrap().to_owned())
}

async fn ask(services: &Services, path: &str) -> Value {
    services.ada.api.get(path).await.expect(StatusCode::OK).json()
}

fn wait(services: &Services, seconds: u64) {
    services.app.clock.advance(Duration::from_secs(seconds));
    services.sandbox.advance(Duration::from_secs(seconds));
}

#[tokio::test]
async fn a_program_without_a_browser_connects_an_account_and_hears_of_it_as_often_as_it_asks() {
    let services = Services::start().await;
    let body = json!({"service": "sandbox", "name": "tv", "scopes": ["profile"]});
    let (path, code) = begin(&services, &body).await;
    assert_eq!(ask(&services, &path).await, json!({"status": "pending", "connection": null, "interval": 5}));
    assert_eq!(services.sandbox.seen().events.iter().filter(|e| e.endpoint == "token").count(), 0);
    wait(&services, 5);
    assert_eq!(ask(&services, &path).await["status"], "pending");
    services.sandbox.decide_device(&code, Some("grace")).unwrap();
    assert_eq!(ask(&services, &path).await["status"], "pending", "it was not time to ask yet");
    wait(&services, 5);
    // Of several that ask at once, one asks the provider.
    let asked = futures(&services, &path).await;
    assert!(asked.iter().any(|answer| answer["status"] == "connected"), "{asked:?}");
    let done = ask(&services, &path).await;
    assert_eq!(done["status"], "connected");
    assert_eq!(ask(&services, &path).await, done);
    let token_calls = services.sandbox.seen().events.iter().filter(|e| e.endpoint == "token").count();
    assert_eq!(token_calls, 2);
    let id = done["connection"].as_i64().unwrap();
    let detail = services.ada.detail(id).await;
    assert_eq!((&detail["name"], &detail["account"]["id"]), (&json!("tv"), &json!("grace")));
    assert_eq!(detail["scopes"]["granted"], json!(["profile"]));
    let first = services.ada.token_of(id).await;
    services.app.clock.advance(PAST_EXPIRY);
    assert_ne!(services.ada.token_of(id).await, first);
    assert_eq!(services.ada.list().await.len(), 1);
}

async fn futures(services: &Services, path: &str) -> [Value; 3] {
    let (a, b, c) = tokio::join!(ask(services, path), ask(services, path), ask(services, path));
    [a, b, c]
}

#[tokio::test]
async fn a_person_who_declines_or_does_nothing_leaves_no_connection() {
    let services = Services::start().await;
    let (path, code) = begin(&services, &json!({"service": "sandbox"})).await;
    services.sandbox.decide_device(&code, None).unwrap();
    wait(&services, 5);
    let declined = json!({"status": "declined", "connection": null, "interval": 5});
    assert_eq!(ask(&services, &path).await, declined);
    assert_eq!(ask(&services, &path).await, declined);

    let (path, _) = begin(&services, &json!({"service": "sandbox"})).await;
    wait(&services, 3600);
    assert_eq!(ask(&services, &path).await["status"], "expired");
    assert!(services.ada.list().await.is_empty());
}

#[tokio::test]
async fn a_provider_that_wants_fewer_questions_or_is_away_is_asked_less_often() {
    let services = Services::start().await;
    let (path, code) = begin(&services, &json!({"service": "sandbox"})).await;
    // Its clock stands still, so the second question comes too soon for it.
    services.app.clock.advance(Duration::from_secs(5));
    assert_eq!(ask(&services, &path).await["interval"], 5);
    services.app.clock.advance(Duration::from_secs(5));
    assert_eq!(ask(&services, &path).await, json!({"status": "pending", "connection": null, "interval": 10}));
    wait(&services, 10);
    let away = FaultKind::Status { code: 503, retry_after_s: None };
    services.sandbox.inject(Fault::once(Endpoint::Token, away));
    assert_eq!(ask(&services, &path).await, json!({"status": "pending", "connection": null, "interval": 20}));
    services.sandbox.decide_device(&code, Some("grace")).unwrap();
    wait(&services, 20);
    assert_eq!(ask(&services, &path).await["status"], "connected");
}

#[tokio::test]
async fn only_who_began_it_hears_of_it_and_its_id_is_no_state() {
    let services = Services::start().await;
    let bob = services.app.user("bob").await;
    let (path, _) = begin(&services, &json!({"service": "sandbox"})).await;
    let id = path.rsplit('/').next().unwrap();
    for id in [id, "x", "%00"] {
        let path = format!("/api/users/bob/connections/device/{id}");
        bob.api.get(&path).await.expect_error(404, "no_such_device_flow");
    }
    let callback = format!("/callback/sandbox?state={id}&code=x&iss={}", services.sandbox.base_url());
    assert_eq!(services.app.anonymous().get(&callback).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ask(&services, &path).await["status"], "pending");
}

#[tokio::test]
async fn a_service_without_such_a_way_says_so() {
    let services = Services::start().await;
    for service in ["keys", "old"] {
        let body = json!({"service": service});
        let answer = services.ada.api.post("/api/users/ada/connections/device", &body).await;
        answer.expect_error(409, "device_flow_not_supported");
    }
}
