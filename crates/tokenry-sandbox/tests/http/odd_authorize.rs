use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_sandbox::{Client, SandboxOptions};
use url::Url;

use crate::fixture::{
    CHALLENGE, Fixture, REDIRECT_URI, callback, code_form, options, refusal, start, start_odd, start_with,
    tokens,
};

const ALLOW: [(&str, &str); 3] = [("decision", "allow"), ("account", "ada"), ("scope", "read")];

async fn shown(fx: &Fixture, changes: &[(&str, &str)]) -> bool {
    fx.http.get(fx.authorize_url(changes)).send().await.unwrap().status() == StatusCode::OK
}

#[tokio::test]
async fn renamed_dropped_and_fixed_parameters_are_insisted_on() {
    let quirks = json!({ "authorize": {
        "rename": { "client_id": "client_key" }, "drop": ["response_type"], "require": { "owner": "user" },
    } });
    let fx = start_odd(quirks).await;
    let good = [("client_id", ""), ("client_key", "app"), ("response_type", ""), ("owner", "user")];
    assert!(shown(&fx, &good).await);
    for at in 0..good.len() {
        let mut changes = good.to_vec();
        changes.remove(at);
        assert!(!shown(&fx, &changes).await, "without {:?}", good[at]);
    }
    let back = callback(&fx.decide(fx.authorize_url(&good), &ALLOW).await);
    assert_eq!(tokens(fx.exchange(&back["code"]).await).await.access.len(), "sbx_at_".len() + 43);
}

#[tokio::test]
async fn pkce_can_be_refused() {
    let fx = start_odd(json!({ "authorize": { "drop": ["code_challenge", "code_challenge_method"] } })).await;
    assert!(!shown(&fx, &[]).await);
    assert!(shown(&fx, &[("code_challenge", ""), ("code_challenge_method", "")]).await);
}

#[tokio::test]
async fn scopes_can_have_commas_between_them() {
    let fx = start_odd(json!({ "authorize": { "scope_separator": "," } })).await;
    let back = callback(&fx.http.get(fx.authorize_url(&[])).send().await.unwrap());
    assert_eq!(back["error"], "invalid_scope");
    let back = callback(&fx.decide(fx.authorize_url(&[("scope", "read,write")]), &ALLOW).await);
    let issued: Value = fx.exchange(&back["code"]).await.json().await.unwrap();
    assert_eq!(issued["scope"], "read");
    let refresh = issued["refresh_token"].as_str().unwrap();
    let narrow = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("scope", "read,write")];
    assert_eq!(refusal(fx.post("/token", &narrow).await).await.1, "invalid_scope");
}

#[tokio::test]
async fn the_callback_can_have_another_code_and_values_that_must_come_back_and_no_issuer() {
    let quirks = json!({ "callback": {
        "code_param": "authCode", "extra": { "realmId": "123" }, "wants_extra_back": true, "without_iss": true,
    } });
    let fx = start_odd(quirks).await;
    let back = callback(&fx.decide(fx.authorize_url(&[]), &ALLOW).await);
    assert!(!back.contains_key("code") && !back.contains_key("iss"));
    assert_eq!(back["realmId"], "123");
    let document: Value =
        fx.http.get(fx.url("/.well-known/openid-configuration")).send().await.unwrap().json().await.unwrap();
    assert_eq!(document["authorization_response_iss_parameter_supported"], false);
    let code = &back["authCode"];
    assert_eq!(refusal(fx.exchange(code).await).await.1, "invalid_request");
    let mut form = code_form(code);
    form.push(("realmId", "123"));
    let issued = tokens(fx.post("/token", &form).await).await;
    assert_eq!(refusal(fx.refresh(&issued.refresh).await).await.1, "invalid_request");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &issued.refresh), ("realmId", "123")];
    assert_eq!(fx.post("/token", &form).await.status(), 200);
}

#[tokio::test]
async fn localhost_and_plain_http_can_be_refused() {
    let client = Client {
        redirect_uris: vec![
            "http://localhost:1/cb".into(),
            "http://127.0.0.1/cb".into(),
            "https://a.example/cb".into(),
        ],
        ..options().clients.remove(0)
    };
    for (quirk, [local, loopback, https]) in [
        (json!({}), [true, true, true]),
        (json!({ "refuses_localhost": true }), [false, true, true]),
        (json!({ "https_only": true }), [false, false, true]),
    ] {
        let quirks = serde_json::from_value(json!({ "redirect": quirk })).unwrap();
        let fx = start_with(SandboxOptions { clients: vec![client.clone()], quirks, ..options() }).await;
        for (uri, good) in [
            ("http://localhost:1/cb", local),
            ("http://127.0.0.1:9/cb", loopback),
            ("https://a.example/cb", https),
        ] {
            assert_eq!(shown(&fx, &[("redirect_uri", uri)]).await, good, "{quirk} {uri}");
        }
    }
}

#[tokio::test]
async fn a_redirect_uri_can_have_a_name() {
    let fx = start_odd(json!({ "redirect": { "named": { "Ours": REDIRECT_URI } } })).await;
    assert!(!shown(&fx, &[]).await);
    let back = callback(&fx.decide(fx.authorize_url(&[("redirect_uri", "Ours")]), &ALLOW).await);
    let mut form = code_form(&back["code"]);
    form.retain(|(name, _)| *name != "redirect_uri");
    form.push(("redirect_uri", "Ours"));
    assert_eq!(fx.post("/token", &form).await.status(), 200);
}

fn pushed_form() -> Vec<(&'static str, &'static str)> {
    vec![
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "read"),
        ("state", "s-1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

#[tokio::test]
async fn a_request_can_be_pushed_and_leads_to_tokens() {
    let fx = start_odd(json!({ "authorize": { "par_required": true } })).await;
    assert!(!shown(&fx, &[]).await, "it must be pushed");
    let response = fx.post("/par", &pushed_form()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["expires_in"], 90);
    let request_uri = answer["request_uri"].as_str().unwrap();
    let url = |client| {
        Url::parse_with_params(&fx.url("/authorize"), [("client_id", client), ("request_uri", request_uri)])
            .unwrap()
    };
    assert_eq!(fx.http.get(url("other")).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let back = callback(&fx.decide(url("app"), &ALLOW).await);
    assert_eq!((back["state"].as_str(), fx.exchange(&back["code"]).await.status()), ("s-1", StatusCode::OK));
    assert_eq!(fx.sandbox.seen().pushed_requests, 1);
    fx.sandbox.advance(std::time::Duration::from_secs(90));
    assert_eq!(fx.http.get(url("app")).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_would_not_be_shown_is_not_taken_when_pushed() {
    let fx = start().await;
    let mut wrong = pushed_form();
    wrong[2].1 = "https://evil.example/";
    assert_eq!(refusal(fx.post("/par", &wrong).await).await, (400, "invalid_request".to_owned()));
    let nobody = fx.http.post(fx.url("/par")).form(&pushed_form()).send().await.unwrap();
    assert_eq!(refusal(nobody).await, (401, "invalid_client".to_owned()));
}
