//! Any replica may make a link, show it, and end it.

use reqwest::StatusCode;
use serde_json::json;
use tokenry::config::MasterKeySource;
use tokenry_broker::SetClient;
use tokenry_model::{ExposeSecret as _, SecretString};
use tokenry_testkit::app::TestApp;
use tokenry_testkit::browser::Browser;

use crate::world::{BOTH, RETURN_TO, World};

/// Another server on the same database.
async fn another(world: &World) -> TestApp {
    let first = world.app.config.clone();
    let key = world.app.data_dir().join("master.key");
    TestApp::start_with(|config| {
        config.database_url = first.database_url;
        config.database_pool = first.database_pool;
        config.master_key = MasterKeySource::DataDir(key);
        config.providers = first.providers;
        config.embedding = first.embedding;
        config.quotas = first.quotas;
    })
    .await
}

#[tokio::test]
async fn a_link_is_made_at_one_opened_at_the_other_and_ended_at_the_first() {
    for on in BOTH {
        let world = World::start(on).await;
        let second = another(&world).await;
        let made = world.link(json!({"services": ["sandbox"], "return_to": RETURN_TO})).await;
        let mut browser = Browser::new();
        let page = browser.get(format!("{}{}", second.base(), made.path())).await;
        let consent = world.choose(&mut browser, &page).await;
        // What one has shown, the other knows: the browser has it there as well, and nobody else has.
        assert!(crate::world::offers(&browser.get(made.url()).await), "{on:?}");
        assert!(!crate::world::offers(&Browser::new().get(made.url()).await), "{on:?}");
        browser.stop_before(second.base());
        let mut callback = browser.consent_sandbox(consent, "grace").await.url;
        browser.stop_nowhere();
        callback.set_port(Some(world.app.config.listen.port())).unwrap();
        let end = browser.get(callback).await;
        assert_eq!(end.status, StatusCode::OK, "{on:?}: {}", end.body);
        assert!(end.body.contains("status=connected"), "{}", end.body);
        let answer = second.anonymous().get(&format!("/api/connect/links/{}", made.id())).await;
        assert_eq!(answer.text("status"), "connected", "{on:?}");
        assert_eq!(world.connections().await, 1);
    }
}

#[tokio::test]
async fn of_two_browsers_at_two_replicas_one_gets_a_link() {
    for on in BOTH {
        let world = World::start(on).await;
        let second = another(&world).await;
        for _ in 0..4 {
            let made = world.plain_link().await;
            let at = |base: String| {
                let url = format!("{base}{}", made.path());
                tokio::spawn(async move { crate::world::offers(&Browser::new().get(url).await) })
            };
            let (one, other) = (at(world.app.base()), at(second.base()));
            assert!(one.await.unwrap() != other.await.unwrap(), "{on:?}");
        }
    }
}

#[tokio::test]
async fn a_service_that_was_set_up_at_one_is_linked_to_at_the_other_with_the_next_request() {
    for on in BOTH {
        let world = World::start(on).await;
        let second = another(&world).await;
        let broker = world.app.server().broker();
        let claims = broker.read_token(world.ada.api.token.as_deref().unwrap()).await.unwrap();
        let setup = broker.make_setup_link().await.unwrap().unwrap();
        let token = setup.url.expose_secret().rsplit('/').next().unwrap().to_owned();
        broker.claim_setup_link(&claims, &SecretString::from(token)).await.unwrap();
        let mut api = second.anonymous();
        api.token.clone_from(&world.ada.api.token);
        let path = world.ada.path("connect/links");
        let wanted = json!({"services": ["spotify"]});
        let early = api.post(&path, &wanted).await;
        assert!(early.status.is_client_error(), "{on:?}: {early:?}");

        let client =
            SetClient { client_id: "id".to_owned(), client_secret: "secret".into(), without_secret: false };
        broker.set_service(&claims, "spotify", &client).await.unwrap();
        let made = api.post(&path, &wanted).await.expect(StatusCode::CREATED);
        let page = Browser::new().get(made.text("url")).await;
        assert!(page.body.contains("Connect Spotify"), "{on:?}: {}", page.body);
    }
}
