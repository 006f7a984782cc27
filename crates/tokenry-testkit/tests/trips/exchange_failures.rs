//! The code came back and the exchange fails: told in words, tried once, nothing stored.

use std::time::Duration;

use tokenry_sandbox::{Endpoint, Fault, FaultKind, Grant};
use tokenry_testkit::app::CLIENT_SECRET;
use url::Url;

use crate::world::{World, connection_on, expect_away, expect_refusal};

fn on_exchange(kind: FaultKind) -> Fault {
    Fault { grant: Some(Grant::AuthorizationCode), ..Fault::once(Endpoint::Token, kind) }
}

#[tokio::test]
async fn an_exchange_that_fails_is_told_and_not_tried_again() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let elsewhere = Url::parse(&format!("{}/userinfo", world.sandbox.base_url())).unwrap();
    // Whether the provider may well do it the next time.
    let faults = [
        (FaultKind::Status { code: 503, retry_after_s: Some(1) }, "status 503", true),
        (FaultKind::Status { code: 429, retry_after_s: None }, "asks for fewer requests", true),
        (FaultKind::Status { code: 418, retry_after_s: None }, "status 418", false),
        (FaultKind::Status { code: 204, retry_after_s: None }, "makes no sense", false),
        (FaultKind::OAuthError { code: "invalid_client".into(), status: 401 }, "invalid_client", false),
        (FaultKind::ErrorInOk { code: "bad_verification_code".into() }, "bad_verification_code", false),
        (FaultKind::Malformed, "makes no sense", false),
        (FaultKind::Drop, "broke off", true),
        (FaultKind::DropAfter, "broke off", true),
        (FaultKind::HugeBody { bytes: 2 * 1024 * 1024 }, "longer than", false),
        (FaultKind::RedirectTo { url: elsewhere }, "redirect", false),
    ];
    let mut exchanged = 0;
    for ((kind, says, is_away), served) in faults.into_iter().zip(1..) {
        let name = format!("{kind:?}");
        // The one whose work is done before the answer is lost.
        exchanged += u64::from(kind == FaultKind::DropAfter);
        let (mut browser, callback) = world.consent(&user, "grace").await;
        world.sandbox.inject(on_exchange(kind));
        let page = browser.get(&callback).await;
        if is_away {
            expect_away(&page, says);
            assert!(page.text().contains("Sandbox is not answering at the moment"), "{name}: {}", page.body);
        } else {
            expect_refusal(&page, says);
            assert!(page.text().contains("Sandbox did not complete the connection"), "{name}: {}", page.body);
        }
        expect_refusal(&browser.get(&callback).await, "This link was used before");

        // A second try would have met no fault, and ended in an exchange or in the end of the grant.
        let seen = world.seen();
        assert_eq!((seen.faults_served, seen.codes_exchanged), (served, exchanged), "{name}");
        assert_eq!((seen.live_families, seen.userinfo_calls), (exchanged, 0), "{name}");
        assert!(user.list().await.is_empty(), "{name}");
    }
    let (mut browser, callback) = world.consent(&user, "grace").await;
    connection_on(&browser.get(&callback).await);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_in_time_is_given_up() {
    let world = World::start_with(|config| config.outbound.timeout = Duration::from_millis(300)).await;
    let user = world.app.user("ada").await;
    for kind in [FaultKind::Delay { ms: 60_000 }, FaultKind::SlowBody { ms_total: 60_000 }] {
        let (mut browser, callback) = world.consent(&user, "grace").await;
        world.sandbox.inject(on_exchange(kind));
        expect_away(&browser.get(&callback).await, "did not answer within 300ms");
        assert!(user.list().await.is_empty());
    }
}

#[tokio::test]
async fn words_of_the_provider_are_shown_without_markup_and_without_the_secret() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    for code in ["<script>alert(1)</script>", CLIENT_SECRET, "\"'><b>"] {
        let (mut browser, callback) = world.consent(&user, "grace").await;
        world.sandbox.inject(on_exchange(FaultKind::ErrorInOk { code: code.to_owned() }));
        let page = browser.get(&callback).await;
        expect_refusal(&page, "Sandbox did not complete the connection");
        assert_eq!(page.body.matches("<script").count(), 1, "only our own: {}", page.body);
        assert!(!page.body.contains("<script>") && !page.body.contains("<b>"), "{}", page.body);
        assert!(!page.body.contains("s3cret"), "{}", page.body);
    }
}

#[tokio::test]
async fn a_grant_whose_account_cannot_be_named_is_kept_all_the_same() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, callback) = world.consent(&user, "grace").await;
    world
        .sandbox
        .inject(Fault::once(Endpoint::Userinfo, FaultKind::Status { code: 503, retry_after_s: None }));
    let id = connection_on(&browser.get(&callback).await);
    assert!(!user.token_of(id).await.is_empty());
    assert_eq!(user.list().await[0]["Name"], "sandbox");
}
