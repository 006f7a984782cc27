use std::time::Duration;

use reqwest::header;
use serde_json::{Value, json};
use tokenry_sandbox::SandboxOptions;

use crate::fixture::{Fixture, invalid_grant, options, refusal, start_odd, start_with};

async fn exchanged(fx: &Fixture) -> Value {
    let code = fx.allow("ada").await;
    fx.exchange(&code).await.json().await.unwrap()
}

#[tokio::test]
async fn an_answer_can_be_a_form() {
    let fx = start_odd(json!({ "answer": { "as_form": true } })).await;
    let code = fx.allow("ada").await;
    let response = fx.exchange(&code).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/x-www-form-urlencoded");
    let text = response.text().await.unwrap();
    let members: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    assert!(fx.accepts(&members["access_token"]).await);
    assert_eq!((members["expires_in"].as_str(), members["scope"].as_str()), ("30", "read write"));
}

#[tokio::test]
async fn an_error_can_hide_in_a_200_under_names_of_its_own() {
    let quirks = json!({ "error": {
        "in_ok": true, "code_at": "status.code", "message_at": "status.text", "none": 0,
        "codes": { "invalid_grant": "40031" },
    } });
    let fx = start_odd(quirks).await;
    let response = fx.refresh("never-seen").await;
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"]["code"], "40031");
    assert!(body["status"]["text"].as_str().is_some() && body.get("error").is_none());
    let good = exchanged(&fx).await;
    assert_eq!(good["status"], json!({ "code": 0 }), "all is well: {good}");
}

#[tokio::test]
async fn the_tokens_can_be_nested_with_another_token_at_the_top() {
    let quirks = json!({
        "authorize": { "second_scope_param": "bot_scope" },
        "answer": { "at": "authed_user", "second_token": "bot", "token_type": "user" },
    });
    let fx = start_odd(quirks).await;
    let form = [("decision", "allow"), ("account", "ada"), ("scope", "read")];
    let back = crate::fixture::callback(&fx.decide(fx.authorize_url(&[("bot_scope", "chat")]), &form).await);
    let answer: Value = fx.exchange(&back["code"]).await.json().await.unwrap();
    let (bot, own) = (&answer["access_token"], &answer["authed_user"]["access_token"]);
    assert!(bot != own && answer.get("refresh_token").is_none());
    assert_eq!((&answer["token_type"], &answer["scope"]), (&json!("bot"), &json!("chat")));
    let user = &answer["authed_user"];
    assert_eq!((&user["token_type"], &user["scope"]), (&json!("user"), &json!("read")));
    for token in [bot, own] {
        assert!(fx.accepts(token.as_str().unwrap()).await);
    }
    let next: Value = fx.refresh(user["refresh_token"].as_str().unwrap()).await.json().await.unwrap();
    assert!(next.get("access_token").is_none() && next["authed_user"]["access_token"].is_string());
}

#[tokio::test]
async fn members_can_be_elsewhere_and_numbers_be_texts_in_milliseconds() {
    let quirks = json!({ "answer": {
        "fields": { "access_token": "data.token", "expires_in": "data.life" },
        "numbers_as_text": true, "expiry": "milliseconds",
        "scope": { "separated_by": "," },
        "extra": { "instance_url": "https://eu.example", "data.shop.id": 7 },
    } });
    let answer = exchanged(&start_odd(quirks).await).await;
    assert_eq!((&answer["data"]["life"], &answer["scope"]), (&json!("30000"), &json!("read,write")));
    assert!(answer["data"]["token"].is_string() && answer.get("access_token").is_none());
    assert_eq!(
        (&answer["instance_url"], &answer["data"]["shop"]["id"]),
        (&json!("https://eu.example"), &json!("7"))
    );
}

#[tokio::test]
async fn an_answer_can_be_silent_about_expiry_and_scope() {
    let fx = start_odd(json!({ "answer": { "expiry": "silent", "scope": "silent" } })).await;
    let answer = exchanged(&fx).await;
    assert!(answer.get("expires_in").is_none() && answer.get("scope").is_none(), "{answer}");
}

