//! Keys that come and go while there is something sealed with them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokenry_model::{Sealed, UserId};
use tokenry_store::{
    NewRevocation, NewSecret, SealedCredential, SealedPlace, SealedValue, Store, StoreError, StoredKey,
    StoredSigningKey,
};

use crate::fixture::{Fixture, NOW, after, bytes, flow, grant, provider, realm, stores};

fn key(id: u32, is_current: bool) -> StoredKey {
    StoredKey { id, wrapped: format!("wrapped {id}").into_bytes(), is_current }
}

/// What a key of this id has sealed, as far as the store can tell.
fn sealed_with(key: u8, text: &str) -> Sealed {
    Sealed::new([&[1, 0, 0, 0, key], text.as_bytes()].concat())
}

fn credential(key: u8, text: &str) -> SealedCredential {
    let refresh = Some(sealed_with(key, &format!("refresh {text}")));
    SealedCredential { access: sealed_with(key, &format!("access {text}")), refresh }
}

/// A ring of one key, and something in every place where sealed bytes lie.
async fn full(db: &Fixture) -> UserId {
    let store = &db.store;
    store.insert_key(&key(1, true), NOW).await.unwrap();
    let user = db.user().await;
    for account in ["a", "b"] {
        let sealed = credential(1, account);
        store.insert_connection(&grant(user, account), NOW, |_| Ok::<_, StoreError>(sealed)).await.unwrap();
    }
    let gone = store
        .insert_connection(&grant(user, "c"), NOW, |_| Ok::<_, StoreError>(credential(1, "c")))
        .await
        .unwrap();
    assert!(store.delete_connection(user, gone, false, NOW).await.unwrap());
    let mut begun = flow(user, 1);
    begun.secrets = sealed_with(1, "secrets");
    store.insert_flow(&begun, NOW).await.unwrap();
    store.claim_flow(&begun.state_hash, NOW).await.unwrap();
    let parked = sealed_with(1, "grant");
    store.update_flow_parked(&begun.state_hash, &[1; 32], &[2; 32], &parked, after(600)).await.unwrap();
    let revocation = NewRevocation {
        user_id: user,
        connection_id: gone,
        provider: &provider("github"),
        account_id: None,
        values: &realm(),
        sealed: &credential(1, "revoked"),
    };
    store.insert_revocation(&revocation, NOW).await.unwrap();
    let signing = StoredSigningKey { id: 1, sealed: sealed_with(1, "signing") };
    store.insert_signing_key(&signing, NOW).await.unwrap();
    store.insert_installation_secret("fingerprint", &sealed_with(1, "secret")).await.unwrap();
    let secret = sealed_with(1, "client secret");
    let secret = NewSecret::Sealed(&secret);
    store.update_service_client(&provider("github"), "id", secret, None, "1", NOW).await.unwrap();
    user
}

/// All that a key sealed, kind by kind, sealed again as the vault would.
async fn seal_all_again(store: &Store, from: u32, to: u8) -> Vec<SealedPlace> {
    let mut places = Vec::new();
    for dice in 0.. {
        let found = store.list_sealed_with(from, dice, 1).await.unwrap();
        if found.is_empty() {
            return places;
        }
        let again: Vec<(SealedValue, Sealed)> = found
            .into_iter()
            .map(|value| {
                let text = str::from_utf8(&value.sealed.as_bytes()[5..]).unwrap().to_owned();
                places.push(value.place.clone());
                (value, sealed_with(to, &text))
            })
            .collect();
        assert_eq!(store.update_resealed(&again).await.unwrap(), 1);
    }
    places
}

