//! The scripted browser at the sandbox provider's own consent page.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

use reqwest::StatusCode;
use tokenry_sandbox::{Client, Sandbox, SandboxOptions};
use tokenry_testkit::browser::Browser;
use url::Url;

const CALLBACK: &str = "http://127.0.0.1:9/callback";

async fn sandbox() -> Sandbox {
    let client =
        Client { id: "app".to_owned(), secret: "known".into(), redirect_uris: vec![CALLBACK.to_owned()] };
    Sandbox::start(SandboxOptions { clients: vec![client], ..SandboxOptions::default() }).await.unwrap()
}

fn authorize_url(sandbox: &Sandbox, redirect_uri: &str) -> Url {
    let query = [
        ("client_id", "app"),
        ("response_type", "code"),
        ("redirect_uri", redirect_uri),
        ("scope", "read write"),
        ("state", "a&b=<c>"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    Url::parse_with_params(&format!("{}/authorize", sandbox.base_url()), query).unwrap()
}

#[tokio::test]
async fn a_person_allows_everything_at_the_sandbox() {
    let sandbox = sandbox().await;
    let page = Browser::new()
        .stop_before(CALLBACK)
        .consent_sandbox(authorize_url(&sandbox, CALLBACK), "grace")
        .await;
    assert!(page.url.as_str().starts_with(CALLBACK));
    assert_eq!(page.query("state").as_deref(), Some("a&b=<c>"));
    assert!(page.query("code").is_some());
    assert_eq!(sandbox.seen().consents_allowed, 1);
}

#[tokio::test]
async fn a_person_denies_at_the_sandbox() {
    let sandbox = sandbox().await;
    let page =
        Browser::new().stop_before(CALLBACK).deny_sandbox(authorize_url(&sandbox, CALLBACK), "ada").await;
    assert_eq!(page.query("error").as_deref(), Some("access_denied"));
    assert_eq!(sandbox.seen().consents_denied, 1);
}

#[tokio::test]
async fn a_page_that_asks_nothing_is_returned_as_it_is() {
    let sandbox = sandbox().await;
    let url = authorize_url(&sandbox, "http://127.0.0.1:9/elsewhere");
    let page = Browser::new().consent_sandbox(url.clone(), "ada").await;
    assert_eq!((page.url, page.status), (url, StatusCode::BAD_REQUEST));
}

#[tokio::test]
#[should_panic(expected = "nobody is not there")]
async fn an_account_that_the_page_does_not_offer_cannot_be_chosen() {
    let sandbox = sandbox().await;
    Browser::new().consent_sandbox(authorize_url(&sandbox, CALLBACK), "nobody").await;
}

#[tokio::test]
#[should_panic(expected = "nobody answers at http://127.0.0.1:9/callback: ")]
async fn a_callback_that_nobody_answers_fails_the_test_without_showing_the_code() {
    let sandbox = sandbox().await;
    Browser::new().consent_sandbox(authorize_url(&sandbox, CALLBACK), "ada").await;
}
