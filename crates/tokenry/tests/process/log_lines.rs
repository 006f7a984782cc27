//! Each line of the log is one of ours, whatever somebody else says in the hope that it becomes one.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokenry_testkit::app::TestUser;
use tokenry_testkit::browser::{Browser, Page};

use crate::process::Home;
use crate::server::{Server, free_port};

/// Ends a line and begins another that looks like ours.
const FORGED: &str = "x\n2026-01-01T00:00:00.000000Z ERROR forged: all is lost\r\n\u{1b}[2K\u{85}\u{2028}y";

/// What the token endpoint answers, one after the other; the last from then on.
fn answers() -> [(u16, Value); 7] {
    [
        (400, json!({"error": "invalid_grant", "error_description": FORGED})),
        (400, json!({"error": FORGED})),
        (400, json!({"error": {"type": FORGED, "message": FORGED}})),
        (500, json!(FORGED)),
        (200, json!(FORGED)),
        (200, json!({"access_token": FORGED, "token_type": FORGED})),
        (200, json!({"access_token": "good", "refresh_token": FORGED, "scope": FORGED, "expires_in": 0})),
    ]
}

async fn provider() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let token = move || {
        let answers = answers();
        let (status, body) = answers[asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)].clone();
        std::future::ready((StatusCode::from_u16(status).unwrap(), Json(body)).into_response())
    };
    let user = || std::future::ready(Json(json!({"sub": "1", "name": FORGED, "preferred_username": FORGED})));
    let refuse = || {
        let body = json!({"error": FORGED, "error_description": FORGED});
        std::future::ready::<Response>((StatusCode::BAD_REQUEST, Json(body)).into_response())
    };
    let router = axum::Router::new()
        .route("/token", post(token))
        .route("/user", get(user))
        .route("/revoke", post(refuse));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

/// Comes back from the provider with a code, and with more than was asked for.
async fn come_back(user: &TestUser, base: &str) -> Page {
    let (link, cookie) = user.link("evil").await;
    let state = url::Url::parse(&link)
        .unwrap()
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let mut url = url::Url::parse(&format!("{base}/callback/evil")).unwrap();
    url.query_pairs_mut().extend_pairs([("state", &*state), ("code", FORGED), ("x", FORGED), (FORGED, "x")]);
    let mut browser = Browser::new();
    browser.set_cookie(base, &cookie);
    browser.get(url).await
}

#[tokio::test]
async fn every_line_of_the_log_is_one_of_ours_whatever_a_provider_or_a_person_says() {
    let (home, port, evil) = (Home::new(), free_port(), provider().await);
    let (listen, public) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let at = |path: &str| format!("{evil}{path}");
    let (authorize, token, userinfo, revoke) = (at("/authorize"), at("/token"), at("/user"), at("/revoke"));
    let server = Server::start(
        &home,
        &[
            ("TOKENRY_LISTEN", &listen),
            ("TOKENRY_PUBLIC_URL", &public),
            ("TOKENRY_LOG__LEVEL", "debug"),
            ("TOKENRY_OUTBOUND__ALLOW_PRIVATE", "true"),
            ("TOKENRY_PROVIDERS__EVIL__CLIENT_ID", "id"),
            ("TOKENRY_PROVIDERS__EVIL__CLIENT_SECRET", "secret"),
            ("TOKENRY_PROVIDERS__EVIL__AUTHORIZE_URL", &authorize),
            ("TOKENRY_PROVIDERS__EVIL__TOKEN_URL", &token),
            ("TOKENRY_PROVIDERS__EVIL__USERINFO_URL", &userinfo),
            ("TOKENRY_PROVIDERS__EVIL__REVOKE_URL", &revoke),
        ],
    );
    let user = server.user("ada").await;
    for (status, _) in answers() {
        let page = come_back(&user, &server.base).await;
        assert!(page.status.as_u16() < 600 && status < 600, "{}", page.body);
    }
    let id = user.list().await.last().unwrap()["ID"].as_i64().unwrap();
    for _ in 0..2 {
        user.get_token(id).await;
    }
    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await;

    let encoded: String = url::form_urlencoded::byte_serialize(FORGED.as_bytes()).collect();
    for path in
        [format!("/{encoded}"), format!("/api/users/{encoded}/get/connections"), format!("/?{encoded}")]
    {
        user.api.get(&path).await;
    }
    for header in ["x-request-id", "x-forwarded-for", "user-agent", "host"] {
        user.api
            .send(Method::GET, "/healthz", &[(header, "x 2026-01-01T00:00:00.000000Z ERROR forged")], vec![])
            .await;
    }
    let log_in = json!({"username": FORGED, "password": FORGED});
    user.api.post("/api/auth/login", &log_in).await;
    let add = json!({"name": FORGED, "token_type": FORGED, "token": FORGED});
    user.api.post(&user.path("add/connection"), &add).await;

    let (_, _, log) = server.stop();
    assert!(log.contains("a connect failed") && log.contains("revocation failed"), "{log}");
    // The line is the only place that a line break stands in.
    for line in log.split('\n').filter(|line| !line.is_empty()) {
        let is_ours = line.starts_with("20") && !line.starts_with("2026-01-01T00:00:00.000000Z ERROR forged");
        assert!(is_ours && !line.chars().any(char::is_control), "{line:?}");
    }
}
