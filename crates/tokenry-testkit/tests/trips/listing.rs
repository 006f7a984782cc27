//! What a person sees of their connections: the list, its filters and its pages, and where each stands.

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokenry_sandbox::{Fault, FaultKind};
use tokenry_testkit::app::{Answer, CLIENT_ID};

use crate::services::{KEY, Services};
use crate::world::{PAST_EXPIRY, connect};

async fn ask(services: &Services, query: &str) -> Answer {
    services.ada.api.get(&format!("/api/users/ada/connections{query}")).await
}

async fn ids(services: &Services, query: &str) -> Vec<i64> {
    let page = ask(services, query).await.expect(StatusCode::OK).json();
    page["connections"].as_array().unwrap().iter().map(|c| c["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn the_list_is_narrowed_down_by_state_service_kind_and_account() {
    let services = Services::start().await;
    let sandbox = connect(&services.app, &services.ada, "sandbox", "grace").await;
    let key = json!({"kind": "api_key", "service": "keys", "api_key": KEY});
    let key = services.imported(&key).await["id"].as_i64().unwrap();
    let git = services.ada.add("pasted", "git", "t").await;
    services.ada.api.post(&services.ada.path(&format!("connections/{git}/revoke")), &json!({})).await;
    // Nothing but a person can put off the end of a token that came without a refresh token.
    let grants = services.sandbox.issue_grants(CLIENT_ID, "person", 1, "profile").unwrap();
    let ending = json!({
        "kind": "oauth2", "service": "sandbox", "access_token": grants[0].access_token.expose_secret(), "expires_in": 100,
    });
    let ending = services.imported(&ending).await["id"].as_i64().unwrap();
    assert_eq!(services.ada.detail(ending).await["state"], "ok");
    services.app.clock.advance(std::time::Duration::from_secs(85));
    let detail = services.ada.detail(ending).await;
    assert_eq!((&detail["state"], &detail["reconnect_by"]), (&json!("expiring"), &detail["expires_at"]));
    let reason = detail["reason"].as_str().unwrap();
    assert!(
        reason.contains(detail["reconnect_by"].as_str().unwrap()) && reason.contains("again"),
        "{reason}"
    );

    for (query, expected) in [
        ("", vec![sandbox, key, git, ending]),
        ("?state=ok", vec![sandbox, key]),
        ("?state=expiring", vec![ending]),
        ("?state=revoked", vec![git]),
        ("?state=quarantined", vec![]),
        ("?service=github", vec![git]),
        ("?service=GIT", vec![git]),
        ("?service=sandbox&state=ok", vec![sandbox]),
        ("?kind=oauth2", vec![sandbox, ending]),
        ("?kind=api_key", vec![key]),
        ("?account=grace", vec![sandbox, key]),
        ("?account=Grace", vec![key]),
        ("?account=nobody", vec![]),
    ] {
        assert_eq!(ids(&services, query).await, expected, "{query}");
    }
    for (query, field) in [
        ("?state=fine", "state"),
        ("?state=", "state"),
        ("?kind=oauth", "kind"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?after=-1", "after"),
        ("?state=ok&state=ok", "state"),
    ] {
        let answer = ask(&services, query).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains(&format!("`{field}`")), "{answer:?}");
    }
    let words = ask(&services, "?state=fine").await.text("message");
    for word in ["ok", "expiring", "reconnect_required", "quarantined", "revoked", "handed_over"] {
        assert!(words.contains(word), "{words}");
    }
    ask(&services, "?service=gitt").await.expect_error(422, "unknown_service");
    let text = ask(&services, "").await.body;
    for token in [KEY, &services.ada.token_of(sandbox).await, grants[0].access_token.expose_secret()] {
        assert!(!text.contains(token), "{text}");
    }
}

#[tokio::test]
async fn a_page_is_bounded_and_leads_to_the_next_with_the_same_filters() {
    let services = Services::start().await;
    for n in 0..103 {
        services.ada.add(&n.to_string(), if n % 2 == 0 { "git" } else { "spotify" }, "t").await;
    }
    assert_eq!(ids(&services, "").await.len(), 100);
    let (mut query, mut seen) = ("?service=git&state=ok&limit=20".to_owned(), Vec::new());
    loop {
        let answer = ask(&services, &query).await.expect(StatusCode::OK);
        let page = answer.json();
        let page = page["connections"].as_array().unwrap();
        seen.extend(page.iter().map(|c| c["id"].as_i64().unwrap()));
        assert!(page.iter().all(|c| c["service"] == "github" && c["token_type"] == "git"));
        let link = answer.header("link");
        if link.is_empty() {
            break;
        }
        let (target, rel) = link.split_once('>').unwrap();
        assert_eq!(rel, "; rel=\"next\"");
        query = target.strip_prefix("</api/users/ada/connections").unwrap().to_owned();
    }
    assert_eq!(seen, (1..=103).step_by(2).collect::<Vec<i64>>());
}

#[tokio::test]
async fn a_connection_that_must_be_connected_again_says_why_and_a_provider_in_trouble_is_named() {
    let services = Services::start().await;
    let id = connect(&services.app, &services.ada, "sandbox", "grace").await;
    assert_eq!(services.ada.detail(id).await["provider_trouble"], json!(null));
    services.app.clock.advance(PAST_EXPIRY);
    let limited = FaultKind::Status { code: 429, retry_after_s: Some(60) };
    services.sandbox.inject(Fault::on_refresh(limited));
    services.ada.get_token(id).await.expect_error(503, "provider_unavailable");
    let detail = services.ada.detail(id).await;
    assert_eq!((&detail["state"], &detail["reason"]), (&json!("ok"), &json!(null)));
    assert!(detail["provider_trouble"].as_str().unwrap().contains("left alone"), "{detail}");

    services.app.clock.advance(std::time::Duration::from_mins(2));
    services.sandbox.forget_grants_of("grace");
    services.ada.get_token(id).await.expect_error(409, "reconnect_required");
    let detail = services.ada.detail(id).await;
    assert_eq!(detail["state"], "reconnect_required");
    assert!(detail["reason"].as_str().unwrap().contains("invalid_grant"), "{detail}");
    assert_eq!(ids(&services, "?state=reconnect_required").await, [id]);
}
