//! A real OAuth 2.0 / OpenID Connect server for tests: the npm package `oidc-provider`, on loopback, in memory.
//!
//! It is strict where a client is easily lax: PKCE (RFC 7636) with S256 only, refresh tokens that rotate on every use and die
//! as a family on reuse (RFC 9700 §4.14.2), access tokens that live seconds, `iss` in redirects (RFC 9207).
//! [`Browser`](crate::browser::Browser) plays the person at its pages.
//!
//! Everything here panics instead of returning errors: a test cannot go on without its server, and must not be
//! skipped silently.

mod counts;
mod fault;
mod node;

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

pub use self::counts::{Counts, GrantCounts, IssuedCounts, Outcomes, RequestCounts};
pub use self::fault::Fault;

/// How long the server may take from its start to its `ready` line.
const START_LIMIT: Duration = Duration::from_secs(30);

const CLIENT_ID: &str = "tokenry-test";
/// Has the characters that a client must form-encode before it sends them with Basic (RFC 6749 §2.3.1).
const CLIENT_SECRET: &str = "known to every test: 100% of a+b/c&d=e~";
/// A second client that only watches, so that looking at a token never depends on the client under test.
const OBSERVER_ID: &str = "tokenry-test-observer";
const OBSERVER_SECRET: &str = "another-secret-that-every-test-knows";

/// How the client under test proves itself at the token endpoint (RFC 6749 §2.3, OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic`.
    #[default]
    SecretBasic,
    /// `client_secret_post`.
    SecretPost,
    /// `client_secret_jwt` with HS256.
    SecretJwt,
    /// `none`: a public client, without the client credentials grant.
    Public,
}

impl ClientAuth {
    /// The name in `token_endpoint_auth_method` (RFC 7591 §2).
    pub fn name(self) -> &'static str {
        match self {
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::SecretJwt => "client_secret_jwt",
            Self::Public => "none",
        }
    }
}

/// What a test may choose when it starts the server.
#[derive(Clone, Debug)]
pub struct OidcOptions {
    /// Life of an access token, in whole seconds (rounded up). The default is 3 s.
    pub access_ttl: Duration,
    /// Where the client may be called back. On loopback the port is free (RFC 8252 §7.3), so the server can start
    /// before the application under test has its port. The default is `http://127.0.0.1/callback`.
    pub redirect_uris: Vec<String>,
    /// How the client proves itself. The default is [`ClientAuth::SecretBasic`].
    pub client_auth: ClientAuth,
}

impl Default for OidcOptions {
    fn default() -> Self {
        Self {
            access_ttl: Duration::from_secs(3),
            redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
            client_auth: ClientAuth::default(),
        }
    }
}

/// A running server. It ends when this is dropped, and also when the process that holds it dies.
pub struct OidcProvider {
    child: Child,
    issuer: String,
    log: NamedTempFile,
    http: Client,
}

impl fmt::Debug for OidcProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcProvider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl OidcProvider {
    /// Starts a server on a free port of 127.0.0.1. The first start on a machine installs the npm package under
    /// the workspace's `target` folder, once for all test processes.
    ///
    /// # Panics
    ///
    /// When Node.js (20 or newer) or npm is missing or fails, and when the server is not ready within 30 s. The
    /// message says what to install, or what the server said.
    pub async fn start(options: OidcOptions) -> Self {
        tokio::task::spawn_blocking(move || Self::start_blocking(&options))
            .await
            .unwrap_or_else(|join| std::panic::resume_unwind(join.into_panic()))
    }

    fn start_blocking(options: &OidcOptions) -> Self {
        let modules = node::installed_modules();
        let node = node::find_node();
        let log = NamedTempFile::new().unwrap_or_else(|error| panic!("no temporary file: {error}"));
        let stderr = log.reopen().unwrap_or_else(|error| panic!("no second file handle: {error}"));
        let mut child = Command::new(&node)
            .arg(node::source_dir().join("server.mjs"))
            .env("MODULES", modules)
            .env("PORT", "0")
            .env("ACCESS_TTL_S", whole_seconds(options.access_ttl).to_string())
            .env("CLIENTS", clients(options).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", node.display()));
        let Some(issuer) = wait_until_ready(&mut child) else {
            stop(&mut child);
            panic!(
                "the oidc-provider server was not ready within {START_LIMIT:?}. It said:\n{}",
                text_of(&log)
            );
        };
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build();
        let http = http.unwrap_or_else(|error| panic!("no HTTP client: {error}"));
        Self { child, issuer, log, http }
    }

    /// The issuer identifier (RFC 8414 §2), such as `http://127.0.0.1:40123`. No slash at the end.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The id of the client under test.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// The secret of the client under test: a fixed text that is no secret. It has characters that must be
    /// form-encoded for Basic (RFC 6749 §2.3.1).
    pub fn client_secret(&self) -> &'static str {
        CLIENT_SECRET
    }

