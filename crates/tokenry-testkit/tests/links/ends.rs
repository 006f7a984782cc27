//! What spends a link, where it leads, and what ends it before.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_testkit::browser::Browser;

use crate::world::{BOTH, On, RETURN_TO, World, expect_refused, header, offers};

#[tokio::test]
async fn a_link_leads_to_a_connection_and_back_to_the_program_and_is_spent() {
    for on in BOTH {
        let world = World::start(on).await;
        let made =
            world.link(json!({"services": ["sandbox"], "return_to": format!("{RETURN_TO}/ada?tab=2")})).await;
        assert_eq!(made.token().len(), 43);
        assert_eq!(world.status(&made).await, json!({"status": "open", "connection": null, "service": null}));
        let mut browser = Browser::new();
        let page = browser.get(made.url()).await;
        assert!(page.body.contains("<strong><bdi translate=\"no\">ada</bdi></strong>"), "{}", page.body);
        assert!(page.body.contains("close this page"), "{}", page.body);
        assert_eq!(header(&page, "referrer-policy"), "no-referrer");
        let consent = world.choose(&mut browser, &page).await;
        assert_eq!(world.status_word(&made).await, "open");
        let end = browser.consent_sandbox(consent, "grace").await;
        assert_eq!(end.status, StatusCode::OK, "{}", end.body);
        assert!(
            end.body.contains("Connected as <strong><bdi translate=\"no\">grace</bdi></strong>"),
            "{}",
            end.body
        );
        for said in ["What was granted", "<code>profile</code>", "Must be connected again by"] {
            assert!(end.body.contains(said), "{said}: {}", end.body);
        }
        let id = world.ada.list().await[0]["ID"].as_i64().unwrap();
        let back = format!("{RETURN_TO}/ada?tab=2&connection={id}&service=sandbox&status=connected");
        let written = back.replace('&', "&#38;");
        assert!(end.body.contains(&format!("content=\"0;url={written}\"")), "{}", end.body);
        assert!(end.links().iter().any(|link| link.as_str() == back), "{:?}", end.links());
        assert!(!world.ada.token_of(id).await.is_empty());
        let ended = json!({"status": "connected", "connection": id, "service": "sandbox"});
        assert_eq!(world.status(&made).await, ended);

        for again in [made.url().to_owned(), format!("{}/link/{}", world.app.base(), made.id())] {
            expect_refused(&browser.get(again).await, StatusCode::GONE, "This link was used before");
        }
        expect_refused(&Browser::new().get(made.url()).await, StatusCode::GONE, "used before");
        world.app.clock.advance(Duration::from_mins(30));
        assert_eq!(world.status(&made).await, ended, "{on:?}");
    }
}

#[tokio::test]
async fn of_two_connects_that_were_begun_with_one_link_one_is_stored() {
    for on in BOTH {
        let world = World::start(on).await;
        let made = world.plain_link().await;
        let mut browser = Browser::new();
        let first = world.begin(&mut browser, &made).await;
        let second = world.begin(&mut browser, &made).await;
        browser.stop_before(world.app.base());
        let mut callbacks = Vec::new();
        for (consent, account) in [(first, "grace"), (second, "linus")] {
            callbacks.push(browser.consent_sandbox(consent, account).await.url);
        }
        browser.stop_nowhere();
        let mark = browser.cookies().iter().find(|cookie| cookie.name == "tokenry_browser").unwrap();
        let set = format!("tokenry_browser={}", mark.value);
        let both = callbacks.into_iter().map(|callback| {
            let (base, set) = (world.app.base(), set.clone());
            tokio::spawn(async move {
                let mut browser = Browser::new();
                browser.set_cookie(base, &set);
                browser.get(callback).await
            })
        });
        let mut stored = 0;
        for page in both.collect::<Vec<_>>() {
            let page = page.await.unwrap();
            match page.status {
                StatusCode::OK => stored += 1,
                _ => assert!(page.body.contains("This link was used before"), "{}", page.body),
            }
        }
        assert_eq!((stored, world.connections().await), (1, 1), "{on:?}");
        // The code of the other was not even exchanged.
        assert_eq!(world.sandbox.seen().codes_exchanged, 1, "{on:?}");
    }
}

#[tokio::test]
async fn what_is_declined_or_fails_is_told_and_can_be_tried_again() {
    for on in BOTH {
        let world = World::start(on).await;
        let made = world.link(json!({"services": ["sandbox"], "return_to": RETURN_TO})).await;
        let mut browser = Browser::new();
        let consent = world.begin(&mut browser, &made).await;
        let page = browser.deny_sandbox(consent, "grace").await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        let back = format!("{RETURN_TO}?service=sandbox&#38;status=declined");
        assert!(page.body.contains(&format!("content=\"0;url={back}\"")), "{}", page.body);
        let declined = json!({"status": "declined", "connection": null, "service": "sandbox"});
        assert_eq!(world.status(&made).await, declined);

        // Once more, from the link on that page.
        let again = page.links().into_iter().find(|link| link.path().starts_with("/link/")).unwrap();
        assert!(!again.as_str().contains(made.token()), "{again}");
        let page = browser.follow(&page, &again).await;
        let consent = world.choose(&mut browser, &page).await;
        assert_eq!(world.status_word(&made).await, "open");
        browser.stop_before(world.app.base());
        let mut callback = browser.consent_sandbox(consent, "grace").await.url;
        browser.stop_nowhere();
        let kept: Vec<_> = callback.query_pairs().into_owned().filter(|(name, _)| name != "code").collect();
        callback.query_pairs_mut().clear().extend_pairs(kept).append_pair("error", "server_error");
        let page = browser.get(&callback).await;
        assert!(page.body.contains("server_error") && page.body.contains("Try again"), "{}", page.body);
        // What failed is to be read: nobody is led on unasked.
        assert!(!page.body.contains("http-equiv") && page.body.contains("status=failed"), "{}", page.body);
        assert_eq!(world.status_word(&made).await, "failed");

        let consent = world.begin(&mut browser, &made).await;
        browser.consent_sandbox(consent, "grace").await;
        assert_eq!(world.status_word(&made).await, "connected", "{on:?}");
    }
}

