//! Each act yields exactly its row.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokenry_sandbox::{Fault, FaultKind, Sandbox};
use tokenry_testkit::app::{Answer, PASSWORD, TestApp, TestUser, providers, sandbox_settings, start_sandbox};
use tokenry_testkit::browser::{Browser, Page};

use crate::support::{BOTH, On, assert_whole, rows_after, short, start};

const MARKER: &str = "marker-secret-Qz7";

struct World {
    on: On,
    app: TestApp,
    sandbox: Sandbox,
    ada: TestUser,
    bob: TestUser,
    seen: i64,
    /// All rows, as text.
    text: String,
    /// How many steps were checked.
    steps: usize,
}

impl World {
    async fn new(on: On) -> Self {
        let sandbox = start_sandbox(Duration::from_hours(1)).await;
        let settings = sandbox_settings(&sandbox);
        let app = start(on, |config| config.providers = providers(vec![("sandbox", settings)])).await;
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        let mut world = Self { on, app, sandbox, ada, bob, seen: 0, text: String::new(), steps: 0 };
        // The beginning of the log and of the server stand before everything, whichever comes first.
        world
            .expect(&[
                "audit.begin ok - background - - -",
                "server.start ok - background - - -",
                "user.sign_up ok - ada ada - -",
                "user.log_in ok - ada ada - -",
                "user.sign_up ok - bob bob - -",
                "user.log_in ok - bob bob - -",
            ])
            .await;
        world
    }

    /// That these rows have come, in whatever order, and no others.
    #[track_caller]
    fn expect<'a>(&'a mut self, expected: &'a [&str]) -> impl Future<Output = ()> + 'a {
        let from = std::panic::Location::caller();
        async move {
            let rows = rows_after(&self.app, self.seen).await;
            self.seen = rows.last().map_or(self.seen, |line| line.row.seq);
            write!(self.text, "{rows:?}").unwrap();
            let mut found: Vec<String> = rows.iter().map(short).collect();
            let mut expected: Vec<String> = expected.iter().map(|row| (*row).to_owned()).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{:?} at {from}", self.on);
            self.steps += 1;
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ada.api.get(&self.ada.path(path)).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.ada.api.put(&self.ada.path(path), &body).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ada.api.post(&self.ada.path(path), &body).await
    }

    async fn log_in(&self, name: &str, password: &str) -> Answer {
        let body = json!({"username": name, "password": password});
        self.app.anonymous().post("/api/auth/login", &body).await
    }

    /// Opens a link of Ada's: in the browser that asked, or in another.
    async fn open_link(&self, same: bool) -> (String, Browser) {
        let (link, cookie) = self.ada.link("sandbox").await;
        let mut browser = Browser::new();
        if same {
            browser.set_cookie(self.app.base(), &cookie);
        }
        (link, browser)
    }

    async fn sign_in(&self, browser: &mut Browser, page: &Page, password: &str, decision: &str) -> Page {
        let form = page.form_with("handle").unwrap_or_else(|| panic!("no form: {}", page.body));
        browser.submit(&form, &[("password", password), ("decision", decision)]).await
    }
}

#[tokio::test]
async fn log_ins_and_their_ends() {
    for on in BOTH {
        let mut world = World::new(on).await;
        world.log_in("ada", MARKER).await.expect_error(401, "wrong_login");
        world.log_in("ADA", MARKER).await.expect_error(401, "wrong_login");
        world.expect(&["user.log_in refused wrong_login anonymous ada - -"]).await;
        world.log_in(MARKER, PASSWORD).await.expect_error(401, "wrong_login");
        world.log_in("no name\0at all", PASSWORD).await.expect_error(401, "wrong_login");
        let nobody = "user.log_in refused wrong_login anonymous - - -";
        world.expect(&[nobody, nobody]).await;
        world.log_in("ada", PASSWORD).await.expect(StatusCode::OK);
        world.expect(&["user.log_in ok - ada ada - -"]).await;
        let taken = json!({"username": "ada", "email": "a@example.org", "password": PASSWORD});
        world.app.anonymous().post("/api/auth/signup", &taken).await.expect_error(409, "username_taken");
        world.expect(&[]).await;

        let whoami = async |token: Option<&str>| {
            let mut api = world.app.anonymous();
            api.token = token.map(str::to_owned);
            api.get("/api/auth/user").await
        };
        whoami(None).await.expect_error(401, "unauthenticated");
        whoami(Some(MARKER)).await.expect_error(401, "unauthenticated");
        let token = world.ada.api.token.clone();
        whoami(token.as_deref()).await.expect(StatusCode::OK);
        world
            .expect(&[
                "user.access refused no_token anonymous - - -",
                "user.access refused unauthenticated anonymous - - -",
            ])
            .await;

        let fresh = world.ada.api.post("/api/auth/refresh", &json!({})).await.expect(StatusCode::OK);
        world.expect(&["user.renew_session ok - ada ada - -"]).await;
        world.ada.api.token = Some(fresh.text("refresh_token"));
        let change = async |world: &World, current: &str| {
            let body = json!({"current_password": current, "new_password": "staple and stapler"});
            world.ada.api.put("/api/auth/password", &body).await
        };
        change(&world, MARKER).await.expect_error(422, "invalid_field");
        world.expect(&["user.change_password refused wrong_password ada ada - -"]).await;
        change(&world, PASSWORD).await.expect(StatusCode::OK);
        world.expect(&["user.change_password ok - ada ada - -"]).await;
        world.ada.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
        world.expect(&["user.access refused unauthenticated ada ada - -"]).await;
        world.bob.api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);
        world.expect(&["user.log_out ok - bob bob - -"]).await;
        world.bob.api.get("/api/users/bob/get/connections").await.expect_error(401, "unauthenticated");
        world.expect(&["token.list refused unauthenticated bob bob - -"]).await;
        world.app.clock.advance(Duration::from_hours(25));
        world.bob.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
        world.expect(&["user.access refused token_expired anonymous - - -"]).await;

        assert!(!world.text.contains(MARKER), "{}", world.text);
        assert_eq!(world.steps, 13);
        assert_whole(&world.app).await;
    }
}

