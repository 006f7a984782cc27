//! `/setup`, `/operator`: the first operator, and what operators see and change.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokenry::config::{Config, Signup};
use tokenry_model::{ExposeSecret as _, ProviderId, SecretString};
use tokenry_oauth::{Issuer, ProviderSettings};
use tokenry_sandbox::Sandbox;
use tokenry_testkit::app::{CLIENT_ID, CLIENT_SECRET, PASSWORD, TestApp, start_sandbox};
use tokenry_testkit::browser::{Browser, Form, Page};
use tokenry_web::Who;

/// The address of a link that makes the first operator.
async fn setup_link(app: &TestApp) -> String {
    let link = app.server().broker().make_setup_link().await.unwrap().expect("there is an operator");
    link.url.expose_secret().to_owned()
}

/// The form on a page that is sent to this path.
#[track_caller]
fn form_to(page: &Page, path: &str) -> Form {
    let found = page.forms().into_iter().find(|form| form.action.path() == path && form.posts);
    found.unwrap_or_else(|| panic!("no form to {path} at {}: {}", page.url, page.body))
}

/// Somebody signs up with the link and operates.
async fn claim(browser: &mut Browser, link: &str, name: &str) -> Page {
    let page = browser.get(link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let form = page.form_with("email").expect("no form to sign up with");
    let email = format!("{name}@example.org");
    browser.submit(&form, &[("username", name), ("email", &email), ("password", PASSWORD)]).await
}

async fn operator(app: &TestApp) -> Browser {
    let mut browser = Browser::new();
    let page = claim(&mut browser, &setup_link(app).await, "olga").await;
    assert_eq!(page.url.path(), "/operator/services", "{}", page.body);
    browser
}

/// A browser of somebody who signed up by the API.
async fn signed_in(app: &TestApp, name: &str) -> Browser {
    let mut browser = Browser::new();
    let page = browser.get(format!("{}/sign-in?next=/account", app.base())).await;
    let form = page.form_with("password").unwrap();
    let page = browser.submit(&form, &[("username", name), ("password", PASSWORD)]).await;
    assert_eq!(page.url.path(), "/account");
    browser
}

async fn open(browser: &mut Browser, app: &TestApp, path: &str) -> Page {
    browser.get(format!("{}{path}", app.base())).await
}

#[tokio::test]
async fn the_first_operator_comes_by_a_link_that_works_once_also_where_nobody_can_sign_up() {
    let app = TestApp::start_with(|config| config.signup = Signup::Closed).await;
    let (link, other) = (setup_link(&app).await, setup_link(&app).await);
    // Whoever only looks, like a program that fetches links ahead of people, changes nothing.
    for _ in 0..3 {
        let mut prefetcher = Browser::new();
        assert_eq!(prefetcher.get(&link).await.status, StatusCode::OK);
    }
    let path = link.strip_prefix(&app.base()).unwrap().to_owned();
    app.anonymous().send(Method::HEAD, &path, &[], Vec::new()).await.expect(StatusCode::OK);
    let mut browser = Browser::new();
    let page = claim(&mut browser, &link, "olga").await;
    assert_eq!(page.url.path(), "/operator/services");
    assert!(page.body.contains("You operate this server now."), "{}", page.body);

    let mut late = Browser::new();
    for link in [&link, &other] {
        let page = late.get(link).await;
        assert_eq!(page.status, StatusCode::GONE, "{}", page.body);
        assert!(page.body.contains("This link is of no use any more"), "{}", page.body);
    }
    assert!(app.server().broker().make_setup_link().await.unwrap().is_none());
    let unknown = late.get(format!("{}/setup/{}", app.base(), "x".repeat(43))).await;
    assert_eq!(unknown.status, StatusCode::GONE);
}

#[tokio::test]
async fn somebody_who_is_signed_in_takes_the_role_and_what_is_refused_costs_no_link() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let link = setup_link(&app).await;
    let mut stranger = Browser::new();
    let page = claim(&mut stranger, &link, "ada").await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.body.contains("The username is taken"), "{}", page.body);
    let form = page.form_with("email").unwrap();
    let page = stranger
        .submit(&form, &[("username", "eve"), ("email", "e@example.org"), ("password", "short")])
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.body);

    let mut ada = signed_in(&app, "ada").await;
    let page = ada.get(&link).await;
    assert!(
        page.body.contains("<bdi translate=\"no\">ada</bdi>") && page.form_with("email").is_none(),
        "{}",
        page.body
    );
    let page = ada.submit(&form_to(&page, page.url.path()), &[]).await;
    assert_eq!(page.url.path(), "/operator/services", "{}", page.body);
    // The stranger's form is of no use any more, and nobody was added by it.
    let page = stranger
        .submit(&form, &[("username", "eve"), ("email", "e@example.org"), ("password", PASSWORD)])
        .await;
    assert_eq!(page.status, StatusCode::GONE);
    let users = app.server().broker().list_users().await.unwrap();
    assert_eq!(users.len(), 1, "{users:?}");
}

