//! What the tests here share: an app with a sandbox on either database, and ways along a link.

use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry::config::Config;
use tokenry_broker::{AuditFilter, AuditLine, ReturnPlace, WebOrigin};
use tokenry_sandbox::{ApiKey, Client, Sandbox, SandboxOptions};
use tokenry_testkit::app::{
    CLIENT_ID, CLIENT_SECRET, PASSWORD, TestApp, TestUser, providers, sandbox_settings, start_sandbox,
};
use tokenry_testkit::browser::{Browser, Form, Page};
use url::Url;

/// Where people may be sent.
pub(crate) const RETURN_TO: &str = "https://app.example.org/done";
/// Whose pages may open links.
pub(crate) const ORIGIN: &str = "https://app.example.org";

/// A key that opens Grace's account, also as her password.
pub(crate) const KEY: &str = "sbx_key_of_grace";
/// The secret of a client of her own.
pub(crate) const SECRET: &str = "her secret";

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
        Self::around(start_sandbox(Duration::from_hours(1)).await, on, change).await
    }

    /// As [`World::start_with`], with services that a person brings something to: `keys` (a key), `login` (a user name and a
    /// password), `program` (a client of one's own) and `hosted` (a key, and the word that its address has).
    pub(crate) async fn with_keys(on: On, change: impl FnOnce(&mut Config)) -> Self {
        let key = |user: Option<&str>| ApiKey {
            user: user.map(str::to_owned),
            key: KEY.into(),
            account: "grace".to_owned(),
        };
        let callback = "http://127.0.0.1/callback/sandbox".to_owned();
        let client = |id: &str, secret: &str, redirect_uris| Client {
            id: id.to_owned(),
            secret: secret.into(),
            redirect_uris,
        };
        let options = SandboxOptions {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            clients: vec![
                client(CLIENT_ID, CLIENT_SECRET, vec![callback]),
                client("of-grace", SECRET, Vec::new()),
            ],
            api_keys: vec![key(None), key(Some("grace"))],
            access_ttl: Duration::from_hours(1),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let base = sandbox.base_url().to_owned();
        Self::around(sandbox, on, |config| {
            config.providers_dir = config.data_dir.join("providers");
            std::fs::create_dir_all(&config.providers_dir).unwrap();
            for (id, file) in brought(&base) {
                std::fs::write(config.providers_dir.join(format!("{id}.toml")), file).unwrap();
            }
            change(config);
        })
        .await
    }

    async fn around(sandbox: Sandbox, on: On, change: impl FnOnce(&mut Config)) -> Self {
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

    /// Opens a link and goes to the form for what is brought along to a service.
    pub(crate) async fn form(&self, browser: &mut Browser, made: &Made, service: &str) -> (Page, Form) {
        let page = browser.get(made.url()).await;
        let end = format!("/service/{service}");
        let link = page.links().into_iter().find(|link| link.path().ends_with(&end));
        let link = link.unwrap_or_else(|| panic!("{:?}: {}", self.on, page.body));
        let page = browser.follow(&page, &link).await;
        let form = page.forms().into_iter().find(|form| form.action.path().ends_with(&end));
        let form = form.unwrap_or_else(|| panic!("{:?}: {}", self.on, page.body));
        (page, form)
    }

    /// The rows of the audit log about this, each in short: what, how, why, whose, which connection, which service.
    pub(crate) async fn audit(&self, actions: &[&str]) -> Vec<String> {
        let broker = self.app.server().broker();
        broker.flush_audit().await.unwrap();
        let lines = broker.list_audit(&AuditFilter::default(), 10_000).await.unwrap().lines;
        let short = |line: &AuditLine| {
            let entry = &line.row.entry;
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            [
                entry.action.to_string(),
                entry.outcome.to_string(),
                or_dash(entry.reason.as_deref().map(str::to_owned)),
                line.actor.clone().unwrap_or_else(|| entry.actor.to_string()),
                or_dash(line.owner.clone()),
                or_dash(entry.connection.map(|id| id.to_string())),
                or_dash(entry.provider.as_ref().map(ToString::to_string)),
            ]
            .join(" ")
        };
        let mut rows: Vec<String> = lines.iter().map(short).collect();
        rows.retain(|row| actions.iter().any(|action| row.starts_with(&format!("{action} "))));
        rows.reverse();
        rows
    }

    /// Signs Ada in in a browser.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, sign_in: &Url) -> Page {
        let page = browser.get(sign_in).await;
        let form = page.form_with("password").unwrap_or_else(|| panic!("{}", page.body));
        browser.submit(&form, &[("username", "ada"), ("password", PASSWORD)]).await
    }
}

/// Files of services that a person brings something to.
fn brought(base: &str) -> [(&'static str, String); 4] {
    let file = |id: &str, name: &str, kind: &str, rest: &str| {
        format!("id = \"{id}\"\nname = \"{name}\"\nkind = \"{kind}\"\n{rest}")
    };
    let me =
        format!("[identity]\nurl = \"{base}/api/me\"\naccount_id = [\"sub\"]\naccount_label = [\"name\"]\n");
    let api = format!("[api]\nbase_url = \"{base}\"\nhosts = [\"127.0.0.1\"]\n");
    let login = "[credential]\nuser = \"Account id\"\npassword = \"Auth token\"\n";
    let program = format!("[token]\nurl = \"{base}/token\"\n{api}");
    let hosted = "[api]\nbase_url = \"https://{tenant}.example.org\"\nhosts = [\"*.example.org\"]\n\
                  [credential]\nwhat = \"access key\"\nurl = \"https://example.org/keys\"\n\
                  [config.tenant]\ntitle = \"Your tenant\"\npattern = \"label\"\nexample = \"acme\"\n";
    [
        ("keys", file("keys", "Keys", "api_key", &format!("{me}{api}"))),
        ("login", file("login", "Login", "basic", &format!("{me}{api}{login}"))),
        ("program", file("program", "Program", "client_credentials", &program)),
        ("hosted", file("hosted", "Hosted", "api_key", hosted)),
    ]
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
