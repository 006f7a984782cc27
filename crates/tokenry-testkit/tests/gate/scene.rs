//! A server with something to hide, and browsers at it.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokenry_sandbox::Sandbox;
use tokenry_testkit::app::{Answer, ApiClient, PASSWORD, TestApp, TestUser, start_sandbox};
use tokenry_testkit::browser::Browser as Walker;

use crate::dump;
use crate::table::Row;

/// What only Ada may read, and operators.
pub(crate) const PRIVATE: [&str; 3] = ["ada-has-named-it-so", "grace@example", "ada@example.org"];

/// A service that a person brings a key to.
pub(crate) const KEYS: &str = "groq";

/// An operator, a person with connections, and another person.
pub(crate) struct Scene {
    pub(crate) app: TestApp,
    pub(crate) ada: TestUser,
    /// A connection of Ada's, through the sandbox.
    pub(crate) connection: i64,
    /// Ada's number.
    pub(crate) user: i64,
    /// What names a connect link that Ada has made and somebody has opened.
    pub(crate) link: String,
    /// What names one that nobody has opened, for a service that takes a key.
    pub(crate) key_link: String,
    _sandbox: Sandbox,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let sandbox = start_sandbox(Duration::from_hours(1)).await;
        let app = TestApp::start_with_sandbox(&sandbox).await;
        app.user("olga").await;
        let mut database = dump::open(app.data_dir()).await;
        sqlx::query("UPDATE users SET is_operator = 1 WHERE username = 'olga'")
            .execute(&mut database)
            .await
            .unwrap();
        let ada = app.user("ada").await;
        app.user("eve").await;
        let (link, cookie) = ada.link("sandbox").await;
        let mut walker = Walker::new();
        walker.set_cookie(app.base(), &cookie);
        walker.consent_sandbox(link, "grace").await;
        let connection = ada.list().await[0]["ID"].as_i64().unwrap();
        let name = serde_json::json!({"name": PRIVATE[0]});
        let path = ada.path(&format!("update/connection/name/{connection}"));
        ada.api.put(&path, &name).await.expect(StatusCode::OK);
        let make = async |service: &str| {
            let wanted = serde_json::json!({"services": [service]});
            let link = ada.api.post(&ada.path("connect/links"), &wanted).await.expect(StatusCode::CREATED);
            link.text("url").rsplit('/').next().unwrap().to_owned()
        };
        let (link, key_link) = (make("sandbox").await, make(KEYS).await);
        let user = sqlx::query_scalar("SELECT id FROM users WHERE username = 'ada'");
        let user = user.fetch_one(&mut database).await.unwrap();
        let scene = Self { app, ada, connection, user, link, key_link, _sandbox: sandbox };
        // In another browser than any that a test looks at: its owner may take it over.
        let opened = scene.stranger().await.post(&format!("/link/{}", scene.link), &[]).await;
        opened.expect(StatusCode::OK);
        scene
    }

    /// A browser in which nobody is signed in.
    pub(crate) async fn stranger(&self) -> Browser {
        let mut browser = Browser { api: self.app.anonymous(), cookies: Vec::new(), token: String::new() };
        browser.read_token("/sign-in").await;
        browser
    }

    /// A browser in which this person is signed in.
    pub(crate) async fn browser(&self, name: &str) -> Browser {
        let mut browser = self.stranger().await;
        let answer = browser.post("/sign-in", &[("username", name), ("password", PASSWORD)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser.keep_cookies(&answer);
        browser.read_token("/account").await;
        browser
    }

    /// Makes the link of this row the browser's own, if it takes that.
    pub(crate) async fn open_link(&self, browser: &Browser, row: &Row) {
        if row.is_brought() {
            let opened = browser.post(&format!("/link/{}", self.key_link), &[]).await;
            opened.expect(StatusCode::OK);
        }
    }

    /// Takes the role away from olga.
    pub(crate) async fn demote(&self) {
        let mut database = dump::open(self.app.data_dir()).await;
        let demote = sqlx::query("UPDATE users SET is_operator = 0 WHERE username = 'olga'");
        assert_eq!(demote.execute(&mut database).await.unwrap().rows_affected(), 1);
    }
}

/// A browser that follows nothing: its cookies, and the token of its forms.
#[derive(Clone)]
pub(crate) struct Browser {
    api: ApiClient,
    cookies: Vec<(String, String)>,
    pub(crate) token: String,
}

impl Browser {
    fn keep_cookies(&mut self, answer: &Answer) {
        for header in answer.headers.get_all("set-cookie") {
            let pair = header.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Takes the token from a page with a form.
    async fn read_token(&mut self, path: &str) {
        let answer = self.get(path).await.expect(StatusCode::OK);
        self.keep_cookies(&answer);
        let (_, rest) = answer.body.split_once("name=\"form_token\" value=\"").expect("a form");
        rest.split('"').next().unwrap().clone_into(&mut self.token);
        assert!(self.token.len() > 20, "{}", self.token);
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, &[], headers).await
    }

    /// Sends a form, with the token of this browser's forms.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token.clone();
        self.post_with(path, fields, Some(&token), &[("sec-fetch-site", "same-origin")]).await
    }

    /// Sends a form with this token, or none.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        token: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut fields = fields.to_vec();
        fields.extend(token.map(|token| ("form_token", token)));
        self.send(Method::POST, path, &fields, headers).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = vec![("cookie", cookies.as_str()), ("accept", "text/html")];
        all.extend(headers);
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        if method == Method::POST {
            all.push(("content-type", "application/x-www-form-urlencoded"));
        }
        self.api.send(method, path, &all, body.into_bytes()).await
    }
}
