//! Making a link, and asking how it is getting on: what is allowed, and what is told.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_testkit::browser::Browser;

use crate::world::{BOTH, ORIGIN, On, RETURN_TO, World};

#[tokio::test]
async fn what_a_link_may_not_be_is_said_and_none_is_made() {
    let world = World::start(On::Sqlite).await;
    let path = world.ada.path("connect/links");
    let many: Vec<String> = (0..101).map(|n| format!("service{n}")).collect();
    let cases: [(Value, u16, &str, &str); 17] = [
        (json!({"services": []}), 422, "invalid_field", "`services`"),
        (json!({"services": many}), 422, "invalid_field", "`services`"),
        (json!({"services": ["sandbos"]}), 422, "unknown_service", "did you mean sandbox"),
        (json!({"services": ["\u{1b}[2J\"><script>"]}), 422, "unknown_service", "`services`"),
        (json!({"services": ["sandbox", "spotify"]}), 409, "provider_not_configured", "Spotify"),
        (json!({"services": "sandbox"}), 422, "invalid_field", "`services`"),
        (json!({"services": [7]}), 422, "invalid_field", "`services`"),
        (json!({"return_to": "https://evil.example/done"}), 422, "invalid_field", "`return_to`"),
        (json!({"return_to": "https://app.example.org/donegal"}), 422, "invalid_field", "`return_to`"),
        (json!({"return_to": "https://app.example.org/done/../x"}), 422, "invalid_field", "`return_to`"),
        (json!({"return_to": "http://app.example.org/done"}), 422, "invalid_field", "`return_to`"),
        (json!({"return_to": "javascript:alert(1)"}), 422, "invalid_field", "`return_to`"),
        (json!({"return_to": format!("{RETURN_TO}?status=connected")}), 422, "invalid_field", "`return_to`"),
        (
            json!({"return_to": format!("{RETURN_TO}?{}", "x".repeat(2048))}),
            422,
            "invalid_field",
            "`return_to`",
        ),
        (json!({"origin": "https://evil.example"}), 422, "invalid_field", "`origin`"),
        (json!({"origin": "null"}), 422, "invalid_field", "`origin`"),
        (json!({"origin": format!("{ORIGIN}/path")}), 422, "invalid_field", "`origin`"),
    ];
    for (body, status, code, says) in cases {
        let answer = world.ada.api.post(&path, &body).await.expect_error(status, code);
        assert!(answer.text("message").contains(says), "{body}: {answer:?}");
    }
    let body = json!({"services": ["sandbox"]});
    world.app.anonymous().post(&path, &body).await.expect_error(401, "unauthenticated");
    let bob = world.app.user("bob").await;
    bob.api.post(&path, &body).await.expect_error(403, "forbidden");
    let nothing =
        World::start_with(On::Sqlite, |config| config.embedding = tokenry_broker::Embedding::default()).await;
    for body in [json!({"return_to": RETURN_TO}), json!({"origin": ORIGIN})] {
        let path = nothing.ada.path("connect/links");
        nothing.ada.api.post(&path, &body).await.expect_error(422, "invalid_field");
    }
}

#[tokio::test]
async fn a_link_is_told_once_and_its_status_tells_nothing_that_opens_it() {
    for on in BOTH {
        let world = World::start(on).await;
        let answer = world.ada.api.post(&world.ada.path("connect/links"), &json!({"origin": ORIGIN})).await;
        let answer = answer.expect(StatusCode::CREATED);
        assert_eq!(answer.header("cache-control"), "no-store");
        let json = answer.json();
        let (id, url) = (answer.text("id"), answer.text("url"));
        assert_eq!(answer.header("location"), format!("/api/connect/links/{id}"));
        assert_eq!(answer.text("status_url"), format!("{}/api/connect/links/{id}", world.app.base()));
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["expires_at", "id", "services", "status_url", "url"]);
        assert!(!url.contains(&id));

        let asked = world.app.anonymous().get(&format!("/api/connect/links/{id}")).await;
        assert_eq!(asked.json(), json!({"status": "open", "connection": null, "service": null}));
        assert_eq!(asked.header("cache-control"), "no-store");
        assert!(asked.header("set-cookie").is_empty());
        let token = url.rsplit('/').next().unwrap();
        for other in [token, "x", &"A".repeat(43), &"A".repeat(5000), "%00", "%ff"] {
            let asked = world.app.anonymous().get(&format!("/api/connect/links/{other}")).await;
            assert!(asked.status.is_client_error(), "{other}: {asked:?}");
            assert!(!asked.body.contains("ada"), "{asked:?}");
        }
        // Half-way it does not say which service the person thinks of.
        let mut browser = Browser::new();
        let made = crate::world::Made(json);
        world.begin(&mut browser, &made).await;
        assert_eq!(world.status(&made).await, json!({"status": "open", "connection": null, "service": null}));
        if on == On::Sqlite {
            for file in ["tokenry.db", "tokenry.db-wal"] {
                let bytes = std::fs::read(world.app.data_dir().join(file)).unwrap_or_default();
                let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
                assert!(!found, "the token is in {file}");
            }
        }
    }
}

#[tokio::test]
async fn one_link_more_than_there_may_be_and_the_oldest_is_forgotten() {
    for on in BOTH {
        let world = World::start_with(on, |config| config.quotas.flows = 3).await;
        let mut made = Vec::new();
        for _ in 0..5 {
            made.push(world.plain_link().await);
            world.app.clock.advance(std::time::Duration::from_secs(1));
        }
        for (number, made) in made.iter().enumerate() {
            let answer = world.app.anonymous().get(&format!("/api/connect/links/{}", made.id())).await;
            assert_eq!(answer.status == StatusCode::OK, number >= 2, "{on:?}: {number}");
        }
    }
}
