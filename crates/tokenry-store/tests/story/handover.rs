//! Grants on their way to another installation and from one, and what a restored database does not trust.

use tokenry_model::{ConnectionState, RefreshIntent, Timestamp};
use tokenry_store::{Brought, Store, StoreError};

use crate::fixture::{NOW, after, bytes, grant, oauth, provider, sealed, stores};

const INTENT: RefreshIntent = RefreshIntent { token: [7; 32], at: NOW, held: true };

#[tokio::test]
async fn a_grant_is_handed_over_only_as_it_was_seen_and_then_nobody_here_spends_it() {
    for db in stores().await {
        let ada = db.user_named("ada").await;
        let id = db.add_grant(ada, "a").await;
        let other = db.add_grant(ada, "b").await;
        let plain = db.add_plain(ada).await;
        let listed = db.store.list_exportable(Some(ada), 0, 10).await.unwrap();
        assert_eq!(listed.len(), 3, "{}", db.name);
        let seen = &listed[0];
        assert_eq!((seen.username.as_str(), seen.is_held, &seen.handover), ("ada", false, &None));

        // Refreshed since it was seen: the copy that was made of it is an old one.
        let fresh = oauth("email", 7200);
        let new = sealed("fresh", Some("rotated"));
        assert!(db.store.update_refreshed(id, 1, &new, &fresh, NOW).await.unwrap());
        assert!(!db.store.claim_handover(&seen.connection, "x1", "gone").await.unwrap(), "{}", db.name);

        // While somebody refreshes it, and after a refresh of which nobody knows how it ended.
        let seen = db.store.find_exportable(id).await.unwrap().unwrap();
        assert!(db.store.claim_refresh(id, 2, "somebody", after(15), &INTENT).await.unwrap());
        assert!(!db.store.claim_handover(&seen.connection, "x1", "gone").await.unwrap());
        assert!(db.store.find_exportable(id).await.unwrap().unwrap().is_held);
        let failed = tokenry_store::Failed {
            spent_unknown: true,
            counts: true,
            retry_at: None,
            renew_at: after(30),
            quarantine: None,
        };
        db.store.update_failed(id, "somebody", &failed).await.unwrap();
        assert!(!db.store.claim_handover(&seen.connection, "x1", "gone").await.unwrap());
        let seen = db.store.find_exportable(id).await.unwrap().unwrap();
        assert!(seen.connection.intent.is_some() && !seen.is_held);
        assert!(db.store.claim_handover(&seen.connection, "x1", "gone").await.unwrap());

        let it = db.store.find_exportable(id).await.unwrap().unwrap();
        assert_eq!(it.handover.as_deref(), Some("x1"));
        assert_eq!(it.connection.state, ConnectionState::HandedOver { reason: "gone".to_owned() });
        let gone = (it.connection.times.renew_at, it.connection.times.keep_at, it.connection.intent);
        assert_eq!(gone, (None, None, None));
        let generation = it.connection.generation;
        assert!(!db.store.claim_handover(&it.connection, "x2", "again").await.unwrap());
        assert!(!db.store.claim_refresh(id, generation, "me", after(99), &INTENT).await.unwrap());
        // A slow answer of before does not come back.
        assert!(!db.store.update_refreshed(id, 2, &new, &fresh, NOW).await.unwrap());
        // And to delete it here ends nothing there.
        assert!(db.store.delete_connection(ada, id, true, NOW).await.unwrap());
        assert_eq!(db.store.count_revocations().await.unwrap(), 0);
        assert!(db.store.find_exportable(id).await.unwrap().is_none());

        // What is no grant has nobody else to leave it to.
        let seen = db.store.find_exportable(plain).await.unwrap().unwrap();
        assert!(!db.store.claim_handover(&seen.connection, "x1", "gone").await.unwrap());
        assert_eq!(db.store.list_exportable(None, other.get(), 10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_is_taken_back_is_refreshed_here_again_and_is_in_doubt_until_it_was() {
    for db in stores().await {
        let ada = db.user().await;
        let (first, second) = (db.add_grant(ada, "a").await, db.add_grant(ada, "b").await);
        for (id, export) in [(first, "x1"), (second, "x2")] {
            let seen = db.store.find_exportable(id).await.unwrap().unwrap();
            assert!(db.store.claim_handover(&seen.connection, export, "gone").await.unwrap());
        }
        assert_eq!(db.store.update_taken_back("x1", "who knows", NOW).await.unwrap(), 1);
        assert_eq!(db.store.update_taken_back("x1", "who knows", NOW).await.unwrap(), 0);
        let it = db.connection(ada, first).await;
        assert_eq!((&it.state, it.doubt.as_deref()), (&ConnectionState::Ok, Some("who knows")));
        assert_eq!(it.times.renew_at, it.times.due_at);
        assert!(matches!(db.connection(ada, second).await.state, ConnectionState::HandedOver { .. }));

        let new = sealed("fresh", Some("rotated"));
        assert!(db.store.update_refreshed(first, it.generation, &new, &oauth("", 60), NOW).await.unwrap());
        assert_eq!(db.connection(ada, first).await.doubt, None, "{}: the new token is in doubt", db.name);
    }
}

fn brought(origin: &str, state: ConnectionState) -> Brought {
    Brought {
        origin: origin.to_owned(),
        state,
        doubt: Some("who knows".to_owned()),
        connected_at: Some(after(1)),
        last_refreshed_at: Some(after(2)),
        created_at: after(3),
    }
}

#[tokio::test]
async fn an_imported_connection_is_there_once_and_a_copy_becomes_the_grant_once() {
    for db in stores().await {
        let ada = db.user().await;
        let copy = ConnectionState::HandedOver { reason: "a copy".to_owned() };
        let import = async |account: &str, origin: &str| {
            let brought = brought(origin, copy.clone());
            let seal = |_| Ok::<_, StoreError>(sealed("brought", None));
            db.store.insert_imported(&grant(ada, account), &brought, NOW, seal).await
        };
        let id = import("a", "there/4").await.unwrap();
        assert!(matches!(import("b", "there/4").await, Err(StoreError::Conflict)), "{}", db.name);
        assert!(matches!(import("a", "there/5").await, Err(StoreError::Conflict)), "{}", db.name);
        let it = db.store.find_connection_by_origin("there/4").await.unwrap().unwrap();
        assert_eq!((it.id, &it.state, it.doubt.as_deref()), (id, &copy, Some("who knows")));
        assert_eq!((it.connected_at, it.last_refreshed_at), (Some(after(1)), Some(after(2))));
        assert_eq!((it.created_at, it.updated_at), (after(3), NOW));
        assert_eq!((it.access_token.clone(), it.refresh_token.clone()), (bytes("brought"), None));
        assert!(db.store.find_connection_by_origin("there/5").await.unwrap().is_none());

        let whole = sealed("access", Some("refresh"));
        let credential = oauth("email", 7200);
        assert!(db.store.update_activated(&it, &whole, &credential, None, after(9)).await.unwrap());
        assert!(!db.store.update_activated(&it, &whole, &credential, None, after(9)).await.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!((&it.state, it.refresh_token.clone()), (&ConnectionState::Ok, Some(bytes("refresh"))));
        assert_eq!((it.doubt.clone(), it.times.expires_at), (None, Some(after(7200))));

        // One that left from here is no copy: an old file does not bring it back.
        let seen = db.store.find_exportable(id).await.unwrap().unwrap();
        assert!(db.store.claim_handover(&seen.connection, "x", "gone").await.unwrap());
        let it = db.connection(ada, id).await;
        assert!(!db.store.update_activated(&it, &whole, &credential, None, after(9)).await.unwrap());
    }
}

#[tokio::test]
async fn a_fact_is_the_first_that_was_said_until_it_is_taken_away() {
    for db in stores().await {
        assert_eq!(db.store.find_fact("id").await.unwrap(), None);
        db.store.insert_fact("id", "first", NOW).await.unwrap();
        db.store.insert_fact("id", "second", NOW).await.unwrap();
        assert_eq!(db.store.find_fact("id").await.unwrap().as_deref(), Some("first"), "{}", db.name);
        db.store.delete_fact("id").await.unwrap();
        assert_eq!(db.store.find_fact("id").await.unwrap(), None);
    }
}

#[tokio::test]
async fn nobody_starts_on_a_database_that_was_moved_and_who_runs_spends_nothing() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "a").await;
        db.store.insert_fact("moved", "to somewhere", NOW).await.unwrap();
        assert!(!db.store.claim_refresh(id, 1, "me", after(15), &INTENT).await.unwrap(), "{}", db.name);
        let Err(error) = Store::open(&db.url).await else { panic!("{}: it opened", db.name) };
        assert!(matches!(error, StoreError::Moved { .. }), "{error:?}");
        assert!(error.to_string().contains("moved to somewhere"), "{error}");

        assert!(tokenry_store::take_back_store(&db.url, "taken back").await.unwrap());
        assert!(!tokenry_store::take_back_store(&db.url, "taken back").await.unwrap());
        Store::open(&db.url).await.unwrap().close().await;
        assert_eq!(db.connection(ada, id).await.doubt.as_deref(), Some("taken back"));
        assert!(db.store.claim_refresh(id, 1, "me", after(15), &INTENT).await.unwrap());
    }
}

#[tokio::test]
async fn a_restored_database_doubts_its_grants_and_knows_no_sign_in() {
    for db in stores().await {
        let ada = db.user().await;
        let (held, plain) = (db.add_grant(ada, "a").await, db.add_plain(ada).await);
        let lost = db.add_grant(ada, "b").await;
        assert!(db.store.update_reconnect_required(lost, 1, "refused").await.unwrap());
        assert!(db.store.claim_refresh(held, 1, "the dead", after(3600), &INTENT).await.unwrap());
        let key = tokenry_store::StoredSigningKey { id: 1, sealed: bytes("signs") };
        db.store.insert_signing_key(&key, NOW).await.unwrap();
        assert_eq!(db.store.update_restored("a backup of then", false).await.unwrap(), 1, "{}", db.name);
        let it = db.connection(ada, held).await;
        assert_eq!((&it.state, it.doubt.as_deref()), (&ConnectionState::Ok, Some("a backup of then")));
        assert!(it.intent.is_some_and(|intent| !intent.held), "{}: the lease of the dead", db.name);
        assert_eq!(db.connection(ada, plain).await.doubt, None);
        assert!(db.store.list_signing_keys().await.unwrap().is_empty());

        // An answer that waits in the spool is newer than what came back.
        let mut waiting = spooled(ada, held, 5);
        assert!(db.store.update_to_await(&waiting).await.unwrap());
        assert!(!db.store.update_to_await(&waiting).await.unwrap());
        let new = sealed("fresh", Some("rotated"));
        assert!(db.store.update_refreshed(held, 5, &new, &oauth("", 60), NOW).await.unwrap());
        waiting.generation = 3;
        assert!(!db.store.update_to_await(&waiting).await.unwrap(), "{}: an old answer", db.name);
    }
}

#[tokio::test]
async fn a_copy_of_an_installation_that_lives_on_refreshes_and_revokes_nothing() {
    for db in stores().await {
        let ada = db.user().await;
        let (id, deleted) = (db.add_grant(ada, "a").await, db.add_grant(ada, "b").await);
        assert!(db.store.delete_connection(ada, deleted, true, NOW).await.unwrap());
        assert_eq!(db.store.count_revocations().await.unwrap(), 1);
        db.store.insert_fact("id", "the original", NOW).await.unwrap();
        assert_eq!(db.store.update_restored("a copy", true).await.unwrap(), 1, "{}", db.name);
        let it = db.connection(ada, id).await;
        assert_eq!(it.state, ConnectionState::HandedOver { reason: "a copy".to_owned() });
        assert!(!db.store.claim_refresh(id, it.generation, "me", after(15), &INTENT).await.unwrap());
        assert_eq!(db.store.count_revocations().await.unwrap(), 0);
        assert_eq!(db.store.find_fact("id").await.unwrap(), None);
        let due = db.store.list_due(after(1_000_000), Timestamp::from_micros(0)).await.unwrap();
        assert!(due.is_empty(), "{}: {due:?}", db.name);
    }
}

fn spooled(
    user: tokenry_model::UserId,
    id: tokenry_model::ConnectionId,
    generation: i64,
) -> tokenry_store::Spooled {
    tokenry_store::Spooled {
        user_id: user,
        connection_id: id,
        provider: provider("github"),
        account: None,
        generation,
        sealed: sealed("spooled", None),
        spent: None,
        credential: oauth("", 60),
    }
}

#[tokio::test]
async fn the_files_of_the_spool_go_along_and_come_back_as_they_were() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spool = tokenry_store::Spool::new(here.path().join("spool"));
    assert!(spool.files().unwrap().is_empty());
    spool.reserve().unwrap();
    let one = spooled(tokenry_model::UserId::new(1), tokenry_model::ConnectionId::new(4), 2);
    spool.put(&one).unwrap();
    let files = spool.files().unwrap();
    assert_eq!(files.len(), 1, "room that is set aside is no answer");
    let other = tokenry_store::Spool::new(there.path().join("spool"));
    other.put_file(&files[0].0, &files[0].1).unwrap();
    other.put_file(&files[0].0, b"older").unwrap();
    assert_eq!(format!("{:?}", other.list().unwrap()), format!("[{one:?}]"));
    for name in ["../x.spooled", "room-1.reserve", "a.spooled"] {
        assert!(other.put_file(name, b"x").is_err(), "{name}");
    }
}
