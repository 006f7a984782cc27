//! What happens without anybody asking.

use std::time::Duration;

use tokenry_model::ConnectionId;
use tokenry_store::Parked;

use crate::boot::Broker;
use crate::error::BrokerError;
use crate::throttle;

/// How often the chores are looked at.
const ROUND: Duration = Duration::from_secs(5);
/// How long an ended flow is kept, so that a late browser is told that its link is old rather than unknown.
const KEEP_FLOWS: Duration = Duration::from_hours(24);
const BATCH: i64 = 20;

impl Broker {
    /// Does the chores until `stop` ends: revocations that are due, grants that nobody claimed, flows and counts that are old.
    pub async fn run_chores(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        loop {
            self.do_chores().await;
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(ROUND) => {}
            }
        }
    }

    /// Does the chores once.
    pub async fn do_chores(&self) {
        self.run_revocations(None).await;
        if let Err(error) = self.tidy().await {
            tracing::error!(%error, "the chores could not be done");
        }
    }

    async fn tidy(&self) -> Result<(), BrokerError> {
        let now = self.clock.now();
        for parked in self.store.list_expired_parked(now, BATCH).await? {
            self.drop_parked(&parked).await?;
        }
        self.store.delete_ended_flows(now.minus(KEEP_FLOWS)).await?;
        self.store.delete_old_login_failures(now.minus(throttle::WINDOW)).await?;
        Ok(())
    }

    /// Gives back a grant that nobody claimed. Returns whether the provider confirmed it.
    pub(crate) async fn drop_parked(&self, parked: &Parked) -> Result<bool, BrokerError> {
        // One of several replicas, or the owner at the last moment, takes it.
        let Some(parked) = self.store.claim_parked(&parked.flow.state_hash).await? else { return Ok(false) };
        let granted = self.open_parked(&parked)?;
        let provider = self.stored_provider(&parked.flow.provider)?;
        // It belongs to no connection: no id is left out when its sharers are looked for.
        let nobodys = ConnectionId::new(0);
        let account = granted.account.as_ref().map(|account| account.id.as_str());
        if !self.may_revoke(&provider, account, nobodys).await? {
            return Ok(false);
        }
        match self.oauth.revoke(&provider, &granted.into_grant()).await {
            Ok(()) => {
                self.metrics.revoked(provider.id.as_str(), "ok");
                Ok(true)
            }
            Err(error) => {
                self.metrics.revoked(provider.id.as_str(), "failed");
                tracing::warn!(provider = %provider.id, %error, "a grant that nobody claimed was not revoked");
                Ok(false)
            }
        }
    }
}
