//! The pages, as a person meets them: the real binary, real providers, and a real browser that walks through.
//!
//! `TOKENRY_TEST_TRIP=connect cargo test -p tokenry --test pages -- --nocapture` runs the trips whose file has `connect` in
//! its name; `crates/tokenry-testkit/pages/run.mjs` says what else there is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "in a test a failed step is a failed test"
)]

use std::path::Path;
use std::time::Duration;

use tokenry_testkit::oidc_provider::{OidcOptions, OidcProvider};
use tokenry_testkit::pages;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trip_through_the_pages_ends_well() {
    let oidc = OidcProvider::start(OidcOptions {
        // A token outlives what a trip does with it, and not much more: then it is refreshed, or is not.
        access_ttl: Duration::from_secs(5),
        redirect_uris: vec!["http://127.0.0.1/callback/oidc".to_owned()],
        ..OidcOptions::default()
    })
    .await;
    let report = tokio::task::spawn_blocking(move || {
        let scratch = tempfile::Builder::new().prefix("tokenry-pages-").tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_tokenry"));
        pages::run(binary, &oidc, scratch.path(), |line| println!("{line}"))
    });
    let report = report.await.unwrap();
    assert!(report.failed.is_empty(), "{}", report.failed.join("\n"));
    assert!(report.ended, "the trips did not come to their end");
    assert!(!report.passed.is_empty(), "no trip ran");
}