#[tokio::test]
async fn a_key_cannot_be_deleted_while_anything_was_sealed_with_it_and_is_gone_for_good_afterwards() {
    for db in stores().await {
        let store = &db.store;
        let user = full(&db).await;
        assert!(!store.delete_key(1, NOW).await.unwrap(), "the current key went");
        assert!(store.rotate_key(&key(2, true), &key(1, true), after(1)).await.unwrap());
        let counts = store.count_sealed_with(1).await.unwrap();
        let counts: Vec<_> = counts.iter().map(|each| (each.what, each.count)).collect();
        let wanted = [
            ("signing keys", 1),
            ("secrets of the installation", 1),
            ("secrets of services", 1),
            ("secrets of flows", 1),
            ("grants that wait for their owner", 1),
            ("access tokens to revoke", 1),
            ("refresh tokens to revoke", 1),
            ("refresh tokens", 2),
            ("access tokens", 2),
        ];
        assert_eq!(counts, wanted, "{}", db.name);
        assert!(matches!(store.delete_key(1, after(2)).await, Err(StoreError::KeyInUse)), "{}", db.name);

        let places = seal_all_again(store, 1, 2).await;
        assert_eq!(places.len(), 11, "{}", db.name);
        assert!(places.contains(&SealedPlace::SigningKey { id: 1 }));
        assert!(places.contains(&SealedPlace::Client { provider: "github".to_owned() }));
        assert!(places.contains(&SealedPlace::Installation { name: "fingerprint".to_owned() }));
        let all = store.count_sealed().await.unwrap();
        assert!(all.iter().all(|each| each.key == Some(2)), "{all:?}");
        assert_eq!(all.iter().map(|each| each.count).sum::<i64>(), 11);
        let secret = store.find_installation_secret("fingerprint").await.unwrap();
        assert_eq!(secret, Some(sealed_with(2, "secret")));
        for connection in store.list_connections(user, 0, 10).await.unwrap().unwrap().connections {
            assert_eq!(connection.generation, 1, "to seal again is no new credential");
        }

        assert!(store.delete_key(1, after(3)).await.unwrap());
        assert!(!store.delete_key(1, after(4)).await.unwrap());
        let rows = store.list_key_rows().await.unwrap();
        assert_eq!(rows.iter().map(|row| (row.id, row.is_current)).collect::<Vec<_>>(), [(2, true)]);
        let retired = store.list_retired_keys().await.unwrap();
        assert_eq!((retired.len(), retired[0].id, retired[0].retired_at), (1, 1, after(3)));
        store.settle().await;
        // Nothing that was sealed with it is taken any more.
        let late = store.insert_installation_secret("late", &sealed_with(1, "late")).await;
        assert!(late.is_err(), "{}", db.name);
        let late = sealed_with(1, "late");
        let late = NewSecret::Sealed(&late);
        let late = store.update_service_client(&provider("github"), "id", late, None, "2", NOW).await;
        assert!(matches!(late, Err(StoreError::KeyInUse)), "{}: {late:?}", db.name);
        let late = store
            .insert_connection(&grant(user, "d"), NOW, |_| Ok::<_, StoreError>(credential(1, "d")))
            .await;
        assert!(late.is_err(), "{}", db.name);
    }
}

#[tokio::test]
async fn what_was_written_meanwhile_is_not_sealed_over() {
    for db in stores().await {
        let store = &db.store;
        let user = full(&db).await;
        assert!(store.rotate_key(&key(2, true), &key(1, true), NOW).await.unwrap());
        let mut values = Vec::new();
        for value in store.list_sealed_with(1, 0, 100).await.unwrap() {
            assert!(matches!(value.place, SealedPlace::SigningKey { .. }), "few before many");
            values.push((value, sealed_with(2, "signing")));
        }
        assert_eq!(store.update_resealed(&values).await.unwrap(), 1);
        assert_eq!(store.update_resealed(&values).await.unwrap(), 0, "twice does no harm");

        seal_all_again(store, 1, 2).await;
        // A refresh that lands between the look and the write.
        assert!(store.rotate_key(&key(3, true), &key(2, true), NOW).await.unwrap());
        let mut tokens = Vec::new();
        while tokens.is_empty() {
            let found = store.list_sealed_with(2, 0, 100).await.unwrap();
            let is_token = matches!(found[0].place, SealedPlace::Refresh { user: of, .. } if of == user);
            let again: Vec<_> =
                found.into_iter().map(|value| (value.clone(), sealed_with(3, "stale"))).collect();
            if is_token && again.len() == 2 {
                tokens = again;
            } else {
                store.update_resealed(&again).await.unwrap();
            }
        }
        let SealedPlace::Refresh { connection, .. } = tokens[0].0.place.clone() else { panic!() };
        let before = db.connection(user, connection).await;
        let fresh = credential(3, "fresh");
        let credential = crate::fixture::oauth("email", 7200);
        assert!(
            store
                .update_refreshed(connection, before.generation, &fresh, &credential, after(1))
                .await
                .unwrap()
        );
        assert_eq!(store.update_resealed(&tokens).await.unwrap(), 1, "{}", db.name);
        assert_eq!(db.connection(user, connection).await.refresh_token, fresh.refresh, "{}", db.name);
    }
}

