//! Connecting again: the same account renews its connection, another one makes another.

use reqwest::StatusCode;
use serde_json::json;
use tokenry_model::{ConnectionId, UserId};
use tokenry_sandbox::{Fault, FaultKind};
use tokenry_store::Store;
use tokenry_testkit::app::TestUser;

use crate::world::{PAST_EXPIRY, World, browser_with, connection_on, eventually};

#[tokio::test]
async fn the_same_account_renews_its_connection_and_keeps_its_id_and_name() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    let old = user.token_of(id).await;
    let rename = user.path(&format!("update/connection/name/{id}"));
    user.api.put(&rename, &json!({"name": "mine"})).await.expect(StatusCode::OK);
    world.sandbox.forget_grants_of("grace");
    world.app.clock.advance(PAST_EXPIRY);
    user.get_token(id).await.expect_error(409, "reconnect_required");

    let (link, cookie) = user.link("sandbox").await;
    let page = browser_with(&world.app, &cookie).consent_sandbox(link, "grace").await;
    assert_eq!(connection_on(&page), id);
    assert!(page.body.contains("Renewed"), "{}", page.body);
    let new = user.token_of(id).await;
    assert_ne!(new, old);
    let list = user.list().await;
    assert_eq!(list.len(), 1);
    assert_eq!(
        (&list[0]["ID"], &list[0]["Name"], &list[0]["Token"]),
        (&json!(id), &json!("mine"), &json!(new))
    );
    // It refreshes like a new one.
    world.app.clock.advance(PAST_EXPIRY);
    assert_ne!(user.token_of(id).await, new);
}

#[tokio::test]
async fn another_account_makes_a_second_connection() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (first, second) = (world.connect(&user, "grace").await, world.connect(&user, "linus").await);
    assert_ne!(first, second);
    assert_ne!(user.token_of(first).await, user.token_of(second).await);
    let names: Vec<_> = user.list().await.iter().map(|c| c["Name"].clone()).collect();
    assert_eq!(names, ["sandbox (grace)", "sandbox (linus)"]);
}

#[tokio::test]
async fn another_user_with_the_same_account_gets_their_own_connection() {
    let world = World::start().await;
    let (ada, bob) = (world.app.user("ada").await, world.app.user("bob").await);
    let (hers, his) = (world.connect(&ada, "grace").await, world.connect(&bob, "grace").await);
    assert_ne!(hers, his);
    assert_ne!(ada.token_of(hers).await, bob.token_of(his).await);
    ada.get_token(his).await.expect_error(404, "no_such_connection");
    assert_eq!((ada.list().await.len(), bob.list().await.len()), (1, 1));
}

#[tokio::test]
async fn a_deleted_connection_is_not_renewed_but_made_anew() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let first = world.connect(&user, "grace").await;
    user.api.delete(&user.path(&format!("connection/delete/{first}"))).await.expect(StatusCode::OK);
    let second = world.connect(&user, "grace").await;
    assert_ne!(first, second);
    user.get_token(first).await.expect_error(404, "no_such_connection");
    user.token_of(second).await;
}

#[tokio::test]
async fn two_connects_of_one_account_at_once_end_in_one_connection() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let (mut one, first) = world.consent(&user, "grace").await;
    let (mut two, second) = world.consent(&user, "grace").await;
    let (first, second) = tokio::join!(one.get(&first), two.get(&second));
    assert_eq!(connection_on(&first), connection_on(&second));
    assert_eq!(user.list().await.len(), 1);
    user.token_of(connection_on(&first)).await;
}

#[tokio::test]
async fn connecting_again_wins_over_a_refresh_in_flight() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    world.app.clock.advance(PAST_EXPIRY);
    let (mut browser, callback) = world.consent(&user, "grace").await;
    world.sandbox.inject(Fault::on_refresh(FaultKind::SlowBody { ms_total: 600 }));
    let reader = tokio::spawn({
        let user = user.clone();
        async move { user.token_of(id).await }
    });
    eventually("the refresh token is spent", async || world.seen().refreshes == 1).await;
    assert_eq!(connection_on(&browser.get(&callback).await), id);
    let renewed = user.list().await[0]["Token"].clone();
    // The reader gets the token that stands, not the one that came too late.
    assert_eq!(reader.await.unwrap(), renewed);
    assert_eq!(user.token_of(id).await, renewed);
    assert_eq!(world.seen().refresh_attempts, 1);
}

/// What a connection was granted, as the row says: no endpoint tells it yet.
async fn scopes_of(world: &World, user: &TestUser, id: i64) -> String {
    use secrecy::ExposeSecret as _;
    let store = Store::open(world.app.config.database_url.expose_secret()).await.unwrap();
    let owner = UserId::new(user.list().await[0]["UserID"].as_i64().unwrap());
    let owned = store.find_connection(owner, ConnectionId::new(id)).await.unwrap().unwrap();
    store.close().await;
    owned.connection.unwrap().scopes.to_string()
}

#[tokio::test]
async fn what_was_granted_is_kept_and_not_what_was_asked_for() {
    let sandbox = tokenry_model::ProviderId::parse("sandbox").unwrap();
    let world = World::start_with(|config| {
        let settings = config.providers.get_mut(&sandbox).unwrap();
        settings.scopes = Some(["profile", "email", "files"].into_iter().collect());
    })
    .await;
    let user = world.app.user("ada").await;
    let id = world.connect(&user, "grace").await;
    assert_eq!(scopes_of(&world, &user, id).await, "profile email files");

    // The person unticks a box.
    let (link, cookie) = user.link("sandbox").await;
    let mut browser = browser_with(&world.app, &cookie);
    let page = browser.get(link).await;
    let form = page.form_with("decision").unwrap();
    let fields = [("account", "grace"), ("scope", "email"), ("scope", "profile"), ("decision", "allow")];
    assert_eq!(connection_on(&browser.submit(&form, &fields).await), id);
    assert_eq!(scopes_of(&world, &user, id).await, "profile email");
    // A refresh keeps them.
    world.app.clock.advance(PAST_EXPIRY);
    user.token_of(id).await;
    assert_eq!(scopes_of(&world, &user, id).await, "profile email");
}
