//! A callback that does not end well: a page with words, nothing stored, nothing given away.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry_testkit::app::TestUser;
use tokenry_testkit::browser::{Browser, Page};
use url::Url;

use crate::world::{World, connection_on, expect_away, expect_refusal, param, token_requests, with_param};

/// Delivers `callback` and checks that it is refused in these words, with nothing stored and no code spent.
async fn refuse(world: &World, user: &TestUser, browser: &mut Browser, callback: &Url, says: &str) {
    let page = browser.get(callback).await;
    expect_refusal(&page, says);
    assert!(user.list().await.is_empty());
    assert_eq!(token_requests(&world.seen()), 0, "{callback}");
}

#[tokio::test]
async fn a_person_who_declines_is_told_so() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (link, cookie) = user.link("sandbox").await;
    let page = crate::world::browser_with(&world.app, &cookie).deny_sandbox(link, "grace").await;
    expect_refusal(&page, "Sandbox was not connected, because the request was declined there");
    assert!(user.list().await.is_empty());
    assert_eq!(token_requests(&world.seen()), 0);
}

#[tokio::test]
async fn a_state_that_is_not_ours_is_refused() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, callback) = world.consent(&user, "grace").await;
    let says = "This link does not work";
    for state in [None, Some(""), Some("x"), Some("A".repeat(86).as_str()), Some("A".repeat(9000).as_str())] {
        refuse(&world, &user, &mut browser, &with_param(&callback, "state", state), says).await;
    }
    // None of it has touched the link that is ours.
    connection_on(&browser.get(&callback).await);
}

#[tokio::test]
async fn a_state_works_once() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, callback) = world.consent(&user, "grace").await;
    let id = connection_on(&browser.get(&callback).await);
    expect_refusal(&browser.get(&callback).await, "This link was used before");
    assert_eq!(token_requests(&world.seen()), 1);
    // The second visit has not hurt what the first one stored.
    assert!(!user.token_of(id).await.is_empty());
    assert_eq!(world.seen().live_families, 1);
}

#[tokio::test]
async fn of_many_deliveries_of_one_callback_one_exchanges_the_code() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (browser, callback) = world.consent(&user, "grace").await;
    let cookie = browser.cookies().iter().find(|cookie| cookie.name == "tokenry_browser").unwrap().clone();
    let deliveries: Vec<_> = (0..8)
        .map(|_| {
            let (base, callback, value) = (world.app.base(), callback.clone(), cookie.value.clone());
            tokio::spawn(async move {
                let mut browser = Browser::new();
                browser.set_cookie(base, &format!("tokenry_browser={value}"));
                browser.get(callback).await.status
            })
        })
        .collect();
    let mut connected = 0;
    for delivery in deliveries {
        match delivery.await.unwrap() {
            StatusCode::OK => connected += 1,
            status => assert_eq!(status, StatusCode::BAD_REQUEST),
        }
    }
    assert_eq!(connected, 1);
    assert_eq!((token_requests(&world.seen()), world.seen().codes_exchanged), (1, 1));
    assert_eq!(user.list().await.len(), 1);
}

#[tokio::test]
async fn a_link_expires_after_ten_minutes() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, late) = world.consent(&user, "grace").await;
    world.app.clock.advance(Duration::from_secs(590));
    let (mut other, in_time) = world.consent(&user, "linus").await;
    world.app.clock.advance(Duration::from_secs(11));
    refuse(&world, &user, &mut browser, &late, "This link has expired").await;
    connection_on(&other.get(&in_time).await);
}

#[tokio::test]
async fn an_old_link_is_old_and_not_unknown_until_a_day_has_passed() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, callback) = world.consent(&user, "grace").await;
    world.app.clock.advance(Duration::from_hours(23));
    world.app.server().broker().do_chores().await;
    refuse(&world, &user, &mut browser, &callback, "This link has expired").await;
    world.app.clock.advance(Duration::from_hours(2));
    world.app.server().broker().do_chores().await;
    expect_refusal(&browser.get(&callback).await, "This link does not work");
}

#[tokio::test]
async fn a_callback_without_a_code_is_refused() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    for code in [None, Some("")] {
        let (mut browser, callback) = world.consent(&user, "grace").await;
        let callback = with_param(&callback, "code", code);
        refuse(&world, &user, &mut browser, &callback, "no code came back").await;
    }
}

