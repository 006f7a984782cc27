//! `tokenry demo`: the whole trip on a throw-away store, against the sandbox provider, step by step.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::{AUTHORIZATION, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenry_broker::Broker;
use tokenry_model::{ProviderId, SystemClock};
use tokenry_oauth::{Issuer, ProviderSettings};
use tokenry_sandbox::{Sandbox, SandboxOptions};
use tokio::net::TcpListener;

use crate::config::{Config, MasterKeySource};
use crate::server::{self, Server};

/// How long an access token of the sandbox lives during the trip: long enough to use, short enough to watch it die.
const SHORT: Duration = Duration::from_secs(2);
/// And afterwards, for the visitor.
const LONGER: Duration = Duration::from_secs(30);
const USER: &str = "demo";
const PASSWORD: &str = "correct horse battery";
const CLIENT: &str = "tokenry-demo";
const CLIENT_SECRET: &str = "a secret for the demo alone";

/// A demo that runs.
pub struct Demo {
    server: Server,
    broker: Broker,
    sandbox: Sandbox,
    // Dropped last: the store is thrown away when the demo ends.
    _data: TempDir,
}

/// Starts the sandbox and the server and walks the trip. Each step is handed to `say` as it happens.
///
/// # Errors
/// When a step does not end as it should.
pub async fn run(port: Option<u16>, say: &mut (dyn FnMut(&str) + Send)) -> anyhow::Result<Demo> {
    let demo = start(port).await?;
    let base = demo.base();
    say(&format!("Tokenry runs at {base}, on a store that is thrown away afterwards."));
    say(&format!(
        "The sandbox provider runs at {}. It plays the service whose account is connected.",
        demo.sandbox.base_url()
    ));
    let mut trip = Trip { demo: &demo, http: client()?, base, token: String::new(), say };
    trip.walk().await?;
    // So that the visitor sees the operator's pages too.
    demo.broker.set_role(USER, true).await?;
    demo.sandbox.set_access_ttl(LONGER);
    Ok(demo)
}

async fn start(port: Option<u16>) -> anyhow::Result<Demo> {
    let data = tempfile::Builder::new().prefix("tokenry-demo-").tempdir()?;
    let listener = bind(port.unwrap_or(8080), port.is_some()).await?;
    let address = listener.local_addr()?;
    let options = SandboxOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        clients: vec![tokenry_sandbox::Client {
            id: CLIENT.to_owned(),
            secret: CLIENT_SECRET.into(),
            redirect_uris: vec![format!("http://127.0.0.1:{}/callback/sandbox", address.port())],
        }],
        access_ttl: SHORT,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await?;
    let settings = ProviderSettings {
        name: Some("Sandbox".to_owned()),
        client_id: Some(CLIENT.to_owned()),
        client_secret: Some(CLIENT_SECRET.into()),
        issuer: Some(Issuer::parse(sandbox.base_url())?),
        ..ProviderSettings::default()
    };
    // Defaults alone: what the visitor has configured for a real server has no place here.
    let mut config = Config::default();
    config.listen = address;
    config.public_url = Url::parse(&format!("http://127.0.0.1:{}", address.port()))?;
    config.data_dir = data.path().to_owned();
    config.database_url = format!("sqlite://{}", data.path().join("tokenry.db").display()).into();
    config.master_key = MasterKeySource::DataDir(data.path().join("master.key"));
    config.providers = BTreeMap::from([(ProviderId::parse("sandbox")?, settings)]);
    config.outbound.allow_private = true;
    // The refresh that is shown is the reader's.
    config.refresh_ahead = false;
    let (broker, _) = server::open(&config, Arc::new(SystemClock)).await?;
    let server = Server::start_on(listener, &config, broker.clone())?;
    Ok(Demo { server, broker, sandbox, _data: data })
}

/// The wished port, or any other if it is taken and nobody insisted.
async fn bind(port: u16, insisted: bool) -> anyhow::Result<TcpListener> {
    let wished = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    match wished {
        Err(_) if !insisted => Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?),
        other => {
            other.with_context(|| format!("cannot listen on port {port}: is another server running there?"))
        }
    }
}

fn client() -> anyhow::Result<Client> {
    let builder = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    Ok(builder.timeout(Duration::from_secs(20)).build()?)
}

impl Demo {
    fn base(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// What a visitor can try while the demo runs.
    pub fn invitation(&self) -> String {
        let base = self.base();
        format!(
            r#"
Both go on running. Open {base}/ in a browser, and sign in as "{USER}" with the password "{PASSWORD}":
the sandbox is there to be connected, and the operator's pages are open. Or as a program:

  # log in as the demo user
  TOKEN=$(curl -s {base}/api/auth/login -H 'Content-Type: application/json' \
    -d '{{"username":"{USER}","password":"{PASSWORD}"}}' | sed 's/.*:"\(.*\)".*/\1/')

  # ask for a link, and open it in a browser; one that is not signed in is asked for the password
  curl -s {base}/api/user/connection/access/token/sandbox -H "Authorization: $TOKEN"

  # see what you have, and get a token that is valid now, whenever you ask (take the ID from the list)
  curl -s {base}/api/users/{USER}/get/connections -H "Authorization: $TOKEN"
  curl -s {base}/api/users/{USER}/get/connection/2 -H "Authorization: $TOKEN"

  # what the provider saw of it, and all endpoints as a page
  curl -s {sandbox}/seen
  {base}/docs

Ctrl-C ends both and throws the store away.
"#,
            sandbox = self.sandbox.base_url(),
        )
    }

    /// Stops both and throws the store away.
    pub async fn stop(self) {
        self.server.stop().await;
        self.sandbox.stop().await;
    }
}

/// The trip, as a program and a person would walk it: over HTTP, from outside.
struct Trip<'a> {
    demo: &'a Demo,
    http: Client,
    base: String,
    token: String,
    say: &'a mut (dyn FnMut(&str) + Send),
}