#[tokio::test]
async fn of_many_who_write_with_a_key_and_one_who_retires_it_either_the_write_or_the_retirement_fails() {
    for db in stores().await {
        let store = &db.store;
        store.insert_key(&key(1, true), NOW).await.unwrap();
        let (mut retired, mut refused) = (0, 0);
        for round in 1..=30_u32 {
            let (old, new) = (round, round + 1);
            assert!(store.rotate_key(&key(new, true), &key(old, true), NOW).await.unwrap());
            let name = format!("late {round}");
            let sealed = sealed_with(u8::try_from(old).unwrap(), "late");
            let (write, retire) =
                tokio::join!(async { store.insert_installation_secret(&name, &sealed).await }, async {
                    store.delete_key(old, NOW).await
                },);
            let is_there = store.find_installation_secret(&name).await.unwrap().is_some();
            match retire {
                Ok(true) => {
                    assert!(write.is_err() && !is_there, "{}: sealed with a key that is gone", db.name);
                    retired += 1;
                }
                Err(StoreError::KeyInUse) => {
                    assert!(write.is_ok() && is_there, "{}", db.name);
                    refused += 1;
                }
                other => panic!("{}: {other:?}", db.name),
            }
        }
        println!("{}: {retired} retired before the write, {refused} refused after it", db.name);
        assert_eq!(retired + refused, 30);
    }
}

#[tokio::test]
async fn a_key_that_a_process_holds_is_not_deleted_and_one_that_is_gone_is_not_held() {
    for db in stores().await {
        let store = &db.store;
        store.insert_key(&key(1, true), NOW).await.unwrap();
        assert!(store.insert_key_hold("one", "spool", 1, NOW).await.unwrap());
        assert!(store.insert_key_hold("one", "spool", 1, after(5)).await.unwrap());
        assert!(store.insert_key_hold("two", "other", 1, after(1)).await.unwrap());
        assert!(store.rotate_key(&key(2, true), &key(1, true), NOW).await.unwrap());
        let holds = store.list_key_holds().await.unwrap();
        let seen: Vec<_> =
            holds.iter().map(|hold| (hold.holder.as_str(), hold.key_id, hold.seen_at)).collect();
        assert_eq!(seen, [("two", 1, after(1)), ("one", 1, after(5))]);
        assert!(matches!(store.delete_key(1, NOW).await, Err(StoreError::KeyInUse)), "{}", db.name);
        store.delete_key_hold("one", 1).await.unwrap();
        assert!(matches!(store.delete_key(1, NOW).await, Err(StoreError::KeyInUse)), "{}", db.name);
        store.delete_key_hold("two", 1).await.unwrap();
        assert!(store.delete_key(1, NOW).await.unwrap());
        assert!(!store.insert_key_hold("one", "spool", 1, NOW).await.unwrap(), "{}", db.name);
    }
}

