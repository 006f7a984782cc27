//! Connections: added, found, listed, renamed, deleted.

use tokenry_model::{ConnectionId, ConnectionState, CredentialKind, UserId};
use tokenry_store::{StoreError, Wanted};

use crate::fixture::{NOW, after, grant, name, oauth, plain, provider, realm, sealed, stores};

#[tokio::test]
async fn a_connection_comes_back_as_it_was_added() {
    for db in stores().await {
        let ada = db.user().await;
        let mut seen = None;
        let id = db
            .store
            .insert_connection(&grant(ada, "42"), NOW, |id| {
                seen = Some(id);
                Ok::<_, StoreError>(sealed("sealed access", Some("sealed refresh")))
            })
            .await
            .unwrap();
        assert_eq!(seen, Some(id), "the seal is bound to the id of the row");
        let it = db.connection(ada, id).await;
        assert_eq!((it.id, it.user_id, it.name.as_str()), (id, ada, "mine"));
        assert_eq!((it.token_type.as_str(), it.provider.as_str()), ("git", "github"));
        assert_eq!((it.kind, &it.state), (CredentialKind::OAuth2, &ConnectionState::Ok));
        let account = it.account.unwrap();
        assert_eq!((account.id.as_str(), account.label.as_deref()), ("42", Some("42's label")));
        assert_eq!(it.scopes.to_string(), "email profile");
        assert_eq!(it.access_token.as_bytes(), b"sealed access");
        assert_eq!(it.refresh_token.unwrap().as_bytes(), b"sealed refresh");
        assert_eq!((it.times.expires_at, it.times.due_at), (Some(after(3600)), Some(after(3540))));
        assert_eq!((it.generation, it.created_at, it.updated_at), (1, NOW, NOW), "{}", db.name);
    }
}

#[tokio::test]
async fn a_connection_whose_seal_fails_is_not_there() {
    for db in stores().await {
        let ada = db.user().await;
        let failed = db.store.insert_connection(&plain(ada), NOW, |_| Err(StoreError::Conflict)).await;
        assert!(matches!(failed, Err(StoreError::Conflict)));
        assert_eq!(db.number("SELECT COUNT(*) FROM connections").await, Some(0), "{}", db.name);
    }
}

#[tokio::test]
async fn a_connection_is_found_by_its_owner_alone() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let id = db.add_plain(ada).await;
        assert!(db.store.find_connection(bob, id).await.unwrap().unwrap().connection.is_none());
        assert!(db.store.list_connections(bob, 0, 10).await.unwrap().unwrap().connections.is_empty());
        assert!(!db.store.update_connection_name(bob, id, &name("x"), NOW).await.unwrap());
        assert!(!db.store.update_plain_token(bob, id, &sealed("x", None).access, true, NOW).await.unwrap());
        assert!(!db.store.delete_connection(bob, id, true, NOW).await.unwrap());
        assert_eq!(db.connection(ada, id).await.name.as_str(), "mine", "{}", db.name);
    }
}

#[tokio::test]
async fn a_list_is_oldest_first_and_goes_on_after_an_id() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(db.add_plain(ada).await);
            db.add_plain(bob).await;
        }
        db.store.delete_connection(ada, ids[2], false, NOW).await.unwrap();
        let list = async |after: i64, limit: i64| {
            let list = db.store.list_connections(ada, after, limit).await.unwrap().unwrap();
            let tokens = db.store.list_tokens(ada, after, limit).await.unwrap().unwrap();
            assert_eq!(tokens.session_epoch, list.session_epoch, "{}", db.name);
            let shown: Vec<_> = tokens.connections.iter().map(|each| each.id).collect();
            let ids = list.connections.into_iter().map(|each| each.id).collect::<Vec<_>>();
            assert_eq!(shown, ids, "{}", db.name);
            ids
        };
        assert_eq!(list(0, 100).await, [ids[0], ids[1], ids[3], ids[4]]);
        assert_eq!(list(0, 2).await, [ids[0], ids[1]]);
        assert_eq!(list(ids[1].get(), 2).await, [ids[3], ids[4]]);
        assert_eq!(list(ids[4].get(), 2).await, []);
        assert_eq!(list(i64::MAX, i64::MAX).await, [], "{}", db.name);
    }
}

