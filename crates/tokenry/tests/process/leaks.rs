//! Secrets that Tokenry sees are in no log at any level, in no error, in no metric, and in no file of the data directory,
//! neither as they are nor in base64 or hex.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tokenry_testkit::app::{Answer, ApiClient, TestUser};
use tokenry_testkit::browser::{Browser, Page};

use crate::process::Home;
use crate::provider::{Mood, Talker};
use crate::server::{Server, free_port};

const PASSWORD: &str = "sentinel-password-Hk3wQz9d";
const NEW_PASSWORD: &str = "sentinel-new-password-Vb6nLs1f";
const PASTED: &str = "sentinel-pasted-Yt5rMx0j/+=%";
const SECOND: &str = "sentinel-second-Cg2hDp8u";
const CLIENT_SECRET: &str = "sentinel-client-secret-Jn4kEw7a";
const METRICS_TOKEN: &str = "sentinel-metrics-token-Oi9xBv3s";

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The forms in which a secret could be found: as it is, escaped, in hex, and in base64 whatever stands before it.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    let hex = hex(secret);
    forms.push(hex.to_uppercase().into_bytes());
    forms.push(hex.into_bytes());
    if let Ok(text) = std::str::from_utf8(secret) {
        let escaped: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        forms.push(escaped.into_bytes());
    }
    for engine in [STANDARD, URL_SAFE] {
        for before in 0..3 {
            let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.iter().copied()).collect();
            let encoded = engine.encode(padded).into_bytes();
            // The first group is shared with what stands before, the last with what comes after.
            let (first, last) = (if before == 0 { 0 } else { 4 }, encoded.len() - 4);
            forms.push(encoded[first..last].to_vec());
        }
    }
    forms
}

/// Bytes as text, one character each, so that they can be searched quickly.
fn as_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// What is looked for, and where it was not found.
#[derive(Default)]
struct Watch {
    secrets: Vec<Vec<u8>>,
    places: usize,
}

impl Watch {
    fn add(&mut self, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= 8, "too short to be looked for: {secret:?}");
        self.secrets.push(secret.to_vec());
    }

    /// A JWT: whole, and its signature, without which the rest is worth nothing.
    fn add_token(&mut self, token: &str) {
        self.add(token);
        self.add(token.rsplit('.').next().unwrap());
    }

    fn check(&mut self, place: &str, bytes: &[u8]) {
        let text = as_text(bytes);
        for secret in &self.secrets {
            for form in forms(secret) {
                let form = as_text(&form);
                assert!(
                    !text.contains(&form),
                    "{place} holds {:?} as {form:?}: {}",
                    String::from_utf8_lossy(secret),
                    around(&text, &form)
                );
            }
        }
        self.places += 1;
    }
}

/// What stands around it.
fn around(text: &str, form: &str) -> String {
    let at = text.find(form).unwrap_or_default();
    let before: String = text[..at].chars().rev().take(400).collect();
    before.chars().rev().chain(text[at..].chars().take(400)).collect()
}

#[test]
fn the_search_finds_a_secret_in_every_form() {
    let secret = b"sentinel-token";
    let plain = String::from_utf8(secret.to_vec()).unwrap();
    let found = |text: &str| forms(secret).iter().any(|form| text.contains(&as_text(form)));
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}{plain} and more");
        for carrier in [
            text.clone(),
            STANDARD.encode(&text),
            URL_SAFE.encode(&text),
            hex(text.as_bytes()),
            hex(text.as_bytes()).to_uppercase(),
        ] {
            assert!(found(&carrier), "{carrier}");
        }
    }
    assert!(!found("sentinel-tokem and more"));
}

/// A server that logs all it can, and what goes on with it.
struct Scene {
    home: Home,
    server: Server,
    talker: Talker,
    watch: Watch,
    /// Error answers and pages, to be looked through when all secrets are known.
    seen: Vec<(String, String)>,
}

