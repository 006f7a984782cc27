//! What is due, in which order it is taken, and what a refresh that brought nothing leaves behind.

use std::time::Duration;

use tokenry_model::{
    ConnectionId, ConnectionState, CredentialKind, Deadlines, RefreshIntent, Timestamp, UserId,
};
use tokenry_store::{Due, Ending, Failed, NewConnection};

use crate::fixture::{Fixture, NOW, after, grant, oauth, provider, sealed, stores};

const OWNER: &str = "this process";
/// What nobody has read for so long is left alone.
const WEEK: Duration = Duration::from_hours(7 * 24);

async fn due_at(db: &Fixture, at: Timestamp) -> Vec<Due> {
    db.store.list_due(at, at.minus(WEEK)).await.unwrap()
}

async fn add(db: &Fixture, user: UserId, account: &str, times: Deadlines) -> ConnectionId {
    let mut new: NewConnection = grant(user, account);
    new.credential.times = times;
    db.try_add(&new, "access", Some("refresh")).await.unwrap()
}

fn renew(at: u64) -> Deadlines {
    Deadlines { expires_at: Some(after(at + 60)), renew_at: Some(after(at)), ..Deadlines::default() }
}

fn keep(at: u64) -> Deadlines {
    Deadlines { keep_at: Some(after(at)), idle_ends_at: Some(after(at + 100)), ..Deadlines::default() }
}

async fn renewable(db: &Fixture, at: Timestamp, limit: i64) -> Vec<ConnectionId> {
    let found = db.store.list_renewable(&provider("github"), at, at.minus(WEEK), limit).await.unwrap();
    found.into_iter().map(|connection| connection.id).collect()
}

#[tokio::test]
async fn what_is_due_is_counted_by_provider_and_taken_longest_wait_first() {
    for db in stores().await {
        let ada = db.user().await;
        let late = add(&db, ada, "1", renew(20)).await;
        let early = add(&db, ada, "2", renew(10)).await;
        let idle = add(&db, ada, "3", keep(5)).await;
        add(&db, ada, "4", renew(500)).await;
        add(&db, ada, "5", Deadlines::default()).await;
        let gone = add(&db, ada, "6", renew(1)).await;
        assert!(db.store.delete_connection(ada, gone, false, NOW).await.unwrap());

        assert_eq!(renewable(&db, after(30), 10).await, [early, late, idle], "{}", db.name);
        assert_eq!(renewable(&db, after(30), 1).await, [early]);
        assert_eq!(renewable(&db, after(4), 10).await, []);
        let due = |count, overdue| vec![Due { provider: provider("github"), count, overdue }];
        assert_eq!(due_at(&db, after(30)).await, due(3, 0));
        assert_eq!(due_at(&db, after(75)).await, due(3, 1));
    }
}

#[tokio::test]
async fn what_is_due_by_both_clocks_is_counted_and_taken_once() {
    for db in stores().await {
        let ada = db.user().await;
        let both = Deadlines { keep_at: Some(after(1)), ..renew(2) };
        let id = add(&db, ada, "1", both).await;
        assert_eq!(renewable(&db, after(9), 10).await, [id], "{}", db.name);
        assert_eq!(due_at(&db, after(9)).await[0].count, 1);
    }
}

#[tokio::test]
async fn what_somebody_is_refreshing_or_a_person_must_connect_is_left_out() {
    for db in stores().await {
        let ada = db.user().await;
        let (held, marked) = (add(&db, ada, "1", renew(1)).await, add(&db, ada, "2", renew(1)).await);
        claim(&db, held).await;
        assert!(db.store.update_reconnect_required(marked, 1, "invalid_grant").await.unwrap());
        assert_eq!(renewable(&db, after(10), 10).await, [], "{}", db.name);
        // The lease ran out: whoever held it is gone.
        assert_eq!(renewable(&db, after(15), 10).await, [held]);
    }
}

async fn claim(db: &Fixture, id: ConnectionId) {
    let intent = RefreshIntent { token: [7; 32], at: NOW, held: true };
    assert!(db.store.claim_refresh(id, 1, OWNER, after(15), &intent).await.unwrap());
}

fn failed() -> Failed {
    Failed {
        spent_unknown: false,
        counts: true,
        retry_at: Some(after(30)),
        renew_at: after(40),
        quarantine: None,
    }
}

