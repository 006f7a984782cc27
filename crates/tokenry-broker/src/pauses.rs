//! A provider that wants to be left alone is left alone by everything that asks it with the operator's client.

use std::time::Duration;

use tokenry_model::{ProviderId, Timestamp};
use tokenry_oauth::{OAuthError, Provider};

use crate::boot::Broker;
use crate::error::BrokerError;

/// How long a provider is left alone that wants fewer requests and does not say for how long.
pub(crate) const UNSAID_PAUSE: Duration = Duration::from_secs(1);
/// No provider is left alone for longer: no `Retry-After` is believed beyond a day. What is written beyond that was
/// written while the clock was wrong.
const LONGEST_PAUSE: Duration = Duration::from_hours(25);

/// Until when a provider is to be left alone, if it is.
pub(crate) fn pause_until(paused_until: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    paused_until.filter(|until| *until > now && until.since(now) <= LONGEST_PAUSE)
}

impl Broker {
    /// Refuses to ask a provider that has asked to be left alone. For what can wait: a code is exchanged at once, for it
    /// dies while it waits.
    ///
    /// # Errors
    /// [`BrokerError::ProviderAway`], with the time after which it may be asked.
    pub(crate) async fn require_no_pause(&self, provider: &Provider) -> Result<(), BrokerError> {
        let now = self.clock.now();
        let health = self.store.find_health(&provider.id).await?;
        match pause_until(health.paused_until, now) {
            None => Ok(()),
            Some(until) => {
                let what = "it asked to be left alone for a while".to_owned();
                let cause = OAuthError::Unavailable { retry_after: Some(until.since(now)), what };
                Err(BrokerError::provider(&provider.name, cause))
            }
        }
    }

    /// Writes down that a provider wants to be left alone, if that is what it said; and makes an error of what it said.
    pub(crate) async fn heard(&self, provider: &Provider, cause: OAuthError) -> BrokerError {
        self.note_pause(&provider.id, &cause).await;
        BrokerError::provider(&provider.name, cause)
    }

    pub(crate) async fn note_pause(&self, provider: &ProviderId, cause: &OAuthError) {
        let limited = matches!(cause, OAuthError::RateLimited { .. });
        let Some(asked) = cause.retry_after().or(limited.then_some(UNSAID_PAUSE)) else { return };
        let until = self.clock.now().plus(asked);
        if let Err(error) = self.store.update_pause(provider, until).await {
            tracing::warn!(%provider, %error, "that a provider wants to be left alone could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_no_provider_can_have_asked_for_is_none() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let after = |hours: u64| Some(now.plus(Duration::from_hours(hours)));
        assert_eq!(pause_until(None, now), None);
        assert_eq!(pause_until(Some(now), now), None);
        assert_eq!(pause_until(after(24), now), after(24));
        assert_eq!(pause_until(after(26), now), None);
    }
}
