//! Services that a person brings something along to, by a link: a key, a user name and a password, a client of their own.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_broker::Way;
use tokenry_sandbox::{Endpoint, Fault, FaultKind};
use tokenry_testkit::browser::{Browser, Page};

use crate::world::{BOTH, KEY, ORIGIN, On, RETURN_TO, SECRET, World, expect_refused, header};

/// A service, the fields of its form, and the words on it.
type Kind = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

/// What each kind is connected with.
const KINDS: [Kind; 3] = [
    (
        "keys",
        &[("api_key", KEY)],
        &[">Keys</bdi> works with something you bring along", ">API key</span></label>"],
    ),
    (
        "login",
        &[("username", "grace"), ("password", KEY)],
        &[
            ">Login</bdi> works with something you bring along",
            ">Account id</span></label>",
            ">Auth token</span></label>",
        ],
    ),
    (
        "program",
        &[("client_id", "of-grace"), ("client_secret", SECRET)],
        &[
            ">Program</bdi> works with something you bring along",
            ">Client id</label>",
            ">Client secret</label>",
        ],
    ),
];

/// Checks that a form came back with a reason, and without what was typed as a secret.
#[track_caller]
fn expect_again(page: &Page, status: StatusCode, says: &str, secret: &str) {
    assert_eq!(page.status, status, "{}", page.body);
    assert!(page.body.contains("role=\"alert\"") && page.body.contains(says), "{says}: {}", page.body);
    assert!(!page.body.contains(secret) && !page.url.as_str().contains(secret), "{}", page.body);
    assert!(page.body.contains("type=\"password\""), "{}", page.body);
    assert_eq!(header(page, "cache-control"), "no-store");
}

