//! The way of a person through the pages: choose a service, allow it, and see what came of it.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry_broker::Way;
use tokenry_model::ProviderId;
use tokenry_sandbox::{Account, Endpoint, Fault, FaultKind, Sandbox, SandboxOptions};
use tokenry_testkit::app::sandbox_settings;

use crate::services::{KEY, Services};
use crate::visitor::{Visitor, form_to, says};
use crate::world::{World, connection_on, expect_away, expect_refusal, sandbox_options};

/// What no page can hold if everything from elsewhere is escaped.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";

#[tokio::test]
async fn a_person_chooses_a_service_allows_it_and_sees_what_was_granted() {
    let world = World::start().await;
    let user = world.app.user("ada").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    says(&ada.get("/connections").await, &["Nothing is connected yet", "Choose a service"]);

    let page = ada.get("/connect?q=SANDB").await;
    says(&page, &["2 services", "aria-label=\"Connect Sandbox\"", "Salesforce sandbox", "Not set up here"]);
    let link = page.links().into_iter().find(|link| link.path() == "/connect/sandbox").unwrap();
    let page = ada.browser.follow(&page, &link).await;
    says(&page, &["Connect Sandbox", "Continue to Sandbox"]);
    let page = ada.send(&page, "/connect/sandbox", &[("name", "music"), ("how", "consent")]).await;
    says(&page, &["Going to Sandbox"]);
    let page = ada.consent(&page, "grace").await;
    let id = connection_on(&page);
    says(
        &page,
        &[
            "Connected as <bdi translate=\"no\">grace</bdi>",
            "What was granted",
            "<code>profile</code>",
            "See the connection",
        ],
    );
    assert!(!page.body.contains("Asked for and not granted"), "{}", page.body);

    says(
        &ada.get("/connections").await,
        &["music", "Sandbox", "<bdi translate=\"no\">grace</bdi>", "In order"],
    );
    let token = user.token_of(id).await;
    let page = ada.get(&format!("/connections/{id}")).await;
    says(
        &page,
        &["music", "<bdi translate=\"no\">grace</bdi>", "Last used", "Connected", "A program got the token"],
    );
    assert!(!page.body.contains(&token), "a token is on the page");
}

#[tokio::test]
async fn what_was_not_granted_is_said_and_can_be_asked_for_again() {
    let world = World::start().await;
    world.app.user("ada").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.get("/connect/sandbox").await;
    let page = ada.send(&page, "/connect/sandbox", &[("chooses", "1"), ("scope", "profile email")]).await;
    let consent = ada.way_out(&page);
    let page = ada.browser.get(consent).await;
    let form = page.form_with("decision").unwrap();
    let fields = [("account", "grace"), ("scope", "profile"), ("decision", "allow")];
    let page = ada.browser.submit(&form, &fields).await;
    let id = connection_on(&page);
    says(&page, &["Asked for and not granted", "<code>email</code>"]);
    says(&ada.get(&format!("/connections/{id}")).await, &["Asked for and not granted", "<code>email</code>"]);

    // Adding access keeps the connection, and asks for what there was and what is new.
    let page = ada.act(id, "reconnect", &[("scope", "offline_access")]).await;
    let asked = ada.way_out(&page);
    let scope = asked.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    for wanted in ["profile", "email", "offline_access"] {
        assert!(scope.split(' ').any(|each| each == wanted), "{scope}");
    }
    let page = ada.consent(&page, "grace").await;
    assert_eq!(connection_on(&page), id);
    says(&page, &["Renewed", "keeps its id"]);
}

