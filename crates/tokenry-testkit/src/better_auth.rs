//! A second real OAuth server for tests: the npm package `better-auth` with its OAuth 2.1 provider, on loopback, in memory.
//!
//! It answers otherwise than [`oidc_provider`](crate::oidc_provider) in ways that a client meets in the world: opaque
//! subjects, refresh tokens only for `offline_access`, consent that is remembered, 400 where RFC 7009 wants 200 for a
//! token that is dead already, `expires_at` beside `expires_in`.
//!
//! Everything here panics instead of returning errors: a test cannot go on without its server, and must not be
//! skipped silently.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use tokenry_oauth::{Issuer, ProviderSettings};

use crate::browser::{Browser, Page};
use crate::packages::node;
use crate::server_process::{ServerProcess, whole_seconds};

pub use crate::server_process::{State, TokenRequests};

/// The password of alice and bob, who have accounts.
const PASSWORD: &str = "the password of everybody here";

/// How many pages a person at the server goes through before giving up. Two are usual: sign in, consent.
const MOST_PAGES: usize = 4;

/// A running server. It ends when this is dropped, and also when the process that holds it dies.
#[derive(Debug)]
pub struct BetterAuth {
    server: ServerProcess,
    client: ClientSecrets,
}

#[derive(Debug, Deserialize)]
struct ClientSecrets {
    client_id: String,
    client_secret: String,
}

impl BetterAuth {
    /// Starts a server on a free port of 127.0.0.1, whose client may be called back at `redirect_uri` with any port
    /// (RFC 8252 §7.3). Access tokens live `access_ttl`, in whole seconds, rounded up. The first start on a machine
    /// installs the npm packages under the workspace's `target` folder, once for all test processes.
    ///
    /// # Panics
    ///
    /// When Node.js (20 or newer) or npm is missing or fails, and when the server is not ready within 30 s.
    pub async fn start(redirect_uri: &str, access_ttl: Duration) -> Self {
        let redirect_uris = serde_json::json!([redirect_uri]).to_string();
        let server = ServerProcess::start("better-auth", move || {
            let mut command = node::command("better-auth");
            command
                .env("PORT", "0")
                .env("ACCESS_TTL_S", whole_seconds(access_ttl).to_string())
                .env("REDIRECT_URIS", redirect_uris);
            command
        })
        .await;
        let client = server.ask_test().await;
        Self { server, client }
    }

    /// The issuer identifier (RFC 8414 §2). It has a path.
    pub fn issuer(&self) -> &str {
        self.server.issuer()
    }

    /// What an operator configures to connect it, as a provider of their own that is found by its issuer.
    ///
    /// # Panics
    ///
    /// Never: the issuer is a URL.
    pub fn settings(&self) -> ProviderSettings {
        let issuer = Issuer::parse(self.issuer());
        ProviderSettings {
            issuer: Some(issuer.unwrap_or_else(|error| panic!("{}: {error}", self.issuer()))),
            client_id: Some(self.client.client_id.clone()),
            client_secret: Some(self.client.client_secret.clone().into()),
            scopes: Some(["openid", "profile", "offline_access"].into_iter().collect()),
            ..ProviderSettings::default()
        }
    }

    /// Goes to `authorize_url` and plays `account` (alice or bob): signs in unless still signed in, allows, and goes
    /// on to where the server sends the browser.
    ///
    /// # Panics
    ///
    /// When nobody answers, and when the server keeps asking.
    pub async fn consent(&self, browser: &mut Browser, authorize_url: &str, account: &str) -> Page {
        self.answer(browser, authorize_url, account, "allow").await
    }

    /// As [`consent`](Self::consent), but the person denies.
    ///
    /// # Panics
    ///
    /// As for [`consent`](Self::consent).
    pub async fn deny(&self, browser: &mut Browser, authorize_url: &str, account: &str) -> Page {
        self.answer(browser, authorize_url, account, "deny").await
    }

    async fn answer(&self, browser: &mut Browser, url: &str, account: &str, decision: &str) -> Page {
        let mut page = browser.get(url).await;
        for _ in 0..MOST_PAGES {
            page = if let Some(form) = page.form_with("login") {
                browser.submit(&form, &[("login", account), ("password", PASSWORD)]).await
            } else if let Some(form) = page.form_with("decision") {
                browser.submit(&form, &[("decision", decision)]).await
            } else {
                return page;
            };
        }
        panic!("the server asked for more than {MOST_PAGES} pages, the last is {}", page.url.path());
    }

    /// Whether the server holds this access or refresh token to be good right now (RFC 7662 §2.2).
    ///
    /// # Panics
    ///
    /// When the server does not answer as the RFC says.
    pub async fn introspect_active(&self, token: &str) -> bool {
        let client = (self.client.client_id.as_str(), self.client.client_secret.as_str());
        let url = format!("{}/oauth2/introspect", self.issuer());
        self.server.introspect_active(&url, client, token).await
    }

    /// The subject that this access token stands for (OpenID Connect Core §5.3): an opaque id.
    ///
    /// # Errors
    ///
    /// The status, when it is not 200: 401 for a token that has expired or was revoked.
    ///
    /// # Panics
    ///
    /// When the server does not answer, or answers 200 without a `sub`.
    pub async fn userinfo_sub(&self, token: &str) -> Result<String, StatusCode> {
        let url = format!("{}/oauth2/userinfo", self.issuer());
        self.server.userinfo_sub(&url, token).await
    }

    /// What the server's own database says.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn state(&self) -> State {
        self.server.ask_test().await
    }
}
