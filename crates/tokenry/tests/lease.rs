//! Several processes on one database: of all who want a fresh token, one asks the provider.
//!
//! `TOKENRY_TEST_ROUNDS` sets how often it is repeated (5 unless told).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a failed step is a failed test")]

mod common;

use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use tokenry_sandbox::{Fault, FaultKind, Sandbox};
use tokenry_testkit::app::{Answer, ApiClient, TestUser, start_sandbox};

use crate::common::{Process, free_address, sign_up_and_connect, tokenry};

const PROCESSES: usize = 8;
const READERS: usize = 200;
/// Long enough for every reader of a round to be served within it.
const ACCESS_TTL: Duration = Duration::from_secs(3);

/// A server whose counted refreshes are all a reader's.
fn serve(data: &Path, sandbox: &Sandbox, listen: &str) -> Process {
    let mut command = tokenry();
    command.env_clear().env("TOKENRY_DATA_DIR", data).env("TOKENRY_REFRESH_AHEAD", "false");
    if !listen.ends_with(":0") {
        // The process that the browser talks to has a port that is known before.
        command.env("TOKENRY_PUBLIC_URL", format!("http://{listen}"));
    }
    common::serve(command, sandbox, listen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_and_two_hundred_readers_make_one_refresh() {
    let rounds: u64 = std::env::var("TOKENRY_TEST_ROUNDS").map_or(5, |text| text.parse().unwrap());
    let data = tempfile::tempdir().unwrap();
    let sandbox = start_sandbox(ACCESS_TTL).await;
    let first = serve(data.path(), &sandbox, &free_address());
    let (user, id) = sign_up_and_connect(&first.base).await;
    let mut processes = vec![first];
    processes.extend((1..PROCESSES).map(|_| serve(data.path(), &sandbox, "127.0.0.1:0")));
    let readers: Vec<TestUser> = processes
        .iter()
        .map(|process| {
            let mut api = ApiClient::new(process.base.as_str());
            api.token.clone_from(&user.api.token);
            TestUser { name: user.name.clone(), api }
        })
        .collect();

    for round in 1..=rounds {
        tokio::time::sleep(ACCESS_TTL).await;
        let mut reads = tokio::task::JoinSet::new();
        for reader in 0..READERS {
            let user = readers[reader % PROCESSES].clone();
            reads.spawn(async move { user.token_of(id).await });
        }
        let mut tokens = reads.join_all().await;
        tokens.sort();
        tokens.dedup();
        let seen = sandbox.seen();
        assert_eq!(tokens.len(), 1, "in round {round} the readers got {} different tokens", tokens.len());
        assert_eq!(seen.refreshes, round, "the provider saw another number of refreshes");
        assert_eq!(seen.refresh_attempts, round, "somebody asked the provider in vain");
        assert_eq!(seen.reuses_detected, 0);
    }
    let seen = sandbox.seen();
    println!(
        "{rounds} rounds, {PROCESSES} processes, {READERS} readers each: {} refreshes, {} attempts, {} reuses",
        seen.refreshes, seen.refresh_attempts, seen.reuses_detected
    );
}

/// Kills a process while the provider answers its refresh as `fault` says. Gives what the next process answers a reader, and
/// whether the torn call had spent the refresh token.
async fn kill_in_the_middle(fault: FaultKind) -> (Answer, bool, Sandbox) {
    let data = tempfile::tempdir().unwrap();
    let sandbox = start_sandbox(ACCESS_TTL).await;
    let first = serve(data.path(), &sandbox, &free_address());
    let (user, id) = sign_up_and_connect(&first.base).await;
    tokio::time::sleep(ACCESS_TTL).await;

    sandbox.inject(Fault::on_refresh(fault));
    let reader = user.clone();
    let torn =
        tokio::spawn(async move { reader.api.get(&reader.path(&format!("get/connection/{id}"))).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(first);
    assert!(torn.await.is_err(), "the reader got an answer from a dead process");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spent = sandbox.seen().refreshes == 1;

    let second = serve(data.path(), &sandbox, "127.0.0.1:0");
    let mut api = ApiClient::new(second.base.as_str());
    api.token.clone_from(&user.api.token);
    let user = TestUser { name: user.name.clone(), api };
    (user.get_token(id).await, spent, sandbox)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_before_the_token_is_spent_is_followed_by_another() {
    let (answer, spent, sandbox) = kill_in_the_middle(FaultKind::Delay { ms: 1_000 }).await;
    assert!(!spent, "the sandbox did the work for a caller who was gone");
    answer.expect(StatusCode::OK);
    assert_eq!(sandbox.seen().refreshes, 1);
}

/// The one gap that no client can close: the token was spent, and its answer was on the wire when the process died.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_on_the_wire_when_the_process_died_is_reported_as_that() {
    let (answer, spent, _sandbox) = kill_in_the_middle(FaultKind::SlowBody { ms_total: 5_000 }).await;
    assert!(spent, "the sandbox did not do the work first");
    let said = answer.expect_error(409, "reconnect_required").text("message");
    assert!(said.contains("never got its answer"), "{said}");
}
