//! What the sandbox saw: counters, and the last few events.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

const EVENTS_KEPT: usize = 50;

/// What a sandbox saw since it started. Served at `GET /seen`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Authorization requests that were good enough to show the consent page.
    pub authorizations: u64,
    /// Consents given.
    pub consents_allowed: u64,
    /// Consents denied.
    pub consents_denied: u64,
    /// Authorization codes exchanged for tokens.
    pub codes_exchanged: u64,
    /// Refreshes that succeeded, including those whose answer a fault then tore or slowed down.
    pub refreshes: u64,
    /// Refresh requests that arrived, whatever came of them; faults included.
    pub refresh_attempts: u64,
    /// Spent refresh tokens presented again while their family lived. Each one ended its family, unless quirks say
    /// otherwise.
    pub reuses_detected: u64,
    /// Spent refresh tokens that got the same answer again, within the grace that quirks give them.
    pub replays: u64,
    /// How many grants were refreshed how often, the ended ones included.
    pub grants_by_refreshes: BTreeMap<u32, u64>,
    /// Device codes exchanged for tokens (RFC 8628).
    pub device_grants: u64,
    /// Tokens for clients themselves (RFC 6749 §4.4).
    pub client_credentials: u64,
    /// Authorization requests that were pushed (RFC 9126).
    pub pushed_requests: u64,
    /// Temporary credentials exchanged for tokens (RFC 5849 §2.3).
    pub oauth1_tokens: u64,
    /// Requests that the token endpoint answered with 429: above the limit, by chance, or by an injected fault.
    pub too_many_sent: u64,
    /// Requests that arrived at the token endpoint more than half a second after a 429 was sent and before its
    /// `Retry-After` was over.
    pub retry_after_broken: u64,
    /// Tokens revoked by a client (RFC 7009). A request for an unknown token does not count.
    pub revocations: u64,
    /// Userinfo requests, whatever came of them.
    pub userinfo_calls: u64,
    /// Requests to `/api/me` and `/oauth1/me`, whatever came of them.
    pub api_calls: u64,
    /// Introspection requests of known clients (RFC 7662).
    pub introspections: u64,
    /// Faults served, injected or by chance. A 429 above the limit is none.
    pub faults_served: u64,
    /// Grants that still have a living token.
    pub live_families: u64,
    /// The last 50 events, oldest first.
    pub events: Vec<Event>,
}

/// One thing that happened at an endpoint. It never holds a token or a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When: milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// Where: the endpoint's name, as in a fault, or `control`.
    pub endpoint: String,
    /// The client, where the sandbox knows it. An unknown `client_id` is not repeated here.
    pub client_id: Option<String>,
    /// What came of it, in a few words.
    pub outcome: String,
}

struct Noted {
    at_ms: u64,
    endpoint: &'static str,
    client: Option<Arc<str>>,
    outcome: &'static str,
}

/// The running tally behind [`Seen`]. Its `counts.events` stays empty: events are kept cheaply and copied out.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) counts: Seen,
    events: VecDeque<Noted>,
}

impl Tally {
    /// `outcome` is a fixed text, so nothing from outside can end up in an event.
    pub(crate) fn note(&mut self, endpoint: &'static str, client: Option<&Arc<str>>, outcome: &'static str) {
        tracing::debug!(endpoint, client_id = client.map(AsRef::as_ref), outcome, "sandbox");
        if self.events.len() == EVENTS_KEPT {
            self.events.pop_front();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.events.push_back(Noted { at_ms, endpoint, client: client.cloned(), outcome });
    }

    pub(crate) fn seen(&self, live_families: u64) -> Seen {
        let events = self
            .events
            .iter()
            .map(|noted| Event {
                at_ms: noted.at_ms,
                endpoint: noted.endpoint.to_owned(),
                client_id: noted.client.as_deref().map(str::to_owned),
                outcome: noted.outcome.to_owned(),
            })
            .collect();
        Seen { live_families, events, ..self.counts.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_events_are_kept_and_they_survive_json() {
        let mut tally = Tally::default();
        for _ in 0..EVENTS_KEPT {
            tally.note("token", None, "old");
        }
        tally.note("token", Some(&Arc::from("app")), "new");
        let seen = tally.seen(3);
        assert_eq!(seen.events.len(), EVENTS_KEPT);
        assert_eq!(seen.events[EVENTS_KEPT - 1].outcome, "new");
        assert_eq!(seen.live_families, 3);
        let json = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Seen>(&json).unwrap(), seen);
    }
}
