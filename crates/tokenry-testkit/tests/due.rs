//! Many connections due at once, at a provider that bears few: all are fresh before they expire, none is refreshed twice,
//! and the provider is left alone whenever it asks for that.
//!
//! `TOKENRY_TEST_CONNECTIONS` sets how many there are (500 unless told).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a failed step is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tokenry_model::ExposeSecret as _;
use tokenry_oauth::ProviderSettings;
use tokenry_sandbox::{FaultRates, IssuedGrant, Sandbox};
use tokenry_testkit::app::{CLIENT_ID, TestApp, TestUser, sandbox_settings, start_sandbox};

const ACCESS_TTL: Duration = Duration::from_hours(1);
/// Within so long all of them become due.
const WITHIN: Duration = Duration::from_mins(1);
/// How long the first of them has left when the background begins: the most that its lot could have given it is twice that.
const LEFT: Duration = Duration::from_mins(5);
/// How many requests a second the provider bears.
const LIMIT_PER_S: u32 = 200;
/// What its file says, with room for readers.
const RATE_PER_S: u32 = 150;

fn count() -> usize {
    std::env::var("TOKENRY_TEST_CONNECTIONS").map_or(500, |text| text.parse().unwrap())
}

/// Brings the grants along as connections that become due one after the other.
async fn bring(app: &TestApp, user: &TestUser, grants: &[IssuedGrant]) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut lanes = tokio::task::JoinSet::new();
    let step = WITHIN / u32::try_from(grants.len()).unwrap();
    let dying: Vec<_> = (0..grants.len())
        .map(|n| now + ACCESS_TTL.saturating_sub(WITHIN) + step * u32::try_from(n).unwrap())
        .map(|at| tokenry_model::Timestamp::from_micros(at.as_micros().try_into().unwrap()).to_string())
        .collect();
    let all: Vec<_> = grants.iter().cloned().zip(dying).collect();
    for lane in all.chunks(grants.len().div_ceil(8)) {
        let (user, lane) = (user.clone(), lane.to_vec());
        lanes.spawn(async move {
            for (grant, expires_at) in lane {
                let body = json!({
                    "service": "sandbox", "kind": "oauth2", "name": grant.account,
                    "access_token": grant.access_token.expose_secret(),
                    "refresh_token": grant.refresh_token.map(|token| token.expose_secret().to_owned()),
                    "expires_at": expires_at,
                });
                user.api.post(&user.path("connections"), &body).await.expect(StatusCode::CREATED);
            }
        });
    }
    lanes.join_all().await;
    // The server's clock is moved to where the first of them is about to be due; the sandbox's tokens live on.
    app.clock.advance(ACCESS_TTL.saturating_sub(WITHIN + Duration::from_mins(1) + LEFT));
}

async fn number(app: &TestApp, sql: &'static str, now: Option<i64>) -> i64 {
    let url = format!("sqlite://{}", app.data_dir().join("tokenry.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let (value,): (Option<i64>,) = sqlx::query_as(sql).bind(now).fetch_one(&mut database).await.unwrap();
    value.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_fresh_before_they_expire_and_none_is_refreshed_twice() {
    let connections = count();
    let sandbox: Sandbox = start_sandbox(ACCESS_TTL).await;
    let grants = sandbox.issue_grants(CLIENT_ID, "person", connections, "openid profile").unwrap();
    // What it bears is a fact about it, and stands in its file.
    let file = format!(
        "id = \"sandbox\"\nname = \"Sandbox\"\nissuer = \"{}\"\n[refresh]\nrate_per_s = {RATE_PER_S}\n",
        sandbox.base_url()
    );
    let settings = ProviderSettings { issuer: None, ..sandbox_settings(&sandbox) };
    let app = TestApp::start_with(|config| {
        config.providers_dir = config.data_dir.join("providers");
        fs::create_dir_all(&config.providers_dir).unwrap();
        fs::write(config.providers_dir.join("sandbox.toml"), file).unwrap();
        config.providers = tokenry_testkit::app::providers(vec![("sandbox", settings)]);
    })
    .await;
    let user = app.user("ada").await;
    bring(&app, &user, &grants).await;
    sandbox.set_limit_per_s(Some(LIMIT_PER_S));
    sandbox.set_fault_rates(FaultRates { too_many: 0.05, retry_after_s: 1, server_error: 0.05, seed: 7 });

    let began = Instant::now();
    let app = app.restart_with(|config| config.refresh_ahead = true).await;
    let stale = "SELECT COUNT(*) FROM connections WHERE last_refreshed_at IS NULL";
    while number(&app, stale, None).await > 0 {
        let left = number(&app, stale, None).await;
        assert!(began.elapsed() < LEFT + Duration::from_mins(2), "some expired: {left} are not fresh");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = began.elapsed();
    // By how much the last of them was early: its new token came before its old one died.
    let seen = sandbox.seen();
    let by_account = sandbox.refreshes_by_account();
    println!(
        "{connections} connections due within {WITHIN:?}, a provider that bears {LIMIT_PER_S}/s, 5 % 429 and 5 % 503: \
         all fresh after {took:.1?} ({:.0}/s), the first expiry {:.0?} after the begin",
        f64::from(u32::try_from(connections).unwrap()) / took.as_secs_f64(),
        LEFT + Duration::from_mins(1),
    );
    println!(
        "{} requests, {} refreshes, {} answers 503, {} answers 429, Retry-After broken {} times, {} reuses, refreshed by \
         account: {:?}",
        seen.refresh_attempts,
        seen.refreshes,
        seen.refresh_attempts - seen.refreshes - seen.too_many_sent,
        seen.too_many_sent,
        seen.retry_after_broken,
        seen.reuses_detected,
        seen.grants_by_refreshes
    );
    assert!(took < LEFT + Duration::from_mins(1), "some expired before they were fresh");
    assert_eq!(seen.refreshes, u64::try_from(connections).unwrap());
    assert_eq!(seen.grants_by_refreshes, BTreeMap::from([(1, u64::try_from(connections).unwrap())]));
    assert!(by_account.values().all(|times| *times == 1));
    assert_eq!((seen.retry_after_broken, seen.reuses_detected), (0, 0));
    let away = seen.refresh_attempts - seen.refreshes - seen.too_many_sent;
    assert!(seen.too_many_sent > 0 && away > 0, "the provider had too good a day");
    let marked = "SELECT COUNT(*) FROM connections WHERE state <> 'ok'";
    assert_eq!(number(&app, marked, None).await, 0);
}
