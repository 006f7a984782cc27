//! `tokenry serve` and `tokenry sandbox` as processes, and what a test does with them.

use std::net::TcpListener;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_testkit::app::{ApiClient, PASSWORD, TestUser};
use tokenry_testkit::browser::{Browser, Page};

use crate::process::{Home, Process};

/// The client that the sandbox knows.
pub(crate) const CLIENT_ID: &str = "tokenry-process";
pub(crate) const CLIENT_SECRET: &str = "s3cret: %+/&=~ and more";

/// A port that nobody listens on. From below the range that outgoing connections are given, so that it stays free.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) process: Process,
}

impl Server {
    /// Starts one on any free port, with `env` and nothing else.
    pub(crate) fn start(home: &Home, env: &[(&str, &str)]) -> Self {
        let mut all = vec![("TOKENRY_LISTEN", "127.0.0.1:0")];
        all.extend(env);
        Self::of(home.spawn(&["serve"], &all))
    }

    /// A server process that is about to say where it listens.
    pub(crate) fn of(mut process: Process) -> Self {
        let line = process.line_with("listens on http://");
        let base = line[line.find("http://").unwrap()..].trim().to_owned();
        Self { base, process }
    }

    pub(crate) fn api(&self) -> ApiClient {
        ApiClient::new(&self.base)
    }

    /// Signs a user up and logs them in.
    pub(crate) async fn user(&self, name: &str) -> TestUser {
        let api = self.api();
        let body = json!({"username": name, "email": format!("{name}@example.org"), "password": PASSWORD});
        api.post("/api/auth/signup", &body).await.expect(StatusCode::OK);
        self.log_in(name).await
    }

    /// Logs a user in.
    pub(crate) async fn log_in(&self, name: &str) -> TestUser {
        let mut api = self.api();
        api.token = Some(api.log_in(name, PASSWORD).await);
        TestUser { name: name.to_owned(), api }
    }

    /// The same user and token, at this server.
    pub(crate) fn again(&self, user: &TestUser) -> TestUser {
        let mut api = self.api();
        api.token.clone_from(&user.api.token);
        TestUser { name: user.name.clone(), api }
    }

    /// Asks it to end, and tells how it ended and how long that took.
    pub(crate) fn stop(mut self) -> (ExitStatus, Duration, String) {
        let began = Instant::now();
        self.process.terminate();
        let status = self.process.wait();
        (status, began.elapsed(), self.process.err.end())
    }
}

/// A sandbox provider that runs as a process, and a server's settings for it.
pub(crate) struct SandboxProcess {
    pub(crate) base: String,
    http: reqwest::Client,
    _process: Process,
    _home: Home,
}

impl SandboxProcess {
    /// Its access tokens live for `access_ttl_s` seconds; with 0 they are expired when they arrive.
    pub(crate) fn start(access_ttl_s: u64) -> Self {
        let (home, ttl) = (Home::new(), access_ttl_s.to_string());
        let redirect = "http://127.0.0.1/callback/sandbox";
        let mut args = vec!["sandbox", "--port", "0", "--access-ttl", &ttl, "--client-id", CLIENT_ID];
        args.extend(["--client-secret", CLIENT_SECRET, "--redirect-uri", redirect]);
        let mut process = home.spawn(&args, &[]);
        let line = process.line_with("runs at http://");
        let base = line[line.find("http://").unwrap()..].trim().trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base, http, _process: process, _home: home }
    }

    /// The environment of a server at `port` that knows this sandbox.
    pub(crate) fn env(&self, port: u16) -> Vec<(&'static str, String)> {
        vec![
            ("TOKENRY_LISTEN", format!("127.0.0.1:{port}")),
            ("TOKENRY_PUBLIC_URL", format!("http://127.0.0.1:{port}")),
            ("TOKENRY_PROVIDERS__SANDBOX__ISSUER", self.base.clone()),
            ("TOKENRY_PROVIDERS__SANDBOX__CLIENT_ID", CLIENT_ID.to_owned()),
            ("TOKENRY_PROVIDERS__SANDBOX__CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            ("TOKENRY_OUTBOUND__ALLOW_PRIVATE", "true".to_owned()),
            // Every refresh that is counted is a reader's.
            ("TOKENRY_REFRESH_AHEAD", "false".to_owned()),
        ]
    }

    /// Tells it how to behave.
    pub(crate) async fn control(&self, wanted: Value) {
        let answer = self.http.post(format!("{}/control", self.base)).json(&wanted).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// Grants that somebody else got, with their tokens.
    pub(crate) async fn issue_grants(&self, count: u64) -> Vec<Value> {
        let wanted =
            json!({"client": CLIENT_ID, "account_prefix": "person", "n": count, "scopes": "profile"});
        let wanted = json!({"issue_grants": wanted});
        let answer = self.http.post(format!("{}/control", self.base)).json(&wanted).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["grants"].as_array().unwrap().clone()
    }

    /// From now on access tokens live for an hour.
    pub(crate) async fn give_long_tokens(&self) {
        self.control(json!({"access_ttl_s": 3600})).await;
    }

    /// One of its counters.
    pub(crate) async fn seen(&self, counter: &str) -> u64 {
        let seen: Value =
            self.http.get(format!("{}/seen", self.base)).send().await.unwrap().json().await.unwrap();
        seen[counter].as_u64().unwrap_or_else(|| panic!("no {counter} in {seen}"))
    }

    /// Waits until a counter has come so far.
    pub(crate) async fn until(&self, counter: &str, count: u64) {
        let began = Instant::now();
        while self.seen(counter).await < count {
            assert!(began.elapsed() < Duration::from_secs(20), "{counter} does not come to {count}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the service says to this access token.
    pub(crate) async fn userinfo(&self, token: &str) -> StatusCode {
        let url = format!("{}/userinfo", self.base);
        self.http.get(url).bearer_auth(token).send().await.unwrap().status()
    }
}

/// Connects the account of the sandbox in a browser of its own and gives the connection's id.
pub(crate) async fn connect(user: &TestUser, base: &str, account: &str) -> i64 {
    let before: Vec<Value> = user.list().await;
    let page = connect_page(user, base, account).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(page.body.contains("is connected"), "{}", page.body);
    let after = user.list().await;
    assert_eq!(after.len(), before.len() + 1);
    after.last().unwrap()["ID"].as_i64().unwrap()
}

/// Goes through the consent page of the sandbox and gives the page that the callback shows.
pub(crate) async fn connect_page(user: &TestUser, base: &str, account: &str) -> Page {
    let (link, cookie) = user.link("sandbox").await;
    let mut browser = Browser::new();
    browser.set_cookie(base, &cookie);
    browser.consent_sandbox(&link, account).await
}

/// A borrowed form of an environment, as processes take it.
pub(crate) fn borrowed<'a>(env: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    env.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
