//! What happened how often, and what must not have happened.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// The tally of a run.
#[derive(Default)]
pub(crate) struct Counts {
    operations: Mutex<BTreeMap<&'static str, u64>>,
    events: Mutex<BTreeMap<&'static str, u64>>,
    violations: Mutex<Vec<String>>,
}

impl Counts {
    /// An operation that came to its end.
    pub(crate) fn operation(&self, kind: &'static str) {
        *self.operations.lock().unwrap().entry(kind).or_default() += 1;
    }

    /// Something that is worth counting.
    pub(crate) fn event(&self, what: &'static str) {
        self.add(what, 1);
    }

    /// So many of something.
    pub(crate) fn add(&self, what: &'static str, count: u64) {
        *self.events.lock().unwrap().entry(what).or_default() += count;
    }

    /// What must not be.
    pub(crate) fn violation(&self, what: String) {
        println!("VIOLATION: {what}");
        self.violations.lock().unwrap().push(what);
    }

    pub(crate) fn violations(&self) -> usize {
        self.violations.lock().unwrap().len()
    }

    pub(crate) fn print(&self) {
        let operations = self.operations.lock().unwrap();
        println!("{:<44} {:>8}", "operations", operations.values().sum::<u64>());
        for (kind, count) in &*operations {
            println!("  {kind:<42} {count:>8}");
        }
        for (what, count) in &*self.events.lock().unwrap() {
            println!("{what:<44} {count:>8}");
        }
        println!("{:<44} {:>8}", "violations", self.violations());
    }
}
