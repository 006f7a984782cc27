//! What the broker counts. Labels are provider ids and outcomes: few, and never a person's.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokenry_model::{Health, ProviderId, Timestamp};
use tokenry_store::{Due, Ending};

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

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Of {
    provider: String,
}

/// A data key, by its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfKey {
    key: u32,
}

impl Of {
    fn new(provider: &ProviderId) -> Self {
        Self { provider: provider.to_string() }
    }
}

/// How old tokens are when they are handed out, in seconds: from fresh to a month.
const AGES: [f64; 9] = [1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0, 2_592_000.0];

/// The broker's counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    due: Family<Of, Gauge>,
    overdue: Family<Of, Gauge>,
    ending: Family<Of, Gauge>,
    circuits: Family<Of, Gauge>,
    faults: Family<Of, Gauge>,
    pauses: Family<Of, Gauge>,
    token_age: Histogram,
    refreshes: Family<ByProvider, Counter>,
    connects: Family<ByProvider, Counter>,
    revocations: Family<ByProvider, Counter>,
    logins: Family<ByOutcome, Counter>,
    handed_out: Counter,
    to_reseal: Family<OfKey, Gauge>,
    current_key: Gauge,
    old_keys: Gauge,
    audit_rows: Counter,
    audit_waiting: Gauge,
    audit_lost: Counter,
    audit_refused: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            due: Family::default(),
            overdue: Family::default(),
            ending: Family::default(),
            circuits: Family::default(),
            faults: Family::default(),
            pauses: Family::default(),
            token_age: Histogram::new(AGES),
            refreshes: Family::default(),
            connects: Family::default(),
            revocations: Family::default(),
            logins: Family::default(),
            handed_out: Counter::default(),
            to_reseal: Family::default(),
            current_key: Gauge::default(),
            old_keys: Gauge::default(),
            audit_rows: Counter::default(),
            audit_waiting: Gauge::default(),
            audit_lost: Counter::default(),
            audit_refused: Counter::default(),
        }
    }
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
        for (name, help, family) in [
            ("tokenry_refreshes_due", "Connections that wait to be refreshed ahead of time", &self.due),
            ("tokenry_refreshes_overdue", "Those of them whose access token is dead already", &self.overdue),
            ("tokenry_connections_ending", "Connections whose grant ends within 14 days", &self.ending),
            ("tokenry_provider_circuit_open", "1 while a provider refuses everybody", &self.circuits),
            (
                "tokenry_provider_app_fault",
                "1 while a provider refuses this server's registration",
                &self.faults,
            ),
            ("tokenry_provider_paused", "1 while a provider is left alone as it asked", &self.pauses),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "tokenry_token_age_seconds",
            "Age of tokens when they are handed out, since their connect or last refresh",
            self.token_age.clone(),
        );
        registry.register(
            "tokenry_tokens_handed_out",
            "Tokens handed out one by one",
            self.handed_out.clone(),
        );
        registry.register("tokenry_audit_rows", "Rows written into the audit log", self.audit_rows.clone());
        registry.register(
            "tokenry_audit_waiting",
            "Kinds of events that wait to be written into the audit log",
            self.audit_waiting.clone(),
        );
        registry.register(
            "tokenry_audit_lost",
            "Refusals and background work that the audit log had no room for",
            self.audit_lost.clone(),
        );
        registry.register(
            "tokenry_audit_refused_reads",
            "Reads that were refused because the audit log had no room for them",
            self.audit_refused.clone(),
        );
        self.register_keys(registry);
    }

    fn register_keys(&self, registry: &mut Registry) {
        registry.register(
            "tokenry_values_to_reseal",
            "Values that an older data key sealed and that are yet to be sealed with the current one",
            self.to_reseal.clone(),
        );
        registry.register("tokenry_data_key_current", "The data key that seals", self.current_key.clone());
        registry.register("tokenry_data_keys_old", "Data keys that only open", self.old_keys.clone());
    }

    /// How much an older data key is still needed for.
    pub(crate) fn set_to_reseal(&self, key: u32, left: i64) {
        self.to_reseal.get_or_create(&OfKey { key }).set(left);
    }

    /// Which data key seals, and how many only open.
    pub(crate) fn set_keys(&self, current: u32, old: usize) {
        self.current_key.set(i64::from(current));
        self.old_keys.set(i64::try_from(old).unwrap_or(i64::MAX));
        if old == 0 {
            self.to_reseal.clear();
        }
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

    pub(crate) fn token_handed_out(&self, age: Option<Duration>) {
        self.handed_out.inc();
        if let Some(age) = age {
            self.token_age.observe(age.as_secs_f64());
        }
    }

    pub(crate) fn audited(&self, rows: usize) {
        self.audit_rows.inc_by(rows as u64);
    }

    pub(crate) fn set_audit_waiting(&self, waiting: usize) {
        self.audit_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    pub(crate) fn audit_lost(&self) {
        self.audit_lost.inc();
    }

    pub(crate) fn audit_refused(&self) {
        self.audit_refused.inc();
    }

    pub(crate) fn set_due(&self, all: &[Due]) {
        self.due.clear();
        self.overdue.clear();
        for due in all {
            self.due.get_or_create(&Of::new(&due.provider)).set(due.count);
            self.overdue.get_or_create(&Of::new(&due.provider)).set(due.overdue);
        }
    }

    pub(crate) fn set_ending(&self, all: &[Ending]) {
        self.ending.clear();
        for ending in all {
            self.ending.get_or_create(&Of::new(&ending.provider)).set(ending.count);
        }
    }

    pub(crate) fn set_health(&self, all: &[(ProviderId, Health)], now: Timestamp) {
        for (provider, health) in all {
            let of = Of::new(provider);
            self.circuits.get_or_create(&of).set(i64::from(health.circuit.is_some()));
            self.faults.get_or_create(&of).set(i64::from(health.fault.is_some()));
            let paused = health.paused_until.is_some_and(|until| until > now);
            self.pauses.get_or_create(&of).set(i64::from(paused));
        }
    }
}
