//! The catalogue as a person meets it who wants to connect an account: what there is, how it is connected, and what is in
//! the way.

use tokenry_model::ProviderId;
use tokenry_oauth::{Kind, Provider, Readiness};
use url::Url;

use crate::boot::Broker;
use crate::error::BrokerError;

/// A service, and how an account of it is connected here.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its id.
    pub id: ProviderId,
    /// Its name.
    pub name: String,
    /// Other words for it.
    pub aliases: Vec<String>,
    /// What it is for, in words of a fixed list.
    pub categories: Vec<String>,
    /// Where the service says how programs are let in.
    pub docs_url: Option<Url>,
    /// How it is connected.
    pub way: Way,
    /// Whether a person can say yes on another device instead (RFC 8628); of an issuer that is asked for its endpoints, whether
    /// that may be so.
    pub has_device_flow: bool,
    /// What differs from connection to connection, and is not fixed by the operator.
    pub settings: Vec<SettingOffer>,
    /// Scopes that people usually need.
    pub scopes: Vec<ScopeOffer>,
    /// What the service calls the thing that a person pastes.
    pub credential: String,
    /// Where that thing is made.
    pub credential_url: Option<Url>,
}

/// How an account is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The person consents at the service, in the browser.
    Consent,
    /// The person pastes a key.
    ApiKey,
    /// The person types a user name and a password, or what stands for them: what the two are called.
    Basic {
        /// What stands before the colon, if the service has its own word for it.
        user: Option<String>,
        /// What stands behind it.
        password: Option<String>,
    },
    /// The person types the id and the secret of a client of their own (RFC 6749 §4.4).
    Client {
        /// Whether the operator's client serves who has none.
        has_operators: bool,
    },
    /// The operator has to set it up first. A token made elsewhere can be pasted.
    NotSetUp {
        /// What the operator has to configure: the keys, or a sentence.
        missing: Vec<String>,
        /// The redirect URI that the operator registers.
        redirect_uri: Url,
    },
    /// It cannot be connected by a link as it is set up. A token made elsewhere can be pasted.
    PasteOnly {
        /// Why, as the rest of a sentence.
        why: String,
    },
}

/// Whether what opens a service of this kind is brought along by a person.
pub(crate) const fn is_brought(kind: Kind) -> bool {
    match kind {
        Kind::ApiKey | Kind::Basic | Kind::ClientCredentials => true,
        Kind::Oauth2 | Kind::Oauth1 => false,
    }
}

/// A setting that differs from connection to connection.
#[derive(Debug, Clone)]
pub struct SettingOffer {
    /// Its name.
    pub name: String,
    /// What to ask for.
    pub title: String,
    /// What a value looks like.
    pub example: String,
    /// What it is when nobody says.
    pub default: Option<String>,
    /// The only values there are, if they are few.
    pub one_of: Vec<String>,
    /// Whether a connection cannot do without it.
    pub is_needed: bool,
}

/// A scope that people usually need.
#[derive(Debug, Clone)]
pub struct ScopeOffer {
    /// The scope.
    pub scope: String,
    /// What it is good for; empty where nobody has said.
    pub about: String,
    /// Whether it is asked for when nobody says otherwise.
    pub is_default: bool,
}

impl Broker {
    /// All services, by their ids.
    ///
    /// # Errors
    /// [`BrokerError::Store`].
    pub async fn offers(&self) -> Result<Vec<Offer>, BrokerError> {
        let catalogue = self.current_catalogue().await?;
        Ok(catalogue.iter().map(|provider| self.offer(provider)).collect())
    }

    /// The service of this id or alias.
    ///
    /// # Errors
    /// [`BrokerError::Store`].
    pub async fn find_offer(&self, word: &str) -> Result<Option<Offer>, BrokerError> {
        let catalogue = self.current_catalogue().await?;
        Ok(catalogue.find(word).map(|provider| self.offer(provider)))
    }

    pub(crate) fn offer(&self, provider: &Provider) -> Offer {
        let way = self.way(provider);
        let needed = provider.needs_settings();
        let settings = provider.settings().iter().filter(|(name, _)| !provider.is_fixed(name));
        let settings = settings.map(|(name, setting)| SettingOffer {
            name: name.clone(),
            title: setting.title.clone(),
            example: setting.example.clone(),
            default: setting.default.clone(),
            one_of: setting.one_of.clone(),
            is_needed: needed.contains(&name.as_str()),
        });
        let (common, usual) = (provider.common_scopes(), provider.default_scopes());
        let mut scopes: Vec<ScopeOffer> = common
            .iter()
            .map(|(scope, about)| ScopeOffer {
                scope: scope.clone(),
                about: about.clone(),
                is_default: usual.contains(scope),
            })
            .collect();
        let others = usual.iter().filter(|scope| !common.contains_key(*scope));
        scopes.extend(others.map(|scope| ScopeOffer {
            scope: scope.to_owned(),
            about: String::new(),
            is_default: true,
        }));
        // What is asked for anyway comes first.
        scopes.sort_by_key(|offer| !offer.is_default);
        Offer {
            id: provider.id.clone(),
            name: provider.name.clone(),
            aliases: provider.aliases.clone(),
            categories: provider.categories().to_vec(),
            docs_url: provider.docs_url().cloned(),
            has_device_flow: way == Way::Consent && provider.has_device_flow(),
            way,
            settings: settings.collect(),
            scopes,
            credential: provider.credential_name().to_owned(),
            credential_url: provider.credential_url().cloned(),
        }
    }

    fn way(&self, provider: &Provider) -> Way {
        match provider.kind() {
            Kind::ApiKey => return Way::ApiKey,
            Kind::Basic => {
                let parts = provider.basic_parts();
                let (user, password) = parts.map(|(u, p)| (u.to_owned(), p.to_owned())).unzip();
                return Way::Basic { user, password };
            }
            Kind::ClientCredentials => {
                return Way::Client { has_operators: provider.client_id().is_some() };
            }
            Kind::Oauth2 | Kind::Oauth1 => {}
        }
        match provider.readiness() {
            Readiness::Ready | Readiness::NeedsSettings { .. } => Way::Consent,
            Readiness::Missing { what, .. } => Way::NotSetUp {
                missing: what.into_iter().map(|key| format!("providers.{}.{key}", provider.id)).collect(),
                redirect_uri: provider.redirect_uri(&self.settings.public_url),
            },
            Readiness::NotSupported { why, .. } => Way::PasteOnly { why },
        }
    }
}
