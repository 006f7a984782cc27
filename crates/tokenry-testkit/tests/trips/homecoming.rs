//! A provider that refuses `localhost` sends the browser to 127.0.0.1. It is sent home first, to where its cookies are.

use reqwest::{Method, StatusCode};
use tokenry_testkit::app::{TestApp, providers, start_sandbox};
use tokenry_testkit::browser::Browser;
use url::Url;

use crate::world::{ACCESS_TTL, connection_on, moved_to};

async fn start() -> (tokenry_sandbox::Sandbox, TestApp) {
    let sandbox = start_sandbox(ACCESS_TTL).await;
    // Spotify's data say that it refuses `localhost`.
    let settings = moved_to(&sandbox);
    let app = TestApp::start_with(|config| {
        config.public_url = Url::parse(&format!("http://localhost:{}", config.listen.port())).unwrap();
        config.providers = providers(vec![("spotify", settings)]);
    })
    .await;
    (sandbox, app)
}

#[tokio::test]
async fn a_browser_that_comes_back_at_the_loopback_address_is_sent_home_with_what_it_brought() {
    let (sandbox, app) = start().await;
    let home = format!("http://localhost:{}", app.config.listen.port());
    let user = app.user("ada").await;
    let (link, cookie) = user.link("spotify").await;
    assert!(link.contains("redirect_uri=http%3A%2F%2F127.0.0.1%3A"), "{link}");
    let mut browser = Browser::new();
    browser.set_cookie(&home, &cookie);
    let page = browser.consent_sandbox(link, "grace").await;
    connection_on(&page);
    assert!(page.url.as_str().starts_with(&format!("{home}/callback/spotify?code=")), "{}", page.url);
    assert_eq!(sandbox.seen().codes_exchanged, 1);
    assert_eq!(user.list().await[0]["Name"], "spotify (grace)");
}

#[tokio::test]
async fn the_way_home_keeps_every_byte_of_the_query() {
    let (_sandbox, app) = start().await;
    let query = "code=a%2Fb%2B&state=x&x=%0d%0aset-cookie:%20a=b&y=//evil.example&&z";
    let answer = app.anonymous().get(&format!("/callback?{query}")).await.expect(StatusCode::SEE_OTHER);
    let home = format!("http://localhost:{}/callback?{query}", app.config.listen.port());
    assert_eq!(answer.header("location"), home);
    assert_eq!(answer.header("set-cookie"), "");
}

#[tokio::test]
async fn no_host_header_turns_the_way_home_elsewhere() {
    let (_sandbox, app) = start().await;
    let home = format!("http://localhost:{}/", app.config.listen.port());
    for host in [
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:1@evil.example",
        "127.0.0.1.evil.example",
        "evil.example",
        "localhost",
        "localhost:1",
        "evil.example:80/127.0.0.1",
        "[::1]",
    ] {
        let headers = [("host", host), ("x-forwarded-host", "evil.example")];
        let path = "/callback?code=c&state=s";
        let answer = app.anonymous().send(Method::GET, path, &headers, Vec::new()).await;
        if answer.status.is_redirection() {
            assert!(host.starts_with("127.0.0.1"), "{host}");
            assert!(answer.header("location").starts_with(&home), "{host}: {answer:?}");
        } else {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{host}");
            assert_eq!(answer.header("location"), "");
        }
        assert!(!answer.body.contains("evil"), "{host}: {}", answer.body);
    }
}

#[tokio::test]
async fn where_home_is_not_localhost_nobody_is_sent_anywhere() {
    let app = TestApp::start().await;
    for host in ["127.0.0.1", "localhost", "evil.example"] {
        let answer = app
            .anonymous()
            .send(Method::GET, "/callback?code=c&state=s", &[("host", host)], Vec::new())
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{host}");
    }
}
