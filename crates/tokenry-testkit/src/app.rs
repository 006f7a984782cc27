//! A running app, and clients of it by role.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    reason = "in a test a failed step is a failed test"
)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenry::config::{Config, MasterKeySource};
use tokenry::server::{self, Server};
use tokenry_model::ProviderId;
use tokenry_oauth::{Issuer, ProviderSettings};
use tokenry_postgres::Server as Postgres;
use tokenry_sandbox::{Sandbox, SandboxOptions};
use tokio::net::TcpListener;
use url::Url;

use crate::clock::ShiftedClock;

/// The password of every user that the kit signs up.
pub const PASSWORD: &str = "correct horse battery";
/// The client that the kit registers at the sandbox.
pub const CLIENT_ID: &str = "tokenry";
/// Its secret, with characters that must be escaped before Basic (RFC 6749 §2.3.1).
pub const CLIENT_SECRET: &str = "s3cret: %+/&=~ and more";

/// A server in this process, on a data directory of its own.
pub struct TestApp {
    /// What time the app believes it is.
    pub clock: Arc<ShiftedClock>,
    /// What it was started with.
    pub config: Config,
    server: Option<Server>,
    data: Arc<TempDir>,
}

impl TestApp {
    /// Starts an app with the defaults, and with calls to this machine allowed.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts an app whose configuration `change` has changed. The address is bound before: `change` sees the port.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let data = Arc::new(tempfile::Builder::new().prefix("tokenry-test-").tempdir().unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut config = Config::default();
        config.listen = listener.local_addr().unwrap();
        config.public_url = Url::parse(&format!("http://127.0.0.1:{}", config.listen.port())).unwrap();
        config.data_dir = data.path().to_owned();
        config.database_url = fresh_database(data.path()).await.into();
        config.master_key = MasterKeySource::DataDir(data.path().join("master.key"));
        config.outbound.allow_private = true;
        // A test that counts refreshes must make each of them itself.
        config.refresh_ahead = false;
        // Whoever tests quotas sets them; others may need many.
        config.quotas.connections = 0;
        change(&mut config);
        Self::run(config, listener, data, Arc::default()).await
    }

    /// Starts an app that knows `sandbox` as the provider `sandbox`.
    pub async fn start_with_sandbox(sandbox: &Sandbox) -> Self {
        let settings = sandbox_settings(sandbox);
        Self::start_with(|config| {
            config.providers.insert(ProviderId::parse("sandbox").unwrap(), settings);
        })
        .await
    }

    async fn run(
        config: Config,
        listener: TcpListener,
        data: Arc<TempDir>,
        clock: Arc<ShiftedClock>,
    ) -> Self {
        let (broker, _) = server::open(&config, Arc::clone(&clock) as _).await.unwrap();
        let server = Server::start_on(listener, &config, broker).unwrap();
        Self { clock, config, server: Some(server), data }
    }

    /// Where it listens: `http://127.0.0.1:<port>`.
    pub fn base(&self) -> String {
        format!("http://{}", self.config.listen)
    }

    /// Its data directory.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// The server itself.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the app was stopped")
    }

    /// Stops it gracefully; its data stays.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Stops it and starts it again on the same data and the same port, with a configuration that `change` has changed.
    pub async fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        self.stop().await;
        let mut config = self.config.clone();
        change(&mut config);
        let listener = TcpListener::bind(config.listen).await.unwrap();
        Self::run(config, listener, Arc::clone(&self.data), Arc::clone(&self.clock)).await
    }

    /// A caller without a token.
    pub fn anonymous(&self) -> ApiClient {
        ApiClient::new(self.base())
    }

    /// Signs a user of this name up and logs them in.
    pub async fn user(&self, name: &str) -> TestUser {
        let mut api = self.anonymous();
        let email = format!("{name}@example.org");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        api.post("/api/auth/signup", &body).await.expect(StatusCode::OK);
        api.token = Some(api.log_in(name, PASSWORD).await);
        TestUser { name: name.to_owned(), api }
    }
}

/// The URL of a database with nothing in it: a SQLite file in `folder`, or, with `TOKENRY_TEST_DATABASE=postgres`, one of the
/// tests' own PostgreSQL server.
async fn fresh_database(folder: &Path) -> String {
    match std::env::var("TOKENRY_TEST_DATABASE").as_deref() {
        Ok("postgres") => tokio::task::spawn_blocking(|| Postgres::shared().database()).await.unwrap(),
        Ok("sqlite") | Err(_) => format!("sqlite://{}", folder.join("tokenry.db").display()),
        Ok(other) => panic!("TOKENRY_TEST_DATABASE is {other:?}, and should be sqlite or postgres"),
    }
}

/// The settings with which an app knows a sandbox that was started by [`start_sandbox`].
pub fn sandbox_settings(sandbox: &Sandbox) -> ProviderSettings {
    ProviderSettings {
        name: Some("Sandbox".to_owned()),
        client_id: Some(CLIENT_ID.to_owned()),
        client_secret: Some(CLIENT_SECRET.into()),
        issuer: Some(Issuer::parse(sandbox.base_url()).unwrap()),
        ..ProviderSettings::default()
    }
}

