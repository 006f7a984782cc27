//! What happens without anybody asking.

use std::time::Duration;

use tokenry_model::{Action, Actor, AuditOutcome, ExposeSecret as _};
use tokenry_store::Parked;

use crate::audit::Note;
use crate::boot::{Broker, hash_of, random_token};
use crate::error::BrokerError;
use crate::{browsers, revoke, throttle};

/// How often the chores are looked at.
const ROUND: Duration = Duration::from_secs(5);
/// How long an ended flow is kept, so that a late browser is told that its link is old rather than unknown.
const KEEP_FLOWS: Duration = Duration::from_hours(24);
const BATCH: i64 = 20;

impl Broker {
    /// Does the chores until `stop` ends: deletes and revocations that are due, grants that nobody claimed, flows and counts that are old,
    /// what is known of uses, how refreshes went, and how things stand.
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
        if let Err(error) = self.tidy().await {
            tracing::error!(%error, "the chores could not be done");
        }
        self.run_deletes().await;
        self.run_revocations(None).await;
    }

    async fn tidy(&self) -> Result<(), BrokerError> {
        let now = self.clock.now();
        self.fresh_services().await?;
        for parked in self.store.list_expired_parked(now, BATCH).await? {
            // One that cannot be given back must not keep the rest from being done.
            if let Err(error) = self.drop_parked(&parked).await {
                tracing::error!(%error, "a grant that nobody claimed could not be given back");
            }
        }
        self.store.delete_ended_flows(now.minus(KEEP_FLOWS)).await?;
        self.store.delete_ended_links(now.minus(KEEP_FLOWS)).await?;
        self.store.delete_old_browser_sessions(now.minus(browsers::LONGEST)).await?;
        self.store.delete_old_login_failures(now.minus(throttle::WINDOW)).await?;
        // A row that cannot be read must not keep the rest from being done.
        if let Err(error) = self.prune_audit().await {
            tracing::error!(%error, "old rows could not be taken out of the audit log");
        }
        self.write_uses().await?;
        self.write_hours().await?;
        self.forget_old_hours().await?;
        self.take_stock().await
    }

    /// Gives back a grant that nobody claimed. Returns whether the provider confirmed it; one that is away is asked again.
    pub(crate) async fn drop_parked(&self, parked: &Parked) -> Result<bool, BrokerError> {
        // One of several replicas, or the owner at the last moment, takes it.
        let Some(parked) = self.store.claim_parked(&parked.flow.state_hash).await? else { return Ok(false) };
        let looked_up = async {
            let granted = self.open_parked(&parked).await?;
            let provider = self.provider_with(&parked.flow.provider, &granted.credential.values)?;
            let account = granted.account.as_ref().map(|account| account.id.as_str());
            let may = self.may_revoke(&provider, account).await?;
            Ok::<_, BrokerError>((granted, provider, may))
        };
        let (granted, provider, may) = match looked_up.await {
            Ok(found) => found,
            Err(error) => {
                // A service may be configured again, and a database comes back.
                if !self.gives_up(&parked) {
                    self.park_for_another_try(&parked).await?;
                }
                return Err(error);
            }
        };
        if !may {
            return Ok(false);
        }
        let mut note = Note::new(Actor::Background, Action::GrantRevoke);
        (note.owner, note.provider) = (Some(parked.flow.user_id), Some(provider.id.clone()));
        match self.oauth.revoke(&provider, &granted.into_grant()).await {
            Ok(()) => {
                self.metrics.revoked(provider.id.as_str(), "ok");
                self.note_passing(note, AuditOutcome::Ok, None);
                Ok(true)
            }
            Err(error) => {
                self.metrics.revoked(provider.id.as_str(), "failed");
                self.note_passing(note, AuditOutcome::Failed, Some("provider"));
                let gives_up = self.gives_up(&parked);
                tracing::warn!(provider = %provider.id, %error, gives_up, "a grant that nobody claimed was not revoked");
                if !gives_up {
                    self.park_for_another_try(&parked).await?;
                }
                Ok(false)
            }
        }
    }

    fn gives_up(&self, parked: &Parked) -> bool {
        self.clock.now().since(parked.began_at) >= revoke::GIVE_UP
    }

    /// The hash of what nobody knows.
    pub(crate) fn nobodys_hash(&self) -> Result<[u8; 32], BrokerError> {
        Ok(hash_of(random_token(&*self.random)?.expose_secret()))
    }

    /// Puts a grant back to be given back later. Under a handle and a browser that nobody has: it can no longer be claimed.
    async fn park_for_another_try(&self, parked: &Parked) -> Result<(), BrokerError> {
        let at = self.clock.now().plus(revoke::FIRST_PAUSE);
        let (handle, browser) = (self.nobodys_hash()?, self.nobodys_hash()?);
        self.park_again(parked, &handle, &browser, at).await;
        Ok(())
    }
}
