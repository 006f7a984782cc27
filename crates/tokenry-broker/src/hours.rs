//! How refreshes go, by provider and hour: counted in memory, and added to the database every few seconds, so that a refresh
//! costs no write of its own.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokenry_model::{Health, ProviderId, Timestamp};
use tokenry_store::RefreshHour;

use crate::boot::Broker;
use crate::error::BrokerError;
use crate::pauses::pause_until;

pub(crate) const HOUR: Duration = Duration::from_hours(1);
/// How long an hour is kept. A page shows the last day; the rest is for whoever looks into the database after an incident.
const KEEP: Duration = Duration::from_hours(7 * 24);

/// How many refreshes went well and how many did not, until it is written down. Of this process alone.
#[derive(Debug, Default)]
pub(crate) struct Hours(Mutex<BTreeMap<(Timestamp, ProviderId), RefreshHour>>);

impl Hours {
    fn add(&self, hour: Timestamp, provider: &ProviderId, done: i64, failed: i64, held: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || RefreshHour { hour, provider: provider.clone(), done: 0, failed: 0, held: false };
        let row = all.entry((hour, provider.clone())).or_insert_with(new);
        row.done += done;
        row.failed += failed;
        row.held |= held;
    }

    fn take(&self) -> Vec<RefreshHour> {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.into_values().collect()
    }
}

/// When the hour began that this time is in.
pub(crate) fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.seconds().div_euclid(3600).saturating_mul(3_600_000_000))
}

/// Whether a provider's refreshes are held back at the moment, or made in vain.
fn is_held(health: &Health, now: Timestamp) -> bool {
    health.circuit.is_some() || health.fault.is_some() || pause_until(health.paused_until, now).is_some()
}

impl Broker {
    /// Counts how a refresh ended.
    pub(crate) fn count_refresh(&self, provider: &ProviderId, went_well: bool) {
        let (done, failed) = if went_well { (1, 0) } else { (0, 1) };
        self.hours.add(hour_of(self.clock.now()), provider, done, failed, false);
    }

    /// Adds what was counted to the database, and marks this hour where refreshes are held back.
    pub(crate) async fn write_hours(&self) -> Result<(), BrokerError> {
        let health = self.store.list_health().await?;
        let now = self.clock.now();
        for (provider, _) in health.iter().filter(|(_, health)| is_held(health, now)) {
            self.hours.add(hour_of(now), provider, 0, 0, true);
        }
        let rows = self.hours.take();
        if rows.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.store.update_refresh_hours(&rows).await {
            // Added the next time. A commit whose answer got lost is counted twice then: better than an outage that leaves a hole.
            for it in rows {
                self.hours.add(it.hour, &it.provider, it.done, it.failed, it.held);
            }
            return Err(error.into());
        }
        Ok(())
    }

    pub(crate) async fn forget_old_hours(&self) -> Result<(), BrokerError> {
        self.store.delete_old_refresh_hours(self.clock.now().minus(KEEP)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokenry_model::Circuit;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn an_hour_begins_at_its_first_microsecond_also_before_the_epoch() {
        assert_eq!(hour_of(at(7200)), at(7200));
        assert_eq!(hour_of(Timestamp::from_micros(10_799_999_999)), at(7200));
        assert_eq!(hour_of(at(-1)), at(-3600));
    }

    #[test]
    fn what_was_counted_is_taken_once_and_what_could_not_be_written_comes_on_top_of_the_next() {
        let (hours, provider) = (Hours::default(), ProviderId::parse("acme").unwrap());
        hours.add(at(0), &provider, 1, 0, false);
        hours.add(at(0), &provider, 0, 1, true);
        hours.add(at(3600), &provider, 1, 0, false);
        let taken: Vec<_> =
            hours.take().into_iter().map(|it| (it.hour, it.done, it.failed, it.held)).collect();
        assert_eq!(taken, [(at(0), 1, 1, true), (at(3600), 1, 0, false)]);
        assert!(hours.take().is_empty());
        hours.add(at(0), &provider, 0, 1, true);
        hours.add(at(0), &provider, 1, 1, false);
        let again: Vec<_> = hours.take().into_iter().map(|it| (it.done, it.failed, it.held)).collect();
        assert_eq!(again, [(1, 2, true)]);
    }

    #[test]
    fn a_circuit_a_fault_and_a_pause_that_lasts_hold_refreshes_back() {
        let now = at(7200);
        let paused = |until| Health { paused_until: Some(until), ..Health::default() };
        assert!(!is_held(&Health::default(), now));
        assert!(is_held(&paused(at(7201)), now) && !is_held(&paused(now), now));
        let circuit = Circuit { reason: "everybody".to_owned(), opened_at: now, until: now, tries: 0 };
        assert!(is_held(&Health { circuit: Some(circuit), ..Health::default() }, now));
        assert!(is_held(&Health { fault: Some(("refused".to_owned(), now)), ..Health::default() }, now));
    }
}