#[tokio::test]
async fn a_list_of_tokens_shows_of_each_what_its_row_says() {
    for db in stores().await {
        let (ada, nobody) = (db.user().await, UserId::new(999));
        assert!(db.store.list_tokens(nobody, 0, 10).await.unwrap().is_none(), "{}", db.name);
        assert!(db.store.list_tokens(ada, 0, 10).await.unwrap().unwrap().connections.is_empty());
        let (plain, grant) = (db.add_plain(ada).await, db.add_grant(ada, "42").await);
        db.store.update_revoked(ada, grant, "by the owner", false, NOW).await.unwrap();
        let list = db.store.list_tokens(ada, 0, 10).await.unwrap().unwrap().connections;
        for (id, shown) in [plain, grant].into_iter().zip(&list) {
            let row = db.store.find_connection(ada, id).await.unwrap().unwrap().connection.unwrap();
            assert_eq!((shown.id, &shown.name, &shown.token_type), (row.id, &row.name, &row.token_type));
            assert_eq!((shown.created_at, shown.updated_at), (row.created_at, row.updated_at));
            assert_eq!(shown.access_token.as_bytes(), row.access_token.as_bytes(), "{}", db.name);
        }
        assert_eq!(list.len(), 2);
        assert!(list[1].access_token.as_bytes().is_empty() && !list[0].access_token.as_bytes().is_empty());
    }
}

#[tokio::test]
async fn renaming_moves_the_time_and_leaves_the_credential() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        assert!(db.store.update_connection_name(ada, id, &name("موسيقى"), after(5)).await.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!((it.name.as_str(), it.created_at, it.updated_at), ("موسيقى", NOW, after(5)));
        assert_eq!((it.generation, it.access_token.as_bytes()), (1, &b"sealed access"[..]));
        let other = ConnectionId::new(id.get() + 1);
        assert!(!db.store.update_connection_name(ada, other, &name("x"), NOW).await.unwrap(), "{}", db.name);
    }
}

#[tokio::test]
async fn deleting_wipes_the_sealed_bytes_and_queues_the_revocation_with_it() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        assert!(db.store.delete_connection(ada, id, true, after(7)).await.unwrap());

        let raw = |column: &str| format!("SELECT {column} FROM connections WHERE id = {id}");
        assert_eq!(db.bytes(raw("sealed_access")).await.as_deref(), Some(&b""[..]));
        assert_eq!(db.bytes(raw("sealed_refresh")).await, None);
        assert_eq!(db.number(raw("deleted_at")).await, Some(after(7).micros()));
        assert_eq!(db.number(raw("due_at")).await, None);
        let queued = db.bytes("SELECT sealed_refresh FROM revocations").await;
        assert_eq!(queued.as_deref(), Some(&b"sealed refresh"[..]));

        assert!(db.store.find_connection(ada, id).await.unwrap().unwrap().connection.is_none());
        let github = provider("github");
        assert!(db.store.find_connection_by_account(ada, &github, "42", &realm()).await.unwrap().is_none());
        // What is gone stays gone, whoever still holds its id.
        assert!(!db.store.delete_connection(ada, id, true, after(8)).await.unwrap());
        assert!(!db.store.update_connection_name(ada, id, &name("x"), NOW).await.unwrap());
        let (new, credential) = (sealed("new", None), oauth("email", 3600));
        for generation in [1, 2] {
            assert!(!db.store.update_refreshed(id, generation, &new, &credential, NOW).await.unwrap());
            assert!(!db.store.update_reconnect_required(id, generation, "x").await.unwrap());
        }
        assert!(!db.store.update_reconnected(ada, id, None, &new, &credential, NOW).await.unwrap());
        assert_eq!(db.store.count_revocations().await.unwrap(), 1, "{}", db.name);
    }
}

