//! A provider that refuses one grant has ended it. One that refuses everybody has an incident, and one that refuses this
//! server has a wrong registration: then nobody's connection is marked.

use std::collections::BTreeMap;
use std::time::Duration;

use tokenry_model::ProviderId;
use tokenry_sandbox::{Endpoint, Fault, FaultKind, Grant};
use tokenry_testkit::app::{CLIENT_ID, CLIENT_SECRET, TestUser};

use crate::world::{PAST_EXPIRY, World, eventually};

const CONNECTIONS: u64 = 12;

/// A world in which so many people have connected an account.
struct Town {
    world: World,
    people: Vec<(TestUser, i64)>,
}

impl Town {
    async fn start(ahead: bool) -> Self {
        let world = World::start_with(|config| config.refresh_ahead = ahead).await;
        let mut people = Vec::new();
        for n in 0..CONNECTIONS {
            let user = world.app.user(&format!("user{n}")).await;
            let id = world.connect(&user, "grace").await;
            people.push((user, id));
        }
        Self { world, people }
    }

    /// How many connections are in which state.
    async fn states(&self) -> BTreeMap<String, i64> {
        let rows =
            self.world.rows("SELECT state, CAST(COUNT(*) AS BIGINT) FROM connections GROUP BY state").await;
        rows.into_iter().collect()
    }

    async fn metric(&self, line: &str) -> bool {
        let metrics = self.world.app.anonymous().get("/metrics").await;
        metrics.body.lines().any(|known| known == line)
    }
}

fn all_ok() -> BTreeMap<String, i64> {
    BTreeMap::from([("ok".to_owned(), CONNECTIONS.try_into().unwrap())])
}

fn refusal() -> Fault {
    Fault::on_refresh(FaultKind::OAuthError { code: "invalid_grant".into(), status: 400 })
}

