//! What a failed refresh means: for the connection, for its provider, and for everybody else there.
//!
//! A provider that refuses one grant has ended it. A provider that refuses everybody at once has an incident, and a
//! provider that refuses this server has a wrong registration: then no connection is to blame, and none is marked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokenry_model::{Connection, Health, ProviderId, Timestamp};
use tokenry_oauth::{OAuthError, Provider};
use tokenry_store::Failed;

use crate::boot::Broker;
use crate::error::{BrokerError, is_passing};
use crate::refresh::Attempt;
use crate::schedule;

/// How long a refusal waits for others before it is believed: an incident seldom hits one alone. A reader waits with it.
const HOLD: Duration = Duration::from_secs(2);
/// Refusals within this time are counted together.
const WINDOW: Duration = Duration::from_mins(1);
/// So many connections refused within the window, and more than were refreshed, are an incident.
const STORM: i64 = 5;
/// They must be of so many people, or of all who have any there: nobody's own grants close a provider to the others.
const STORM_PEOPLE: i64 = 3;
/// How long an open circuit waits before it lets one refresh through; each further wait is twice as long, up to the last.
const FIRST_WAIT: Duration = Duration::from_mins(1);
const LAST_WAIT: Duration = Duration::from_hours(1);
/// An incident of a day is none: what is refused then is believed.
const BELIEVED_AFTER: Duration = Duration::from_hours(24);
/// How long a provider is left alone that wants fewer requests and does not say for how long.
const UNSAID_PAUSE: Duration = Duration::from_secs(1);
/// The first and the last pause of a reader's tries on a connection whose refreshes fail, and of the background's.
const READ_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
const RENEW_PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(10));
/// A connection that the provider refused so often in a row, in words that say nothing final, is set aside.
const QUARANTINE_AFTER: u32 = 5;
/// How seldom a connection that was set aside is tried, by readers and by the background.
const QUARANTINE_PAUSE: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(1));

/// When providers gave tokens, within the window: the other side of the scales. Of this process alone.
#[derive(Debug, Default)]
pub(crate) struct Successes(Mutex<HashMap<ProviderId, VecDeque<Timestamp>>>);

impl Successes {
    /// More of them than this weigh no more.
    const MOST: usize = 1000;

    fn add(&self, provider: &ProviderId, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = all.entry(provider.clone()).or_default();
        times.push_back(now);
        if times.len() > Self::MOST {
            times.pop_front();
        }
    }

    fn since(&self, provider: &ProviderId, since: Timestamp) -> i64 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(times) = all.get_mut(provider) else { return 0 };
        while times.front().is_some_and(|at| *at < since) {
            times.pop_front();
        }
        i64::try_from(times.len()).unwrap_or(i64::MAX)
    }
}

/// What a provider said, as far as it says nothing of anybody.
fn code_of(error: &OAuthError) -> String {
    match error {
        OAuthError::Refused { code, .. } => code.clone(),
        other => other.to_string(),
    }
}

impl Broker {
    /// Whether the provider may be asked for this connection now, and how it is doing.
    ///
    /// # Errors
    /// [`BrokerError::ProviderAway`], with the time after which it may be.
    pub(crate) async fn may_ask(
        &self,
        connection: &Connection,
        provider: &Provider,
    ) -> Result<Health, BrokerError> {
        let now = self.clock.now();
        let later = |until: Timestamp, what: String| {
            let cause = OAuthError::Unavailable { retry_after: Some(until.since(now)), what };
            Err(BrokerError::provider(&provider.name, cause))
        };
        if let Some(until) = connection.retry_at.filter(|until| *until > now) {
            return later(until, "the last refreshes of this connection failed".to_owned());
        }
        let born = connection.last_refreshed_at.or(connection.connected_at).unwrap_or(connection.created_at);
        let ripe = born.plus(provider.min_refresh_age());
        if ripe > now {
            return later(ripe, "it does not refresh a token that is so young".to_owned());
        }
        let health = self.store.find_health(&provider.id).await?;
        if let Some(until) = health.paused_until.filter(|until| *until > now) {
            return later(until, "it asked to be left alone for a while".to_owned());
        }
        // A wrong registration is for the operator to mend, and a reader sees at once that it was.
        if let Some(circuit) = health.circuit.as_ref().filter(|_| health.fault.is_none()) {
            let next =
                now.plus(schedule::pause_after(circuit.tries + 2, FIRST_WAIT, LAST_WAIT, &*self.random)?);
            if circuit.until > now || !self.store.claim_probe(&provider.id, now, next).await? {
                return later(circuit.until.max(now.plus(HOLD)), circuit.reason.clone());
            }
            tracing::info!(provider = %provider.id, connection = %connection.id, "an open circuit lets one refresh through");
        }
        Ok(health)
    }

