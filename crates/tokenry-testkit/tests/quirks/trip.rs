//! One trip: connect, read, refresh, revoke. It says at which step it got stuck.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokenry::config::Config;
use tokenry_model::ProviderId;
use tokenry_oauth::ProviderSettings;
use tokenry_sandbox::quirks::{Auth, ClientKey};
use tokenry_sandbox::{Fault, FaultKind, Quirks, Sandbox, SandboxOptions};
use tokenry_testkit::app::{CLIENT_ID, CLIENT_SECRET, PASSWORD, TestApp, TestUser};
use tokenry_testkit::browser::Browser;
use url::Url;

use crate::case::{Case, Special};

const ACCESS_TTL: Duration = Duration::from_hours(1);
/// Until then the app must have a fresh token, and the sandbox still knows the old one: its clock stands by default.
const PAST_EXPIRY: Duration = Duration::from_mins(61);
/// After this the token is due, and lives for half a minute yet.
const JUST_DUE: Duration = Duration::from_secs(ACCESS_TTL.as_secs() - 30);
const ACCOUNT: &str = "ada";

const KEY_ID: &str = "K1";
const TEAM_ID: &str = "T1";
const SIGNED_FOR: &str = "https://signed.example";

/// The client's keys, where it signs.
struct Keys {
    private_pem: String,
    public_pem: String,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let pem = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    Keys {
        private_pem: pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref()),
        public_pem: pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref()),
    }
});

/// Where and why a trip did not go on.
#[derive(Debug)]
pub(crate) struct Stuck {
    pub(crate) at: &'static str,
    why: String,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}", self.at, self.why)
    }
}

type Step<T> = Result<T, Stuck>;

fn stuck<T>(at: &'static str, why: impl Into<String>) -> Step<T> {
    Err(Stuck { at, why: why.into() })
}

fn ensure(at: &'static str, holds: bool, why: impl FnOnce() -> String) -> Step<()> {
    if holds { Ok(()) } else { stuck(at, why()) }
}

/// The whole trip, from the data file without `word`.
pub(crate) async fn go(case: &Case, word: Option<&str>) -> Step<()> {
    let directory = tempfile::tempdir().unwrap();
    let trip = Trip::start(case, word, directory.path()).await;
    let ada = trip.app.user("ada").await;
    if case.is(Special::ConsentedBefore) {
        let id = trip.connect(&ada).await?;
        trip.delete(&ada, id).await?;
    }
    let id = trip.connect(&ada).await?;
    trip.shows("connect", &ada, id).await?;
    let first = trip.read("read", &ada, id).await?;
    if case.is(Special::ReadTooYoung) {
        trip.too_young(&ada, id, &first).await?;
    }
    let before = trip.sandbox.seen().refreshes;
    let mut newest = first.clone();
    for _ in 0..2 {
        trip.pass_time(PAST_EXPIRY);
        newest = trip.read("refresh", &ada, id).await?;
    }
    let refreshes = trip.sandbox.seen().refreshes - before;
    let wanted = case.refreshes.unwrap_or(2);
    ensure("refresh", refreshes == wanted, || format!("{refreshes} refreshes, and not {wanted}"))?;
    ensure("refresh", (newest == first) == (wanted == 0), || "the token is the old one".to_owned())?;
    trip.shows("refresh", &ada, id).await?;
    if case.is(Special::AnswerLost) {
        newest = trip.answer_lost(&ada, id, &newest).await?;
    }
    if let Some(host) = &case.api_host {
        trip.calls_at(host, &ada, id).await?;
    }
    if case.is(Special::EndsForgotten) {
        return trip.is_forgotten(&ada, id).await;
    }
    if case.is(Special::TwoConnections) {
        trip.second_connection(&ada, id).await
    } else {
        trip.revoke(&ada, id, &newest).await
    }
}

struct Trip<'a> {
    case: &'a Case,
    app: TestApp,
    sandbox: Sandbox,
}

impl<'a> Trip<'a> {
    /// The sandbox has to know the app's port and the app the sandbox's, so one starts within the other.
    async fn start(case: &'a Case, word: Option<&str>, directory: &Path) -> Self {
        let mut started = None;
        let app = TestApp::start_with(|config| {
            if case.is(Special::AtLocalhost) {
                config.public_url.set_host(Some("localhost")).unwrap();
            }
            let start = Sandbox::start(options(case, &config.public_url));
            let handle = tokio::runtime::Handle::current();
            let sandbox = tokio::task::block_in_place(|| handle.block_on(start)).unwrap();
            for (name, text) in case.files(sandbox.base_url(), word) {
                std::fs::write(directory.join(name), text).unwrap();
            }
            configure(config, case, directory);
            started = Some(sandbox);
        })
        .await;
        Self { case, app, sandbox: started.unwrap() }
    }

