//! What the tests here share: an app with a sandbox on either database, and ways along a link.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry::config::Config;
use tokenry_broker::{ReturnPlace, WebOrigin};
use tokenry_sandbox::Sandbox;
use tokenry_testkit::app::{PASSWORD, TestApp, TestUser, providers, sandbox_settings, start_sandbox};
use tokenry_testkit::browser::{Browser, Page};
use url::Url;

/// Where people may be sent.
pub(crate) const RETURN_TO: &str = "https://app.example.org/done";
/// Whose pages may open links.
pub(crate) const ORIGIN: &str = "https://app.example.org";

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// All of them.
pub(crate) const BOTH: [On; 2] = [On::Sqlite, On::Postgres];

/// An app that knows a sandbox as the provider `sandbox`, and Ada.
pub(crate) struct World {
    pub(crate) on: On,
    pub(crate) app: TestApp,
    pub(crate) sandbox: Sandbox,
    pub(crate) ada: TestUser,
}

impl World {
    pub(crate) async fn start(on: On) -> Self {
        Self::start_with(on, |_| {}).await
    }

    pub(crate) async fn start_with(on: On, change: impl FnOnce(&mut Config)) -> Self {
        let sandbox = start_sandbox(Duration::from_hours(1)).await;
        let settings = sandbox_settings(&sandbox);
        let url = match on {
            On::Sqlite => None,
            On::Postgres => {
                let made = tokio::task::spawn_blocking(|| tokenry_postgres::Server::shared().database());
                Some(made.await.unwrap())
            }
        };
        let app = TestApp::start_with(|config| {
            let file = || format!("sqlite://{}", config.data_dir.join("tokenry.db").display());
            config.database_url = url.unwrap_or_else(file).into();
            config.database_pool.connections = 4;
            config.providers = providers(vec![("sandbox", settings)]);
            config.embedding.return_to = vec![ReturnPlace::parse(RETURN_TO).unwrap()];
            config.embedding.origins = vec![WebOrigin::parse(ORIGIN).unwrap()];
            change(config);
        })
        .await;
        let ada = app.user("ada").await;
        Self { on, app, sandbox, ada }
    }

    /// A link of Ada's.
    pub(crate) async fn link(&self, body: Value) -> Made {
        let answer = self.ada.api.post(&self.ada.path("connect/links"), &body).await;
        Made(answer.expect(StatusCode::CREATED).json())
    }

    /// A link of Ada's to the sandbox.
    pub(crate) async fn plain_link(&self) -> Made {
        self.link(json!({"services": ["sandbox"]})).await
    }

    /// How a link is getting on, for whoever asks.
    pub(crate) async fn status(&self, made: &Made) -> Value {
        let path = format!("/api/connect/links/{}", made.id());
        self.app.anonymous().get(&path).await.expect(StatusCode::OK).json()
    }

    /// The one word of it.
    pub(crate) async fn status_word(&self, made: &Made) -> String {
        self.status(made).await["status"].as_str().unwrap().to_owned()
    }

    /// How many connections Ada has.
    pub(crate) async fn connections(&self) -> usize {
        self.ada.list().await.len()
    }

    /// Chooses the sandbox on the page of a link, and gives the address of its consent page.
    pub(crate) async fn choose(&self, browser: &mut Browser, page: &Page) -> Url {
        let form = page.form_with("service").unwrap_or_else(|| panic!("{:?}: {}", self.on, page.body));
        let leaving = browser.submit(&form, &[]).await;
        assert_eq!(leaving.status, StatusCode::OK, "{}", leaving.body);
        self.consent_of(&leaving)
    }

    /// Where a page that leaves for the sandbox leads.
    pub(crate) fn consent_of(&self, page: &Page) -> Url {
        let to_sandbox = |link: &Url| link.as_str().starts_with(self.sandbox.base_url());
        page.links().into_iter().find(to_sandbox).unwrap_or_else(|| panic!("{}", page.body))
    }

    /// Opens a link, chooses the sandbox, and stops before its consent page.
    pub(crate) async fn begin(&self, browser: &mut Browser, made: &Made) -> Url {
        let page = browser.get(made.url()).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        self.choose(browser, &page).await
    }

    /// Signs Ada in in a browser.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, sign_in: &Url) -> Page {
        let page = browser.get(sign_in).await;
        let form = page.form_with("password").unwrap_or_else(|| panic!("{}", page.body));
        browser.submit(&form, &[("username", "ada"), ("password", PASSWORD)]).await
    }
}

/// What the API answered when a link was made.
pub(crate) struct Made(pub(crate) Value);

impl Made {
    pub(crate) fn url(&self) -> &str {
        self.0["url"].as_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.0["id"].as_str().unwrap()
    }

    pub(crate) fn token(&self) -> &str {
        self.url().rsplit('/').next().unwrap()
    }

    pub(crate) fn path(&self) -> String {
        format!("/link/{}", self.token())
    }
}

/// Whether a page offers to connect something.
pub(crate) fn offers(page: &Page) -> bool {
    page.form_with("service").is_some()
}

/// A header of a page.
pub(crate) fn header<'a>(page: &'a Page, name: &str) -> &'a str {
    page.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// Checks that a page refuses a link in words and says what to do.
#[track_caller]
pub(crate) fn expect_refused(page: &Page, status: StatusCode, says: &str) {
    assert_eq!(page.status, status, "{}", page.body);
    assert!(header(page, "content-type").starts_with("text/html"), "{:?}", page.headers);
    assert_eq!(header(page, "cache-control"), "no-store");
    assert_eq!(header(page, "referrer-policy"), "no-referrer");
    assert!(
        page.body.contains("<h1>") && page.body.contains(says),
        "it does not say {says:?}: {}",
        page.body
    );
    assert!(!offers(page), "{}", page.body);
}
