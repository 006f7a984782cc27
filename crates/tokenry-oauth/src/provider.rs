//! A provider as it stands: its data, with what the operator configured laid over them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokenry_model::{ProviderId, Scopes};
use url::Url;

use crate::data::{PkceMode, Place, ProviderData, RevokeAuth, TokenAuth};
use crate::{Capture, ClientAuth, Issuer, Kind, Lifetime, OAuthError, Rotation, Setting, TokenSet};

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
}

/// Whether a secret is there, not what it is.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.as_ref().map(|_| "[redacted]"))
            .field("issuer", &self.issuer.as_ref().map(Issuer::as_str))
            .field("token_url", &self.token_url.as_ref().map(Url::as_str))
            .finish_non_exhaustive()
    }
}

/// A provider: data and settings in one.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// What people call it.
    pub name: String,
    /// Other words for it, such as `git` for `github`.
    pub aliases: Vec<String>,
    pub(crate) data: ProviderData,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<SecretString>,
    /// Endpoints come from the issuer's metadata where the data name none.
    pub(crate) discovers: bool,
    /// The operator defined it; it is no built-in one, changed or not.
    pub(crate) custom: bool,
    /// Where its description comes from.
    pub(crate) source: Source,
    /// The callback is not the one that the built-in providers share.
    pub(crate) own_callback: bool,
    own_account_id: Option<String>,
}

/// Where the description of a provider comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It comes with Tokenry.
    BuiltIn,
    /// A file of the operator's, by its name.
    File(String),
    /// The configuration alone.
    Configuration,
}

impl Provider {
    /// Lays the settings over the data. `custom`: there is no data file of it.
    pub(crate) fn new(mut data: ProviderData, settings: ProviderSettings, custom: bool) -> Self {
        let discovers = settings.issuer.is_some()
            || (data.kind == Kind::Oauth2
                && data.issuer.is_some()
                && data.authorize.url.is_none()
                && data.token.url.is_none());
        if settings.issuer.is_some() {
            // The built-in endpoints belong to another issuer.
            let standard = ProviderData::standard(data.id.clone());
            data.authorize.url = None;
            data.token.url = None;
            data.token.auth = None;
            data.refresh.url = None;
            data.revoke = standard.revoke;
            data.identity.url = None;
            data.issuer = settings.issuer;
            if custom {
                // Enough to name the account in a word that its owner knows.
                data.scope.default = ["openid", "profile"].into_iter().collect();
            }
        }
        if settings.token_url.is_some() {
            data.refresh.url = None;
        }
        if !discovers && (settings.token_url.is_some() || settings.authorize_url.is_some()) {
            // Nobody says who stands behind the new endpoints.
            data.issuer = None;
        }
        replace(&mut data.authorize.url, settings.authorize_url.map(Place::Url));
        replace(&mut data.token.url, settings.token_url.map(Place::Url));
        replace(&mut data.revoke.url, settings.revoke_url.map(|url| unescape_template(url.as_str())));
        replace(&mut data.identity.url, settings.userinfo_url.map(Place::Url));
        if data.revoke.url.as_ref().is_some_and(|url| url.replace("{client_id}", "").contains('{')) {
            // Nobody has said where it is for this account.
            data.revoke.url = None;
        }
        let has_secret =
            settings.client_secret.as_ref().is_some_and(|secret| !secret.expose_secret().is_empty());
        if settings.client_id.is_some() && !has_secret && settings.pkce != Some(false) {
            // An id alone is a public client: PKCE stands in for the secret (RFC 7636). Said otherwise below, it is not.
            data.token.auth = Some(TokenAuth::None);
        }
        replace(&mut data.token.auth, settings.token_auth.map(TokenAuth::from));
        if let Some(scopes) = settings.scopes {
            data.scope.default = scopes;
        }
        if let Some(separator) = settings.scope_separator {
            data.scope.separator = separator;
        }
        if let Some(name) = settings.name {
            data.name = name;
        }
        if let Some(path) = &settings.account_id {
            data.identity.account_id = vec![path.clone()];
        }
        if let Some(on) = settings.pkce {
            data.pkce.mode = if on { PkceMode::On } else { PkceMode::Off };
        }
        if let Some(path) = settings.account_label {
            data.identity.account_label = vec![path];
        }
        Self {
            id: data.id.clone(),
            name: data.name.clone(),
            aliases: data.aliases.clone(),
            client_id: settings.client_id.filter(|id| !id.is_empty()),
            client_secret: settings.client_secret.filter(|secret| !secret.expose_secret().is_empty()),
            discovers,
            custom,
            source: if custom { Source::Configuration } else { Source::BuiltIn },
            own_callback: custom,
            own_account_id: settings.account_id,
            data,
        }
    }

