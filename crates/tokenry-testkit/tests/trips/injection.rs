//! What a provider says in the hope of being taken for us: line breaks, headers, markup. None of it gets into a header of
//! ours, into a request of ours, or onto a page as it is.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokenry_oauth::ProviderSettings;
use tokenry_sandbox::{Endpoint, Fault, FaultKind};
use tokenry_testkit::app::{TestApp, TestUser, providers};
use tokenry_testkit::browser::Page;
use url::Url;

use crate::little::{Little, deliver};
use crate::world::{PAST_EXPIRY, World, browser_with, param};

/// A line break, a header, NUL, an escape sequence, and markup.
const EVIL: &str =
    "x\r\nSet-Cookie: evil=1\r\n\r\n\u{0}\u{1b}[31m<script>alert(1)</script>\"'&\u{202e}\u{2028}y";

async fn start(little: &Little) -> (TestApp, TestUser) {
    let settings = ProviderSettings { revoke_url: Some(little.url("/revoke")), ..little.settings() };
    let app = TestApp::start_with(|config| config.providers = providers(vec![("little", settings)])).await;
    let user = app.user("ada").await;
    (app, user)
}

/// Asks for a link and comes back with these parameters besides the state.
async fn come_back(app: &TestApp, user: &TestUser, params: &[(&str, &str)]) -> Page {
    let (link, cookie) = user.link("little").await;
    let mut url = Url::parse(&format!("{}/callback/little", app.base())).unwrap();
    url.query_pairs_mut().append_pair("state", &param(&link.parse().unwrap(), "state")).extend_pairs(params);
    browser_with(app, &cookie).get(url).await
}

/// Checks that nothing of [`EVIL`] is in a page but its harmless letters.
#[track_caller]
fn expect_clean(page: &Page) {
    assert!(
        !page.headers.iter().any(|(_, value)| value.to_str().unwrap().contains("evil")),
        "{:?}",
        page.headers
    );
    for part in ["<script>alert", "\u{0}", "\u{1b}", "\u{202e}", "\r\nSet-Cookie"] {
        assert!(!page.body.contains(part), "{part:?} in {}", page.body);
    }
}

#[tokio::test]
async fn a_token_answer_with_line_breaks_in_it_ends_the_connect() {
    let little = Little::start().await;
    little.answer(Method::GET, "/user", 200, &json!({"sub": "1"}));
    let (app, user) = start(&little).await;
    for evil in [
        json!({"access_token": EVIL}),
        json!({"access_token": "a\r\nX-Evil: 1"}),
        json!({"access_token": "a\u{0}b"}),
        json!({"access_token": "a", "token_type": EVIL}),
        json!({"access_token": "a", "token_type": "Bearer\r\nX-Evil: 1"}),
    ] {
        little.answer(Method::POST, "/token", 200, &evil);
        let page = come_back(&app, &user, &[("code", "c")]).await;
        assert_eq!(page.status.as_u16(), 400, "{evil}: {}", page.body);
        expect_clean(&page);
    }
    assert!(user.list().await.is_empty());
    assert!(little.seen_at("/user").is_empty(), "a token that is none was sent on");
}

#[tokio::test]
async fn what_a_provider_writes_into_an_error_is_shown_as_text_and_nothing_else() {
    let little = Little::start().await;
    let (app, user) = start(&little).await;
    for evil in [
        json!({"error": "invalid_grant", "error_description": EVIL}),
        json!({"error": EVIL}),
        json!({"error": {"message": EVIL, "type": EVIL}}),
        Value::from(EVIL),
    ] {
        for status in [200, 400, 503] {
            little.answer(Method::POST, "/token", status, &evil);
            expect_clean(&come_back(&app, &user, &[("code", "c")]).await);
        }
    }
    for params in [[("error", EVIL), ("error_description", EVIL)], [("code", EVIL), ("iss", EVIL)]] {
        expect_clean(&come_back(&app, &user, &params).await);
    }
    // The code went out as a field of a form, whatever was in it.
    let sent = little.seen_at("/token");
    assert_eq!(sent.last().unwrap().form()["code"], EVIL);
    assert!(sent.iter().all(|sent| sent.header("set-cookie").is_empty()), "{sent:?}");
}

