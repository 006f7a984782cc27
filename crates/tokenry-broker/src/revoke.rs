//! Revocation (RFC 7009): told to the provider now, and again until it hears.

use std::time::Duration;

use tokenry_model::{Action, Actor, AuditOutcome, ConnectionId};
use tokenry_store::Revocation;

use crate::audit::Note;
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::grants;

/// How many are taken at once.
const BATCH: i64 = 20;
/// How long nobody else takes one that is being tried: longer than a call to a provider may take.
const CLAIM: Duration = Duration::from_mins(2);
/// The first pause after a failure; each further one is twice as long, up to the last.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LAST_PAUSE: Duration = Duration::from_hours(1);
/// A provider that has not taken a revocation for so long never will: the credential is wiped here all the same.
pub(crate) const GIVE_UP: Duration = Duration::from_hours(168);

impl Broker {
    /// Runs the revocations that are due; with `connection`, only that connection's.
    pub(crate) async fn run_revocations(&self, connection: Option<ConnectionId>) {
        let claimed = self.store.claim_revocations(connection, BATCH, self.clock.now(), CLAIM).await;
        let batch = match claimed {
            Ok(batch) => batch,
            Err(error) => return tracing::error!(%error, "revocations could not be read"),
        };
        if !batch.is_empty()
            && let Err(error) = self.fresh_services().await
        {
            // They come again when their claim has ended.
            return tracing::error!(%error, "the services could not be read, and revocations wait");
        }
        // Side by side: a provider that does not answer holds up its own alone.
        let all = batch.iter().map(async |revocation| {
            if let Err(error) = self.run_revocation(revocation).await {
                let connection = revocation.connection_id;
                tracing::error!(%connection, %error, "a revocation could not be recorded");
            }
        });
        futures_util::future::join_all(all).await;
    }

    async fn run_revocation(&self, revocation: &Revocation) -> Result<(), BrokerError> {
        let (id, connection) = (revocation.id, revocation.connection_id);
        let provider = match self.provider_with(&revocation.provider, &revocation.values) {
            Ok(provider) => provider,
            Err(error) => return self.postpone(revocation, &error).await,
        };
        // Since then the account may have been connected again, be it at the same connection: that grant must not die
        // with this one.
        if !self.may_revoke(&provider, revocation.account_id.as_deref()).await? {
            tracing::info!(%connection, provider = %provider.id, "not revoked: it has no way to be, or its account is connected again");
            return Ok(self.store.delete_revocation(id).await?);
        }
        let (user, sealed) = (revocation.user_id, &revocation.sealed);
        let grant = match self.opened(|vault| grants::open_grant(vault, user, connection, sealed)).await {
            Ok(grant) => grant,
            Err(error) => return self.postpone(revocation, &error).await,
        };
        match self.oauth.revoke(&provider, &grant).await {
            Ok(()) => {
                self.metrics.revoked(provider.id.as_str(), "ok");
                self.note_revoked(revocation, AuditOutcome::Ok, None);
                tracing::info!(%connection, provider = %provider.id, "revoked");
                Ok(self.store.delete_revocation(id).await?)
            }
            Err(error) => {
                self.metrics.revoked(provider.id.as_str(), "failed");
                self.note_revoked(revocation, AuditOutcome::Failed, Some("provider"));
                self.postpone(revocation, &BrokerError::provider(&provider.name, error)).await
            }
        }
    }

    fn note_revoked(&self, revocation: &Revocation, outcome: AuditOutcome, reason: Option<&'static str>) {
        let note = Note {
            owner: Some(revocation.user_id),
            connection: Some(revocation.connection_id),
            provider: Some(revocation.provider.clone()),
            ..Note::new(Actor::Background, Action::GrantRevoke)
        };
        self.note_passing(note, outcome, reason);
    }

    async fn postpone(&self, revocation: &Revocation, error: &BrokerError) -> Result<(), BrokerError> {
        let connection = revocation.connection_id;
        let now = self.clock.now();
        if now.since(revocation.created_at) >= GIVE_UP {
            tracing::warn!(%connection, provider = %revocation.provider, %error, "gave up on a revocation");
            self.note_revoked(revocation, AuditOutcome::Failed, Some("given_up"));
            return Ok(self.store.delete_revocation(revocation.id).await?);
        }
        let doublings = u32::try_from(revocation.attempts.clamp(1, 16) - 1).unwrap_or(0);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LAST_PAUSE);
        tracing::warn!(
            %connection, provider = %revocation.provider, %error, retry_in_s = pause.as_secs(), "revocation failed"
        );
        Ok(self.store.update_revocation_attempt(revocation.id, now.plus(pause)).await?)
    }
}
