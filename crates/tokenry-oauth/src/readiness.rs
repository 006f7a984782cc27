//! Whether a provider can be connected here, and why not.

use url::Url;

use crate::{ClientAuth, Kind, Provider};

/// Whether a provider can be connected here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// The operator has to register Tokenry at the provider first.
    Missing {
        /// The settings that are missing, by their names in the configuration.
        what: Vec<&'static str>,
        /// Where the provider says how to register.
        docs_url: Option<Url>,
    },
    /// Only settings are missing that differ from connection to connection: whoever connects says them.
    NeedsSettings {
        /// Their names, as in [`Provider::settings`].
        names: Vec<String>,
        /// Where the provider says how to register.
        docs_url: Option<Url>,
    },
    /// A pasted token works; connecting by a link does not, as things are.
    NotSupported {
        /// Why, as the rest of a sentence: for people.
        why: String,
        /// Where the provider says how to get a token.
        docs_url: Option<Url>,
    },
}

impl Provider {
    /// Whether the operator has configured enough to connect it. An id alone is enough where PKCE can stand in for the
    /// secret; whether the provider takes that, only the provider knows.
    pub fn readiness(&self) -> Readiness {
        let docs_url = self.data.docs_url.clone();
        if let Some(why) = self.not_supported() {
            return Readiness::NotSupported { why, docs_url };
        }
        let what = self.lacks();
        if !what.is_empty() {
            return Readiness::Missing { what, docs_url };
        }
        let names: Vec<String> = self.needs_settings().into_iter().map(str::to_owned).collect();
        if names.is_empty() { Readiness::Ready } else { Readiness::NeedsSettings { names, docs_url } }
    }

    /// What the operator has not configured.
    fn lacks(&self) -> Vec<&'static str> {
        let auth = self.data.token.auth;
        let signed = auth == Some(ClientAuth::SignedSecret);
        let by_key = auth.map_or(self.key.is_some(), ClientAuth::takes_key);
        [
            ("client_id", self.client_id.is_none()),
            ("client_secret", self.client_secret.is_none() && !by_key && auth != Some(ClientAuth::None)),
            ("private_key", self.key.is_none() && by_key),
            ("key_id", signed && self.key.as_ref().is_none_or(|key| key.key_id.is_none())),
            ("team_id", signed && self.team_id.is_none()),
            ("redirect_name", self.data.redirect.named && self.redirect_name.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, missing)| missing.then_some(name))
        .collect()
    }

    /// Why it cannot be connected by a link here, if so. Nothing is begun that could not be ended.
    pub(crate) fn not_supported(&self) -> Option<String> {
        match self.data.kind {
            Kind::Oauth2 | Kind::Oauth1 => self.must_be_fixed(),
            Kind::ClientCredentials => {
                Some("a program signs in there with an id and a secret of its own; paste yours".into())
            }
            Kind::ApiKey => Some(format!("it hands out keys; paste your {}", self.credential_name())),
            Kind::Basic => {
                Some(format!("it wants a user name and a password; paste {}", self.credential_name()))
            }
        }
    }
}
