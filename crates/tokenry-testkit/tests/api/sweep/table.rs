//! The routes of the API, and a server to try them on.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokenry_broker::{Embedding, ReturnPlace, WebOrigin};
use tokenry_oauth::ProviderSettings;
use tokenry_sandbox::Sandbox;
use tokenry_testkit::app::{
    Answer, ApiClient, TestApp, TestUser, providers, sandbox_settings, start_sandbox,
};

/// A route of the API.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// A body that it takes.
    pub(crate) body: Option<&'static str>,
    pub(crate) needs_token: bool,
}

const fn open(method: &'static str, path: &'static str, body: &'static str) -> Route {
    Route { method, path, body: Some(body), needs_token: false }
}

const fn bare(method: &'static str, path: &'static str) -> Route {
    Route { method, path, body: None, needs_token: true }
}

const fn with_body(method: &'static str, path: &'static str, body: &'static str) -> Route {
    Route { method, path, body: Some(body), needs_token: true }
}

impl Route {
    /// The one status that it answers when all is well.
    pub(crate) fn success(&self) -> StatusCode {
        let makes = [
            "/api/users/{username}/connections",
            "/api/users/{username}/connections/device",
            "/api/users/{username}/connect/links",
        ];
        if self.method == "POST" && makes.contains(&self.path) { StatusCode::CREATED } else { StatusCode::OK }
    }
}

/// All of them; a test below sees to it that none is forgotten. Those that end something come last.
pub(crate) const ROUTES: [Route; 28] = [
    open(
        "POST",
        "/api/auth/signup",
        r#"{"username": "carol", "email": "carol@example.org", "password": "correct horse battery"}"#,
    ),
    open("POST", "/api/auth/login", r#"{"username": "ada", "password": "correct horse battery"}"#),
    bare("POST", "/api/auth/refresh"),
    bare("GET", "/api/auth/user"),
    bare("GET", "/api/user/connection/access/token/{service}"),
    with_body(
        "POST",
        "/api/users/{username}/add/connection",
        r#"{"name": "n", "token_type": "spotify", "token": "t"}"#,
    ),
    bare("GET", "/api/users/{username}/get/connection/{id}"),
    bare("GET", "/api/users/{username}/get/connections"),
    bare("GET", "/api/users/{username}/check/connection/{id}"),
    with_body("PUT", "/api/users/{username}/update/connection/name/{id}", r#"{"name": "n"}"#),
    with_body("PUT", "/api/users/{username}/update/connection/token/{id}", r#"{"token": "t"}"#),
    bare("GET", "/api/users/{username}/connections"),
    with_body(
        "POST",
        "/api/users/{username}/connections",
        r#"{"kind": "plain", "service": "spotify", "name": "n", "token": "t"}"#,
    ),
    with_body(
        "POST",
        "/api/users/{username}/connections/authorize",
        r#"{"service": "spotify", "name": "n", "scopes": ["user-read-email"], "settings": {}}"#,
    ),
    with_body(
        "POST",
        "/api/users/{username}/connections/device",
        r#"{"service": "sandbox", "name": "n", "scopes": ["profile"], "settings": {}}"#,
    ),
    bare("GET", "/api/users/{username}/connections/device/{flow}"),
    with_body(
        "POST",
        "/api/users/{username}/connect/links",
        r#"{"services": ["spotify"], "return_to": "https://app.example.org/done", "origin": "https://app.example.org"}"#,
    ),
    Route { method: "GET", path: "/api/connect/links/{link}", body: None, needs_token: false },
    bare("GET", "/api/users/{username}/connections/{id}"),
    bare("GET", "/api/users/{username}/connections/{id}/token"),
    bare("GET", "/api/users/{username}/connections/{id}/audit"),
    bare("GET", "/api/users/{username}/audit"),
    with_body(
        "POST",
        "/api/users/{username}/connections/{id}/authorization",
        r#"{"method": "GET", "url": "https://api.spotify.com/v1/me"}"#,
    ),
    with_body(
        "POST",
        "/api/users/{username}/connections/{id}/authorize",
        r#"{"scopes": ["user-read-email"], "settings": {}}"#,
    ),
    bare("POST", "/api/users/{username}/connections/{id}/revoke"),
    bare("DELETE", "/api/users/{username}/connection/delete/{id}"),
    with_body(
        "PUT",
        "/api/auth/password",
        r#"{"current_password": "correct horse battery", "new_password": "staple and stapler"}"#,
    ),
    bare("POST", "/api/auth/logout"),
];

impl Route {
    /// Its path, filled in.
    pub(crate) fn path(&self, username: &str, id: &str) -> String {
        let path = self.path.replace("{username}", username).replace("{id}", id);
        path.replace("{service}", "spotify").replace("{flow}", NO_FLOW).replace("{link}", NO_LINK)
    }

    /// Whether its path names a user.
    pub(crate) fn names_user(&self) -> bool {
        self.path.contains("{username}")
    }

    /// Whether its path names a connection.
    pub(crate) fn names_connection(&self) -> bool {
        self.path.contains("{id}")
    }

    /// Calls it with the body that it takes.
    pub(crate) async fn call(&self, api: &ApiClient, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = headers.to_vec();
        if self.body.is_some() {
            all.push(("content-type", "application/json"));
        }
        let body = self.body.unwrap_or_default().as_bytes().to_vec();
        api.send(self.method(), path, &all, body).await
    }

    /// Calls it with another body.
    pub(crate) async fn call_with(&self, api: &ApiClient, content_type: Option<&str>, body: &[u8]) -> Answer {
        let headers: Vec<_> = content_type.iter().map(|kind| ("content-type", *kind)).collect();
        api.send(self.method(), &self.path("ada", "1"), &headers, body.to_vec()).await
    }

    pub(crate) fn method(&self) -> Method {
        self.method.parse().unwrap()
    }
}

/// A device flow that nobody began.
const NO_FLOW: &str = "no-such-flow";
/// A connect link that nobody made.
const NO_LINK: &str = "no-such-link";

/// The routes that take a body.
pub(crate) fn with_a_body() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.body.is_some())
}

/// A server with two users. Connection 1 is Ada's, 2 was Ada's, 3 is Bob's; 4 is nobody's.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) ada: TestUser,
    pub(crate) bob: TestUser,
    /// A device flow of Ada's.
    flow: String,
    /// A connect link of hers.
    link: String,
    _sandbox: Sandbox,
}