#[tokio::test]
async fn a_ring_that_somebody_else_changed_is_neither_rotated_nor_rewrapped() {
    for db in stores().await {
        let store = &db.store;
        store.insert_key(&key(1, true), NOW).await.unwrap();
        assert!(store.rotate_key(&key(2, true), &key(1, true), after(1)).await.unwrap());
        assert!(!store.rotate_key(&key(3, true), &key(1, true), NOW).await.unwrap(), "no longer current");
        let other = StoredKey { wrapped: b"other".to_vec(), ..key(2, true) };
        assert!(!store.rotate_key(&key(3, true), &other, NOW).await.unwrap(), "other bytes");
        let rows = store.list_key_rows().await.unwrap();
        let rows: Vec<_> = rows.iter().map(|row| (row.id, row.is_current, row.superseded_at)).collect();
        assert_eq!(rows, [(1, false, Some(after(1))), (2, true, None)]);

        let old = || [key(1, false), key(2, true)];
        let rewrapped = |ring: &[StoredKey]| -> Vec<(StoredKey, Vec<u8>)> {
            ring.iter().map(|key| (key.clone(), format!("new {}", key.id).into_bytes())).collect()
        };
        for ring in [vec![key(2, true)], vec![key(1, true), key(2, true)], vec![key(1, false), other]] {
            assert!(!store.rewrap_keys(&rewrapped(&ring)).await.unwrap(), "{}: {ring:?}", db.name);
            assert_eq!(store.list_keys().await.unwrap(), old());
        }
        assert!(store.rewrap_keys(&rewrapped(&old())).await.unwrap());
        let ring = store.list_keys().await.unwrap();
        assert_eq!(ring[0].wrapped, b"new 1");
        assert_eq!(ring[1].wrapped, b"new 2");
    }
}

#[tokio::test]
async fn a_signing_key_goes_when_the_last_token_it_signed_has_expired() {
    for db in stores().await {
        let store = &db.store;
        let signing = |id, text| StoredSigningKey { id, sealed: bytes(text) };
        store.insert_signing_key(&signing(1, "first"), NOW).await.unwrap();
        store.update_signing_ttl(1, Duration::from_secs(100)).await.unwrap();
        store.update_signing_ttl(1, Duration::from_secs(50)).await.unwrap();
        store.rotate_signing_key(&signing(2, "second"), after(10)).await.unwrap();
        let again = store.rotate_signing_key(&signing(2, "twice"), after(11)).await;
        assert!(matches!(again, Err(StoreError::Conflict)), "{}: {again:?}", db.name);
        let rows = store.list_signing_key_rows().await.unwrap();
        let rows: Vec<_> =
            rows.iter().map(|row| (row.id, row.superseded_at, row.longest_ttl.as_secs())).collect();
        assert_eq!(rows, [(1, Some(after(10)), 100), (2, None, 0)], "{}", db.name);
        let slack = Duration::from_secs(5);
        assert_eq!(store.delete_spent_signing_keys(slack, after(115)).await.unwrap(), 0);
        assert_eq!(store.delete_spent_signing_keys(slack, after(116)).await.unwrap(), 1);
        assert_eq!(store.delete_spent_signing_keys(slack, after(1_000_000)).await.unwrap(), 0);
        assert_eq!(store.list_signing_keys().await.unwrap().len(), 1);
    }
}

/// A column for sealed bytes that does not refer to its key would let the key be retired under it.
#[tokio::test]
async fn every_column_with_sealed_bytes_refers_to_its_data_key() {
    let db = crate::fixture::sqlite().await;
    let mut raw = db.raw().await;
    let sql = "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c \
               WHERE t.type = 'table' AND c.name LIKE 'sealed%' AND c.type = 'BLOB'";
    let sealed: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut raw).await.unwrap();
    let sql = "SELECT t.name, t.sql FROM sqlite_master t WHERE t.type = 'table'";
    let tables: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut raw).await.unwrap();
    let guarded: BTreeSet<(String, String)> = sealed
        .iter()
        .filter(|(table, column)| {
            let generated = format!("substr({column}, 1, 5) END) VIRTUAL REFERENCES data_keys (header)");
            tables.iter().any(|(name, sql)| name == table && sql.contains(&generated))
        })
        .cloned()
        .collect();
    assert_eq!(sealed.len(), 9, "{sealed:?}");
    assert_eq!(guarded, sealed.into_iter().collect());
}
