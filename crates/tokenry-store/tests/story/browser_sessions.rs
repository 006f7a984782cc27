//! Browsers that are signed in, and the operator's role.

use tokenry_store::NewBrowserSession;

use crate::fixture::{NOW, after, stores};

fn session(user: tokenry_model::UserId, id_hash: &[u8; 32]) -> NewBrowserSession<'_> {
    NewBrowserSession { id_hash, user, epoch: 0, device: "a device" }
}

#[tokio::test]
async fn a_browser_is_known_by_the_hash_of_its_cookie_until_it_signs_out() {
    for db in stores().await {
        let ada = db.user_named("ada").await;
        let id = [1; 32];
        db.store.insert_browser_session(&session(ada, &id), 10, NOW).await.unwrap();
        let found = db.store.find_browser_session(&id).await.unwrap().unwrap();
        assert_eq!((found.user.id, found.user.username.as_str()), (ada, "ada"));
        assert_eq!((found.epoch, found.device.as_str()), (0, "a device"));
        assert_eq!((found.opened_at, found.seen_at), (NOW, NOW));
        db.store.update_browser_session_seen(&id, after(60)).await.unwrap();
        // A clock that is behind takes nothing back.
        db.store.update_browser_session_seen(&id, after(30)).await.unwrap();
        let found = db.store.find_browser_session(&id).await.unwrap().unwrap();
        assert_eq!((found.opened_at, found.seen_at), (NOW, after(60)));
        db.store.update_session_epoch(ada, after(61)).await.unwrap();
        let found = db.store.find_browser_session(&id).await.unwrap().unwrap();
        assert_eq!((found.epoch, found.user.session_epoch), (0, 1), "{}", db.name);
        assert!(db.store.find_browser_session(&[2; 32]).await.unwrap().is_none());
        assert!(db.store.delete_browser_session(&id).await.unwrap());
        assert!(!db.store.delete_browser_session(&id).await.unwrap());
        assert!(db.store.find_browser_session(&id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn of_a_users_browsers_the_newest_stay_and_old_ones_are_forgotten() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        for number in 1..=5_u8 {
            let at = after(u64::from(number));
            db.store.insert_browser_session(&session(ada, &[number; 32]), 3, at).await.unwrap();
        }
        db.store.insert_browser_session(&session(bob, &[9; 32]), 3, NOW).await.unwrap();
        let mut there = Vec::new();
        for number in [1, 2, 3, 4, 5, 9_u8] {
            if db.store.find_browser_session(&[number; 32]).await.unwrap().is_some() {
                there.push(number);
            }
        }
        assert_eq!(there, [3, 4, 5, 9], "{}", db.name);
        // The one that was just opened stays, whatever its clock says.
        db.store.insert_browser_session(&session(ada, &[6; 32]), 1, NOW).await.unwrap();
        assert!(db.store.find_browser_session(&[6; 32]).await.unwrap().is_some());
        assert!(db.store.find_browser_session(&[5; 32]).await.unwrap().is_none());
        assert_eq!(db.store.delete_old_browser_sessions(NOW).await.unwrap(), 0);
        assert_eq!(db.store.delete_old_browser_sessions(after(1)).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn the_operators_role_is_given_and_taken_and_says_whether_that_changed_anything() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let is = async |id| db.store.find_user(id).await.unwrap().unwrap().is_operator;
        assert!(!db.store.has_operator().await.unwrap());
        assert!(db.store.update_role(ada, true, after(1)).await.unwrap());
        assert!(!db.store.update_role(ada, true, after(2)).await.unwrap(), "{}", db.name);
        assert!(db.store.has_operator().await.unwrap());
        assert_eq!((is(ada).await, is(bob).await), (true, false));
        assert!(db.store.list_users().await.unwrap()[0].is_operator);
        assert!(db.store.update_role(ada, false, after(3)).await.unwrap());
        assert!(!db.store.has_operator().await.unwrap());
        assert!(!db.store.update_role(tokenry_model::UserId::new(999), true, NOW).await.unwrap());
    }
}
