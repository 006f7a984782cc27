//! What an operator looks at.

use std::borrow::Cow;

use tokenry_model::{Action, Actor, AuditEntry, AuditOutcome};
use tokenry_store::{AuditHead, AuditRow, EventsWanted, StoreError, Troubled};

use crate::fixture::{Fixture, NOW, after, grant, provider, sealed, stores};

/// Rows as a log has them, one after the other.
async fn log(db: &Fixture, entries: Vec<AuditEntry>) {
    db.store
        .append_audit(|head, _| {
            let rows: Vec<AuditRow> = entries
                .into_iter()
                .zip(head.seq + 1..)
                .map(|(entry, seq)| AuditRow { seq, entry, hash: vec![1] })
                .collect();
            let seq = rows.last().map_or(head.seq, |row| row.seq);
            let head = AuditHead { seq, hash: vec![1], mac: vec![1], ..head.clone() };
            Ok::<_, StoreError>((rows, head))
        })
        .await
        .unwrap();
}

fn refresh(at_s: u64, outcome: AuditOutcome, at_provider: &str, times: i64) -> AuditEntry {
    let entry = AuditEntry::new(Actor::Background, Action::Refresh, outcome, after(at_s));
    AuditEntry { provider: Some(at_provider.to_owned()), count: times, ..entry }
}

#[tokio::test]
async fn connections_that_are_not_in_order_are_counted_by_provider_and_state() {
    for db in stores().await {
        let user = db.user().await;
        let mut ids = Vec::new();
        for account in ["a", "b", "c", "d"] {
            ids.push(db.add_grant(user, account).await);
        }
        db.execute(format!(
            "UPDATE connections SET state = 'reconnect_required', state_reason = 'x' WHERE id IN ({}, {})",
            ids[0], ids[1]
        ))
        .await;
        db.execute(format!(
            "UPDATE connections SET state = 'quarantined', state_reason = 'x' WHERE id = {}",
            ids[2]
        ))
        .await;
        let troubled =
            |state: &str, count| Troubled { provider: "github".to_owned(), state: state.to_owned(), count };
        let expected = [troubled("quarantined", 1), troubled("reconnect_required", 2)];
        assert_eq!(db.store.list_troubled().await.unwrap(), expected, "{}", db.name);
        assert_eq!(db.store.count_all_connections().await.unwrap(), 4, "{}", db.name);
        assert!(db.store.delete_connection(user, ids[0], false, NOW).await.unwrap());
        assert_eq!(db.store.list_troubled().await.unwrap()[1].count, 1, "{}", db.name);
        assert_eq!(db.store.count_all_connections().await.unwrap(), 3, "{}", db.name);
    }
}

#[tokio::test]
async fn users_are_listed_page_by_page_with_what_they_have() {
    for db in stores().await {
        let ada = db.user_named("Ada").await;
        db.user_named("adam").await;
        db.user_named("bob").await;
        db.add_grant(ada, "one").await;
        let gone = db
            .store
            .insert_connection(&grant(ada, "two"), NOW, |_| Ok::<_, StoreError>(sealed("a", None)))
            .await
            .unwrap();
        assert!(db.store.delete_connection(ada, gone, false, NOW).await.unwrap());
        let names = async |prefix, after, limit| {
            let page = db.store.list_people(prefix, after, limit).await.unwrap();
            page.into_iter()
                .map(|each| (each.user.username.to_string(), each.connections))
                .collect::<Vec<_>>()
        };
        assert_eq!(names("ad", 0, 10).await, [("Ada".into(), 1), ("adam".into(), 0)], "{}", db.name);
        assert_eq!(names("", ada.get(), 1).await, [("adam".into(), 0)], "{}", db.name);
        assert!(names("%", 0, 10).await.is_empty(), "{}", db.name);
    }
}

#[tokio::test]
async fn events_are_found_by_what_they_say_within_the_places_that_are_looked_at() {
    for db in stores().await {
        let ada = db.user().await;
        let own = AuditEntry::new(Actor::User(ada), Action::LogIn, AuditOutcome::Ok, after(5));
        let own = AuditEntry { owner: Some(ada.get()), connection: Some(3), ..own };
        log(
            &db,
            vec![
                refresh(1, AuditOutcome::Ok, "github", 1),
                refresh(2, AuditOutcome::Failed, "acme", 1),
                own,
                AuditEntry {
                    action: Cow::Borrowed("user.log_out"),
                    ..refresh(9, AuditOutcome::Ok, "acme", 1)
                },
            ],
        )
        .await;
        let places = async |wanted: EventsWanted, from, before| {
            let rows = db.store.list_events(&wanted, from, before, 10).await.unwrap();
            rows.into_iter().map(|row| row.seq).collect::<Vec<_>>()
        };
        let all = EventsWanted::default();
        assert_eq!(places(all.clone(), 0, i64::MAX).await, [4, 3, 2, 1], "{}", db.name);
        assert_eq!(places(all.clone(), 1, 4).await, [3, 2], "{}", db.name);
        let action = |word: &str| EventsWanted { action: word.to_owned(), ..EventsWanted::default() };
        assert_eq!(places(action("user."), 0, i64::MAX).await, [4, 3], "{}", db.name);
        assert_eq!(places(action("connection.refresh"), 0, i64::MAX).await, [2, 1], "{}", db.name);
        let failed = EventsWanted { outcome: "failed".to_owned(), ..all.clone() };
        assert_eq!(places(failed, 0, i64::MAX).await, [2], "{}", db.name);
        let at_acme = EventsWanted { provider: provider("acme").to_string(), ..all.clone() };
        assert_eq!(places(at_acme, 0, i64::MAX).await, [4, 2], "{}", db.name);
        let of_ada = EventsWanted { user: Some(ada), ..all.clone() };
        assert_eq!(places(of_ada, 0, i64::MAX).await, [3], "{}", db.name);
        let about = EventsWanted { connection: Some(3), since: Some(after(5)), ..all };
        assert_eq!(places(about, 0, i64::MAX).await, [3], "{}", db.name);
    }
}