impl World {
    pub(crate) async fn new() -> Self {
        let sandbox = start_sandbox(Duration::from_hours(1)).await;
        let as_provider = sandbox_settings(&sandbox);
        let app = TestApp::start_with(|config| {
            let settings = ProviderSettings {
                client_id: Some("id".to_owned()),
                client_secret: Some("secret".into()),
                ..ProviderSettings::default()
            };
            config.providers = providers(vec![("spotify", settings), ("sandbox", as_provider)]);
            config.embedding = Embedding {
                return_to: ReturnPlace::parse("https://app.example.org/done").into_iter().collect(),
                origins: WebOrigin::parse("https://app.example.org").into_iter().collect(),
            };
        })
        .await;
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        assert_eq!(ada.add("hers", "spotify", "ada's token").await, 1);
        assert_eq!(ada.add("deleted", "spotify", "deleted token").await, 2);
        ada.api.delete("/api/users/ada/connection/delete/2").await.expect(StatusCode::OK);
        assert_eq!(bob.add("his", "spotify", "bob's token").await, 3);
        let body = serde_json::json!({"service": "sandbox"});
        let begun =
            ada.api.post("/api/users/ada/connections/device", &body).await.expect(StatusCode::CREATED);
        let made = ada.api.post("/api/users/ada/connect/links", &serde_json::json!({})).await;
        let link = made.expect(StatusCode::CREATED).text("id");
        Self { app, ada, bob, flow: begun.text("id"), link, _sandbox: sandbox }
    }

    /// The path of a route, filled in with what is there.
    pub(crate) fn path(&self, route: &Route, username: &str) -> String {
        route.path(username, "1").replace(NO_FLOW, &self.flow).replace(NO_LINK, &self.link)
    }

    /// That the users have what they had at the start.
    pub(crate) async fn assert_unchanged(&self) {
        for (user, id, name, token) in
            [(&self.ada, 1, "hers", "ada's token"), (&self.bob, 3, "his", "bob's token")]
        {
            let list = user.list().await;
            assert_eq!(list.len(), 1, "{list:?}");
            assert_eq!((&list[0]["ID"], &list[0]["Name"]), (&id.into(), &name.into()));
            assert_eq!(list[0]["Token"], token);
            user.api.log_in(&user.name, tokenry_testkit::app::PASSWORD).await;
        }
    }
}

/// The document that the server shows.
pub(crate) async fn document(app: &TestApp) -> Value {
    app.anonymous().get("/openapi.json").await.expect(StatusCode::OK).json()
}

#[tokio::test]
async fn the_table_has_every_route_of_the_document_and_no_other() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let mut shown = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let needs_token = operation["security"].as_array().is_some_and(|needs| !needs.is_empty());
            shown.insert((
                path.clone(),
                method.to_uppercase(),
                operation["requestBody"].is_object(),
                needs_token,
            ));
        }
    }
    let tried = ROUTES
        .iter()
        .map(|r| (r.path.to_owned(), r.method.to_owned(), r.body.is_some(), r.needs_token))
        .collect::<BTreeSet<_>>();
    assert_eq!(shown, tried);
}

#[tokio::test]
async fn every_route_does_what_it_is_for() {
    // Or the refusals that the other tests see might have other reasons.
    let world = World::new().await;
    for route in &ROUTES {
        let mut api = world.ada.api.clone();
        if route.path == "/api/auth/logout" {
            api.token = Some(api.log_in("ada", "staple and stapler").await);
        }
        let answer = route.call(&api, &world.path(route, "ada"), &[]).await;
        assert_eq!(answer.status, route.success(), "{} {answer:?}", route.path);
    }
}
