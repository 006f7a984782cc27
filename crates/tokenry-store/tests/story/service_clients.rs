//! The operator's own clients at providers: kept, changed, taken away, and that others hear of it.

use tokenry_model::UserId;
use tokenry_store::{NewSecret, Store};

use crate::fixture::{NOW, after, bytes, provider, stores};

#[tokio::test]
async fn a_client_is_kept_changed_and_taken_away_and_each_time_the_mark_is_another() {
    for db in stores().await {
        let (store, github) = (&db.store, provider("github"));
        assert_eq!(store.find_services_mark().await.unwrap(), None, "{}", db.name);
        assert!(store.list_service_clients().await.unwrap().is_empty());
        let ada = Some(UserId::new(7));
        let secret = bytes("sealed secret");
        let new = NewSecret::Sealed(&secret);
        assert!(store.update_service_client(&github, "first", new, ada, "a", NOW).await.unwrap());
        assert_eq!(store.find_services_mark().await.unwrap().as_deref(), Some("a"));
        let kept = store.list_service_clients().await.unwrap().remove(0);
        assert_eq!((kept.provider, kept.client_id.as_str()), (github.clone(), "first"), "{}", db.name);
        assert_eq!((kept.secret, kept.secret_at), (Some(secret.clone()), Some(NOW)));
        assert_eq!((kept.updated_at, kept.updated_by), (NOW, ada));

        // The same id, and the secret that was there.
        let stays = NewSecret::Stays;
        assert!(store.update_service_client(&github, "first", stays, None, "b", after(1)).await.unwrap());
        let kept = store.list_service_clients().await.unwrap().remove(0);
        assert_eq!((kept.client_id.as_str(), kept.secret_at), ("first", Some(NOW)), "{}", db.name);
        assert_eq!((kept.secret, kept.updated_at, kept.updated_by), (Some(secret), after(1), None));

        store.update_service_client(&github, "second", NewSecret::None, ada, "c", after(2)).await.unwrap();
        let kept = Store::peek_service_clients(&db.url).await.unwrap().remove(0);
        assert_eq!((kept.secret, kept.secret_at), (None, None), "{}", db.name);
        assert_eq!(store.find_services_mark().await.unwrap().as_deref(), Some("c"));

        assert!(store.delete_service_client(&github, "d", after(3)).await.unwrap());
        assert!(!store.delete_service_client(&github, "e", after(4)).await.unwrap());
        assert_eq!(store.find_services_mark().await.unwrap().as_deref(), Some("e"), "{}", db.name);
        assert!(store.list_service_clients().await.unwrap().is_empty());
        assert!(store.update_service_client(&github, "third", stays, ada, "f", after(5)).await.unwrap());
        // Without a secret there is none that belongs to another id.
        assert!(store.update_service_client(&github, "fourth", stays, ada, "g", after(6)).await.unwrap());
    }
    let nowhere = Store::peek_service_clients("sqlite:///nowhere/at-all.db").await.unwrap();
    assert!(nowhere.is_empty());
}

#[tokio::test]
async fn the_id_of_one_operator_is_never_kept_with_the_secret_of_another() {
    for db in stores().await {
        let (store, github) = (&db.store, provider("github"));
        let (one, other) = (bytes("secret of one"), bytes("secret of the other"));
        let sealed = NewSecret::Sealed(&one);
        assert!(store.update_service_client(&github, "one", sealed, None, "a", NOW).await.unwrap());
        // Somebody else saves an id and its secret, before who has only looked at the first id saves that.
        let sealed = NewSecret::Sealed(&other);
        assert!(store.update_service_client(&github, "other", sealed, None, "b", after(1)).await.unwrap());
        let stays = NewSecret::Stays;
        assert!(!store.update_service_client(&github, "one", stays, None, "c", after(2)).await.unwrap());
        let kept = store.list_service_clients().await.unwrap().remove(0);
        assert_eq!((kept.client_id.as_str(), kept.secret), ("other", Some(other)), "{}", db.name);
        assert_eq!(kept.updated_at, after(1));
        assert_eq!(store.find_services_mark().await.unwrap().as_deref(), Some("b"), "{}", db.name);
    }
}
