//! What replaces a credential: a refresh, a reconnect, a pasted token. Each names the one it replaces.

use tokenry_model::{Account, ConnectionState, CredentialKind};

use crate::fixture::{after, bytes, name, oauth, sealed, stores};

#[tokio::test]
async fn a_refresh_replaces_the_credential_it_was_made_from_and_no_other() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        let (first, second) = (sealed("access 2", Some("refresh 2")), sealed("access 3", None));
        let credential = oauth("email", 7200);
        assert!(db.store.update_refreshed(id, 1, &first, &credential, after(10)).await.unwrap());
        // The same answer again, or one that slept: the generation has moved on.
        assert!(
            !db.store.update_refreshed(id, 1, &sealed("late", None), &credential, after(11)).await.unwrap()
        );
        let it = db.connection(ada, id).await;
        assert_eq!((it.generation, it.access_token.as_bytes()), (2, &b"access 2"[..]));
        assert_eq!((it.scopes.to_string().as_str(), it.times.expires_at), ("email", Some(after(7200))));
        assert_eq!(it.updated_at, after(10));
        // No new refresh token came: the old one stays (RFC 6749 §6).
        assert!(db.store.update_refreshed(id, 2, &second, &credential, after(12)).await.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!((it.generation, it.access_token.as_bytes()), (3, &b"access 3"[..]));
        assert_eq!(it.refresh_token.unwrap().as_bytes(), b"refresh 2", "{}", db.name);
    }
}

#[tokio::test]
async fn of_twenty_refreshes_of_one_credential_one_is_written() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        let tries = (0..20).map(|number| {
            let store = db.store.clone();
            tokio::spawn(async move {
                let new = sealed(&format!("access {number}"), Some(&format!("refresh {number}")));
                store.update_refreshed(id, 1, &new, &oauth("email", 7200), after(1)).await.unwrap()
            })
        });
        let mut winners = Vec::new();
        for (number, each) in tries.collect::<Vec<_>>().into_iter().enumerate() {
            if each.await.unwrap() {
                winners.push(number);
            }
        }
        let [winner] = winners[..] else { panic!("{}: {winners:?} were written", db.name) };
        let it = db.connection(ada, id).await;
        assert_eq!(it.access_token.as_bytes(), format!("access {winner}").as_bytes());
        assert_eq!(it.refresh_token.unwrap().as_bytes(), format!("refresh {winner}").as_bytes());
        assert_eq!(it.generation, 2);
    }
}

#[tokio::test]
async fn a_refused_grant_is_marked_and_kept_unless_somebody_was_quicker() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        assert!(!db.store.update_reconnect_required(id, 2, "not this one").await.unwrap());
        assert!(db.store.update_reconnect_required(id, 1, "invalid_grant").await.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!(it.state, ConnectionState::ReconnectRequired { reason: "invalid_grant".to_owned() });
        assert_eq!((it.generation, it.access_token.as_bytes()), (1, &b"sealed access"[..]));

        let new = sealed("access 2", Some("refresh 2"));
        let done = db
            .store
            .update_reconnected(
                ada,
                id,
                Some(&Account { id: "1".to_owned(), label: Some("a new label".to_owned()) }),
                &new,
                &oauth("all", 60),
                after(9),
            )
            .await;
        assert!(done.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!((it.id, &it.state, it.generation), (id, &ConnectionState::Ok, 2));
        assert_eq!(it.access_token.as_bytes(), b"access 2");
        assert_eq!(it.account.unwrap().label.as_deref(), Some("a new label"));
        // The refresh that was under way comes too late, and so does its bad news.
        assert!(
            !db.store
                .update_refreshed(id, 1, &sealed("late", None), &oauth("x", 60), after(9))
                .await
                .unwrap()
        );
        assert!(!db.store.update_reconnect_required(id, 1, "late").await.unwrap(), "{}", db.name);
    }
}

/// Many providers give a refresh token at the first consent only: one that is still good stays good.
#[tokio::test]
async fn a_reconnect_without_a_label_or_a_refresh_token_keeps_the_good_old_ones() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        let old = db.connection(ada, id).await.refresh_token.unwrap();
        let new = sealed("access 2", None);
        assert!(db.store.update_reconnected(ada, id, None, &new, &oauth("all", 60), after(9)).await.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!(it.account.unwrap().label.as_deref(), Some("42's label"));
        assert_eq!(it.refresh_token, Some(old), "{}", db.name);
        assert_eq!((it.access_token.as_bytes(), it.generation), (&b"access 2"[..], 2));
    }
}

#[tokio::test]
async fn a_reconnect_without_a_refresh_token_leaves_none_that_was_refused_or_pasted_over() {
    for db in stores().await {
        let ada = db.user().await;
        let refused = db.add_grant(ada, "42").await;
        assert!(db.store.update_reconnect_required(refused, 1, "invalid_grant").await.unwrap());
        let pasted = db.add_grant(ada, "43").await;
        assert!(db.store.update_plain_token(ada, pasted, &bytes("sealed"), true, after(5)).await.unwrap());
        for id in [refused, pasted] {
            let new = sealed("access 2", None);
            assert!(
                db.store.update_reconnected(ada, id, None, &new, &oauth("all", 60), after(9)).await.unwrap()
            );
            assert!(db.connection(ada, id).await.refresh_token.is_none(), "{}: of {id}", db.name);
        }
    }
}

#[tokio::test]
async fn a_pasted_token_drops_the_grant_and_queues_its_revocation() {
    for db in stores().await {
        let ada = db.user().await;
        let id = db.add_grant(ada, "42").await;
        db.store.update_reconnect_required(id, 1, "invalid_grant").await.unwrap();
        assert!(db.store.update_connection_name(ada, id, &name("kept"), after(1)).await.unwrap());
        let pasted = bytes("sealed pasted token");
        assert!(db.store.update_plain_token(ada, id, &pasted, true, after(5)).await.unwrap());
        let it = db.connection(ada, id).await;
        assert_eq!((it.kind, it.state, it.generation), (CredentialKind::Plain, ConnectionState::Ok, 2));
        assert!(it.account.is_none() && it.refresh_token.is_none());
        assert_eq!((it.times.expires_at, it.times.due_at, it.scopes.to_string().as_str()), (None, None, ""));
        assert_eq!((it.access_token.as_bytes(), it.name.as_str()), (&b"sealed pasted token"[..], "kept"));
        assert_eq!((it.created_at, it.updated_at), (crate::fixture::NOW, after(5)));
        let queued = db.bytes("SELECT sealed_access FROM revocations").await;
        assert_eq!(queued.as_deref(), Some(&b"sealed access"[..]));
        // The second time there is no grant to revoke.
        assert!(db.store.update_plain_token(ada, id, &pasted, true, after(6)).await.unwrap());
        assert_eq!(db.store.count_revocations().await.unwrap(), 1, "{}", db.name);
    }
}
