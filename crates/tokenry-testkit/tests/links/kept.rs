//! What is brought along with a link is stored once, for its owner, in the browser that has it, or not at all.

use reqwest::StatusCode;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokenry_testkit::app::PASSWORD;
use tokenry_testkit::browser::{Browser, Form, Page};

use crate::world::{BOTH, KEY, Made, On, RETURN_TO, World, expect_refused};

/// A link for the service `keys`, and its form in a browser.
async fn opened(world: &World) -> (Made, Browser, Form) {
    let made = world.link(json!({"services": ["keys"], "return_to": RETURN_TO})).await;
    let mut browser = Browser::new();
    let (_, form) = world.form(&mut browser, &made, "keys").await;
    (made, browser, form)
}

/// The mark of a browser, to be set in another.
fn mark(browser: &Browser) -> String {
    let mark = browser.cookies().iter().find(|cookie| cookie.name == "tokenry_browser").unwrap();
    format!("tokenry_browser={}", mark.value)
}

#[tokio::test]
async fn of_many_that_send_the_form_at_once_one_is_stored() {
    for on in BOTH {
        let world = World::with_keys(on, |_| {}).await;
        let (made, browser, form) = opened(&world).await;
        let sent = (0..8).map(|number| {
            let (base, set, form) = (world.app.base(), mark(&browser), form.clone());
            tokio::spawn(async move {
                let mut browser = Browser::new();
                browser.set_cookie(base, &set);
                // Some of them are the same, and some are of no account that is known.
                let key = if number % 2 == 0 { KEY.to_owned() } else { format!("key {number}") };
                browser.submit(&form, &[("api_key", &key)]).await
            })
        });
        let (mut stored, mut told) = (0, 0);
        for page in sent.collect::<Vec<_>>() {
            let page: Page = page.await.unwrap();
            match page.status {
                StatusCode::OK => stored += 1,
                _ => told += usize::from(page.body.contains("This link was used before")),
            }
        }
        assert_eq!((stored, told, world.connections().await), (1, 7, 1), "{on:?}");
        let id = world.ada.list().await[0]["ID"].as_i64().unwrap();
        let ended = json!({"status": "connected", "connection": id, "service": "keys"});
        assert_eq!(world.status(&made).await, ended, "{on:?}");
        let rows = world.audit(&["connection.import", "link.use"]).await;
        let kept = rows.iter().filter(|row| row.contains(" ok ")).count();
        assert_eq!(kept, 2, "{on:?}: {rows:?}");
    }
}

#[tokio::test]
async fn a_key_and_a_consent_of_one_link_give_one_connection_whichever_is_first() {
    for on in BOTH {
        let world = World::with_keys(on, |_| {}).await;
        for key_first in [true, false] {
            let before = (world.connections().await, world.sandbox.seen().codes_exchanged);
            let made = world.link(json!({"services": ["keys", "sandbox"]})).await;
            let mut browser = Browser::new();
            let (_, form) = world.form(&mut browser, &made, "keys").await;
            let consent = world.begin(&mut browser, &made).await;
            let exchanged = if key_first {
                assert_eq!(browser.submit(&form, &[("api_key", KEY)]).await.status, StatusCode::OK);
                let page = browser.consent_sandbox(consent, "grace").await;
                assert!(page.body.contains("This link was used before"), "{}", page.body);
                0
            } else {
                assert_eq!(browser.consent_sandbox(consent, "grace").await.status, StatusCode::OK);
                let page = browser.submit(&form, &[("api_key", KEY)]).await;
                expect_refused(&page, StatusCode::GONE, "used before");
                1
            };
            let after = (world.connections().await, world.sandbox.seen().codes_exchanged);
            assert_eq!(after, (before.0 + 1, before.1 + exchanged), "{on:?}");
        }
    }
}

