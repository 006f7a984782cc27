use std::time::Duration;

use serde_json::{Value, json};
use tokenry_sandbox::SandboxOptions;
use url::Url;

use crate::fixture::{Fixture, invalid_grant, options, refusal, start_odd, start_with, tokens};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn within_its_grace_a_spent_token_gets_the_same_answer_and_later_it_ends_the_grant() {
    let fx = start_odd(json!({ "rotation": { "mode": "always", "grace_s": 30 } })).await;
    let first = fx.connect("ada").await;
    let second = tokens(fx.refresh(&first.refresh).await).await;
    fx.sandbox.advance(20 * SECOND);
    let again = tokens(fx.refresh(&first.refresh).await).await;
    assert_eq!((&again.access, &again.refresh), (&second.access, &second.refresh));
    let seen = fx.sandbox.seen();
    assert_eq!((seen.refreshes, seen.replays, seen.reuses_detected), (1, 1, 0));
    assert_eq!(seen.grants_by_refreshes, [(1, 1)].into());
    fx.sandbox.advance(20 * SECOND);
    assert_eq!(refusal(fx.refresh(&first.refresh).await).await, invalid_grant());
    assert_eq!(refusal(fx.refresh(&second.refresh).await).await, invalid_grant());
    assert_eq!(fx.sandbox.seen().reuses_detected, 1);
}

#[tokio::test]
async fn a_reuse_can_be_merely_refused() {
    let fx = start_odd(json!({ "rotation": { "reuse": "refused" } })).await;
    let first = fx.connect("ada").await;
    let second = tokens(fx.refresh(&first.refresh).await).await;
    assert_eq!(refusal(fx.refresh(&first.refresh).await).await, invalid_grant());
    assert_eq!(fx.refresh(&second.refresh).await.status(), 200);
    assert_eq!(fx.sandbox.seen().reuses_detected, 1);
}

#[tokio::test]
async fn tokens_can_be_kept_or_replaced_now_and_then() {
    for (mode, given) in [("keep", [false, false]), ("optional", [false, true]), ("always", [true, true])] {
        let fx = start_odd(json!({ "rotation": { "mode": mode } })).await;
        let mut token = fx.connect("ada").await.refresh;
        for given in given {
            let next = tokens(fx.refresh(&token).await).await.refresh;
            assert_eq!(!next.is_empty(), given, "{mode}");
            token = if given { next } else { token };
        }
    }
}

#[tokio::test]
async fn an_unused_token_dies_and_each_use_starts_its_time_anew() {
    for mode in ["keep", "always"] {
        let fx = start_odd(json!({ "rotation": { "mode": mode, "idle_ttl_s": 100 } })).await;
        let mut token = fx.connect("ada").await.refresh;
        for _ in 0..3 {
            fx.sandbox.advance(90 * SECOND);
            let next = tokens(fx.refresh(&token).await).await.refresh;
            token = if next.is_empty() { token } else { next };
        }
        fx.sandbox.advance(101 * SECOND);
        assert_eq!(refusal(fx.refresh(&token).await).await, invalid_grant(), "{mode}");
    }
}

#[tokio::test]
async fn an_end_counted_from_the_consent_comes_whatever_is_refreshed() {
    let fx = start_odd(json!({ "rotation": { "absolute_ttl_s": 100 } })).await;
    let mut token = fx.connect("ada").await.refresh;
    fx.sandbox.advance(90 * SECOND);
    token = tokens(fx.refresh(&token).await).await.refresh;
    fx.sandbox.advance(15 * SECOND);
    assert_eq!(refusal(fx.refresh(&token).await).await, invalid_grant());
}

#[tokio::test]
async fn an_end_counted_from_the_issue_starts_anew_with_each_rotation() {
    let fx = start_with(SandboxOptions { refresh_ttl: Some(100 * SECOND), ..options() }).await;
    let mut token = fx.connect("ada").await.refresh;
    for _ in 0..2 {
        fx.sandbox.advance(90 * SECOND);
        token = tokens(fx.refresh(&token).await).await.refresh;
    }
    fx.sandbox.advance(101 * SECOND);
    assert_eq!(refusal(fx.refresh(&token).await).await, invalid_grant());
}