#[tokio::test]
async fn guessing_is_seen_and_so_is_its_end() {
    for on in BOTH {
        let mut world = World::new(on).await;
        for _ in 0..10 {
            world.log_in("ada", "wrong").await.expect_error(401, "wrong_login");
        }
        world.log_in("ada", PASSWORD).await.expect_error(429, "too_many_attempts");
        let rows = rows_after(&world.app, world.seen).await;
        assert_eq!(rows.iter().map(|line| line.row.entry.count).sum::<i64>(), 11, "{on:?}");
        let refused =
            rows.iter().filter(|line| line.row.entry.reason.as_deref() == Some("too_many_attempts"));
        assert_eq!(refused.count(), 1, "{on:?}");
        world.app = world.app.restart_with(|config| config.signup = tokenry::config::Signup::Closed).await;
        let body = json!({"username": "carol", "email": "c@example.org", "password": PASSWORD});
        world.app.anonymous().post("/api/auth/signup", &body).await.expect_error(403, "signup_closed");
        let rows: Vec<_> = rows_after(&world.app, world.seen).await.iter().map(short).collect();
        for row in [
            "server.stop ok - background - - -",
            "server.start ok - background - - -",
            "user.sign_up refused signup_closed anonymous - - -",
        ] {
            assert_eq!(rows.iter().filter(|found| *found == row).count(), 1, "{on:?} {row}: {rows:?}");
        }
        assert_whole(&world.app).await;
    }
}

#[tokio::test]
async fn pasted_tokens_from_the_first_to_the_last() {
    for on in BOTH {
        let mut world = World::new(on).await;
        let id = world.ada.add(MARKER, "spotify", MARKER).await;
        assert_eq!(id, 1);
        world.expect(&["connection.add ok - ada ada 1 spotify"]).await;
        for _ in 0..3 {
            world.ada.token_of(id).await;
        }
        world.get("connections/1/token").await.expect(StatusCode::OK);
        world.expect(&["token.read ok - ada ada 1 spotify"]).await;
        let call = json!({"method": "GET", "url": format!("https://api.spotify.com/v1/me?q={MARKER}")});
        world.post("connections/1/authorization", call).await.expect(StatusCode::OK);
        world.expect(&["call.authorize ok - ada ada 1 spotify"]).await;
        world.ada.list().await;
        world.expect(&["token.list ok - ada ada - -"]).await;
        // Looking hands out nothing.
        for path in ["check/connection/1", "connections/1", "connections", "audit", "connections/1/audit"] {
            world.get(path).await.expect(StatusCode::OK);
        }
        world.expect(&[]).await;
        let name = json!({"name": format!("{MARKER} name")});
        world.put("update/connection/name/1", name).await.expect(StatusCode::OK);
        world.expect(&["connection.rename ok - ada ada 1 spotify"]).await;
        let token = json!({"token": format!("{MARKER} token")});
        world.put("update/connection/token/1", token).await.expect(StatusCode::OK);
        world.expect(&["connection.replace ok - ada ada 1 spotify"]).await;
        let import = json!({"kind": "plain", "service": "stripe", "token": MARKER});
        world.post("connections", import).await.expect(StatusCode::CREATED);
        world.expect(&["connection.import ok - ada ada 2 stripe"]).await;
        world.post("connections/2/revoke", json!({})).await.expect(StatusCode::OK);
        world.expect(&["connection.revoke ok - ada ada 2 stripe"]).await;
        world.ada.get_token(2).await.expect_error(409, "reconnect_required");
        world.expect(&["token.read refused reconnect_required ada ada 2 stripe"]).await;
        world.ada.api.delete(&world.ada.path("connection/delete/1")).await.expect(StatusCode::OK);
        world.expect(&["connection.delete ok - ada ada 1 spotify"]).await;

        assert!(!world.text.contains(MARKER), "{}", world.text);
        assert_eq!(world.steps, 12);
        assert_whole(&world.app).await;
    }
}