#[tokio::test]
async fn every_end_that_is_no_connection_says_why_and_where_to_try_again() {
    let world = World::start().await;
    world.app.user("ada").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let leave = async |ada: &mut Visitor| {
        let page = ada.get("/connect/sandbox").await;
        let page = ada.send(&page, "/connect/sandbox", &[]).await;
        ada.way_out(&page)
    };
    let again = |page: &tokenry_testkit::browser::Page, path: &str| {
        assert!(page.links().iter().any(|link| link.path() == path), "{}", page.body);
        says(page, &["Try again"]);
    };

    let way = leave(&mut ada).await;
    let page = ada.browser.deny_sandbox(way, "grace").await;
    expect_refusal(&page, "was declined there");
    again(&page, "/connect/sandbox");

    let way = leave(&mut ada).await;
    let done = ada.browser.consent_sandbox(&way, "grace").await;
    connection_on(&done);
    let page = ada.browser.get(&done.url).await;
    expect_refusal(&page, "used before");
    again(&page, "/connect");

    let way = leave(&mut ada).await;
    world.app.clock.advance(Duration::from_mins(11));
    let page = ada.browser.consent_sandbox(way, "grace").await;
    expect_refusal(&page, "expired");
    again(&page, "/connect");

    // Another account than the one whose connection is to be renewed.
    let id = connection_on(&done);
    let page = ada.act(id, "reconnect", &[]).await;
    let page = ada.consent(&page, "linus").await;
    expect_refusal(&page, "wrong account");
    again(&page, "/connections");

    world.sandbox.inject(Fault::once(Endpoint::Token, FaultKind::Status { code: 503, retry_after_s: None }));
    let way = leave(&mut ada).await;
    let page = ada.browser.consent_sandbox(way, "linus").await;
    expect_away(&page, "Sandbox is not answering at the moment");
    says(&page, &["The service is away", "status 503"]);
    again(&page, "/connect/sandbox");
    assert_eq!(ada.get("/connections").await.body.matches("class=\"row\"").count(), 1);
}