#[tokio::test]
async fn a_parameter_that_comes_twice_spoils_the_callback() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, callback) = world.consent(&user, "grace").await;
    for name in ["code", "state", "iss"] {
        let twice = format!("{callback}&{name}={}", param(&callback, name));
        let twice = Url::parse(&twice).unwrap();
        refuse(&world, &user, &mut browser, &twice, "This link does not work").await;
    }
    connection_on(&browser.get(&callback).await);
}

#[tokio::test]
async fn an_error_of_the_provider_is_named_and_its_code_is_not_exchanged() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    for error in ["server_error", "invalid_scope", "x"] {
        let (mut browser, callback) = world.consent(&user, "grace").await;
        // Also where a code came along.
        let callback = with_param(&callback, "error", Some(error));
        let says = format!("Sandbox answered with an error: {error}");
        refuse(&world, &user, &mut browser, &callback, &says).await;
    }
    let (mut browser, callback) = world.consent(&user, "grace").await;
    let callback = with_param(&callback, "error", Some("temporarily_unavailable"));
    let away = "Sandbox is not answering at the moment. What was seen: temporarily_unavailable";
    expect_away(&browser.get(&callback).await, away);
    assert!(user.list().await.is_empty());
    assert_eq!(token_requests(&world.seen()), 0);
}

const PROBES: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'-alert(1)-'",
    "javascript:alert(1)",
    "</title><svg/onload=alert(1)>\u{202e}\r\nset-cookie: a=b",
];

#[track_caller]
fn expect_nothing_of_the_probe(page: &Page, probe: &str) {
    assert!(page.status.is_client_error(), "{} {}", page.status, page.body);
    let body = &page.body;
    for raw in ["<script>", "<script/", "<img", "<svg", "</title><", "'-alert", "\"javascript:", "\u{202e}"] {
        assert!(!body.contains(raw), "{probe:?} came out as {raw:?}: {body}");
    }
    assert_eq!(body.matches("<script").count(), 1, "only our own: {body}");
    assert!(
        !page.headers.contains_key("set-cookie")
            || !page.headers["set-cookie"].as_bytes().starts_with(b"a=b")
    );
}

#[tokio::test]
async fn what_comes_in_the_address_does_not_come_out_as_html() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    for probe in PROBES {
        for name in ["error", "error_description", "iss", "code"] {
            let (mut browser, callback) = world.consent(&user, "grace").await;
            let mut callback = with_param(&callback, name, Some(probe));
            if name == "error_description" {
                callback = with_param(&callback, "error", Some("access_denied"));
            }
            expect_nothing_of_the_probe(&browser.get(&callback).await, probe);
        }
        let mut browser = Browser::new();
        let mut callback = Url::parse(&format!("{}/callback", world.app.base())).unwrap();
        callback.query_pairs_mut().append_pair("state", probe).append_pair("error", probe);
        expect_nothing_of_the_probe(&browser.get(&callback).await, probe);
        callback.path_segments_mut().unwrap().push(probe);
        expect_nothing_of_the_probe(&browser.get(&callback).await, probe);
    }
    assert!(user.list().await.is_empty());
}

#[tokio::test]
async fn a_service_that_is_no_service_comes_back_as_json_and_not_as_html() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    for probe in PROBES {
        let mut url = Url::parse(&format!("{}/api/user/connection/access/token", world.app.base())).unwrap();
        url.path_segments_mut().unwrap().push(probe);
        let answer = user.api.get(url.path()).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn an_account_with_an_evil_name_is_shown_as_text() {
    let evil = "<script>alert('grace')</script>";
    let mut options = crate::world::sandbox_options("sandbox");
    evil.clone_into(&mut options.accounts[0].id);
    let sandbox = tokenry_sandbox::Sandbox::start(options).await.unwrap();
    let world = World::around(sandbox, |_| {}).await;
    let user = world.app.user("ada").await;
    for own in [false, true] {
        let (link, cookie) = user.link("sandbox").await;
        let mut browser = Browser::new();
        if own {
            browser.set_cookie(world.app.base(), &cookie);
        }
        let page = browser.consent_sandbox(link, evil).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.form_with("handle").is_none(), own);
        assert_eq!(page.body.matches("<script").count(), 1, "only our own: {}", page.body);
        assert!(!page.body.contains("<script>"), "{}", page.body);
        assert!(page.body.contains("script&#62;") || page.body.contains("script&gt;"), "{}", page.body);
    }
}
