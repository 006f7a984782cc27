//! A server process that ends with the test, for the tests that kill it.
#![allow(
    dead_code,
    clippy::expect_used,
    reason = "each test uses its part of it; a failed step is a failed test"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use reqwest::StatusCode;
use tokenry_sandbox::Sandbox;
use tokenry_testkit::app::{ApiClient, CLIENT_ID, CLIENT_SECRET, PASSWORD, TestUser};
use tokenry_testkit::browser::Browser;

/// A server process. It is killed when this is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) base: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary.
pub(crate) fn tokenry() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tokenry"))
}

/// Has `command`, which ends in the binary's path, serve at `listen`, with the sandbox as the provider `sandbox`. What
/// differs from test to test was set in its environment before. Nothing if it ends before it listens.
pub(crate) fn try_serve(mut command: Command, sandbox: &Sandbox, listen: &str) -> Option<Process> {
    command
        .arg("serve")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TOKENRY_LISTEN", listen)
        .env("TOKENRY_LOG__LEVEL", "error")
        .env("TOKENRY_OUTBOUND__ALLOW_PRIVATE", "true")
        .env("TOKENRY_PROVIDERS__SANDBOX__ISSUER", sandbox.base_url())
        .env("TOKENRY_PROVIDERS__SANDBOX__CLIENT_ID", CLIENT_ID)
        .env("TOKENRY_PROVIDERS__SANDBOX__CLIENT_SECRET", CLIENT_SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while out.read_line(&mut line).unwrap() > 0 {
        if let Some(at) = line.find("listens on http://") {
            let base = line[at + "listens on ".len()..].trim().to_owned();
            child.stdout = Some(out.into_inner());
            return Some(Process { child, base });
        }
        line.clear();
    }
    let _ = child.wait();
    None
}

/// As [`try_serve`]; it must come to listen.
pub(crate) fn serve(command: Command, sandbox: &Sandbox, listen: &str) -> Process {
    try_serve(command, sandbox, listen).expect("the server ended before it listened")
}

/// An address that is free, and below those that systems give to outgoing connections: between two processes nobody takes
/// it.
pub(crate) fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 14_000 + u16::try_from(std::process::id() % 5_000).unwrap();
    let mut ports = std::iter::repeat_with(|| start + NEXT.fetch_add(1, Ordering::Relaxed));
    let port = ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    format!("127.0.0.1:{port}")
}

/// Signs ada up, connects her account at the sandbox, and gives the connection's id.
pub(crate) async fn sign_up_and_connect(base: &str) -> (TestUser, i64) {
    let user = sign_up(base).await;
    let id = connect(&user, base).await;
    (user, id)
}

/// Signs ada up and logs her in.
pub(crate) async fn sign_up(base: &str) -> TestUser {
    let mut api = ApiClient::new(base);
    let body = serde_json::json!({"username": "ada", "email": "ada@example.org", "password": PASSWORD});
    api.post("/api/auth/signup", &body).await.expect(StatusCode::OK);
    api.token = Some(api.log_in("ada", PASSWORD).await);
    TestUser { name: "ada".to_owned(), api }
}

/// Connects the user's account at the sandbox.
pub(crate) async fn connect(user: &TestUser, base: &str) -> i64 {
    let (link, cookie) = user.link("sandbox").await;
    let mut browser = Browser::new();
    browser.set_cookie(base, &cookie);
    let page = browser.consent_sandbox(&link, "ada").await;
    assert!(page.body.contains("is connected"), "{}", page.body);
    user.list().await[0]["ID"].as_i64().unwrap()
}