    /// Where a person is sent to consent (RFC 6749 §3.1).
    pub fn authorization_endpoint(&self) -> String {
        self.url("/auth")
    }

    /// Where codes and refresh tokens become access tokens (RFC 6749 §3.2).
    pub fn token_endpoint(&self) -> String {
        self.url("/token")
    }

    /// Where tokens are revoked (RFC 7009).
    pub fn revocation_endpoint(&self) -> String {
        self.url("/token/revocation")
    }

    /// Who the account is (OpenID Connect Core §5.3).
    pub fn userinfo_endpoint(&self) -> String {
        self.url("/me")
    }

    /// Where a device flow starts (RFC 8628 §3.1).
    pub fn device_authorization_endpoint(&self) -> String {
        self.url("/device/auth")
    }

    /// The server's process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// What the server has written to its standard error, for a test that wants to know why it answered 500.
    ///
    /// # Panics
    ///
    /// When the log cannot be read.
    pub fn log(&self) -> String {
        text_of(&self.log)
    }

    /// Whether the server holds this access or refresh token to be good right now (RFC 7662 §2.2).
    ///
    /// # Panics
    ///
    /// When the server does not answer as the RFC says.
    pub async fn introspect_active(&self, token: &str) -> bool {
        let request = self
            .http
            .post(self.url("/token/introspection"))
            .basic_auth(OBSERVER_ID, Some(OBSERVER_SECRET))
            .form(&[("token", token)]);
        let reply = answer(request).await;
        match reply["active"] {
            Value::Bool(active) => active,
            _ => panic!("introspection answered without `active`"),
        }
    }

    /// The subject that this access token stands for (OpenID Connect Core §5.3).
    ///
    /// # Errors
    ///
    /// The status, when it is not 200: 401 for a token that has expired or was revoked.
    ///
    /// # Panics
    ///
    /// When the server does not answer, or answers 200 without a `sub`.
    pub async fn userinfo_sub(&self, token: &str) -> Result<String, StatusCode> {
        let sent = self.http.get(self.userinfo_endpoint()).bearer_auth(token).send().await;
        let response = sent.unwrap_or_else(|error| panic!("userinfo did not answer: {error}"));
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

    /// What the server has seen and done so far. Asking is not counted.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn counts(&self) -> Counts {
        let reply = answer(self.http.get(self.url("/__test"))).await;
        serde_json::from_value(reply).unwrap_or_else(|error| panic!("unreadable counts: {error}"))
    }

    /// Lets something go wrong from now on. Faults wait in line: the first that fits a request is used up first.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn inject(&self, fault: Fault) {
        self.control(&json!({ "faults": [fault] })).await;
    }

    /// Takes back all faults that have not happened yet.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn clear_faults(&self) {
        self.control(&json!({ "clear_faults": true })).await;
    }

    /// The account's owner disconnects all clients at the provider: grants, tokens and sessions end at once.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn revoke_account(&self, account: &str) {
        self.control(&json!({ "revoke_account": account })).await;
    }

    /// Sets the life of the access tokens issued from now on, in whole seconds (rounded up).
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn set_access_ttl(&self, ttl: Duration) {
        self.control(&json!({ "access_ttl_s": whole_seconds(ttl) })).await;
    }

    async fn control(&self, wish: &Value) {
        answer(self.http.post(self.url("/__test")).json(wish)).await;
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Value {
    let sent = request.send().await.and_then(reqwest::Response::error_for_status);
    let response = sent.unwrap_or_else(|error| panic!("the oidc-provider server did not answer: {error}"));
    response.json().await.unwrap_or_else(|error| panic!("the oidc-provider server sent no JSON: {error}"))
}

fn clients(options: &OidcOptions) -> Value {
    json!([
        {
            "id": CLIENT_ID,
            "secret": CLIENT_SECRET,
            "auth_method": options.client_auth.name(),
            "redirect_uris": options.redirect_uris,
        },
        {
            "id": OBSERVER_ID,
            "secret": OBSERVER_SECRET,
            "auth_method": ClientAuth::SecretBasic.name(),
            "redirect_uris": ["http://127.0.0.1/nowhere"],
        },
    ])
}

/// The issuer from the server's `ready` line. `None` when it ends or is silent for too long.
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
    let bytes = fs::read(log.path()).unwrap_or_else(|error| panic!("cannot read the server's log: {error}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn whole_seconds(ttl: Duration) -> u64 {
    (ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0)).max(1)
}
