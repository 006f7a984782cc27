//! Time as an argument: a point in time, and the clock that tells it.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::time::OffsetDateTime;
use ::time::macros::format_description;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last time that RFC 3339 can write: `9999-12-31T23:59:59.999999Z`.
    pub const LAST: Self = Self(253_402_300_799_999_999);
    /// The first one: `0000-01-01T00:00:00.000000Z`.
    pub const FIRST: Self = Self(-62_167_219_200_000_000);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and so much more. Stops at the end of the range, never wraps.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(by)))
    }

    /// This time and so much less. Stops at the end of the range, never wraps.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(by)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with six decimals: `2021-04-11T20:23:44.487065Z`. What is before [`Timestamp::FIRST`] or after
/// [`Timestamp::LAST`] is shown as that.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format =
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
        let shown = (*self).clamp(Self::FIRST, Self::LAST);
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(shown.0) * 1000)
            .ok()
            .and_then(|at| at.format(&format).ok())
            .ok_or(fmt::Error)?;
        f.write_str(&text)
    }
}

/// What time it is. An argument, so that a test can say.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(micros_of(since))
    }
}

/// A clock that stands still until it is told to move. For tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves the clock ahead.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(micros_of(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_as_rfc_3339_with_six_decimals() {
        assert_eq!(Timestamp::from_micros(1_618_172_624_487_065).to_string(), "2021-04-11T20:23:44.487065Z");
        assert_eq!(Timestamp::from_micros(1_618_172_624_000_000).to_string(), "2021-04-11T20:23:44.000000Z");
    }

    #[test]
    fn every_time_can_be_printed() {
        for (micros, text) in [
            (i64::MIN, "0000-01-01T00:00:00.000000Z"),
            (Timestamp::FIRST.micros(), "0000-01-01T00:00:00.000000Z"),
            (Timestamp::LAST.micros(), "9999-12-31T23:59:59.999999Z"),
            (Timestamp::LAST.micros() + 1, "9999-12-31T23:59:59.999999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
        }
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::from_micros(5).since(end), Duration::ZERO);
        assert_eq!(Timestamp::from_micros(-1).seconds(), -1);
    }
}
