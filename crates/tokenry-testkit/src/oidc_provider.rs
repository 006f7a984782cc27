//! A real OAuth 2.0 / OpenID Connect server for tests: the npm package `oidc-provider`, on loopback, in memory.
//!
//! It is strict where a client is easily lax: PKCE (RFC 7636) with S256 only, refresh tokens that rotate on every use and die
//! as a family on reuse (RFC 9700 §4.14.2), access tokens that live seconds, `iss` in redirects (RFC 9207).
//! [`Browser`](crate::browser::Browser) plays the person at its pages.
//!
//! Everything here panics instead of returning errors: a test cannot go on without its server, and must not be
//! skipped silently.

mod client_key;
mod counts;
mod fault;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_oauth::{Issuer, ProviderSettings};

use crate::packages::node;
use crate::server_process::{ServerProcess, whole_seconds};

use self::client_key::ClientKey;
pub use self::client_key::KeyKind;
pub use self::counts::{Counts, GrantCounts, IssuedCounts, Outcomes, RequestCounts};
pub use self::fault::Fault;

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
    /// `private_key_jwt` (RFC 7523 §2.2) with a key of this kind, made when the server starts.
    PrivateKeyJwt(KeyKind),
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
            Self::PrivateKeyJwt(_) => "private_key_jwt",
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
    /// Whether only pushed authorization requests are taken (RFC 9126 §5). The default is no.
    pub require_par: bool,
}

impl Default for OidcOptions {
    fn default() -> Self {
        Self {
            access_ttl: Duration::from_secs(3),
            redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
            client_auth: ClientAuth::default(),
            require_par: false,
        }
    }
}

/// A running server. It ends when this is dropped, and also when the process that holds it dies.
#[derive(Debug)]
pub struct OidcProvider {
    server: ServerProcess,
    client_auth: ClientAuth,
    key: Option<ClientKey>,
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
        let client_auth = options.client_auth;
        let key = match client_auth {
            ClientAuth::PrivateKeyJwt(kind) => Some(ClientKey::generate(kind)),
            _ => None,
        };
        let clients = clients(&options, key.as_ref());
        let server = ServerProcess::start("oidc-provider", move || {
            let mut command = node::command("oidc-provider");
            command
                .env("PORT", "0")
                .env("ACCESS_TTL_S", whole_seconds(options.access_ttl).to_string())
                .env("REQUIRE_PAR", if options.require_par { "1" } else { "0" })
                .env("CLIENTS", clients.to_string());
            command
        });
        Self { server: server.await, client_auth, key }
    }

    /// The issuer identifier (RFC 8414 §2), such as `http://127.0.0.1:40123`. No slash at the end.
    pub fn issuer(&self) -> &str {
        self.server.issuer()
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

    /// What an operator configures to connect it, as a provider of their own that is found by its issuer: with the
    /// secret, the private key or nothing, as the client proves itself.
    ///
    /// # Panics
    ///
    /// Never: the issuer is a URL.
    pub fn settings(&self) -> ProviderSettings {
        let issuer = Issuer::parse(self.issuer());
        let has_secret = self.key.is_none() && self.client_auth != ClientAuth::Public;
        ProviderSettings {
            issuer: Some(issuer.unwrap_or_else(|error| panic!("{}: {error}", self.issuer()))),
            client_id: Some(CLIENT_ID.to_owned()),
            client_secret: has_secret.then(|| CLIENT_SECRET.into()),
            token_auth: (self.client_auth == ClientAuth::SecretPost)
                .then_some(tokenry_oauth::ClientAuth::Body),
            private_key: self.key.as_ref().map(ClientKey::pem),
            key_id: self.key.as_ref().map(|_| client_key::KEY_ID.to_owned()),
            scopes: Some(["openid", "profile"].into_iter().collect()),
            ..ProviderSettings::default()
        }
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
        self.server.id()
    }

    /// What the server has written to its standard error, for a test that wants to know why it answered 500.
    ///
    /// # Panics
    ///
    /// When the log cannot be read.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Whether the server holds this access or refresh token to be good right now (RFC 7662 §2.2).
    ///
    /// # Panics
    ///
    /// When the server does not answer as the RFC says.
    pub async fn introspect_active(&self, token: &str) -> bool {
        let client = (OBSERVER_ID, OBSERVER_SECRET);
        self.server.introspect_active(&self.url("/token/introspection"), client, token).await
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
        self.server.userinfo_sub(&self.userinfo_endpoint(), token).await
    }

    /// What the server has seen and done so far. Asking is not counted.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn counts(&self) -> Counts {
        self.server.ask_test().await
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

    /// Sets the life of the device codes issued from now on (RFC 8628 §3.2), in whole seconds (rounded up).
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn set_device_ttl(&self, ttl: Duration) {
        self.control(&json!({ "device_ttl_s": whole_seconds(ttl) })).await;
    }

    async fn control(&self, wish: &Value) {
        self.server.json(self.server.http.post(self.url("/__test")).json(wish)).await;
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.issuer())
    }
}

fn clients(options: &OidcOptions, key: Option<&ClientKey>) -> Value {
    let has_secret = key.is_none() && options.client_auth != ClientAuth::Public;
    json!([
        {
            "id": CLIENT_ID,
            "secret": has_secret.then_some(CLIENT_SECRET),
            "jwks": key.map(|key| json!({"keys": [key.public_jwk()]})),
            "signing_alg": key.map(ClientKey::algorithm),
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
