//! The real OAuth server that the other tests rely on does what they rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;
use tokenry_testkit::browser::{Browser, Page};
use tokenry_testkit::oidc_provider::{ClientAuth, Fault, OidcOptions, OidcProvider};
use url::Url;

/// The pair in RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:9/callback";

fn authorize_url(provider: &OidcProvider, more: &[(&str, &str)]) -> Url {
    let mut url = Url::parse(&provider.authorization_endpoint()).unwrap();
    url.query_pairs_mut()
        .append_pair("client_id", provider.client_id())
        .append_pair("response_type", "code")
        .append_pair("redirect_uri", CALLBACK)
        .append_pair("scope", "openid email")
        .append_pair("state", "the state")
        .extend_pairs(more);
    url
}

fn with_pkce(provider: &OidcProvider) -> Url {
    authorize_url(provider, &[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")])
}

fn browser() -> Browser {
    let mut browser = Browser::new();
    browser.stop_before(CALLBACK);
    browser
}

fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Posts a form with Basic client authentication, as RFC 6749 §2.3.1 wants it.
async fn post(
    provider: &OidcProvider,
    url: &str,
    form: &[(&str, &str)],
) -> reqwest::Result<reqwest::Response> {
    let secret = form_encoded(provider.client_secret());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.post(url).basic_auth(form_encoded(provider.client_id()), Some(secret)).form(form).send().await
}

async fn token(provider: &OidcProvider, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let response = post(provider, &provider.token_endpoint(), form).await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn exchange(provider: &OidcProvider, code: &str) -> (StatusCode, Value) {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    token(provider, &form).await
}

async fn refresh(provider: &OidcProvider, refresh_token: &str) -> (StatusCode, Value) {
    token(provider, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

struct Tokens {
    access: String,
    refresh: String,
}

fn tokens((status, reply): (StatusCode, Value)) -> Tokens {
    assert_eq!(status, StatusCode::OK, "{reply}");
    let text = |name: &str| reply[name].as_str().unwrap_or_else(|| panic!("no {name}: {reply}")).to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}

async fn connect(provider: &OidcProvider, browser: &mut Browser, account: &str) -> Tokens {
    let page = browser.consent_oidc(with_pkce(provider), account).await;
    tokens(exchange(provider, &page.query("code").expect("a code")).await)
}

fn assert_invalid_grant((status, reply): &(StatusCode, Value)) {
    assert_eq!((*status, &reply["error"]), (StatusCode::BAD_REQUEST, &Value::from("invalid_grant")));
}

#[tokio::test]
async fn a_code_becomes_tokens_of_the_person_who_consented() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let page = browser().consent_oidc(with_pkce(&provider), "alice").await;
    assert_eq!(page.query("state").as_deref(), Some("the state"));
    assert_eq!(page.query("iss").as_deref(), Some(provider.issuer()));

    let code = page.query("code").unwrap();
    let tokens = tokens(exchange(&provider, &code).await);
    assert_eq!(provider.userinfo_sub(&tokens.access).await, Ok("alice".to_owned()));
    assert!(provider.introspect_active(&tokens.access).await);
    assert!(provider.introspect_active(&tokens.refresh).await);

    assert_invalid_grant(&exchange(&provider, &code).await);
    assert!(!provider.introspect_active(&tokens.access).await, "a code used twice takes its tokens with it");
}

#[tokio::test]
async fn pkce_is_demanded_and_checked() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let page = browser().consent_oidc(authorize_url(&provider, &[]), "alice").await;
    assert_eq!(page.query("error").as_deref(), Some("invalid_request"));
    let plain = [("code_challenge", VERIFIER), ("code_challenge_method", "plain")];
    let page = browser().consent_oidc(authorize_url(&provider, &plain), "alice").await;
    assert_eq!(page.query("error").as_deref(), Some("invalid_request"));

    let page = browser().consent_oidc(with_pkce(&provider), "alice").await;
    let code = page.query("code").unwrap();
    let mut form = vec![("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
    let wrong = VERIFIER.replace('d', "e");
    form.push(("code_verifier", &wrong));
    assert_invalid_grant(&token(&provider, &form).await);
}

#[tokio::test]
async fn where_only_pushed_requests_are_taken_another_is_refused() {
    let provider = OidcProvider::start(OidcOptions { require_par: true, ..OidcOptions::default() }).await;
    let page = browser().consent_oidc(with_pkce(&provider), "alice").await;
    assert_eq!((page.query("error").as_deref(), page.query("code")), (Some("invalid_request"), None));
    assert!(page.query("error_description").unwrap().contains("Pushed Authorization Request"));
}

#[tokio::test]
async fn a_person_may_deny() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let page = browser().deny_oidc(with_pkce(&provider), "alice").await;
    assert!(page.url.as_str().starts_with(CALLBACK));
    assert_eq!(page.query("error").as_deref(), Some("access_denied"));
    assert_eq!(page.query("code"), None);
}

#[tokio::test]
async fn an_access_token_ends_after_three_seconds_or_what_a_test_sets() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let mut browser = browser();
    let tokens = connect(&provider, &mut browser, "alice").await;
    assert_eq!(provider.userinfo_sub(&tokens.access).await, Ok("alice".to_owned()));
    provider.set_access_ttl(Duration::from_mins(1)).await;
    let longer = connect(&provider, &mut browser, "alice").await;

    // The server is another process with its own clock, so here the time has to pass.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(provider.userinfo_sub(&tokens.access).await, Err(StatusCode::UNAUTHORIZED));
    assert!(!provider.introspect_active(&tokens.access).await);
    assert_eq!(provider.userinfo_sub(&longer.access).await, Ok("alice".to_owned()));
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_reuse_kills_the_family() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let first = connect(&provider, &mut browser(), "alice").await;
    let second = tokens(refresh(&provider, &first.refresh).await);
    assert_ne!(first.refresh, second.refresh);
    let third = tokens(refresh(&provider, &second.refresh).await);
    assert_eq!(provider.userinfo_sub(&third.access).await, Ok("alice".to_owned()));

    assert_invalid_grant(&refresh(&provider, &first.refresh).await);
    assert_invalid_grant(&refresh(&provider, &third.refresh).await);
    assert_eq!(provider.userinfo_sub(&third.access).await, Err(StatusCode::UNAUTHORIZED));

    let counts = provider.counts().await;
    assert_eq!((counts.grants.refresh_token.ok, counts.grants.refresh_token.failed), (2, 2));
    assert_eq!((counts.grants.authorization_code.ok, counts.grants.authorization_code.failed), (1, 0));
    assert_eq!((counts.issued.access_tokens, counts.issued.refresh_tokens), (3, 3));
    assert_eq!((counts.requests.token, counts.requests.userinfo), (5, 2));
}

#[tokio::test]
async fn a_revoked_refresh_token_is_inactive_with_its_access_token() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let mut browser = browser();
    let alice = connect(&provider, &mut browser, "alice").await;
    let bob = connect(&provider, &mut browser, "bob").await;
    let reply = post(&provider, &provider.revocation_endpoint(), &[("token", &alice.refresh)]).await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);

    assert!(!provider.introspect_active(&alice.refresh).await);
    assert!(!provider.introspect_active(&alice.access).await);
    assert!(provider.introspect_active(&bob.refresh).await);
    assert_eq!(provider.userinfo_sub(&bob.access).await, Ok("bob".to_owned()));
    assert_eq!(provider.counts().await.requests.revocation, 1);
}

#[tokio::test]
async fn an_account_that_disconnects_loses_everything_and_can_connect_again() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let mut browser = browser();
    let before = connect(&provider, &mut browser, "alice").await;
    let bystander = connect(&provider, Browser::new().stop_before(CALLBACK), "bob").await;
    provider.revoke_account("alice").await;
    assert_invalid_grant(&refresh(&provider, &before.refresh).await);
    assert_eq!(provider.userinfo_sub(&before.access).await, Err(StatusCode::UNAUTHORIZED));
    assert!(provider.introspect_active(&bystander.refresh).await);

    let after = connect(&provider, &mut browser, "alice").await;
    assert_eq!(provider.userinfo_sub(&after.access).await, Ok("alice".to_owned()));
}

