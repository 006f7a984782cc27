//! Flows: a state is spent once, and a grant that came back elsewhere waits for its owner.

use tokenry_model::StateHash;
use tokenry_store::FlowClaim;

use crate::fixture::{Fixture, NOW, after, bytes, flow, stores};

#[tokio::test]
async fn a_flow_comes_back_as_it_was_kept() {
    for db in stores().await {
        let ada = db.user().await;
        let kept = flow(ada, 1);
        db.store.insert_flow(&kept, NOW).await.unwrap();
        let FlowClaim::Claimed(it) = db.store.claim_flow(&kept.state_hash, after(599)).await.unwrap() else {
            panic!("{}: the flow was not claimed", db.name)
        };
        assert_eq!((it.state_hash, it.user_id), (kept.state_hash, ada));
        assert_eq!((it.token_type.as_str(), it.provider.as_str()), ("git", "github"));
        assert_eq!((&it.redirect_uri, &it.token_url), (&kept.redirect_uri, &kept.token_url));
        assert_eq!(
            (it.scopes.to_string().as_str(), it.secrets.as_bytes()),
            ("read:user", &b"sealed verifier"[..])
        );
        assert_eq!((it.browser_hash, it.expires_at), (kept.browser_hash, after(600)));
    }
}

#[tokio::test]
async fn of_twenty_who_bring_one_state_one_goes_on() {
    for db in stores().await {
        let state = flow(db.user().await, 1);
        db.store.insert_flow(&state, NOW).await.unwrap();
        let tries = (0..20).map(|_| {
            let (store, hash) = (db.store.clone(), state.state_hash);
            tokio::spawn(async move { store.claim_flow(&hash, after(1)).await.unwrap() })
        });
        let mut claimed = 0;
        for each in tries.collect::<Vec<_>>() {
            match each.await.unwrap() {
                FlowClaim::Claimed(_) => claimed += 1,
                other => assert!(matches!(other, FlowClaim::Used), "{other:?}"),
            }
        }
        assert_eq!(claimed, 1, "{}", db.name);
    }
}

#[tokio::test]
async fn an_old_an_unknown_and_a_used_state_are_told_apart() {
    for db in stores().await {
        let ada = db.user().await;
        let (old, used) = (flow(ada, 1), flow(ada, 2));
        db.store.insert_flow(&old, NOW).await.unwrap();
        db.store.insert_flow(&used, NOW).await.unwrap();
        assert!(matches!(db.store.claim_flow(&used.state_hash, NOW).await.unwrap(), FlowClaim::Claimed(_)));
        let unknown = StateHash::new([9; 32]);
        assert!(matches!(
            db.store.claim_flow(&old.state_hash, after(600)).await.unwrap(),
            FlowClaim::Expired
        ));
        assert!(matches!(db.store.claim_flow(&unknown, NOW).await.unwrap(), FlowClaim::Unknown));
        // Used stays used, also when it is old.
        assert!(matches!(db.store.claim_flow(&used.state_hash, after(900)).await.unwrap(), FlowClaim::Used));
    }
}

const CONFIRM: [u8; 32] = [7; 32];
const BROWSER: [u8; 32] = [8; 32];

/// A flow that came back in another browser and waits until 1200 s.
async fn parked(db: &Fixture) -> StateHash {
    let flow = flow(db.user().await, 1);
    db.store.insert_flow(&flow, NOW).await.unwrap();
    db.store.claim_flow(&flow.state_hash, NOW).await.unwrap();
    let grant = bytes("sealed grant");
    db.store.update_flow_parked(&flow.state_hash, &CONFIRM, &BROWSER, &grant, after(1200)).await.unwrap();
    flow.state_hash
}

