//! kill -9 at each step of a refresh: no connection is lost but those whose answer was not on disk yet, and each of those
//! says so.
//!
//! `TOKENRY_TEST_ROUNDS` sets how many kills there are in all (14 unless told).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a failed step is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use sqlx::{Connection as _, SqliteConnection};
use tokenry_sandbox::{Fault, FaultKind, Sandbox};
use tokenry_testkit::app::{TestUser, start_sandbox};

use crate::common::{Process, free_address, tokenry};

/// Long enough to name the account with, short enough to wait for.
const ACCESS_TTL: Duration = Duration::from_secs(1);

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Nothing was done yet.
    Unclaimed,
    /// The lease and the intent are on disk; nothing was sent.
    Claimed,
    /// The request was sent; the provider has not looked at it.
    Sent,
    /// The provider has spent the refresh token; its answer is on the wire.
    OnTheWire,
    /// The answer is there, and nothing of it is on disk.
    Answered,
    /// The database is away; the answer is in the spool.
    Spooled,
    /// The answer is in the database; the reader has not heard of it.
    Written,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::Unclaimed,
        Self::Claimed,
        Self::Sent,
        Self::OnTheWire,
        Self::Answered,
        Self::Spooled,
        Self::Written,
    ];

    /// The place in the code; nothing for those where the test kills from outside, while the provider takes its time.
    const fn place(self) -> Option<&'static str> {
        match self {
            Self::Unclaimed => Some("unclaimed"),
            Self::Claimed => Some("claimed"),
            Self::Sent | Self::OnTheWire => None,
            Self::Answered => Some("answered"),
            Self::Spooled => Some("spooled"),
            Self::Written => Some("written"),
        }
    }

    /// Whether the provider has spent the refresh token and the next one is on no disk: no client can close this gap.
    const fn is_the_gap(self) -> bool {
        matches!(self, Self::OnTheWire | Self::Answered)
    }

    /// What the provider does while it is asked.
    const fn fault(self) -> Option<FaultKind> {
        match self {
            Self::Sent => Some(FaultKind::Delay { ms: 2_000 }),
            Self::OnTheWire => Some(FaultKind::SlowBody { ms_total: 5_000 }),
            // Time to take the database away once the intent is in it.
            Self::Spooled => Some(FaultKind::Delay { ms: 1_000 }),
            _ => None,
        }
    }
}

fn serve(data: &Path, sandbox: &Sandbox, address: &str, crash_at: Option<&str>) -> Process {
    let mut command = tokenry();
    command
        .env_clear()
        .env("TOKENRY_DATA_DIR", data)
        .env("TOKENRY_PUBLIC_URL", format!("http://{address}"))
        .env("TOKENRY_REFRESH_AHEAD", "false")
        .envs(crash_at.map(|step| ("CRASH_TOKENRY_AT", step)));
    common::serve(command, sandbox, address)
}