    fn pass_time(&self, by: Duration) {
        self.app.clock.advance(by);
        if self.case.is(Special::SandboxFollows) {
            self.sandbox.advance(by);
        }
    }

    async fn connect(&self, user: &TestUser) -> Step<i64> {
        let answer = if self.case.given.is_empty() {
            user.api.get(&format!("/api/user/connection/access/token/{}", self.case.name)).await
        } else {
            let body = json!({"service": self.case.name, "settings": self.case.given});
            user.api.post(&user.path("connections/authorize"), &body).await
        };
        ensure("connect", answer.status == StatusCode::OK, || answer.body.clone())?;
        let mut browser = Browser::new();
        browser
            .set_cookie(&self.app.config.public_url, answer.header("set-cookie").split(';').next().unwrap());
        let mut page = browser.consent_sandbox(answer.text("url"), ACCOUNT).await;
        // A cookie of localhost does not come along to 127.0.0.1, so the person is asked.
        if let Some(form) = page.form_with("handle") {
            page = browser.submit(&form, &[("password", PASSWORD), ("decision", "finish")]).await;
        }
        let Some((_, rest)) = page.body.split_once("<dt>Connection</dt><dd>") else {
            return stuck("connect", format!("{} {}", page.url.path(), page.body));
        };
        let id = rest.split('<').next().unwrap().parse().unwrap();
        let list = user.list().await;
        let name = format!("{} ({ACCOUNT})", self.case.name);
        let is_named = list.iter().any(|connection| connection["Name"] == *name);
        ensure("connect", is_named, || format!("the account is not known: {list:?}"))?;
        Ok(id)
    }

    /// The connection's detail has the settings that it is to have, and no others.
    async fn shows(&self, step: &'static str, user: &TestUser, id: i64) -> Step<()> {
        let settings = user.detail(id).await["settings"].take();
        ensure(step, settings == json!(self.case.shown), || format!("the settings are {settings}"))
    }

    /// The token is due and lives. The provider would refuse a refresh, so it is not asked for one.
    async fn too_young(&self, user: &TestUser, id: i64, token: &str) -> Step<()> {
        self.pass_time(JUST_DUE);
        let before = self.sandbox.seen().refresh_attempts;
        let read = self.read("too young", user, id).await?;
        ensure("too young", read == token, || "the token is another one".to_owned())?;
        let attempts = self.sandbox.seen().refresh_attempts - before;
        ensure("too young", attempts == 0, || format!("{attempts} refreshes were asked for"))
    }

    /// The refresh token is spent and nobody has the next one: the provider says it again to whoever asks in time.
    async fn answer_lost(&self, user: &TestUser, id: i64, token: &str) -> Step<String> {
        self.pass_time(PAST_EXPIRY);
        self.sandbox.inject(Fault::on_refresh(FaultKind::DropAfter));
        let answer = user.get_token(id).await;
        let is_away = answer.status == StatusCode::SERVICE_UNAVAILABLE;
        ensure("lost", is_away, || format!("{} {}", answer.status, answer.body))?;
        let newest = self.read("lost", user, id).await?;
        ensure("lost", newest != token, || "the token is the old one".to_owned())?;
        let seen = self.sandbox.seen();
        let counts = (seen.replays, seen.reuses_detected);
        ensure("lost", counts == (1, 0), || format!("replays and reuses: {counts:?}"))?;
        // The refresh token that was said twice is the one that counts.
        self.pass_time(PAST_EXPIRY);
        self.read("lost", user, id).await
    }

    /// Calls go to the API's host, which the connection brought, and nowhere else.
    async fn calls_at(&self, host: &str, user: &TestUser, id: i64) -> Step<()> {
        let path = user.path(&format!("connections/{id}/authorization"));
        let call = |host: &str| json!({"method": "GET", "url": format!("https://{host}/v1/me")});
        let answer = user.api.post(&path, &call(host)).await;
        ensure("call", answer.status == StatusCode::OK, || answer.body.clone())?;
        let answer = user.api.post(&path, &call("elsewhere.example")).await;
        let says_where = answer.status == StatusCode::UNPROCESSABLE_ENTITY && answer.body.contains(host);
        ensure("call", says_where, || format!("{} {}", answer.status, answer.body))
    }

    /// The token that is handed out, which must work at the provider.
    async fn read(&self, step: &'static str, user: &TestUser, id: i64) -> Step<String> {
        let answer = user.get_token(id).await;
        ensure(step, answer.status == StatusCode::OK, || answer.body.clone())?;
        let token = answer.text("token");
        let status = self.userinfo(&token).await;
        ensure(step, status == StatusCode::OK, || format!("the token is no good: {status}"))?;
        Ok(token)
    }