#[tokio::test]
async fn a_link_ends_after_a_day_and_of_two_who_race_one_operates() {
    let app = TestApp::start().await;
    let old = setup_link(&app).await;
    app.clock.advance(Duration::from_hours(24));
    assert_eq!(Browser::new().get(&old).await.status, StatusCode::GONE);
    let (link, other) = (setup_link(&app).await, setup_link(&app).await);
    let (mut one, mut two, mut three) = (Browser::new(), Browser::new(), Browser::new());
    let (a, b, c) = tokio::join!(
        claim(&mut one, &link, "one"),
        claim(&mut two, &link, "two"),
        claim(&mut three, &other, "three")
    );
    let won = [&a, &b, &c].iter().filter(|page| page.url.path() == "/operator/services").count();
    let lost = [&a, &b, &c].iter().filter(|page| page.status == StatusCode::GONE).count();
    assert_eq!((won, lost), (1, 2));
    let users = app.server().broker().list_users().await.unwrap();
    assert_eq!(users.iter().filter(|user| user.is_operator).count(), 1);
    assert_eq!(users.len(), 1, "whoever lost was not signed up");
}

/// Every page and form that is for operators, with the addresses filled in.
fn operators_routes() -> Vec<(&'static str, String)> {
    let routes = tokenry_web::page_routes().into_iter().filter(|(_, _, who)| *who == Who::Operator);
    let filled = |path: &str| {
        if path.starts_with("/operator/services/") {
            path.replace("{id}", "github")
        } else {
            path.replace("{id}", "1")
        }
    };
    let routes: Vec<_> = routes.map(|(method, path, _)| (method, filled(path))).collect();
    assert!(routes.len() >= 13, "only {} routes are an operator's", routes.len());
    routes
}

