//! What can be made to go wrong at the server.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Serialize;

/// Something that goes wrong at one path of the server, once unless [`times`](Fault::times) says more.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    path: String,
    times: u32,
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    drop: bool,
    after: bool,
    delay_ms: u64,
}

impl Fault {
    fn at(path: &str) -> Self {
        let path = path.to_owned();
        let headers = BTreeMap::new();
        Self { path, times: 1, status: None, headers, body: None, drop: false, after: false, delay_ms: 0 }
    }

    /// Requests to `path` (such as `/token`) are answered with `status`.
    pub fn answer(path: &str, status: StatusCode) -> Self {
        Self { status: Some(status.as_u16()), ..Self::at(path) }
    }

    /// Connections with a request to `path` are cut, without an answer.
    pub fn cut(path: &str) -> Self {
        Self { drop: true, ..Self::at(path) }
    }

    /// Requests to `path` wait for `delay` before the server starts on them. Counted in milliseconds.
    pub fn delay(path: &str, delay: Duration) -> Self {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self { delay_ms, ..Self::at(path) }
    }

    /// How many requests it hits.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// A header of the answer, `retry-after` for example.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The answer's body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    /// The server does its work first (it rotates the refresh token, say), and only then the answer is delayed,
    /// replaced or lost.
    #[must_use]
    pub fn after_the_work(mut self) -> Self {
        self.after = true;
        self
    }
}
