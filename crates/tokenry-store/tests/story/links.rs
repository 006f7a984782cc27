//! Connect links: one browser has one, one connect spends it, and whoever comes later is told.

use tokenry_model::{ConnectionId, Link, LinkId, LinkStage, UserId};
use tokenry_store::{HeldLink, StoreError};

use crate::fixture::{Fixture, NOW, after, grant, provider, sealed, stores};

const FIRST: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn link(user: UserId, number: u8) -> Link {
    Link {
        id: LinkId::new([number; 32]),
        user_id: user,
        session_epoch: 3,
        services: vec![provider("github"), provider("spotify")],
        return_to: Some("https://app.example.org/done?x=1".to_owned()),
        origin: Some("https://app.example.org".to_owned()),
        stage: LinkStage::Open,
        browser_hash: None,
        nonce: None,
        service: None,
        connection: None,
        expires_at: after(600),
        ends_at: after(600),
    }
}

async fn made(db: &Fixture, number: u8) -> Link {
    let link = link(db.user().await, number);
    db.store.insert_link(&link, NOW).await.unwrap();
    link
}

async fn found(db: &Fixture, link: &Link) -> Link {
    db.store.find_link(&link.id).await.unwrap().unwrap()
}

/// A link that a browser has, of an owner whose sessions are those that it was made in.
async fn held(db: &Fixture, number: u8) -> Link {
    let link = made(db, number).await;
    db.execute(format!("UPDATE users SET session_epoch = 3 WHERE id = {}", link.user_id.get())).await;
    assert!(db.store.claim_link_browser(&link.id, &FIRST, None, after(1)).await.unwrap());
    link
}

fn spending(link: &Link, browser_hash: [u8; 32]) -> HeldLink {
    HeldLink { id: link.id, browser_hash }
}