#[tokio::test]
async fn a_delete_whose_revocation_cannot_be_queued_does_not_happen() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        db.execute("ALTER TABLE revocations RENAME TO elsewhere").await;
        assert!(db.store.delete_connection(ada, id, true, NOW).await.is_err());
        let pasted = sealed("sealed pasted token", None).access;
        assert!(db.store.update_plain_token(ada, id, &pasted, true, NOW).await.is_err());
        let it = db.connection(ada, id).await;
        assert_eq!((it.kind, it.access_token.as_bytes()), (CredentialKind::OAuth2, &b"sealed access"[..]));
        db.execute("ALTER TABLE elsewhere RENAME TO revocations").await;
        assert!(db.store.delete_connection(ada, id, true, NOW).await.unwrap(), "{}", db.name);
    }
}

#[tokio::test]
async fn a_pasted_token_leaves_nothing_to_revoke() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_plain(ada).await;
        assert!(db.store.delete_connection(ada, id, true, NOW).await.unwrap());
        let id = db.add_grant(ada, "42").await;
        assert!(db.store.delete_connection(ada, id, false, NOW).await.unwrap());
        assert_eq!(db.store.count_revocations().await.unwrap(), 0, "{}", db.name);
    }
}

#[tokio::test]
async fn one_live_connection_for_one_account_of_one_user() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let id = db.add_grant(ada, "42").await;
        let again = db.try_add(&grant(ada, "42"), "second", None).await;
        assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
        db.add_grant(ada, "43").await;
        let bobs = db.add_grant(bob, "42").await;
        let github = provider("github");
        let found = db.store.find_connection_by_account(ada, &github, "42", &realm()).await.unwrap().unwrap();
        assert_eq!((found.id, found.access_token.as_bytes()), (id, &b"sealed access"[..]));
        let sharer = async |account: &str, except| {
            db.store.find_account_sharer(&github, account, except).await.unwrap()
        };
        assert_eq!(sharer("42", id).await, Some(bobs));
        assert_eq!(sharer("42", bobs).await, Some(id));
        assert_eq!(sharer("44", id).await, None);
        // One that was revoked has nothing left to lose.
        db.store.update_revoked(bob, bobs, "by its owner", false, NOW).await.unwrap();
        assert_eq!(sharer("42", id).await, None);
        db.store.delete_connection(bob, bobs, false, NOW).await.unwrap();
        assert_eq!(sharer("42", id).await, None);
        // The account is free again once its connection is gone.
        db.store.delete_connection(ada, id, false, NOW).await.unwrap();
        assert_ne!(db.add_grant(ada, "42").await, id, "{}: an id is never given twice", db.name);
    }
}

#[tokio::test]
async fn ids_are_never_given_twice() {
    for db in stores().await {
        let ada = db.user().await;
        let first = db.add_plain(ada).await;
        db.execute("DELETE FROM connections").await;
        assert!(db.add_plain(ada).await.get() > first.get(), "{}", db.name);
    }
}

