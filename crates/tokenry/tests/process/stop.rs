//! SIGTERM: what is under way is finished, and nothing that a provider has answered is lost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::process::Home;
use crate::server::{SandboxProcess, Server, borrowed, connect, free_port};

const LIMIT: Duration = Duration::from_secs(10);

/// A client that has asked once and keeps its connection for later.
fn keep_alive(base: &str) -> TcpStream {
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).unwrap();
        assert!(read > 0, "it closed the connection");
        answer.extend_from_slice(&bytes[..read]);
    }
    stream
}

#[tokio::test]
async fn an_idle_client_does_not_hold_the_stop() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    // One that has asked and waits, one that never asks, and one that stops in the middle of its question.
    let _idle = keep_alive(&server.base);
    let address = server.base.trim_start_matches("http://").to_owned();
    let _silent = TcpStream::connect(&address).unwrap();
    let mut half = TcpStream::connect(&address).unwrap();
    half.write_all(b"GET /healthz HT").unwrap();
    server.api().get("/healthz").await.expect(StatusCode::OK);
    let (status, took, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < LIMIT, "it took {took:?}");
    assert!(!home.data().join("tokenry.db-wal").exists(), "the database was not closed");
}

/// The server is told to stop while the provider takes `delay` to answer a refresh. Gives what the client got.
async fn stop_during_refresh(delay: Duration) -> Result<String, String> {
    let sandbox = SandboxProcess::start(0);
    let (home, port) = (Home::new(), free_port());
    let env = sandbox.env(port);
    let server = Server::start(&home, &borrowed(&env));
    let user = server.user("ada").await;
    let id = connect(&user, &server.base, "ada").await;
    sandbox.give_long_tokens().await;
    let slow = json!({"delay": {"ms": u64::try_from(delay.as_millis()).unwrap()}});
    sandbox.control(json!({"faults": [{"endpoint": "token", "grant": "refresh_token", "kind": slow}]})).await;
    let url = format!("{}{}", server.base, user.path(&format!("get/connection/{id}")));
    let token = user.api.token.clone().unwrap();
    let asked = tokio::spawn(async move {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(url).header("authorization", token).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        assert_eq!(answer.status(), StatusCode::OK);
        let json: serde_json::Value = answer.json().await.map_err(|error| error.to_string())?;
        Ok(json["token"].as_str().unwrap().to_owned())
    });
    sandbox.until("refresh_attempts", 1).await;
    let (status, took, log) = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < LIMIT, "it took {took:?}");
    assert_eq!(sandbox.seen("refreshes").await, 1, "it did not wait for the provider");

    let server = Server::start(&home, &borrowed(&env));
    let fresh = server.again(&user).token_of(id).await;
    assert_eq!(sandbox.userinfo(&fresh).await, StatusCode::OK);
    assert_eq!(sandbox.seen("refreshes").await, 1, "the refresh was lost, and made again");
    assert_eq!(sandbox.seen("reuses_detected").await, 0);
    let answered = asked.await.unwrap();
    if let Ok(token) = &answered {
        assert_eq!(*token, fresh);
    }
    answered
}

#[tokio::test]
async fn a_stop_lets_a_slow_refresh_end_and_its_caller_gets_the_token() {
    let answered = stop_during_refresh(Duration::from_secs(2)).await;
    assert!(answered.is_ok(), "{answered:?}");
}

#[tokio::test]
async fn a_stop_that_cannot_wait_for_the_caller_still_keeps_the_refresh() {
    // Longer than requests may take to drain, shorter than the stop may take as a whole.
    let answered = stop_during_refresh(Duration::from_secs(7)).await;
    println!("the caller of a refresh of 7 s got {:?}", answered.map(|_| "the token"));
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_lose_the_refresh_it_began() {
    let sandbox = SandboxProcess::start(0);
    let (home, port) = (Home::new(), free_port());
    let env = sandbox.env(port);
    let server = Server::start(&home, &borrowed(&env));
    let user = server.user("ada").await;
    let id = connect(&user, &server.base, "ada").await;
    sandbox.give_long_tokens().await;
    let slow = json!({"delay": {"ms": 1500}});
    sandbox.control(json!({"faults": [{"endpoint": "token", "grant": "refresh_token", "kind": slow}]})).await;
    let caller = {
        let user = user.clone();
        tokio::spawn(async move { user.get_token(id).await })
    };
    sandbox.until("refresh_attempts", 1).await;
    caller.abort();
    let (status, took, log) = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert!(status.success() && took < LIMIT, "{status} {took:?} {log}");
    let server = Server::start(&home, &borrowed(&env));
    let fresh = server.again(&user).token_of(id).await;
    assert_eq!(sandbox.userinfo(&fresh).await, StatusCode::OK);
    assert_eq!((sandbox.seen("refreshes").await, sandbox.seen("reuses_detected").await), (1, 0));
}
