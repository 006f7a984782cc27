//! The first browser that opens a link in earnest has it. Any other is asked whether its person is the owner, and nothing moves.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokenry_testkit::app::PASSWORD;
use tokenry_testkit::browser::{Browser, Page};

use crate::world::{BOTH, On, World, expect_refused, offers};

fn by_owner_only(page: &Page) {
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
    assert!(page.body.contains("Is this Tokenry account yours?"), "{}", page.body);
    assert!(page.body.contains("<bdi translate=\"no\">ada</bdi>") && !offers(page), "{}", page.body);
}

#[tokio::test]
async fn a_link_that_somebody_else_opens_ends_on_the_confirm_page_and_moves_nothing() {
    for on in BOTH {
        let world = World::start(on).await;
        let made = world.plain_link().await;
        let (mut first, mut other) = (Browser::new(), Browser::new());
        let page = first.get(made.url()).await;
        let form = page.form_with("service").unwrap();
        by_owner_only(&other.get(made.url()).await);
        // Neither the form of the first, nor the id, nor a form of its own gets the other one on.
        assert_eq!(other.submit(&form, &[]).await.status, StatusCode::FORBIDDEN);
        let by_id = format!("{}/link/{}", world.app.base(), made.id());
        expect_refused(&other.get(&by_id).await, StatusCode::NOT_FOUND, "This link does not work");
        let own = other.get(format!("{}/sign-in", world.app.base())).await;
        let own = own.form_with("form_token").unwrap();
        for action in
            [made.path(), format!("{}/connect", made.path()), format!("/link/{}/connect", made.id())]
        {
            let mut forged = form.clone();
            forged.action = world.app.base().parse::<url::Url>().unwrap().join(&action).unwrap();
            let token = own.values("form_token")[0].to_owned();
            let page = other.submit(&forged, &[("form_token", &token)]).await;
            assert!(page.status.is_client_error() && !offers(&page), "{action}: {}", page.body);
            assert!(!page.body.contains(world.sandbox.base_url()), "{action}: {}", page.body);
        }
        // Taking it over takes a session of the owner's.
        let mut forged = form.clone();
        forged.action = forged.action.join(&format!("{}/take", made.path())).unwrap();
        let token = own.values("form_token")[0].to_owned();
        assert_eq!(other.submit(&forged, &[("form_token", &token)]).await.url.path(), "/sign-in");
        assert_eq!(world.connections().await, 0);

        let consent = world.choose(&mut first, &page).await;
        assert_eq!(first.consent_sandbox(consent, "grace").await.status, StatusCode::OK);
        assert_eq!(world.connections().await, 1, "{on:?}");
    }
}

