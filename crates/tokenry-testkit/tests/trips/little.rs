//! A little provider that answers what it is told and keeps what it was sent, for providers whose ways nobody else has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokenry_oauth::ProviderSettings;
use tokenry_testkit::app::{CLIENT_ID, CLIENT_SECRET, TestApp, TestUser};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use url::Url;

use crate::world::{browser_with, connection_on, param};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as a form.
    pub(crate) fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

#[derive(Default)]
struct Memory {
    answers: HashMap<(Method, String), (u16, String)>,
    seen: Vec<Sent>,
}

pub(crate) struct Little {
    pub(crate) base: String,
    memory: Arc<Mutex<Memory>>,
    server: AbortHandle,
}

impl Drop for Little {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Little {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&memory));
        let server = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { base, memory, server }
    }

    /// From now on, this is answered there. A text is sent as it is, everything else as JSON.
    pub(crate) fn answer(&self, method: Method, path: &str, status: u16, body: &Value) {
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        self.memory.lock().unwrap().answers.insert((method, path.to_owned()), (status, body));
    }

    /// What came so far.
    pub(crate) fn seen(&self) -> Vec<Sent> {
        self.memory.lock().unwrap().seen.clone()
    }

    /// What came there.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Sent> {
        self.seen().into_iter().filter(|sent| sent.path == path).collect()
    }

    /// An address here.
    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("{}{path}", self.base)).unwrap()
    }

    /// Settings of a provider whose places are here.
    pub(crate) fn settings(&self) -> ProviderSettings {
        ProviderSettings {
            client_id: Some(CLIENT_ID.to_owned()),
            client_secret: Some(CLIENT_SECRET.into()),
            authorize_url: Some(self.url("/authorize")),
            token_url: Some(self.url("/token")),
            userinfo_url: Some(self.url("/user")),
            ..ProviderSettings::default()
        }
    }
}

async fn answer(
    State(memory): State<Arc<Mutex<Memory>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let mut memory = memory.lock().unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    memory.seen.push(Sent { method: method.clone(), path: path.clone(), headers, body });
    match memory.answers.get(&(method, path)) {
        Some((status, body)) => (StatusCode::from_u16(*status).unwrap(), body.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Asks for a link and comes back with a code, as if somebody had consented.
pub(crate) async fn deliver(app: &TestApp, user: &TestUser, service: &str, callback: &str) -> i64 {
    let (link, cookie) = user.link(service).await;
    let state = param(&link.parse().unwrap(), "state");
    let callback = format!("{}{callback}?code=a-code&state={state}", app.base());
    connection_on(&browser_with(app, &cookie).get(callback).await)
}
