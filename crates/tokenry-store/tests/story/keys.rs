//! The key ring and the signing keys.

use tokenry_store::{StoredKey, StoredSigningKey};

use crate::fixture::{NOW, bytes, stores};

fn key(id: u32, wrapped: &str, is_current: bool) -> StoredKey {
    StoredKey { id, wrapped: wrapped.as_bytes().to_vec(), is_current }
}

#[tokio::test]
async fn of_several_who_make_the_first_key_one_wins_and_all_read_the_same() {
    for db in stores().await {
        assert!(db.store.list_keys().await.unwrap().is_empty());
        let tries = (0..10).map(|number| {
            let store = db.store.clone();
            tokio::spawn(async move {
                store.insert_key(&key(1, &format!("key {number}"), true), NOW).await.unwrap();
                store.list_keys().await.unwrap()[0].wrapped.clone()
            })
        });
        let mut read = Vec::new();
        for each in tries.collect::<Vec<_>>() {
            read.push(each.await.unwrap());
        }
        read.dedup();
        assert_eq!(read.len(), 1, "{}", db.name);
        db.store.insert_key(&key(2, "next", false), NOW).await.unwrap();
        let ring = db.store.list_keys().await.unwrap();
        let ring: Vec<_> = ring.iter().map(|key| (key.id, key.is_current)).collect();
        assert_eq!(ring, [(1, true), (2, false)]);
    }
}

#[tokio::test]
async fn the_first_signing_key_stays() {
    for db in stores().await {
        assert!(db.store.list_signing_keys().await.unwrap().is_empty());
        for (id, text) in [(1, "first"), (1, "too late"), (2, "second")] {
            let key = StoredSigningKey { id, sealed: bytes(text) };
            db.store.insert_signing_key(&key, NOW).await.unwrap();
        }
        let keys = db.store.list_signing_keys().await.unwrap();
        let keys: Vec<_> = keys.iter().map(|key| (key.id, key.sealed.as_bytes())).collect();
        assert_eq!(keys, [(1, &b"first"[..]), (2, &b"second"[..])], "{}", db.name);
    }
}

#[tokio::test]
async fn the_ring_can_be_looked_at_before_the_database_is_opened() {
    for db in stores().await {
        assert!(tokenry_store::Store::peek_keys(&db.url).await.unwrap().is_empty());
        db.store.insert_key(&key(1, "wrapped", true), NOW).await.unwrap();
        let ring = tokenry_store::Store::peek_keys(&db.url).await.unwrap();
        assert_eq!(ring.len(), 1);
        assert_eq!((ring[0].id, &ring[0].wrapped[..], ring[0].is_current), (1, &b"wrapped"[..], true));
    }
}
