//! A provider as it stands: its data, with what the operator configured laid over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokenry_model::{ProviderId, Scopes};
use url::Url;

use crate::client_auth::{ClientKey, basic_header};
use crate::data::{PkceMode, Place, ProviderData, RevokeAuth, Spends};
use crate::settings::Blank;
use crate::{
    ClientAuth, Issuer, Kind, Lifetime, OAuthError, ProviderSettings, Rotation, Setting, TokenSet, Values,
};

/// Who says where the endpoints are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KnownBy {
    /// The data.
    Data,
    /// The operator named some of them; what the data say of the rest may be about another place.
    Operator,
    /// The issuer's metadata, where the operator names none.
    Issuer,
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
    pub(crate) known_by: KnownBy,
    /// Where its description comes from.
    pub(crate) source: Source,
    pub(crate) callback: CallbackPath,
    pub(crate) key: Option<ClientKey>,
    pub(crate) team_id: Option<String>,
    pub(crate) redirect_name: Option<String>,
    pub(crate) blank: Arc<Blank>,
    /// The settings that the operator fixed.
    pub(crate) fixed: Arc<Values>,
    /// The settings of the connection that this is the provider for.
    pub(crate) chosen: Values,
    /// The client is the connection's, not the operator's.
    pub(crate) has_own_client: bool,
    own_account_id: Option<String>,
}

/// Where the description of a provider comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It comes with Tokenry.
    BuiltIn,
    /// A file of the operator's, by its name: no built-in provider has this id.
    File(String),
    /// A file of the operator's, by its name, that stands in place of a built-in one.
    Replacement(String),
    /// The configuration alone.
    Configuration,
}

/// Which callback the answers come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallbackPath {
    /// That of the built-in providers.
    Shared,
    /// One with the id at its end.
    Own,
}

impl Provider {
    /// Lays the settings over the data. `custom`: there is no data file of it.
    pub(crate) fn new(mut data: ProviderData, settings: ProviderSettings, custom: bool) -> Self {
        // One that cannot be read is as good as none: the catalogue has refused it already.
        let key = settings.signing_key(&data).and_then(Result::ok).map(Arc::new);
        let key = key.map(|key| ClientKey { key, key_id: settings.key_id });
        let names_nothing_else = data.authorize.url.is_none() && data.token.url.is_none();
        let by_data_alone = data.kind == Kind::Oauth2 && data.issuer.is_some() && names_nothing_else;
        let known_by = if settings.issuer.is_some() || by_data_alone {
            KnownBy::Issuer
        } else if settings.token_url.is_some() || settings.authorize_url.is_some() {
            KnownBy::Operator
        } else {
            KnownBy::Data
        };
        if settings.issuer.is_some() {
            // The built-in endpoints belong to another issuer.
            let standard = ProviderData::standard(data.id.clone());
            data.authorize.url = None;
            data.token.url = None;
            data.token.auth = None;
            data.refresh.url = None;
            data.device.url = None;
            data.authorize.pushed_url = None;
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
            // A device's code would be made by one server and spent at another.
            data.device.url = None;
        }
        if known_by == KnownBy::Operator {
            // Nobody says who stands behind the new endpoints.
            data.issuer = None;
        }
        replace(&mut data.authorize.url, settings.authorize_url.map(Place::Url));
        replace(&mut data.token.url, settings.token_url.map(Place::Url));
        replace(&mut data.revoke.url, settings.revoke_url.map(|url| revocation(&url)));
        replace(&mut data.identity.url, settings.userinfo_url.map(Place::Url));
        replace(&mut data.token.auth, settings.token_auth);
        let token_auth = data.token.auth;
        let signs = token_auth.is_some_and(ClientAuth::takes_key);
        let has_secret =
            settings.client_secret.as_ref().is_some_and(|secret| !secret.expose_secret().is_empty());
        let is_told = settings.token_auth.is_some() || settings.pkce == Some(false);
        if data.kind == Kind::Oauth2 && settings.client_id.is_some() && !has_secret && !is_told && !signs {
            // An id alone is a public client: PKCE stands in for the secret (RFC 7636). With a key, the key does.
            data.token.auth = Some(if key.is_some() { ClientAuth::PrivateKeyJwt } else { ClientAuth::None });
        }
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
        let mut provider = Self {
            id: data.id.clone(),
            name: data.name.clone(),
            aliases: data.aliases.clone(),
            client_id: settings.client_id.filter(|id| !id.is_empty()),
            client_secret: settings.client_secret.filter(|secret| !secret.expose_secret().is_empty()),
            known_by,
            key,
            team_id: settings.team_id.filter(|id| !id.is_empty()),
            redirect_name: settings.redirect_name.filter(|name| !name.is_empty()),
            blank: Arc::new(Blank::of(&data, token_auth)),
            fixed: Arc::new(settings.settings),
            chosen: Values::new(),
            has_own_client: false,
            source: if custom { Source::Configuration } else { Source::BuiltIn },
            callback: if custom { CallbackPath::Own } else { CallbackPath::Shared },
            own_account_id: settings.account_id,
            data,
        };
        provider.fill();
        provider
    }

