//! What clients do to connect accounts: by a link, on a device, with what they bring.

use std::time::{Duration, Instant};

use reqwest::header::LOCATION;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokenry_testkit::app::{CLIENT_ID, CLIENT_SECRET};
use url::Url;

use crate::client::{Client, Outcome};
use crate::model::{Conn, Device, Maybe, What};
use crate::net::{Ask, Checked, Said};
use crate::world::{ACCOUNTS, OWN_CLIENT, account};

/// What the sandbox's devices wait between two questions, and a little.
const DEVICE_PAUSE: Duration = Duration::from_millis(5_200);
/// How often a device asks before it gives up.
const DEVICE_POLLS: u32 = 4;

impl Client {
    /// An account that none of this client's users has connected.
    fn free_account(&mut self) -> String {
        loop {
            let candidate = account(self.number, self.random.usize(0..ACCOUNTS));
            let taken = self.users.iter().any(|user| {
                user.conns.values().any(|conn| conn.what.account() == Some(&candidate))
                    || user.added.iter().any(|added| added.conn.what.account() == Some(&candidate))
                    || user.devices.iter().any(|device| device.account == candidate)
            });
            if !taken {
                return candidate;
            }
        }
    }

    /// Connects a new account: the link from one replica, the way back to another.
    pub(crate) async fn link(&mut self, u: usize) -> Checked {
        let (name, account) = (self.world.unique("linked "), self.free_account());
        let body = json!({"service": "sandbox", "name": name, "scopes": ["profile"]});
        let ask = Ask::post(self.users[u].path("connections/authorize"), body);
        let conn = Conn::new(&name, "sandbox", What::Grant { account: account.clone() });
        match self.consent(u, ask, &account).await? {
            None => {}
            Some(Outcome::Said(_)) => {
                self.users[u].expect(conn);
                self.list(u).await?;
                if !self.users[u].conns.values().any(|conn| conn.name == name) {
                    return Err(format!("{name:?} was said to be connected, and is not there"));
                }
                self.done("connect by a link");
            }
            Some(Outcome::Unknown) => {
                self.users[u].expect(conn);
                self.decide(u).await?;
            }
        }
        Ok(())
    }

    /// Connects the account of a connection again.
    pub(crate) async fn reconnect(&mut self, u: usize, id: i64) -> Checked {
        // The people of grants that were brought have no page to consent at.
        let account = self.conn(u, id).what.account().filter(|account| !account.starts_with("brought"));
        let Some(account) = account.map(str::to_owned) else { return Ok(()) };
        let ask = Ask::post(self.users[u].path(&format!("connections/{id}/authorize")), json!({}));
        let since = Instant::now();
        match self.consent(u, ask, &account).await? {
            None => Ok(()),
            Some(Outcome::Said(_)) => {
                let conn = self.conn(u, id);
                conn.what = What::Grant { account };
                conn.since = since;
                self.done("connect again");
                self.token(u, id).await?;
                self.list(u).await
            }
            Some(Outcome::Unknown) => {
                let conn = self.conn(u, id);
                if matches!(conn.what, What::Lost { .. }) {
                    // Either is right from here on, and only the next token tells.
                    conn.what = What::Grant { account };
                }
                conn.maybe = Some(Maybe::Back);
                self.decide(u).await
            }
        }
    }

    /// Asks for a link, consents at the provider, and brings the answer to the next replica. Nothing if there was no link.
    async fn consent(&mut self, u: usize, ask: Ask, account: &str) -> Checked<Option<Outcome>> {
        let token = self.session(u);
        let asked = match self.change(ask.with(&token)).await? {
            Outcome::Said(said) if said.status() == 200 => said,
            Outcome::Said(said) => return Err(format!("a link: {}", said.shown())),
            // A link that nobody got leads nowhere.
            Outcome::Unknown => {
                self.decide(u).await?;
                return Ok(None);
            }
        };
        let cookie = asked.answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let back = self.say_yes(&asked.answer.text("url"), account).await?;
        let ask = Ask { cookie: Some(cookie), ..Ask::get(back) };
        match self.change(ask).await? {
            Outcome::Said(said) if said.answer.body.contains("is connected") => Ok(Some(Outcome::Said(said))),
            Outcome::Said(said) => Err(format!("the way back from the provider: {}", said.shown())),
            Outcome::Unknown => Ok(Some(Outcome::Unknown)),
        }
    }

    /// The person says yes at the provider. Gives the path and the query of the way back.
    async fn say_yes(&mut self, link: &str, account: &str) -> Checked<String> {
        let url = Url::parse(link).map_err(|error| format!("the link {link}: {error}"))?;
        let scopes = url.query_pairs().find(|(name, _)| name == "scope").map(|(_, all)| all.into_owned());
        let scopes = scopes.unwrap_or_default();
        let form = [("decision", "allow"), ("account", account), ("scope", &scopes)];
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let response = http.post(url).form(&form).send().await.map_err(|error| error.to_string())?;
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location =
            location.ok_or_else(|| format!("the provider sent nobody on: {}", response.status()))?;
        let back = Url::parse(location).map_err(|error| error.to_string())?;
        Ok(format!("{}?{}", back.path(), back.query().unwrap_or_default()))
    }