async fn eventually(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !happened().await {
        assert!(start.elapsed() < Duration::from_mins(1), "this never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One installation that is killed and started again.
struct Life {
    data: tempfile::TempDir,
    sandbox: Sandbox,
    address: String,
    user: TestUser,
}

impl Life {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let sandbox = start_sandbox(ACCESS_TTL).await;
        let address = free_address();
        let process = serve(data.path(), &sandbox, &address, None);
        let user = common::sign_up(&process.base).await;
        Self { data, sandbox, address, user }
    }

    async fn connect(&self) -> i64 {
        let process = serve(self.data.path(), &self.sandbox, &self.address, None);
        common::connect(&self.user, &process.base).await
    }

    /// Kills the process at a step of a refresh, starts another, and gives whether the connection survived.
    async fn kill_at(&self, step: Step) -> bool {
        let id = self.connect().await;
        tokio::time::sleep(ACCESS_TTL).await;
        let before = self.sandbox.seen();
        let mut process = serve(self.data.path(), &self.sandbox, &self.address, step.place());
        if let Some(fault) = step.fault() {
            self.sandbox.inject(Fault::on_refresh(fault));
        }
        let reader = self.user.clone();
        let read =
            tokio::spawn(
                async move { reader.api.try_get(&reader.path(&format!("get/connection/{id}"))).await },
            );
        let mut lock = None;
        match step {
            Step::Sent => {
                eventually("the provider is asked", async || self.attempts() > before.refresh_attempts).await;
                process.child.kill().unwrap();
            }
            Step::OnTheWire => {
                eventually("the token is spent", async || self.sandbox.seen().refreshes > before.refreshes)
                    .await;
                process.child.kill().unwrap();
            }
            Step::Spooled => {
                eventually("the provider is asked", async || self.attempts() > before.refresh_attempts).await;
                lock = Some(self.lock().await);
            }
            _ => {}
        }
        process.child.wait().unwrap();
        assert!(read.await.unwrap().is_none(), "{step:?}: the reader got an answer from a dead process");
        drop(lock);
        self.sandbox.clear_faults();

        let _next = serve(self.data.path(), &self.sandbox, &self.address, None);
        let answer = self.user.get_token(id).await;
        if answer.status == StatusCode::OK {
            // What came is whole: the refresh token beside it works too.
            tokio::time::sleep(ACCESS_TTL).await;
            self.user.token_of(id).await;
            return true;
        }
        let said = answer.expect_error(409, "reconnect_required").text("message");
        assert!(said.contains("never got its answer"), "{step:?}: {said}");
        false
    }

    fn attempts(&self) -> u64 {
        self.sandbox.seen().refresh_attempts
    }

    /// Somebody else's transaction, which holds SQLite's write lock until it is dropped.
    async fn lock(&self) -> SqliteConnection {
        let url = format!("sqlite://{}", self.data.path().join("tokenry.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        connection
    }
}

#[test]
fn a_kill_at_any_step_loses_nothing_but_an_answer_that_was_on_no_disk_and_that_says_so() {
    let kills: usize = std::env::var("TOKENRY_TEST_ROUNDS").map_or(14, |text| text.parse().unwrap());
    // Side by side, because a dead process's lease has to run out: most of a round is waiting.
    let lanes = kills.div_ceil(2).min(16);
    let lane = move |lane: usize| async move {
        let life = Life::start().await;
        let mut outcomes = Vec::new();
        for round in (lane..kills).step_by(lanes) {
            let step = Step::ALL[round % Step::ALL.len()];
            outcomes.push((step, life.kill_at(step).await));
        }
        assert_eq!(life.sandbox.seen().reuses_detected, lost(&outcomes), "a spent token was used again");
        outcomes
    };
    // Threads of their own: starting and awaiting a process blocks.
    let running: Vec<_> = (0..lanes)
        .map(|number| {
            std::thread::spawn(move || tokio::runtime::Runtime::new().unwrap().block_on(lane(number)))
        })
        .collect();
    let outcomes: Vec<_> = running.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let mut table: BTreeMap<Step, [usize; 2]> = BTreeMap::new();
    for (step, survived) in outcomes {
        table.entry(step).or_default()[usize::from(!survived)] += 1;
    }
    println!("{:<12} {:>6} {:>9} {:>22}", "killed at", "kills", "survived", "lost, and said so");
    for (step, [survived, lost]) in &table {
        println!("{:<12} {:>6} {survived:>9} {lost:>22}", format!("{step:?}"), survived + lost);
    }
    assert_eq!(table.values().flatten().sum::<usize>(), kills);
    for (step, [survived, lost]) in table {
        let expected = if step.is_the_gap() { survived } else { lost };
        assert_eq!(expected, 0, "{step:?}");
    }
}

/// Where an answer was lost, the next process tried the spent token once, and the provider saw that.
fn lost(outcomes: &[(Step, bool)]) -> u64 {
    outcomes.iter().filter(|(_, survived)| !survived).count().try_into().unwrap()
}