#[tokio::test]
async fn a_parked_grant_is_found_in_the_browser_it_came_back_in_and_in_no_other() {
    for db in stores().await {
        let state = parked(&db).await;
        let found = db.store.find_parked(&CONFIRM, &BROWSER, after(1199)).await.unwrap().unwrap();
        assert_eq!(found.grant.as_bytes(), b"sealed grant");
        assert_eq!((found.flow.state_hash, found.flow.browser_hash), (state, BROWSER));
        // The browser that asked has another cookie than the one that came back.
        assert!(db.store.find_parked(&CONFIRM, &[101; 32], after(1)).await.unwrap().is_none());
        assert!(db.store.find_parked(&[9; 32], &BROWSER, after(1)).await.unwrap().is_none());
        assert!(db.store.find_parked(&CONFIRM, &BROWSER, after(1200)).await.unwrap().is_none());
        assert!(matches!(db.store.claim_flow(&state, NOW).await.unwrap(), FlowClaim::Used), "{}", db.name);
    }
}

#[tokio::test]
async fn of_twenty_who_confirm_one_grant_one_takes_it() {
    for db in stores().await {
        let state = parked(&db).await;
        let tries = (0..20).map(|_| {
            let store = db.store.clone();
            tokio::spawn(async move { store.claim_parked(&state).await.unwrap().is_some() })
        });
        let mut taken = 0;
        for each in tries.collect::<Vec<_>>() {
            taken += usize::from(each.await.unwrap());
        }
        assert_eq!(taken, 1, "{}", db.name);
        assert!(db.store.find_parked(&CONFIRM, &BROWSER, NOW).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn only_a_spent_flow_can_be_parked() {
    for db in stores().await {
        let pending = flow(db.user().await, 1);
        db.store.insert_flow(&pending, NOW).await.unwrap();
        let grant = bytes("sealed grant");
        db.store
            .update_flow_parked(&pending.state_hash, &CONFIRM, &BROWSER, &grant, after(1200))
            .await
            .unwrap();
        assert!(db.store.find_parked(&CONFIRM, &BROWSER, NOW).await.unwrap().is_none());
        assert!(matches!(
            db.store.claim_flow(&pending.state_hash, NOW).await.unwrap(),
            FlowClaim::Claimed(_)
        ));
    }
}

#[tokio::test]
async fn tidying_up_forgets_old_flows_but_never_a_grant_that_nobody_gave_back() {
    for db in stores().await {
        let state = parked(&db).await;
        let (old, young) = (flow(db.user().await, 2), flow(db.user().await, 3));
        db.store.insert_flow(&old, NOW).await.unwrap();
        let young = tokenry_model::Flow { expires_at: after(9000), ..young };
        db.store.insert_flow(&young, NOW).await.unwrap();
        assert!(db.store.list_expired_parked(after(1199), 10).await.unwrap().is_empty());
        let expired = db.store.list_expired_parked(after(1200), 10).await.unwrap();
        assert_eq!(expired.len(), 1);
        assert_eq!((expired[0].flow.state_hash, expired[0].grant.as_bytes()), (state, &b"sealed grant"[..]));
        assert!(db.store.list_expired_parked(after(1200), 0).await.unwrap().is_empty());

        db.store.delete_ended_flows(after(5000)).await.unwrap();
        assert!(matches!(db.store.claim_flow(&old.state_hash, NOW).await.unwrap(), FlowClaim::Unknown));
        assert!(matches!(db.store.claim_flow(&young.state_hash, NOW).await.unwrap(), FlowClaim::Claimed(_)));
        assert!(db.store.claim_parked(&state).await.unwrap().is_some(), "{}: the grant is lost", db.name);
        db.store.delete_ended_flows(after(5000)).await.unwrap();
        assert!(matches!(db.store.claim_flow(&state, NOW).await.unwrap(), FlowClaim::Unknown));
    }
}

#[tokio::test]
async fn a_grant_that_was_taken_is_wiped_from_its_flow() {
    for db in stores().await {
        let state = parked(&db).await;
        assert!(db.store.claim_parked(&state).await.unwrap().is_some());
        assert_eq!(db.bytes("SELECT sealed_grant FROM flows").await, None, "{}", db.name);
    }
}
