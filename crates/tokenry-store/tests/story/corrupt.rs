//! Rows that no version of Tokenry writes. Each is a named error; none becomes a default, and none a database that is
//! said to be away.

use tokenry_model::{ConnectionId, StateHash, UserId, Username};
use tokenry_store::{Store, StoreError};

use crate::fixture::{Fixture, NOW, after, bytes, flow, provider, realm, sqlite, stores};

/// The error is about this row, and says so in words.
#[track_caller]
fn assert_corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>, row: &str, what: &str) {
    match result {
        Err(StoreError::Corrupt { row: named, why }) => {
            assert!(named.contains(row), "{what}: the error names {named:?}, not {row:?}");
            assert!(!why.is_empty(), "{what}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn nonsense_in_a_connection_is_an_error_that_names_the_connection() {
    for nonsense in [
        "state = 'fine'",
        "state = ''",
        "state = 'OK'",
        "state = 'reconnect_required', state_reason = NULL",
        "state = 'ok', state_reason = 'a reason for nothing'",
        "kind = 'oauth9'",
        "kind = ''",
        "provider = 'No Such/Provider'",
        "provider = ''",
        "name = 'two' || char(10) || 'lines'",
    ] {
        for db in stores().await {
            let ada = db.user().await;
            let id = db.add_grant(ada, "42").await;
            db.execute(format!("UPDATE connections SET {nonsense}")).await;
            let row = format!("connections {id}");
            assert_corrupt(db.store.find_connection(ada, id).await, &row, nonsense);
            assert_corrupt(db.store.list_connections(ada, 0, 10).await, &row, nonsense);
            if nonsense.starts_with("state") || nonsense.starts_with("name") {
                assert_corrupt(db.store.list_tokens(ada, 0, 10).await, &row, nonsense);
            }
            if !nonsense.contains("provider") {
                let github = provider("github");
                let found = db.store.find_connection_by_account(ada, &github, "42", &realm()).await;
                assert_corrupt(found, &row, nonsense);
            }
        }
    }
}

#[tokio::test]
async fn a_column_of_the_wrong_type_is_corrupt_and_not_a_database_that_is_away() {
    // PostgreSQL does not let it in.
    for db in [sqlite().await] {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        db.execute("UPDATE connections SET generation = 'many'").await;
        assert_corrupt(db.store.find_connection(ada, id).await, "generation", "a word for a number");
        db.execute("UPDATE users SET session_epoch = 'soon'").await;
        assert_corrupt(db.store.find_user(ada).await, "session_epoch", "a word for the epoch");
        assert_corrupt(db.store.find_connection(ada, id).await, "session_epoch", "a word for the epoch");
    }
}

#[tokio::test]
async fn an_id_below_one_is_an_error() {
    for bad in [0, -3] {
        for db in stores().await {
            let ada = db.user().await;
            let id = db.add_grant(ada, "42").await;
            db.store.delete_connection(ada, id, true, NOW).await.unwrap();
            db.execute(format!("UPDATE revocations SET connection_id = {bad}")).await;
            let claimed = db.store.claim_revocations(None, 10, NOW, std::time::Duration::ZERO).await;
            assert_corrupt(claimed, "revocations", "the connection of a revocation");
            db.execute(format!("UPDATE revocations SET connection_id = 1, user_id = {bad}")).await;
            let claimed = db.store.claim_revocations(None, 10, NOW, std::time::Duration::ZERO).await;
            assert_corrupt(claimed, "revocations", "the user of a revocation");

            let id = db.add_grant(ada, "43").await;
            db.execute(format!("UPDATE connections SET id = {bad} WHERE id = {id}")).await;
            let found = db.store.find_connection(ada, ConnectionId::new(bad)).await;
            assert_corrupt(found, &format!("connections {bad}"), "a connection");
            let found = db.store.find_connection_by_account(ada, &provider("github"), "43", &realm()).await;
            assert_corrupt(found, &format!("connections {bad}"), "a connection by its account");
            assert_corrupt(db.store.list_connections(ada, -10, 10).await, "connections", "a list");
            assert_corrupt(db.store.list_tokens(ada, -10, 10).await, "connections", "a list of tokens");
            let sharer = db.store.find_account_sharer(&provider("github"), "43", ConnectionId::new(9)).await;
            assert_corrupt(sharer, "connections", "a sharer");

            db.execute(format!("UPDATE users SET id = {bad}")).await;
            assert_corrupt(db.store.find_user(UserId::new(bad)).await, &format!("users {bad}"), "a user");
            let name = Username::parse("user0").unwrap();
            assert_corrupt(db.store.find_login(&name).await, &format!("users {bad}"), "a login");
            assert_corrupt(db.store.list_users().await, &format!("users {bad}"), "all users");
        }
    }
}

#[tokio::test]
async fn nonsense_in_a_user_is_an_error_that_names_the_user() {
    for nonsense in ["username = 'two words'", "username = ''", "email = 'no address'"] {
        for db in stores().await {
            let ada = db.user_named("ada").await;
            db.execute(format!("UPDATE users SET {nonsense}")).await;
            let row = format!("users {ada}");
            assert_corrupt(db.store.find_user(ada).await, &row, nonsense);
            assert_corrupt(db.store.find_login(&Username::parse("ada").unwrap()).await, &row, nonsense);
            assert_corrupt(db.store.list_users().await, &row, nonsense);
        }
    }
}

async fn with_flow(db: &Fixture) -> (UserId, StateHash) {
    let ada = db.user().await;
    let flow = flow(ada, 1);
    db.store.insert_flow(&flow, NOW).await.unwrap();
    (ada, flow.state_hash)
}

#[tokio::test]
async fn nonsense_in_a_flow_is_an_error() {
    for nonsense in
        ["stage = 'done'", "stage = ''", "provider = '?'", "browser_hash = x'0102'", "user_id = 0"]
    {
        for db in stores().await {
            let (_, state) = with_flow(&db).await;
            db.execute(format!("UPDATE flows SET {nonsense}")).await;
            assert_corrupt(db.store.claim_flow(&state, after(1)).await, "flows", nonsense);
        }
    }
}

#[tokio::test]
async fn a_parked_flow_without_a_grant_is_an_error() {
    for db in stores().await {
        let (_, state) = with_flow(&db).await;
        db.store.claim_flow(&state, NOW).await.unwrap();
        let (confirm, browser) = ([7; 32], [8; 32]);
        db.store.update_flow_parked(&state, &confirm, &browser, &bytes("grant"), after(60)).await.unwrap();
        db.execute("UPDATE flows SET sealed_grant = NULL").await;
        assert_corrupt(db.store.find_parked(&confirm, &browser, NOW).await, "flows", "found");
        assert_corrupt(db.store.list_expired_parked(after(60), 10).await, "flows", "listed");
        assert_corrupt(db.store.claim_parked(&state).await, "flows", "claimed");
    }
}

#[tokio::test]
async fn nonsense_in_a_revocation_is_an_error() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        db.store.delete_connection(ada, id, true, NOW).await.unwrap();
        db.execute("UPDATE revocations SET provider = 'Git Hub'").await;
        let claimed = db.store.claim_revocations(None, 10, NOW, std::time::Duration::ZERO).await;
        assert_corrupt(claimed, "revocations", "a provider id with a space");
    }
}

#[tokio::test]
async fn nonsense_in_the_key_ring_is_an_error_before_and_after_opening() {
    for values in ["-1, x'00', 1", "4294967296, x'00', 1", "1, x'00', 7", "1, x'00', -1"] {
        for db in stores().await {
            db.execute(format!(
                "INSERT INTO data_keys (id, wrapped, is_current, created_at) VALUES ({values}, 0)"
            ))
            .await;
            assert_corrupt(db.store.list_keys().await, "data_keys", values);
            assert_corrupt(Store::peek_keys(&db.url).await, "data_keys", values);
        }
    }
}
