//! A server of somebody else's as a process: started, awaited, and ended with the test.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::NamedTempFile;
use url::Url;

/// How long a server may take from its start to its `ready` line.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What a server's own database says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct State {
    /// How its token endpoint answered.
    pub token_requests: TokenRequests,
    /// Access tokens that are neither revoked nor expired. One that a refresh has replaced may still live.
    pub live_access_tokens: u32,
    /// Refresh tokens that are neither spent, revoked nor expired.
    pub live_refresh_tokens: u32,
}

/// How often a token endpoint did what it was asked to, and how often it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct TokenRequests {
    /// Answered with 200.
    pub ok: u32,
    /// Answered otherwise.
    pub failed: u32,
}

/// A running server. It ends when this is dropped, and also when the process that holds it dies: then its standard
/// input closes, and it watches that.
pub(crate) struct ServerProcess {
    name: &'static str,
    child: Child,
    /// What its `ready` line said: the issuer, without a slash at the end.
    issuer: String,
    log: NamedTempFile,
    pub(crate) http: Client,
}

impl fmt::Debug for ServerProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerProcess")
            .field("name", &self.name)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl ServerProcess {
    /// Starts what `prepare` gives, which may take its time to install it, and waits for the line `ready <issuer>`.
    pub(crate) async fn start(
        name: &'static str,
        prepare: impl FnOnce() -> Command + Send + 'static,
    ) -> Self {
        tokio::task::spawn_blocking(move || Self::start_blocking(name, &mut prepare()))
            .await
            .unwrap_or_else(|join| std::panic::resume_unwind(join.into_panic()))
    }

    fn start_blocking(name: &'static str, command: &mut Command) -> Self {
        let log = NamedTempFile::new().unwrap_or_else(|error| panic!("no temporary file: {error}"));
        let stderr = log.reopen().unwrap_or_else(|error| panic!("no second file handle: {error}"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let Some(issuer) = wait_until_ready(&mut child) else {
            stop(&mut child);
            panic!("{name} was not ready within {START_LIMIT:?}. It said:\n{}", text_of(&log));
        };
        let http = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap_or_else(|error| panic!("no HTTP client: {error}"));
        Self { name, child, issuer, log, http }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard error.
    pub(crate) fn log(&self) -> String {
        text_of(&self.log)
    }

    /// Sends a request, which must be answered.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Response {
        let sent = request.send().await;
        sent.unwrap_or_else(|error| panic!("{} did not answer: {error}. It said:\n{}", self.name, self.log()))
    }

    /// Sends a request, which must be answered with success and JSON.
    pub(crate) async fn json(&self, request: RequestBuilder) -> Value {
        let response = self.send(request).await;
        let (status, url) = (response.status(), response.url().path().to_owned());
        assert!(status.is_success(), "{} answered {status} at {url}. It said:\n{}", self.name, self.log());
        response.json().await.unwrap_or_else(|error| panic!("{} sent no JSON at {url}: {error}", self.name))
    }

    /// What it says at `/__test`, on whatever path its issuer is.
    pub(crate) async fn ask_test<T: DeserializeOwned>(&self) -> T {
        let url = Url::parse(&self.issuer).and_then(|issuer| issuer.join("/__test"));
        let url = url.unwrap_or_else(|error| panic!("{} is no URL: {error}", self.issuer));
        let said = self.json(self.http.get(url)).await;
        serde_json::from_value(said).unwrap_or_else(|error| panic!("unreadable state: {error}"))
    }

    /// Whether it holds a token to be good right now (RFC 7662 §2.2). `client` is who asks: id and secret.
    pub(crate) async fn introspect_active(&self, url: &str, client: (&str, &str), token: &str) -> bool {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let request = self.http.post(url).basic_auth(encode(client.0), Some(encode(client.1)));
        match self.json(request.form(&[("token", token)])).await["active"] {
            Value::Bool(active) => active,
            _ => panic!("introspection answered without `active`"),
        }
    }

    /// The subject that an access token stands for (OpenID Connect Core §5.3), or the status where that is not 200.
    pub(crate) async fn userinfo_sub(&self, url: &str, token: &str) -> Result<String, StatusCode> {
        let response = self.send(self.http.get(url).bearer_auth(token)).await;
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        let claims: Value =
            response.json().await.unwrap_or_else(|error| panic!("userinfo answered no JSON: {error}"));
        match &claims["sub"] {
            Value::String(sub) => Ok(sub.clone()),
            _ => panic!("userinfo answered without `sub`"),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// The rest of the server's `ready` line. `None` when it ends or is silent for too long.
fn wait_until_ready(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (send, receive) = std::sync::mpsc::channel();
    // A thread, because a read of a pipe has no time limit. It ends with the server.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(issuer) = line.strip_prefix("ready ") {
                // Nobody listens any more when the limit has passed.
                let _ = send.send(issuer.to_owned());
            }
        }
    });
    receive.recv_timeout(START_LIMIT).ok()
}

/// Ends the process and collects it, so that neither a server nor a zombie stays.
fn stop(child: &mut Child) {
    // Both fail only when it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

fn text_of(log: &NamedTempFile) -> String {
    let bytes = fs::read(log.path()).unwrap_or_else(|error| panic!("cannot read a server's log: {error}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A life in whole seconds, rounded up, at least one: what the servers count in.
pub(crate) fn whole_seconds(ttl: Duration) -> u64 {
    (ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0)).max(1)
}