#[tokio::test]
async fn a_list_is_narrowed_down_by_what_is_wanted_and_only_its_owners_are_on_it() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let (pasted, first) = (db.add_plain(ada).await, db.add_grant(ada, "1").await);
        let second = db.add_grant(ada, "2").await;
        db.add_grant(bob, "1").await;
        assert!(db.store.update_reconnect_required(second, 1, "refused").await.unwrap());
        let wanted = async |wanted: Wanted, after, limit| {
            let list = db.store.list_wanted(ada, &wanted, after, limit).await.unwrap().unwrap();
            list.connections.into_iter().map(|connection| connection.id).collect::<Vec<_>>()
        };
        let all = Wanted::default;
        assert_eq!(wanted(all(), 0, 10).await, [pasted, first, second], "{}", db.name);
        assert_eq!(wanted(all(), pasted.get(), 1).await, [first]);
        assert_eq!(wanted(Wanted { kind: Some(CredentialKind::Plain), ..all() }, 0, 10).await, [pasted]);
        assert_eq!(wanted(Wanted { state: Some("reconnect_required"), ..all() }, 0, 10).await, [second]);
        assert_eq!(wanted(Wanted { account: Some("1".to_owned()), ..all() }, 0, 10).await, [first]);
        assert_eq!(wanted(Wanted { account: Some("2's label".to_owned()), ..all() }, 0, 10).await, [second]);
        assert_eq!(wanted(Wanted { provider: Some(provider("spotify")), ..all() }, 0, 10).await, []);
        let nobody = tokenry_model::UserId::new(999);
        assert!(db.store.list_wanted(nobody, &all(), 0, 10).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_who_ask_at_once_each_get_their_own_and_nothing_of_anybody_else() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let mut ids = Vec::new();
        for number in 0..50 {
            ids.push(db.add_grant(ada, &number.to_string()).await);
        }
        db.store.update_session_epoch(bob, NOW).await.unwrap();
        let of_bob = db.try_add(&grant(bob, "1"), "bob's", None).await.unwrap();
        let asked = (0..100).map(|number| {
            let (store, id) = (db.store.clone(), ids[number % 50]);
            tokio::spawn(async move {
                let own = store.find_ready(ada, id).await.unwrap().unwrap();
                assert_eq!((own.access_token.as_bytes(), own.session_epoch), (&b"sealed access"[..], 0));
                assert_eq!(
                    (own.expires_at, own.due_at, own.born_at),
                    (Some(after(3600)), Some(after(3540)), Some(NOW))
                );
                assert!(store.find_ready(bob, id).await.unwrap().is_none(), "it is not bob's");
                assert!(store.find_ready(ada, of_bob).await.unwrap().is_none(), "it is not ada's");
                let bobs = store.find_ready(bob, of_bob).await.unwrap().unwrap();
                assert_eq!((bobs.access_token.as_bytes(), bobs.session_epoch), (&b"bob's"[..], 1));
            })
        });
        for each in asked.collect::<Vec<_>>() {
            each.await.unwrap();
        }
        assert!(db.store.find_ready(ada, ConnectionId::new(9999)).await.unwrap().is_none(), "{}", db.name);
    }
}

#[tokio::test]
async fn what_is_not_in_order_is_not_ready_and_what_was_written_is_seen_by_the_next_read() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "1").await;
        let other = tokenry_store::Store::open(&db.url).await.unwrap();
        for (round, text) in ["one", "two", "three"].into_iter().enumerate() {
            let generation = i64::try_from(round).unwrap() + 1;
            let credential = oauth("a", 60);
            assert!(
                other.update_refreshed(id, generation, &sealed(text, None), &credential, NOW).await.unwrap()
            );
            let ready = db.store.find_ready(ada, id).await.unwrap().unwrap();
            assert_eq!(ready.access_token.as_bytes(), text.as_bytes(), "{}", db.name);
        }
        other.update_session_epoch(ada, NOW).await.unwrap();
        assert_eq!(db.store.find_ready(ada, id).await.unwrap().unwrap().session_epoch, 1);
        assert!(other.update_reconnect_required(id, 4, "refused").await.unwrap());
        assert!(db.store.find_ready(ada, id).await.unwrap().is_none());
        let gone = db.add_plain(ada).await;
        assert!(db.store.find_ready(ada, gone).await.unwrap().is_some());
        other.delete_connection(ada, gone, false, NOW).await.unwrap();
        assert!(db.store.find_ready(ada, gone).await.unwrap().is_none());
    }
}
