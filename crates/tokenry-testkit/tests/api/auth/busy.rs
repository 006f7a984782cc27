//! A flood of log-ins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use tokenry_testkit::app::{PASSWORD, TestApp};
use tokio::sync::mpsc;

use crate::support::try_log_in;

const FLOOD: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_log_ins_does_not_starve_a_read_and_does_not_queue_without_end() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let id = ada.add("", "spotify", "t").await;
    ada.token_of(id).await;

    let done = Arc::new(AtomicUsize::new(0));
    let (send, mut answers) = mpsc::unbounded_channel();
    for _ in 0..FLOOD {
        let (api, send, done) = (app.anonymous(), send.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let answer = try_log_in(&api, "ada", PASSWORD, None, None).await;
            done.fetch_add(1, Ordering::SeqCst);
            send.send(answer).unwrap();
        });
    }
    drop(send);

    let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
    // The first that is turned away tells that the queue is full.
    while let Some(answer) = answers.recv().await {
        let status = answer.status;
        *seen.entry(status.as_u16()).or_default() += 1;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.expect_error(503, "busy");
            break;
        }
    }
    let read = tokio::time::timeout(Duration::from_secs(30), ada.token_of(id)).await.unwrap();
    assert_eq!(read, "t");
    assert!(done.load(Ordering::SeqCst) < FLOOD, "the read was done while log-ins were waiting");

    while let Some(answer) = answers.recv().await {
        *seen.entry(answer.status.as_u16()).or_default() += 1;
        if answer.status != StatusCode::OK {
            answer.expect_error(503, "busy");
        }
    }
    assert_eq!(seen.values().sum::<usize>(), FLOOD);
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [200, 503], "{seen:?}");
    assert!(seen[&200] > 1, "those in the queue got in: {seen:?}");
    // It is over when it is over.
    app.anonymous().log_in("ada", PASSWORD).await;
}
