//! The first operator, and the last.

use tokenry_model::{Email, UserId, Username};
use tokenry_store::{FirstOperator, NewUser, StoreError};

use crate::fixture::{NOW, after, stores};

#[tokio::test]
async fn a_link_makes_one_operator_once_and_ends() {
    for db in stores().await {
        let store = &db.store;
        let (ada, bob) = (db.user().await, db.user().await);
        for link in [1, 2, 3] {
            store.insert_setup_link(&[link; 32], after(60), NOW).await.unwrap();
        }
        assert!(!store.is_setup_link_good(&[9; 32], NOW).await.unwrap(), "{}", db.name);
        assert!(!store.is_setup_link_good(&[1; 32], after(60)).await.unwrap(), "it has ended");
        assert_eq!(
            store.claim_setup_link(&[1; 32], FirstOperator::User(ada), after(60)).await.unwrap(),
            None
        );
        assert!(store.is_setup_link_good(&[1; 32], after(59)).await.unwrap());

        // A name that is taken costs nobody the link.
        let taken = store.find_user(bob).await.unwrap().unwrap().username;
        let email = Email::parse("new@example.org").unwrap();
        let new = |username| NewUser { username, email: &email, password_hash: "a PHC string" };
        let refused = store.claim_setup_link(&[1; 32], FirstOperator::New(&new(&taken)), NOW).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{}: {refused:?}", db.name);
        assert!(!store.has_operator().await.unwrap());

        let name = Username::parse("Newcomer").unwrap();
        let id = store.claim_setup_link(&[1; 32], FirstOperator::New(&new(&name)), NOW).await.unwrap();
        let user = store.find_user(id.unwrap()).await.unwrap().unwrap();
        assert!(user.is_operator && user.username == name, "{}", db.name);
        for link in [1, 2] {
            assert!(!store.is_setup_link_good(&[link; 32], NOW).await.unwrap(), "{}", db.name);
            let late = store.claim_setup_link(&[link; 32], FirstOperator::User(ada), NOW).await.unwrap();
            assert_eq!(late, None, "{}", db.name);
        }
        assert!(!store.find_user(ada).await.unwrap().unwrap().is_operator);
        // Printed by a start that had not heard of it.
        store.insert_setup_link(&[4; 32], after(60), NOW).await.unwrap();
        let late = store.claim_setup_link(&[4; 32], FirstOperator::User(bob), NOW).await.unwrap();
        assert_eq!(late, None, "{}", db.name);
    }
}

#[tokio::test]
async fn of_many_who_spend_links_at_once_one_becomes_the_operator() {
    for db in stores().await {
        let store = &db.store;
        for link in 0..4_u8 {
            store.insert_setup_link(&[link; 32], after(60), NOW).await.unwrap();
        }
        let mut tries = tokio::task::JoinSet::new();
        for at in 0..8_u8 {
            let (store, user) = (store.clone(), db.user().await);
            tries.spawn(async move {
                store.claim_setup_link(&[at / 2; 32], FirstOperator::User(user), NOW).await.unwrap()
            });
        }
        let won: Vec<UserId> = tries.join_all().await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "{}", db.name);
        let operators = db.number("SELECT COUNT(*) FROM users WHERE is_operator = 1").await;
        assert_eq!(operators, Some(1), "{}", db.name);
    }
}

#[tokio::test]
async fn the_last_operator_stays_also_when_two_take_the_role_from_each_other() {
    for db in stores().await {
        let store = &db.store;
        let (ada, bob) = (db.user().await, db.user().await);
        assert!(!store.demote_unless_last(ada, NOW).await.unwrap(), "{}: nobody has it", db.name);
        assert!(store.update_role(ada, true, NOW).await.unwrap());
        assert!(!store.demote_unless_last(ada, NOW).await.unwrap(), "{}", db.name);
        assert!(store.update_role(bob, true, NOW).await.unwrap());
        let (one, other) =
            tokio::join!(store.demote_unless_last(ada, NOW), store.demote_unless_last(bob, NOW));
        assert_eq!(u8::from(one.unwrap()) + u8::from(other.unwrap()), 1, "{}", db.name);
        assert!(store.has_operator().await.unwrap(), "{}", db.name);
    }
}