#[tokio::test]
async fn a_person_finds_nothing_at_an_operators_address_and_a_demoted_operator_no_more() {
    let app = TestApp::start().await;
    let mut olga = operator(&app).await;
    app.user("ada").await;
    let mut ada = signed_in(&app, "ada").await;
    let nowhere = open(&mut ada, &app, "/operator/nowhere").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    for (_, path) in operators_routes().into_iter().filter(|(method, _)| *method == "GET") {
        assert_eq!(open(&mut olga, &app, &path).await.status, StatusCode::OK, "{path}");
        let page = open(&mut ada, &app, &path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(page.body, nowhere.body, "{path} is told apart from what is not there");
        let page = open(&mut Browser::new(), &app, &path).await;
        assert_eq!(page.url.path(), "/sign-in", "{path}");
    }
    // Between two requests.
    let broker = app.server().broker();
    assert!(broker.set_role("ada", true).await.unwrap());
    assert_eq!(open(&mut ada, &app, "/operator").await.status, StatusCode::OK);
    assert!(broker.set_role("olga", false).await.unwrap());
    for (_, path) in operators_routes().into_iter().filter(|(method, _)| *method == "GET") {
        assert_eq!(open(&mut olga, &app, &path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!broker.set_role("nobody", true).await.unwrap());
}

#[tokio::test]
async fn a_form_without_its_token_or_of_a_person_changes_nothing() {
    let app = TestApp::start().await;
    let mut olga = operator(&app).await;
    app.user("ada").await;
    let mut ada = signed_in(&app, "ada").await;
    let of_ada = form_to(&open(&mut ada, &app, "/account").await, "/sign-out");
    let token = of_ada.values("form_token")[0].to_owned();
    let cookie = |browser: &Browser| {
        let all: Vec<_> = browser.cookies().iter().map(|c| format!("{}={}", c.name, c.value)).collect();
        all.join("; ")
    };
    let (of_olga, of_ada) = (cookie(&olga), cookie(&ada));
    let (users, events) = {
        let broker = app.server().broker();
        (broker.list_users().await.unwrap(), open(&mut olga, &app, "/operator/keys").await.body)
    };
    let body = "client_id=x&client_secret=y&role=operator&confirm=yes";
    for (_, path) in operators_routes().into_iter().filter(|(method, _)| *method == "POST") {
        let send = async |cookie: &str, body: String| {
            let headers = [("cookie", cookie), ("content-type", "application/x-www-form-urlencoded")];
            app.anonymous().send(Method::POST, &path, &headers, body.into_bytes()).await
        };
        assert_eq!(send(&of_olga, body.to_owned()).await.status, StatusCode::FORBIDDEN, "{path}");
        let foreign = send(&of_olga, format!("form_token={token}&{body}")).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{path}");
        let own = send(&of_ada, format!("form_token={token}&{body}")).await;
        assert_eq!(own.status, StatusCode::NOT_FOUND, "{path}");
        let nobody = send("", format!("form_token={token}&{body}")).await;
        assert_eq!(nobody.status, StatusCode::SEE_OTHER, "{path}");
        assert!(nobody.header("location").starts_with("/sign-in?next="), "{path}: {nobody:?}");
    }
    let broker = app.server().broker();
    assert_eq!(format!("{users:?}"), format!("{:?}", broker.list_users().await.unwrap()));
    assert!(broker.catalogue().find("github").unwrap().client_id().is_none());
    let keys = |body: &str| body.matches("Data key").count();
    assert_eq!(keys(&open(&mut olga, &app, "/operator/keys").await.body), keys(&events));
}

/// A sandbox that is described by the configuration and set up by nobody.
fn described(config: &mut Config, sandbox: &Sandbox) {
    let settings = ProviderSettings {
        name: Some("Sandbox".to_owned()),
        issuer: Some(Issuer::parse(sandbox.base_url()).unwrap()),
        ..ProviderSettings::default()
    };
    config.providers.insert(ProviderId::parse("sandbox").unwrap(), settings);
}

/// Another server on the same database.
async fn replica(app: &TestApp) -> TestApp {
    let first = app.config.clone();
    TestApp::start_with(move |config| {
        config.database_url = first.database_url;
        config.master_key = first.master_key;
        config.providers = first.providers;
    })
    .await
}

async fn save(browser: &mut Browser, app: &TestApp, id: &str, secret: &str) -> Page {
    let page = open(browser, app, "/operator/services/sandbox").await;
    let form = form_to(&page, "/operator/services/sandbox");
    browser.submit(&form, &[("client_id", id), ("client_secret", secret)]).await
}

#[tokio::test]
async fn a_service_that_is_set_up_at_one_server_is_connected_at_another_at_once() {
    let sandbox = start_sandbox(Duration::from_hours(1)).await;
    let app = TestApp::start_with(|config| described(config, &sandbox)).await;
    let other = replica(&app).await;
    let mut olga = operator(&app).await;
    let ada = other.user("ada").await;
    let path = "/api/user/connection/access/token/sandbox";
    ada.api.get(path).await.expect_error(409, "provider_not_configured");
    let page = open(&mut olga, &app, "/operator/services/sandbox").await;
    assert!(page.body.contains(&format!("value=\"{}/callback/sandbox\"", app.base())), "{}", page.body);
    assert!(page.body.contains("Not set up"), "{}", page.body);

    let page = save(&mut olga, &app, CLIENT_ID, CLIENT_SECRET).await;
    assert!(page.body.contains("Saved.") && page.body.contains("A secret is set, since"), "{}", page.body);
    let hidden = ["s3cret", "and more"];
    assert!(hidden.iter().all(|part| !page.body.contains(part)), "{}", page.body);
    // The very next request at the other.
    let (url, cookie) = ada.link("sandbox").await;
    let mut browser = Browser::new();
    browser.set_cookie(other.base(), &cookie);
    let page = browser.consent_sandbox(&url, "ada").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let id = ada.list().await[0]["ID"].as_i64().unwrap();
    ada.token_of(id).await;

    // A refresh at either uses what was saved last: with a wrong secret the service refuses this server, and no one else is
    // to blame.
    save(&mut olga, &app, CLIENT_ID, "not it").await;
    other.clock.advance(Duration::from_secs(3700));
    let refused = ada.get_token(id).await;
    assert!(refused.status.is_server_error(), "{refused:?}");
    let page = open(&mut olga, &app, "/operator").await;
    assert!(page.body.contains("refuses this server"), "{}", page.body);
    save(&mut olga, &app, CLIENT_ID, CLIENT_SECRET).await;
    let page = open(&mut olga, &app, "/operator/services/sandbox").await;
    assert!(!page.body.contains("refuses this server"), "{}", page.body);
    other.clock.advance(Duration::from_mins(1));
    ada.token_of(id).await;

    // And what is taken away is gone everywhere.
    let form = form_to(&page, "/operator/services/sandbox/remove");
    let page = olga.submit(&form, &[]).await;
    assert!(page.body.contains("Removed."), "{}", page.body);
    ada.api.get(path).await.expect_error(409, "provider_not_configured");
    let said = open(&mut olga, &app, "/operator/events").await.body;
    assert_eq!(said.matches("<code>operator.service_set</code>").count(), 3, "{said}");
    assert_eq!(said.matches("<code>operator.service_remove</code>").count(), 1, "{said}");
    assert!(hidden.iter().all(|part| !said.contains(part)), "{said}");
}

#[tokio::test]
async fn what_is_no_client_is_refused_and_a_secret_never_comes_back() {
    let sandbox = start_sandbox(Duration::from_hours(1)).await;
    let app = TestApp::start_with(|config| described(config, &sandbox)).await;
    let mut olga = operator(&app).await;
    let page = save(&mut olga, &app, "  ", "a secret that is not kept").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!page.body.contains("a secret that is not kept"), "{}", page.body);
    save(&mut olga, &app, "first", "secret of the first").await;
    // Another id with the secret of the one before is a slip.
    let page = save(&mut olga, &app, "second", "").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.body);
    assert!(page.body.contains("value=\"second\"") && !page.body.contains("secret of the"), "{}", page.body);
    // The same id with nothing in the field keeps the secret.
    let page = save(&mut olga, &app, "first", "").await;
    assert!(page.body.contains("A secret is set, since"), "{}", page.body);
    let form = form_to(&page, "/operator/services/sandbox");
    let page = olga.submit(&form, &[("client_id", "public"), ("without_secret", "yes")]).await;
    assert!(!page.body.contains("A secret is set, since"), "{}", page.body);
    assert!(app.server().broker().catalogue().find("sandbox").unwrap().is_public_client());
    for path in ["/operator/services/nothing-like-it", "/operator/services/git"] {
        assert_eq!(open(&mut olga, &app, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_the_configuration_says_wins_and_can_only_be_looked_at() {
    let app = TestApp::start().await;
    let mut olga = operator(&app).await;
    let page = open(&mut olga, &app, "/operator/services/github").await;
    let form = form_to(&page, "/operator/services/github");
    olga.submit(&form, &[("client_id", "of the page"), ("client_secret", "of the page")]).await;
    let of = |app: &TestApp| {
        let catalogue = app.server().broker().catalogue();
        catalogue.find("github").unwrap().client_id().map(str::to_owned)
    };
    assert_eq!(of(&app).as_deref(), Some("of the page"));
    let app = app
        .restart_with(|config| {
            let settings = ProviderSettings {
                client_id: Some("configured".to_owned()),
                client_secret: Some(SecretString::from("configured secret")),
                ..ProviderSettings::default()
            };
            config.providers.insert(ProviderId::parse("github").unwrap(), settings);
        })
        .await;
    assert_eq!(of(&app).as_deref(), Some("configured"));
    let page = open(&mut olga, &app, "/operator/services/github").await;
    assert!(page.body.contains("The configuration sets the client of this service"), "{}", page.body);
    assert!(page.form_with("client_id").is_none() && !page.body.contains("configured secret"));
    // The form of a page that was open since before.
    let page = olga.submit(&form, &[("client_id", "late"), ("client_secret", "late")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.body);
    assert_eq!(of(&app).as_deref(), Some("configured"));
    // Read again, it stays.
    app.server().reload(&app.config).unwrap();
    assert_eq!(of(&app).as_deref(), Some("configured"));
    let settings = open(&mut olga, &app, "/operator/settings").await.body;
    assert!(settings.contains("providers.github.client_secret") && !settings.contains("configured secret"));
    let app = app.restart_with(|config| config.providers.clear()).await;
    assert_eq!(of(&app).as_deref(), Some("of the page"), "what was kept is there again");
    app.server().reload(&app.config).unwrap();
    assert_eq!(of(&app).as_deref(), Some("of the page"), "services that are read again keep it");
}

#[tokio::test]
async fn a_new_data_key_seals_the_secrets_of_services_again() {
    let app = TestApp::start().await;
    let mut olga = operator(&app).await;
    let page = open(&mut olga, &app, "/operator/services/github").await;
    let form = form_to(&page, "/operator/services/github");
    olga.submit(&form, &[("client_id", "an id"), ("client_secret", "to be sealed again")]).await;
    let page = open(&mut olga, &app, "/operator/keys").await;
    assert!(page.body.contains("one secret of a service"), "{}", page.body);
    let page = olga.submit(&form_to(&page, "/operator/keys/rotate"), &[]).await;
    assert!(
        page.body.contains("Data key 2") && page.body.contains("There is a new data key."),
        "{}",
        page.body
    );
    app.server().broker().do_keys().await.unwrap();
    let page = open(&mut olga, &app, "/operator/keys").await;
    assert!(page.body.contains("100.0 % is sealed with the current key"), "{}", page.body);
    // This server has sealed with the old one a moment ago, and says so in words.
    let page = olga.submit(&form_to(&page, "/operator/keys/1/retire"), &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.body.contains("data key 1 is still held by 1 process"), "{}", page.body);
    // A server that starts anew opens the secret with the new key.
    let app = app.restart_with(|_| {}).await;
    let catalogue = app.server().broker().catalogue();
    assert_eq!(catalogue.find("github").unwrap().client_id(), Some("an id"));
    assert!(!catalogue.find("github").unwrap().is_public_client(), "its secret did not open");
}

#[tokio::test]
async fn operators_make_others_operators_and_the_last_one_stays() {
    let app = TestApp::start().await;
    let mut olga = operator(&app).await;
    app.user("ada").await;
    let page = open(&mut olga, &app, "/operator/users").await;
    let own = form_to(&page, "/operator/users/1/role");
    assert_eq!(own.values("role"), ["person"]);
    let refused = olga.submit(&own, &[]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("cannot be taken from the last operator"), "{}", refused.body);

    let mut ada = signed_in(&app, "ada").await;
    assert_eq!(open(&mut ada, &app, "/operator").await.status, StatusCode::NOT_FOUND);
    olga.submit(&form_to(&page, "/operator/users/2/role"), &[]).await;
    assert_eq!(open(&mut ada, &app, "/operator").await.status, StatusCode::OK);
    olga.submit(&own, &[]).await;
    assert_eq!(open(&mut olga, &app, "/operator").await.status, StatusCode::NOT_FOUND);

    let page = open(&mut ada, &app, "/operator/users?q=OL").await;
    assert!(
        page.body.contains("olga@example.org") && !page.body.contains("ada@example.org"),
        "{}",
        page.body
    );
    ada.submit(&form_to(&page, "/operator/users/1/sessions"), &[]).await;
    assert_eq!(open(&mut olga, &app, "/account").await.url.path(), "/sign-in");
    let events = open(&mut ada, &app, "/operator/events?action=operator.role_revoke").await.body;
    assert_eq!(events.matches("<code>operator.role_revoke</code>").count(), 1, "{events}");
    let events = open(&mut ada, &app, "/operator/events?user=olga").await.body;
    for word in ["operator.setup_claim", "operator.role_grant", "operator.sessions_end"] {
        assert!(events.contains(&format!("<code>{word}</code>")), "{word}: {events}");
    }
    let nobody = open(&mut ada, &app, "/operator/events?user=nobody").await;
    assert_eq!(nobody.status, StatusCode::UNPROCESSABLE_ENTITY);
}