#[tokio::test]
async fn who_is_signed_in_as_another_is_asked_first_even_where_the_link_was_opened_first() {
    for on in BOTH {
        let world = World::start(on).await;
        let made = world.plain_link().await;
        world.app.user("grace").await;
        let mut victim = Browser::new();
        let page = victim.get(format!("{}/sign-in", world.app.base())).await;
        let form = page.form_with("password").unwrap();
        victim.submit(&form, &[("username", "grace"), ("password", PASSWORD)]).await;
        let consent = world.begin(&mut victim, &made).await;
        let page = victim.consent_sandbox(consent, "grace").await;
        let form = page.form_with("handle").unwrap_or_else(|| panic!("{}", page.body));
        assert!(page.body.contains("<bdi translate=\"no\">ada</bdi>"), "{}", page.body);
        assert_eq!(world.connections().await, 0, "{on:?}");
        // Whoever signs in or out in another tab does not lose what waits here.
        let other_tab = victim.get(format!("{}/account", world.app.base())).await;
        let out = other_tab.forms().into_iter().find(|form| form.action.path() == "/sign-out").unwrap();
        victim.submit(&out, &[]).await;
        let page = victim.submit(&form, &[("decision", "abandon")]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        assert!(page.body.contains("given back"), "{}", page.body);
        assert_eq!((world.connections().await, world.sandbox.seen().live_families), (0, 0), "{on:?}");
    }
}

#[tokio::test]
async fn a_consent_that_is_finished_in_another_browser_waits_for_the_owner() {
    for on in BOTH {
        let world = World::start(on).await;
        let made = world.plain_link().await;
        let (mut first, mut other) = (Browser::new(), Browser::new());
        let consent = world.begin(&mut first, &made).await;
        let page = other.consent_sandbox(consent, "linus").await;
        let form = page.form_with("handle").unwrap_or_else(|| panic!("{}", page.body));
        assert!(
            page.body.contains("<bdi translate=\"no\">ada</bdi>")
                && page.body.contains("<bdi translate=\"no\">linus</bdi>")
        );
        let wrong = other.submit(&form, &[("password", "not it"), ("decision", "finish")]).await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN);
        assert_eq!((world.connections().await, world.status_word(&made).await.as_str()), (0, "open"));

        // The link is as good as before in its own browser.
        let consent = world.begin(&mut first, &made).await;
        assert_eq!(first.consent_sandbox(consent, "grace").await.status, StatusCode::OK);
        assert_eq!(world.connections().await, 1);
        // And the owner may still say that the other one is theirs too.
        let page = other.submit(&form, &[("password", PASSWORD), ("decision", "finish")]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        assert_eq!(world.connections().await, 2, "{on:?}");
    }
}

#[tokio::test]
async fn an_owner_who_confirms_elsewhere_spends_the_link() {
    for on in BOTH {
        let world = World::start(on).await;
        let made = world.link(json!({"services": ["sandbox"], "return_to": crate::world::RETURN_TO})).await;
        let (mut first, mut other) = (Browser::new(), Browser::new());
        let consent = world.begin(&mut first, &made).await;
        let page = other.consent_sandbox(consent, "grace").await;
        let form = page.form_with("handle").unwrap();
        let end = other.submit(&form, &[("password", PASSWORD), ("decision", "finish")]).await;
        assert!(end.body.contains("status=connected"), "{}", end.body);
        assert_eq!(world.status_word(&made).await, "connected");
        expect_refused(&first.get(made.url()).await, StatusCode::GONE, "used before");
        assert_eq!(world.connections().await, 1, "{on:?}");
    }
}

#[tokio::test]
async fn the_owner_signed_in_takes_a_link_over_and_the_first_browser_has_it_no_more() {
    for on in BOTH {
        let world = World::start(on).await;
        let made = world.plain_link().await;
        let (mut first, mut owner) = (Browser::new(), Browser::new());
        let begun = world.begin(&mut first, &made).await;
        let page = owner.get(made.url()).await;
        by_owner_only(&page);
        let sign_in =
            page.links().into_iter().find(|link| link.query().is_some_and(|q| q.contains("next"))).unwrap();
        let page = world.sign_in(&mut owner, &sign_in).await;
        assert_eq!(page.url.path(), made.path(), "{}", page.body);
        let form = page.forms().into_iter().find(|form| form.action.path().ends_with("/take")).unwrap();
        let page = owner.submit(&form, &[]).await;
        assert!(offers(&page), "{}", page.body);
        by_owner_only(&first.get(made.url()).await);
        // What the first one had begun is no longer its own to end.
        let page = first.consent_sandbox(begun, "linus").await;
        assert!(page.form_with("handle").is_some(), "{}", page.body);
        assert_eq!(world.connections().await, 0);
        let consent = world.begin(&mut owner, &made).await;
        assert_eq!(owner.consent_sandbox(consent, "grace").await.status, StatusCode::OK);
        assert_eq!(world.connections().await, 1, "{on:?}");
    }
}

#[tokio::test]
async fn the_session_of_another_user_takes_nothing_over() {
    let world = World::start(On::Sqlite).await;
    world.app.user("mallory").await;
    let made = world.plain_link().await;
    let mut first = Browser::new();
    let mut mallory = Browser::new();
    let page = mallory.get(format!("{}/sign-in", world.app.base())).await;
    let form = page.form_with("password").unwrap();
    mallory.submit(&form, &[("username", "mallory"), ("password", PASSWORD)]).await;
    first.get(made.url()).await;
    let page = mallory.get(made.url()).await;
    by_owner_only(&page);
    let mut forged = page.form_with("form_token").unwrap();
    forged.action = forged.action.join(&format!("{}/take", made.path())).unwrap();
    let refused = mallory.submit(&forged, &[]).await;
    expect_refused(&refused, StatusCode::FORBIDDEN, "opened in another browser first");
    // A link that nobody has is hers like anybody's; then she is told whose account it is.
    let page = mallory.get(world.plain_link().await.url()).await;
    assert!(page.body.contains("signed in here as mallory") && offers(&page), "{}", page.body);
}

#[tokio::test]
async fn previews_and_prefetches_do_not_take_a_link_and_a_press_of_the_button_does() {
    for on in BOTH {
        let world = World::start(on).await;
        let made = world.plain_link().await;
        let anonymous = world.app.anonymous();
        let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        let looks: [&[(&str, &str)]; 7] = [
            &[],
            &[("user-agent", "Slackbot-LinkExpanding 1.0"), ("range", "bytes=0-32768")],
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "empty")],
            &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "document")],
            &[navigation[0], navigation[1], ("sec-purpose", "prefetch")],
            &[navigation[0], navigation[1], ("sec-purpose", "prefetch;prerender")],
            &[navigation[0], navigation[1], ("purpose", "prefetch")],
        ];
        for look in looks {
            let answer = anonymous.send(Method::GET, &made.path(), look, Vec::new()).await;
            assert_eq!(answer.status, StatusCode::OK, "{look:?}");
            assert!(answer.body.contains("Continue in this browser?"), "{look:?}: {}", answer.body);
            assert!(!answer.body.contains("Connect Sandbox"), "{look:?}: {}", answer.body);
        }
        let head = anonymous.send(Method::HEAD, &made.path(), &navigation, Vec::new()).await;
        assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);
        // In a frame there are no cookies, so it leads into a window of its own.
        let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        let answer = anonymous.send(Method::GET, &made.path(), &frame, Vec::new()).await;
        assert!(answer.body.contains("target=\"_blank\""), "{}", answer.body);
        assert!(answer.body.contains("Open in a new window"), "{}", answer.body);

        // A browser that says nothing of itself presses the button.
        let answer = anonymous.get(&made.path()).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let token = answer.body.split("name=\"form_token\" value=\"").nth(1).unwrap();
        let body = format!("form_token={}", token.split('"').next().unwrap());
        let headers = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let forged = anonymous.send(Method::POST, &made.path(), &headers, b"form_token=x".to_vec()).await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN, "{}", forged.body);
        let answer = anonymous.send(Method::POST, &made.path(), &headers, body.into_bytes()).await;
        assert!(answer.body.contains("Connect Sandbox"), "{on:?}: {}", answer.body);
        by_owner_only(&Browser::new().get(made.url()).await);
        let mut same = Browser::new();
        same.set_cookie(world.app.base(), &cookie);
        assert!(offers(&same.get(made.url()).await), "{on:?}");
    }
}

#[tokio::test]
async fn of_many_browsers_that_open_a_link_at_once_one_gets_it() {
    for on in BOTH {
        let world = World::start(on).await;
        let made = world.plain_link().await;
        let opened = (0..12).map(|_| {
            let url = made.url().to_owned();
            tokio::spawn(async move { Browser::new().get(url).await })
        });
        let mut having = 0;
        for page in opened.collect::<Vec<_>>() {
            let page = page.await.unwrap();
            if offers(&page) {
                having += 1;
            } else {
                by_owner_only(&page);
            }
        }
        assert_eq!(having, 1, "{on:?}");
    }
}
