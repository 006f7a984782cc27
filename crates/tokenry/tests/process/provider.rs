//! A provider that talks too much: it answers with what it was sent, in every place where an answer has room for it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

/// How the next request to the token endpoint is answered. Each echoes the request's secret.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    /// As `invalid_grant`, in `error_description`.
    InvalidGrant,
    /// As the error code itself.
    ErrorCode,
    /// In an error page of HTML.
    Page,
    /// In a page of HTML with status 200.
    PageInOk,
    /// In JSON that breaks off.
    Torn,
    /// Where a number is expected.
    WrongType,
    /// In a redirect.
    Redirect,
    /// In a header and the body of a 429.
    RateLimit,
}

/// The provider. It runs in the test's own process.
#[derive(Clone)]
pub(crate) struct Talker {
    pub(crate) base: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    moods: VecDeque<Mood>,
    issued: u64,
    secrets: BTreeSet<String>,
    requests: u64,
}

impl Talker {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let talker = Self { base, shared: Arc::default() };
        let router = axum::Router::new()
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .route("/revoke", post(revoke))
            .with_state(talker.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        talker
    }

    /// How the next requests to the token endpoint are answered, one by one; after them, well.
    pub(crate) fn be(&self, moods: &[Mood]) {
        self.shared.lock().unwrap().moods.extend(moods);
    }

    /// Every secret that it sent or was sent.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.shared.lock().unwrap().secrets.iter().cloned().collect()
    }

    /// How many requests it got.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.lock().unwrap().requests
    }

    fn note(&self, secret: &str) {
        let mut shared = self.shared.lock().unwrap();
        shared.requests += 1;
        shared.secrets.insert(secret.to_owned());
    }
}

async fn token(
    State(talker): State<Talker>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    let value = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let sent = value("refresh_token").or(value("code")).unwrap();
    talker.note(&sent);
    for secret in [value("code_verifier"), value("client_secret")].into_iter().flatten() {
        talker.note(&secret);
    }
    if let Some(basic) = headers.get(header::AUTHORIZATION) {
        talker.note(basic.to_str().unwrap().trim_start_matches("Basic "));
    }
    let mood = talker.shared.lock().unwrap().moods.pop_front();
    let Some(mood) = mood else {
        let issued = {
            let mut shared = talker.shared.lock().unwrap();
            shared.issued += 1;
            shared.issued
        };
        let (access, refresh) =
            (format!("sentinel-access-{issued}-Zq8vXk2m"), format!("sentinel-refresh-{issued}-Wp4tRn7c"));
        talker.note(&access);
        talker.note(&refresh);
        let body = json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 0});
        return Json(body).into_response();
    };
    complain(mood, &sent)
}

fn complain(mood: Mood, sent: &str) -> Response {
    let bad = StatusCode::BAD_REQUEST;
    match mood {
        Mood::InvalidGrant => {
            let words = format!("the token {sent} of {} is spent", sent.to_uppercase());
            (bad, Json(json!({"error": "invalid_grant", "error_description": words, "error_uri": sent})))
                .into_response()
        }
        Mood::ErrorCode => (bad, Json(json!({"error": sent}))).into_response(),
        Mood::Page => (StatusCode::INTERNAL_SERVER_ERROR, format!("<h1>{sent}</h1>")).into_response(),
        Mood::PageInOk => format!("<h1>{sent}</h1>").into_response(),
        Mood::Torn => {
            ([(header::CONTENT_TYPE, "application/json")], format!("{{\"{sent}\": \"{sent}")).into_response()
        }
        Mood::WrongType => {
            Json(json!({"access_token": 17, "token_type": sent, "expires_in": sent, "scope": [sent]}))
                .into_response()
        }
        Mood::Redirect => {
            (StatusCode::FOUND, [(header::LOCATION, format!("http://127.0.0.1:9/{sent}?token={sent}"))])
                .into_response()
        }
        Mood::RateLimit => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, sent.to_owned())], sent.to_owned())
                .into_response()
        }
    }
}

async fn userinfo(State(talker): State<Talker>, headers: HeaderMap) -> Response {
    let token = headers[header::AUTHORIZATION].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
    talker.note(&token);
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{token}\"");
    if talker.shared.lock().unwrap().issued == 1 {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], token).into_response();
    }
    Json(json!({"sub": "account-1", "name": "Ada"})).into_response()
}

async fn revoke(State(talker): State<Talker>, Form(form): Form<Vec<(String, String)>>) -> Response {
    let token = form.iter().find(|(name, _)| name == "token").unwrap().1.clone();
    talker.note(&token);
    let words = format!("{token} is not known");
    (StatusCode::BAD_REQUEST, Json(json!({"error": "unsupported_token_type", "error_description": words})))
        .into_response()
}
