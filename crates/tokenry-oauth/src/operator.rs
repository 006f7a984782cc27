//! What an operator configures of a provider.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use tokenry_model::Scopes;
use url::Url;

use crate::data::ProviderData;
use crate::signing::{BadKey, SigningKey};
use crate::{CatalogueError, ClientAuth, Issuer, SettingError, Values};

/// What an operator configures: credentials for a built-in provider, or a provider of their own.
///
/// A provider of one's own needs an `issuer`, or `authorize_url` and `token_url`.
#[derive(Clone, Default)]
pub struct ProviderSettings {
    /// The client id that the provider gave out at registration.
    pub client_id: Option<String>,
    /// The client secret.
    pub client_secret: Option<SecretString>,
    /// The scopes to ask for, in place of the built-in ones.
    pub scopes: Option<Scopes>,
    /// What people call the provider.
    pub name: Option<String>,
    /// Where its endpoints are found by discovery. For a built-in provider this puts the built-in endpoints
    /// out of use.
    pub issuer: Option<Issuer>,
    /// Wins over discovery and over the built-in one, as do the next three.
    pub authorize_url: Option<Url>,
    /// The token endpoint.
    pub token_url: Option<Url>,
    /// The revocation endpoint. May hold `{client_id}`, percent-encoded by the URL type or not.
    pub revoke_url: Option<Url>,
    /// Where the account is described.
    pub userinfo_url: Option<Url>,
    /// How the client authenticates.
    pub token_auth: Option<ClientAuth>,
    /// What stands between scopes in the authorize URL; a space by default.
    pub scope_separator: Option<String>,
    /// Whether PKCE is used. `Some(true)` without a client secret makes a public client.
    pub pkce: Option<bool>,
    /// The userinfo member with the stable account id; by default `sub`, else `id`.
    pub account_id: Option<String>,
    /// The userinfo member with the word a person knows; by default `preferred_username`, `email`, `name`.
    pub account_label: Option<String>,
    /// Settings of all connections, by their names ([`Provider::settings`](crate::Provider::settings)): no person can say otherwise.
    pub settings: Values,
    /// The private key with which the client signs, where it does: PEM with PKCS#8.
    pub private_key: Option<SecretString>,
    /// By what the provider knows the key (`kid`).
    pub key_id: Option<String>,
    /// In whose name a secret is signed.
    pub team_id: Option<String>,
    /// The name that stands in place of the redirect URI, where the provider wants one.
    pub redirect_name: Option<String>,
}

/// Whether a secret is there, not what it is.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.as_ref().map(|_| "[redacted]"))
            .field("private_key", &self.private_key.as_ref().map(|_| "[redacted]"))
            .field("issuer", &self.issuer.as_ref().map(Issuer::as_str))
            .field("token_url", &self.token_url.as_ref().map(Url::as_str))
            .finish_non_exhaustive()
    }
}

impl ProviderSettings {
    /// The private key, read. `None` when there is none.
    pub(crate) fn signing_key(&self, data: &ProviderData) -> Option<Result<SigningKey, BadKey>> {
        let pem = self.private_key.as_ref().filter(|pem| !pem.expose_secret().trim().is_empty())?;
        Some(SigningKey::read(pem, data.token.signed.alg))
    }

    /// Finds at once what would else fail at the first use: a private key that cannot be read, and a setting that the
    /// provider does not know or that does not look as it must.
    pub(crate) fn check(&self, data: &ProviderData) -> Result<(), CatalogueError> {
        if let Some(Err(why)) = self.signing_key(data) {
            return Err(CatalogueError::BadKey { id: data.id.clone(), why: why.to_string() });
        }
        for (name, value) in &self.settings {
            let problem = match data.config.get(name) {
                Some(setting) if setting.accepts(value) => continue,
                Some(setting) => setting.in_words(),
                None => {
                    let known: Vec<&str> = data.config.keys().map(String::as_str).collect();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    format!("there is no such setting; there is {known}")
                }
            };
            let error = SettingError { name: name.clone(), problem };
            return Err(CatalogueError::BadSetting { id: data.id.clone(), error });
        }
        Ok(())
    }
}