impl Scene {
    async fn start(format: &str) -> Self {
        let home = Home::new();
        let mut watch = Watch::default();
        let key = home.run(&["key", "generate"], &[]).ok().trim().to_owned();
        watch.add(STANDARD.decode(&key).unwrap());
        for secret in [
            &key,
            PASSWORD,
            NEW_PASSWORD,
            PASTED,
            SECOND,
            CLIENT_SECRET,
            METRICS_TOKEN,
            "sentinel-code-Ua7yFm4e",
        ] {
            watch.add(secret);
        }
        let (talker, port) = (Talker::start().await, free_port());
        let (listen, public) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
        let at = |path: &str| format!("{}/{path}", talker.base);
        let server = Server::start(
            &home,
            &[
                ("TOKENRY_LISTEN", &listen),
                // The moods are for the reads here, and not for the background.
                ("TOKENRY_REFRESH_AHEAD", "false"),
                ("TOKENRY_PUBLIC_URL", &public),
                ("TOKENRY_MASTER_KEY", &key),
                ("TOKENRY_METRICS_TOKEN", METRICS_TOKEN),
                ("TOKENRY_LOG__LEVEL", "trace"),
                ("TOKENRY_LOG__FORMAT", format),
                ("TOKENRY_OUTBOUND__ALLOW_PRIVATE", "true"),
                ("TOKENRY_PROVIDERS__TALKER__CLIENT_ID", "talker-client"),
                ("TOKENRY_PROVIDERS__TALKER__CLIENT_SECRET", CLIENT_SECRET),
                ("TOKENRY_PROVIDERS__TALKER__AUTHORIZE_URL", &at("authorize")),
                ("TOKENRY_PROVIDERS__TALKER__TOKEN_URL", &at("token")),
                ("TOKENRY_PROVIDERS__TALKER__USERINFO_URL", &at("userinfo")),
                ("TOKENRY_PROVIDERS__TALKER__REVOKE_URL", &at("revoke")),
            ],
        );
        Self { home, server, talker, watch, seen: Vec::new() }
    }

    fn keep(&mut self, what: &str, answer: &Answer) {
        self.seen.push((what.to_owned(), format!("{:?}\n{}", answer.headers, answer.body)));
    }

    fn keep_page(&mut self, what: &str, page: &Page) {
        self.seen.push((what.to_owned(), page.body.clone()));
    }

    /// Accounts: right and wrong, with secrets where they do not belong.
    async fn accounts(&mut self) -> TestUser {
        let mut api = self.server.api();
        let body = json!({"username": "ada", "email": "ada@example.org", "password": PASSWORD});
        api.post("/api/auth/signup", &body).await.expect(StatusCode::OK);
        for body in [
            json!({"username": PASSWORD, "password": PASSWORD}),
            json!({"username": "ada", "password": NEW_PASSWORD}),
            json!({"username": "ada", "password": {"text": PASSWORD}}),
            json!({"username": "ada", "passwort": PASSWORD}),
            json!({PASSWORD: PASSWORD}),
        ] {
            let answer = api.post("/api/auth/login", &body).await;
            assert!(answer.status.is_client_error(), "{body}");
            self.keep("a wrong login", &answer);
        }
        for body in [
            json!({"username": PASSWORD.repeat(4), "email": PASTED, "password": PASSWORD}),
            json!({"username": "ada", "email": "ada@example.org", "password": PASSWORD}),
        ] {
            let answer = api.post("/api/auth/signup", &body).await;
            assert!(answer.status.is_client_error(), "{body}");
            self.keep("a wrong sign-up", &answer);
        }
        let token = api.log_in("ada", PASSWORD).await;
        self.watch.add_token(&token);
        api.token = Some(token);
        let body = json!({"current_password": NEW_PASSWORD, "new_password": PASSWORD});
        let answer = api.put("/api/auth/password", &body).await.expect_error(422, "invalid_field");
        self.keep("a wrong password change", &answer);
        let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
        api.put("/api/auth/password", &body).await.expect(StatusCode::OK);
        let answer = api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
        self.keep("a dead token", &answer);
        let token = api.log_in("ada", NEW_PASSWORD).await;
        self.watch.add_token(&token);
        api.token = Some(token);
        let renewed =
            api.post("/api/auth/refresh", &json!({})).await.expect(StatusCode::OK).text("refresh_token");
        self.watch.add_token(&renewed);
        TestUser { name: "ada".to_owned(), api }
    }

