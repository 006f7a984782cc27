//! At some providers (Discord, Google) revoking one grant ends all that the account has given to this client. Then only the
//! last connection of an account may be revoked.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_sandbox::{Endpoint, Fault, FaultKind, Sandbox};
use tokenry_testkit::app::{TestApp, TestUser, providers, start_sandbox};

use crate::world::{ACCESS_TTL, PAST_EXPIRY, connect, events_at, eventually, moved_to};

struct Shared {
    app: TestApp,
    sandbox: Sandbox,
    ada: TestUser,
    bob: TestUser,
}

/// Two users, and a Discord that lies at the sandbox.
async fn start() -> Shared {
    let sandbox = start_sandbox(ACCESS_TTL).await;
    let settings = moved_to(&sandbox);
    let app = TestApp::start_with(|config| config.providers = providers(vec![("discord", settings)])).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    Shared { app, sandbox, ada, bob }
}

impl Shared {
    async fn connect(&self, user: &TestUser, account: &str) -> i64 {
        connect(&self.app, user, "discord", account).await
    }

    fn told(&self) -> usize {
        events_at(&self.sandbox.seen(), "revoke")
    }
}

async fn delete(user: &TestUser, id: i64) {
    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_grant_of_one_user_is_not_killed_by_anothers_delete() {
    let shared = start().await;
    let hers = shared.connect(&shared.ada, "grace").await;
    let his = shared.connect(&shared.bob, "grace").await;
    delete(&shared.ada, hers).await;
    assert_eq!(shared.told(), 0);
    shared.app.clock.advance(PAST_EXPIRY);
    shared.bob.token_of(his).await;

    // His was the last.
    delete(&shared.bob, his).await;
    assert_eq!((shared.told(), shared.sandbox.seen().revocations), (1, 1));
}

#[tokio::test]
async fn another_account_is_no_reason_to_keep_a_grant() {
    let shared = start().await;
    let hers = shared.connect(&shared.ada, "grace").await;
    shared.connect(&shared.bob, "linus").await;
    delete(&shared.ada, hers).await;
    assert_eq!((shared.told(), shared.sandbox.seen().live_families), (1, 1));
}

#[tokio::test]
async fn a_replaced_token_does_not_kill_anothers_grant_either() {
    let shared = start().await;
    let hers = shared.connect(&shared.ada, "grace").await;
    let his = shared.connect(&shared.bob, "grace").await;
    let replace = shared.ada.path(&format!("update/connection/token/{hers}"));
    shared.ada.api.put(&replace, &json!({"token": "pasted"})).await.expect(StatusCode::OK);
    assert_eq!(shared.told(), 0);
    shared.bob.token_of(his).await;
}

#[tokio::test]
async fn a_refresh_for_a_deleted_connection_does_not_kill_anothers_grant() {
    let shared = start().await;
    let hers = shared.connect(&shared.ada, "grace").await;
    let his = shared.connect(&shared.bob, "grace").await;
    shared.app.clock.advance(PAST_EXPIRY);
    shared.sandbox.inject(Fault::on_refresh(FaultKind::SlowBody { ms_total: 500 }));
    let reader = tokio::spawn({
        let ada = shared.ada.clone();
        async move { ada.get_token(hers).await }
    });
    eventually("the refresh token is spent", async || shared.sandbox.seen().refreshes == 1).await;
    delete(&shared.ada, hers).await;
    reader.await.unwrap().expect_error(404, "no_such_connection");
    // Both the delete's revocation and the refresh's would have come by now.
    shared.app.server().broker().do_chores().await;
    assert_eq!(shared.told(), 0);
    shared.bob.token_of(his).await;
}

#[tokio::test]
async fn a_revocation_that_comes_late_does_not_kill_a_grant_made_meanwhile() {
    let shared = start().await;
    let first = shared.connect(&shared.ada, "grace").await;
    let away = FaultKind::Status { code: 503, retry_after_s: None };
    shared.sandbox.inject(Fault::once(Endpoint::Revoke, away));
    delete(&shared.ada, first).await;
    assert_eq!(shared.told(), 1);

    // The person has thought better of it.
    let second = shared.connect(&shared.ada, "grace").await;
    shared.app.clock.advance(Duration::from_mins(2));
    shared.app.server().broker().do_chores().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(shared.told(), 1);
    shared.ada.token_of(second).await;
    delete(&shared.ada, second).await;
    assert_eq!(shared.told(), 2);
}

#[tokio::test]
async fn a_waiting_grant_that_is_given_back_does_not_kill_anothers_grant() {
    let shared = start().await;
    let his = shared.connect(&shared.bob, "grace").await;
    let (link, _) = shared.ada.link("discord").await;
    let mut browser = tokenry_testkit::browser::Browser::new();
    let page = browser.consent_sandbox(link, "grace").await;
    let form = page.form_with("handle").unwrap();
    assert_eq!(browser.submit(&form, &[("decision", "abandon")]).await.status, StatusCode::OK);
    assert_eq!(shared.told(), 0);
    shared.bob.token_of(his).await;
}

#[tokio::test]
async fn a_waiting_grant_that_is_the_only_one_of_its_account_is_given_back() {
    let shared = start().await;
    let (link, _) = shared.ada.link("discord").await;
    let mut browser = tokenry_testkit::browser::Browser::new();
    let page = browser.consent_sandbox(link, "grace").await;
    let form = page.form_with("handle").unwrap();
    assert_eq!(browser.submit(&form, &[("decision", "abandon")]).await.status, StatusCode::OK);
    assert_eq!((shared.told(), shared.sandbox.seen().live_families), (1, 0));
}

#[tokio::test]
async fn the_last_two_connections_of_an_account_deleted_at_once_leave_no_grant_behind() {
    let shared = start().await;
    for _ in 0..10 {
        let hers = shared.connect(&shared.ada, "grace").await;
        let his = shared.connect(&shared.bob, "grace").await;
        let revoked = shared.sandbox.seen().revocations;
        tokio::join!(delete(&shared.ada, hers), delete(&shared.bob, his));
        assert!(shared.sandbox.seen().revocations > revoked, "each took the other for somebody who stays");
    }
}