    /// The provider gave a token: whatever was wrong with it is over.
    pub(crate) async fn answered(&self, attempt: &Attempt<'_>) {
        let provider = attempt.provider;
        self.successes.add(&provider.id, self.clock.now());
        if attempt.is_of_own_client() || (attempt.health.circuit.is_none() && attempt.health.fault.is_none())
        {
            return;
        }
        match self.store.close_circuit(&provider.id).await {
            Ok(true) => tracing::info!(provider = %provider.id, "the provider gives tokens again"),
            Ok(false) => {}
            Err(error) => tracing::warn!(provider = %provider.id, %error, "a circuit could not be closed"),
        }
    }

    /// What a failed refresh means. Gives the lease back, and the error for whoever waits.
    pub(crate) async fn failed(
        &self,
        attempt: &Attempt<'_>,
        error: OAuthError,
    ) -> Result<BrokerError, BrokerError> {
        if error.is_final_refusal() {
            return self.refused(attempt, error).await;
        }
        if error.is_operators_fault() && attempt.is_of_own_client() {
            // The one client that is refused is the connection's own.
            return self.mark(attempt, error).await;
        }
        let Attempt { connection, provider, .. } = attempt;
        let outcome = match &error {
            OAuthError::RateLimited { .. } => "rate_limited",
            error if is_passing(error) => "away",
            error if error.is_operators_fault() => "misconfigured",
            _ => "failed",
        };
        self.metrics.refreshed(provider.id.as_str(), outcome);
        if error.is_operators_fault() {
            self.blame_the_app(provider, &error).await?;
        }
        let failed = self.plan_after(attempt, &error).await?;
        if let Some(reason) = &failed.quarantine {
            tracing::warn!(connection = %connection.id, provider = %provider.id, %reason, "set aside");
        } else {
            tracing::warn!(connection = %connection.id, provider = %provider.id, %error, "a refresh failed");
        }
        self.give_back(connection, &failed).await;
        Ok(BrokerError::provider(&provider.name, error))
    }

    /// When to try again, and whether the provider is to be left alone until then.
    async fn plan_after(&self, attempt: &Attempt<'_>, error: &OAuthError) -> Result<Failed, BrokerError> {
        let Attempt { connection, provider, .. } = attempt;
        let (now, random) = (self.clock.now(), &*self.random);
        // What an earlier try has left open, none that was turned away decides.
        let was_unknown = self.was_left_open(attempt);
        let pause = |failures, (first, last)| schedule::pause_after(failures, first, last, random);
        let failures = connection.failures + 1;
        let limited = matches!(error, OAuthError::RateLimited { .. });
        let asked = error.retry_after().or(limited.then_some(UNSAID_PAUSE));
        if let Some(asked) = asked {
            let until = now.plus(asked);
            // What a client of its own is told is for that connection alone.
            let is_own = attempt.is_of_own_client();
            if !is_own {
                self.store.update_pause(&provider.id, until).await?;
            }
            return Ok(Failed {
                spent_unknown: was_unknown || !limited,
                counts: false,
                retry_at: is_own.then_some(until),
                renew_at: until.plus(schedule::spread(UNSAID_PAUSE, random)?),
                quarantine: None,
            });
        }
        if error.is_operators_fault() {
            let renew_at = now.plus(pause(failures, RENEW_PAUSE)?);
            return Ok(Failed {
                spent_unknown: was_unknown,
                counts: false,
                retry_at: None,
                renew_at,
                quarantine: None,
            });
        }
        let spent_unknown =
            was_unknown || matches!(error, OAuthError::Unavailable { .. } | OAuthError::Nonsense { .. });
        if !is_passing(error) && failures >= QUARANTINE_AFTER {
            let reason =
                format!("{} refused {failures} refreshes in a row, last with: {error}", provider.name);
            let (read, renew) = QUARANTINE_PAUSE;
            return Ok(Failed {
                spent_unknown,
                counts: true,
                retry_at: Some(now.plus(schedule::spread(read, random)?)),
                renew_at: now.plus(schedule::spread(renew, random)?),
                quarantine: Some(reason),
            });
        }
        // The first failure costs a reader nothing but the error: it may well have been a hiccup.
        let retry_at = match failures {
            1 => None,
            more => Some(now.plus(pause(more - 1, READ_PAUSE)?)),
        };
        let renew_at = now.plus(pause(failures, RENEW_PAUSE)?);
        Ok(Failed { spent_unknown, counts: true, retry_at, renew_at, quarantine: None })
    }

    /// Whether an earlier try at this very refresh token never got its answer.
    fn was_left_open(&self, attempt: &Attempt<'_>) -> bool {
        attempt.connection.intent.is_some_and(|intent| intent.token == self.intent_of(&attempt.spent))
    }