#[tokio::test]
async fn another_browser_stores_nothing_whatever_form_it_sends() {
    for on in BOTH {
        let world = World::with_keys(on, |_| {}).await;
        let (made, mut first, form) = opened(&world).await;
        let mut other = Browser::new();
        let page = other.get(format!("{}/sign-in", world.app.base())).await;
        let token = page.form_with("form_token").unwrap().values("form_token")[0].to_owned();
        let secret = "sentinel-of-another";
        // The form of the first, one of its own by the link's id, and one by the link itself.
        assert_eq!(other.submit(&form, &[("api_key", secret)]).await.status, StatusCode::FORBIDDEN);
        let fields = [("form_token", token.as_str()), ("api_key", secret)];
        let page = other.submit(&form, &fields).await;
        expect_refused(&page, StatusCode::NOT_FOUND, "This link does not work");
        let mut by_token = form.clone();
        by_token.action = form.action.join(&format!("{}/service/keys", made.path())).unwrap();
        let page = other.submit(&by_token, &fields).await;
        expect_refused(&page, StatusCode::FORBIDDEN, "opened in another browser first");
        assert!(!page.body.contains(secret), "{}", page.body);
        let page = other.get(format!("{}/service/keys", made.url())).await;
        expect_refused(&page, StatusCode::FORBIDDEN, "opened in another browser first");
        assert_eq!((world.connections().await, world.status_word(&made).await.as_str()), (0, "open"));
        // Nor does a link that nobody has opened yet.
        let fresh = world.link(json!({"services": ["keys"]})).await;
        by_token.action = form.action.join(&format!("{}/service/keys", fresh.path())).unwrap();
        let page = other.submit(&by_token, &fields).await;
        expect_refused(&page, StatusCode::FORBIDDEN, "opened in another browser first");
        assert_eq!(world.connections().await, 0);
        let rows = world.audit(&["connection.import"]).await;
        let refused = "connection.import refused another_browser anonymous ada - -";
        assert!(rows.iter().any(|row| row == refused), "{on:?}: {rows:?}");

        assert_eq!(first.submit(&form, &[("api_key", KEY)]).await.status, StatusCode::OK);
        assert_eq!(world.connections().await, 1, "{on:?}");
    }
}

#[tokio::test]
async fn whoever_is_signed_in_as_another_is_not_asked_for_a_secret_and_stores_none() {
    for on in BOTH {
        let world = World::with_keys(on, |_| {}).await;
        world.app.user("linus").await;
        let (made, mut victim, form) = opened(&world).await;
        // A form from before they signed in is worth no more than the page is now.
        let page = victim.get(format!("{}/sign-in", world.app.base())).await;
        let sign_in = page.form_with("password").unwrap();
        victim.submit(&sign_in, &[("username", "linus"), ("password", PASSWORD)]).await;
        let looked = victim.get(format!("{}/link/{}/service/keys", world.app.base(), made.id())).await;
        let sent = victim.submit(&form, &[("api_key", "sentinel-of-linus")]).await;
        for page in [looked, sent] {
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
            assert!(page.body.contains("would go to ada"), "{}", page.body);
            assert!(page.form_with("api_key").is_none(), "{}", page.body);
            assert!(!page.body.contains("sentinel-of-linus"), "{}", page.body);
        }
        assert_eq!((world.connections().await, world.status_word(&made).await.as_str()), (0, "open"));
        let rows = world.audit(&["connection.import"]).await;
        assert_eq!(rows, ["connection.import refused another_user anonymous ada - -"], "{on:?}");

        // Signed out, it is theirs to give; and signed in, it is its owner's.
        let page = victim.get(format!("{}/link/{}/service/keys", world.app.base(), made.id())).await;
        let out = page.forms().into_iter().find(|form| form.action.path() == "/sign-out").unwrap();
        victim.submit(&out, &[]).await;
        let (_, form) = world.form(&mut victim, &made, "keys").await;
        assert_eq!(victim.submit(&form, &[("api_key", KEY)]).await.status, StatusCode::OK);
        let (made, mut ada, form) = opened(&world).await;
        let sign_in = format!("{}/sign-in", world.app.base()).parse().unwrap();
        world.sign_in(&mut ada, &sign_in).await;
        assert_eq!(ada.submit(&form, &[("api_key", KEY)]).await.status, StatusCode::OK);
        assert_eq!((world.connections().await, world.status_word(&made).await.as_str()), (2, "connected"));
    }
}

#[tokio::test]
async fn a_link_stores_only_for_its_services_and_its_owners_sessions() {
    for on in BOTH {
        let world = World::with_keys(on, |_| {}).await;
        let (made, mut browser, form) = opened(&world).await;
        let mut forged = form.clone();
        forged.action = form.action.join("login").unwrap();
        let fields = [("username", "grace"), ("password", "sentinel-elsewhere")];
        let page = browser.submit(&forged, &fields).await;
        expect_refused(&page, StatusCode::FORBIDDEN, "not for that service");
        assert!(!page.body.contains("sentinel-elsewhere"), "{}", page.body);
        let rows = world.audit(&["connection.import"]).await;
        assert_eq!(rows, ["connection.import refused another_service anonymous ada - -"], "{on:?}");
        assert_eq!(world.status_word(&made).await, "open");

        world.ada.api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);
        let page = browser.submit(&form, &[("api_key", KEY)]).await;
        expect_refused(&page, StatusCode::GONE, "has signed out since");
        let mut ada = world.app.anonymous();
        ada.token = Some(ada.log_in("ada", PASSWORD).await);
        let listed = ada.get(&world.ada.path("get/connections")).await.expect(StatusCode::OK);
        assert_eq!(listed.json(), json!([]), "{on:?}");
    }
}

