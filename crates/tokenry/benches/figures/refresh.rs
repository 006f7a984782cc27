//! Refreshes: each with a durable intent before, and a durable answer after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::json;
use tokenry_model::ExposeSecret as _;
use tokenry_sandbox::IssuedGrant;
use tokenry_testkit::app::{CLIENT_ID, CLIENT_SECRET, TestApp, TestUser, start_sandbox};
use tokio::task::JoinSet;

const GRANTS: usize = 2000;
const AT_ONCE: usize = 16;
/// Short, so that all are due at once; not so short that they die while others are brought.
const TTL: Duration = Duration::from_mins(10);

/// Refreshes in a second, end to end, beside the token call alone: the same endpoint, asked by the same client.
pub(crate) fn throughput() {
    println!("\n## refresh of a due token, {AT_ONCE} at a time, on SQLite\n");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (bare, ours) = runtime.block_on(async {
        let sandbox = start_sandbox(TTL).await;
        let mine = sandbox.issue_grants(CLIENT_ID, "bare", GRANTS, "openid profile").unwrap();
        let theirs = sandbox.issue_grants(CLIENT_ID, "person", GRANTS, "openid profile").unwrap();
        let bare = token_calls(sandbox.base_url(), mine).await;
        let app = TestApp::start_with_sandbox(&sandbox).await;
        let user = app.user("ada").await;
        bring(&user, &theirs).await;
        app.clock.advance(TTL);
        (bare, reads(Arc::new(user)).await)
    });
    println!("- tokenry {ours:.0}/s, the token call alone {bare:.0}/s, ratio {:.2}", ours / bare);
}

/// A share of the work for each of those who do it at the same time.
fn shares<T: Clone>(all: &[T]) -> Vec<Vec<T>> {
    all.chunks(all.len().div_ceil(AT_ONCE)).map(<[T]>::to_vec).collect()
}

/// What a second brings, when so many were done since `began`.
fn rate(began: Instant) -> f64 {
    GRANTS as f64 / began.elapsed().as_secs_f64()
}

/// The token endpoint, asked by nothing but a client (RFC 6749 §6).
async fn token_calls(issuer: &str, grants: Vec<IssuedGrant>) -> f64 {
    let http = Client::builder().no_proxy().build().unwrap();
    let url: Arc<str> = format!("{issuer}/token").into();
    let (began, mut lanes) = (Instant::now(), JoinSet::new());
    for share in shares(&grants) {
        let (http, url) = (http.clone(), Arc::clone(&url));
        lanes.spawn(async move {
            for grant in share {
                let token = grant.refresh_token.unwrap();
                let form = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token.expose_secret()),
                    ("client_id", CLIENT_ID),
                    ("client_secret", CLIENT_SECRET),
                ];
                let answer = http.post(&*url).form(&form).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                answer.bytes().await.unwrap();
            }
        });
    }
    lanes.join_all().await;
    rate(began)
}

async fn bring(user: &TestUser, grants: &[IssuedGrant]) {
    let mut lanes = JoinSet::new();
    for share in shares(grants) {
        let user = user.clone();
        lanes.spawn(async move {
            for grant in share {
                let body = json!({
                    "service": "sandbox", "kind": "oauth2", "name": grant.account,
                    "access_token": grant.access_token.expose_secret(),
                    "refresh_token": grant.refresh_token.map(|token| token.expose_secret().to_owned()),
                    "expires_in": grant.expires_in,
                });
                user.api.post(&user.path("connections"), &body).await.expect(StatusCode::CREATED);
            }
        });
    }
    lanes.join_all().await;
}

/// Reads each token once: each is due.
async fn reads(user: Arc<TestUser>) -> f64 {
    let ids: Vec<i64> = (1..=i64::try_from(GRANTS).unwrap()).collect();
    let (began, mut lanes) = (Instant::now(), JoinSet::new());
    for share in shares(&ids) {
        let user = Arc::clone(&user);
        lanes.spawn(async move {
            for id in share {
                user.token_of(id).await;
            }
        });
    }
    lanes.join_all().await;
    rate(began)
}