#[tokio::test]
async fn a_provider_that_refuses_everybody_opens_its_circuit_and_nobody_is_marked() {
    let town = Town::start(true).await;
    town.world.sandbox.inject(refusal().times(10_000));
    town.world.app.clock.advance(PAST_EXPIRY);
    let open = r#"tokenry_provider_circuit_open{provider="sandbox"} 1"#;
    eventually("the circuit is open", async || town.metric(open).await).await;
    assert_eq!(town.states().await, all_ok());
    // Readers are told to come back, and the provider is left alone.
    let attempts = town.world.seen().refresh_attempts;
    for (user, id) in &town.people {
        let away = user.get_token(*id).await.expect_error(503, "provider_unavailable");
        assert!(away.header("retry-after").parse::<u64>().unwrap() >= 1, "{away:?}");
    }
    assert_eq!(town.world.seen().refresh_attempts, attempts);
    assert_eq!(town.states().await, all_ok());

    // One at a time is let through to see; when it gets a token, all do.
    town.world.app.clock.advance(Duration::from_mins(3));
    eventually("a probe is refused", async || town.world.seen().refresh_attempts == attempts + 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(town.world.seen().refresh_attempts, attempts + 1);
    town.world.sandbox.clear_faults();
    town.world.app.clock.advance(Duration::from_mins(5));
    eventually("all are refreshed", async || {
        town.world.app.clock.advance(Duration::from_secs(1));
        town.world.seen().refreshes == CONNECTIONS
    })
    .await;
    for (user, id) in &town.people {
        user.token_of(*id).await;
    }
    assert_eq!(town.world.seen().refreshes, CONNECTIONS);
    assert_eq!(town.states().await, all_ok());
    let closed = r#"tokenry_provider_circuit_open{provider="sandbox"} 0"#;
    eventually("the circuit is closed", async || town.metric(closed).await).await;
}

#[tokio::test]
async fn readers_in_a_storm_are_told_to_come_back_and_none_that_their_grant_is_over() {
    let town = Town::start(false).await;
    town.world.sandbox.inject(refusal().times(10_000));
    town.world.app.clock.advance(PAST_EXPIRY);
    let mut reads = tokio::task::JoinSet::new();
    for (user, id) in town.people.clone() {
        reads.spawn(async move { user.get_token(id).await });
    }
    for answer in reads.join_all().await {
        answer.expect_error(503, "provider_unavailable");
    }
    assert_eq!(town.states().await, all_ok());
}

#[tokio::test]
async fn one_refused_grant_among_many_marks_exactly_one() {
    let town = Town::start(true).await;
    let lost = town.world.app.user("linus").await;
    let id = town.world.connect(&lost, "linus").await;
    assert_eq!(town.world.sandbox.forget_grants_of("linus"), 1);
    town.world.app.clock.advance(PAST_EXPIRY);
    eventually("the others are refreshed", async || town.world.seen().refreshes == CONNECTIONS).await;
    let mut expected = all_ok();
    expected.insert("reconnect_required".to_owned(), 1);
    eventually("one is marked", async || town.states().await == expected).await;
    let refused = lost.get_token(id).await.expect_error(409, "reconnect_required");
    assert!(refused.text("message").contains("invalid_grant"), "{refused:?}");
    assert_eq!(town.world.seen().refresh_attempts, CONNECTIONS + 1);
}

#[tokio::test]
async fn one_person_s_worthless_grants_close_the_provider_to_nobody() {
    let world = World::start().await;
    let (ada, eve, bob) =
        (world.app.user("ada").await, world.app.user("eve").await, world.app.user("bob").await);
    let good = world.connect(&ada, "grace").await;
    world.connect(&bob, "linus").await;
    let mut worthless = Vec::new();
    for n in 0..10 {
        let body = serde_json::json!({
            "service": "sandbox", "kind": "oauth2", "name": format!("worthless {n}"), "expires_in": 60,
            "access_token": format!("made-up-{n}"), "refresh_token": format!("made-up-as-well-{n}"),
        });
        let added = eve.api.post(&eve.path("connections"), &body).await;
        worthless.push(added.expect(reqwest::StatusCode::CREATED).json()["id"].as_i64().unwrap());
    }
    world.app.clock.advance(PAST_EXPIRY);
    let mut reads = tokio::task::JoinSet::new();
    for id in worthless {
        let eve = eve.clone();
        reads.spawn(async move { eve.get_token(id).await });
    }
    for answer in reads.join_all().await {
        answer.expect_error(409, "reconnect_required");
    }
    ada.token_of(good).await;
}

#[tokio::test]
async fn a_client_of_a_person_s_own_that_is_refused_marks_that_connection_and_not_the_provider_s_app() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let other = world.connect(&user, "grace").await;
    let body = serde_json::json!({
        "service": "sandbox", "kind": "client_credentials",
        "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
    });
    let added = user.api.post(&user.path("connections"), &body).await.expect(reqwest::StatusCode::CREATED);
    let id = added.json()["id"].as_i64().unwrap();
    world.app.clock.advance(PAST_EXPIRY);
    let refused = FaultKind::OAuthError { code: "invalid_client".into(), status: 401 };
    let grant = Some(Grant::ClientCredentials);
    world.sandbox.inject(Fault { grant, ..Fault::once(Endpoint::Token, refused) });
    let answer = user.get_token(id).await.expect_error(409, "reconnect_required");
    assert!(answer.text("message").contains("invalid_client"), "{answer:?}");
    assert_eq!(user.detail(other).await["provider_trouble"], serde_json::Value::Null);
    user.token_of(other).await;
}

#[tokio::test]
async fn a_client_that_is_refused_marks_nobody_and_names_the_provider_s_app() {
    let mut town = Town::start(false).await;
    let sandbox = ProviderId::parse("sandbox").unwrap();
    let right = town.world.app.config.providers[&sandbox].clone();
    town.world.app = town
        .world
        .app
        .restart_with(|config| {
            config.refresh_ahead = true;
            config.providers.get_mut(&sandbox).unwrap().client_secret = Some("not the secret".into());
        })
        .await;
    town.world.app.clock.advance(PAST_EXPIRY);
    let faulty = r#"tokenry_provider_app_fault{provider="sandbox"} 1"#;
    eventually("the app is named", async || town.metric(faulty).await).await;
    let (user, id) = &town.people[0];
    let refused = user.get_token(*id).await.expect_error(502, "provider_refused");
    assert!(refused.text("message").contains("invalid_client"), "{refused:?}");
    assert_eq!(town.states().await, all_ok());
    // The background does not go on asking for each of them.
    let attempts = town.world.seen().refresh_attempts;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(town.world.seen().refresh_attempts, attempts);

    // The operator mends it, and the next reader closes the circuit for all.
    town.world.app =
        town.world.app.restart_with(|config| *config.providers.get_mut(&sandbox).unwrap() = right).await;
    user.token_of(*id).await;
    let mended = r#"tokenry_provider_app_fault{provider="sandbox"} 0"#;
    eventually("the fault is forgotten", async || town.metric(mended).await).await;
    eventually("all are refreshed", async || {
        town.world.app.clock.advance(Duration::from_secs(1));
        town.world.seen().refreshes == CONNECTIONS
    })
    .await;
    assert_eq!(town.states().await, all_ok());
}
