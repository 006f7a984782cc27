//! What differs from connection to connection: which settings there are, what they may be, and what becomes of the
//! provider's addresses with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::data::{Place, ProviderData};
use crate::provider::KnownBy;
use crate::{ClientAuth, OAuthError, Provider};

/// Values of one connection by their names: its settings, and what was captured when it was made. No secrets.
pub type Values = BTreeMap<String, String>;

/// A setting is missing or cannot be used. The text is for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct SettingError {
    /// The setting.
    pub name: String,
    /// What is wrong with it, and what to write.
    pub problem: String,
}

/// The addresses before anything was filled in.
#[derive(Debug)]
pub(crate) struct Blank {
    /// Those that see the client's secret, and the one that sends people to them.
    secret: [Option<Place>; 5],
    identity: Option<Place>,
    base: Option<Place>,
    /// How the client authenticates when it has all that it takes.
    token_auth: Option<ClientAuth>,
}

impl Blank {
    pub(crate) fn of(data: &ProviderData, token_auth: Option<ClientAuth>) -> Self {
        Self {
            secret: data.secret_places().map(Clone::clone),
            identity: data.identity.url.clone(),
            base: data.api.base_url.clone(),
            token_auth,
        }
    }

    fn restore(&self, data: &mut ProviderData) {
        for (place, blank) in data.secret_places_mut().into_iter().zip(&self.secret) {
            place.clone_from(blank);
        }
        data.identity.url.clone_from(&self.identity);
        data.api.base_url.clone_from(&self.base);
    }

    /// The settings on which it depends to whom the client's secret is sent.
    pub(crate) fn guarded<'a>(&'a self, data: &'a ProviderData) -> impl Iterator<Item = &'a str> {
        let deciding = self.secret.iter().flatten().flat_map(Place::names_that_decide_the_host);
        deciding.filter(|name| data.config.get(*name).is_some_and(|setting| setting.one_of.is_empty()))
    }
}

