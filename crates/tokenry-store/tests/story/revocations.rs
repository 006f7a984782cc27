//! Revocations: each is taken by one, and again only when its time has come.

use std::collections::BTreeMap;
use std::time::Duration;

use tokenry_model::Values;
use tokenry_store::NewRevocation;

use crate::fixture::{NOW, after, provider, sealed, stores};

const RETRY: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_revocation_carries_the_grant_and_whose_it_was() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        db.store.delete_connection(ada, id, true, after(3)).await.unwrap();
        let claimed = db.store.claim_revocations(None, 10, after(3), RETRY).await.unwrap();
        let [it] = &claimed[..] else { panic!("{}: {claimed:?}", db.name) };
        assert_eq!((it.user_id, it.connection_id, it.provider.as_str()), (ada, id, "github"));
        assert_eq!(it.sealed.access.as_bytes(), b"sealed access");
        assert_eq!(it.sealed.refresh.as_ref().unwrap().as_bytes(), b"sealed refresh");
        assert_eq!((it.attempts, it.created_at), (1, after(3)));
    }
}

#[tokio::test]
async fn twenty_who_take_revocations_at_once_take_each_one_once() {
    for db in stores().await {
        let ada = db.user().await;
        for number in 0..50 {
            let id = db.add_grant(ada, &number.to_string()).await;
            db.store.delete_connection(ada, id, true, NOW).await.unwrap();
        }
        let takers = (0..20).map(|_| {
            let store = db.store.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let batch = store.claim_revocations(None, 3, NOW, RETRY).await.unwrap();
                    if batch.is_empty() {
                        return mine;
                    }
                    assert!(batch.len() <= 3);
                    mine.extend(batch.into_iter().map(|each| each.id));
                }
            })
        });
        let mut taken = BTreeMap::new();
        for each in takers.collect::<Vec<_>>() {
            for id in each.await.unwrap() {
                *taken.entry(id).or_insert(0) += 1;
            }
        }
        assert_eq!(taken.len(), 50);
        assert!(taken.values().all(|&times| times == 1), "{}: {taken:?}", db.name);
    }
}

#[tokio::test]
async fn a_revocation_comes_again_when_its_time_has_come_and_not_before() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        let values = Values::from([("shop".to_owned(), "acme".to_owned())]);
        let new = NewRevocation {
            user_id: ada,
            connection_id: id,
            provider: &provider("github"),
            account_id: None,
            values: &values,
            sealed: &sealed("a", None),
        };
        db.store.insert_revocation(&new, NOW).await.unwrap();
        let claim = async |at| db.store.claim_revocations(None, 10, at, RETRY).await.unwrap();
        let first = claim(NOW).await;
        assert_eq!((first.len(), first[0].attempts), (1, 1));
        assert!(first[0].sealed.refresh.is_none());
        assert_eq!(first[0].values, values);
        assert!(claim(after(119)).await.is_empty());
        let second = claim(after(120)).await;
        assert_eq!((second.len(), second[0].attempts), (1, 2));
        db.store.update_revocation_attempt(second[0].id, after(1000)).await.unwrap();
        assert!(claim(after(999)).await.is_empty());
        let third = claim(after(1000)).await;
        assert_eq!((third.len(), third[0].attempts), (1, 3));
        assert_eq!(db.store.count_revocations().await.unwrap(), 1);
        db.store.delete_revocation(third[0].id).await.unwrap();
        assert_eq!(db.store.count_revocations().await.unwrap(), 0);
        assert!(claim(after(9999)).await.is_empty(), "{}", db.name);
    }
}

#[tokio::test]
async fn one_connections_revocations_can_be_taken_alone_and_the_longest_waiting_come_first() {
    for db in stores().await {
        let ada = db.user().await;
        let mut ids = Vec::new();
        for (account, at) in [("1", 30), ("2", 10), ("3", 20)] {
            let id = db.add_grant(ada, account).await;
            db.store.delete_connection(ada, id, true, after(at)).await.unwrap();
            ids.push(id);
        }
        let alone = db.store.claim_revocations(Some(ids[0]), 10, after(40), RETRY).await.unwrap();
        assert_eq!(alone.iter().map(|each| each.connection_id).collect::<Vec<_>>(), [ids[0]]);
        let first = db.store.claim_revocations(None, 1, after(40), RETRY).await.unwrap();
        assert_eq!(first.iter().map(|each| each.connection_id).collect::<Vec<_>>(), [ids[1]]);
        let rest = db.store.claim_revocations(None, 10, after(40), RETRY).await.unwrap();
        assert_eq!(rest.iter().map(|each| each.connection_id).collect::<Vec<_>>(), [ids[2]], "{}", db.name);
    }
}
