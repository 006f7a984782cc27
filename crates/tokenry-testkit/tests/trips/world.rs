//! What the tests here share: an app with a sandbox, ways through a consent, and what a page of refusal must be.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tokenry::config::Config;
use tokenry_model::ExposeSecret as _;
use tokenry_oauth::ProviderSettings;
use tokenry_sandbox::{Client, Sandbox, SandboxOptions, Seen};
use tokenry_testkit::app::{
    CLIENT_ID, CLIENT_SECRET, TestApp, TestUser, providers, sandbox_settings, start_sandbox,
};
use tokenry_testkit::browser::{Browser, Page};
use url::Url;

/// Longer than the life of the sandbox's tokens, shorter than that of a session of ours.
pub(crate) const PAST_EXPIRY: Duration = Duration::from_hours(2);
/// How long the sandbox's access tokens live.
pub(crate) const ACCESS_TTL: Duration = Duration::from_hours(1);

/// An app that knows a sandbox as the provider `sandbox`.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) sandbox: Sandbox,
}

impl World {
    /// Words and numbers that the database holds, whichever it is, read behind the app's back.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<(String, i64)> {
        let (url, sql) = (self.app.config.database_url.expose_secret(), AssertSqlSafe(sql.to_owned()));
        if url.starts_with("sqlite:") {
            let mut database = SqliteConnection::connect(url).await.unwrap();
            return sqlx::query_as(sql).fetch_all(&mut database).await.unwrap();
        }
        let mut database = PgConnection::connect(url).await.unwrap();
        sqlx::query_as(sql).fetch_all(&mut database).await.unwrap()
    }

    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::around(start_sandbox(ACCESS_TTL).await, change).await
    }

    pub(crate) async fn around(sandbox: Sandbox, change: impl FnOnce(&mut Config)) -> Self {
        let settings = sandbox_settings(&sandbox);
        let app = TestApp::start_with(|config| {
            config.providers = providers(vec![("sandbox", settings)]);
            change(config);
        })
        .await;
        Self { app, sandbox }
    }

    /// Connects an account of the sandbox in the browser that asked, and gives the connection's id.
    pub(crate) async fn connect(&self, user: &TestUser, account: &str) -> i64 {
        connect(&self.app, user, "sandbox", account).await
    }

    /// Asks for a link, consents in a browser of its own, and stops there: the browser and the callback's address.
    pub(crate) async fn consent(&self, user: &TestUser, account: &str) -> (Browser, Url) {
        consent(&self.app, user, "sandbox", account).await
    }

    pub(crate) fn seen(&self) -> Seen {
        self.sandbox.seen()
    }
}

/// A sandbox with the kit's client, called back at `/callback/<provider>`.
pub(crate) fn sandbox_options(provider: &str) -> SandboxOptions {
    SandboxOptions {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        clients: vec![Client {
            id: CLIENT_ID.to_owned(),
            secret: CLIENT_SECRET.into(),
            redirect_uris: vec![format!("http://127.0.0.1/callback/{provider}")],
        }],
        access_ttl: ACCESS_TTL,
        ..SandboxOptions::default()
    }
}

/// Settings that lead a built-in provider to the sandbox: its data stay, its places move.
pub(crate) fn moved_to(sandbox: &Sandbox) -> ProviderSettings {
    let at = |path: &str| Some(Url::parse(&format!("{}{path}", sandbox.base_url())).unwrap());
    ProviderSettings {
        client_id: Some(CLIENT_ID.to_owned()),
        client_secret: Some(CLIENT_SECRET.into()),
        authorize_url: at("/authorize"),
        token_url: at("/token"),
        userinfo_url: at("/userinfo"),
        revoke_url: at("/revoke"),
        account_id: Some("sub".to_owned()),
        account_label: Some("preferred_username".to_owned()),
        ..ProviderSettings::default()
    }
}

/// A browser that carries the cookie of a link.
pub(crate) fn browser_with(app: &TestApp, cookie: &str) -> Browser {
    let mut browser = Browser::new();
    browser.set_cookie(app.base(), cookie);
    browser
}

/// Connects an account in the browser that asked.
pub(crate) async fn connect(app: &TestApp, user: &TestUser, service: &str, account: &str) -> i64 {
    let (link, cookie) = user.link(service).await;
    connection_on(&browser_with(app, &cookie).consent_sandbox(link, account).await)
}

/// Consents in the browser that asked, and stops before the callback.
pub(crate) async fn consent(app: &TestApp, user: &TestUser, service: &str, account: &str) -> (Browser, Url) {
    let (link, cookie) = user.link(service).await;
    let mut browser = browser_with(app, &cookie);
    browser.stop_before(app.base());
    let url = browser.consent_sandbox(link, account).await.url;
    browser.stop_nowhere();
    (browser, url)
}

/// The connection that a page says was stored.
#[track_caller]
pub(crate) fn connection_on(page: &Page) -> i64 {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let (_, rest) =
        page.body.split_once("<dt>Connection</dt><dd>").unwrap_or_else(|| panic!("{}", page.body));
    rest.split('<').next().unwrap().parse().unwrap()
}

/// The address with a parameter replaced, or without it.
pub(crate) fn with_param(url: &Url, name: &str, value: Option<&str>) -> Url {
    let kept: Vec<_> = url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    changed
}

/// A parameter of an address.
#[track_caller]
pub(crate) fn param(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap()
}

/// Checks that a page says in words that something did not go well and what to do, and gives nothing away: neither what
/// the address brought nor the client's secret.
#[track_caller]
pub(crate) fn expect_refusal(page: &Page, says: &str) {
    expect_end(page, StatusCode::BAD_REQUEST, says);
}

/// As [`expect_refusal`], for a provider that is away: nobody is to blame, and it says so.
#[track_caller]
pub(crate) fn expect_away(page: &Page, says: &str) {
    expect_end(page, StatusCode::SERVICE_UNAVAILABLE, says);
    assert!(page.body.contains("The service is away"), "{}", page.body);
}

#[track_caller]
fn expect_end(page: &Page, status: StatusCode, says: &str) {
    assert_eq!(page.status, status, "{}", page.body);
    let header = |name: &str| page.headers.get(name).map_or("", |value| value.to_str().unwrap());
    assert!(header("content-type").starts_with("text/html"), "{:?}", page.headers);
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").starts_with("default-src 'none';"), "{:?}", page.headers);
    assert!(page.body.contains("<h1>"), "{}", page.body);
    assert!(page.text().contains(says), "it does not say {says:?}: {}", page.body);
    assert!(page.body.to_lowercase().contains("new link"), "it does not say what to do: {}", page.body);
    for name in ["state", "code"] {
        if let Some(secret) = page.query(name).filter(|value| value.len() > 20) {
            assert!(!page.body.contains(&secret), "the {name} is on the page: {}", page.body);
        }
    }
    assert!(!page.body.contains(CLIENT_SECRET), "{}", page.body);
}

/// How many requests came to the sandbox's token endpoint.
pub(crate) fn token_requests(seen: &Seen) -> usize {
    events_at(seen, "token")
}

/// How many events there were at one of the sandbox's endpoints, which keeps the last 50.
pub(crate) fn events_at(seen: &Seen, endpoint: &str) -> usize {
    assert!(seen.events.len() < 50, "there may have been more events than are kept");
    seen.events.iter().filter(|event| event.endpoint == endpoint).count()
}

/// Waits for something that another task brings about.
pub(crate) async fn eventually(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !happened().await {
        assert!(start.elapsed() < Duration::from_secs(20), "this never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