impl Trip<'_> {
    async fn walk(&mut self) -> anyhow::Result<()> {
        self.sign_up().await?;
        let id = self.connect().await?;
        let first = self.get_token(id).await?;
        self.use_token(&first, StatusCode::OK).await?;
        self.step("The program gets a token and calls the service with it: accepted.");
        tokio::time::sleep(SHORT + Duration::from_millis(300)).await;
        self.use_token(&first, StatusCode::UNAUTHORIZED).await?;
        self.step(&format!("After {} s that token has expired: the service refuses it.", SHORT.as_secs()));
        let second = self.get_token(id).await?;
        ensure!(second != first, "the token was not refreshed");
        self.use_token(&second, StatusCode::OK).await?;
        let seen = self.demo.sandbox.seen();
        ensure!(seen.refreshes == 1, "the provider saw {} refreshes instead of one", seen.refreshes);
        self.step(
            "The program asks again and gets a fresh one: refreshed on the way, its refresh token replaced.",
        );
        self.delete(id, &second).await
    }

    fn step(&mut self, text: &str) {
        (self.say)(&format!("  ✓ {text}"));
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.header(AUTHORIZATION, &self.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        ensure!(
            response.status().is_success(),
            "{path} answered {}: {}",
            response.status(),
            response.text().await?
        );
        Ok(response)
    }

    async fn sign_up(&mut self) -> anyhow::Result<()> {
        let body = json!({"username": USER, "email": "demo@example.org", "password": PASSWORD});
        self.call(Method::POST, "/api/auth/signup", Some(body)).await?;
        let body = json!({"username": USER, "password": PASSWORD});
        let answer: Value = self.call(Method::POST, "/api/auth/login", Some(body)).await?.json().await?;
        self.token = text(&answer, "access_token")?;
        self.step("A person signs up and logs in.");
        Ok(())
    }

    async fn connect(&mut self) -> anyhow::Result<i64> {
        let path = "/api/user/connection/access/token/sandbox";
        let response = self.call(Method::GET, path, None).await?;
        let cookie =
            response.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let link: Url = text(&response.json().await?, "url")?.parse()?;
        self.step("They ask for a link to connect their account at the service.");

        let page = self.http.get(link.clone()).send().await?;
        ensure!(page.status().is_success(), "the consent page answered {}", page.status());
        let mut form = vec![("decision", "allow".to_owned()), ("account", "ada".to_owned())];
        let asked =
            link.query_pairs().find(|(name, _)| name == "scope").map(|(_, scopes)| scopes.into_owned());
        let scopes = asked.unwrap_or_else(|| "profile".to_owned());
        form.extend(scopes.split(' ').map(|scope| ("scope", scope.to_owned())));
        let consent = self.http.post(link).form(&form).send().await?;
        let back = consent.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let back = back.context("the consent page did not send the person back")?.to_owned();
        self.step("They open it, see what is asked for, and allow it.");

        let done = self.http.get(&back).header(COOKIE, cookie).send().await?;
        let (status, page) = (done.status(), done.text().await?);
        ensure!(status.is_success(), "the callback answered {status}: {page}");
        ensure!(page.contains("is connected"), "the callback did not connect the account: {page}");
        let list: Value =
            self.call(Method::GET, &format!("/api/users/{USER}/get/connections"), None).await?.json().await?;
        let id = list[0]["ID"].as_i64().context("the connection is not in the list")?;
        let name = list[0]["Name"].as_str().unwrap_or_default().to_owned();
        self.step(&format!(
            "The service sends them back; the connection is stored, sealed, as “{name}” (id {id})."
        ));
        Ok(id)
    }

    async fn get_token(&self, id: i64) -> anyhow::Result<String> {
        let path = format!("/api/users/{USER}/get/connection/{id}");
        text(&self.call(Method::GET, &path, None).await?.json().await?, "token")
    }

    async fn use_token(&self, token: &str, expected: StatusCode) -> anyhow::Result<()> {
        let url = format!("{}/userinfo", self.demo.sandbox.base_url());
        let status = self.http.get(url).bearer_auth(token).send().await?.status();
        ensure!(status == expected, "the service answered {status} where {expected} was expected");
        Ok(())
    }

    async fn delete(&mut self, id: i64, last: &str) -> anyhow::Result<()> {
        let path = format!("/api/users/{USER}/connection/delete/{id}");
        self.call(Method::DELETE, &path, None).await?;
        self.use_token(last, StatusCode::UNAUTHORIZED).await?;
        let seen = self.demo.sandbox.seen();
        ensure!(seen.revocations > 0 && seen.live_families == 0, "the provider was not told of the delete");
        self.step(
            "They delete the connection: gone here, and revoked at the service, which now refuses its token.",
        );
        Ok(())
    }
}

fn text(answer: &Value, name: &str) -> anyhow::Result<String> {
    answer[name].as_str().map(str::to_owned).with_context(|| format!("there is no {name} in the answer"))
}