#[tokio::test]
async fn refusals_name_who_asked_for_what_and_whose_it_is() {
    for on in BOTH {
        let mut world = World::new(on).await;
        assert_eq!(world.ada.add("", "spotify", "t").await, 1);
        world.expect(&["connection.add ok - ada ada 1 spotify"]).await;
        let bob = world.bob.api.clone();
        // Each route that names a user, at another's.
        let routes: [(Method, &str, Option<&str>, &str); 15] = [
            (Method::GET, "get/connection/1", None, "token.read refused forbidden bob ada 1 spotify"),
            (Method::GET, "connections/1/token", None, "token.read refused forbidden bob ada 1 spotify"),
            (Method::GET, "get/connections", None, "token.list refused forbidden bob ada - -"),
            (Method::GET, "check/connection/1", None, "connection.view refused forbidden bob ada 1 spotify"),
            (Method::GET, "connections/1/audit", None, "connection.view refused forbidden bob ada 1 spotify"),
            (Method::GET, "audit", None, "connection.view refused forbidden bob ada - -"),
            (
                Method::POST,
                "add/connection",
                Some(r#"{"token_type":"spotify","token":"t"}"#),
                "connection.add refused forbidden bob ada - -",
            ),
            (
                Method::POST,
                "connections",
                Some(r#"{"kind":"plain","service":"spotify","token":"t"}"#),
                "connection.import refused forbidden bob ada - -",
            ),
            (
                Method::POST,
                "connections/authorize",
                Some(r#"{"service":"sandbox"}"#),
                "connect.begin refused forbidden bob ada - -",
            ),
            (Method::POST, "connect/links", Some("{}"), "link.make refused forbidden bob ada - -"),
            (
                Method::POST,
                "connections/1/authorization",
                Some(r#"{"method":"GET","url":"https://a.example"}"#),
                "call.authorize refused forbidden bob ada 1 spotify",
            ),
            (
                Method::PUT,
                "update/connection/name/1",
                Some(r#"{"name":"n"}"#),
                "connection.rename refused forbidden bob ada 1 spotify",
            ),
            (
                Method::PUT,
                "update/connection/token/1",
                Some(r#"{"token":"t"}"#),
                "connection.replace refused forbidden bob ada 1 spotify",
            ),
            (
                Method::POST,
                "connections/1/revoke",
                None,
                "connection.revoke refused forbidden bob ada 1 spotify",
            ),
            (
                Method::DELETE,
                "connection/delete/1",
                None,
                "connection.delete refused forbidden bob ada 1 spotify",
            ),
        ];
        for (method, path, body, row) in routes {
            let headers: &[_] = if body.is_some() { &[("content-type", "application/json")] } else { &[] };
            let body = body.unwrap_or_default().as_bytes().to_vec();
            let path = format!("/api/users/AdA/{path}");
            bob.send(method, &path, headers, body).await.expect_error(403, "forbidden");
            world.expect(&[row]).await;
        }
        // Nobody of that name: nothing of the name is kept.
        bob.get(&format!("/api/users/{MARKER}/get/connection/1")).await.expect_error(403, "forbidden");
        world.expect(&["token.read refused forbidden bob - 1 -"]).await;
        for path in ["get/connection/7", "connections/7/token"] {
            world.get(path).await.expect_error(404, "no_such_connection");
        }
        world.get("check/connection/7").await.expect_error(404, "no_such_connection");
        world
            .expect(&[
                "token.read refused no_such_connection ada ada 7 -",
                "connection.view refused no_such_connection ada ada 7 -",
            ])
            .await;
        assert!(!world.text.contains(MARKER), "{}", world.text);
        assert_whole(&world.app).await;
    }
}

#[tokio::test]
async fn connects_and_what_becomes_of_them() {
    for on in BOTH {
        let mut world = World::new(on).await;
        let begun = "connect.begin ok - ada ada - sandbox";
        let (link, mut browser) = world.open_link(true).await;
        world.expect(&[begun]).await;
        browser.stop_before(world.app.base());
        let callback = browser.consent_sandbox(link, "grace").await.url;
        browser.stop_nowhere();
        assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
        world.expect(&["connection.connect ok - ada ada 1 sandbox"]).await;
        browser.get(&callback).await;
        browser.get(format!("{}/callback/sandbox?state={MARKER}&code={MARKER}", world.app.base())).await;
        world
            .expect(&[
                "connection.connect refused used_state anonymous - - -",
                "connection.connect refused unknown_state anonymous - - -",
            ])
            .await;
        let (link, mut browser) = world.open_link(true).await;
        browser.consent_sandbox(link, "grace").await;
        world.expect(&[begun, "connection.reconnect ok - ada ada 1 sandbox"]).await;
        let (link, mut browser) = world.open_link(true).await;
        browser.deny_sandbox(link, "grace").await;
        world.expect(&[begun, "connection.connect refused declined anonymous ada - sandbox"]).await;
        let again = world.post("connections/1/authorize", json!({})).await.expect(StatusCode::OK);
        world.expect(&["connect.begin ok - ada ada 1 sandbox"]).await;
        let cookie = again.header("set-cookie").split(';').next().unwrap().to_owned();
        let mut browser = Browser::new();
        browser.set_cookie(world.app.base(), &cookie);
        browser.consent_sandbox(again.text("url"), "linus").await;
        world
            .expect(&[
                "connection.connect refused wrong_account ada ada - sandbox",
                "grant.revoke ok - background ada 1 sandbox",
            ])
            .await;

        // In another browser than the one that asked.
        let (link, mut browser) = world.open_link(false).await;
        let page = browser.consent_sandbox(link, "linus").await;
        world.expect(&[begun, "connect.park ok - anonymous ada - sandbox"]).await;
        let page = world.sign_in(&mut browser, &page, MARKER, "finish").await;
        world.expect(&["user.log_in refused wrong_login anonymous ada - -"]).await;
        world.sign_in(&mut browser, &page, PASSWORD, "finish").await;
        world.expect(&["user.log_in ok - ada ada - -", "connection.connect ok - ada ada 2 sandbox"]).await;
        let (link, mut browser) = world.open_link(false).await;
        let page = browser.consent_sandbox(link, "ada").await;
        world.sign_in(&mut browser, &page, "", "abandon").await;
        world
            .expect(&[
                begun,
                "connect.park ok - anonymous ada - sandbox",
                "connect.abandon ok - anonymous ada - sandbox",
                "grant.revoke ok - background ada - sandbox",
            ])
            .await;

        // On another device.
        let device = world.post("connections/device", json!({"service": "sandbox"})).await;
        let device = device.expect(StatusCode::CREATED);
        world.sandbox.decide_device(&device.text("user_code"), Some("ada")).unwrap();
        world.app.clock.advance(Duration::from_secs(5));
        let progress = world.ada.api.get(device.header("location")).await.expect(StatusCode::OK);
        assert_eq!(progress.json()["connection"], 3, "{progress:?}");
        world.expect(&[begun, "connection.connect ok - ada ada 3 sandbox"]).await;
        assert!(!world.text.contains(MARKER), "{}", world.text);
        assert_whole(&world.app).await;
    }
}

#[tokio::test]
async fn connect_links_and_what_becomes_of_them() {
    for on in BOTH {
        let mut world = World::new(on).await;
        let body = json!({"services": ["sandbox"]});
        let made = world.post("connect/links", body.clone()).await.expect(StatusCode::CREATED);
        world.expect(&["link.make ok - ada ada - -"]).await;
        world.post("connect/links", json!({"services": [MARKER]})).await.expect_error(422, "unknown_service");
        world.expect(&[]).await;
        let (mut first, mut other) = (Browser::new(), Browser::new());
        let page = first.get(made.text("url")).await;
        world.expect(&["link.open ok - anonymous ada - -"]).await;
        first.get(made.text("url")).await;
        other.get(made.text("url")).await;
        other.get(format!("{}/link/{}", world.app.base(), "A".repeat(43))).await;
        world.expect(&["link.open refused unknown_link anonymous - - -"]).await;

        let form = page.form_with("service").unwrap();
        first.submit(&form, &[("service", "spotify")]).await;
        world.expect(&["connect.begin refused another_service anonymous ada - -"]).await;
        let leaving = first.submit(&form, &[]).await;
        world.expect(&["connect.begin ok - anonymous ada - sandbox"]).await;
        let to_sandbox = |link: &url::Url| link.as_str().starts_with(world.sandbox.base_url());
        let consent = leaving.links().into_iter().find(to_sandbox).unwrap();
        first.consent_sandbox(consent, "grace").await;
        world.expect(&["connection.connect ok - ada ada 1 sandbox", "link.use ok - ada ada 1 sandbox"]).await;
        first.get(made.text("url")).await;
        world.expect(&["link.open refused used_link anonymous ada - -"]).await;

        // Its owner takes one over.
        let made = world.post("connect/links", body).await.expect(StatusCode::CREATED);
        first.get(made.text("url")).await;
        let page = other.get(made.text("url")).await;
        let sign_in =
            page.links().into_iter().find(|link| link.path() == "/sign-in" && link.query().is_some());
        let page = other.get(sign_in.unwrap()).await;
        let form = page.form_with("password").unwrap();
        let page = other.submit(&form, &[("username", "ada"), ("password", PASSWORD)]).await;
        let take = page.forms().into_iter().find(|form| form.action.path().ends_with("/take")).unwrap();
        other.submit(&take, &[]).await;
        world
            .expect(&[
                "link.make ok - ada ada - -",
                "link.open ok - anonymous ada - -",
                "user.log_in ok - ada ada - -",
                "link.take ok - ada ada - -",
            ])
            .await;
        assert!(!world.text.contains(MARKER), "{}", world.text);
        assert_whole(&world.app).await;
    }
}

#[tokio::test]
async fn refreshes_and_their_failures() {
    for on in BOTH {
        let mut world = World::new(on).await;
        let (link, mut browser) = world.open_link(true).await;
        browser.consent_sandbox(link, "grace").await;
        world
            .expect(&["connect.begin ok - ada ada - sandbox", "connection.connect ok - ada ada 1 sandbox"])
            .await;
        let read = "token.read ok - ada ada 1 sandbox";
        world.app.clock.advance(Duration::from_hours(2));
        world.ada.token_of(1).await;
        world.expect(&["connection.refresh ok - background ada 1 sandbox", read]).await;
        world.app.clock.advance(Duration::from_hours(2));
        world.sandbox.inject(Fault::on_refresh(FaultKind::Status { code: 503, retry_after_s: None }));
        world.ada.get_token(1).await.expect_error(503, "provider_unavailable");
        world
            .expect(&[
                "connection.refresh failed away background ada 1 sandbox",
                "token.read failed provider_unavailable ada ada 1 sandbox",
            ])
            .await;
        world.sandbox.forget_grants_of("grace");
        world.ada.get_token(1).await.expect_error(409, "reconnect_required");
        world
            .expect(&[
                "connection.refresh refused reconnect_required background ada 1 sandbox",
                "token.read refused reconnect_required ada ada 1 sandbox",
            ])
            .await;
        let token = json!({"token": MARKER});
        world.put("update/connection/token/1", token).await.expect(StatusCode::OK);
        world
            .expect(&[
                "connection.replace ok - ada ada 1 sandbox",
                "grant.revoke ok - background ada 1 sandbox",
            ])
            .await;
        assert!(!world.text.contains(MARKER), "{}", world.text);
        assert_whole(&world.app).await;
    }
}

#[tokio::test]
async fn what_the_operator_does() {
    for on in BOTH {
        let mut world = World::new(on).await;
        let broker = world.app.server().broker().clone();
        let id = broker.add_user("carol", "carol@example.org", &PASSWORD.into()).await.unwrap();
        assert_eq!(id.get(), 3);
        world.expect(&["operator.user_create ok - operator carol - -"]).await;
        assert!(broker.set_password("carol", &"another password".into()).await.unwrap());
        assert!(!broker.set_password("nobody", &"another password".into()).await.unwrap());
        world.expect(&["operator.password_set ok - operator carol - -"]).await;
        world.app.server().reload(&world.app.config).unwrap();
        world.expect(&["operator.providers_reload ok - operator - - -"]).await;
        broker.note_operator(tokenry_model::Action::KeyRotate).await;
        world.expect(&["operator.key_rotate ok - operator - - -"]).await;
        assert_whole(&world.app).await;
    }
}
