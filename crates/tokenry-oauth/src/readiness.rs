//! Whether a provider can be connected here, and why not.

use std::collections::BTreeMap;

use url::Url;

use crate::data::{Place, TokenAuth};
use crate::{Capture, Kind, Provider};

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
    /// A pasted token works; connecting by a link does not, whatever the operator configures.
    NotSupported {
        /// Why, as the rest of a sentence: for people.
        why: String,
        /// Where the provider says how to get a token.
        docs_url: Option<Url>,
    },
}

/// Why a provider is refused whose way to authenticate is only declared.
pub(crate) const UNKNOWN_AUTH: &str = "its way to authenticate the client is not supported yet";

impl Provider {
    /// Whether the operator has configured enough to connect it. An id alone is enough where PKCE can stand in for the
    /// secret; whether the provider takes that, only the provider knows.
    pub fn readiness(&self) -> Readiness {
        if let Some(why) = self.not_supported() {
            return Readiness::NotSupported { why, docs_url: self.data.docs_url.clone() };
        }
        let mut what = Vec::new();
        if self.client_id.is_none() {
            what.push("client_id");
        }
        if self.client_secret.is_none() && self.data.token.auth != Some(TokenAuth::None) {
            what.push("client_secret");
        }
        if what.is_empty() {
            Readiness::Ready
        } else {
            Readiness::Missing { what, docs_url: self.data.docs_url.clone() }
        }
    }

    /// Why it cannot be connected by a link here, if so. Nothing is begun that could not be ended.
    pub(crate) fn not_supported(&self) -> Option<String> {
        let data = &self.data;
        match data.kind {
            Kind::Oauth2 => {}
            Kind::Oauth1 => {
                return Some("it speaks OAuth 1.0a, which is not supported yet; paste a token".into());
            }
            Kind::ClientCredentials => {
                return Some(
                    "a program signs in there by itself, which is not supported yet; paste a token".into(),
                );
            }
            Kind::ApiKey => {
                return Some(format!("it hands out keys; paste your {}", self.credential_name()));
            }
            Kind::Basic => {
                return Some(format!(
                    "it wants a user name and a password; paste {}",
                    self.credential_name()
                ));
            }
        }
        let mut names: Vec<&str> = Vec::new();
        if !self.discovers {
            let open = data.places_of_tokens().into_iter().flatten().flat_map(Place::names);
            names.extend(open.filter(|name| !names.contains(name)).collect::<Vec<_>>());
            names.sort_unstable();
            names.dedup();
        }
        if !names.is_empty() {
            return Some(format!(
                "its addresses differ from account to account ({}), which is not supported yet; the operator can set \
                 authorize_url and token_url for one of them, or paste a token",
                names.join(", ")
            ));
        }
        let sends = |c: &BTreeMap<String, Capture>| c.values().any(|c| c.send);
        let needs = [
            (data.token.auth.is_some_and(|auth| auth.known().is_none()), UNKNOWN_AUTH),
            (
                data.callback.code_param != "code",
                "its code comes under another name, which is not supported yet",
            ),
            (
                sends(&data.callback.capture) || sends(&data.token.capture),
                "it wants back a value that comes with the person, which is not supported yet",
            ),
            (data.redirect.named, "it knows redirect URIs by a name only, which is not supported yet"),
        ];
        needs.into_iter().find_map(|(needed, why)| needed.then(|| format!("{why}; paste a token")))
    }
}
