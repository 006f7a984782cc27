//! More than one provider: an answer of one must not be taken for an answer of another (RFC 9700 §4.4, RFC 9207).

use tokenry_sandbox::Sandbox;
use tokenry_testkit::app::{TestApp, TestUser, providers, sandbox_settings};
use tokenry_testkit::browser::Browser;
use url::Url;

use crate::world::{
    World, connection_on, consent, expect_refusal, param, sandbox_options, token_requests, with_param,
};

struct Two {
    app: TestApp,
    honest: Sandbox,
    evil: Sandbox,
    user: TestUser,
}

async fn start() -> Two {
    let honest = Sandbox::start(sandbox_options("honest")).await.unwrap();
    let evil = Sandbox::start(sandbox_options("evil")).await.unwrap();
    let list = vec![("honest", sandbox_settings(&honest)), ("evil", sandbox_settings(&evil))];
    let app = TestApp::start_with(|config| config.providers = providers(list)).await;
    let user = app.user("ada").await;
    Two { app, honest, evil, user }
}

impl Two {
    async fn consent(&self, service: &str) -> (Browser, Url) {
        consent(&self.app, &self.user, service, "grace").await
    }

    async fn expect_nothing_happened(&self) {
        assert_eq!(token_requests(&self.honest.seen()), 0);
        assert_eq!(token_requests(&self.evil.seen()), 0);
        assert!(self.user.list().await.is_empty());
    }
}

#[tokio::test]
async fn each_provider_of_the_operators_own_has_a_callback_of_its_own() {
    let two = start().await;
    for service in ["honest", "evil"] {
        let (mut browser, callback) = two.consent(service).await;
        assert_eq!(callback.path(), format!("/callback/{service}"));
        connection_on(&browser.get(&callback).await);
    }
    assert_eq!(two.user.list().await.len(), 2);
}

#[tokio::test]
async fn an_answer_at_another_providers_callback_is_not_used() {
    let two = start().await;
    for path in ["/callback/evil", "/callback", "/callback/nobody", "/callback/HONEST"] {
        let (mut browser, mut callback) = two.consent("honest").await;
        callback.set_path(path);
        expect_refusal(&browser.get(&callback).await, "The answer came back at the wrong address");
    }
    two.expect_nothing_happened().await;
}

#[tokio::test]
async fn a_code_of_one_provider_with_the_state_of_another_goes_to_neither() {
    let two = start().await;
    // The attacker runs `evil`: it sends the person on to `honest`, with the state that `evil` was given.
    for at in ["/callback/honest", "/callback/evil"] {
        let (_, from_honest) = two.consent("honest").await;
        let (mut browser, from_evil) = two.consent("evil").await;
        let mut mixed = with_param(&from_honest, "state", Some(&param(&from_evil, "state")));
        mixed.set_path(at);
        let page = browser.get(&mixed).await;
        expect_refusal(&page, if at == "/callback/honest" { "wrong address" } else { "issuer" });
    }
    two.expect_nothing_happened().await;
}

#[tokio::test]
async fn a_wrong_issuer_is_refused_before_the_code_is_sent() {
    let two = start().await;
    let right = two.honest.base_url().to_owned();
    for wrong in
        [two.evil.base_url(), &format!("{right}/"), &right.to_uppercase(), "", "https://evil.example"]
    {
        let (mut browser, callback) = two.consent("honest").await;
        let callback = with_param(&callback, "iss", Some(wrong));
        expect_refusal(&browser.get(&callback).await, "issuer");
    }
    two.expect_nothing_happened().await;
}

#[tokio::test]
async fn an_issuer_that_was_promised_must_be_there_also_with_an_error() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, callback) = world.consent(&user, "grace").await;
    expect_refusal(&browser.get(with_param(&callback, "iss", None)).await, "issuer");
    let (mut browser, callback) = world.consent(&user, "grace").await;
    let callback = with_param(&with_param(&callback, "iss", None), "error", Some("access_denied"));
    expect_refusal(&browser.get(&callback).await, "issuer");
    assert_eq!(token_requests(&world.seen()), 0);
    assert!(user.list().await.is_empty());
}
