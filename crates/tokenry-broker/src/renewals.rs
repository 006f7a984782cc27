//! Refreshing ahead of time: what is read, before a reader has to wait; what nobody reads, before its refresh token dies
//! of it. Through the same lease as a reader's refresh, in small batches, each provider at a pace of its own.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokenry_model::{Connection, ConnectionId, ProviderId, Timestamp, WARN_AHEAD};
use tokenry_oauth::Provider;
use tokio::time::Instant;

use crate::boot::Broker;
use crate::error::BrokerError;
use crate::pauses::pause_until;
use crate::schedule;

/// How often it is looked for what is due.
const ROUND: Duration = Duration::from_secs(1);
/// How many connections of one provider are taken at a time.
const BATCH: i64 = 200;
/// How many refreshes at one provider are under way at a time: a second's worth, but no more than this.
const AT_ONCE: u32 = 128;
/// How many refreshes a second a provider is asked for, where its data do not say.
const RATE_PER_S: u32 = 50;
/// A provider that wants to be left alone for longer is come back to later.
const SHORT_PAUSE: Duration = Duration::from_secs(5);
/// How long one is put off whose provider could not even be asked.
const PUT_OFF: Duration = Duration::from_mins(10);
/// What nobody has read for so long is not refreshed ahead of time: its next reader waits for it.
pub(crate) const UNREAD: Duration = Duration::from_hours(7 * 24);

/// Which providers' connections are being renewed by this process at the moment.
pub(crate) type Renewing = Mutex<HashSet<ProviderId>>;
/// When which token was last handed out, until it is written down.
pub(crate) type Used = Mutex<HashMap<ConnectionId, Timestamp>>;

impl Broker {
    /// Refreshes ahead of time until `stop` ends. One of several processes on a database may do it, or all of them.
    pub async fn run_renewals(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        loop {
            if let Err(error) = self.start_renewals().await {
                tracing::error!(%error, "it could not be looked for what is due");
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(ROUND) => {}
            }
        }
    }

    /// Looks for what is due, and begins to renew it, each provider in a task of its own.
    async fn start_renewals(&self) -> Result<(), BrokerError> {
        let now = self.clock.now();
        for due in self.store.list_due(now, now.minus(UNREAD)).await? {
            let Some(running) = Running::start(self, &due.provider) else { continue };
            let broker = self.clone();
            self.tasks.spawn(async move {
                let _running = running;
                if let Err(error) = broker.renew_all_of(&due.provider).await {
                    tracing::error!(provider = %due.provider, %error, "connections could not be renewed");
                }
            });
        }
        Ok(())
    }

