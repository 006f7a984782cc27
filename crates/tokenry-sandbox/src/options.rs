//! What a sandbox is started with.

use std::{
    collections::HashSet,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{pace::FaultRates, quirks::Quirks};

/// How a sandbox behaves. `SandboxOptions::default()` is a strict provider on a free loopback port, without clients.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Where to listen. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// The issuer and the root of every endpoint, for a sandbox that is reached by another name than the one it
    /// listens on (in a container, behind a proxy). Best without a path: the metadata document is served at the root
    /// only. `None`: `http://` and the address it listens on.
    pub base_url: Option<Url>,
    /// The applications that may ask for tokens.
    pub clients: Vec<Client>,
    /// How long an access token lives; told to clients in whole seconds. With zero it is expired when it arrives.
    pub access_ttl: Duration,
    /// How long a refresh token lives. `None`: until it is spent or revoked.
    pub refresh_ttl: Option<Duration>,
    /// How long an authorization code may wait for its exchange.
    pub code_ttl: Duration,
    /// Whether a refresh spends its refresh token and answers with the next one (RFC 9700 §4.14.2).
    pub rotate: bool,
    /// Whether an authorization request without a PKCE challenge is refused (RFC 7636).
    pub require_pkce: bool,
    /// The API keys, and the user names with passwords, that `/api/me` takes.
    pub api_keys: Vec<ApiKey>,
    /// How it differs from the standards.
    pub quirks: Quirks,
    /// How many requests the token endpoint takes in any one second. Above that: 429 with `Retry-After: 1`.
    pub limit_per_s: Option<u32>,
    /// What goes wrong by chance.
    pub fault_rates: FaultRates,
    /// The people who can consent. There are no passwords: the consent page lets the visitor choose one.
    pub accounts: Vec<Account>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            base_url: None,
            clients: Vec::new(),
            access_ttl: Duration::from_secs(30),
            refresh_ttl: None,
            code_ttl: Duration::from_mins(1),
            rotate: true,
            require_pkce: true,
            api_keys: Vec::new(),
            quirks: Quirks::default(),
            limit_per_s: None,
            fault_rates: FaultRates::default(),
            accounts: ["Ada", "Grace", "Linus"].into_iter().map(Account::example).collect(),
        }
    }
}

