use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokenry_sandbox::{FaultRates, SandboxOptions};

use crate::fixture::{options, start, start_with};

#[tokio::test]
async fn above_the_limit_a_request_gets_a_429_and_the_token_is_not_spent() {
    // A limit of none at all: how long the requests of this test take does not matter.
    let fx = start_with(SandboxOptions { limit_per_s: Some(0), ..options() }).await;
    let grant = fx.sandbox.issue_grants("app", "g", 1, "read").unwrap().remove(0);
    let token = grant.refresh_token.unwrap();
    let response = fx.refresh(token.expose_secret()).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(fx.sandbox.seen().too_many_sent, 1);
    fx.control(json!({ "limit_per_s": 1_000_000 })).await;
    assert_eq!(fx.refresh(token.expose_secret()).await.status(), 200);
    fx.sandbox.set_limit_per_s(Some(0));
    assert_eq!(fx.refresh("never-seen").await.status(), 429);
    fx.sandbox.set_limit_per_s(None);
    assert_eq!(fx.refresh("never-seen").await.status(), 400);
}

#[tokio::test]
async fn an_injected_429_is_a_pause_too() {
    let fx = start().await;
    let fault = json!({ "endpoint": "token", "kind": { "status": { "code": 429, "retry_after_s": 10 } } });
    fx.control(json!({ "faults": [fault] })).await;
    assert_eq!(fx.refresh("x").await.status(), 429);
    fx.control(json!({ "advance_s": 5 })).await;
    assert_eq!(fx.refresh("x").await.status(), 400);
    assert_eq!((fx.sandbox.seen().too_many_sent, fx.sandbox.seen().retry_after_broken), (1, 1));
}

#[tokio::test]
async fn faults_by_chance_hit_refreshes_only_until_control_ends_them() {
    let rates = FaultRates { too_many: 0.5, retry_after_s: 3, server_error: 0.5, seed: 1 };
    let fx = start_with(SandboxOptions { fault_rates: rates, ..options() }).await;
    let issued = fx.connect("ada").await;
    let mut statuses = std::collections::BTreeMap::<u16, u32>::new();
    for _ in 0..40 {
        *statuses.entry(fx.refresh(&issued.refresh).await.status().as_u16()).or_default() += 1;
    }
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [429, 503], "{statuses:?}");
    let seen = fx.sandbox.seen();
    assert_eq!(
        (seen.too_many_sent, seen.faults_served),
        (u64::from(statuses[&429]), u64::from(statuses[&503]))
    );
    fx.control(json!({ "fault_rates": {} })).await;
    assert_eq!(fx.refresh(&issued.refresh).await.status(), 200, "nothing was spent");
}

#[tokio::test]
async fn grants_are_issued_without_a_browser_and_counted_by_their_refreshes() {
    let fx = start().await;
    let grants = fx.sandbox.issue_grants("app", "user-", 5, "read write").unwrap();
    assert_eq!((grants.len(), grants[4].account.as_str(), grants[4].expires_in), (5, "user-4", 30));
    assert!(fx.sandbox.issue_grants("nobody", "x", 1, "read").is_err());
    let who: Value = fx.userinfo(grants[3].access_token.expose_secret()).await.json().await.unwrap();
    assert_eq!(who["sub"], "user-3");
    let mut token = grants[0].refresh_token.clone().unwrap().expose_secret().to_owned();
    for _ in 0..2 {
        token = crate::fixture::tokens(fx.refresh(&token).await).await.refresh;
    }
    fx.refresh(grants[1].refresh_token.as_ref().unwrap().expose_secret()).await;
    assert_eq!(fx.sandbox.seen().grants_by_refreshes, [(0, 3), (1, 1), (2, 1)].into());
    let by_account = fx.sandbox.refreshes_by_account();
    assert_eq!((by_account["user-0"], by_account["user-1"], by_account["user-2"]), (2, 1, 0));
    assert_eq!(fx.control(json!({ "forget": "user-2" })).await.status(), 200);
    assert_eq!(fx.sandbox.seen().live_families, 4);
}

#[tokio::test]
async fn control_issues_grants_too() {
    let fx = start().await;
    let wanted =
        json!({ "issue_grants": { "client": "app", "account_prefix": "u", "n": 3, "scopes": "read" } });
    let answer: Value = fx.control(wanted).await.json().await.unwrap();
    let grants = answer["grants"].as_array().unwrap();
    assert_eq!((grants.len(), &grants[2]["account"]), (3, &json!("u2")));
    assert_eq!(fx.refresh(grants[2]["refresh_token"].as_str().unwrap()).await.status(), 200);
    let nobody = json!({ "issue_grants": { "client": "nobody", "account_prefix": "u", "n": 1 } });
    assert_eq!(fx.control(nobody).await.status(), 404);
}

#[tokio::test]
async fn ten_thousand_grants_are_each_refreshed_once() {
    let fx = start().await;
    let grants = fx.sandbox.issue_grants("app", "g", 10_000, "read").unwrap();
    for chunk in grants.chunks(2_000) {
        let all = chunk.iter().map(|grant| fx.refresh(grant.refresh_token.as_ref().unwrap().expose_secret()));
        let mut all = futures_util::stream::iter(all.collect::<Vec<_>>());
        let mut running = futures_util::StreamExt::buffer_unordered(&mut all, 32);
        while let Some(response) = futures_util::StreamExt::next(&mut running).await {
            assert_eq!(response.status(), 200);
        }
    }
    let seen = fx.sandbox.seen();
    assert_eq!((seen.refreshes, seen.live_families, seen.events.len()), (10_000, 10_000, 50));
    assert_eq!(seen.grants_by_refreshes, [(1, 10_000)].into());
}
