//! Failed logins are counted in windows; addresses a user is known by are remembered.

use std::time::Duration;

use crate::fixture::{NOW, after, stores};

const WINDOW: Duration = Duration::from_mins(15);

#[tokio::test]
async fn failures_add_up_within_a_window_and_begin_anew_after_it() {
    for db in stores().await {
        let (mine, other) = ([1; 32], [2; 32]);
        assert_eq!(db.store.find_login_failures(&mine).await.unwrap(), None);
        db.store.insert_login_failures(&[mine, other], WINDOW, NOW).await.unwrap();
        db.store.insert_login_failures(&[mine], WINDOW, after(899)).await.unwrap();
        assert_eq!(db.store.find_login_failures(&mine).await.unwrap(), Some((2, NOW)));
        assert_eq!(db.store.find_login_failures(&other).await.unwrap(), Some((1, NOW)));
        // The window does not slide: it began with the first failure.
        db.store.insert_login_failures(&[mine], WINDOW, after(900)).await.unwrap();
        assert_eq!(db.store.find_login_failures(&mine).await.unwrap(), Some((1, after(900))), "{}", db.name);
    }
}

#[tokio::test]
async fn a_hundred_failures_at_once_are_a_hundred() {
    for db in stores().await {
        let tries = (0..100).map(|_| {
            let store = db.store.clone();
            tokio::spawn(async move { store.insert_login_failures(&[[1; 32], [2; 32]], WINDOW, NOW).await })
        });
        for each in tries.collect::<Vec<_>>() {
            each.await.unwrap().unwrap();
        }
        for bucket in [[1; 32], [2; 32]] {
            let counted = db.store.find_login_failures(&bucket).await.unwrap();
            assert_eq!(counted, Some((100, NOW)), "{}", db.name);
        }
    }
}

#[tokio::test]
async fn failures_are_forgotten_one_by_one_and_by_age() {
    for db in stores().await {
        let (right, old, young) = ([1; 32], [2; 32], [3; 32]);
        db.store.insert_login_failures(&[right, old], WINDOW, NOW).await.unwrap();
        db.store.insert_login_failures(&[young], WINDOW, after(10)).await.unwrap();
        db.store.delete_login_failures(&right).await.unwrap();
        assert_eq!(db.store.find_login_failures(&right).await.unwrap(), None);
        assert_eq!(db.store.find_login_failures(&old).await.unwrap(), Some((1, NOW)));
        db.store.delete_old_login_failures(after(10)).await.unwrap();
        assert_eq!(db.store.find_login_failures(&old).await.unwrap(), None);
        let kept = db.store.find_login_failures(&young).await.unwrap();
        assert_eq!(kept, Some((1, after(10))), "{}", db.name);
    }
}

#[tokio::test]
async fn an_address_is_known_to_the_user_who_logged_in_from_it() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let home = [5; 32];
        assert_eq!(db.store.find_known_address(ada, &home).await.unwrap(), None);
        db.store.insert_known_address(ada, &home, NOW).await.unwrap();
        db.store.insert_known_address(ada, &home, after(60)).await.unwrap();
        assert_eq!(db.store.find_known_address(ada, &home).await.unwrap(), Some(after(60)));
        assert_eq!(db.store.find_known_address(bob, &home).await.unwrap(), None);
        assert_eq!(db.store.find_known_address(ada, &[6; 32]).await.unwrap(), None, "{}", db.name);
    }
}