#[tokio::test]
async fn faults_happen_as_often_as_asked_and_then_no_more() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let first = connect(&provider, &mut browser(), "alice").await;
    let busy = Fault::answer("/token", StatusCode::SERVICE_UNAVAILABLE).times(2).header("retry-after", "1");
    provider.inject(busy.body("busy")).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", first.refresh.as_str())];
    for _ in 0..2 {
        let reply = post(&provider, &provider.token_endpoint(), &form).await.unwrap();
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.headers()["retry-after"], "1");
        assert_eq!(reply.text().await.unwrap(), "busy");
    }
    provider.inject(Fault::cut("/token")).await;
    assert!(post(&provider, &provider.token_endpoint(), &form).await.is_err());
    let second = tokens(refresh(&provider, &first.refresh).await);

    let delay = Duration::from_millis(300);
    provider.inject(Fault::delay("/me", delay)).await;
    let start = Instant::now();
    assert_eq!(provider.userinfo_sub(&second.access).await, Ok("alice".to_owned()));
    assert!(start.elapsed() >= delay);

    provider.inject(Fault::cut("/me")).await;
    provider.clear_faults().await;
    assert_eq!(provider.userinfo_sub(&second.access).await, Ok("alice".to_owned()));
    let counts = provider.counts().await;
    assert_eq!((counts.faults, counts.requests.token), (4, 5));
    assert_eq!((counts.grants.refresh_token.ok, counts.grants.refresh_token.failed), (1, 0));
}

