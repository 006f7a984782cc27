//! What goes into [`super::Grants`] and comes out of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::SecretString;

use crate::{fresh::Key, options::Account, quirks::Quirks};

/// When something ends; `None` is never.
pub(super) type Until = Option<Instant>;

pub(super) fn passed(until: Until, now: Instant) -> bool {
    until.is_some_and(|until| until <= now)
}

pub(super) fn later(a: Until, b: Until) -> Until {
    Some(a?.max(b?))
}

pub(super) fn sooner(a: Until, b: Until) -> Until {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// A client, at the tenant whose endpoint it asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    pub(crate) client: Arc<str>,
    pub(crate) tenant: Option<Arc<str>>,
}

/// Who let whom do what.
#[derive(Clone)]
pub(crate) struct Consent {
    pub(crate) caller: Caller,
    pub(crate) account: Arc<Account>,
    pub(crate) scope: Arc<str>,
    /// What the second token of the answer may do.
    pub(crate) second_scope: Option<Arc<str>>,
    /// Whether a refresh token comes with it.
    pub(crate) refreshable: bool,
}

/// What a consent leaves behind for the token endpoint to check.
pub(crate) struct NewCode {
    pub(crate) consent: Consent,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<String>,
}

/// A code as it comes back at the token endpoint.
pub(crate) struct Redemption<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) code: Key,
    pub(crate) redirect_uri: Option<&'a str>,
    pub(crate) verifier: Option<&'a str>,
}

/// Tokens to send to the client.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) access: SecretString,
    pub(crate) expires_in: u64,
    /// Absent when the client keeps the refresh token that it has.
    pub(crate) refresh: Option<SecretString>,
    pub(crate) refresh_expires_in: Option<u64>,
    pub(crate) scope: Arc<str>,
    /// The second access token, and what it may do.
    pub(crate) second: Option<(SecretString, Arc<str>)>,
    pub(crate) account: Arc<Account>,
    /// Whether this very answer was given before.
    pub(crate) again: bool,
}

/// A living token, for userinfo and introspection.
pub(crate) struct Living {
    pub(crate) consent: Consent,
    pub(crate) is_access: bool,
    /// How long it still lives; `None` is for ever.
    pub(crate) left: Option<Duration>,
}

/// What becomes of an access token that is spent for another one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The first, short-lived one becomes a long-lived one.
    Upgrade,
    /// A refresh.
    Refresh,
}

/// What became of a revocation (RFC 7009).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    Family,
    AccessToken,
    Unknown,
    NotYours,
    /// Refresh tokens are not taken.
    WrongKind,
}

/// How tokens are to live.
pub(crate) struct Rules {
    pub(crate) access_ttl: Duration,
    pub(crate) refresh_ttl: Option<Duration>,
    pub(crate) code_ttl: Duration,
    pub(crate) rotate: bool,
    pub(crate) quirks: Arc<Quirks>,
}

pub(super) struct Code {
    pub(super) new: NewCode,
    pub(super) until: Until,
    pub(super) family: Option<u64>,
}

pub(super) struct Family {
    pub(super) consent: Consent,
    pub(super) spent: std::collections::VecDeque<Key>,
    /// When its last token dies.
    pub(super) until: Until,
    /// When all of it dies, used or not.
    pub(super) dies: Until,
    /// When its newest access token was issued.
    pub(super) issued_at: Instant,
    pub(super) refreshes: u32,
}

pub(super) struct Access {
    pub(super) family: u64,
    pub(super) scope: Arc<str>,
    pub(super) until: Until,
    /// It must be upgraded before it can be refreshed.
    pub(super) is_short: bool,
}

pub(super) struct Refresh {
    pub(super) family: u64,
    pub(super) spent: Option<Spent>,
    /// When it dies of age.
    pub(super) until: Until,
    /// When it dies of not being used.
    pub(super) idle: Until,
}

pub(super) struct Spent {
    pub(super) at: Instant,
    /// Kept only where the same answer is given again.
    pub(super) answer: Option<Box<Issued>>,
}