    /// Pasted tokens: right and wrong.
    async fn pasted(&mut self, user: &TestUser) {
        let id = user.add("mine", "spotify", PASTED).await;
        assert_eq!(user.token_of(id).await, PASTED);
        let token = json!({"token": SECOND});
        let path = user.path(&format!("update/connection/token/{id}"));
        user.api.put(&path, &token).await.expect(StatusCode::OK);
        let add = user.path("add/connection");
        for (kind, body) in [
            ("application/json", format!("{{\"name\":\"x\",\"token_type\":\"spotify\",\"token\":\"{PASTED}")),
            ("application/json", format!("{{\"token\":\"{PASTED}\",\"token\":\"{SECOND}\"}}")),
            (
                "application/json",
                format!("{{\"name\":\"x\",\"token_type\":\"spotify\",\"token\":[\"{PASTED}\"]}}"),
            ),
            (
                "application/json",
                format!("{{\"name\":\"x\\n\",\"token_type\":\"spotify\",\"token\":\"{PASTED}\"}}"),
            ),
            ("application/json", format!("\"{PASTED}\"")),
            ("text/plain", PASTED.to_owned()),
            (PASTED, PASTED.to_owned()),
        ] {
            let answer =
                user.api.send(Method::POST, &add, &[("content-type", kind)], body.into_bytes()).await;
            assert!(answer.status.is_client_error(), "{answer:?}");
            self.keep("a wrong add", &answer);
        }
        for path in [format!("/api/users/ada/get/connection/{SECOND}"), format!("/{SECOND}?token={SECOND}")] {
            let answer = user.api.get(&path).await;
            assert!(answer.status.is_client_error(), "{answer:?}");
            self.keep("a token in the path", &answer);
        }
        let mut stranger = self.server.api();
        for token in [PASTED.to_owned(), format!("Bearer {PASTED}"), format!("Basic {PASTED}")] {
            stranger.token = Some(token);
            let answer = stranger.get("/api/auth/user").await.expect_error(401, "unauthenticated");
            self.keep("a token that is none", &answer);
        }
        user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    }

    /// A key by a connect link: refused, and taken. What opens the link is secret as well.
    async fn brought(&mut self, user: &TestUser) {
        let wanted = json!({"services": ["activecampaign"]});
        let made = user.api.post(&user.path("connect/links"), &wanted).await.expect(StatusCode::CREATED);
        let url = made.text("url");
        self.watch.add(url.rsplit('/').next().unwrap());
        let mut browser = Browser::new();
        let page = browser.get(&url).await;
        let form = page.links().into_iter().find(|link| link.path().ends_with("/service/activecampaign"));
        let page = browser.follow(&page, &form.unwrap()).await;
        let form = page.form_with("api_key").unwrap_or_else(|| panic!("{}", page.body));
        for (tenant, key, status) in [
            ("no tenant", SECOND, StatusCode::UNPROCESSABLE_ENTITY),
            ("acme", "", StatusCode::UNPROCESSABLE_ENTITY),
            ("acme", PASTED, StatusCode::OK),
            ("acme", SECOND, StatusCode::GONE),
        ] {
            let page = browser.submit(&form, &[("settings.subdomain", tenant), ("api_key", key)]).await;
            assert_eq!(page.status, status, "{}", page.body);
            self.keep_page("a key by a link", &page);
        }
        for cookie in browser.cookies() {
            self.watch.add(&cookie.value);
        }
        let id = user.list().await[0]["ID"].as_i64().unwrap();
        assert_eq!(user.token_of(id).await, PASTED);
        user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    }