#[tokio::test]
async fn a_service_that_is_not_set_up_says_so_and_takes_a_token_that_was_made_there() {
    let world = World::start().await;
    let user = world.app.user("bob").await;
    let mut bob = Visitor::sign_in(&world.app, "bob").await;
    let page = bob.get("/connect/spotify").await;
    says(&page, &["Spotify is not set up on this server", "Ask the operator"]);
    assert!(!page.body.contains("/operator"), "{}", page.body);
    let page = bob.send(&page, "/connect/spotify", &[("token", "pasted marker")]).await;
    assert_eq!(page.query("done").as_deref(), Some("connected"), "{}", page.body);
    says(&page, &["Pasted token", "It is connected."]);
    let id: i64 = page.url.path().rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(user.token_of(id).await, "pasted marker");
    assert!(!page.body.contains("pasted marker"));
    // Without a token nothing is stored.
    let page = bob.get("/connect/spotify").await;
    let page = bob.send(&page, "/connect/spotify", &[("token", "")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    says(&page, &["role=\"alert\"", "token"]);
    assert_eq!(user.list().await.len(), 1);
    let page = bob.get("/connect/no-such-service").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    says(&page, &["There is nothing here"]);
}

#[tokio::test]
async fn keys_passwords_and_clients_have_forms_of_their_own() {
    let services = Services::start().await;
    let mut ada = Visitor::sign_in(&services.app, "ada").await;
    for (service, fields, token) in [
        ("keys", vec![("api_key", KEY)], KEY.to_owned()),
        ("login", vec![("username", "grace"), ("password", KEY)], format!("grace:{KEY}")),
    ] {
        let page = ada.get(&format!("/connect/{service}")).await;
        let page = ada.send(&page, &format!("/connect/{service}"), &fields).await;
        assert_eq!(page.query("done").as_deref(), Some("connected"), "{service}: {}", page.body);
        let id: i64 = page.url.path().rsplit('/').next().unwrap().parse().unwrap();
        assert_eq!(services.ada.token_of(id).await, token);
        says(&page, &["Grace"]);
        assert!(!page.body.contains(KEY), "{service}: the key is on the page");
    }
    let page = ada.get("/connect/program").await;
    let fields = [("client_id", "of-ada"), ("client_secret", "wrong")];
    let page = ada.send(&page, "/connect/program", &fields).await;
    assert!(page.status.is_client_error(), "{}", page.status);
    says(&page, &["role=\"alert\"", "Program does not take this:"]);
    assert!(!page.body.contains("wrong\""), "what was typed as a secret is on the page: {}", page.body);
    let fields = [("client_id", "of-ada"), ("client_secret", "her secret")];
    let page = ada.send(&page, "/connect/program", &fields).await;
    assert_eq!(page.query("done").as_deref(), Some("connected"), "{}", page.body);
    // A user name cannot hold a colon; what was typed as a name is still there.
    let page = ada.get("/connect/login").await;
    let fields = [("username", "a:b"), ("password", "x"), ("name", HOSTILE)];
    let page = ada.send(&page, "/connect/login", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    says(&page, &["colon", "onerror"]);
    assert!(!page.body.contains("<img"), "{}", page.body);
}

#[tokio::test]
async fn settings_are_asked_for_where_an_address_is_made_of_them() {
    let services = Services::start().await;
    let mut ada = Visitor::sign_in(&services.app, "ada").await;
    let page = ada.get("/connect/tenants").await;
    let name = form_to(&page, "/connect/tenants")
        .fields
        .into_iter()
        .find_map(|field| field.name.starts_with("settings.").then_some(field.name))
        .unwrap_or_else(|| panic!("{}", page.body));
    let page = ada.send(&page, "/connect/tenants", &[(&name, "not allowed!"), ("name", "mine")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.body);
    says(&page, &["role=\"alert\"", "not allowed!", "value=\"mine\""]);
}

#[tokio::test]
async fn a_code_is_shown_for_another_device_and_asked_after() {
    let services = Services::start().await;
    let mut ada = Visitor::sign_in(&services.app, "ada").await;
    let page = ada.get("/connect/sandbox").await;
    let page = ada.send(&page, "/connect/sandbox", &[("how", "device"), ("name", "tv")]).await;
    says(&page, &["Type this code there", "class=\"code\"", services.sandbox.base_url()]);
    let form = form_to(&page, "/connect/device");
    let code = form.values("code")[0].to_owned();
    let page = ada.send(&page, "/connect/device", &[]).await;
    says(&page, &["has not heard a yes yet", &code]);
    services.sandbox.decide_device(&code, Some("grace")).unwrap();
    for clock in [5, 10] {
        services.app.clock.advance(Duration::from_secs(clock));
        services.sandbox.advance(Duration::from_secs(clock));
    }
    let page = ada.send(&page, "/connect/device", &[]).await;
    assert_eq!(page.query("done").as_deref(), Some("connected"), "{}", page.body);
    says(&page, &["tv", "grace"]);
    // Somebody else's handle is nobody's.
    services.app.user("bob").await;
    let mut bob = Visitor::sign_in(&services.app, "bob").await;
    let page = bob.get("/connect/sandbox").await;
    let page = bob.send(&page, "/connect/sandbox", &[("how", "device")]).await;
    let handle = form.values("handle")[0].to_owned();
    let page = bob.send(&page, "/connect/device", &[("handle", &handle)]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.body);
}

#[tokio::test]
async fn a_service_that_answers_nonsense_costs_nobody_the_code_for_another_device() {
    let services = Services::start().await;
    let mut ada = Visitor::sign_in(&services.app, "ada").await;
    let page = ada.get("/connect/sandbox").await;
    let page = ada.send(&page, "/connect/sandbox", &[("how", "device")]).await;
    let form = form_to(&page, "/connect/device");
    let code = form.values("code")[0].to_owned();
    let wait = |seconds| {
        services.app.clock.advance(Duration::from_secs(seconds));
        services.sandbox.advance(Duration::from_secs(seconds));
    };
    wait(6);
    services.sandbox.inject(Fault::once(Endpoint::Token, FaultKind::Malformed));
    let page = ada.send(&page, "/connect/device", &[]).await;
    assert!(page.status.is_server_error(), "{}: {}", page.status, page.body);
    says(&page, &["role=\"alert\"", &code]);
    assert_eq!(form_to(&page, "/connect/device").values("handle"), form.values("handle"));
    services.sandbox.decide_device(&code, Some("grace")).unwrap();
    wait(30);
    let page = ada.send(&page, "/connect/device", &[]).await;
    assert_eq!(page.query("done").as_deref(), Some("connected"), "{}", page.body);
}

#[tokio::test]
async fn what_was_ticked_and_typed_is_still_there_when_it_was_refused() {
    let services = Services::start().await;
    let mut ada = Visitor::sign_in(&services.app, "ada").await;
    let page = ada.get("/connect/sandbox").await;
    let form = form_to(&page, "/connect/sandbox");
    let ticked = |body: &str, scope: &str| body.contains(&format!("value=\"{scope}\" checked"));
    let offered: Vec<_> =
        form.values("scope").into_iter().filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    assert!(offered.iter().all(|scope| ticked(&page.body, scope)), "{}", page.body);
    let fields = [("chooses", "1"), ("scope", "one.of.adas"), ("name", "a\u{7}b")];
    let page = ada.send(&page, "/connect/sandbox", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.body);
    says(&page, &["role=\"alert\"", "value=\"one.of.adas\"", "<details class=\"fold\" open>"]);
    assert!(!page.body.contains(" checked"), "{}", page.body);
}

#[tokio::test]
async fn a_service_that_no_link_leads_to_says_why_and_takes_a_token() {
    let world = World::start().await;
    world.app.user("ada").await;
    let offers = world.app.server().broker().offers().await.unwrap();
    let offer = offers.into_iter().find(|offer| matches!(offer.way, Way::PasteOnly { .. })).unwrap();
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.get(&format!("/connect/{}", offer.id)).await;
    let Way::PasteOnly { why } = offer.way else { panic!() };
    let words = why.split(|c: char| !c.is_ascii_alphanumeric() && c != ' ').next().unwrap();
    says(&page, &["With a token made there", "takes no link from here", &words[1..]]);
    for wrong in ["Not set up here", "Ask the operator", "is not set up on this server"] {
        assert!(!page.body.contains(wrong), "{}", page.body);
    }
    assert!(page.form_with("token").is_some(), "{}", page.body);
}

#[tokio::test]
async fn an_address_far_beyond_the_catalogue_shows_an_empty_page_of_it() {
    let world = World::start().await;
    world.app.user("ada").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    for number in [u64::MAX, u64::MAX / 48, 1000] {
        let page = ada.get(&format!("/connect?page={number}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    }
}

#[tokio::test]
async fn names_from_elsewhere_stand_on_the_pages_as_text() {
    let account =
        Account { id: HOSTILE.to_owned(), name: HOSTILE.to_owned(), email: "x@example.org".to_owned() };
    let options = SandboxOptions { accounts: vec![account], ..sandbox_options("sandbox") };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut settings = sandbox_settings(&sandbox);
    settings.name = Some(HOSTILE.to_owned());
    let world = World::around(sandbox, |config| {
        config.providers.insert(ProviderId::parse("sandbox").unwrap(), settings);
    })
    .await;
    let user = world.app.user("ada").await;
    user.add(HOSTILE, "github", "pasted").await;
    let mut ada = Visitor::sign_in(&world.app, "ada").await;
    let page = ada.get("/connect/sandbox").await;
    let leaving = ada.send(&page, "/connect/sandbox", &[("name", HOSTILE)]).await;
    let way = ada.way_out(&leaving);
    let consent = ada.browser.get(way).await;
    let form = consent.form_with("decision").unwrap();
    let fields = [("account", HOSTILE), ("scope", "profile"), ("decision", "allow")];
    let connected = ada.browser.submit(&form, &fields).await;
    let id = connection_on(&connected);
    says(&connected, &["onerror"]);
    let mut pages = vec![page, leaving, connected];
    for path in [
        "/connections".to_owned(),
        format!("/connections?q={}", "%3Cimg+src%3Dx+onerror"),
        format!("/connections/{id}"),
        "/connect?q=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E&category=%22%3E%3Cimg".to_owned(),
        "/connect".to_owned(),
        format!("/connections/{id}?before=1&done=%3Cimg"),
    ] {
        pages.push(ada.get(&path).await);
    }
    let page = ada.act(id, "delete", &[]).await;
    pages.push(ada.get(&format!("/connections/{id}")).await);
    pages.push(page);
    for page in pages {
        assert!(!page.body.contains("<img"), "{}: {}", page.url, page.body);
    }
}
