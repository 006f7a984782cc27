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
        store.update_service_client(&github, "first", new, ada, "a", NOW).await.unwrap();
        assert_eq!(store.find_services_mark().await.unwrap().as_deref(), Some("a"));
        let kept = store.list_service_clients().await.unwrap().remove(0);
        assert_eq!((kept.provider, kept.client_id.as_str()), (github.clone(), "first"), "{}", db.name);
        assert_eq!((kept.secret, kept.secret_at), (Some(secret.clone()), Some(NOW)));
        assert_eq!((kept.updated_at, kept.updated_by), (NOW, ada));

        // Another id, and the secret that was there.
        store.update_service_client(&github, "second", NewSecret::Stays, None, "b", after(1)).await.unwrap();
        let kept = store.list_service_clients().await.unwrap().remove(0);
        assert_eq!((kept.client_id.as_str(), kept.secret_at), ("second", Some(NOW)), "{}", db.name);
        assert_eq!((kept.secret, kept.updated_at, kept.updated_by), (Some(secret), after(1), None));

        store.update_service_client(&github, "second", NewSecret::None, ada, "c", after(2)).await.unwrap();
        let kept = Store::peek_service_clients(&db.url).await.unwrap().remove(0);
        assert_eq!((kept.secret, kept.secret_at), (None, None), "{}", db.name);
        assert_eq!(store.find_services_mark().await.unwrap().as_deref(), Some("c"));

        assert!(store.delete_service_client(&github, "d", after(3)).await.unwrap());
        assert!(!store.delete_service_client(&github, "e", after(4)).await.unwrap());
        assert_eq!(store.find_services_mark().await.unwrap().as_deref(), Some("e"), "{}", db.name);
        assert!(store.list_service_clients().await.unwrap().is_empty());
    }
    let nowhere = Store::peek_service_clients("sqlite:///nowhere/at-all.db").await.unwrap();
    assert!(nowhere.is_empty());
}
