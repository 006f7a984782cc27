//! What the broker counts. Labels are provider ids and outcomes: few, and never a person's.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// A provider, and what came of asking it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ByProvider {
    provider: String,
    outcome: &'static str,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ByOutcome {
    outcome: &'static str,
}

/// The broker's counters.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    refreshes: Family<ByProvider, Counter>,
    connects: Family<ByProvider, Counter>,
    revocations: Family<ByProvider, Counter>,
    logins: Family<ByOutcome, Counter>,
    handed_out: Counter,
}

impl Metrics {
    /// Puts the counters into a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("tokenry_refreshes", "Refreshes by provider and outcome", self.refreshes.clone());
        registry.register(
            "tokenry_connects",
            "Ended connects by provider and outcome",
            self.connects.clone(),
        );
        registry.register(
            "tokenry_revocations",
            "Revocations by provider and outcome",
            self.revocations.clone(),
        );
        registry.register("tokenry_logins", "Log-ins by outcome", self.logins.clone());
        registry.register(
            "tokenry_tokens_handed_out",
            "Tokens handed out one by one",
            self.handed_out.clone(),
        );
    }

    pub(crate) fn refreshed(&self, provider: &str, outcome: &'static str) {
        self.refreshes.get_or_create(&ByProvider { provider: provider.to_owned(), outcome }).inc();
    }

    pub(crate) fn connected(&self, provider: &str, outcome: &'static str) {
        self.connects.get_or_create(&ByProvider { provider: provider.to_owned(), outcome }).inc();
    }

    pub(crate) fn revoked(&self, provider: &str, outcome: &'static str) {
        self.revocations.get_or_create(&ByProvider { provider: provider.to_owned(), outcome }).inc();
    }

    pub(crate) fn logged_in(&self, outcome: &'static str) {
        self.logins.get_or_create(&ByOutcome { outcome }).inc();
    }

    pub(crate) fn token_handed_out(&self) {
        self.handed_out.inc();
    }
}
