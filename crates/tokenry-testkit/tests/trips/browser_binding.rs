//! A link that somebody else opens must not end with their account in mine: the browser that comes back must be the one
//! that asked, or be signed in as the same user, or its person must sign in.

use reqwest::StatusCode;
use serde_json::json;
use tokenry_testkit::app::{PASSWORD, TestUser};
use tokenry_testkit::browser::{Browser, Page};

use crate::world::{World, connection_on, expect_refusal};

/// Opens a link of `user` in a browser that did not ask for it, and consents there as `account`.
async fn open_elsewhere(world: &World, user: &TestUser, account: &str) -> (Browser, Page) {
    let (link, _) = user.link("sandbox").await;
    let mut browser = Browser::new();
    let page = browser.consent_sandbox(link, account).await;
    assert!(page.url.as_str().starts_with(&world.app.base()), "{}", page.url);
    (browser, page)
}

async fn sign_in(browser: &mut Browser, page: &Page, password: &str) -> Page {
    let form = page.form_with("handle").unwrap_or_else(|| panic!("no form: {}", page.body));
    browser.submit(&form, &[("password", password), ("decision", "finish")]).await
}

#[tokio::test]
async fn another_browser_is_shown_whose_account_gets_which_and_nothing_is_stored() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (browser, page) = open_elsewhere(&world, &user, "grace").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("Tokenry account <strong><bdi translate=\"no\">ada</bdi></strong>"),
        "{}",
        page.body
    );
    assert!(
        page.body.contains("Sandbox</bdi> account <strong><bdi translate=\"no\">grace</bdi></strong>"),
        "{}",
        page.body
    );
    assert!(page.body.contains("This is not me"), "{}", page.body);
    assert!(user.list().await.is_empty());
    // Neither is the browser signed in by it.
    assert!(!browser.cookies().iter().any(|cookie| cookie.name.contains("session")));
}

#[tokio::test]
async fn a_wrong_password_stores_nothing_and_shows_the_page_again() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, page) = open_elsewhere(&world, &user, "grace").await;
    for wrong in ["not the password", ""] {
        let again = sign_in(&mut browser, &page, wrong).await;
        assert_eq!(again.status, StatusCode::FORBIDDEN, "{}", again.body);
        assert!(again.body.contains("password is wrong"), "{}", again.body);
        assert_eq!(again.form_with("handle").unwrap().values("handle").len(), 1);
        assert!(user.list().await.is_empty());
        assert!(!browser.cookies().iter().any(|cookie| cookie.name.contains("session")));
    }
    assert_eq!(world.seen().live_families, 1);
    connection_on(&sign_in(&mut browser, &page, PASSWORD).await);
}

#[tokio::test]
async fn the_right_password_in_that_browser_connects() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, page) = open_elsewhere(&world, &user, "grace").await;
    let id = connection_on(&sign_in(&mut browser, &page, PASSWORD).await);
    assert_eq!(user.list().await[0]["ID"], id);
    assert!(!user.token_of(id).await.is_empty());
    assert_eq!(world.seen().codes_exchanged, 1);
}

#[tokio::test]
async fn a_signed_in_browser_needs_no_cookie_of_the_link_for_the_same_user() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, page) = open_elsewhere(&world, &user, "grace").await;
    connection_on(&sign_in(&mut browser, &page, PASSWORD).await);

    let (link, _) = user.link("sandbox").await;
    connection_on(&browser.consent_sandbox(link, "linus").await);
    assert_eq!(user.list().await.len(), 2);
}

#[tokio::test]
async fn the_session_of_another_user_does_not_count() {
    let world = World::start().await;
    let ada = world.app.user("ada").await;
    let (mut browser, page) = open_elsewhere(&world, &ada, "ada").await;
    connection_on(&sign_in(&mut browser, &page, PASSWORD).await);

    let mallory = world.app.user("mallory").await;
    let (link, _) = mallory.link("sandbox").await;
    let page = browser.consent_sandbox(link, "ada").await;
    assert!(page.body.contains("<bdi translate=\"no\">mallory</bdi>"), "{}", page.body);
    assert!(mallory.list().await.is_empty());
    // The password of the one who is signed in is not the one that is asked for.
    assert_eq!(ada.list().await.len(), 1);
    assert!(page.form_with("handle").is_some());
}

#[tokio::test]
async fn a_session_that_was_ended_does_not_count() {
    let world = World::start().await;
    let mut user = world.app.user("ada").await;
    let (mut browser, page) = open_elsewhere(&world, &user, "grace").await;
    connection_on(&sign_in(&mut browser, &page, PASSWORD).await);
    user.api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);

    user.api.token = Some(user.api.log_in("ada", PASSWORD).await);
    let (link, _) = user.link("sandbox").await;
    let page = browser.consent_sandbox(link, "linus").await;
    assert!(page.form_with("handle").is_some(), "{}", page.body);
    assert_eq!(user.list().await.len(), 1);
}

#[tokio::test]
async fn the_cookie_of_one_link_does_not_serve_another_users_link() {
    let world = World::start().await;
    let (ada, mallory) = (world.app.user("ada").await, world.app.user("mallory").await);
    let (_, cookie) = ada.link("sandbox").await;
    let mut browser = crate::world::browser_with(&world.app, &cookie);
    let (link, _) = mallory.link("sandbox").await;
    let page = browser.consent_sandbox(link, "ada").await;
    assert!(
        page.body.contains("<bdi translate=\"no\">mallory</bdi>") && page.form_with("handle").is_some(),
        "{}",
        page.body
    );
    assert!(mallory.list().await.is_empty() && ada.list().await.is_empty());
}

#[tokio::test]
async fn a_browser_that_asks_twice_keeps_its_cookie_and_both_links_end_well() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (first, cookie) = user.link("sandbox").await;
    let path = "/api/user/connection/access/token/sandbox";
    let answer = user.api.send(reqwest::Method::GET, path, &[("cookie", &cookie)], Vec::new()).await;
    assert!(answer.header("set-cookie").starts_with(&cookie), "{answer:?}");
    let mut browser = crate::world::browser_with(&world.app, &cookie);
    connection_on(&browser.consent_sandbox(answer.text("url"), "grace").await);
    connection_on(&browser.consent_sandbox(first, "linus").await);
}

#[tokio::test]
async fn a_guesser_at_the_confirm_page_is_slowed_down() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, page) = open_elsewhere(&world, &user, "grace").await;
    for _ in 0..10 {
        assert_eq!(sign_in(&mut browser, &page, "a guess").await.status, StatusCode::FORBIDDEN);
    }
    let limited = sign_in(&mut browser, &page, "a guess").await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert!(limited.form_with("handle").is_some(), "{}", limited.body);
    assert!(user.list().await.is_empty());
}

#[tokio::test]
async fn a_form_without_its_fields_is_a_page_and_not_a_connection() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut browser, page) = open_elsewhere(&world, &user, "grace").await;
    let mut form = page.form_with("handle").unwrap();
    form.fields.retain(|field| field.name == "form_token");
    expect_refusal(&browser.submit(&form, &[("decision", "finish")]).await, "This link does not work");
    assert!(user.list().await.is_empty());
}