    /// The client id, once the operator has configured one.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Whether the operator defined it, in contrast to a built-in one (with or without changes).
    pub const fn is_custom(&self) -> bool {
        matches!(self.source, Source::File(_) | Source::Configuration)
    }

    /// Where its description comes from. What is configured besides is laid over it.
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Whether it has a callback of its own, `<public URL>/callback/<id>`: the operator's providers have, and the
    /// built-in ones whose authorize or token endpoint the operator replaced, or lies at a host that a setting names and
    /// that is not the usual one. The others share `<public URL>/callback`,
    /// which is safe among them only because nobody can say where their endpoints are (RFC 9700 §4.4.2).
    pub fn has_own_callback(&self) -> bool {
        self.callback == CallbackPath::Own || self.host_is_chosen()
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
        if self.has_own_callback() {
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

    /// What is sent as the redirect URI: it, or the name that the provider has for it.
    pub(crate) fn redirect_sent<'a>(&'a self, uri: &'a Url) -> Result<&'a str, OAuthError> {
        if !self.data.redirect.named {
            return Ok(uri.as_str());
        }
        self.redirect_name.as_deref().ok_or_else(|| self.missing("redirect_name"))
    }

    /// Whether it is set up with an id alone, as a public client.
    pub fn is_public_client(&self) -> bool {
        self.client_id.is_some() && self.client_secret.is_none() && self.key.is_none()
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

    /// The device authorization endpoint (RFC 8628 §3.1), where the data name one.
    pub fn device_authorization_url(&self) -> Option<&Url> {
        self.data.device.url.as_ref().and_then(Place::url)
    }

    /// Whether a person can say yes on another device (RFC 8628). With discovery, whether that may be so.
    pub fn has_device_flow(&self) -> bool {
        self.data.kind == Kind::Oauth2 && (self.device_authorization_url().is_some() || self.discovers())
    }

    /// Whether an access token can be had without the person, by [`OAuth::refresh`](crate::OAuth::refresh), as far as the
    /// data say; some give no refresh token all the same.
    pub const fn refreshes(&self) -> bool {
        matches!(self.data.kind, Kind::Oauth2) && !self.data.expiry.never
    }

    /// Whether a refresh spends the access token itself, which must live for that.
    pub fn spends_access_token(&self) -> bool {
        self.data.refresh.spends == Spends::AccessToken
    }

    /// How many refreshes a second the provider bears, where it says so.
    pub const fn refresh_rate_per_s(&self) -> Option<u32> {
        self.data.refresh.rate_per_s
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

    /// Whether the issuer is asked for the endpoints.
    pub(crate) fn discovers(&self) -> bool {
        self.known_by == KnownBy::Issuer
    }

    /// Gives the fields of a request the names that the provider has for them.
    pub(crate) fn rename(&self, fields: &mut [(String, String)]) {
        for (name, _) in fields {
            if let Some(theirs) = self.data.token.rename.get(name) {
                name.clone_from(theirs);
            }
        }
    }

    /// The header by which the API is called, with the credential in it (RFC 6750 §2.1). With [`Kind::Basic`] the
    /// credential is user and password with a colon between (RFC 7617); without a colon it is the user, and there is no
    /// password. An API that reads no header says so by [`api_query_param`](Self::api_query_param).
    ///
    /// # Errors
    /// [`OAuthError::Nonsense`] when the credential does not fit into a header.
    pub fn authorization(&self, token: &SecretString) -> Result<(HeaderName, HeaderValue), OAuthError> {
        let api = &self.data.api;
        let name = HeaderName::try_from(api.header.as_str())
            .map_err(|_| OAuthError::nonsense("the data name no usable header for the token"))?;
        let token = token.expose_secret();
        if self.data.kind == Kind::Basic {
            let colon = if token.contains(':') { "" } else { ":" };
            return Ok((name, basic_header(&STANDARD.encode(format!("{token}{colon}")))?));
        }
        let value = if api.scheme.is_empty() { token.to_owned() } else { format!("{} {token}", api.scheme) };
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| OAuthError::nonsense("the access token does not fit into a header"))?;
        value.set_sensitive(true);
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
        let is_known = |place: &Place| place.names().iter().all(|name| *name == "client_id");
        can_authenticate && (self.data.revoke.url.as_ref().map_or(self.discovers(), is_known))
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

    /// The client secret, or an error that says what is missing.
    pub(crate) fn require_client_secret(&self) -> Result<&SecretString, OAuthError> {
        self.client_secret.as_ref().ok_or_else(|| self.missing("client_secret"))
    }

    /// The private key, or an error that says what is missing.
    pub(crate) fn require_key(&self) -> Result<&ClientKey, OAuthError> {
        self.key.as_ref().ok_or_else(|| self.missing("private_key"))
    }

    pub(crate) fn not_supported_because(&self, why: impl Into<String>) -> OAuthError {
        OAuthError::NotSupported { provider: self.id.to_string(), why: why.into() }
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
fn revocation(url: &Url) -> Place {
    let text = url.as_str().replace("%7Bclient_id%7D", "{client_id}");
    Place::try_from(text).unwrap_or_else(|_| Place::Url(url.clone()))
}
