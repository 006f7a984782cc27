//! Whether a service is ready: what is configured of it, whether its addresses lead anywhere, and what it said of late.

use std::sync::Arc;

use tokenry_model::Health;

use crate::engine::OAuth;
use crate::{Kind, Probe, ProbeOutcome, Provider, Readiness};

/// What a check of a service found.
#[derive(Debug, Clone)]
pub struct ServiceCheck {
    /// The service, as it is configured.
    pub provider: Arc<Provider>,
    /// Whether enough is configured.
    pub readiness: Readiness,
    /// What came of looking at each of its addresses. Nothing was sent there that could be spent.
    pub probes: Vec<Probe>,
    /// What the servers have seen of it.
    pub health: Health,
}

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is known against it.
    Ready,
    /// Something has to be configured first, or it cannot be connected by a link.
    NotReady,
    /// It is set up, and one of its addresses does not answer.
    EndpointAway,
    /// It is set up, and the service refuses this server.
    Refused,
}

impl OAuth {
    /// Checks a service. `health`: what is known of it from before.
    pub async fn check(&self, provider: &Arc<Provider>, health: Health) -> ServiceCheck {
        let probes = self.probe(provider).await;
        ServiceCheck { provider: Arc::clone(provider), readiness: provider.readiness(), probes, health }
    }
}

impl ServiceCheck {
    /// Whether as much is configured as it takes. What is pasted takes nothing.
    pub fn is_set_up(&self) -> bool {
        let pasted = matches!(self.provider.kind(), Kind::ApiKey | Kind::Basic);
        pasted || !matches!(self.readiness, Readiness::Missing { .. } | Readiness::NotSupported { .. })
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        let away = |probe: &Probe| {
            matches!(probe.outcome, ProbeOutcome::Unreachable { .. } | ProbeOutcome::Forbidden { .. })
        };
        if self.health.fault.is_some() {
            Verdict::Refused
        } else if !self.is_set_up() {
            Verdict::NotReady
        } else if self.probes.iter().any(away) {
            Verdict::EndpointAway
        } else {
            Verdict::Ready
        }
    }
}
