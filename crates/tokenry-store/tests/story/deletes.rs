//! Deletes that can be taken back: out of service at once, gone when their time has come, and never both.

use std::time::Duration;

use tokenry_model::{ConnectionId, RefreshIntent, UserId};
use tokenry_store::Wanted;

use crate::fixture::{Fixture, NOW, after, name, oauth, provider, realm, sealed, stores};

const RETRY: Duration = Duration::from_mins(2);

async fn ask(db: &Fixture, user: UserId, id: ConnectionId, at_s: u64) {
    assert!(db.store.update_to_delete(user, id, after(at_s)).await.unwrap(), "{}", db.name);
}

#[tokio::test]
async fn what_waits_to_be_deleted_is_out_of_service_and_its_row_is_whole() {
    for db in stores().await {
        let ada = db.user().await;
        let (stays, goes) = (db.add_grant(ada, "1").await, db.add_grant(ada, "2").await);
        assert!(db.store.find_ready(ada, goes).await.unwrap().is_some());
        ask(&db, ada, goes, 30).await;

        assert!(db.store.find_ready(ada, goes).await.unwrap().is_none());
        assert!(db.store.find_ready(ada, stays).await.unwrap().is_some());
        let all = db.store.list_connections(ada, 0, 10).await.unwrap().unwrap().connections;
        assert_eq!(all.iter().map(|each| each.id).collect::<Vec<_>>(), [stays]);
        let tokens = db.store.list_tokens(ada, 0, 10).await.unwrap().unwrap().connections;
        assert_eq!(tokens.iter().map(|each| each.id).collect::<Vec<_>>(), [stays]);
        let wanted = db.store.list_wanted(ada, &Wanted::default(), 0, 10).await.unwrap().unwrap().connections;
        assert_eq!(wanted.iter().map(|each| each.id).collect::<Vec<_>>(), [stays]);
        assert!(!db.store.update_connection_name(ada, goes, &name("x"), NOW).await.unwrap());
        let exportable = db.store.list_exportable(Some(ada), 0, 10).await.unwrap();
        assert_eq!(exportable.iter().map(|each| each.connection.id).collect::<Vec<_>>(), [stays]);
        assert!(db.store.find_exportable(goes).await.unwrap().is_none());
        let seen = db.connection(ada, goes).await;
        assert!(!db.store.claim_handover(&seen, "export", "why").await.unwrap());

        // It still counts, and its account is still taken: it may come back.
        assert_eq!(db.store.count_connections(ada).await.unwrap(), 2);
        let found =
            db.store.find_connection_by_account(ada, &provider("github"), "2", &realm()).await.unwrap();
        assert_eq!(found.unwrap().id, goes);
        let owned = db.store.find_connection(ada, goes).await.unwrap().unwrap();
        assert_eq!((owned.delete_at, owned.connection.unwrap().id), (Some(after(30)), goes));
        let leaving = db.store.list_leaving(ada).await.unwrap();
        assert_eq!(leaving.iter().map(|(c, at)| (c.id, *at)).collect::<Vec<_>>(), [(goes, after(30))]);
        assert_eq!(seen.access_token.as_bytes(), b"sealed access", "{}", db.name);
    }
}

#[tokio::test]
async fn nobody_begins_a_refresh_of_what_waits_to_be_deleted_and_one_under_way_is_kept() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "1").await;
        db.execute(format!(
            "UPDATE connections SET renew_at = {0}, keep_at = {0} WHERE id = {id}",
            NOW.micros()
        ))
        .await;
        let github = provider("github");
        let due = async || db.store.list_due(after(1), NOW).await.unwrap().len();
        let renewable = async || db.store.list_renewable(&github, after(1), NOW, 10).await.unwrap().len();
        assert!(due().await > 0 && renewable().await > 0);
        ask(&db, ada, id, 30).await;
        assert_eq!((due().await, renewable().await), (0, 0));
        let intent = RefreshIntent { token: [1; 32], at: after(1), held: true };
        assert!(!db.store.claim_refresh(id, 1, "me", after(20), &intent).await.unwrap());
        // The provider has given the next tokens to whoever asked before: they are the ones that count.
        let (new, credential) = (sealed("next", Some("next refresh")), oauth("email", 7200));
        assert!(db.store.update_refreshed(id, 1, &new, &credential, after(2)).await.unwrap());
        assert!(db.store.update_undeleted(ada, id).await.unwrap());
        assert_eq!(db.connection(ada, id).await.refresh_token.unwrap().as_bytes(), b"next refresh");
        assert!(db.store.claim_refresh(id, 2, "me", after(20), &intent).await.unwrap(), "{}", db.name);
    }
}

#[tokio::test]
async fn a_delete_is_asked_for_once_and_taken_back_once_and_only_by_its_owner() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let id = db.add_grant(ada, "1").await;
        assert!(!db.store.update_to_delete(bob, id, after(30)).await.unwrap());
        assert!(!db.store.update_undeleted(ada, id).await.unwrap());
        ask(&db, ada, id, 30).await;
        // Asking again does not put it off.
        assert!(!db.store.update_to_delete(ada, id, after(90)).await.unwrap());
        assert!(!db.store.update_undeleted(bob, id).await.unwrap());
        assert!(db.store.list_leaving(bob).await.unwrap().is_empty());
        assert!(db.store.update_undeleted(ada, id).await.unwrap());
        assert!(!db.store.update_undeleted(ada, id).await.unwrap());
        assert!(db.store.find_ready(ada, id).await.unwrap().is_some());
        assert!(!db.store.claim_delete(ada, id, true, after(31)).await.unwrap());
        assert_eq!(db.store.count_revocations().await.unwrap(), 0, "{}", db.name);
    }
}