#[tokio::test]
async fn an_account_s_words_are_stripped_and_escaped_and_a_refresh_token_s_go_out_encoded() {
    let little = Little::start().await;
    let tokens = json!({"access_token": "one", "expires_in": 3600, "refresh_token": EVIL, "scope": EVIL});
    little.answer(Method::POST, "/token", 200, &tokens);
    little.answer(
        Method::GET,
        "/user",
        200,
        &json!({"sub": "1", "preferred_username": EVIL, "name": EVIL, "email": EVIL}),
    );
    let (app, user) = start(&little).await;
    let page = come_back(&app, &user, &[("code", "c")]).await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.body);
    expect_clean(&page);
    let listed = &user.list().await[0];
    let name = listed["Name"].as_str().unwrap();
    assert!(!name.chars().any(char::is_control), "{name:?}");
    let id = listed["ID"].as_i64().unwrap();
    let detail = user.detail(id).await;
    let label = detail["account"]["label"].as_str().unwrap();
    assert!(!label.chars().any(char::is_control), "{label:?}");

    app.clock.advance(PAST_EXPIRY);
    user.token_of(id).await;
    let refresh = little.seen_at("/token").pop().unwrap();
    assert_eq!(refresh.form()["refresh_token"], EVIL);
    assert_eq!(refresh.header("set-cookie"), "");

    // An account whose id is no id is no account.
    little.answer(Method::GET, "/user", 200, &json!({"sub": EVIL}));
    let other = deliver(&app, &user, "little", "/callback/little").await;
    assert_ne!(other, id);
    assert_eq!(user.detail(other).await["account"], Value::Null);
}

#[tokio::test]
async fn a_retry_after_beyond_all_reason_is_a_day_and_one_that_is_none_is_none() {
    for (said, most) in [(999_999_999_999, 86_400), (86_401, 86_400), (0, 5)] {
        let world = World::start().await;
        let ada = world.app.user("ada").await;
        let id = world.connect(&ada, "grace").await;
        world.app.clock.advance(PAST_EXPIRY);
        let limited = FaultKind::Status { code: 429, retry_after_s: Some(said) };
        world.sandbox.inject(Fault::once(Endpoint::Token, limited));
        let answer = ada.get_token(id).await.expect_error(503, "provider_unavailable");
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=most).contains(&seconds), "{said}: {seconds}");
        // No word of a provider keeps it closed for longer.
        world.app.clock.advance(Duration::from_secs(most));
        let mut again = ada.clone();
        again.api.token = Some(ada.api.log_in("ada", tokenry_testkit::app::PASSWORD).await);
        again.token_of(id).await;
    }
}

#[tokio::test]
async fn what_people_write_comes_back_in_no_header() {
    let app = TestApp::start().await;
    let user = app.user("ada").await;
    for name in ["x\r\nSet-Cookie: evil=1", "x\u{0}y", "\u{1b}[31m"] {
        let body = json!({"name": name, "token_type": "spotify", "token": "t"});
        let answer = user.api.post(&user.path("add/connection"), &body).await;
        assert!(answer.headers.get("set-cookie").is_none(), "{answer:?}");
    }
    // A pasted token may have line breaks (a private key has): it goes out in a body, and in no header.
    let id = user.add("key", "spotify", "one\r\nX-Evil: 1").await;
    assert_eq!(user.token_of(id).await, "one\r\nX-Evil: 1");
    let calls = user.api.get(&user.path(&format!("connections/{id}/token"))).await;
    assert_eq!(calls.json()["header"], Value::Null, "{calls:?}");
    for path in [
        "/api/user/connection/access/token/x%0d%0aSet-Cookie:%20evil=1",
        "/callback/x%0d%0aSet-Cookie:%20evil",
    ] {
        let answer = user.api.get(path).await;
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        // A page marks its browser; the API sets none.
        assert_eq!(cookies.len(), usize::from(!path.starts_with("/api/")), "{answer:?}");
        assert!(
            cookies.iter().all(|cookie| cookie.as_bytes().starts_with(b"tokenry_browser=")),
            "{answer:?}"
        );
        assert!(!answer.headers.contains_key("x-evil") && answer.status.is_client_error(), "{answer:?}");
    }
}