#[tokio::test]
async fn each_kind_is_connected_with_a_link_and_leads_back_to_the_program() {
    for on in BOTH {
        let world = World::with_keys(on, |_| {}).await;
        for (number, (service, fields, words)) in KINDS.into_iter().enumerate() {
            let made = world.link(json!({"services": [service], "return_to": RETURN_TO})).await;
            let mut browser = Browser::new();
            let (page, form) = world.form(&mut browser, &made, service).await;
            assert!(page.body.contains("<strong><bdi translate=\"no\">ada</bdi></strong>"), "{}", page.body);
            assert!(page.body.contains("close this page"), "{}", page.body);
            for said in words {
                assert!(page.body.contains(said), "{said}: {}", page.body);
            }
            assert!(!page.url.as_str().contains(made.token()), "{}", page.url);
            let open = json!({"status": "open", "connection": null, "service": null});
            assert_eq!(world.status(&made).await, open);
            let end = browser.submit(&form, fields).await;
            assert_eq!(end.status, StatusCode::OK, "{}", end.body);
            let listed = world.ada.list().await;
            assert_eq!(listed.len(), number + 1, "{on:?}");
            let id = listed[number]["ID"].as_i64().unwrap();
            let back = format!("{RETURN_TO}?connection={id}&service={service}&status=connected");
            let written = back.replace('&', "&#38;");
            assert!(end.body.contains(&format!("content=\"0;url={written}\"")), "{}", end.body);
            assert!(end.links().iter().any(|link| link.as_str() == back), "{:?}", end.links());
            // Nobody keeps a key fresh; a client of one's own is.
            let fresh = end.body.contains("it is kept fresh");
            assert_eq!(fresh, service == "program", "{}", end.body);
            let known = end.body.contains("Connected as <strong><bdi translate=\"no\">Grace</bdi></strong>");
            assert_eq!(known, service != "program", "{}", end.body);
            for (_, secret) in &fields[fields.len() - 1..] {
                assert!(!end.body.contains(secret) && !end.url.as_str().contains(secret), "{}", end.body);
            }
            let ended = json!({"status": "connected", "connection": id, "service": service});
            assert_eq!(world.status(&made).await, ended);

            let detail = world.ada.detail(id).await;
            assert_eq!(detail["service"], service, "{detail}");
            let token = world.ada.token_of(id).await;
            match service {
                "keys" => assert_eq!(token, KEY),
                "login" => assert_eq!(token, format!("grace:{KEY}")),
                _ => assert!(!token.is_empty()),
            }
            // It is spent: the form of a minute ago is of no use, and stores nothing.
            expect_refused(&browser.submit(&form, fields).await, StatusCode::GONE, "used before");
            expect_refused(&browser.get(&page.url).await, StatusCode::GONE, "used before");
            assert_eq!(world.connections().await, number + 1, "{on:?}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_leaves_the_link_open_and_can_be_corrected() {
    for on in BOTH {
        let world = World::with_keys(on, |_| {}).await;
        let made = world.link(json!({"services": ["program", "login", "hosted"], "origin": ORIGIN})).await;
        let mut browser = Browser::new();
        browser.get(format!("{}?popup=0123abcd", made.url())).await;
        let (_, form) = world.form(&mut browser, &made, "program").await;
        let wrong = [("client_id", "of-grace"), ("client_secret", "sentinel-wrong")];
        let page = browser.submit(&form, &wrong).await;
        let refused = StatusCode::UNPROCESSABLE_ENTITY;
        expect_again(&page, refused, ">Program</bdi> does not take this:", "sentinel-wrong");
        assert!(page.body.contains("<bdi translate=\"no\">ada</bdi>"), "{}", page.body);
        // The page that opened the window hears nothing of it.
        assert!(page.body.contains("0123abcd") && !page.body.contains("data-status"), "{}", page.body);
        let page = browser.submit(&form, &[]).await;
        expect_again(&page, refused, "must not be empty", "sentinel-wrong");

        let (_, login) = world.form(&mut browser, &made, "login").await;
        let page = browser.submit(&login, &[("username", "a:b"), ("password", "sentinel-two")]).await;
        expect_again(&page, refused, "Account id</span>: this must have no colon in it", "sentinel-two");
        let (page, hosted) = world.form(&mut browser, &made, "hosted").await;
        for said in [
            "Make one there: <span lang=\"en\" dir=\"ltr\" translate=\"no\">access key</span>",
            "https://example.org/keys",
            "Your tenant",
            "Such as acme",
        ] {
            assert!(page.body.contains(said), "{said}: {}", page.body);
        }
        let fields = [("settings.tenant", "no tenant!\"><b>"), ("api_key", "sentinel-three")];
        let page = browser.submit(&hosted, &fields).await;
        expect_again(&page, refused, "no tenant!", "sentinel-three");
        assert!(
            page.body.contains("Your tenant</span>: this is not as the service needs it"),
            "{}",
            page.body
        );
        assert!(!page.body.contains("<b>"), "{}", page.body);

        world
            .sandbox
            .inject(Fault::once(Endpoint::Token, FaultKind::Status { code: 503, retry_after_s: Some(7) }));
        let good = [("client_id", "of-grace"), ("client_secret", SECRET)];
        let page = browser.submit(&form, &good).await;
        expect_again(&page, StatusCode::SERVICE_UNAVAILABLE, "not answering", SECRET);
        assert_eq!(world.status_word(&made).await, "open");
        assert_eq!(world.connections().await, 0);

        // From the form that came back.
        let again = page.form_with("client_id").unwrap();
        let end = browser.submit(&again, &good).await;
        assert!(end.body.contains("Program is connected"), "{}", end.body);
        for part in ["data-nonce=\"0123abcd\"", "data-status=\"connected\"", "data-service=\"program\""] {
            assert!(end.body.contains(part), "{part}: {}", end.body);
        }
        assert_eq!((world.connections().await, world.status_word(&made).await.as_str()), (1, "connected"));
        let rows = world.audit(&["connection.import", "link.use"]).await;
        let refused = "connection.import refused credential_refused anonymous ada - program";
        let away = "connection.import failed provider_unavailable anonymous ada - program";
        let (kept, used) = ("connection.import ok - ada ada 1 program", "link.use ok - ada ada 1 program");
        for row in [refused, away, kept, used] {
            assert_eq!(rows.iter().filter(|known| *known == row).count(), 1, "{on:?}: {row}: {rows:?}");
        }
        assert_eq!(rows.len(), 4, "{on:?}: {rows:?}");
    }
}

#[tokio::test]
async fn a_key_for_a_service_with_an_address_of_its_own_keeps_the_address() {
    let world = World::with_keys(On::Sqlite, |_| {}).await;
    let made = world.link(json!({"services": ["hosted"]})).await;
    let mut browser = Browser::new();
    let (_, form) = world.form(&mut browser, &made, "hosted").await;
    let fields = [("settings.tenant", "acme"), ("api_key", "a key of acme")];
    let end = browser.submit(&form, &fields).await;
    assert!(end.body.contains("Hosted is connected"), "{}", end.body);
    let id = world.ada.list().await[0]["ID"].as_i64().unwrap();
    let detail = world.ada.detail(id).await;
    assert_eq!(detail["settings"], json!({"tenant": "acme"}), "{detail}");
    assert_eq!(world.ada.token_of(id).await, "a key of acme");
}

#[tokio::test]
async fn a_second_key_of_an_account_is_a_second_connection_as_without_a_link() {
    for on in BOTH {
        let world = World::with_keys(on, |_| {}).await;
        let body = json!({"kind": "api_key", "service": "keys", "api_key": KEY});
        let path = world.ada.path("connections");
        let first = world.ada.api.post(&path, &body).await.expect(StatusCode::CREATED).json();
        let made = world.link(json!({"services": ["keys"]})).await;
        let mut browser = Browser::new();
        let (_, form) = world.form(&mut browser, &made, "keys").await;
        let end = browser.submit(&form, &[("api_key", KEY)]).await;
        // Only one of them is known by its account, and the person is told theirs.
        assert!(end.body.contains("<bdi translate=\"no\">Grace</bdi>"), "{}", end.body);
        let listed = world.ada.list().await;
        assert_eq!(listed.len(), 2, "{on:?}");
        let second = world.ada.detail(listed[1]["ID"].as_i64().unwrap()).await;
        assert_eq!((&first["account"]["id"], &second["account"]), (&json!("grace"), &Value::Null));
        assert_eq!(second["name"], "keys (Grace)", "{on:?}");
    }
}

#[tokio::test]
async fn a_link_for_all_services_shows_them_and_what_cannot_be_connected_stays_refused() {
    let world = World::with_keys(On::Sqlite, |_| {}).await;
    let made = world.link(json!({})).await;
    let mut browser = Browser::new();
    let page = browser.get(made.url()).await;
    // What takes one click comes first.
    let sandbox = page.body.find("Connect Sandbox").unwrap();
    assert!(page.body.find("/service/airbrake").is_some_and(|at| at > sandbox), "{}", page.body);
    for (word, service) in [("Program", "program"), ("Keys", "keys"), ("TWILIO", "twilio")] {
        let page = browser.get(format!("{}?q={word}", made.url())).await;
        let end = format!("/service/{service}");
        assert!(page.links().iter().any(|link| link.path().ends_with(&end)), "{word}: {}", page.body);
    }
    let (page, _) = {
        let page = browser.get(format!("{}/link/{}/service/twilio", world.app.base(), made.id())).await;
        let form = page.form_with("username").unwrap_or_else(|| panic!("{}", page.body));
        (page, form)
    };
    assert!(page.body.contains("<bdi translate=\"no\">ada</bdi>"), "{}", page.body);

    let path = world.ada.path("connect/links");
    let offers = world.app.server().broker().offers().await.unwrap();
    let paste = offers.iter().find(|offer| matches!(offer.way, Way::PasteOnly { .. })).unwrap();
    let refused = world.ada.api.post(&path, &json!({"services": ["keys", paste.id.to_string()]})).await;
    let refused = refused.expect_error(409, "provider_not_supported");
    assert!(refused.text("message").contains(&paste.name), "{refused:?}");
    let refused = world.ada.api.post(&path, &json!({"services": ["keys", "spotify"]})).await;
    refused.expect_error(409, "provider_not_configured");
    // Neither is taken by a form that somebody made up.
    let (_, form) = world.form(&mut browser, &world.link(json!({"services": ["keys"]})).await, "keys").await;
    for other in [paste.id.as_str(), "spotify", "sandbox", "nothing-of-the-kind"] {
        let mut forged = form.clone();
        forged.action = form.action.join(other).unwrap();
        let page = browser.submit(&forged, &[("token", "pasted"), ("api_key", "pasted")]).await;
        assert!(page.status.is_client_error(), "{other}: {}", page.body);
        assert!(page.body.contains("not for that service"), "{other}: {}", page.body);
    }
    assert_eq!(world.connections().await, 0);
}

#[tokio::test]
async fn a_form_that_asks_for_a_secret_stands_in_no_frame_and_keeps_the_tie_to_its_opener() {
    let world = World::with_keys(On::Sqlite, |_| {}).await;
    let made = world.link(json!({"services": ["keys"], "origin": ORIGIN})).await;
    let mut browser = Browser::new();
    let (page, form) = world.form(&mut browser, &made, "keys").await;
    for page in [page, browser.submit(&form, &[]).await] {
        assert!(page.form_with("api_key").is_some(), "{}", page.body);
        assert_eq!(header(&page, "cross-origin-opener-policy"), "unsafe-none");
        assert!(header(&page, "content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header(&page, "x-frame-options"), "DENY");
        assert_eq!(header(&page, "referrer-policy"), "no-referrer");
    }
    let end = browser.submit(&form, &[("api_key", KEY)]).await;
    assert!(header(&end, "content-security-policy").contains(&format!("frame-ancestors {ORIGIN}")));
    assert_eq!(world.status_word(&made).await, "connected");
}

#[tokio::test]
async fn what_is_brought_in_time_counts_and_what_is_brought_too_late_does_not() {
    for on in BOTH {
        let world = World::with_keys(on, |_| {}).await;
        let (made, late) = (
            world.link(json!({"services": ["keys"]})).await,
            world.link(json!({"services": ["keys"]})).await,
        );
        let mut browser = Browser::new();
        let (_, form) = world.form(&mut browser, &made, "keys").await;
        let (_, expired) = world.form(&mut browser, &late, "keys").await;
        world.app.clock.advance(Duration::from_secs(599));
        assert_eq!(browser.submit(&form, &[("api_key", KEY)]).await.status, StatusCode::OK);
        world.app.clock.advance(Duration::from_secs(2));
        let page = browser.submit(&expired, &[("api_key", "sentinel-late")]).await;
        expect_refused(&page, StatusCode::GONE, "This link has expired");
        assert!(!page.body.contains("sentinel-late"), "{}", page.body);
        assert_eq!((world.connections().await, world.status_word(&late).await.as_str()), (1, "expired"));
    }
}
