//! How clients reach the replicas: each request goes to the next one in turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokenry_testkit::app::Answer;

use crate::counts::Counts;

/// How long one request may take. A reader waits for a lease of a dead process, so this is more than that.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How long somebody goes on asking before it counts as a failure to answer.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// What a test believes must not be.
pub(crate) type Checked<T = ()> = Result<T, String>;

/// A request.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) cookie: Option<String>,
    pub(crate) body: Option<Value>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), token: None, cookie: None, body: None }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path) }
    }

    pub(crate) fn put(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, path) }
    }

    pub(crate) fn with(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }
}

/// An answer, and when it was asked for.
pub(crate) struct Said {
    pub(crate) answer: Answer,
    pub(crate) began: Instant,
    pub(crate) replica: usize,
}

impl Said {
    pub(crate) fn status(&self) -> u16 {
        self.answer.status.as_u16()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.answer.body).unwrap_or_default()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn is(&self, status: u16, code: &str) -> bool {
        self.status() == status && self.code() == code
    }

    /// For the words of a violation.
    pub(crate) fn shown(&self) -> String {
        let body: String = self.answer.body.chars().take(300).collect();
        format!("replica {} said {} {body}", self.replica, self.status())
    }
}

/// What came of a request.
pub(crate) enum Reply {
    /// An answer.
    Said(Said),
    /// Nobody listens there: nothing was done.
    Refused,
    /// The connection broke after the request was sent: it may have been done.
    Cut,
}

/// The way to the replicas.
pub(crate) struct Net {
    http: Client,
    bases: Vec<String>,
    pub(crate) counts: Arc<Counts>,
}

impl Net {
    pub(crate) fn new(bases: Vec<String>, counts: Arc<Counts>) -> Self {
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .unwrap();
        Self { http, bases, counts }
    }

    pub(crate) fn replicas(&self) -> usize {
        self.bases.len()
    }

    /// Asks one replica, and checks what holds for every answer.
    pub(crate) async fn send(&self, replica: usize, address: &str, ask: &Ask) -> Checked<Reply> {
        let url = format!("{}{}", self.bases[replica], ask.path);
        let mut request = self.http.request(ask.method.clone(), url).header("x-forwarded-for", address);
        if let Some(token) = &ask.token {
            request = request.bearer_auth(token);
        }
        if let Some(cookie) = &ask.cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let began = Instant::now();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Ok(Reply::Refused),
            Err(error) if error.is_timeout() => {
                return Err(format!("replica {replica} gave no answer to {} within {TIMEOUT:?}", ask.path));
            }
            Err(_) => return Ok(Reply::Cut),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let Ok(body) = response.text().await else { return Ok(Reply::Cut) };
        let said = Said { answer: Answer { status, headers, body }, began, replica };
        self.judge(ask, &said)?;
        Ok(Reply::Said(said))
    }

    fn judge(&self, ask: &Ask, said: &Said) -> Checked {
        let waits = said.answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0);
        match said.answer.status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS if !waits => {
                Err(format!("{} {}: no Retry-After: {}", ask.method, ask.path, said.shown()))
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                self.counts.event(match said.code().as_str() {
                    "database_unavailable" => "answers 503: the database is away",
                    "provider_unavailable" => "answers 503: the provider is away",
                    _ => "answers 503: busy",
                });
                Ok(())
            }
            status if status.is_server_error() => {
                Err(format!("{} {}: {}", ask.method, ask.path, said.shown()))
            }
            _ => Ok(()),
        }
    }
}