impl Provider {
    /// The settings that a connection cannot do without: those that have no default and that the operator has not fixed.
    pub fn needs_settings(&self) -> Vec<&str> {
        let mut names: Vec<&str> = if self.known_by == KnownBy::Data {
            self.data.places().into_iter().flat_map(Place::names).collect()
        } else {
            // The operator has named the endpoints. What the rest of the data would want is not needed for a connection.
            self.open_names()
        };
        names.retain(|name| self.data.config.contains_key(*name));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether the operator has fixed this setting for all connections.
    pub fn is_fixed(&self, name: &str) -> bool {
        self.fixed.contains_key(name)
    }

    /// Checks the settings of a new connection, and completes them by what the operator fixed and by the defaults.
    ///
    /// # Errors
    /// [`SettingError`] for a name that the provider does not know, one that is missing, and a value that does not look as
    /// it must or that the operator has fixed otherwise.
    pub fn check_settings(&self, given: &Values) -> Result<Values, SettingError> {
        let error = |name: &str, problem: String| Err(SettingError { name: name.to_owned(), problem });
        let mut all = self.trusted_settings();
        for (name, value) in given {
            let Some(setting) = self.data.config.get(name) else {
                let known: Vec<&str> = self.data.config.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return error(name, format!("{} has no such setting; it has {known}", self.name));
            };
            if !setting.accepts(value) {
                return error(name, setting.in_words());
            }
            if self.fixed.get(name).is_some_and(|fixed| fixed != value) {
                return error(name, "the operator has fixed it, so leave it out".to_owned());
            }
            all.insert(name.clone(), value.clone());
        }
        for name in self.needs_settings() {
            if let (false, Some(setting)) = (all.contains_key(name), self.data.config.get(name)) {
                return error(name, format!("{}: {}", setting.title, setting.in_words()));
            }
        }
        Ok(all)
    }

    /// The provider as it is for one connection: its addresses with the connection's values in them. Values that belong to
    /// no address are passed over; one that the connection was made with stays, though the operator has fixed another since.
    /// The provider itself where there is nothing to fill in.
    ///
    /// A value that says to whose host the client's secret would go counts only if it is the operator's or the default:
    /// with another one, the result can be asked for accounts and is called by its API address, but it cannot be connected
    /// by a link, and no token is had or spent there. To a client of the connection's own
    /// ([`with_client`](Self::with_client)) this does not apply.
    ///
    /// # Errors
    /// [`OAuthError::Setting`] when a value does not look as it must.
    pub fn for_connection(self: &Arc<Self>, values: &Values) -> Result<Arc<Self>, OAuthError> {
        let mut chosen = Values::new();
        for (name, setting) in &self.data.config {
            let Some(value) = values.get(name) else { continue };
            if !setting.accepts(value) {
                let error = SettingError { name: name.clone(), problem: setting.in_words() };
                return Err(OAuthError::Setting(error));
            }
            chosen.insert(name.clone(), value.clone());
        }
        let captures = self.data.callback.capture.iter().chain(&self.data.token.capture);
        for (name, capture) in captures {
            let value = values.get(name).filter(|value| capture.accepts(value));
            let wanted = self.blank.base.as_ref().is_some_and(|base| base.names().contains(&name.as_str()));
            if let (Some(value), true) = (value, wanted) {
                chosen.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        let trusted = self.trusted_settings();
        if self.chosen.is_empty() && chosen.iter().all(|(name, value)| trusted.get(name) == Some(value)) {
            return Ok(Arc::clone(self));
        }
        let mut provider = Self::clone(self);
        provider.chosen = chosen;
        provider.fill();
        Ok(Arc::new(provider))
    }

    /// The provider with a client that belongs to one connection: a person's own id and secret.
    #[must_use]
    pub fn with_client(&self, id: &str, secret: &SecretString) -> Self {
        let secret = Some(secret.clone()).filter(|secret| !secret.expose_secret().is_empty());
        let mut provider = self.clone();
        provider.client_id = Some(id.to_owned()).filter(|id| !id.is_empty());
        provider.data.token.auth = self.blank.token_auth.filter(|auth| !auth.takes_key());
        if secret.is_none() {
            provider.data.token.auth = Some(ClientAuth::None);
        }
        provider.client_secret = secret;
        provider.key = None;
        provider.has_own_client = true;
        provider.fill();
        provider
    }

    /// Whether a setting says at whose host people consent or codes are spent, and says another one than the data.
    pub(crate) fn host_is_chosen(&self) -> bool {
        let defaults = self.data.defaults();
        let names = self.blank.secret.iter().take(2).flatten().flat_map(Place::names_that_decide_the_host);
        let free = names.filter(|name| self.data.config.get(*name).is_some_and(|s| s.one_of.is_empty()));
        let mut said = free.filter_map(|name| {
            let said = self.chosen.get(name).or_else(|| self.fixed.get(name))?;
            Some((said, defaults.get(name)))
        });
        said.any(|(said, usual)| Some(said) != usual)
    }

    /// What the operator fixed, and the defaults of what they did not: the settings of a connection about which nobody
    /// says anything.
    pub fn trusted_settings(&self) -> Values {
        let mut values = self.data.defaults();
        values.extend(self.fixed.iter().map(|(name, value)| (name.clone(), value.clone())));
        values
    }

    /// Fills in all addresses anew.
    pub(crate) fn fill(&mut self) {
        let trusted = self.trusted_settings();
        let mut values = trusted.clone();
        values.extend(self.chosen.clone());
        let mut guarded = values.clone();
        if !self.has_own_client {
            for name in self.blank.guarded(&self.data) {
                if trusted.get(name) != guarded.get(name) {
                    guarded.remove(name);
                }
            }
        }
        self.blank.restore(&mut self.data);
        self.data.fill(&values, &guarded);
        self.check_base_url();
    }

    /// A captured value may name the API's host only where the data say that such a host is one of the API's.
    fn check_base_url(&mut self) {
        let Some(blank) = &self.blank.base else { return };
        let captured =
            blank.names_that_decide_the_host().into_iter().any(|name| !self.data.config.contains_key(name));
        let host = self.api_base_url().and_then(url::Url::host_str).unwrap_or_default();
        let covers =
            |known: &String| known == host || known.strip_prefix('*').is_some_and(|end| host.ends_with(end));
        if captured && !self.data.api.hosts.iter().any(covers) {
            self.data.api.base_url.clone_from(&self.blank.base);
        }
    }

    /// The settings that are open in the addresses by which tokens are had.
    fn open_names(&self) -> Vec<&str> {
        self.data.places_of_tokens().into_iter().flatten().flat_map(Place::names).collect()
    }

    /// What the operator has to fix before anybody can connect, if so, as the rest of a sentence.
    pub(crate) fn must_be_fixed(&self) -> Option<String> {
        let open = self.open_names();
        let guarded =
            self.blank.guarded(&self.data).find(|name| open.contains(name) && !self.has_own_client)?;
        let words = self.data.config.get(guarded).map(|s| format!(" ({}, such as {})", s.title, s.example));
        Some(format!(
            "its host differs from account to account, and the client's secret goes only where the operator says: the \
             operator has to fix providers.{}.settings.{guarded}{}; or paste a token",
            self.id,
            words.unwrap_or_default()
        ))
    }

    /// Why no token can be had at the addresses as they are, if so, as the rest of a sentence.
    pub(crate) fn open_places(&self) -> Option<String> {
        self.must_be_fixed().or_else(|| {
            let name = self.open_names().into_iter().next()?;
            let words = self.data.config.get(name).map(|s| format!(" ({}, such as {})", s.title, s.example));
            Some(format!("the setting {name}{} is missing", words.unwrap_or_default()))
        })
    }
}