#[tokio::test]
async fn a_link_that_there_is_no_room_for_says_that_it_failed_and_can_be_used_later() {
    for on in BOTH {
        let world = World::with_keys(on, |config| config.quotas.connections = 1).await;
        let id = world.ada.add("the one", "github", "pasted").await;
        let (made, mut browser, form) = opened(&world).await;
        let page = browser.submit(&form, &[("api_key", KEY)]).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.body);
        for said in ["as many connections as this server keeps", "status=failed", "Try again"] {
            assert!(page.body.contains(said), "{said}: {}", page.body);
        }
        assert!(!page.body.contains(KEY) && !page.body.contains("http-equiv"), "{}", page.body);
        let failed = json!({"status": "failed", "connection": null, "service": "keys"});
        assert_eq!(world.status(&made).await, failed, "{on:?}");

        world
            .ada
            .api
            .delete(&world.ada.path(&format!("connection/delete/{id}")))
            .await
            .expect(StatusCode::OK);
        let again = page.links().into_iter().find(|link| link.path().starts_with("/link/")).unwrap();
        assert!(browser.follow(&page, &again).await.body.contains("Connect Keys"));
        let end = browser.submit(&form, &[("api_key", KEY)]).await;
        assert_eq!((end.status, world.status_word(&made).await.as_str()), (StatusCode::OK, "connected"));
        assert_eq!(world.connections().await, 1, "{on:?}");
    }
}

#[tokio::test]
async fn a_link_is_not_stuck_when_the_database_does_not_take_what_was_brought() {
    let world = World::with_keys(On::Sqlite, |_| {}).await;
    let (made, mut browser, form) = opened(&world).await;
    let execute = async |sql: &str| {
        let options = SqliteConnectOptions::new().filename(world.app.data_dir().join("tokenry.db"));
        let mut raw = options.connect().await.unwrap();
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    };
    // The connection is written, and then the link cannot be.
    for (trigger, word) in [("INSERT ON connections", "failed"), ("UPDATE ON connect_links", "failed")] {
        execute(&format!("CREATE TRIGGER torn BEFORE {trigger} BEGIN SELECT RAISE(ABORT, 'torn'); END"))
            .await;
        let page = browser.submit(&form, &[("api_key", KEY)]).await;
        assert!(page.status.is_server_error(), "{trigger}: {}", page.body);
        assert!(!page.body.contains(KEY) && !page.body.contains("torn"), "{trigger}: {}", page.body);
        assert_eq!((world.connections().await, world.status_word(&made).await.as_str()), (0, word));
        execute("DROP TRIGGER torn").await;
    }
    let end = browser.submit(&form, &[("api_key", KEY)]).await;
    assert_eq!((end.status, world.status_word(&made).await.as_str()), (StatusCode::OK, "connected"));
    assert_eq!(world.connections().await, 1);
}

#[tokio::test]
async fn a_secret_that_was_typed_is_sealed_and_nowhere_else() {
    let world = World::with_keys(On::Sqlite, |_| {}).await;
    let secret = "sentinel-that-lies-nowhere";
    let (_, mut browser, form) = opened(&world).await;
    let end = browser.submit(&form, &[("api_key", secret)]).await;
    assert_eq!(end.status, StatusCode::OK, "{}", end.body);
    assert!(!end.body.contains(secret), "{}", end.body);
    let id = world.ada.list().await[0]["ID"].as_i64().unwrap();
    assert_eq!(world.ada.token_of(id).await, secret);
    assert!(!world.ada.detail(id).await.to_string().contains(secret));
    let audit = world.ada.api.get(&world.ada.path("audit")).await;
    assert!(!audit.body.contains(secret), "{audit:?}");
    world.app.server().broker().flush_audit().await.unwrap();
    for file in ["tokenry.db", "tokenry.db-wal"] {
        let bytes = std::fs::read(world.app.data_dir().join(file)).unwrap_or_default();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "it is in {file}");
    }
}
