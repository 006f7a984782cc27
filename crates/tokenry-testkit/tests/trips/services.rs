//! Services of every kind, from provider files that lead to a sandbox.

use std::net::Ipv4Addr;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_oauth::ProviderSettings;
use tokenry_sandbox::{ApiKey, Client, Sandbox, SandboxOptions};
use tokenry_testkit::app::{
    Answer, CLIENT_ID, CLIENT_SECRET, TestApp, TestUser, providers, sandbox_settings,
};

use crate::world::ACCESS_TTL;

/// A key that opens Grace's account.
pub(crate) const KEY: &str = "sbx_key_of_grace";

/// An app with a service of each kind, and the sandbox behind them: `sandbox` (found by its issuer), `keys`, `login` (user and
/// password), `program` (client credentials), `old` (OAuth 1.0a), `tenants` (an address for each).
pub(crate) struct Services {
    pub(crate) app: TestApp,
    pub(crate) sandbox: Sandbox,
    pub(crate) ada: TestUser,
}

impl Services {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut SandboxOptions)) -> Self {
        let callbacks = ["/sandbox", "/old", "/tenants", ""];
        let key = |user: Option<&str>| ApiKey {
            user: user.map(str::to_owned),
            key: KEY.into(),
            account: "grace".to_owned(),
        };
        let mut options = SandboxOptions {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            clients: vec![
                Client {
                    id: CLIENT_ID.to_owned(),
                    secret: CLIENT_SECRET.into(),
                    redirect_uris: callbacks.map(|end| format!("http://127.0.0.1/callback{end}")).to_vec(),
                },
                Client { id: "of-ada".to_owned(), secret: "her secret".into(), redirect_uris: vec![] },
            ],
            api_keys: vec![key(None), key(Some("grace"))],
            access_ttl: ACCESS_TTL,
            ..SandboxOptions::default()
        };
        change(&mut options);
        let sandbox = Sandbox::start(options).await.unwrap();
        let settings = sandbox_settings(&sandbox);
        let client = || ProviderSettings {
            client_id: Some(CLIENT_ID.to_owned()),
            client_secret: Some(CLIENT_SECRET.into()),
            ..ProviderSettings::default()
        };
        let base = sandbox.base_url().to_owned();
        let app = TestApp::start_with(|config| {
            config.providers = providers(vec![
                ("sandbox", settings),
                ("program", client()),
                ("old", client()),
                ("tenants", client()),
            ]);
            config.providers_dir = config.data_dir.join("providers");
            std::fs::create_dir_all(&config.providers_dir).unwrap();
            for (id, file) in files(&base) {
                std::fs::write(config.providers_dir.join(format!("{id}.toml")), file).unwrap();
            }
        })
        .await;
        let ada = app.user("ada").await;
        Self { app, sandbox, ada }
    }

    /// Brings a credential.
    pub(crate) async fn import(&self, body: &Value) -> Answer {
        self.ada.api.post("/api/users/ada/connections", body).await
    }

    /// Brings a credential that is taken, and gives what there is to say about it.
    pub(crate) async fn imported(&self, body: &Value) -> Value {
        let answer = self.import(body).await.expect(StatusCode::CREATED);
        let detail = answer.json();
        assert_eq!(answer.header("location"), format!("/api/users/ada/connections/{}", detail["id"]));
        assert_eq!(self.ada.detail(detail["id"].as_i64().unwrap()).await, detail);
        detail
    }

    /// The token of a connection, and how a call carries it.
    pub(crate) async fn token(&self, id: &Value) -> Value {
        let answer = self.ada.api.get(&format!("/api/users/ada/connections/{id}/token")).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.expect(StatusCode::OK).json()
    }

    /// The header for a call.
    pub(crate) async fn authorization(&self, id: &Value, method: &str, url: &str) -> Answer {
        let path = format!("/api/users/ada/connections/{id}/authorization");
        self.ada.api.post(&path, &json!({"method": method, "url": url})).await
    }

    /// Calls a place of the sandbox with a header that an answer holds, and gives the status and the body.
    pub(crate) async fn call(&self, url: &str, header: &Value) -> (StatusCode, Value) {
        let text = |name: &str| header[name].as_str().unwrap_or_else(|| panic!("{header}")).to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(url).header(text("name"), text("value")).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.base_url())
    }
}

fn files(base: &str) -> [(&'static str, String); 5] {
    let me =
        format!("[identity]\nurl = \"{base}/api/me\"\naccount_id = [\"sub\"]\naccount_label = [\"name\"]\n");
    let api = format!("[api]\nbase_url = \"{base}\"\nhosts = [\"127.0.0.1\"]\n");
    [
        ("keys", format!("id = \"keys\"\nname = \"Keys\"\nkind = \"api_key\"\n{me}{api}")),
        (
            "login",
            format!(
                "id = \"login\"\nname = \"Login\"\nkind = \"basic\"\n{me}{api}[credential]\nuser = \"user\"\npassword = \"password\"\n"
            ),
        ),
        (
            "program",
            format!(
                "id = \"program\"\nname = \"Program\"\nkind = \"client_credentials\"\n[token]\nurl = \"{base}/token\"\n{api}"
            ),
        ),
        (
            "old",
            format!(
                "id = \"old\"\nname = \"Old\"\nkind = \"oauth1\"\n[authorize]\nurl = \"{base}/oauth1/authorize\"\n\
                 [token]\nurl = \"{base}/oauth1/access_token\"\n[oauth1]\nrequest_url = \"{base}/oauth1/request_token\"\n\
                 [identity]\nurl = \"{base}/oauth1/me\"\naccount_id = [\"sub\"]\naccount_label = [\"preferred_username\"]\n{api}"
            ),
        ),
        (
            "tenants",
            format!(
                "id = \"tenants\"\nname = \"Tenants\"\n[authorize]\nurl = \"{base}/{{tenant}}/authorize\"\n\
                 [token]\nurl = \"{base}/{{tenant}}/token\"\n[revoke]\nurl = \"{base}/{{tenant}}/revoke\"\n\
                 [identity]\nurl = \"{base}/{{tenant}}/userinfo\"\naccount_id = [\"sub\"]\n\
                 account_label = [\"preferred_username\"]\n[scope]\ndefault = [\"profile\"]\n\
                 [config.tenant]\ntitle = \"Your tenant\"\npattern = \"label\"\nexample = \"acme\"\n"
            ),
        ),
    ]
}
