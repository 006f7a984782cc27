//! How much one user may have.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokenry::config::Config;
use tokenry_broker::Quotas;
use tokenry_model::ExposeSecret as _;
use tokenry_testkit::app::{TestApp, TestUser};
use url::Url;

use crate::services::Services;
use crate::world::{World, browser_with, eventually, param};

fn at_most(connections: i64, flows: i64) -> impl FnOnce(&mut Config) {
    move |config| config.quotas = Quotas { connections, flows }
}

async fn refused(user: &TestUser) {
    let body = json!({"name": "", "token_type": "spotify", "token": "t"});
    let answer = user.api.post(&user.path("add/connection"), &body).await;
    let answer = answer.expect_error(409, "too_many_connections");
    assert!(answer.text("message").contains("delete one"), "{answer:?}");
}

#[tokio::test]
async fn a_user_keeps_so_many_connections_and_a_deleted_one_makes_room() {
    let app = TestApp::start_with(at_most(3, 50)).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let first = ada.add("1", "spotify", "t").await;
    for name in ["2", "3"] {
        ada.add(name, "spotify", "t").await;
    }
    refused(&ada).await;
    for body in [
        json!({"service": "openai", "kind": "api_key", "api_key": "k"}),
        json!({"service": "spotify", "kind": "plain", "token": "t"}),
    ] {
        ada.api.post(&ada.path("connections"), &body).await.expect_error(409, "too_many_connections");
    }
    assert_eq!(ada.list().await.len(), 3);
    bob.add("1", "spotify", "t").await;
    ada.api.delete(&ada.path(&format!("connection/delete/{first}"))).await.expect(StatusCode::OK);
    ada.add("4", "spotify", "t").await;
    refused(&ada).await;

    let app = app.restart_with(at_most(0, 50)).await;
    let _ = &app;
    ada.add("5", "spotify", "t").await;
}

#[tokio::test]
async fn what_many_add_at_once_is_counted_as_well() {
    let app = TestApp::start_with(at_most(10, 50)).await;
    let ada = app.user("ada").await;
    let adding: Vec<_> = (0..40)
        .map(|n| {
            let ada = ada.clone();
            tokio::spawn(async move {
                let body = json!({"name": n.to_string(), "token_type": "spotify", "token": "t"});
                ada.api.post(&ada.path("add/connection"), &body).await.status
            })
        })
        .collect();
    let mut added = 0;
    for each in adding {
        added += usize::from(each.await.unwrap() == StatusCode::OK);
    }
    assert_eq!(ada.list().await.len(), added);
    // SQLite writes one after the other. Elsewhere as many too many come in as are written at the same moment: no more than
    // there are database connections.
    let one_by_one = app.config.database_url.expose_secret().starts_with("sqlite:");
    let most = if one_by_one { 10 } else { 10 + app.config.database_pool.connections };
    assert!((10..=most).contains(&added), "{added}");
}

#[tokio::test]
async fn a_grant_that_finds_no_room_is_given_back_and_a_renewed_one_needs_none() {
    let world = World::start_with(at_most(1, 50)).await;
    let ada = world.app.user("ada").await;
    let id = world.connect(&ada, "grace").await;
    let (link, cookie) = ada.link("sandbox").await;
    let page = browser_with(&world.app, &cookie).consent_sandbox(link, "linus").await;
    assert!(
        page.body.contains("as many connections as this server keeps for one person (1)"),
        "{}",
        page.body
    );
    assert_eq!(world.seen().codes_exchanged, 2);
    eventually("the grant that nobody has is given back", async || {
        world.app.server().broker().do_chores().await;
        world.seen().live_families == 1
    })
    .await;
    assert_eq!(world.connect(&ada, "grace").await, id);
    ada.token_of(id).await;
}

#[tokio::test]
async fn a_device_that_finds_no_room_has_its_grant_given_back() {
    let services = Services::start().await;
    let (app, sandbox, ada) = (services.app, services.sandbox, services.ada);
    let app = app.restart_with(at_most(1, 50)).await;
    ada.add("1", "spotify", "t").await;
    let begun = ada.api.post(&ada.path("connections/device"), &json!({"service": "sandbox"})).await;
    let begun = begun.expect(StatusCode::CREATED);
    sandbox.decide_device(&begun.text("user_code"), Some("grace")).unwrap();
    let wait = std::time::Duration::from_secs(5);
    app.clock.advance(wait);
    sandbox.advance(wait);
    ada.api.get(begun.header("location")).await.expect_error(409, "too_many_connections");
    eventually("the grant is given back", async || {
        app.server().broker().do_chores().await;
        sandbox.seen().live_families == 0
    })
    .await;
    assert_eq!(ada.api.get(begun.header("location")).await.json()["status"], "expired");
}

#[tokio::test]
async fn of_the_connects_that_nobody_ends_the_oldest_are_forgotten() {
    let world = World::start_with(at_most(1000, 3)).await;
    let (ada, bob) = (world.app.user("ada").await, world.app.user("bob").await);
    let bobs = bob.link("sandbox").await;
    let mut links = Vec::new();
    for _ in 0..5 {
        links.push(ada.link("sandbox").await);
    }
    let come_back = async |(link, cookie): &(String, String)| {
        let state = param(&link.parse().unwrap(), "state");
        let mut url = Url::parse(&format!("{}/callback/sandbox", world.app.base())).unwrap();
        let issuer = world.sandbox.base_url();
        url.query_pairs_mut().extend_pairs([("error", "access_denied"), ("state", &state), ("iss", issuer)]);
        browser_with(&world.app, cookie).get(url).await.body
    };
    for forgotten in &links[..2] {
        let page = come_back(forgotten).await;
        assert!(page.contains("not one of ours, or it is so old"), "{page}");
    }
    for kept in links[2..].iter().chain([&bobs]) {
        let page = come_back(kept).await;
        assert!(page.contains("declined there"), "{page}");
    }
    // One that was used is told so, and takes no place of those under way.
    for _ in 0..3 {
        ada.link("sandbox").await;
    }
    let page = come_back(&links[4]).await;
    assert!(page.contains("used before"), "{page}");
    let answer =
        ada.api.send(Method::GET, "/api/user/connection/access/token/sandbox", &[], Vec::new()).await;
    answer.expect(StatusCode::OK);
}