impl SandboxOptions {
    /// Finds what would only show up later, in the middle of somebody's test.
    pub(crate) fn check(&self) -> io::Result<()> {
        let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if self.accounts.is_empty() {
            return refuse("a sandbox needs at least one account".to_owned());
        }
        let mut accounts = HashSet::new();
        if let Some(twice) = self.accounts.iter().find(|account| !accounts.insert(&account.id)) {
            return refuse(format!("account {:?} is there twice", twice.id));
        }
        if let Some(key) = self.api_keys.iter().find(|key| !accounts.contains(&key.account)) {
            return refuse(format!("an API key is of account {:?}, which is not there", key.account));
        }
        let mut clients = HashSet::new();
        for client in &self.clients {
            if !clients.insert(&client.id) {
                return refuse(format!("client {:?} is there twice", client.id));
            }
            for uri in &client.redirect_uris {
                if !Url::parse(uri).is_ok_and(|url| url.fragment().is_none()) {
                    return refuse(format!(
                        "{uri:?} is no absolute URL without a fragment (RFC 6749 §3.1.2)"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// An application that may ask for tokens. It always has a secret.
#[derive(Clone, Debug)]
pub struct Client {
    /// The `client_id`; the consent page shows it as the application's name.
    pub id: String,
    /// The `client_secret`; the consumer secret of OAuth 1.0a.
    pub secret: SecretString,
    /// Where answers may go. Matched character by character; only the port of a loopback IP address may differ
    /// (RFC 8252 §7.3).
    pub redirect_uris: Vec<String>,
}

impl Client {
    pub(crate) fn may_redirect_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| {
            registered == uri
                || split_loopback(registered)
                    .is_some_and(|registered| split_loopback(uri).is_some_and(|asked| asked == registered))
        })
    }
}

/// Host and path of a loopback redirect URI, without its port. Works on the text, so that nothing a URL parser
/// would tidy up (`/a/../b`) becomes equal to something else.
fn split_loopback(uri: &str) -> Option<(&str, &str)> {
    ["http://127.0.0.1", "http://[::1]"].into_iter().find_map(|host| {
        let after = uri.strip_prefix(host)?;
        let path = match after.strip_prefix(':') {
            Some(port_and_path) => {
                let path = port_and_path.trim_start_matches(|c: char| c.is_ascii_digit());
                port_and_path.strip_suffix(path)?.parse::<u16>().ok()?;
                path
            }
            None => after,
        };
        // Without this, `http://127.0.0.1.example.org/` would be a loopback address.
        (path.is_empty() || path.starts_with(['/', '?'])).then_some((host, path))
    })
}

/// A key that a person copies into a program, or a password.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// With a user name it is a password, for `Basic`. Without, it is wanted where [`crate::quirks::ApiQuirks`] says.
    pub user: Option<String>,
    /// The key or password.
    pub key: SecretString,
    /// Whose it is.
    pub account: String,
}

/// A person of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The `sub` of the userinfo answer, and the user name.
    pub id: String,
    /// The name to show.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

impl Account {
    fn example(name: &str) -> Self {
        let id = name.to_lowercase();
        Self { name: name.to_owned(), email: format!("{id}@example.org"), id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(uris: &[&str]) -> Client {
        Client {
            id: "app".to_owned(),
            secret: SecretString::from("s"),
            redirect_uris: uris.iter().map(|&uri| uri.to_owned()).collect(),
        }
    }

    #[test]
    fn only_the_port_of_a_loopback_address_may_differ() {
        let app = client(&["http://127.0.0.1/cb?x=1", "http://[::1]:80/cb", "http://app.example.org/cb"]);
        for good in [
            "http://127.0.0.1/cb?x=1",
            "http://127.0.0.1:49152/cb?x=1",
            "http://[::1]/cb",
            "http://[::1]:9/cb",
            "http://app.example.org/cb",
        ] {
            assert!(app.may_redirect_to(good), "{good}");
        }
        for bad in [
            "http://127.0.0.1:49152/cb",
            "http://127.0.0.1:49152/cb?x=1&y=2",
            "http://127.0.0.1:49152/cb?x=1#f",
            "http://127.0.0.1:/cb?x=1",
            "http://127.0.0.1:99999/cb?x=1",
            "http://127.0.0.1:1@example.org/cb?x=1",
            "http://127.0.0.1.example.org/cb?x=1",
            "http://127.0.0.2/cb?x=1",
            "http://localhost/cb?x=1",
            "https://127.0.0.1/cb?x=1",
            "http://127.0.0.1/a/../cb?x=1",
            "http://app.example.org:8080/cb",
            "http://app.example.org/cb/",
            "",
        ] {
            assert!(!app.may_redirect_to(bad), "{bad}");
        }
    }

    #[test]
    fn options_that_cannot_work_are_refused_at_the_start() {
        let good = SandboxOptions { clients: vec![client(&["https://a.example/cb"])], ..Default::default() };
        assert!(good.check().is_ok());
        let twice = SandboxOptions { clients: vec![client(&[]), client(&[])], ..Default::default() };
        assert!(twice.check().is_err());
        let relative = SandboxOptions { clients: vec![client(&["/cb"])], ..Default::default() };
        assert!(relative.check().is_err());
        let fragment =
            SandboxOptions { clients: vec![client(&["https://a.example/#x"])], ..Default::default() };
        assert!(fragment.check().is_err());
        assert!(SandboxOptions { accounts: vec![], ..Default::default() }.check().is_err());
    }

    #[test]
    fn a_clients_secret_is_not_in_its_debug_text() {
        assert!(
            !format!("{:?}", Client { secret: SecretString::from("hush"), ..client(&[]) }).contains("hush")
        );
    }
}
