//! How much a user may have, and clocks that were wrong.

use std::time::Duration;

use tokenry_model::RefreshIntent;
use tokenry_store::{FlowClaim, StoreError};

use crate::fixture::{NOW, after, sealed, stores};

#[tokio::test]
async fn a_user_has_so_many_connections_and_no_more_and_others_have_theirs() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let add = async |user, most, account: &str| {
            let new = crate::fixture::grant(user, account);
            db.store
                .insert_connection_within(most, None, &new, NOW, |_| Ok::<_, StoreError>(sealed("a", None)))
                .await
        };
        let first = add(ada, 2, "1").await.unwrap();
        add(ada, 2, "2").await.unwrap();
        assert!(matches!(add(ada, 2, "3").await, Err(StoreError::Full)), "{}", db.name);
        assert_eq!(db.store.count_connections(ada).await.unwrap(), 2);
        add(bob, 2, "1").await.unwrap();
        db.store.delete_connection(ada, first, false, NOW).await.unwrap();
        add(ada, 2, "4").await.unwrap();
        add(ada, 0, "5").await.unwrap();
        assert_eq!(db.store.count_connections(ada).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn the_oldest_flows_that_nobody_ended_are_forgotten_and_the_newest_stays_whatever_its_time() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let flow = |user, number: u8| crate::fixture::flow(user, number);
        for number in 1..=5 {
            db.store.insert_flow(&flow(ada, number), after(u64::from(number))).await.unwrap();
        }
        db.store.insert_flow(&flow(bob, 9), NOW).await.unwrap();
        db.store.claim_flow(&flow(ada, 1).state_hash, NOW).await.unwrap();
        // Written while the clock was behind all the others.
        let newest = flow(ada, 6);
        db.store.insert_flow(&newest, NOW.minus(Duration::from_hours(24))).await.unwrap();
        let forgotten = db.store.delete_oldest_flows(ada, &newest.state_hash, 3).await.unwrap();
        assert_eq!(forgotten, 2, "{}", db.name);
        for (number, user, kept) in [
            (1, ada, true),
            (2, ada, false),
            (3, ada, false),
            (4, ada, true),
            (5, ada, true),
            (6, ada, true),
            (9, bob, true),
        ] {
            let claim = db.store.claim_flow(&flow(user, number).state_hash, NOW).await.unwrap();
            assert_eq!(!matches!(claim, FlowClaim::Unknown), kept, "{}: {number}", db.name);
        }
    }
}

#[tokio::test]
async fn failures_that_were_counted_in_the_future_begin_anew() {
    for db in stores().await {
        let (bucket, window) = ([7; 32], Duration::from_mins(15));
        for _ in 0..3 {
            db.store.insert_login_failures(&[bucket], window, after(86_400)).await.unwrap();
        }
        db.store.insert_login_failures(&[bucket], window, NOW).await.unwrap();
        assert_eq!(db.store.find_login_failures(&bucket).await.unwrap(), Some((1, NOW)), "{}", db.name);
        db.store.insert_login_failures(&[bucket], window, after(60)).await.unwrap();
        assert_eq!(db.store.find_login_failures(&bucket).await.unwrap(), Some((2, NOW)), "{}", db.name);
    }
}

#[tokio::test]
async fn a_lease_is_taken_over_only_as_it_was_seen() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        let intent = RefreshIntent { token: [1; 32], at: NOW, held: true };
        let tomorrow = after(86_400);
        assert!(db.store.claim_refresh(id, 1, "gone", tomorrow, &intent).await.unwrap());
        assert_eq!(db.store.find_lease(id).await.unwrap(), Some(tomorrow));
        let take =
            async |left| db.store.claim_refresh_from(id, 1, "new", after(15), &intent, left).await.unwrap();
        assert!(!take(None).await, "{}", db.name);
        assert!(!take(Some(after(86_399))).await, "{}", db.name);
        assert!(take(Some(tomorrow)).await, "{}", db.name);
        // Of two who saw the same, one gets it.
        assert!(!take(Some(tomorrow)).await, "{}", db.name);
        assert_eq!(db.store.find_lease(id).await.unwrap(), Some(after(15)));
    }
}

#[tokio::test]
async fn a_revocation_that_cannot_be_read_does_not_hold_back_the_others() {
    for db in stores().await {
        let ada = db.user().await;
        let mut ids = Vec::new();
        for account in ["1", "2", "3"] {
            let id = db.add_grant(ada, account).await;
            db.store.delete_connection(ada, id, true, NOW).await.unwrap();
            ids.push(id);
        }
        db.execute(format!("UPDATE revocations SET settings = 'no JSON' WHERE connection_id = {}", ids[1]))
            .await;
        let claimed = db.store.claim_revocations(None, 10, NOW, Duration::from_mins(2)).await.unwrap();
        let claimed: Vec<_> = claimed.iter().map(|each| each.connection_id).collect();
        assert_eq!(claimed, [ids[0], ids[2]], "{}", db.name);
    }
}