    /// Renews a provider's connections, batch by batch, until none is due or the provider is to be left alone.
    async fn renew_all_of(&self, id: &ProviderId) -> Result<(), BrokerError> {
        let provider = self.find_stored(id)?;
        let rate = provider.refresh_rate_per_s().unwrap_or(RATE_PER_S);
        let pace = Pace::new(rate);
        let at_once = usize::try_from(rate.clamp(1, AT_ONCE)).unwrap_or(1);
        while !self.tasks.is_closed() {
            let now = self.clock.now();
            let health = self.store.find_health(id).await?;
            if let Some(until) = pause_until(health.paused_until, now) {
                if until.since(now) > SHORT_PAUSE {
                    return Ok(());
                }
                tokio::time::sleep(until.since(now)).await;
                continue;
            }
            // When an open circuit's time has come, one goes through to see.
            let probing = match &health.circuit {
                Some(circuit) if circuit.until > now => return Ok(()),
                circuit => circuit.is_some(),
            };
            let batch = self
                .store
                .list_renewable(id, now, now.minus(UNREAD), if probing { 1 } else { BATCH })
                .await?;
            let taken = batch.len();
            // When one is told to wait, the others of the batch wait with it.
            let pausing = AtomicBool::new(false);
            let renewed = futures_util::stream::iter(batch)
                .map(|connection| self.renew_one(connection, &pace, &pausing))
                .buffer_unordered(at_once)
                .filter(|renewed| std::future::ready(*renewed))
                .count()
                .await;
            let paused = self.store.find_health(id).await?.paused_until.is_some_and(|until| until > now);
            if taken == 0 || probing || (renewed == 0 && !paused) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn renew_one(&self, connection: Connection, pace: &Pace, pausing: &AtomicBool) -> bool {
        if pausing.load(Ordering::Relaxed) {
            return false;
        }
        pace.wait().await;
        if pausing.load(Ordering::Relaxed) || self.tasks.is_closed() {
            return false;
        }
        // The failure is written down, counted and logged where it happened.
        let outcome = self.refresh(&connection).await;
        if let Err(BrokerError::ProviderAway { cause, .. }) = outcome.as_ref().map_err(BrokerError::root)
            && cause.retry_after().is_some()
        {
            pausing.store(true, Ordering::Relaxed);
        } else if let Err(error) = &outcome {
            self.put_off(&connection, error).await;
        }
        outcome.is_ok()
    }

    /// One that failed before its provider was asked comes again later: it must not stand in the way of the others.
    async fn put_off(&self, connection: &Connection, error: &BrokerError) {
        let now = self.clock.now();
        let Ok(pause) = schedule::spread(PUT_OFF, &*self.random) else { return };
        match self.store.update_put_off(connection.id, now.plus(pause), now).await {
            Ok(true) => tracing::warn!(connection = %connection.id, %error, "could not be renewed; put off"),
            Ok(false) => {}
            Err(error) => tracing::warn!(connection = %connection.id, %error, "could not be put off"),
        }
    }

    fn find_stored(&self, id: &ProviderId) -> Result<std::sync::Arc<Provider>, BrokerError> {
        let gone = || BrokerError::ProviderGone { service: id.to_string() };
        self.catalogue().find(id.as_str()).cloned().ok_or_else(gone)
    }

    /// Notes that a connection's token was handed out.
    pub(crate) fn note_use(&self, id: ConnectionId, now: Timestamp) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
    }

    /// Writes down when tokens were last handed out. A read costs no write that way; a crash loses some seconds of it.
    pub(crate) async fn write_uses(&self) -> Result<(), BrokerError> {
        let mut used: Vec<_> = self.used.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
        // In one order, so that two processes never wait for each other.
        used.sort_unstable_by_key(|(id, _)| id.get());
        for some in used.chunks(500) {
            if let Err(error) = self.store.update_used(some).await {
                // Written down the next time, but for what was used since.
                let mut later = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                for (id, at) in &used {
                    later.entry(*id).or_insert(*at);
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Leaves alone what nobody reads, and tells the metrics and the log how things stand.
    pub(crate) async fn take_stock(&self) -> Result<(), BrokerError> {
        let now = self.clock.now();
        let left = self.store.update_unread(now.minus(UNREAD), now).await?;
        if left > 0 {
            tracing::info!(
                connections = left,
                "nobody reads them: they are no longer refreshed ahead of time"
            );
        }
        self.metrics.set_due(&self.store.list_due(now, now.minus(UNREAD)).await?);
        self.metrics.set_ending(&self.store.list_ending(now, now.plus(WARN_AHEAD)).await?);
        self.metrics.set_health(&self.store.list_health().await?, now);
        Ok(())
    }
}

/// A provider's place among those that are being renewed; given up when it is dropped.
struct Running {
    broker: Broker,
    provider: ProviderId,
}

impl Running {
    fn start(broker: &Broker, provider: &ProviderId) -> Option<Self> {
        let mut all = broker.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(provider.clone()).then(|| Self { broker: broker.clone(), provider: provider.clone() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.broker.renewing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.provider);
    }
}

/// What a rest earns at most.
const REST: Duration = Duration::from_millis(500);

/// Lets so many through a second, and after a rest half a second's worth at once.
struct Pace {
    gap: Duration,
    /// When the next slot would be if none had been missed.
    next: Mutex<Instant>,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        let gap = Duration::from_secs(1) / per_second.max(1);
        // It begins rested.
        let now = Instant::now();
        Self { gap, next: Mutex::new(now.checked_sub(REST).unwrap_or(now)) }
    }

    async fn wait(&self) {
        tokio::time::sleep_until(self.slot(Instant::now())).await;
    }

    /// Takes the next slot.
    fn slot(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = now.checked_sub(REST).unwrap_or(now);
        let slot = (*next).max(oldest);
        *next = slot + self.gap;
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_over_time_and_a_rest_earns_half_a_second_s_worth() {
        let pace = Pace::new(10);
        let begun = *pace.next.lock().unwrap();
        // Seen from where it begins, as if there had been no rest.
        let slots: Vec<_> = (0..30).map(|_| pace.slot(begun).duration_since(begun).as_millis()).collect();
        assert_eq!((slots[0], slots[1], slots[29]), (0, 100, 2900));
        let later = begun + Duration::from_mins(1);
        let at_once = (0..20).filter(|_| pace.slot(later) <= later).count();
        assert_eq!(at_once, 6);
    }
}
