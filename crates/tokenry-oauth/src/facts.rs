//! What the data say of a provider, for people to read and act on.

use std::time::Duration;

use tokenry_model::Scopes;

use crate::data::Place;
use crate::{Kind, Provider};

/// The JSON Schema (2020-12) of provider files, for editors.
pub const PROVIDER_SCHEMA: &str = include_str!("../provider.schema.json");

impl Kind {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Oauth2, Self::Oauth1, Self::ClientCredentials, Self::ApiKey, Self::Basic];

    /// The word of the data files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Oauth2 => "oauth2",
            Self::Oauth1 => "oauth1",
            Self::ClientCredentials => "client_credentials",
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
        }
    }
}

impl Provider {
    /// How long an access token lives when the answer with it does not say. `None`: nobody says.
    pub fn access_token_life(&self) -> Option<Duration> {
        self.data.expiry.default_s.map(Duration::from_secs)
    }

    /// Whether access tokens do not expire, whatever an answer says.
    pub const fn access_token_never_expires(&self) -> bool {
        self.data.expiry.never
    }

    /// Whether the provider refuses `localhost` in redirect URIs, so that `127.0.0.1` is said for it.
    pub const fn redirect_refuses_localhost(&self) -> bool {
        self.data.redirect.refuses_localhost
    }

    /// Whether a name that the provider gives to the redirect URI stands in its place.
    pub const fn redirect_has_a_name(&self) -> bool {
        self.data.redirect.named
    }

    /// Whether there is an endpoint that ends a grant. With discovery, whether there may be one.
    pub fn has_revocation_endpoint(&self) -> bool {
        self.data.revoke.url.is_some() || self.discovers()
    }

    /// Scopes that are asked for besides those of the caller, so that a refresh token comes.
    pub const fn offline_scopes(&self) -> &Scopes {
        &self.data.scope.offline
    }

    /// Whether the endpoints are asked of the issuer.
    pub fn is_discovered(&self) -> bool {
        self.discovers()
    }

    /// Where a person is sent, and where codes are spent: the word of the data file and the address, which may hold
    /// `{names}` that differ from connection to connection. Those that come by discovery are not among them.
    pub fn endpoints(&self) -> Vec<(&'static str, String)> {
        let data = &self.data;
        let named = [
            ("authorize.url", &data.authorize.url),
            ("token.url", &data.token.url),
            ("refresh.url", &data.refresh.url),
        ];
        named
            .into_iter()
            .filter_map(|(word, place)| {
                let text = match place.as_ref()? {
                    Place::Url(url) => url.to_string(),
                    Place::Template(text) => text.clone(),
                };
                Some((word, text))
            })
            .collect()
    }
}
