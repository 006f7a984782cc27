//! A clock that runs with the machine's, and can be put forward: providers in other processes keep real time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokenry_model::{Clock, SystemClock, Timestamp};

/// The machine's clock and an offset.
#[derive(Debug, Default)]
pub struct ShiftedClock(AtomicI64);

impl ShiftedClock {
    /// Puts the clock forward, on top of what it was put forward before.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Puts the clock back.
    pub fn put_back(&self, by: Duration) {
        self.0.fetch_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(SystemClock.now().micros() + self.0.load(Ordering::SeqCst))
    }
}