#[tokio::test]
async fn a_link_comes_back_as_it_was_kept() {
    for db in stores().await {
        let kept = made(&db, 1).await;
        assert_eq!(format!("{kept:?}"), format!("{:?}", found(&db, &kept).await), "{}", db.name);
        let bare = Link { services: Vec::new(), return_to: None, origin: None, ..link(kept.user_id, 2) };
        db.store.insert_link(&bare, NOW).await.unwrap();
        assert_eq!(format!("{bare:?}"), format!("{:?}", found(&db, &bare).await), "{}", db.name);
        assert!(db.store.find_link(&LinkId::new([9; 32])).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn of_twenty_browsers_one_gets_a_link_and_keeps_it() {
    for db in stores().await {
        let link = made(&db, 1).await;
        let tries = (0..20_u8).map(|number| {
            let (store, id) = (db.store.clone(), link.id);
            tokio::spawn(async move {
                let got = store.claim_link_browser(&id, &[number; 32], None, after(1)).await.unwrap();
                got.then_some([number; 32])
            })
        });
        let mut winners = Vec::new();
        for each in tries.collect::<Vec<_>>() {
            winners.extend(each.await.unwrap());
        }
        assert_eq!(winners.len(), 1, "{}", db.name);
        assert_eq!(found(&db, &link).await.browser_hash, Some(winners[0]));
        // It may open it again, and then says which window it is in.
        let again = db.store.claim_link_browser(&link.id, &winners[0], Some("a window"), after(2)).await;
        assert!(again.unwrap(), "{}", db.name);
        assert_eq!(found(&db, &link).await.nonce.as_deref(), Some("a window"));
        assert!(db.store.claim_link_browser(&link.id, &winners[0], None, after(3)).await.unwrap());
        assert_eq!(found(&db, &link).await.nonce.as_deref(), Some("a window"));
        assert!(!db.store.claim_link_browser(&link.id, &[99; 32], None, after(4)).await.unwrap());
        assert!(!db.store.claim_link_browser(&link.id, &winners[0], None, after(600)).await.unwrap());
    }
}

#[tokio::test]
async fn a_link_is_taken_over_only_from_the_browser_that_has_it() {
    for db in stores().await {
        let link = made(&db, 1).await;
        assert!(!db.store.update_link_browser(&link.id, &FIRST, &OTHER, after(1)).await.unwrap());
        assert!(db.store.claim_link_browser(&link.id, &FIRST, None, after(1)).await.unwrap());
        assert!(!db.store.update_link_browser(&link.id, &FIRST, &OTHER, after(600)).await.unwrap());
        assert!(db.store.update_link_browser(&link.id, &FIRST, &OTHER, after(2)).await.unwrap());
        assert!(!db.store.update_link_browser(&link.id, &FIRST, &[3; 32], after(3)).await.unwrap());
        assert_eq!(found(&db, &link).await.browser_hash, Some(OTHER), "{}", db.name);
        assert!(!db.store.claim_link(&link.id, &FIRST).await.unwrap());
        assert!(db.store.claim_link(&link.id, &OTHER).await.unwrap());
        // While a connect is being stored, nobody takes it away.
        assert!(!db.store.update_link_browser(&link.id, &OTHER, &FIRST, after(4)).await.unwrap());
    }
}

#[tokio::test]
async fn one_connect_spends_a_link_and_one_that_did_not_end_well_does_not() {
    for db in stores().await {
        let (link, github) = (made(&db, 1).await, provider("github"));
        let begin = async |seconds| {
            db.store.update_link_begun(&link.id, &FIRST, &github, after(1100), after(seconds)).await.unwrap()
        };
        assert!(!begin(1).await, "{}: nobody has it", db.name);
        assert!(db.store.claim_link_browser(&link.id, &FIRST, None, after(1)).await.unwrap());
        assert!(begin(2).await && !begin(600).await, "{}", db.name);
        let it = found(&db, &link).await;
        assert_eq!((it.ends_at, it.service), (after(1100), Some(github.clone())));
        let end = async |claimed, stage, connection: Option<i64>| {
            let connection = connection.map(ConnectionId::new);
            db.store.update_link_ended(&link.id, claimed, stage, &github, connection).await.unwrap()
        };
        assert!(!end(true, LinkStage::Declined, None).await, "{}: it was not claimed", db.name);
        assert!(db.store.claim_link(&link.id, &FIRST).await.unwrap());
        assert!(!db.store.claim_link(&link.id, &FIRST).await.unwrap());
        assert!(!begin(3).await && !end(false, LinkStage::Connected, Some(7)).await, "{}", db.name);
        assert!(end(true, LinkStage::Declined, None).await);
        assert_eq!(found(&db, &link).await.stage, LinkStage::Declined);
        assert!(begin(4).await);
        assert_eq!(found(&db, &link).await.stage, LinkStage::Open);
        assert!(db.store.claim_link(&link.id, &FIRST).await.unwrap());
        assert!(end(true, LinkStage::Connected, Some(7)).await);
        assert!(!db.store.claim_link(&link.id, &FIRST).await.unwrap() && !begin(5).await, "{}", db.name);
        assert!(!end(false, LinkStage::Failed, None).await && !end(true, LinkStage::Failed, None).await);
        let it = found(&db, &link).await;
        assert_eq!((it.stage, it.connection), (LinkStage::Connected, Some(ConnectionId::new(7))));
    }
}

#[tokio::test]
async fn of_ten_that_bring_something_with_one_link_one_is_kept_and_spends_it() {
    for db in stores().await {
        let link = held(&db, 1).await;
        let tries = (0..10).map(|number: u8| {
            let (store, user) = (db.store.clone(), link.user_id);
            let (new, spends) = (grant(user, &number.to_string()), spending(&link, FIRST));
            tokio::spawn(async move {
                let sealed = |_| Ok::<_, StoreError>(sealed("a", None));
                store.insert_connection_within(0, Some(&spends), &new, NOW, sealed).await
            })
        });
        let mut kept = Vec::new();
        for each in tries.collect::<Vec<_>>() {
            match each.await.unwrap() {
                Ok(id) => kept.push(id),
                Err(error) => assert!(matches!(error, StoreError::Spent), "{}: {error}", db.name),
            }
        }
        assert_eq!((kept.len(), db.store.count_connections(link.user_id).await.unwrap()), (1, 1));
        let it = found(&db, &link).await;
        assert_eq!((it.stage, it.connection), (LinkStage::Connected, Some(kept[0])), "{}", db.name);
        assert_eq!(it.service, Some(provider("github")));
    }
}

#[tokio::test]
async fn what_is_not_kept_spends_no_link_and_what_spends_no_link_is_not_kept() {
    for db in stores().await {
        let link = held(&db, 1).await;
        let bring = async |spends: &HeldLink, most, fails: bool| {
            let new = grant(link.user_id, "1");
            let sealed =
                |_| if fails { Err(StoreError::KeyInUse) } else { Ok::<_, StoreError>(sealed("a", None)) };
            db.store.insert_connection_within(most, Some(spends), &new, NOW, sealed).await
        };
        let open = async || {
            let it = found(&db, &link).await;
            (it.stage, it.connection) == (LinkStage::Open, None)
                && db.store.count_connections(link.user_id).await.unwrap() == 1
        };
        let first = spending(&link, FIRST);
        let kept = db.add_grant(link.user_id, "0").await;
        assert!(
            matches!(bring(&first, 1, false).await, Err(StoreError::Full)) && open().await,
            "{}",
            db.name
        );
        assert!(bring(&first, 0, true).await.is_err() && open().await, "{}", db.name);
        // In another browser, or while somebody comes back from a provider with it.
        assert!(matches!(bring(&spending(&link, OTHER), 0, false).await, Err(StoreError::Spent)));
        assert!(open().await, "{}", db.name);
        assert!(db.store.claim_link(&link.id, &FIRST).await.unwrap());
        assert!(matches!(bring(&first, 0, false).await, Err(StoreError::Spent)), "{}", db.name);
        let (id, github) = (&link.id, provider("github"));
        assert!(db.store.update_link_ended(id, true, LinkStage::Failed, &github, None).await.unwrap());
        // What failed can be tried again, but not when its owner has signed out.
        let epoch =
            |epoch| format!("UPDATE users SET session_epoch = {epoch} WHERE id = {}", link.user_id.get());
        db.execute(epoch(4)).await;
        assert!(matches!(bring(&first, 0, false).await, Err(StoreError::Spent)), "{}", db.name);
        db.execute(epoch(3)).await;
        let id = bring(&first, 0, false).await.unwrap();
        assert!(id > kept);
        assert_eq!(found(&db, &link).await.connection, Some(id), "{}", db.name);
        assert!(!db.store.claim_link(&link.id, &FIRST).await.unwrap());
    }
}

#[tokio::test]
async fn old_links_go_and_a_user_has_so_many() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        for number in 1..=5 {
            db.store.insert_link(&link(ada, number), after(u64::from(number))).await.unwrap();
        }
        db.store.insert_link(&link(bob, 9), NOW).await.unwrap();
        let github = provider("github");
        let spent = LinkId::new([1; 32]);
        assert!(
            db.store.update_link_ended(&spent, false, LinkStage::Connected, &github, None).await.unwrap()
        );
        let newest = Link { ends_at: after(900), ..link(ada, 6) };
        db.store.insert_link(&newest, NOW).await.unwrap();
        assert_eq!(db.store.delete_oldest_links(ada, &newest.id, 3).await.unwrap(), 2, "{}", db.name);
        let left = async || {
            let mut left = Vec::new();
            for number in [1, 2, 3, 4, 5, 6, 9] {
                left.extend(db.store.find_link(&LinkId::new([number; 32])).await.unwrap().map(|_| number));
            }
            left
        };
        assert_eq!(left().await, [1, 4, 5, 6, 9], "{}", db.name);
        db.store.delete_ended_links(after(700)).await.unwrap();
        assert_eq!(left().await, [6], "{}", db.name);
    }
}