#[tokio::test]
async fn a_link_is_good_for_ten_minutes_and_what_was_begun_in_time_may_end() {
    for on in BOTH {
        let world = World::start(on).await;
        let (made, other) = (world.plain_link().await, world.plain_link().await);
        world.app.clock.advance(Duration::from_secs(590));
        let mut browser = Browser::new();
        let consent = world.begin(&mut browser, &made).await;
        world.app.clock.advance(Duration::from_secs(20));
        for mut browser in [Browser::new(), Browser::new()] {
            expect_refused(&browser.get(other.url()).await, StatusCode::GONE, "This link has expired");
        }
        assert_eq!(world.status_word(&other).await, "expired");
        assert_eq!(world.status_word(&made).await, "open");
        expect_refused(&browser.get(made.url()).await, StatusCode::GONE, "This link has expired");
        assert_eq!(browser.consent_sandbox(consent, "grace").await.status, StatusCode::OK);
        assert_eq!(world.status_word(&made).await, "connected");
        // A day later nobody remembers.
        world.app.clock.advance(Duration::from_hours(25));
        world.app.server().broker().do_chores().await;
        let path = format!("/api/connect/links/{}", made.id());
        world.app.anonymous().get(&path).await.expect_error(404, "no_such_link");
        expect_refused(&browser.get(made.url()).await, StatusCode::NOT_FOUND, "This link does not work");
    }
}

#[tokio::test]
async fn a_link_ends_with_the_sessions_of_its_owner_also_half_way() {
    for on in BOTH {
        let world = World::start(on).await;
        let (made, begun) = (world.plain_link().await, world.plain_link().await);
        let mut browser = Browser::new();
        let consent = world.begin(&mut browser, &begun).await;
        world.ada.api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);
        expect_refused(&browser.get(made.url()).await, StatusCode::GONE, "has signed out since");
        let page = browser.consent_sandbox(consent, "grace").await;
        assert!(page.body.contains("has signed out since"), "{}", page.body);
        assert_eq!(world.sandbox.seen().codes_exchanged, 0, "{on:?}");
    }
}

#[tokio::test]
async fn a_link_connects_only_the_services_that_it_was_made_for() {
    let world = World::start_with(On::Sqlite, |config| {
        let settings = tokenry_oauth::ProviderSettings {
            client_id: Some("id".to_owned()),
            client_secret: Some("secret".into()),
            ..tokenry_oauth::ProviderSettings::default()
        };
        for id in ["spotify", "shopify"] {
            config.providers.insert(tokenry_model::ProviderId::parse(id).unwrap(), settings.clone());
        }
    })
    .await;
    let made = world.link(json!({"services": ["Spotify", "spotify"]})).await;
    assert_eq!(made.0["services"], json!(["spotify"]));
    let mut browser = Browser::new();
    let page = browser.get(made.url()).await;
    assert!(page.body.contains("Connect Spotify") && !page.body.contains("Sandbox"), "{}", page.body);
    let form = page.form_with("service").unwrap();
    for other in ["sandbox", "shopify"] {
        let refused = browser.submit(&form, &[("service", other)]).await;
        expect_refused(&refused, StatusCode::FORBIDDEN, "not for that service");
        let address = format!("{}/link/{}/service/{other}", world.app.base(), made.id());
        expect_refused(&browser.get(address).await, StatusCode::FORBIDDEN, "not for that service");
    }
    // Without a list, all that can be connected here, and one that asks for something first.
    let made = world.link(json!({})).await;
    assert_eq!(made.0["services"], json!(null));
    let page = browser.get(made.url()).await;
    for name in ["Connect Spotify", "Connect Sandbox", "Connect Shopify"] {
        assert!(page.body.contains(name), "{}", page.body);
    }
    assert!(!page.body.contains("Connect Discord"), "it is not set up here");
    let shop = page.links().into_iter().find(|link| link.path().ends_with("/service/shopify")).unwrap();
    let page = browser.follow(&page, &shop).await;
    let form = page.form_with("setting-subdomain").unwrap_or_else(|| panic!("{}", page.body));
    let wrong = browser.submit(&form, &[("setting-subdomain", "not a shop!\"><b>")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
    assert!(!wrong.body.contains("<b>") && wrong.form_with("setting-subdomain").is_some(), "{}", wrong.body);
    let leaving = browser.submit(&form, &[("setting-subdomain", "acme")]).await;
    assert!(leaving.links().iter().any(|link| link.as_str().contains("acme")), "{}", leaving.body);
    assert!(offers(&browser.get(made.url()).await));
}
