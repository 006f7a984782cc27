//! A grant that came back in another browser waits for its owner: for one claim, in one browser, for ten minutes.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokenry_sandbox::{Endpoint, Fault, FaultKind};
use tokenry_testkit::app::{ApiClient, PASSWORD, TestUser};
use tokenry_testkit::browser::{Browser, Page};

use crate::world::{World, connection_on, eventually, expect_refusal};

struct Waiting {
    world: World,
    user: TestUser,
    browser: Browser,
    page: Page,
}

async fn park() -> Waiting {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (link, _) = user.link("sandbox").await;
    let mut browser = Browser::new();
    let page = browser.consent_sandbox(link, "grace").await;
    assert!(page.form_with("handle").is_some(), "{}", page.body);
    assert_eq!((world.seen().live_families, world.seen().revocations), (1, 0));
    Waiting { world, user, browser, page }
}

impl Waiting {
    async fn decide(&mut self, decision: &str) -> Page {
        let form = self.page.form_with("handle").unwrap();
        self.browser.submit(&form, &[("password", PASSWORD), ("decision", decision)]).await
    }

    async fn do_chores(&self) {
        self.world.app.server().broker().do_chores().await;
    }
}

#[tokio::test]
async fn saying_this_is_not_me_gives_the_grant_back_and_stores_nothing() {
    let mut waiting = park().await;
    let page = waiting.decide("abandon").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Nothing was connected"), "{}", page.body);
    let seen = waiting.world.seen();
    assert_eq!((seen.live_families, seen.revocations), (0, 1));
    assert!(waiting.user.list().await.is_empty());
    // It is gone: not even the right password brings it back.
    expect_refusal(&waiting.decide("finish").await, "This link does not work");
    assert!(waiting.user.list().await.is_empty());
}

#[tokio::test]
async fn the_handle_does_nothing_in_a_third_browser() {
    let mut waiting = park().await;
    let form = waiting.page.form_with("handle").unwrap();
    let (_, other_cookie) = waiting.user.link("sandbox").await;
    for cookie in [None, Some(other_cookie)] {
        for decision in ["finish", "abandon"] {
            let mut third = Browser::new();
            if let Some(cookie) = &cookie {
                third.set_cookie(waiting.world.app.base(), cookie);
            }
            let page = third.submit(&form, &[("password", PASSWORD), ("decision", decision)]).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
            assert!(page.body.contains("This form is no longer good"), "{}", page.body);
            // With what its own pages carry the form is read, and the handle is still another browser's.
            let own = third.get(format!("{}/sign-in", waiting.world.app.base())).await;
            let token = own.form_with("form_token").unwrap().values("form_token")[0].to_owned();
            let fields = [("form_token", &*token), ("password", PASSWORD), ("decision", decision)];
            expect_refusal(&third.submit(&form, &fields).await, "This link does not work");
        }
    }
    assert!(waiting.user.list().await.is_empty());
    assert_eq!((waiting.world.seen().live_families, waiting.world.seen().revocations), (1, 0));
    connection_on(&waiting.decide("finish").await);
}

#[tokio::test]
async fn a_grant_that_nobody_claims_is_given_back_after_ten_minutes() {
    let mut waiting = park().await;
    waiting.world.app.clock.advance(Duration::from_secs(590));
    waiting.do_chores().await;
    assert_eq!(waiting.world.seen().live_families, 1);

    waiting.world.app.clock.advance(Duration::from_secs(11));
    // Too late, also before the chores come by.
    expect_refusal(&waiting.decide("finish").await, "This link does not work");
    waiting.do_chores().await;
    eventually("the grant is revoked", async || waiting.world.seen().live_families == 0).await;
    assert_eq!(waiting.world.seen().revocations, 1);
    assert!(waiting.user.list().await.is_empty());
}

#[tokio::test]
async fn the_page_after_the_confirmation_is_of_who_confirmed_and_signs_them_out() {
    let mut waiting = park().await;
    let page = waiting.decide("finish").await;
    let out = page.forms().into_iter().find(|form| form.action.path() == "/sign-out");
    let out = out.unwrap_or_else(|| panic!("nobody is signed in: {}", page.body));
    let page = waiting.browser.submit(&out, &[]).await;
    assert!(page.body.contains("You are signed out of this browser."), "{}", page.body);
}

#[tokio::test]
async fn a_waiting_grant_survives_a_restart() {
    let mut waiting = park().await;
    waiting.world.app = waiting.world.app.restart_with(|_| {}).await;
    connection_on(&waiting.decide("finish").await);
    assert_eq!(waiting.user.list().await.len(), 1);
}

#[tokio::test]
async fn a_waiting_grant_is_claimed_once_by_however_many_at_once() {
    let waiting = park().await;
    let form = waiting.page.form_with("handle").unwrap();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("form_token", form.values("form_token")[0])
        .append_pair("handle", form.values("handle")[0])
        .append_pair("password", PASSWORD)
        .append_pair("decision", "finish")
        .finish();
    let cookie = waiting.browser.cookies().iter().find(|cookie| cookie.name == "tokenry_browser").unwrap();
    let cookie = format!("{}={}", cookie.name, cookie.value);
    let claims: Vec<_> = (0..4)
        .map(|_| {
            let (api, cookie, body) =
                (ApiClient::new(waiting.world.app.base()), cookie.clone(), body.clone());
            tokio::spawn(async move {
                let headers =
                    [("content-type", "application/x-www-form-urlencoded"), ("cookie", cookie.as_str())];
                api.send(Method::POST, "/connect/confirm", &headers, body.into_bytes()).await.status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for claim in claims {
        statuses.push(claim.await.unwrap());
    }
    statuses.sort();
    assert_eq!(statuses, [200, 400, 400, 400].map(|code| StatusCode::from_u16(code).unwrap()));
    assert_eq!(waiting.user.list().await.len(), 1);
    assert_eq!(waiting.world.seen().codes_exchanged, 1);
}

#[tokio::test]
async fn a_claimed_grant_can_no_longer_be_given_back_by_the_page() {
    let mut waiting = park().await;
    let id = connection_on(&waiting.decide("finish").await);
    expect_refusal(&waiting.decide("abandon").await, "This link does not work");
    waiting.world.app.clock.advance(Duration::from_mins(11));
    waiting.do_chores().await;
    assert_eq!((waiting.world.seen().live_families, waiting.world.seen().revocations), (1, 0));
    assert!(!waiting.user.token_of(id).await.is_empty());
}

#[tokio::test]
async fn a_grant_that_the_provider_was_too_busy_to_take_back_is_given_back_later() {
    let mut waiting = park().await;
    let busy = FaultKind::Status { code: 503, retry_after_s: None };
    waiting.world.sandbox.inject(Fault::once(Endpoint::Revoke, busy));
    let page = waiting.decide("abandon").await;
    assert!(page.body.contains("did not confirm it"), "{}", page.body);
    assert_eq!(waiting.world.seen().live_families, 1);
    // It waits for the provider alone: nobody can claim it any more.
    expect_refusal(&waiting.decide("finish").await, "This link does not work");
    waiting.do_chores().await;
    assert_eq!(waiting.world.seen().live_families, 1, "its time has not come");

    waiting.world.app.clock.advance(Duration::from_secs(31));
    waiting.do_chores().await;
    assert_eq!((waiting.world.seen().live_families, waiting.world.seen().revocations), (0, 1));
    assert!(waiting.user.list().await.is_empty());
}
