//! What pages of other sites may do: ask, open and frame for the configured origins, nothing for any other.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokenry_testkit::app::Answer;
use tokenry_testkit::browser::Browser;

use crate::world::{ORIGIN, On, World, header};

const FOREIGN: &str = "https://evil.example";

fn allows(answer: &Answer, origin: &str) -> bool {
    // Never with cookies, and never for whoever comes.
    assert_eq!(answer.header("access-control-allow-credentials"), "", "{answer:?}");
    assert_ne!(answer.header("access-control-allow-origin"), "*", "{answer:?}");
    answer.header("access-control-allow-origin") == origin
}

#[tokio::test]
async fn the_api_and_the_script_answer_pages_of_the_configured_origins_alone() {
    let world = World::start(On::Sqlite).await;
    let made = world.plain_link().await;
    let status = format!("/api/connect/links/{}", made.id());
    let connections = world.ada.path("connections");
    for path in [status.as_str(), "/connect.js", &connections] {
        for (origin, allowed) in [
            (ORIGIN, true),
            (FOREIGN, false),
            ("null", false),
            ("https://app.example.org.evil.example", false),
            ("http://app.example.org", false),
            ("https://app.example.org:8443", false),
        ] {
            let answer = world.ada.api.send(Method::GET, path, &[("origin", origin)], Vec::new()).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert_eq!(allows(&answer, origin), allowed, "{path} {origin}: {answer:?}");
            assert!(answer.header("vary").to_ascii_lowercase().contains("origin"), "{answer:?}");
        }
    }
    for (origin, allowed) in [(ORIGIN, true), (FOREIGN, false)] {
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        let path = world.ada.path("connect/links");
        let answer = world.app.anonymous().send(Method::OPTIONS, &path, &asks, Vec::new()).await;
        assert!(answer.status.is_success(), "{answer:?}");
        assert_eq!(allows(&answer, origin), allowed, "{answer:?}");
        assert!(answer.header("access-control-allow-headers").contains("authorization"), "{answer:?}");
    }
    // Pages are none of it, whoever asks.
    for path in
        ["/", "/sign-in", "/connections", &made.path(), "/assets/style.css", "/healthz", "/openapi.json"]
    {
        let answer = world.app.anonymous().send(Method::GET, path, &[("origin", ORIGIN)], Vec::new()).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn without_a_configured_origin_no_answer_says_a_word_of_others() {
    let world =
        World::start_with(On::Sqlite, |config| config.embedding = tokenry_broker::Embedding::default()).await;
    let made = world.plain_link().await;
    let status = format!("/api/connect/links/{}", made.id());
    for path in [status.as_str(), "/connect.js"] {
        let answer = world.app.anonymous().send(Method::GET, path, &[("origin", ORIGIN)], Vec::new()).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{answer:?}");
        assert_eq!(answer.status, StatusCode::OK);
    }
    let asks = [("origin", ORIGIN), ("access-control-request-method", "GET")];
    let answer = world.app.anonymous().send(Method::OPTIONS, &status, &asks, Vec::new()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    let page = Browser::new().get(made.url()).await;
    assert!(header(&page, "content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(header(&page, "cross-origin-opener-policy"), "same-origin");
}

#[tokio::test]
async fn only_the_pages_of_a_link_may_be_framed_and_opened_by_the_configured_origins() {
    let world = World::start(On::Sqlite).await;
    let made = world.plain_link().await;
    let (mut browser, mut other) = (Browser::new(), Browser::new());
    let open = format!("frame-ancestors {ORIGIN}");
    let assert_open = |page: &tokenry_testkit::browser::Page| {
        let policy = header(page, "content-security-policy");
        assert!(
            policy.contains(&open) && policy.starts_with("default-src 'none'; script-src 'self'"),
            "{policy}"
        );
        assert_eq!(policy.matches("frame-ancestors").count(), 1, "{policy}");
        assert_eq!(header(page, "x-frame-options"), "", "{:?}", page.headers);
        assert_eq!(header(page, "cross-origin-opener-policy"), "unsafe-none", "{:?}", page.headers);
    };
    let page = browser.get(made.url()).await;
    assert_open(&page);
    assert_open(&other.get(made.url()).await);
    let form = page.form_with("service").unwrap();
    let leaving = browser.submit(&form, &[]).await;
    assert_open(&leaving);
    let confirm = other.consent_sandbox(world.consent_of(&leaving), "linus").await;
    assert!(confirm.form_with("handle").is_some());
    // What asks for a password stays in its window, and stands in no frame.
    assert_eq!(header(&confirm, "cross-origin-opener-policy"), "unsafe-none");
    assert!(header(&confirm, "content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(header(&confirm, "x-frame-options"), "DENY");
    let consent = world.begin(&mut browser, &made).await;
    assert_open(&browser.consent_sandbox(consent, "grace").await);

    // A connect without a link, and every other page, is nobody else's.
    let (link, cookie) = world.ada.link("sandbox").await;
    browser.set_cookie(world.app.base(), &cookie);
    let mut closed = vec![browser.consent_sandbox(link, "ada").await];
    for path in ["/", "/sign-in", "/sign-up", "/docs", "/nowhere"] {
        closed.push(browser.get(format!("{}{path}", world.app.base())).await);
    }
    for page in closed {
        assert!(header(&page, "content-security-policy").contains("frame-ancestors 'none'"), "{}", page.url);
        assert_eq!(header(&page, "x-frame-options"), "DENY", "{}", page.url);
        assert_eq!(header(&page, "cross-origin-opener-policy"), "same-origin", "{}", page.url);
    }
}

#[tokio::test]
async fn the_page_that_opened_the_window_is_told_by_its_origin_and_its_nonce() {
    let world = World::start(On::Sqlite).await;
    let made = world
        .link(json!({"services": ["sandbox"], "origin": ORIGIN, "return_to": crate::world::RETURN_TO}))
        .await;
    let mut browser = Browser::new();
    let page = browser.get(format!("{}?popup=0123abcd", made.url())).await;
    let opener = format!("data-origin=\"{ORIGIN}\" data-nonce=\"0123abcd\"");
    assert!(page.body.contains(&opener) && page.body.contains("link.js"), "{}", page.body);
    assert!(!page.body.contains("data-status"), "{}", page.body);
    let consent = world.choose(&mut browser, &page).await;
    let end = browser.consent_sandbox(consent, "grace").await;
    let id = world.ada.list().await[0]["ID"].as_i64().unwrap();
    for part in [opener.as_str(), "data-status=\"connected\"", "data-service=\"sandbox\"", "link.js"] {
        assert!(end.body.contains(part), "{part}: {}", end.body);
    }
    assert!(end.body.contains(&format!("data-connection=\"{id}\"")), "{}", end.body);
    // The window is closed by whoever opened it, and led nowhere.
    assert!(!end.body.contains("http-equiv"), "{}", end.body);

    // Without an origin nobody is told, whatever the address says; and what is no nonce is none.
    let silent = browser.get(format!("{}?popup=0123abcd", world.plain_link().await.url())).await;
    assert!(!silent.body.contains("data-nonce"), "{}", silent.body);
    let made = world.link(json!({"origin": ORIGIN})).await;
    for bad in ["%22%3E%3Cscript%3E", "", &"a".repeat(65), "a%20b"] {
        let page = browser.get(format!("{}?popup={bad}", made.url())).await;
        assert!(!page.body.contains("data-nonce") && !page.body.contains("<script>"), "{bad}: {}", page.body);
    }
    assert_eq!(browser.get(format!("{}?popup=a&popup=b", made.url())).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_script_is_small_plain_and_kept_for_an_hour() {
    let world = World::start(On::Sqlite).await;
    let answer = world.app.anonymous().get("/connect.js").await.expect(StatusCode::OK);
    assert!(answer.body.len() < 4096, "{}", answer.body.len());
    assert!(answer.header("content-type").starts_with("text/javascript"));
    assert_eq!(answer.header("cache-control"), "public, max-age=3600");
    assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
    for word in ["import ", "require(", "eval(", "innerHTML", "postMessage(", "\"*\""] {
        assert!(!answer.body.contains(word), "{word}");
    }
    let page = Browser::new().get(world.plain_link().await.url()).await;
    assert!(!page.body.contains("connect.js"), "it is for pages of others");
}
