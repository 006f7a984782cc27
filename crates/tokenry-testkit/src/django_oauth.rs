//! A third real OAuth server for tests: the Python package `django-oauth-toolkit` (on `oauthlib`), on loopback, in memory.
//!
//! It is written in another language on another library than the first two, and keeps every gate of RFC 9700 it has:
//! PKCE with S256 only, refresh tokens that rotate and die as a family on reuse, tokens stored as hashes, `iss` in
//! redirects (RFC 9207). A refresh ends the access token before it. Its OpenID Connect description names no
//! revocation endpoint; the one of RFC 8414 does.
//!
//! Everything here panics instead of returning errors: a test cannot go on without its server, and must not be
//! skipped silently.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_oauth::{Issuer, ProviderSettings};
use url::Url;

use crate::browser::{Browser, Page};
use crate::packages::python;
use crate::server_process::{ServerProcess, whole_seconds};

pub use crate::server_process::{State, TokenRequests};

const CLIENT_ID: &str = "tokenry-test";
/// Has the characters that a client must form-encode before it sends them with Basic (RFC 6749 §2.3.1).
const CLIENT_SECRET: &str = "known to every test: 100% of a+b/c&d=e~";
/// The password of alice and bob, who have accounts.
const PASSWORD: &str = "the password of everybody here";

/// How many pages a person at the server goes through before giving up. Two are usual: log in, consent.
const MOST_PAGES: usize = 4;

/// A running server. It ends when this is dropped, and also when the process that holds it dies.
#[derive(Debug)]
pub struct DjangoOauth {
    server: ServerProcess,
}

impl DjangoOauth {
    /// Starts a server on a free port of 127.0.0.1, whose client may be called back at `redirect_uri` with any port
    /// (RFC 8252 §7.3). Access tokens live `access_ttl`, in whole seconds, rounded up. The first start on a machine
    /// installs the packages into an environment under the workspace's `target` folder, once for all test processes.
    ///
    /// # Panics
    ///
    /// When Python (3.10 or newer) or its venv module is missing, when the installation fails, and when the server is
    /// not ready within 30 s.
    pub async fn start(redirect_uri: &str, access_ttl: Duration) -> Self {
        let client = json!({"id": CLIENT_ID, "secret": CLIENT_SECRET, "redirect_uris": [redirect_uri]});
        let server = ServerProcess::start("django-oauth-toolkit", move || {
            let mut command = python::command("django-oauth-toolkit");
            command
                .env("PORT", "0")
                .env("ACCESS_TTL_S", whole_seconds(access_ttl).to_string())
                .env("CLIENTS", json!([client]).to_string());
            command
        });
        Self { server: server.await }
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
            ..Self::client()
        }
    }

    /// As [`settings`](Self::settings), but each endpoint is written out and no issuer is: plain OAuth 2.0.
    ///
    /// # Panics
    ///
    /// Never: the endpoints are URLs.
    pub fn settings_without_discovery(&self) -> ProviderSettings {
        let at = |path| {
            let url = Url::parse(&self.url(path));
            Some(url.unwrap_or_else(|error| panic!("{}{path}: {error}", self.issuer())))
        };
        ProviderSettings {
            authorize_url: at("/authorize/"),
            token_url: at("/token/"),
            userinfo_url: at("/userinfo/"),
            revoke_url: at("/revoke_token/"),
            ..Self::client()
        }
    }

    fn client() -> ProviderSettings {
        ProviderSettings {
            client_id: Some(CLIENT_ID.to_owned()),
            client_secret: Some(CLIENT_SECRET.into()),
            // Its userinfo endpoint wants `openid`.
            scopes: Some(["openid", "read"].into_iter().collect()),
            ..ProviderSettings::default()
        }
    }

    /// Goes to `authorize_url` and plays `account` (alice or bob): logs in unless still logged in, allows, and goes on
    /// to where the server sends the browser.
    ///
    /// # Panics
    ///
    /// When nobody answers, and when the server keeps asking.
    pub async fn consent(&self, browser: &mut Browser, authorize_url: &str, account: &str) -> Page {
        self.answer(browser, authorize_url, account, &[("allow", "Authorize")]).await
    }

    /// As [`consent`](Self::consent), but the person presses "Cancel".
    ///
    /// # Panics
    ///
    /// As for [`consent`](Self::consent).
    pub async fn deny(&self, browser: &mut Browser, authorize_url: &str, account: &str) -> Page {
        // The button has no name: a form without `allow` denies.
        self.answer(browser, authorize_url, account, &[]).await
    }

    async fn answer(
        &self,
        browser: &mut Browser,
        url: &str,
        account: &str,
        decision: &[(&str, &str)],
    ) -> Page {
        let mut page = browser.get(url).await;
        for _ in 0..MOST_PAGES {
            page = if let Some(form) = page.form_with("password") {
                browser.submit(&form, &[("username", account), ("password", PASSWORD)]).await
            } else if let Some(form) = page.form_with("code_challenge") {
                browser.submit(&form, decision).await
            } else {
                return page;
            };
        }
        panic!("the server asked for more than {MOST_PAGES} pages, the last is {}", page.url.path());
    }

    /// The person, still logged in in this browser, ends what they allowed, at the server's own page for that.
    ///
    /// # Panics
    ///
    /// When the page lists nothing to end.
    pub async fn disconnect_all(&self, browser: &mut Browser) {
        let mut ended = 0;
        loop {
            let list = browser.get(self.url("/authorized_tokens/")).await;
            let Some(link) = list.links().into_iter().find(|link| link.path().ends_with("/delete/")) else {
                break;
            };
            let question = browser.follow(&list, &link).await;
            let Some(form) = question.forms().into_iter().find(|form| form.posts) else {
                panic!("no way to revoke at {}", link.path())
            };
            browser.submit(&form, &[]).await;
            ended += 1;
        }
        assert!(ended > 0, "nothing was allowed at the server");
    }

    /// Whether the server holds this access token to be good right now (RFC 7662 §2.2). It tells nothing of refresh
    /// tokens; [`state`](Self::state) does.
    ///
    /// # Panics
    ///
    /// When the server does not answer as the RFC says.
    pub async fn introspect_active(&self, token: &str) -> bool {
        let client = (CLIENT_ID, CLIENT_SECRET);
        self.server.introspect_active(&self.url("/introspect/"), client, token).await
    }

    /// The subject that this access token stands for (OpenID Connect Core §5.3): a number as text.
    ///
    /// # Errors
    ///
    /// The status, when it is not 200: 401 for a token that has expired or was revoked.
    ///
    /// # Panics
    ///
    /// When the server does not answer, or answers 200 without a `sub`.
    pub async fn userinfo_sub(&self, token: &str) -> Result<String, StatusCode> {
        self.server.userinfo_sub(&self.url("/userinfo/"), token).await
    }

    /// What the server's own database says.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn state(&self) -> State {
        self.server.ask_test().await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer())
    }
}