#[tokio::test]
async fn an_answer_lost_after_the_work_leaves_the_client_with_a_used_token() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let first = connect(&provider, &mut browser(), "alice").await;
    provider.inject(Fault::cut("/token").after_the_work()).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", first.refresh.as_str())];
    assert!(post(&provider, &provider.token_endpoint(), &form).await.is_err());
    assert_eq!(provider.counts().await.grants.refresh_token.ok, 1);
    assert_invalid_grant(&refresh(&provider, &first.refresh).await);

    let second = connect(&provider, &mut browser(), "alice").await;
    let fault = Fault::answer("/token", StatusCode::BAD_GATEWAY).after_the_work();
    provider.inject(fault).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", second.refresh.as_str())];
    let reply = post(&provider, &provider.token_endpoint(), &form).await.unwrap();
    assert_eq!(reply.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(reply.text().await.unwrap(), "a fault made for a test");
    assert_eq!(provider.counts().await.grants.refresh_token.ok, 2);
}

#[tokio::test]
async fn a_client_may_send_its_secret_in_the_body_or_have_none() {
    for client_auth in [ClientAuth::SecretPost, ClientAuth::Public] {
        let provider = OidcProvider::start(OidcOptions { client_auth, ..OidcOptions::default() }).await;
        let page = browser().consent_oidc(with_pkce(&provider), "alice").await;
        let code = page.query("code").unwrap();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("client_id", provider.client_id()),
        ];
        if client_auth == ClientAuth::SecretPost {
            form.push(("client_secret", provider.client_secret()));
        }
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let reply = client.post(provider.token_endpoint()).form(&form).send().await.unwrap();
        let tokens = tokens((reply.status(), reply.json().await.unwrap()));
        assert_eq!(provider.userinfo_sub(&tokens.access).await, Ok("alice".to_owned()), "{client_auth:?}");
    }
}

#[tokio::test]
async fn a_client_gets_a_token_of_its_own_and_a_wrong_secret_gets_none() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let (status, reply) =
        token(&provider, &[("grant_type", "client_credentials"), ("scope", "api:read")]).await;
    assert_eq!((status, &reply["scope"]), (StatusCode::OK, &Value::from("api:read")));
    assert!(provider.introspect_active(reply["access_token"].as_str().unwrap()).await);

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(provider.token_endpoint()).basic_auth(provider.client_id(), Some("wrong"));
    let reply = request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    let outcomes = provider.counts().await.grants.client_credentials;
    assert_eq!((outcomes.ok, outcomes.failed), (1, 1));
}

#[tokio::test]
async fn a_device_gets_tokens_when_the_person_has_consented() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let endpoint = provider.device_authorization_endpoint();
    let reply = post(&provider, &endpoint, &[("scope", "openid")]).await.unwrap();
    let device: Value = reply.json().await.unwrap();
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device["device_code"].as_str().unwrap()),
    ];
    assert_eq!(token(&provider, &form).await.1["error"], "authorization_pending");

    let mut browser = Browser::new();
    let page = browser.get(device["verification_uri"].as_str().unwrap()).await;
    let code = device["user_code"].as_str().unwrap();
    let page = browser.submit(&page.form_with("user_code").unwrap(), &[("user_code", code)]).await;
    let page = browser.submit(&page.form_with("confirm").expect("a page to confirm"), &[]).await;
    let page =
        browser.submit(&page.form_with("login").unwrap(), &[("login", "alice"), ("password", "x")]).await;
    let page = browser.submit(&page.form_with("prompt").unwrap(), &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    let tokens = tokens(token(&provider, &form).await);
    assert_eq!(provider.userinfo_sub(&tokens.access).await, Ok("alice".to_owned()));
}

