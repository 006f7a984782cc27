//! How much the door takes at a time, and for how long it waits.

use std::time::Duration;

/// How much the door takes at a time, and for how long it waits for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many TCP connections are open at a time.
    pub connections: usize,
    /// So many requests are worked on at a time. Fewer than connections: then there is always one that can be answered.
    pub requests: usize,
    /// From the first byte of a request to the end of its headers.
    pub head_within: Duration,
    /// From the end of the headers to the end of the body.
    pub body_within: Duration,
    /// From the end of the body to the answer. Longer than any call to a provider.
    pub answer_within: Duration,
    /// For so long a connection may lie still: between two requests, or while its client takes nothing of an answer.
    pub still_for: Duration,
}

impl Default for Limits {
    /// 1000 connections, 500 requests; 10 s for the headers, 20 s for the body, 60 s for the answer, 75 s of stillness.
    fn default() -> Self {
        Self {
            connections: 1000,
            requests: 500,
            head_within: Duration::from_secs(10),
            body_within: Duration::from_secs(20),
            answer_within: Duration::from_mins(1),
            // Longer than proxies keep a connection: whoever closes first must not be we, while a request is on its way.
            still_for: Duration::from_secs(75),
        }
    }
}
