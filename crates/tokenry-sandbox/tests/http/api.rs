use serde_json::{Value, json};
use tokenry_sandbox::{ApiKey, SandboxOptions};

use crate::fixture::{Fixture, options, start_odd, start_with};

async fn start(quirks: Value) -> Fixture {
    let key = |user: Option<&str>, key: &str| ApiKey {
        user: user.map(str::to_owned),
        key: key.into(),
        account: "ada".to_owned(),
    };
    let quirks = serde_json::from_value(quirks).unwrap();
    let api_keys = vec![key(None, "k3y"), key(Some("ada"), "pass:word")];
    start_with(SandboxOptions { api_keys, quirks, ..options() }).await
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_key_is_taken_as_bearer_and_a_password_as_basic() {
    let fx = start(json!({})).await;
    let get = || fx.http.get(fx.url("/api/me"));
    let answer: Value = get().bearer_auth("k3y").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["sub"], "ada");
    assert_eq!(status(get().basic_auth("ada", Some("pass:word"))).await, 200);
    for wrong in [
        get(),
        get().bearer_auth("other"),
        get().bearer_auth("pass:word"),
        get().basic_auth("ada", Some("wrong")),
        get().basic_auth("grace", Some("pass:word")),
    ] {
        assert_eq!(status(wrong).await, 401);
    }
    assert_eq!(fx.sandbox.seen().api_calls, 7);
}

#[tokio::test]
async fn a_key_can_have_a_header_a_scheme_or_a_parameter_of_its_own() {
    let quirks = json!({ "api": { "header": "X-Key", "scheme": "Token", "headers": { "x-client": "app" } } });
    let fx = start(quirks).await;
    let get = |value: &'static str| fx.http.get(fx.url("/api/me")).header("X-Key", value);
    assert_eq!(status(get("Token k3y").header("x-client", "app")).await, 200);
    assert_eq!(status(get("k3y").header("x-client", "app")).await, 401);
    assert_eq!(status(get("Token k3y")).await, 401, "a header is missing");

    let fx = start(json!({ "api": { "query_param": "key" } })).await;
    assert_eq!(status(fx.http.get(fx.url("/api/me?key=k3y"))).await, 200);
    assert_eq!(status(fx.http.get(fx.url("/api/me")).bearer_auth("k3y")).await, 401);
}

#[tokio::test]
async fn userinfo_wants_its_token_in_the_same_way() {
    let fx = start_odd(json!({ "api": { "header": "X-Token", "scheme": "" } })).await;
    let access = fx.connect("ada").await.access;
    assert!(!fx.accepts(&access).await);
    assert_eq!(status(fx.http.get(fx.url("/userinfo")).header("X-Token", access)).await, 200);
}

#[tokio::test]
async fn a_key_of_nobody_is_refused_at_the_start() {
    let key = ApiKey { user: None, key: "k".into(), account: "nobody".to_owned() };
    let options = SandboxOptions { api_keys: vec![key], ..options() };
    assert!(tokenry_sandbox::Sandbox::start(options).await.is_err());
}

#[tokio::test]
async fn a_client_gets_a_token_for_itself_and_no_refresh_token() {
    let fx = crate::fixture::start().await;
    let form = [("grant_type", "client_credentials"), ("scope", "read")];
    let answer: Value = fx.post("/token", &form).await.json().await.unwrap();
    assert_eq!((&answer["scope"], answer.get("refresh_token")), (&json!("read"), None));
    let who: Value = fx.userinfo(answer["access_token"].as_str().unwrap()).await.json().await.unwrap();
    assert_eq!(who["sub"], "app");
    assert_eq!(fx.sandbox.seen().client_credentials, 1);
    let nobody = fx.http.post(fx.url("/token")).form(&form).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
}
