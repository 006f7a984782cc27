//! A sandbox with two clients, and a client's side of the protocol.

use std::collections::HashMap;

use reqwest::{Response, StatusCode, header, redirect};
use serde_json::Value;
use tokenry_sandbox::{Client, Sandbox, SandboxOptions};
use url::Url;

pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:49152/callback?kept=1";
/// The pair of RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) type Form<'a> = Vec<(&'a str, &'a str)>;

pub(crate) struct Fixture {
    pub(crate) sandbox: Sandbox,
    pub(crate) http: reqwest::Client,
}

pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

pub(crate) fn options() -> SandboxOptions {
    let client = |id: &str, secret: &str| Client {
        id: id.to_owned(),
        secret: secret.into(),
        redirect_uris: vec!["http://127.0.0.1/callback?kept=1".to_owned()],
    };
    SandboxOptions {
        clients: vec![client("app", "s3cret"), client("other", "hush")],
        ..SandboxOptions::default()
    }
}

pub(crate) async fn start() -> Fixture {
    start_with(options()).await
}

pub(crate) async fn start_with(options: SandboxOptions) -> Fixture {
    let http = reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
    Fixture { sandbox: Sandbox::start(options).await.unwrap(), http }
}

/// A sandbox with the quirks of a JSON text.
pub(crate) async fn start_odd(quirks: Value) -> Fixture {
    let quirks = serde_json::from_value(quirks).unwrap();
    start_with(SandboxOptions { quirks, ..options() }).await
}

impl Fixture {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.base_url())
    }

    /// An authorize URL with everything a request needs, changed by `changes`; an empty value leaves one out.
    pub(crate) fn authorize_url(&self, changes: &[(&str, &str)]) -> Url {
        let mut query: Form = vec![
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "read write"),
            ("state", "s-1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        query.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        Url::parse_with_params(&self.url("/authorize"), query).unwrap()
    }

    pub(crate) async fn decide(&self, url: Url, form: &[(&str, &str)]) -> Response {
        self.http.post(url).form(form).send().await.unwrap()
    }

    pub(crate) async fn allow(&self, account: &str) -> String {
        let form = [("decision", "allow"), ("account", account), ("scope", "read"), ("scope", "write")];
        callback(&self.decide(self.authorize_url(&[]), &form).await)["code"].clone()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.http.post(self.url(path)).basic_auth("app", Some("s3cret")).form(form).send().await.unwrap()
    }

    pub(crate) async fn exchange(&self, code: &str) -> Response {
        self.post("/token", &code_form(code)).await
    }

    pub(crate) async fn connect(&self, account: &str) -> Tokens {
        let code = self.allow(account).await;
        tokens(self.exchange(&code).await).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Response {
        self.post("/token", &refresh_form(token)).await
    }

    pub(crate) async fn userinfo(&self, token: &str) -> Response {
        self.http.get(self.url("/userinfo")).bearer_auth(token).send().await.unwrap()
    }

    pub(crate) async fn accepts(&self, access_token: &str) -> bool {
        self.userinfo(access_token).await.status() == StatusCode::OK
    }

    pub(crate) async fn control(&self, body: Value) -> Response {
        self.http.post(self.url("/control")).json(&body).send().await.unwrap()
    }
}

pub(crate) fn code_form(code: &str) -> Form<'_> {
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ]
}

pub(crate) fn refresh_form(token: &str) -> Form<'_> {
    vec![("grant_type", "refresh_token"), ("refresh_token", token)]
}

/// The parameters that a redirect carries back to the client.
pub(crate) fn callback(response: &Response) -> HashMap<String, String> {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let location = response.headers()[header::LOCATION].to_str().unwrap();
    assert!(location.starts_with(REDIRECT_URI), "{location}");
    Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

pub(crate) async fn tokens(response: Response) -> Tokens {
    assert_eq!(response.status(), StatusCode::OK);
    let answer: Value = response.json().await.unwrap();
    let member = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    Tokens { access: member("access_token"), refresh: member("refresh_token") }
}

/// Status and `error` member of a refusal.
pub(crate) async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let answer: Value = response.json().await.unwrap();
    (status, answer["error"].as_str().unwrap_or_default().to_owned())
}

pub(crate) fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}
