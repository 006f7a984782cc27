//! `/sign-in`, `/sign-up`, `/sign-out`: browsers with sessions of their own.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_testkit::app::{PASSWORD, TestApp};
use tokenry_testkit::browser::{Browser, Page};

async fn fill(browser: &mut Browser, page: &Page, fields: &[(&str, &str)]) -> Page {
    let form = page.form_with("password").unwrap_or_else(|| panic!("no form: {}", page.body));
    browser.submit(&form, fields).await
}

async fn sign_in(browser: &mut Browser, app: &TestApp, username: &str, password: &str) -> Page {
    let page = browser.get(format!("{}/sign-in?next=/account", app.base())).await;
    fill(browser, &page, &[("username", username), ("password", password)]).await
}

async fn is_signed_in(browser: &mut Browser, app: &TestApp) -> bool {
    let page = browser.get(format!("{}/account", app.base())).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.url.path() == "/account"
}

#[tokio::test]
async fn somebody_signs_up_goes_on_where_they_were_going_and_signs_out() {
    let app = TestApp::start().await;
    let mut browser = Browser::new();
    let page = browser.get(format!("{}/account", app.base())).await;
    assert_eq!((page.url.path(), page.query("next").as_deref()), ("/sign-in", Some("/account")));
    let link = page.links().into_iter().find(|link| link.path() == "/sign-up").unwrap();
    let page = browser.follow(&page, &link).await;
    let fields = [("username", "ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    let page = fill(&mut browser, &page, &fields).await;
    assert_eq!(page.url.path(), "/account", "{}", page.body);
    assert!(page.body.contains("ada@example.org") && !page.body.contains(PASSWORD));

    let out = page.forms().into_iter().find(|form| form.action.path() == "/sign-out").unwrap();
    let page = browser.submit(&out, &[]).await;
    assert!(page.body.contains("You are signed out of this browser."), "{}", page.body);
    assert!(!is_signed_in(&mut browser, &app).await);
    // The form of the session that has ended does nothing.
    let page = browser.submit(&out, &[]).await;
    assert_eq!(page.url.path(), "/sign-in");
}

#[tokio::test]
async fn a_session_ends_with_the_log_out_of_a_program_a_new_password_and_by_itself() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut browser = Browser::new();
    assert_eq!(sign_in(&mut browser, &app, "ada", PASSWORD).await.url.path(), "/account");
    ada.api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);
    assert!(!is_signed_in(&mut browser, &app).await);

    sign_in(&mut browser, &app, "ada", PASSWORD).await;
    // Used again and again it lasts for days, not used it does not, and for ever it never does.
    for _ in 0..15 {
        assert!(is_signed_in(&mut browser, &app).await);
        app.clock.advance(Duration::from_hours(11));
    }
    assert!(is_signed_in(&mut browser, &app).await);
    app.clock.advance(Duration::from_hours(4));
    assert!(!is_signed_in(&mut browser, &app).await, "after a week it ends");
    sign_in(&mut browser, &app, "ada", PASSWORD).await;
    assert!(is_signed_in(&mut browser, &app).await);
    app.clock.advance(Duration::from_hours(12));
    assert!(!is_signed_in(&mut browser, &app).await, "after half a day of nothing it ends");
}

#[tokio::test]
async fn a_wrong_password_and_a_form_of_another_browser_sign_nobody_in() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let mut browser = Browser::new();
    let page = sign_in(&mut browser, &app, "<i>ada", "not it at all").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.body.contains("role=\"alert\"") && !page.body.contains("<i>"), "{}", page.body);
    let page = browser.get(format!("{}/sign-in", app.base())).await;
    let form = page.form_with("password").unwrap();
    let mut other = Browser::new();
    other.get(format!("{}/sign-in", app.base())).await;
    for mut third in [Browser::new(), other] {
        let page = third.submit(&form, &[("username", "ada"), ("password", PASSWORD)]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(page.body.contains("This form is no longer good"), "{}", page.body);
        assert!(!is_signed_in(&mut third, &app).await);
    }
    let page = browser.submit(&form, &[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(is_signed_in(&mut browser, &app).await);
}

#[tokio::test]
async fn what_is_not_there_is_a_page_for_people_and_json_for_programs() {
    let app = TestApp::start().await;
    let api = app.anonymous();
    let page = api.send(reqwest::Method::GET, "/nowhere", &[("accept", "text/html")], Vec::new()).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.body.contains("There is nothing here"), "{}", page.body);
    api.get("/nowhere").await.expect_error(404, "not_found");
    let of_the_api = [("accept", "text/html")];
    api.send(reqwest::Method::GET, "/api/nowhere", &of_the_api, Vec::new())
        .await
        .expect_error(404, "not_found");
}
