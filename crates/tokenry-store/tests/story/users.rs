//! Users, and the epoch that ends their sessions.

use tokenry_model::{ConnectionId, UserId, Username};
use tokenry_store::StoreError;

use crate::fixture::{NOW, after, stores};

#[tokio::test]
async fn a_user_is_found_by_id_and_by_name_in_any_case() {
    for db in stores().await {
        let id = db.user_named("Ada.L").await;
        let user = db.store.find_user(id).await.unwrap().unwrap();
        assert_eq!(
            (user.id, user.username.as_str(), user.email.as_str()),
            (id, "Ada.L", "Ada.L@example.org")
        );
        assert_eq!((user.session_epoch, user.created_at), (0, NOW));
        let login = db.store.find_login(&Username::parse("aDA.l").unwrap()).await.unwrap().unwrap();
        assert_eq!((login.user.id, login.user.username.as_str()), (id, "Ada.L"));
        assert_eq!(login.password_hash, "a PHC string");
        assert!(db.store.find_user(UserId::new(id.get() + 1)).await.unwrap().is_none(), "{}", db.name);
        assert!(db.store.find_login(&Username::parse("bob").unwrap()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_name_is_taken_in_every_case_and_the_first_user_keeps_it() {
    for db in stores().await {
        let ada = db.user_named("ada").await;
        assert!(matches!(db.try_user("ADA").await, Err(StoreError::Conflict)));
        let bob = db.user_named("bob").await;
        let all = db.store.list_users().await.unwrap();
        assert_eq!(all.iter().map(|user| user.id).collect::<Vec<_>>(), [ada, bob]);
        assert_eq!(all[0].username.as_str(), "ada");
    }
}

#[tokio::test]
async fn of_twenty_who_want_one_name_one_gets_it() {
    for db in stores().await {
        let tries = (0..20).map(|number| {
            let (store, text) = (db.store.clone(), if number % 2 == 0 { "grace" } else { "Grace" });
            tokio::spawn(async move {
                let (username, email) = (Username::parse(text).unwrap(), "g@example.org");
                let email = tokenry_model::Email::parse(email).unwrap();
                let new =
                    tokenry_store::NewUser { username: &username, email: &email, password_hash: "hash" };
                store.insert_user(&new, NOW).await
            })
        });
        let mut won = 0;
        for each in tries.collect::<Vec<_>>() {
            match each.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, StoreError::Conflict), "{error}"),
            }
        }
        assert_eq!(won, 1, "{}", db.name);
    }
}

#[tokio::test]
async fn a_new_password_and_a_log_out_each_move_the_epoch_that_connections_are_read_with() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let id = db.add_plain(ada).await;
        let epochs = async || {
            let found = db.store.find_connection(ada, id).await.unwrap().unwrap();
            let list = db.store.list_connections(ada, 0, 10).await.unwrap().unwrap();
            let user = db.store.find_user(ada).await.unwrap().unwrap();
            assert_eq!((found.session_epoch, list.session_epoch), (user.session_epoch, user.session_epoch));
            user.session_epoch
        };
        assert_eq!(epochs().await, 0);
        assert!(db.store.update_password(ada, "a new PHC string", after(1)).await.unwrap());
        assert_eq!(epochs().await, 1);
        db.store.update_session_epoch(ada, after(2)).await.unwrap();
        assert_eq!(epochs().await, 2);
        let name = db.store.find_user(ada).await.unwrap().unwrap().username;
        let login = db.store.find_login(&name).await.unwrap().unwrap();
        assert_eq!(login.password_hash, "a new PHC string");
        assert_eq!(db.store.find_user(bob).await.unwrap().unwrap().session_epoch, 0);
        assert!(!db.store.update_password(UserId::new(999), "x", NOW).await.unwrap(), "{}", db.name);
    }
}

#[tokio::test]
async fn a_user_without_connections_still_has_an_epoch_and_nobody_has_none() {
    for db in stores().await {
        let ada = db.user().await;
        db.store.update_session_epoch(ada, NOW).await.unwrap();
        let found = db.store.find_connection(ada, ConnectionId::new(1)).await.unwrap().unwrap();
        assert_eq!(found.session_epoch, 1);
        assert!(found.connection.is_none());
        let list = db.store.list_connections(ada, 0, 10).await.unwrap().unwrap();
        assert_eq!((list.session_epoch, list.connections.len()), (1, 0));
        let nobody = UserId::new(999);
        assert!(db.store.find_connection(nobody, ConnectionId::new(1)).await.unwrap().is_none());
        assert!(db.store.list_connections(nobody, 0, 10).await.unwrap().is_none(), "{}", db.name);
    }
}