/// Answers one request with a page that repeats the request's head, and ends.
fn callback_that_repeats(host: &str) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{host}:{}/callback", listener.local_addr().unwrap().port());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap() > 0 {}
        let length = head.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nset-cookie: seen=1; HttpOnly\r\ncontent-length: {length}\r\n\r\n{head}"
        )
        .unwrap();
    });
    (url, thread)
}

async fn land_on_a_callback_with_cookies(host: &str) -> (Browser, Page) {
    let options =
        OidcOptions { redirect_uris: vec![format!("http://{host}/callback")], ..OidcOptions::default() };
    let provider = OidcProvider::start(options).await;
    let (callback, thread) = callback_that_repeats(host);
    let url = with_pkce(&provider).as_str().replace(&form_encoded(CALLBACK), &form_encoded(&callback));
    let mut browser = Browser::new();
    browser.set_cookie(&callback, "lax=1; SameSite=Lax; Path=/");
    browser.set_cookie(&callback, "strict=1; SameSite=Strict; Path=/");
    let page = browser.consent_oidc(url, "alice").await;
    thread.join().unwrap();
    assert!(page.url.as_str().starts_with(&callback), "{}", page.url);
    assert_eq!(page.status, StatusCode::OK);
    (browser, page)
}

#[tokio::test]
async fn the_browser_lands_on_the_callback_with_the_cookies_of_that_host() {
    let (browser, page) = land_on_a_callback_with_cookies("127.0.0.1").await;
    assert!(page.body.contains("lax=1; strict=1"), "{}", page.body);
    assert!(page.body.to_lowercase().contains("sec-fetch-site: same-site"), "{}", page.body);
    let seen = browser.cookies().iter().find(|cookie| cookie.name == "seen").unwrap();
    assert!(seen.http_only);
    assert_eq!((seen.host.as_str(), seen.path.as_str()), ("127.0.0.1", "/"));
}

#[tokio::test]
async fn a_callback_on_another_site_sees_no_strict_cookie_and_none_of_the_providers() {
    let (_, page) = land_on_a_callback_with_cookies("localhost").await;
    assert!(page.body.contains("cookie: lax=1\r\n"), "{}", page.body);
    assert!(page.body.to_lowercase().contains("sec-fetch-site: cross-site"), "{}", page.body);
}

fn process(id: u32) -> PathBuf {
    Path::new("/proc").join(id.to_string())
}

#[tokio::test]
async fn a_dropped_provider_leaves_no_process() {
    let provider = OidcProvider::start(OidcOptions::default()).await;
    let process = process(provider.process_id());
    assert!(process.exists());
    drop(provider);
    assert!(!process.exists());
}

/// Set for the copy of this test program that is to be killed.
const TO_BE_KILLED: &str = "TOKENRY_TEST_TO_BE_KILLED";

#[tokio::test]
async fn a_killed_test_run_leaves_no_process() {
    if std::env::var_os(TO_BE_KILLED).is_some() {
        let provider = OidcProvider::start(OidcOptions::default()).await;
        println!("\nserver {}", provider.process_id());
        tokio::time::sleep(Duration::from_mins(1)).await;
        return;
    }
    let mut run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_test_run_leaves_no_process", "--nocapture"])
        .env(TO_BE_KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
    let server = lines.find_map(|line| line.strip_prefix("server ").map(str::to_owned));
    run.kill().unwrap();
    run.wait().unwrap();
    let process = process(server.expect("the copy started its server").parse().unwrap());
    let start = Instant::now();
    // An orphan is collected by whatever process adopts it; until then it is a zombie without a command line.
    while is_running(&process) {
        assert!(start.elapsed() < Duration::from_secs(10), "the server outlives its test run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_running(process: &Path) -> bool {
    let mut command_line = Vec::new();
    let read =
        std::fs::File::open(process.join("cmdline")).and_then(|mut file| file.read_to_end(&mut command_line));
    read.is_ok() && !command_line.is_empty()
}