    async fn give_back(&self, connection: &Connection, failed: &Failed) {
        if let Err(error) = self.store.update_failed(connection.id, &self.process, failed).await {
            tracing::warn!(connection = %connection.id, %error, "a lease could not be given back");
        }
    }

    /// The provider refuses this server itself. Nobody's connection is to blame; the background leaves it alone for a while.
    async fn blame_the_app(&self, provider: &Provider, error: &OAuthError) -> Result<(), BrokerError> {
        let now = self.clock.now();
        // Others read it: of the provider's own words nothing but the code.
        let fault = format!("{} refuses this server's own registration ({})", provider.name, code_of(error));
        self.store.update_fault(&provider.id, &fault, now).await?;
        let first = self.store.open_circuit(&provider.id, &fault, now.plus(FIRST_WAIT), now).await?;
        if first {
            tracing::error!(
                provider = %provider.id, %error,
                "the provider refuses this server's client credentials: mend providers.{}; no connection is marked",
                provider.id
            );
        }
        Ok(())
    }

    /// The provider says that the grant is over. It is believed after a moment, unless it says so of everybody.
    async fn refused(&self, attempt: &Attempt<'_>, error: OAuthError) -> Result<BrokerError, BrokerError> {
        let Attempt { connection, provider, .. } = attempt;
        self.store.update_refused(connection.id, connection.generation, self.clock.now()).await?;
        tokio::time::sleep(HOLD).await;
        let now = self.clock.now();
        let since = now.minus(WINDOW);
        // In this order: whoever opens the circuit does so before the refusals are taken back.
        let (refused, people) = self.store.count_refused(&provider.id, since).await?;
        let health = self.store.find_health(&provider.id).await?;
        let open = health.circuit.as_ref().filter(|circuit| now.since(circuit.opened_at) < BELIEVED_AFTER);
        let day_old = health.circuit.is_some() && open.is_none();
        let outnumbered = refused >= STORM
            && refused > self.successes.since(&provider.id, since)
            && people >= self.store.count_people(&provider.id, STORM_PEOPLE).await?;
        if open.is_none() && (!outnumbered || day_old) {
            return self.mark(attempt, error).await;
        }
        let code = code_of(&error);
        let reason = format!("{} refused {refused} connections within a minute ({code})", provider.name);
        let until = open.map_or_else(|| now.plus(FIRST_WAIT), |circuit| circuit.until);
        if open.is_none() && self.store.open_circuit(&provider.id, &reason, until, now).await? {
            tracing::error!(
                provider = %provider.id, refused, %error,
                "the provider refuses everybody: its circuit is open, and no connection is marked"
            );
        }
        let spread = schedule::spread(WINDOW, &*self.random)?;
        let taken_back = self.store.release_refused(&provider.id, since, until.plus(spread)).await?;
        tracing::debug!(provider = %provider.id, taken_back, "refusals were taken back");
        self.metrics.refreshed(provider.id.as_str(), "storm");
        let failed = Failed {
            spent_unknown: self.was_left_open(attempt),
            counts: false,
            // The next try that the circuit lets through is somebody else's.
            retry_at: Some(until.plus(spread)),
            renew_at: until.plus(spread),
            quarantine: None,
        };
        self.give_back(connection, &failed).await;
        let cause = OAuthError::Unavailable { retry_after: Some(until.since(now)), what: reason };
        Ok(BrokerError::provider(&provider.name, cause))
    }

    /// Marks the connection, unless somebody connected it again meanwhile.
    async fn mark(&self, attempt: &Attempt<'_>, error: OAuthError) -> Result<BrokerError, BrokerError> {
        let Attempt { connection, provider, .. } = attempt;
        let mut reason = format!("{} no longer honours the grant ({error})", provider.name);
        if let Some(intent) = connection.intent.filter(|_| self.was_left_open(attempt)) {
            let lost = format!(
                "; a refresh begun at {} never got its answer, which may have been the cause",
                intent.at
            );
            reason.push_str(&lost);
        }
        let marked =
            self.store.update_reconnect_required(connection.id, connection.generation, &reason).await?;
        if !marked && let Some(newer) = self.reread(connection).await? {
            return Ok(match newer.state {
                tokenry_model::ConnectionState::ReconnectRequired { reason } => {
                    BrokerError::ReconnectRequired { reason }
                }
                _ => BrokerError::provider(&provider.name, error),
            });
        }
        self.metrics.refreshed(provider.id.as_str(), "reconnect_required");
        tracing::warn!(connection = %connection.id, provider = %provider.id, %reason, "must be connected again");
        Ok(BrokerError::ReconnectRequired { reason })
    }
}