    /// Asks the sandbox who a token stands for, in its own way.
    async fn userinfo(&self, token: &str) -> StatusCode {
        let Quirks { api, identity, .. } = &self.case.sandbox;
        let path = self.case.userinfo.as_deref().unwrap_or("/userinfo");
        let mut url = Url::parse(self.sandbox.base_url()).unwrap().join(path).unwrap();
        let http = Client::builder().no_proxy().build().unwrap();
        if let Some(name) = &api.query_param {
            url.query_pairs_mut().append_pair(name, token);
        }
        let request =
            if identity.by_post { http.post(url).json(&json!(identity.require)) } else { http.get(url) };
        let credential = format!("{} {token}", api.scheme);
        let request = api
            .headers
            .iter()
            .fold(request, |request, (name, value)| request.header(name, value))
            .header(&api.header, credential.trim());
        request.send().await.unwrap().status()
    }

    async fn delete(&self, user: &TestUser, id: i64) -> Step<()> {
        let answer = user.api.delete(&user.path(&format!("connection/delete/{id}"))).await;
        ensure("revoke", answer.status == StatusCode::OK, || answer.body.clone())
    }

    async fn revoke(&self, user: &TestUser, id: i64, token: &str) -> Step<()> {
        let before = self.sandbox.seen().revocations;
        self.delete(user, id).await?;
        let seen = self.sandbox.seen();
        ensure("revoke", seen.revocations > before, || format!("none arrived: {:?}", seen.events.last()))?;
        let status = self.userinfo(token).await;
        ensure("revoke", status == StatusCode::UNAUTHORIZED, || format!("the token lives: {status}"))
    }

    /// The person removed the app: the next refresh is refused for good, and the connection says so.
    async fn is_forgotten(&self, user: &TestUser, id: i64) -> Step<()> {
        self.sandbox.forget_grants_of(ACCOUNT);
        self.pass_time(PAST_EXPIRY);
        let answer = user.get_token(id).await;
        let code = answer.json()["code"].clone();
        ensure("forgotten", code == "reconnect_required", || answer.body.clone())?;
        self.delete(user, id).await
    }

    /// Somebody else's connection of the same account outlives this one, and its own end is told.
    async fn second_connection(&self, first: &TestUser, id: i64) -> Step<()> {
        let second = self.app.user("grace").await;
        let other = self.connect(&second).await?;
        let token = self.read("read", &second, other).await?;
        self.delete(first, id).await?;
        let status = self.userinfo(&token).await;
        ensure("second connection", status == StatusCode::OK, || format!("it was cut off: {status}"))?;
        self.revoke(&second, other, &token).await
    }
}

fn options(case: &Case, public_url: &Url) -> SandboxOptions {
    let redirect_uris = ["callback".to_owned(), format!("callback/{}", case.name)]
        .iter()
        .flat_map(|path| {
            let loopback = format!("http://127.0.0.1:{}/{path}", public_url.port().unwrap());
            [loopback, public_url.join(path).unwrap().into()]
        })
        .collect();
    let mut quirks = case.sandbox.clone();
    if matches!(quirks.token.auth, Auth::PrivateKeyJwt | Auth::SignedSecret) {
        let signed = quirks.token.auth == Auth::SignedSecret;
        let key = ClientKey {
            public_pem: KEYS.public_pem.clone(),
            kid: Some(KEY_ID.to_owned()),
            team: signed.then(|| TEAM_ID.to_owned()),
            audience: signed.then(|| SIGNED_FOR.to_owned()),
        };
        quirks.token.keys.insert(CLIENT_ID.to_owned(), key);
    }
    if let Some(name) = &case.redirect_name {
        let callback = public_url.join(&format!("callback/{}", case.name)).unwrap();
        quirks.redirect.named.insert(name.clone(), callback.into());
    }
    let client =
        tokenry_sandbox::Client { id: CLIENT_ID.to_owned(), secret: CLIENT_SECRET.into(), redirect_uris };
    SandboxOptions { clients: vec![client], access_ttl: ACCESS_TTL, quirks, ..SandboxOptions::default() }
}

/// What an operator would have to say besides the file: the client's names and secrets.
fn configure(config: &mut Config, case: &Case, directory: &Path) {
    let settings = ProviderSettings {
        client_id: Some(CLIENT_ID.to_owned()),
        client_secret: Some(CLIENT_SECRET.into()),
        private_key: case.is(Special::Signs).then(|| KEYS.private_pem.as_str().into()),
        key_id: case.is(Special::Signs).then(|| KEY_ID.to_owned()),
        team_id: case.is(Special::Signs).then(|| TEAM_ID.to_owned()),
        redirect_name: case.redirect_name.clone(),
        settings: case.settings.clone(),
        ..ProviderSettings::default()
    };
    directory.clone_into(&mut config.providers_dir);
    config.providers = BTreeMap::from([(ProviderId::parse(&case.name).unwrap(), settings)]);
}