#[tokio::test]
async fn a_delete_is_carried_out_when_its_time_has_come_with_its_revocation_and_once() {
    for db in stores().await {
        let ada = db.user().await;
        let (first, second) = (db.add_grant(ada, "1").await, db.add_grant(ada, "2").await);
        let other = db.add_grant(ada, "3").await;
        ask(&db, ada, second, 20).await;
        ask(&db, ada, first, 30).await;
        let due = async |at_s| {
            let due = db.store.list_to_delete(after(at_s), None, 10).await.unwrap().connections;
            due.iter().map(|each| each.id).collect::<Vec<_>>()
        };
        assert_eq!(due(19).await, []);
        assert_eq!(due(20).await, [second]);
        assert_eq!(due(30).await, [second, first]);
        assert!(!db.store.claim_delete(ada, first, true, after(29)).await.unwrap());
        assert!(!db.store.claim_delete(ada, other, true, after(99)).await.unwrap());
        assert!(db.store.claim_delete(ada, first, true, after(30)).await.unwrap());
        assert!(!db.store.claim_delete(ada, first, true, after(30)).await.unwrap());
        assert!(!db.store.update_undeleted(ada, first).await.unwrap());
        assert_eq!(due(30).await, [second]);
        let queued = db.store.claim_revocations(None, 10, after(30), RETRY).await.unwrap();
        assert_eq!(queued.iter().map(|each| each.connection_id).collect::<Vec<_>>(), [first]);
        let column = |column: &str| format!("SELECT {column} FROM connections WHERE id = {first}");
        assert_eq!(db.bytes(column("sealed_access")).await.as_deref(), Some(&b""[..]));
        assert_eq!(db.bytes(column("sealed_refresh")).await, None);
        assert_eq!(db.number(column("deleted_at")).await, Some(after(30).micros()), "{}", db.name);
    }
}

#[tokio::test]
async fn of_taking_back_and_carrying_out_at_the_same_moment_one_happens() {
    for db in stores().await {
        let ada = db.user().await;
        for number in 0..20 {
            let id = db.add_grant(ada, &number.to_string()).await;
            ask(&db, ada, id, 30).await;
            let (one, other) = (db.store.clone(), db.store.clone());
            let (undone, done) = tokio::join!(
                tokio::spawn(async move { one.update_undeleted(ada, id).await.unwrap() }),
                tokio::spawn(async move { other.claim_delete(ada, id, true, after(31)).await.unwrap() }),
            );
            let (undone, done) = (undone.unwrap(), done.unwrap());
            assert!(undone != done, "{}: both or none happened", db.name);
            let revocations = db.store.claim_revocations(Some(id), 10, after(31), RETRY).await.unwrap();
            assert_eq!(revocations.len(), usize::from(done), "{}", db.name);
            assert_eq!(db.store.find_ready(ada, id).await.unwrap().is_some(), undone, "{}", db.name);
        }
    }
}

#[tokio::test]
async fn an_account_that_is_connected_again_takes_its_delete_back() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "1").await;
        ask(&db, ada, id, 30).await;
        let (new, credential) = (sealed("new", Some("new refresh")), oauth("email", 7200));
        assert!(db.store.update_reconnected(ada, id, None, &new, &credential, after(5)).await.unwrap());
        assert!(!db.store.claim_delete(ada, id, true, after(31)).await.unwrap());
        assert!(db.store.find_ready(ada, id).await.unwrap().is_some(), "{}", db.name);
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_holds_no_other_delete_back() {
    for db in stores().await {
        let ada = db.user().await;
        let (broken, sound) = (db.add_plain(ada).await, db.add_plain(ada).await);
        ask(&db, ada, broken, 10).await;
        ask(&db, ada, sound, 20).await;
        db.execute(format!("UPDATE connections SET kind = 'nonsense' WHERE id = {broken}")).await;
        let due = db.store.list_to_delete(after(30), None, 10).await.unwrap().connections;
        assert_eq!(due.iter().map(|each| each.id).collect::<Vec<_>>(), [sound], "{}", db.name);
    }
}

#[tokio::test]
async fn due_deletes_are_gone_through_page_by_page_also_past_rows_that_cannot_be_read() {
    for db in stores().await {
        let ada = db.user().await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            let id = db.add_plain(ada).await;
            // All at the same moment, so that only their ids order them.
            ask(&db, ada, id, 10).await;
            ids.push(id);
        }
        for broken in &ids[..2] {
            db.execute(format!("UPDATE connections SET kind = 'nonsense' WHERE id = {broken}")).await;
        }
        let (mut seen, mut last, mut pages) = (Vec::new(), None, 0);
        loop {
            let due = db.store.list_to_delete(after(10), last, 2).await.unwrap();
            seen.extend(due.connections.iter().map(|each| each.id));
            let Some(there) = due.last else { break };
            (last, pages) = (Some(there), pages + 1);
        }
        assert_eq!((seen.as_slice(), pages), (&ids[2..], 3), "{}", db.name);
    }
}
