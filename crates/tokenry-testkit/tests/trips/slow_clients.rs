//! Clients that are slow, and more of them than the server takes: with real sockets.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry_sandbox::{Fault, FaultKind};
use tokenry_testkit::app::{ApiClient, TestApp, TestUser};
use tokenry_web::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{PAST_EXPIRY, World, eventually};

const HEAD: &str = "GET /healthz HTTP/1.1\r\nHost: tokenry\r\n";
const LOG_IN: &str = "POST /api/auth/login HTTP/1.1\r\nHost: tokenry\r\nContent-Type: application/json\r\n";

async fn start(limits: Limits) -> TestApp {
    TestApp::start_with(|config| config.limits = limits).await
}

/// A connection on which so much has been said.
async fn say(app: &TestApp, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.config.listen).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the server hangs up.
async fn hear_out(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    // A reset is a way of hanging up.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// An answer by its parts: the status line, the headers, the body.
fn parts(answer: &str) -> (&str, String, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    (status, headers.to_ascii_lowercase(), body)
}

/// The user's program, on a connection of its own.
fn fresh(app: &TestApp, user: &TestUser) -> ApiClient {
    let mut api = ApiClient::new(app.base());
    api.token.clone_from(&user.api.token);
    api
}

/// Does what people do, each on a connection of its own.
async fn a_person_gets_through(app: &TestApp, name: &str) {
    let user = app.user(name).await;
    let id = user.add("one", "spotify", "a-token").await;
    assert_eq!(user.token_of(id).await, "a-token");
    ApiClient::new(app.base()).get("/healthz").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn however_many_clients_are_slow_with_their_heads_or_bodies_others_get_through() {
    let limits = Limits {
        connections: 8,
        requests: 4,
        // Long: it is not time that makes room for the others.
        head_within: Duration::from_mins(5),
        body_within: Duration::from_mins(5),
        ..Limits::default()
    };
    let mut app = start(limits).await;
    let mut slow = Vec::new();
    for round in 0..5 {
        for _ in 0..20 {
            slow.push(say(&app, "").await);
            slow.push(say(&app, HEAD).await);
            slow.push(say(&app, &format!("{LOG_IN}Content-Length: 100\r\n\r\n{{")).await);
            slow.push(say(&app, &format!("{LOG_IN}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n")).await);
        }
        a_person_gets_through(&app, &format!("ada{round}")).await;
    }
    let metrics = app.anonymous().get("/metrics").await.body;
    let line = metrics.lines().find(|line| line.starts_with("tokenry_tcp_connections ")).unwrap();
    let open: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((1..=8).contains(&open), "{line}");
    assert!(metrics.contains(r#"tokenry_tcp_connections_closed_total{reason="for_another"}"#), "{metrics}");
    // They keep a stop waiting no longer than it waits for anything.
    app.stop().await;
    drop(slow);
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_head_is_hung_up_on() {
    let limits = Limits { head_within: Duration::from_millis(200), ..Limits::default() };
    let app = start(limits).await;
    assert_eq!(hear_out(say(&app, HEAD).await).await, "");
    // Also one that says a little now and then.
    let mut drip = say(&app, HEAD).await;
    while drip.write_all(b"X-A: b\r\n").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    a_person_gets_through(&app, "ada").await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408() {
    let limits = Limits { body_within: Duration::from_millis(200), ..Limits::default() };
    let app = start(limits).await;
    let answer = hear_out(say(&app, &format!("{LOG_IN}Content-Length: 100\r\n\r\n{{")).await).await;
    let (status, headers, body) = parts(&answer);
    assert_eq!(status, "HTTP/1.1 408 Request Timeout", "{answer}");
    assert!(body.contains(r#""code":"too_slow""#), "{answer}");
    assert!(headers.contains("x-request-id:") && headers.contains("cache-control: no-store"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_lies_still_is_closed_and_one_that_takes_nothing_of_its_answer_too() {
    let limits = Limits { still_for: Duration::from_millis(500), ..Limits::default() };
    let app = start(limits).await;
    let answered = hear_out(say(&app, &format!("{HEAD}\r\n")).await).await;
    assert!(answered.starts_with("HTTP/1.1 200 OK") && answered.ends_with("ok\n"), "{answered}");
    assert_eq!(hear_out(say(&app, "").await).await, "");

    let user = app.user("ada").await;
    let (token, many) = ("t".repeat(60_000), 200);
    for n in 0..many {
        user.add(&n.to_string(), "spotify", &token).await;
    }
    let bearer = user.api.token.clone().unwrap();
    let list = format!(
        "GET {} HTTP/1.1\r\nHost: t\r\nAuthorization: {bearer}\r\n\r\n",
        user.path("get/connections")
    );
    let deaf = say(&app, &list).await;
    eventually("the server gives up on it", async || {
        // Nobody is connected any more but who asks.
        app.anonymous().get("/metrics").await.body.contains("tokenry_tcp_connections 1\n")
    })
    .await;
    let taken = hear_out(deaf).await.len();
    assert!(taken < token.len() * many, "{taken} bytes came, which is all");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_in_words_or_at_least_by_a_status() {
    let app = start(Limits::default()).await;
    for (path, headers) in [("/healthz", vec![("x-long", "x".repeat(20_000))]), ("/?q=", vec![])] {
        let path = if headers.is_empty() { format!("{path}{}", "x".repeat(20_000)) } else { path.to_owned() };
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = app.anonymous().send(reqwest::Method::GET, &path, &headers, Vec::new()).await;
        answer.expect_error(431, "head_too_large");
    }
    let many = "X-Again: and again\r\n".repeat(200);
    let endless = format!("X-Long: {}\r\n", "x".repeat(200_000));
    for headers in [many, endless] {
        let mut stream = say(&app, HEAD).await;
        // It may have hung up before it has all of it.
        let _ = stream.write_all(headers.as_bytes()).await;
        let _ = stream.write_all(b"\r\n").await;
        let answer = hear_out(stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    a_person_gets_through(&app, "ada").await;
}

#[tokio::test]
async fn more_requests_than_are_worked_on_are_refused_with_the_time_to_try_again_and_probes_are_answered() {
    for connections in [2, 1000] {
        let limits = Limits { connections, requests: 2, ..Limits::default() };
        let world = World::start_with(|config| config.limits = limits).await;
        let ada = world.app.user("ada").await;
        let ids = [world.connect(&ada, "grace").await, world.connect(&ada, "linus").await];
        world.app.clock.advance(PAST_EXPIRY);
        world.sandbox.inject(Fault::on_refresh(FaultKind::Delay { ms: 4000 }).times(2));
        let readers: Vec<_> = ids
            .into_iter()
            .map(|id| {
                let api = fresh(&world.app, &ada);
                let path = ada.path(&format!("get/connection/{id}"));
                tokio::spawn(async move { api.get(&path).await })
            })
            .collect();
        eventually("both are being refreshed", async || world.seen().refresh_attempts == 2).await;

        let other = fresh(&world.app, &ada);
        let refused = other.get("/api/auth/user").await.expect_error(503, "overloaded");
        assert_eq!(refused.header("retry-after"), "2");
        for probe in ["/healthz", "/readyz", "/metrics"] {
            ApiClient::new(world.app.base()).get(probe).await.expect(StatusCode::OK);
        }
        let metrics = ApiClient::new(world.app.base()).get("/metrics").await.body;
        assert!(metrics.contains("tokenry_requests_refused_total 1"), "{metrics}");
        for reader in readers {
            reader.await.unwrap().expect(StatusCode::OK);
        }
        other.get("/api/auth/user").await.expect(StatusCode::OK);
    }
}