    /// Asks for a link; what is in it is secret from now on. Gives the callback's path, without a code.
    async fn link(&mut self, user: &TestUser) -> (String, String) {
        let (link, cookie) = user.link("talker").await;
        let link: url::Url = link.parse().unwrap();
        let state = link.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        self.watch.add(&state);
        self.watch.add(cookie.split_once('=').unwrap().1);
        (format!("/callback/talker?state={state}"), cookie)
    }

    async fn callback(&mut self, path: &str, cookie: Option<&str>, status: StatusCode) -> (Browser, Page) {
        let mut browser = Browser::new();
        if let Some(cookie) = cookie {
            browser.set_cookie(&self.server.base, cookie);
        }
        let page = browser.get(format!("{}{path}", self.server.base)).await;
        assert_eq!(page.status, status, "{}", page.body);
        self.keep_page("a callback", &page);
        (browser, page)
    }

    /// Connects: refused, failed, in another browser, and well.
    async fn connects(&mut self, user: &TestUser) -> i64 {
        let code = "&code=sentinel-code-Ua7yFm4e";
        let (path, cookie) = self.link(user).await;
        let denied = format!("{path}&error=access_denied&error_description={SECOND}");
        self.callback(&denied, Some(&cookie), StatusCode::BAD_REQUEST).await;
        self.callback(&format!("{path}{code}"), Some(&cookie), StatusCode::BAD_REQUEST).await;
        self.callback(&format!("/callback/talker?state={SECOND}{code}"), None, StatusCode::BAD_REQUEST).await;
        for mood in
            [Mood::InvalidGrant, Mood::ErrorCode, Mood::Page, Mood::PageInOk, Mood::Torn, Mood::WrongType]
        {
            self.talker.be(&[mood]);
            let (path, cookie) = self.link(user).await;
            let mut browser = Browser::new();
            browser.set_cookie(&self.server.base, &cookie);
            let page = browser.get(format!("{}{path}{code}", self.server.base)).await;
            assert!(!page.status.is_success(), "{mood:?}: {}", page.body);
            self.keep_page("a callback", &page);
        }
        assert!(user.list().await.is_empty());

        // In another browser: the owner has to sign in, and gets the password wrong at first.
        let (path, _) = self.link(user).await;
        let (mut browser, page) = self.callback(&format!("{path}{code}"), None, StatusCode::OK).await;
        let form = page.form_with("handle").expect("no form to sign in with");
        let handle = form.values("handle")[0].to_owned();
        let wrong = browser.submit(&form, &[("password", PASSWORD), ("decision", "finish")]).await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN);
        assert!(!wrong.body.contains(PASSWORD));
        let form = wrong.form_with("handle").unwrap();
        let done = browser.submit(&form, &[("password", NEW_PASSWORD), ("decision", "finish")]).await;
        assert!(done.body.contains("is connected"), "{}", done.body);
        self.keep_page("the end of a connect", &done);
        // From here on, as the page that asks has to hold it.
        self.seen.retain(|(_, text)| !text.contains(&handle));
        self.watch.add(&handle);
        for cookie in browser.cookies() {
            self.watch.add(&cookie.value);
        }