#[tokio::test]
async fn a_young_token_is_not_refreshed() {
    let fx = start_odd(json!({ "refresh": { "min_age_s": 20 } })).await;
    let token = fx.connect("ada").await.refresh;
    assert_eq!(refusal(fx.refresh(&token).await).await.1, "invalid_request");
    fx.sandbox.advance(20 * SECOND);
    assert_eq!(fx.refresh(&token).await.status(), 200, "it was not spent");
}

#[tokio::test]
async fn a_refresh_can_have_an_address_of_its_own() {
    let fx = start_odd(json!({ "refresh": { "own_url": true, "require": { "again": "yes" } } })).await;
    let token = fx.connect("ada").await.refresh;
    assert_eq!(refusal(fx.refresh(&token).await).await.1, "unsupported_grant_type");
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    assert_eq!(refusal(fx.post("/refresh", &form).await).await.1, "invalid_request");
    form.push(("again", "yes"));
    assert_eq!(fx.post("/refresh", &form).await.status(), 200);
    assert_eq!(crate::fixture::start().await.post("/refresh", &form).await.status(), 404);
}

async fn get(fx: &Fixture, path: &str, grant: &str, token: &str) -> reqwest::Response {
    let query =
        [("grant_type", grant), ("old_token", token), ("client_id", "app"), ("client_secret", "s3cret")];
    fx.http.get(Url::parse_with_params(&fx.url(path), query).unwrap()).send().await.unwrap()
}

#[tokio::test]
async fn an_access_token_can_be_spent_by_get_after_it_was_upgraded() {
    let quirks = json!({ "refresh": {
        "own_url": true, "spends_access_token": true, "method": "get", "grant": "swap", "token_param": "old_token",
        "upgrade": { "method": "get", "grant": "stretch", "token_param": "old_token", "first_ttl_s": 5 },
    } });
    let fx = start_odd(quirks).await;
    let code = fx.allow("ada").await;
    let short: Value = fx.exchange(&code).await.json().await.unwrap();
    assert_eq!((&short["expires_in"], short.get("refresh_token")), (&json!(5), None));
    let short = short["access_token"].as_str().unwrap();
    assert_eq!(refusal(get(&fx, "/refresh", "swap", short).await).await, invalid_grant());
    let long: Value = get(&fx, "/upgrade", "stretch", short).await.json().await.unwrap();
    assert_eq!(long["expires_in"], 30);
    let long = long["access_token"].as_str().unwrap();
    let next: Value = get(&fx, "/refresh", "swap", long).await.json().await.unwrap();
    assert!(fx.accepts(next["access_token"].as_str().unwrap()).await);
    assert_eq!(refusal(get(&fx, "/refresh", "stretch", long).await).await.1, "unsupported_grant_type");
    fx.sandbox.advance(31 * SECOND);
    assert_eq!(refusal(get(&fx, "/refresh", "swap", long).await).await, invalid_grant(), "it is dead");
    assert_eq!(fx.sandbox.seen().refreshes, 1);
}

#[tokio::test]
async fn a_refresh_can_do_without_the_client() {
    let quirks = json!({ "refresh": {
        "spends_access_token": true, "grant": "swap", "token_param": "access_token",
        "drop": ["client_id", "client_secret"],
    } });
    let fx = start_odd(quirks).await;
    let access = fx.connect("ada").await.access;
    let mut form = vec![("grant_type", "swap"), ("access_token", access.as_str())];
    let post = |form: Vec<(&str, &str)>| fx.http.post(fx.url("/token")).form(&form).send();
    assert_eq!(post(form.clone()).await.unwrap().status(), 200);
    form.push(("client_id", "app"));
    assert_eq!(refusal(post(form).await.unwrap()).await.1, "invalid_request");
}