    /// The client id, once the operator has configured one.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Whether the operator defined it, in contrast to a built-in one (with or without changes).
    pub const fn is_custom(&self) -> bool {
        self.custom
    }

    /// Whether the other is the same in every word and secret.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let secret = |p: &Self| p.client_secret.as_ref().map(|s| s.expose_secret().to_owned());
        // What is printed is everything but the secrets.
        format!("{self:?}") == format!("{other:?}") && secret(self) == secret(other)
    }

    /// Where its description comes from. What is configured besides is laid over it.
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Whether it has a callback of its own, `<public URL>/callback/<id>`: the operator's providers have, and the
    /// built-in ones whose authorize or token endpoint the operator replaced. The others share `<public URL>/callback`,
    /// which is safe among them only because nobody can say where their endpoints are (RFC 9700 §4.4.2).
    pub const fn has_own_callback(&self) -> bool {
        self.own_callback
    }

    /// The redirect URI to register at the provider: `<public URL>/callback`, or `<public URL>/callback/<id>` where
    /// [`has_own_callback`](Self::has_own_callback), so that one cannot pass for another.
    ///
    /// Where the provider refuses `localhost`, the same place is called `127.0.0.1` (RFC 8252 §7.3).
    pub fn redirect_uri(&self, public_url: &Url) -> Url {
        let mut url = public_url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let mut path = format!("{}/callback", public_url.path().trim_end_matches('/'));
        if self.own_callback {
            path.push('/');
            path.push_str(self.id.as_str());
        }
        url.set_path(&path);
        if self.data.redirect.refuses_localhost && url.host_str() == Some("localhost") {
            // Cannot fail: the URL has a host already.
            let _ = url.set_host(Some("127.0.0.1"));
        }
        url
    }

    /// Whether it is set up with an id alone, as a public client.
    pub fn is_public_client(&self) -> bool {
        self.client_id.is_some() && self.client_secret.is_none()
    }

    /// What the service calls the thing that a person pastes.
    pub fn credential_name(&self) -> &str {
        self.data.credential.what.as_deref().unwrap_or(match self.data.kind {
            Kind::ApiKey => "API key",
            Kind::Basic => "user:password",
            Kind::Oauth2 | Kind::Oauth1 | Kind::ClientCredentials => "access token",
        })
    }

    /// Where the thing that a person pastes is made.
    pub const fn credential_url(&self) -> Option<&Url> {
        self.data.credential.url.as_ref()
    }

    /// How the service lets programs in.
    pub const fn kind(&self) -> Kind {
        self.data.kind
    }

    /// What the service is for, in one or more words of a fixed list.
    pub fn categories(&self) -> &[String] {
        &self.data.categories
    }

    /// Scopes that people usually need, and what each is good for.
    pub const fn common_scopes(&self) -> &BTreeMap<String, String> {
        &self.data.scope.common
    }

    /// What differs from connection to connection, by the names of the placeholders in the URLs.
    pub const fn settings(&self) -> &BTreeMap<String, Setting> {
        &self.data.config
    }

    /// Values that come back with the person and are worth keeping, by the names of the parameters.
    pub const fn callback_captures(&self) -> &BTreeMap<String, Capture> {
        &self.data.callback.capture
    }

    /// Values of the token answer that are worth keeping, by their names.
    pub const fn token_captures(&self) -> &BTreeMap<String, Capture> {
        &self.data.token.capture
    }

    /// The device authorization endpoint (RFC 8628 §3.1), where there is one.
    pub const fn device_authorization_url(&self) -> Option<&Url> {
        self.data.device.url.as_ref()
    }

    /// How old an access token must be before it can be refreshed.
    pub const fn min_refresh_age(&self) -> Duration {
        Duration::from_secs(self.data.refresh.min_age_s)
    }

    /// The query parameter that carries the credential, where the API reads no header.
    pub fn api_query_param(&self) -> Option<&str> {
        self.data.api.query_param.as_deref()
    }

    /// With [`Kind::Basic`]: what stands before and behind the colon.
    pub fn basic_parts(&self) -> Option<(&str, &str)> {
        let credential = &self.data.credential;
        Some((credential.user.as_deref()?, credential.password.as_deref()?))
    }

    /// Whether the provider refuses plain `http` in redirect URIs, on `localhost` as well.
    pub const fn redirect_must_be_https(&self) -> bool {
        self.data.redirect.https_only
    }

    /// Gives the fields of a request the names that the provider has for them.
    pub(crate) fn rename(&self, fields: &mut [(String, String)]) {
        for (name, _) in fields {
            if let Some(theirs) = self.data.token.rename.get(name) {
                name.clone_from(theirs);
            }
        }
    }

    /// The header by which the API is called, with the credential in it.
    pub(crate) fn credential(&self, token: &SecretString) -> Result<(HeaderName, HeaderValue), OAuthError> {
        let api = &self.data.api;
        let token = token.expose_secret();
        let value = if api.scheme.is_empty() { token.to_owned() } else { format!("{} {token}", api.scheme) };
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| OAuthError::nonsense("the access token does not fit into a header"))?;
        value.set_sensitive(true);
        let name = HeaderName::try_from(api.header.as_str())
            .map_err(|_| OAuthError::nonsense("the data name no usable header for the token"))?;
        Ok((name, value))
    }

    /// Headers from the data, with the client id where they want it.
    pub(crate) fn headers(&self, data: &BTreeMap<String, String>) -> Result<HeaderMap, OAuthError> {
        let client_id = self.client_id.as_deref().unwrap_or_default();
        let one = |(name, value): (&String, &String)| {
            let value = HeaderValue::try_from(value.replace("{client_id}", client_id)).ok()?;
            Some((HeaderName::try_from(name.as_str()).ok()?, value))
        };
        data.iter().map(one).collect::<Option<HeaderMap>>().ok_or_else(|| {
            OAuthError::nonsense("a header of the data, or the client id in it, cannot be sent")
        })
    }

    /// Whether the provider has a way to revoke that can be used here. With discovery, whether it may have
    /// one.
    pub fn revokes(&self) -> bool {
        let can_authenticate = match self.data.revoke.auth {
            RevokeAuth::Basic | RevokeAuth::Body => self.client_secret.is_some(),
            RevokeAuth::AsToken | RevokeAuth::None | RevokeAuth::Omit => true,
        };
        can_authenticate && (self.data.revoke.url.is_some() || self.discovers)
    }

    /// Whether revoking one grant ends the others that the same account has given to this client. Then only
    /// the last connection of an account may be revoked.
    pub const fn revocation_is_shared(&self) -> bool {
        self.data.revoke.shared
    }

    /// The scopes that are asked for when nobody says otherwise.
    pub const fn default_scopes(&self) -> &Scopes {
        &self.data.scope.default
    }

    /// Where the provider says how to register.
    pub const fn docs_url(&self) -> Option<&Url> {
        self.data.docs_url.as_ref()
    }

    /// The issuer, where one is known.
    pub const fn issuer(&self) -> Option<&Issuer> {
        self.data.issuer.as_ref()
    }

    /// How long refresh tokens live and how they are replaced.
    pub const fn rotation(&self) -> &Rotation {
        &self.data.rotation
    }

    /// The root of the provider's API.
    pub fn api_base_url(&self) -> Option<&Url> {
        self.data.api.base_url.as_ref().and_then(Place::url)
    }

    /// The hosts that may see the access token. `*.example.org` stands for every host below `example.org`.
    pub fn api_hosts(&self) -> &[String] {
        &self.data.api.hosts
    }

    /// How long the access token lives and how much earlier it is due. `None`: it does not expire, or
    /// nobody says.
    pub fn lifetime(&self, tokens: &TokenSet) -> Option<Lifetime> {
        let expiry = &self.data.expiry;
        let expires_in = tokens.expires_in.or_else(|| expiry.default_s.map(Duration::from_secs))?;
        Some(Lifetime::new(expires_in, expiry.leeway_s))
    }

    /// Whether the account id is to be read at a place the operator named, in place of `sub`.
    pub(crate) const fn has_own_account_id(&self) -> bool {
        self.own_account_id.is_some()
    }

    pub(crate) fn uses_pkce(&self) -> bool {
        self.data.pkce.mode != PkceMode::Off
    }

    /// The client id, or an error that says what is missing.
    pub(crate) fn require_client_id(&self) -> Result<&str, OAuthError> {
        self.client_id.as_deref().ok_or_else(|| self.missing("client_id"))
    }

    pub(crate) fn missing(&self, what: &'static str) -> OAuthError {
        OAuthError::NotConfigured { provider: self.id.to_string(), what: vec![what] }
    }
}

fn replace<T>(place: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *place = new;
    }
}

/// A URL type writes the braces of `{client_id}` as `%7B` and `%7D`.
fn unescape_template(url: &str) -> String {
    url.replace("%7Bclient_id%7D", "{client_id}")
}
