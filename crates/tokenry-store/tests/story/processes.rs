//! Several processes on one database: each has a `Store` of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use tokenry_store::{FlowClaim, Store, StoreError};

use crate::fixture::{NOW, after, flow, grant, name, oauth, plain, sealed, stores};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_write_a_hundred_things_each_at_once_neither_block_nor_lose() {
    for db in stores().await {
        let stores = [db.store.clone(), Store::open(&db.url).await.unwrap()];
        let ada = db.user().await;
        let work = (0..200_u64).map(|number| {
            let store = stores[usize::try_from(number % 2).unwrap()].clone();
            tokio::spawn(async move {
                let account = number.to_string();
                let id = store
                    .insert_connection(&grant(ada, &account), NOW, |_| {
                        Ok::<_, StoreError>(sealed("a", Some("r")))
                    })
                    .await
                    .unwrap();
                match number % 5 {
                    0 => assert!(store.delete_connection(ada, id, true, after(1)).await.unwrap()),
                    1 => {
                        assert!(store.update_connection_name(ada, id, &name("new"), after(1)).await.unwrap());
                    }
                    2 => {
                        let (new, credential) = (sealed("b", Some("s")), oauth("x", 60));
                        assert!(store.update_refreshed(id, 1, &new, &credential, after(1)).await.unwrap());
                    }
                    3 => {
                        store
                            .insert_login_failures(&[[9; 32]], Duration::from_mins(1), after(1))
                            .await
                            .unwrap();
                    }
                    _ => store.update_session_epoch(ada, after(1)).await.unwrap(),
                }
                assert!(store.find_connection(ada, id).await.unwrap().is_some());
                id
            })
        });
        let all = async {
            let mut ids = BTreeSet::new();
            for each in work.collect::<Vec<_>>() {
                ids.insert(each.await.unwrap());
            }
            ids
        };
        let ids = tokio::time::timeout(Duration::from_mins(1), all).await.expect("they block one another");
        assert_eq!(ids.len(), 200, "an id was given twice");
        for store in &stores {
            let list = store.list_connections(ada, 0, 1000).await.unwrap().unwrap();
            assert_eq!((list.connections.len(), list.session_epoch), (160, 40));
            assert_eq!(list.connections.iter().filter(|each| each.name.as_str() == "new").count(), 40);
            assert_eq!(list.connections.iter().filter(|each| each.generation == 2).count(), 40);
            assert_eq!(store.count_revocations().await.unwrap(), 40);
            assert_eq!(store.find_login_failures(&[9; 32]).await.unwrap(), Some((40, after(1))));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_claim_the_same_things_share_them_out() {
    for db in stores().await {
        let stores = [db.store.clone(), Store::open(&db.url).await.unwrap()];
        let ada = db.user().await;
        for number in 0..20 {
            let id = db.add_grant(ada, &number.to_string()).await;
            db.store.delete_connection(ada, id, true, NOW).await.unwrap();
            db.store.insert_flow(&flow(ada, number), NOW).await.unwrap();
        }
        let work = stores.map(|store| {
            tokio::spawn(async move {
                let (mut flows, mut revocations) = (0, 0);
                for number in 0..20 {
                    let claim = store.claim_flow(&flow(ada, number).state_hash, NOW).await.unwrap();
                    flows += usize::from(matches!(claim, FlowClaim::Claimed(_)));
                    let batch = store.claim_revocations(None, 1, NOW, Duration::from_mins(1)).await.unwrap();
                    revocations += batch.len();
                }
                (flows, revocations)
            })
        });
        let mut total = (0, 0);
        for each in work {
            let (flows, revocations) = each.await.unwrap();
            total = (total.0 + flows, total.1 + revocations);
        }
        assert_eq!(total, (20, 20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_open_one_new_database_at_once_all_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = tokio::task::spawn_blocking(|| tokenry_postgres::Server::shared().database());
    for url in [format!("sqlite://{}/tokenry.db", dir.path().display()), server.await.unwrap()] {
        let opening = (0..6).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Store::open(&url).await })
        });
        for each in opening.collect::<Vec<_>>() {
            let store = each.await.unwrap().unwrap();
            assert!(store.list_users().await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn what_one_has_written_the_other_reads_at_once() {
    for db in stores().await {
        let other = Store::open(&db.url).await.unwrap();
        let ada = db.user().await;
        for number in 1..=20 {
            let id = db.try_add(&plain(ada), "x", None).await.unwrap();
            let list = other.list_connections(ada, 0, 100).await.unwrap().unwrap();
            assert_eq!(list.connections.len(), number);
            assert!(other.find_connection(ada, id).await.unwrap().unwrap().connection.is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_fail_or_hang_up_take_nobody_elses_write_along() {
    for db in stores().await {
        let ada = db.user().await;
        db.add_grant(ada, "taken").await;
        let mut work = Vec::new();
        for number in 0..200_u64 {
            let store = db.store.clone();
            let task = tokio::spawn(async move {
                // Every fourth wants what is there already, and every fifth cannot be sealed.
                let account = if number % 4 == 1 { "taken".to_owned() } else { number.to_string() };
                let seal = |_| match number % 5 {
                    2 => Err(StoreError::Conflict),
                    _ => Ok(sealed("a", None)),
                };
                store.insert_connection(&grant(ada, &account), NOW, seal).await
            });
            if number % 7 == 3 {
                let handle = task.abort_handle();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_micros(number * 20)).await;
                    handle.abort();
                });
            }
            work.push((number, task));
        }
        let mut acknowledged = BTreeSet::new();
        for (number, task) in work {
            match tokio::time::timeout(Duration::from_mins(1), task).await.expect("a writer waits for ever") {
                Ok(Ok(id)) => drop(acknowledged.insert(id)),
                Ok(Err(StoreError::Conflict)) => assert!(number % 4 == 1 || number % 5 == 2, "{number}"),
                Ok(Err(error)) => panic!("{}: {error}", db.name),
                Err(ended) => assert!(ended.is_cancelled() && number % 7 == 3),
            }
        }
        let list = db.store.list_connections(ada, 0, 1000).await.unwrap().unwrap();
        let there: BTreeSet<_> = list.connections.iter().map(|each| each.id).collect();
        assert!(acknowledged.len() > 90 && acknowledged.is_subset(&there), "{}", db.name);
        // What nobody was told of is there whole, or not at all.
        assert!(list.connections.iter().all(|each| !each.access_token.as_bytes().is_empty()), "{}", db.name);
        assert_eq!(
            list.connections.iter().filter(|each| each.account.as_ref().unwrap().id == "taken").count(),
            1
        );
        db.store.ping().await.unwrap();
    }
}

/// Most of the writers are given up at once, as when a client closes all of its connections: one of them is always in the
/// middle of its write, or begins or ends it. What was acknowledged to the others is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_hangs_up_at_any_moment_undoes_nothing_that_was_acknowledged() {
    for db in stores().await {
        let ada = db.user().await;
        let mut acknowledged = BTreeSet::new();
        for round in 0..200_u64 {
            let (mut patient, mut hasty) = (Vec::new(), Vec::new());
            for number in 0..32_u64 {
                let (store, account) = (db.store.clone(), format!("{round} {number}"));
                let writing = tokio::spawn(async move {
                    let seal = |_| Ok::<_, StoreError>(sealed("a", None));
                    store.insert_connection(&grant(ada, &account), NOW, seal).await
                });
                if number % 4 == 0 { patient.push(writing) } else { hasty.push(writing) }
            }
            tokio::time::sleep(Duration::from_micros(round * 37 % 4000)).await;
            hasty.iter().for_each(tokio::task::JoinHandle::abort);
            for each in patient {
                acknowledged.extend(each.await.unwrap().ok());
            }
            for each in hasty {
                acknowledged.extend(each.await.ok().and_then(Result::ok));
            }
        }
        let list = db.store.list_connections(ada, 0, 10_000).await.unwrap().unwrap();
        let there: BTreeSet<_> = list.connections.iter().map(|each| each.id).collect();
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(
            acknowledged.len() >= 1600 && lost.is_empty(),
            "{}: {lost:?} of {}",
            db.name,
            acknowledged.len()
        );
        assert!(list.connections.iter().all(|each| !each.access_token.as_bytes().is_empty()), "{}", db.name);
    }
}
