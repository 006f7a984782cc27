//! How providers are doing: pauses, circuits, faults, and refusals that are counted and taken back.

use tokenry_model::{ConnectionState, Health};
use tokenry_store::Store;

use crate::fixture::{NOW, after, oauth, provider, sealed, stores};

#[tokio::test]
async fn a_provider_that_nothing_is_known_of_does_well() {
    for db in stores().await {
        assert_eq!(db.store.find_health(&provider("github")).await.unwrap(), Health::default());
        assert!(db.store.list_health().await.unwrap().is_empty(), "{}", db.name);
        assert!(!db.store.close_circuit(&provider("github")).await.unwrap());
    }
}

#[tokio::test]
async fn the_longest_pause_that_was_asked_for_stands() {
    for db in stores().await {
        let github = provider("github");
        for seconds in [10, 60, 30] {
            db.store.update_pause(&github, after(seconds)).await.unwrap();
        }
        let health = db.store.find_health(&github).await.unwrap();
        assert_eq!(health.paused_until, Some(after(60)), "{}", db.name);
        assert_eq!(db.store.list_health().await.unwrap(), [(github, health)]);
    }
}

#[tokio::test]
async fn an_open_circuit_stays_as_it_was_opened_and_lets_one_through_when_its_time_has_come() {
    for db in stores().await {
        let github = provider("github");
        assert!(db.store.open_circuit(&github, "everybody", after(60), NOW).await.unwrap());
        assert!(!db.store.open_circuit(&github, "again", after(90), after(1)).await.unwrap());
        assert!(!db.store.claim_probe(&github, after(59), after(120)).await.unwrap());
        assert!(db.store.claim_probe(&github, after(60), after(120)).await.unwrap());
        assert!(!db.store.claim_probe(&github, after(60), after(120)).await.unwrap(), "{}", db.name);
        let circuit = db.store.find_health(&github).await.unwrap().circuit.unwrap();
        assert_eq!((circuit.reason.as_str(), circuit.opened_at), ("everybody", NOW));
        assert_eq!((circuit.until, circuit.tries), (after(120), 1));

        assert!(db.store.close_circuit(&github).await.unwrap());
        assert!(db.store.find_health(&github).await.unwrap().circuit.is_none());
        // Opened again, it counts anew.
        assert!(db.store.open_circuit(&github, "later", after(300), after(240)).await.unwrap());
        assert_eq!(db.store.find_health(&github).await.unwrap().circuit.unwrap().tries, 0);
    }
}

#[tokio::test]
async fn a_fault_keeps_the_time_it_was_first_seen_at() {
    for db in stores().await {
        let github = provider("github");
        db.store.update_fault(&github, "invalid_client", NOW).await.unwrap();
        db.store.update_fault(&github, "invalid_client, still", after(9)).await.unwrap();
        let fault = db.store.find_health(&github).await.unwrap().fault;
        assert_eq!(fault, Some(("invalid_client, still".to_owned(), NOW)), "{}", db.name);
        assert!(db.store.close_circuit(&github).await.unwrap());
        assert_eq!(db.store.find_health(&github).await.unwrap().fault, None);
    }
}

#[tokio::test]
async fn refusals_are_counted_by_provider_and_time_and_can_be_taken_back() {
    for db in stores().await {
        let ada = db.user().await;
        let (github, spotify) = (provider("github"), provider("spotify"));
        let mut ids = Vec::new();
        for account in ["1", "2", "3"] {
            ids.push(db.add_grant(ada, account).await);
        }
        for (id, at) in ids.iter().zip([after(0), after(50), after(55)]) {
            db.store.update_refused(*id, 1, at).await.unwrap();
        }
        let grace = db.user().await;
        db.add_plain(db.user().await).await;
        assert_eq!(
            db.store.count_people(&github, 3).await.unwrap(),
            1,
            "a pasted token is refused by nobody"
        );
        db.add_grant(grace, "4").await;
        assert_eq!(db.store.count_people(&github, 3).await.unwrap(), 2);
        assert_eq!(db.store.count_people(&github, 1).await.unwrap(), 1);
        // Of another generation: somebody connected it again meanwhile.
        db.store.update_refused(ids[0], 2, after(55)).await.unwrap();
        assert_eq!(db.store.count_refused(&github, after(50)).await.unwrap(), (2, 1));
        assert_eq!(db.store.count_refused(&spotify, NOW).await.unwrap(), (0, 0));
        for id in &ids {
            assert!(db.store.update_reconnect_required(*id, 1, "invalid_grant").await.unwrap());
        }

        assert_eq!(db.store.release_refused(&github, after(50), after(90)).await.unwrap(), 2);
        let states = [
            ConnectionState::ReconnectRequired { reason: "invalid_grant".to_owned() },
            ConnectionState::Ok,
            ConnectionState::Ok,
        ];
        for (id, state) in ids.iter().zip(states) {
            assert_eq!(db.connection(ada, *id).await.state, state, "{}: {id}", db.name);
        }
        assert_eq!(db.store.count_refused(&github, NOW).await.unwrap(), (1, 1));
        // They are due again, and whoever refreshes them ends it.
        assert_eq!(db.connection(ada, ids[1]).await.times.renew_at, Some(after(90)));
        let new = sealed("new", None);
        assert!(db.store.update_refreshed(ids[1], 1, &new, &oauth("email", 99), after(95)).await.unwrap());
    }
}

#[tokio::test]
async fn half_a_circuit_is_a_named_error() {
    for db in stores().await {
        db.store.update_pause(&provider("github"), after(1)).await.unwrap();
        db.execute("UPDATE provider_health SET circuit_reason = 'x'").await;
        let error = db.store.find_health(&provider("github")).await.unwrap_err().to_string();
        assert!(error.contains("provider_health") && error.contains("half"), "{error}");
    }
}

#[tokio::test]
async fn a_look_from_outside_sees_what_is_known_of_a_provider() {
    for db in stores().await {
        let github = provider("github");
        db.store.update_fault(&github, "the client is unknown", NOW).await.unwrap();
        let seen = Store::peek_health(&db.url, &github).await.unwrap();
        assert_eq!(seen.fault, Some(("the client is unknown".to_owned(), NOW)), "{}", db.name);
        assert_eq!(Store::peek_health(&db.url, &provider("spotify")).await.unwrap(), Health::default());
    }
}