/// A sandbox that accepts the kit's client, for a callback at any port of 127.0.0.1 (RFC 8252 §7.3).
pub async fn start_sandbox(access_ttl: Duration) -> Sandbox {
    let options = SandboxOptions {
        clients: vec![tokenry_sandbox::Client {
            id: CLIENT_ID.to_owned(),
            secret: CLIENT_SECRET.into(),
            redirect_uris: vec![
                "http://127.0.0.1/callback/sandbox".to_owned(),
                // Built-in services whose endpoints a test moves here.
                "http://127.0.0.1/callback/spotify".to_owned(),
                "http://127.0.0.1/callback/google".to_owned(),
                "http://127.0.0.1/callback/discord".to_owned(),
            ],
        }],
        access_ttl,
        ..SandboxOptions::default()
    };
    Sandbox::start(SandboxOptions { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..options }).await.unwrap()
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// A text member of the JSON body.
    pub fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    /// A header, or the empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Itself, if it has this status.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Itself, if it is an error of this status and code in the form of the contract.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        let json = self.json();
        assert_eq!(json["code"], code, "{self:?}");
        assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        assert_eq!(json.as_object().unwrap().len(), 2, "{self:?}");
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
        if status == 401 {
            assert!(self.header("www-authenticate").starts_with("Bearer"), "{self:?}");
        }
        if status == 429 || status == 503 {
            assert!(self.header("retry-after").parse::<u64>().is_ok_and(|s| s > 0), "{self:?}");
        }
        self
    }
}

/// A program that calls the API. Follows no redirect and keeps no cookie.
#[derive(Clone)]
pub struct ApiClient {
    http: Client,
    base: String,
    /// The access token it sends, if it has one.
    pub token: Option<String>,
}

impl ApiClient {
    /// A caller of the server at `base`, without a token.
    pub fn new(base: impl Into<String>) -> Self {
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        Self { http, base: base.into(), token: None }
    }

    /// Sends a request as it is: headers by name, a body of any kind.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut all = HeaderMap::new();
        if let Some(token) = &self.token {
            all.insert("authorization", HeaderValue::try_from(token.as_str()).unwrap());
        }
        for (name, value) in headers {
            let name = reqwest::header::HeaderName::try_from(*name).unwrap();
            all.insert(name, HeaderValue::try_from(*value).unwrap());
        }
        let request = self.http.request(method, format!("{}{path}", self.base)).headers(all).body(body);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }

    /// GET from a server that may be gone before it answers; nothing then.
    pub async fn try_get(&self, path: &str) -> Option<Answer> {
        let token = self.token.as_deref().unwrap_or_default();
        let request = self.http.get(format!("{}{path}", self.base)).header("authorization", token);
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        Some(Answer { status, headers, body: response.text().await.ok()? })
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], body.to_string().into_bytes()).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    /// POST of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// PUT of a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::PUT, path, body).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Vec::new()).await
    }

    /// Logs in and gives the access token.
    pub async fn log_in(&self, username: &str, password: &str) -> String {
        let body = json!({"username": username, "password": password});
        self.post("/api/auth/login", &body).await.expect(StatusCode::OK).text("access_token")
    }
}

/// A signed-in user and their program.
#[derive(Clone)]
pub struct TestUser {
    /// The username.
    pub name: String,
    /// The program.
    pub api: ApiClient,
}

impl TestUser {
    /// A path of the user's own: `/api/users/<name>/<rest>`.
    pub fn path(&self, rest: &str) -> String {
        format!("/api/users/{}/{rest}", self.name)
    }

    /// Adds a connection by its token and gives its id.
    pub async fn add(&self, name: &str, service: &str, token: &str) -> i64 {
        let body = json!({"name": name, "token_type": service, "token": token});
        let answer = self.api.post(&self.path("add/connection"), &body).await.expect(StatusCode::OK);
        assert_eq!(answer.json(), json!({"message": "connection added"}));
        answer.header("location").rsplit('/').next().unwrap().parse().unwrap()
    }

    /// Asks for the token of a connection.
    pub async fn get_token(&self, id: i64) -> Answer {
        self.api.get(&self.path(&format!("get/connection/{id}"))).await
    }

    /// The token of a connection, which must be there.
    pub async fn token_of(&self, id: i64) -> String {
        self.get_token(id).await.expect(StatusCode::OK).text("token")
    }

    /// What there is to say about a connection.
    pub async fn detail(&self, id: i64) -> Value {
        self.api.get(&self.path(&format!("connections/{id}"))).await.expect(StatusCode::OK).json()
    }

    /// The list of connections.
    pub async fn list(&self) -> Vec<Value> {
        let answer = self.api.get(&self.path("get/connections")).await.expect(StatusCode::OK);
        answer.json().as_array().unwrap().clone()
    }

    /// Asks for a link at which to connect a service. Gives the link and the cookie (`name=value`) that came with it.
    pub async fn link(&self, service: &str) -> (String, String) {
        let path = format!("/api/user/connection/access/token/{service}");
        let answer = self.api.get(&path).await.expect(StatusCode::OK);
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        (answer.text("url"), cookie)
    }
}

/// A name that no other test in this process uses.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Provider settings by id.
pub fn providers(list: Vec<(&str, ProviderSettings)>) -> BTreeMap<ProviderId, ProviderSettings> {
    list.into_iter().map(|(id, settings)| (ProviderId::parse(id).unwrap(), settings)).collect()
}
