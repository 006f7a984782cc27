//! All TCP connections, and who has to go when there are too many.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Limits;
use super::line::Line;

/// So many connections over the limit are answered with a refusal; those beyond are closed without a word.
const SPARE: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

/// All TCP connections of a server, within its limits. Share one.
#[derive(Debug)]
pub struct Lines {
    limits: Limits,
    open: Mutex<Open>,
    count: Gauge<i64, AtomicI64>,
    closed: Family<ByReason, Counter<u64, AtomicU64>>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    usual: HashMap<u64, Arc<Line>>,
    spare: HashMap<u64, Arc<Line>>,
}

/// A place among the open connections; given back when it is dropped.
pub(crate) struct Place {
    lines: Arc<Lines>,
    id: u64,
    pub(crate) line: Arc<Line>,
}

impl Place {
    pub(crate) fn limits(&self) -> &Limits {
        &self.lines.limits
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.lines.lock();
        // Whoever was closed to make room has no place any more.
        if open.usual.remove(&self.id).or_else(|| open.spare.remove(&self.id)).is_some() {
            self.lines.count.dec();
        }
    }
}

impl Lines {
    /// None is open yet.
    pub fn new(limits: Limits) -> Arc<Self> {
        let (open, count, closed) = (Mutex::default(), Gauge::default(), Family::default());
        Arc::new(Self { limits, open, count, closed })
    }

    /// Within what they are.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("tokenry_tcp_connections", "TCP connections that are open", self.count.clone());
        registry.register(
            "tokenry_tcp_connections_closed",
            "TCP connections closed by the server: for a newer one, for slowness, or at once for want of room",
            self.closed.clone(),
        );
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, reason: &'static str) {
        self.closed.get_or_create(&ByReason { reason }).inc();
    }

    /// A place for one more. When all are taken, the one goes whose client has kept us waiting the longest: a client that
    /// is slow cannot keep others out, however many of it there are. When all are being worked on, there are some spare
    /// places to say so in. `None`: not even those.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Place> {
        let mut open = self.lock();
        let is_spare = if open.usual.len() < self.limits.connections || self.close_longest(&mut open.usual) {
            false
        } else if open.spare.len() < SPARE || self.close_longest(&mut open.spare) {
            true
        } else {
            self.note("full");
            return None;
        };
        let id = open.next;
        open.next += 1;
        let line = Arc::new(Line::new(is_spare));
        let among = if is_spare { &mut open.spare } else { &mut open.usual };
        among.insert(id, Arc::clone(&line));
        self.count.inc();
        drop(open);
        Some(Place { lines: Arc::clone(self), id, line })
    }

    /// Closes the one that has waited for its client the longest. False: all are being worked on.
    fn close_longest(&self, among: &mut HashMap<u64, Arc<Line>>) -> bool {
        loop {
            let waiting = among.iter().filter_map(|(id, line)| Some((line.waits_since()?, *id)));
            let Some((_, id)) = waiting.min() else { return false };
            // It may have got its request together at this very moment.
            if among.get(&id).is_some_and(|line| line.hang_up()) {
                among.remove(&id);
                self.count.dec();
                self.note("for_another");
                return true;
            }
        }
    }

    /// Makes room when the machine has no more file descriptors.
    pub(crate) fn make_room(&self) {
        self.close_longest(&mut self.lock().usual);
    }

    /// Closes those whose clients have had their time.
    pub(crate) fn sweep(&self) {
        let overdue: Vec<_> = {
            let open = self.lock();
            let all = open.usual.values().chain(open.spare.values());
            all.filter(|line| line.is_overdue(&self.limits)).cloned().collect()
        };
        for line in overdue {
            if line.hang_up() {
                self.note("slow");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::line::Phase;

    fn lines(connections: usize) -> Arc<Lines> {
        Lines::new(Limits { connections, ..Limits::default() })
    }

    #[test]
    fn the_one_that_keeps_us_waiting_goes_for_a_new_one() {
        let lines = lines(2);
        let (busy, slow) = (lines.admit().unwrap(), lines.admit().unwrap());
        busy.line.enter(Phase::Working);
        let new = lines.admit().unwrap();
        assert!(!new.line.is_spare);
        assert_eq!(slow.line.phase(), Phase::Gone);
        assert_eq!(busy.line.phase(), Phase::Working);
        drop(slow);
        assert_eq!(lines.count.get(), 2);
    }

    #[test]
    fn where_all_are_worked_on_there_are_spare_places_and_then_none() {
        let lines = lines(1);
        let busy = lines.admit().unwrap();
        busy.line.enter(Phase::Working);
        let spare: Vec<_> = (0..SPARE).map(|_| lines.admit().unwrap()).collect();
        for place in &spare {
            assert!(place.line.is_spare);
            place.line.enter(Phase::Working);
        }
        assert!(lines.admit().is_none());
        spare[7].line.enter(Phase::Still);
        assert!(lines.admit().unwrap().line.is_spare);
        drop(busy);
        assert!(!lines.admit().unwrap().line.is_spare);
    }
}