    pub(crate) async fn begin_device(&mut self, u: usize) -> Checked {
        let (name, account) = (self.world.unique("device "), self.free_account());
        let token = self.session(u);
        let body = json!({"service": "sandbox", "name": name});
        let ask = Ask::post(self.users[u].path("connections/device"), body).with(&token);
        match self.change(ask).await? {
            Outcome::Said(said) if said.status() == 201 => {
                let code = said.answer.text("user_code");
                self.world.sandbox.decide_device(&code, Some(&account)).map_err(|error| error.to_string())?;
                let path = said.answer.header("location").to_owned();
                let next = Instant::now() + DEVICE_PAUSE;
                self.users[u].devices.push(Device { path, name, account, next, polls: 0 });
                self.done("begin on a device");
                Ok(())
            }
            Outcome::Said(said) => Err(format!("a device: {}", said.shown())),
            // A code that nobody got leads nowhere.
            Outcome::Unknown => self.decide(u).await,
        }
    }

    pub(crate) fn has_device_due(&self, u: usize) -> bool {
        self.users[u].devices.iter().any(|device| device.next <= Instant::now())
    }

    /// Asks after a device. Whatever comes of it, the list says whether its connection is there.
    pub(crate) async fn poll_device(&mut self, u: usize) -> Checked {
        let due = self.users[u].devices.iter().position(|device| device.next <= Instant::now());
        let Some(due) = due else { return Ok(()) };
        let mut device = self.users[u].devices.remove(due);
        let token = self.session(u);
        let outcome = self.change(Ask::get(device.path.clone()).with(&token)).await?;
        let conn = Conn::new(&device.name, "sandbox", What::Grant { account: device.account.clone() });
        self.users[u].expect(conn);
        self.list(u).await?;
        let there = self.users[u].conns.values().any(|conn| conn.name == device.name);
        match outcome {
            Outcome::Said(said) if said.status() == 200 => self.check_progress(&device, there, &said)?,
            Outcome::Said(said) => return Err(format!("a device: {}", said.shown())),
            Outcome::Unknown => self.decide(u).await?,
        }
        device.polls += 1;
        device.next = Instant::now() + DEVICE_PAUSE;
        if !there && device.polls < DEVICE_POLLS {
            self.users[u].devices.push(device);
        }
        Ok(())
    }

    fn check_progress(&self, device: &Device, there: bool, said: &Said) -> Checked {
        let status = said.json()["status"].as_str().map(str::to_owned).unwrap_or_default();
        if status == "connected" {
            self.done("connect on a device");
            if !there {
                return Err(format!("{:?} was said to be connected, and is not there", device.name));
            }
        }
        Ok(())
    }

    /// Brings the tokens of a grant that somebody else got.
    pub(crate) async fn import_grant(&mut self, u: usize) -> Checked {
        let (name, prefix) = (self.world.unique("brought "), self.world.unique("brought-"));
        let grants = self.world.sandbox.issue_grants(CLIENT_ID, &prefix, 1, "profile");
        let grant = grants.map_err(|error| error.to_string())?.remove(0);
        let body = json!({
            "kind": "oauth2", "service": "sandbox", "name": name, "scopes": ["profile"],
            "access_token": grant.access_token.expose_secret(),
            "refresh_token": grant.refresh_token.as_ref().map(secrecy::ExposeSecret::expose_secret),
            // It was given out a moment ago.
            "expires_in": grant.expires_in - 1,
        });
        self.import(
            u,
            "bring a grant",
            body,
            Conn::new(&name, "sandbox", What::Grant { account: grant.account }),
        )
        .await
    }

    pub(crate) async fn import_client(&mut self, u: usize) -> Checked {
        let name = self.world.unique("client ");
        let body = json!({
            "kind": "client_credentials", "service": "sandbox", "name": name, "scopes": ["profile"],
            "client_id": OWN_CLIENT, "client_secret": CLIENT_SECRET,
        });
        self.import(u, "bring a client", body, Conn::new(&name, "sandbox", What::Client)).await
    }

    pub(crate) async fn import_plain(&mut self, u: usize) -> Checked {
        let (name, token) = (self.world.unique("brought "), self.world.unique("pasted-"));
        let body = json!({"kind": "plain", "service": "spotify", "name": name, "token": token});
        self.import(u, "bring a plain token", body, Conn::new(&name, "spotify", What::Plain(token))).await
    }

    async fn import(&mut self, u: usize, kind: &'static str, body: Value, conn: Conn) -> Checked {
        let ask = Ask::post(self.users[u].path("connections"), body);
        self.create(u, kind, ask, conn).await
    }
}
