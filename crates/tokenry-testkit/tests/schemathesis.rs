//! schemathesis makes requests out of the OpenAPI document, good ones and bad ones, and holds every answer against it.
//!
//! `TOKENRY_TEST_CASES` says how many random cases each operation gets at most when its owner calls; those that follow from
//! the document alone (limits, types, missing members, other methods) come on top of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a failed step is a failed test")]
#![allow(clippy::print_stdout, reason = "whoever looks wants to see the counts")]

#[allow(dead_code, reason = "the trips use the rest of it")]
#[path = "trips/services.rs"]
mod services;
#[allow(dead_code, reason = "the trips use the rest of it")]
#[path = "trips/world.rs"]
mod world;

use serde_json::{Value, json};
use tokenry_testkit::app::PASSWORD;
use tokenry_testkit::schemathesis::{Counts, Report, run};

use services::{KEY, Services};
use world::connect;

/// How many random cases each operation gets when nobody says anything else.
const CASES: u32 = 15;
/// The same cases each time.
const SEED: u32 = 20_261_122;

fn cases() -> u32 {
    let said = std::env::var("TOKENRY_TEST_CASES").ok();
    said.map_or(CASES, |said| said.parse().expect("TOKENRY_TEST_CASES is a number"))
}

/// An app with users and a connection of each kind, and what there is to say about it.
async fn furnish() -> (Services, Value) {
    let services = Services::start().await;
    let app = &services.app;
    for name in ["eve", "leaver", "changer"] {
        app.user(name).await;
    }
    let mut ids = vec![
        connect(app, &services.ada, "sandbox", "grace").await,
        connect(app, &services.ada, "sandbox", "linus").await,
        connect(app, &services.ada, "old", "grace").await,
        services.ada.add("pasted", "sandbox", "a token").await,
    ];
    let bodies = json!([
        {"kind": "plain", "service": "sandbox", "token": "a token"},
        {"kind": "api_key", "service": "keys", "api_key": KEY},
        {"kind": "basic", "service": "login", "username": "grace", "password": KEY},
        {"kind": "client_credentials", "service": "program", "client_id": "of-ada", "client_secret": "her secret"},
        {"kind": "oauth2", "service": "sandbox", "access_token": "unknown", "expires_in": 60},
    ]);
    for body in &bodies.as_array().unwrap()[..4] {
        ids.push(services.imported(body).await["id"].as_i64().unwrap());
    }
    let of = |name: &str| json!([name, PASSWORD]);
    let world = json!({
        "users": {"owner": of("ada"), "stranger": of("eve"), "leaver": of("leaver"), "changer": of("changer")},
        "ids": ids,
        "services": ["sandbox", "keys", "login", "program", "old", "tenants"],
        "bodies": bodies,
        "urls": [services.at("/api/me"), services.at("/api/me?a=b"), "https://elsewhere.example/"],
    });
    (services, world)
}

async fn run_as(role: &'static str, cases: u32) -> Report {
    let (services, mut world) = furnish().await;
    world["role"] = json!(role);
    let base = services.app.base();
    let scratch = tempfile::tempdir().unwrap();
    let report = tokio::task::spawn_blocking(move || run(&base, &world, cases, SEED, scratch.path()));
    let report = report.await.unwrap();
    // The server is still there, and no worse for it.
    services.app.anonymous().get("/readyz").await.expect(reqwest::StatusCode::OK);
    println!("schemathesis as the {role}: {} cases\n{}", report.cases(), report.table());
    assert!(report.passed, "{}", report.output);
    report
}

/// The operations of the document, by method and path.
fn operations() -> Vec<String> {
    let document: Value = serde_json::from_str(&tokenry_web::openapi_json()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| -> Vec<String> {
        item.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())).collect()
    };
    paths.iter().flat_map(of).collect()
}

#[track_caller]
fn assert_each_was_tried(counts: &Counts) {
    for operation in operations() {
        assert!(
            counts.get(&operation).is_some_and(|by| by.values().sum::<u64>() >= 5),
            "{operation}: {counts:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_its_owner_sends_the_answer_is_one_of_the_document() {
    let report = run_as("owner", cases()).await;
    assert_each_was_tried(&report.counts);
    for operation in operations() {
        let worked = report.counts[&operation].keys().any(|status| status.starts_with('2'));
        assert!(worked, "{operation} never worked: {:?}", report.counts[&operation]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_stranger_or_nobody_sends_it_gets_nothing() {
    for role in ["stranger", "nobody"] {
        assert_each_was_tried(&run_as(role, cases().div_ceil(5)).await.counts);
    }
}