#[tokio::test]
async fn the_life_of_the_refresh_token_can_be_told() {
    let quirks = json!({
        "answer": { "refresh_token_expires_in": true },
        "rotation": { "absolute_ttl_s": 1000, "idle_ttl_s": 600 },
    });
    let fx = start_odd(quirks).await;
    let answer = exchanged(&fx).await;
    assert_eq!(answer["refresh_token_expires_in"], 600);
    fx.sandbox.advance(Duration::from_secs(590));
    let next: Value = fx.refresh(answer["refresh_token"].as_str().unwrap()).await.json().await.unwrap();
    let left = next["refresh_token_expires_in"].as_u64().unwrap();
    assert!((300..=410).contains(&left), "the consent's end comes first: {left}");
}

#[tokio::test]
async fn the_account_can_be_in_the_answer() {
    let quirks = json!({ "identity": { "in_token": "me.user", "rename": { "sub": "user_id" } } });
    let answer = exchanged(&start_odd(quirks).await).await;
    assert_eq!(answer["me"]["user"]["user_id"], "ada");
}

#[tokio::test]
async fn the_account_can_be_asked_for_by_post_and_stand_below_a_path() {
    let quirks =
        json!({ "identity": { "by_post": true, "require": { "query": "me" }, "at": "data.user.0" } });
    let fx = start_odd(quirks).await;
    let token = fx.connect("ada").await.access;
    assert_eq!(fx.userinfo(&token).await.status(), 400);
    let ask = |body: Value| fx.http.post(fx.url("/userinfo")).bearer_auth(&token).json(&body).send();
    assert_eq!(ask(json!({ "query": "you" })).await.unwrap().status(), 400);
    let answer: Value = ask(json!({ "query": "me" })).await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["user"][0]["sub"], "ada");
}

#[tokio::test]
async fn a_second_connection_can_get_the_same_access_token() {
    let fx = start_odd(json!({ "identity": { "same_access_token": true } })).await;
    let (first, other) = (fx.connect("ada").await, fx.connect("grace").await);
    assert_eq!(first.access, fx.connect("ada").await.access);
    assert_ne!(first.access, other.access);
    assert_eq!(fx.post("/revoke", &[("token", &first.access)]).await.status(), 200);
    assert_ne!(first.access, fx.connect("ada").await.access);
}

#[tokio::test]
async fn a_refresh_token_can_come_with_the_first_consent_only() {
    let fx = start_odd(json!({ "refresh_token": { "first_consent_only": true } })).await;
    assert!(!fx.connect("ada").await.refresh.is_empty());
    assert!(fx.connect("ada").await.refresh.is_empty());
    let form = [("decision", "allow"), ("account", "ada"), ("scope", "read")];
    let url = fx.authorize_url(&[("prompt", "consent")]);
    let back = crate::fixture::callback(&fx.decide(url, &form).await);
    assert!(!crate::fixture::tokens(fx.exchange(&back["code"]).await).await.refresh.is_empty());
}

#[tokio::test]
async fn a_refresh_token_can_need_a_scope_or_a_parameter() {
    let form = [("decision", "allow"), ("account", "ada"), ("scope", "offline"), ("scope", "read")];
    for (quirk, with, without) in [
        (json!({ "needs_scope": "offline" }), ("scope", "read offline"), ("prompt", "login")),
        (
            json!({ "needs_params": { "access_type": "offline" } }),
            ("access_type", "offline"),
            ("access_type", "online"),
        ),
    ] {
        let fx = start_odd(json!({ "refresh_token": quirk })).await;
        for (change, given) in [(with, true), (without, false)] {
            let form: Vec<_> =
                form.into_iter().filter(|field| field.1 != "offline" || change.1 == "read offline").collect();
            let back = crate::fixture::callback(&fx.decide(fx.authorize_url(&[change]), &form).await);
            let issued = crate::fixture::tokens(fx.exchange(&back["code"]).await).await;
            assert_eq!(!issued.refresh.is_empty(), given, "{change:?}");
        }
    }
}

#[tokio::test]
async fn the_default_is_the_strict_provider_and_quirks_survive_json() {
    let quirks = tokenry_sandbox::Quirks::default();
    assert_eq!(serde_json::from_str::<tokenry_sandbox::Quirks>("{}").unwrap(), quirks);
    let json = serde_json::to_string(&quirks).unwrap();
    assert_eq!(serde_json::from_str::<tokenry_sandbox::Quirks>(&json).unwrap(), quirks);
    assert!(serde_json::from_value::<tokenry_sandbox::Quirks>(json!({ "token": { "colour": 1 } })).is_err());
    let fx = start_with(SandboxOptions { quirks, ..options() }).await;
    assert_eq!(refusal(fx.refresh("x").await).await, invalid_grant());
}
