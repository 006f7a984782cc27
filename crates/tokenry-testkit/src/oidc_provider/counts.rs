//! What the server counts.

use serde::Deserialize;

/// What the server has seen and done since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Requests per endpoint, also those that a [`Fault`](super::Fault) answered.
    pub requests: RequestCounts,
    /// Token requests that the server itself worked on, per grant type.
    pub grants: GrantCounts,
    /// Tokens handed out.
    pub issued: IssuedCounts,
    /// Faults that happened.
    pub faults: u64,
}

/// Requests per endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "each field is the endpoint's name")]
pub struct RequestCounts {
    pub authorize: u64,
    pub token: u64,
    pub userinfo: u64,
    pub introspection: u64,
    pub revocation: u64,
    pub device_authorization: u64,
    pub pushed_authorization: u64,
    pub jwks: u64,
    pub discovery: u64,
}

/// Token requests per grant type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct GrantCounts {
    /// RFC 6749 §4.1.3.
    pub authorization_code: Outcomes,
    /// RFC 6749 §6.
    pub refresh_token: Outcomes,
    /// RFC 6749 §4.4.
    pub client_credentials: Outcomes,
    /// RFC 8628 §3.4. A poll before the person has decided counts as failed.
    pub device_code: Outcomes,
    /// Requests with no grant type, or with one the server does not know.
    pub other: Outcomes,
}

/// How requests ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Outcomes {
    /// Answered with 200 by the server, even when a fault then lost the answer.
    pub ok: u64,
    /// Answered with an error by the server.
    pub failed: u64,
}

/// Tokens handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct IssuedCounts {
    /// Access tokens, of people and of clients.
    pub access_tokens: u64,
    /// Refresh tokens.
    pub refresh_tokens: u64,
}
