//! Device flows: of all who ask one asks the provider, and how it ended stays known.

use tokenry_model::{ConnectionId, FlowKind};
use tokenry_store::FlowClaim;

use crate::fixture::{NOW, after, flow, stores};

#[tokio::test]
async fn of_twenty_who_ask_at_once_one_asks_the_provider_and_only_when_it_is_time() {
    for db in stores().await {
        let mut kept = flow(db.user().await, 1);
        kept.kind = FlowKind::Device;
        let state = kept.state_hash;
        db.store.insert_device_flow(&kept, 5, after(5), NOW).await.unwrap();
        assert!(!db.store.claim_device_poll(&state, after(4), after(60)).await.unwrap(), "{}", db.name);
        let tries = (0..20).map(|_| {
            let store = db.store.clone();
            tokio::spawn(async move { store.claim_device_poll(&state, after(5), after(60)).await.unwrap() })
        });
        let mut claimed = 0;
        for each in tries.collect::<Vec<_>>() {
            claimed += usize::from(each.await.unwrap());
        }
        assert_eq!(claimed, 1, "{}", db.name);
        db.store.update_device_pace(&state, 10, after(15)).await.unwrap();
        let device = db.store.find_device_flow(kept.user_id, &state).await.unwrap().unwrap();
        assert_eq!((device.interval_s, device.next_poll_at), (10, after(15)));
        assert_eq!((device.outcome, device.flow.connection), (None, None));
        // Too old to be asked after.
        assert!(!db.store.claim_device_poll(&state, after(600), after(700)).await.unwrap(), "{}", db.name);
    }
}

#[tokio::test]
async fn a_device_flow_ends_once_is_no_state_and_is_only_its_owners() {
    for db in stores().await {
        let (ada, bob) = (db.user().await, db.user().await);
        let mut kept = flow(ada, 1);
        kept.kind = FlowKind::Device;
        let state = kept.state_hash;
        db.store.insert_device_flow(&kept, 5, after(5), NOW).await.unwrap();
        assert!(matches!(db.store.claim_flow(&state, after(1)).await.unwrap(), FlowClaim::Unknown));
        assert!(db.store.find_device_flow(bob, &state).await.unwrap().is_none());
        let id = ConnectionId::new(7);
        db.store.update_device_ended(&state, "connected", Some(id)).await.unwrap();
        db.store.update_device_ended(&state, "declined", None).await.unwrap();
        let device = db.store.find_device_flow(ada, &state).await.unwrap().unwrap();
        assert_eq!((device.outcome.as_deref(), device.flow.connection), (Some("connected"), Some(id)));
        assert!(!db.store.claim_device_poll(&state, after(9), after(60)).await.unwrap(), "{}", db.name);

        // One that goes by a link is no device flow.
        let other = flow(ada, 2);
        db.store.insert_flow(&other, NOW).await.unwrap();
        assert!(db.store.find_device_flow(ada, &other.state_hash).await.unwrap().is_none());
    }
}
