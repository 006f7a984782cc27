//! `/`, `/docs`, `/assets`

use reqwest::StatusCode;
use tokenry_testkit::app::{Answer, TestApp};

use crate::sweep::ROUTES;

#[track_caller]
fn assert_is_page(answer: &Answer) {
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert!(answer.body.starts_with("<!doctype html>") || answer.body.starts_with("<!DOCTYPE html>"));
    for never in ["javascript:", " style=", " onclick=", "src=\"http", "<link rel=\"stylesheet\" href=\"http"]
    {
        assert!(!answer.body.contains(never), "{never} in a page");
    }
    for script in answer.body.split("<script").skip(1) {
        let kind = script.strip_prefix(" type=\"module\"").unwrap_or(script);
        assert!(kind.starts_with(" src=\"/"), "a script that is no file of ours");
    }
}

/// The style sheet that a page asks for.
fn style_of(answer: &Answer) -> String {
    let at = answer.body.find("stylesheet").unwrap();
    let rest = &answer.body[at..];
    rest.split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn every_page_comes_under_a_policy_and_its_style_is_in_the_binary() {
    let app = TestApp::start().await;
    let api = app.anonymous();
    for (path, status) in [
        ("/", StatusCode::OK),
        ("/docs", StatusCode::OK),
        ("/callback", StatusCode::BAD_REQUEST),
        ("/callback?state=%3Cscript%3Ealert(1)%3C/script%3E&code=x", StatusCode::BAD_REQUEST),
        ("/callback/%FF?state=x&code=x", StatusCode::BAD_REQUEST),
        ("/callback/acme?error=%3Cscript%3E&state=x", StatusCode::BAD_REQUEST),
    ] {
        let page = api.get(path).await.expect(status);
        assert_is_page(&page);
        let style = api.get(&style_of(&page)).await.expect(StatusCode::OK);
        assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
        assert!(!style.body.contains("http"), "the style asks for nothing from elsewhere");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_answered_with_a_page() {
    let app = TestApp::start().await;
    let api = app.anonymous();
    for (path, status) in [
        ("/sign-in?next=a&next=b", StatusCode::OK),
        ("/sign-up?next=%ff", StatusCode::OK),
        ("/link/%ff", StatusCode::NOT_FOUND),
        ("/link/%ff/service/%ff", StatusCode::NOT_FOUND),
        ("/setup/%ff", StatusCode::NOT_FOUND),
    ] {
        assert_is_page(&api.get(path).await.expect(status));
    }
}

#[tokio::test]
async fn the_docs_show_every_route() {
    let app = TestApp::start().await;
    let docs = app.anonymous().get("/docs").await.expect(StatusCode::OK);
    for route in &ROUTES {
        assert!(docs.body.contains(&format!("<code>{}</code>", route.path)), "{} is not there", route.path);
    }
}

#[tokio::test]
async fn below_a_path_every_address_on_a_page_is_below_it() {
    let app = TestApp::start_with(|config| {
        config.public_url = "https://example.org/tools/tokenry".parse().unwrap();
    })
    .await;
    for path in ["/", "/docs", "/callback"] {
        let page = app.anonymous().get(path).await;
        for quote in ["href=\"", "action=\"", "src=\""] {
            for address in page.body.split(quote).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                let inside = address.starts_with('#') || address.starts_with("https://");
                assert!(inside || address.starts_with("/tools/tokenry"), "{path}: {address}");
            }
        }
    }
}