#[tokio::test]
async fn a_failure_gives_the_lease_back_counts_and_puts_off_the_next_try() {
    for db in stores().await {
        let ada = db.user().await;
        let id = add(&db, ada, "1", Deadlines { keep_at: Some(after(100)), ..renew(1) }).await;
        claim(&db, id).await;
        db.store.update_failed(id, "another process", &failed()).await.unwrap();
        assert_eq!(db.connection(ada, id).await.failures, 0, "{}", db.name);

        db.store.update_failed(id, OWNER, &Failed { spent_unknown: true, ..failed() }).await.unwrap();
        let it = db.connection(ada, id).await;
        assert_eq!((it.failures, it.retry_at, it.times.renew_at), (1, Some(after(30)), Some(after(40))));
        assert_eq!(it.times.keep_at, Some(after(100)));
        assert!(it.intent.is_some_and(|intent| !intent.held), "no answer came: the token may be spent");

        claim(&db, id).await;
        let uncounted = Failed { counts: false, retry_at: None, ..failed() };
        db.store.update_failed(id, OWNER, &uncounted).await.unwrap();
        let it = db.connection(ada, id).await;
        assert_eq!((it.failures, it.retry_at, it.intent), (1, None, None));
    }
}

#[tokio::test]
async fn what_is_set_aside_says_why_and_a_refresh_brings_it_back() {
    for db in stores().await {
        let ada = db.user().await;
        let id = add(&db, ada, "1", renew(1)).await;
        claim(&db, id).await;
        let aside = Failed { quarantine: Some("odd".to_owned()), ..failed() };
        db.store.update_failed(id, OWNER, &aside).await.unwrap();
        let state = ConnectionState::Quarantined { reason: "odd".to_owned() };
        assert_eq!(db.connection(ada, id).await.state, state, "{}", db.name);
        // It can still be claimed, and what that brings counts.
        claim(&db, id).await;
        let new = sealed("new", None);
        assert!(db.store.update_refreshed(id, 1, &new, &oauth("email", 99), after(50)).await.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!((it.state, it.failures, it.retry_at), (ConnectionState::Ok, 0, None));
        assert_eq!(it.last_refreshed_at, Some(after(50)));
    }
}

#[tokio::test]
async fn what_nobody_reads_is_left_alone_and_a_use_is_remembered() {
    for db in stores().await {
        let ada = db.user().await;
        let (unread, read) = (add(&db, ada, "1", renew(1)).await, add(&db, ada, "2", renew(1)).await);
        // Nobody reads it either, but its refresh token would die of that.
        let idle = Deadlines { keep_at: Some(after(1)), ..renew(1) };
        let kept = add(&db, ada, "3", idle).await;
        let now = NOW.plus(WEEK).plus(Duration::from_mins(5));
        db.store.update_used(&[(read, after(400)), (read, after(200))]).await.unwrap();
        assert_eq!(renewable(&db, now, 10).await, [read, kept], "{}", db.name);
        assert_eq!(due_at(&db, now).await[0].count, 2);
        // The later of two uses stands, in whatever order they are written.
        assert_eq!(db.connection(ada, read).await.last_used_at, Some(after(400)));

        assert_eq!(db.store.update_unread(now.minus(WEEK), now).await.unwrap(), 2);
        assert_eq!(db.connection(ada, unread).await.times.renew_at, None);
        assert_eq!(renewable(&db, now, 10).await, [read, kept]);
    }
}

#[tokio::test]
async fn ends_in_sight_are_counted_by_provider() {
    for db in stores().await {
        let ada = db.user().await;
        let ends = |at| Deadlines { ends_at: Some(after(at)), ..Deadlines::default() };
        for (account, at) in [("1", 50), ("2", 90), ("3", 500)] {
            add(&db, ada, account, ends(at)).await;
        }
        let found = db.store.list_ending(after(60), after(100)).await.unwrap();
        assert_eq!(found, [Ending { provider: provider("github"), count: 1 }], "{}", db.name);
    }
}

#[tokio::test]
async fn a_grant_that_its_owner_gave_back_is_queued_and_gone_from_the_row() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        assert!(!db.store.update_revoked(UserId::new(99), id, "x", true, after(5)).await.unwrap());
        assert!(db.store.update_revoked(ada, id, "by its owner", true, after(5)).await.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!(it.state, ConnectionState::Revoked { reason: "by its owner".to_owned() });
        assert!(it.access_token.as_bytes().is_empty() && it.refresh_token.is_none(), "{}", db.name);
        assert_eq!(it.kind, CredentialKind::OAuth2);
        assert_eq!(db.store.count_revocations().await.unwrap(), 1);
        // There is nothing left to revoke when it is deleted.
        assert!(db.store.delete_connection(ada, id, true, after(6)).await.unwrap());
        assert_eq!(db.store.count_revocations().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_lease_is_kept_by_its_owner_alone() {
    for db in stores().await {
        let ada = db.user().await;
        let id = add(&db, ada, "1", renew(1)).await;
        claim(&db, id).await;
        let intent = RefreshIntent { token: [8; 32], at: after(20), held: true };
        assert!(!db.store.update_lease(id, "another process", after(60)).await.unwrap());
        assert!(db.store.update_lease(id, OWNER, after(60)).await.unwrap());
        assert!(!db.store.claim_refresh(id, 1, "another process", after(90), &intent).await.unwrap());
        assert_eq!(renewable(&db, after(59), 10).await, [], "{}", db.name);
        let late = RefreshIntent { at: after(60), ..intent };
        assert!(db.store.claim_refresh(id, 1, "another process", after(90), &late).await.unwrap());
        assert!(!db.store.update_lease(id, OWNER, after(99)).await.unwrap(), "it was lost");
    }
}

#[tokio::test]
async fn what_is_due_can_be_put_off_and_what_is_not_stays() {
    for db in stores().await {
        let ada = db.user().await;
        let (soon, later) = (add(&db, ada, "1", renew(10)).await, add(&db, ada, "2", renew(100)).await);
        let idle = add(&db, ada, "3", keep(10)).await;
        assert!(db.store.update_put_off(soon, after(50), after(20)).await.unwrap());
        assert!(db.store.update_put_off(idle, after(50), after(20)).await.unwrap());
        assert!(!db.store.update_put_off(later, after(50), after(20)).await.unwrap());
        assert_eq!(renewable(&db, after(49), 10).await, [], "{}", db.name);
        assert_eq!(renewable(&db, after(50), 10).await, [soon, idle]);
        assert_eq!(renewable(&db, after(100), 10).await, [soon, later, idle]);
    }
}

#[tokio::test]
async fn a_refresh_that_came_too_late_replaces_the_token_that_it_spent_and_no_other() {
    for db in stores().await {
        let ada = db.user().await;
        let id = add(&db, ada, "1", renew(1)).await;
        let (spent, next) = (crate::fixture::bytes("refresh"), crate::fixture::bytes("next"));
        let other = crate::fixture::bytes("another one");
        assert!(!db.store.update_spent(id, &other, &next).await.unwrap());
        assert!(db.store.update_spent(id, &spent, &next).await.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!((it.refresh_token.unwrap(), it.generation), (next.clone(), 2), "{}", db.name);
        assert!(!db.store.update_spent(id, &spent, &other).await.unwrap(), "it is spent already");
        db.store.delete_connection(ada, id, false, NOW).await.unwrap();
        assert!(!db.store.update_spent(id, &next, &other).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_who_write_many_rows_each_in_an_order_of_its_own_all_get_done() {
    for db in stores().await {
        let ada = db.user().await;
        let mut ids = Vec::new();
        for number in 0..60_u64 {
            // Due in the order that is the opposite of their ids'.
            ids.push(add(&db, ada, &number.to_string(), renew(100 - number)).await);
        }
        let used: Vec<_> = ids.iter().map(|id| (*id, after(1))).collect();
        let work: Vec<_> = (0..3)
            .map(|kind| {
                let (store, used) = (db.store.clone(), used.clone());
                tokio::spawn(async move {
                    for _ in 0..20 {
                        match kind {
                            0 => store.update_used(&used).await.unwrap(),
                            1 => assert!(store.update_unread(after(500), after(500)).await.is_ok()),
                            _ => assert!(
                                store.release_refused(&provider("github"), NOW, after(9)).await.is_ok()
                            ),
                        }
                    }
                })
            })
            .collect();
        for each in work {
            each.await.unwrap();
        }
    }
}
