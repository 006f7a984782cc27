//! Every quirk that a data file can say, from the link to the revocation, by the data file alone.
//!
//! `providers/` has the files; they lie in the app's providers directory as an operator's would. `cases.toml` says how the
//! sandbox insists on each quirk, and which word of the file is what gets along with it: without that word, the same trip
//! fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails the test")]

mod case;
mod trip;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use case::{Case, cases, file_names};
use tokio::task::JoinSet;

#[test]
fn every_file_has_a_case_and_every_case_a_file() {
    let cases: BTreeSet<String> = cases().into_iter().map(|case| case.name).collect();
    assert_eq!(cases, file_names());
}

#[derive(Clone, Copy)]
enum Trips {
    /// Each with its whole file.
    Whole,
    /// Each once without each of the words that matter.
    WithoutWords,
}

async fn failures_of(case: &Case, trips: Trips) -> Vec<String> {
    let mut failures = Vec::new();
    match trips {
        Trips::Whole => {
            if let Err(stuck) = trip::go(case, None).await {
                failures.push(format!("{}: {stuck}", case.name));
            }
        }
        Trips::WithoutWords => {
            for (word, step) in &case.matters {
                let name = format!("{} without {word}", case.name);
                match trip::go(case, Some(word)).await {
                    Err(stuck) if stuck.at == *step => {}
                    Err(stuck) => failures.push(format!("{name}: stuck, but not at {step}: {stuck}")),
                    Ok(()) => failures.push(format!("{name}: it goes on as if nothing were missing")),
                }
            }
        }
    }
    failures
}

/// Several cases at once: most of a trip is waiting.
async fn drive(trips: Trips) {
    let queue = Arc::new(Mutex::new(cases()));
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let queue = Arc::clone(&queue);
        workers.spawn(async move {
            let mut failures = Vec::new();
            loop {
                let Some(case) = queue.lock().unwrap().pop() else { return failures };
                failures.extend(failures_of(&case, trips).await);
            }
        });
    }
    let mut failures: Vec<String> = workers.join_all().await.into_iter().flatten().collect();
    failures.sort();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_quirk_is_borne_from_the_data_file_alone() {
    drive(Trips::Whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_word_the_same_trip_fails() {
    drive(Trips::WithoutWords).await;
}