        let (path, cookie) = self.link(user).await;
        self.callback(&format!("{path}{code}"), Some(&cookie), StatusCode::OK).await;
        user.list().await.last().unwrap()["ID"].as_i64().unwrap()
    }

    /// Refreshes: well, and refused in every way.
    async fn refreshes(&mut self, user: &TestUser, id: i64) {
        user.token_of(id).await;
        for mood in [
            Mood::ErrorCode,
            Mood::Page,
            Mood::PageInOk,
            Mood::Torn,
            Mood::WrongType,
            Mood::Redirect,
            Mood::RateLimit,
            Mood::InvalidGrant,
        ] {
            self.talker.be(&[mood]);
            let answer = user.get_token(id).await;
            assert!(!answer.status.is_success(), "{mood:?}: {answer:?}");
            self.keep("a failed refresh", &answer);
            if !matches!(mood, Mood::InvalidGrant) {
                self.let_the_pauses_pass().await;
            }
        }
        let answer = user.get_token(id).await.expect_error(409, "reconnect_required");
        self.keep("a quarantined connection", &answer);
        user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    }

    /// As if as much time had passed as a refresh that failed is left alone for.
    async fn let_the_pauses_pass(&self) {
        let url = format!("sqlite://{}", self.home.database().display());
        let mut database = SqliteConnection::connect(&url).await.unwrap();
        for sql in [
            "UPDATE connections SET failures = 0, retry_at = NULL, state = 'ok', state_reason = NULL",
            "DELETE FROM provider_health",
        ] {
            sqlx::query(sql).execute(&mut database).await.unwrap();
        }
    }

    async fn metrics(&mut self) {
        let mut api: ApiClient = self.server.api();
        let answer = api.get("/metrics").await.expect_error(403, "forbidden");
        self.keep("metrics without a token", &answer);
        api.token = Some(METRICS_TOKEN.to_owned());
        let answer = api.get("/metrics").await.expect(StatusCode::OK);
        assert!(answer.body.contains("talker"), "{}", answer.body);
        self.keep("metrics", &answer);
    }

    fn check_files(&mut self, dir: &Path) {
        let mut names = Vec::new();
        for file in std::fs::read_dir(dir).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                // Room that is set aside, and nothing in it; and the spool's name.
                for room in std::fs::read_dir(&path).unwrap() {
                    let room = room.unwrap().path();
                    assert!(
                        room.extension().is_some_and(|e| e == "reserve") || room.ends_with("name"),
                        "{}",
                        room.display()
                    );
                    self.watch.check(&room.display().to_string(), &std::fs::read(&room).unwrap());
                }
                names.push("spool".to_owned());
                continue;
            }
            self.watch.check(&path.display().to_string(), &std::fs::read(&path).unwrap());
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        names.sort();
        assert_eq!(names, ["spool", "tokenry.db", "tokenry.db-shm", "tokenry.db-wal"]);
    }
}

async fn play(format: &str) {
    let mut scene = Scene::start(format).await;
    let user = scene.accounts().await;
    scene.pasted(&user).await;
    scene.brought(&user).await;
    let id = scene.connects(&user).await;
    scene.refreshes(&user, id).await;
    scene.metrics().await;
    user.api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);

    assert!(scene.talker.requests() > 25, "the provider was asked {} times", scene.talker.requests());
    for secret in scene.talker.secrets() {
        scene.watch.add(&secret);
    }
    for (what, text) in std::mem::take(&mut scene.seen) {
        scene.watch.check(&what, text.as_bytes());
    }
    let data = scene.home.data();
    scene.check_files(&data);
    let Scene { server, mut watch, .. } = scene;
    let mut process = server.process;
    process.terminate();
    assert!(process.wait().success());
    let (out, log) = (process.out.end(), process.err.end());
    for loud in
        ["TRACE", "DEBUG", "sqlx::query", "hyper_util::client", "tokenry_oauth::wire", "a connect failed"]
    {
        assert!(log.contains(loud), "it does not log all it can: no {loud} in {log}");
    }
    watch.check("the standard output", out.as_bytes());
    watch.check("the log", log.as_bytes());
    println!(
        "{} secrets were in none of {} places; the log has {} lines",
        watch.secrets.len(),
        watch.places,
        log.lines().count()
    );
}

#[tokio::test]
async fn no_secret_is_in_a_log_for_people_an_answer_a_metric_or_a_file() {
    play("human").await;
}

#[tokio::test]
async fn no_secret_is_in_a_log_for_machines_an_answer_a_metric_or_a_file() {
    play("json").await;
}
