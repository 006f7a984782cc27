//! How fast the token endpoint may be asked, how often it fails by chance, and whether clients wait when told to.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// What a 429 above the limit tells clients to wait, in seconds.
const LIMIT_RETRY_AFTER_S: u64 = 1;
/// What is on its way already cannot be called back. A request that arrives this long after a 429 was sent can.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// Faults of refreshes by chance. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultRates {
    /// The share of refreshes that get a 429, 0 to 1.
    pub too_many: f64,
    /// The `Retry-After` of those, in seconds.
    pub retry_after_s: u64,
    /// The share of refreshes that get a 503, 0 to 1. Nothing is spent.
    pub server_error: f64,
    /// The same seed gives the same faults in the same order.
    pub seed: u64,
}

/// Why a request is turned away before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    TooMany { retry_after_s: u64 },
    ServerError,
}

#[derive(Default)]
pub(crate) struct Pace {
    limit_per_s: Option<u32>,
    rates: FaultRates,
    random: u64,
    /// When those were let in that came within the last second. Never longer than the limit.
    recent: VecDeque<Instant>,
    /// From when until when clients were told to stay away. Those that overlap are one, so there are few.
    pauses: VecDeque<(Instant, Instant)>,
}

impl Pace {
    pub(crate) fn new(limit_per_s: Option<u32>, rates: FaultRates) -> Self {
        Self { limit_per_s, random: rates.seed, rates, ..Self::default() }
    }

    pub(crate) fn set_limit(&mut self, limit_per_s: Option<u32>) {
        self.limit_per_s = limit_per_s;
        self.recent.clear();
    }

    pub(crate) fn set_rates(&mut self, rates: FaultRates) {
        self.random = rates.seed;
        self.rates = rates;
    }

    /// Whether a request that arrives now disregards a `Retry-After`.
    pub(crate) fn breaks_a_pause(&mut self, now: Instant) -> bool {
        while self.pauses.front().is_some_and(|(_, until)| *until <= now) {
            self.pauses.pop_front();
        }
        self.pauses.iter().any(|(from, _)| *from < now)
    }

    /// A 429 goes out.
    pub(crate) fn pause(&mut self, now: Instant, retry_after_s: u64) {
        let (from, until) = (now + ON_ITS_WAY, now + Duration::from_secs(retry_after_s));
        if until <= from {
            return;
        }
        match self.pauses.back_mut() {
            Some((_, end)) if from <= *end => *end = until.max(*end),
            _ => self.pauses.push_back((from, until)),
        }
    }

    /// Turns a request away, or lets it in.
    pub(crate) fn admit(&mut self, now: Instant, is_refresh: bool) -> Option<TurnedAway> {
        if let Some(limit) = self.limit_per_s {
            let second = Duration::from_secs(1);
            while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) >= second) {
                self.recent.pop_front();
            }
            if self.recent.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                return Some(TurnedAway::TooMany { retry_after_s: LIMIT_RETRY_AFTER_S });
            }
            self.recent.push_back(now);
        }
        if !is_refresh || (self.rates.too_many <= 0.0 && self.rates.server_error <= 0.0) {
            return None;
        }
        let chance = self.next();
        if chance < self.rates.too_many {
            Some(TurnedAway::TooMany { retry_after_s: self.rates.retry_after_s })
        } else if chance < self.rates.too_many + self.rates.server_error {
            Some(TurnedAway::ServerError)
        } else {
            None
        }
    }

    /// `SplitMix64`: a number from 0 to 1. Good enough for faults, and the same everywhere.
    fn next(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        f64::from(u32::try_from(z >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn of_any_second_no_more_than_the_limit_get_in() {
        let (mut pace, start) = (Pace::new(Some(10), FaultRates::default()), Instant::now());
        let admitted: Vec<Instant> =
            (0..300).map(|i| start + i * 10 * MS).filter(|now| pace.admit(*now, false).is_none()).collect();
        assert_eq!(admitted.len(), 30);
        for window in admitted.windows(11) {
            assert!(window[10] - window[0] >= 1000 * MS);
        }
    }

    #[test]
    fn faults_come_at_their_rate_and_in_the_same_order_for_the_same_seed() {
        let rates = FaultRates { too_many: 0.05, retry_after_s: 2, server_error: 0.05, seed: 7 };
        let (mut pace, mut again) = (Pace::new(None, rates.clone()), Pace::new(None, rates));
        let now = Instant::now();
        let got: Vec<_> = (0..10_000).map(|_| pace.admit(now, true)).collect();
        let same: Vec<_> = (0..10_000).map(|_| again.admit(now, true)).collect();
        assert_eq!(got, same);
        let count = |what: TurnedAway| got.iter().filter(|got| **got == Some(what)).count();
        for what in [TurnedAway::TooMany { retry_after_s: 2 }, TurnedAway::ServerError] {
            assert!((400..600).contains(&count(what)), "{what:?}: {}", count(what));
        }
        assert_eq!(pace.admit(now, false), None, "only refreshes");
    }

    #[test]
    fn a_pause_is_broken_only_by_what_could_have_known() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!(!pace.breaks_a_pause(now));
        pace.pause(now, 2);
        assert!(!pace.breaks_a_pause(now + 499 * MS), "it was on its way");
        assert!(pace.breaks_a_pause(now + 501 * MS) && pace.breaks_a_pause(now + 1999 * MS));
        assert!(!pace.breaks_a_pause(now + 2000 * MS));
    }

    #[test]
    fn many_pauses_at_once_are_kept_as_one() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for i in 0..1000 {
            pace.pause(now + i * MS, 1);
        }
        assert_eq!(pace.pauses.len(), 1);
        assert!(pace.breaks_a_pause(now + 1400 * MS));
        assert!(!pace.breaks_a_pause(now + 2000 * MS));
    }
}
