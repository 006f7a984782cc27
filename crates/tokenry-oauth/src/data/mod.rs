//! What a provider's data file may say. README.md explains each word for the people who write the files.

mod place;
#[cfg(test)]
mod schema_tests;
mod tokens;

use std::collections::BTreeMap;

use serde::Deserialize;
use tokenry_model::{ProviderId, Scopes};
use url::Url;

pub(crate) use self::place::Place;
pub use self::place::Setting;
pub(crate) use self::place::{names, names_in_host};
pub(crate) use self::tokens::{
    Algorithm, ExpiryData, ExpiryUnit, Method, RefreshData, RevokeAuth, RevokeData, RevokeMethod,
    RevokeTokens, SignedData, Spends, TokenData, TokenIn, UpgradeData,
};
pub use self::tokens::{CountedFrom, Rotation, RotationMode};
use crate::Issuer;

/// How a service lets programs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person says yes, and tokens come by the authorization code grant (RFC 6749 §4.1).
    #[default]
    Oauth2,
    /// OAuth 1.0a (RFC 5849).
    Oauth1,
    /// The program itself is the account (RFC 6749 §4.4).
    ClientCredentials,
    /// A key that a person copies.
    ApiKey,
    /// A user name and a password, or two words that stand for them (RFC 7617).
    Basic,
}

/// One data file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderData {
    pub(crate) id: ProviderId,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) categories: Vec<String>,
    pub(crate) docs_url: Option<Url>,
    pub(crate) issuer: Option<Issuer>,
    #[serde(default)]
    pub(crate) authorize: AuthorizeData,
    #[serde(default)]
    pub(crate) scope: ScopeData,
    #[serde(default)]
    pub(crate) callback: CallbackData,
    #[serde(default)]
    pub(crate) token: TokenData,
    #[serde(default)]
    pub(crate) refresh: RefreshData,
    #[serde(default)]
    pub(crate) rotation: Rotation,
    #[serde(default)]
    pub(crate) expiry: ExpiryData,
    #[serde(default)]
    pub(crate) revoke: RevokeData,
    #[serde(default)]
    pub(crate) identity: IdentityData,
    #[serde(default)]
    pub(crate) errors: ErrorData,
    #[serde(default)]
    pub(crate) api: ApiData,
    #[serde(default)]
    pub(crate) pkce: PkceData,
    #[serde(default)]
    pub(crate) redirect: RedirectData,
    #[serde(default)]
    pub(crate) device: DeviceData,
    #[serde(default)]
    pub(crate) oauth1: Oauth1Data,
    #[serde(default)]
    pub(crate) credential: CredentialData,
    /// What differs from connection to connection, by the names of the placeholders.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Setting>,
}

impl ProviderData {
    /// The data of a provider that only the operator knows: the standards, and nothing besides.
    pub(crate) fn standard(id: ProviderId) -> Self {
        Self {
            name: id.to_string(),
            id,
            kind: Kind::default(),
            aliases: Vec::new(),
            categories: Vec::new(),
            docs_url: None,
            issuer: None,
            authorize: AuthorizeData::default(),
            scope: ScopeData::default(),
            callback: CallbackData::default(),
            token: TokenData::default(),
            refresh: RefreshData::default(),
            rotation: Rotation::default(),
            expiry: ExpiryData::default(),
            revoke: RevokeData::default(),
            identity: IdentityData::default(),
            errors: ErrorData::default(),
            api: ApiData::default(),
            pkce: PkceData::default(),
            redirect: RedirectData::default(),
            device: DeviceData::default(),
            oauth1: Oauth1Data::default(),
            credential: CredentialData::default(),
            config: BTreeMap::new(),
        }
    }

    /// Every URL that may hold placeholders.
    pub(crate) fn places(&self) -> Vec<&Place> {
        self.secret_places().into_iter().chain([&self.identity.url, &self.api.base_url]).flatten().collect()
    }

    /// The places without which tokens cannot be had and kept.
    pub(crate) fn places_of_tokens(&self) -> [&Option<Place>; 3] {
        [&self.authorize.url, &self.token.url, &self.refresh.url]
    }

    /// Whether people are sent to the same place, and codes too: the same addresses, with the same limits on what may stand
    /// in them.
    pub(crate) fn has_endpoints_of(&self, other: &Self) -> bool {
        let limits = |data: &Self, name: &str| {
            data.config.get(name).map(|setting| (setting.pattern, setting.one_of.clone()))
        };
        let names = [&self.authorize.url, &self.token.url].into_iter().flatten().flat_map(Place::names);
        self.authorize.url == other.authorize.url
            && self.token.url == other.token.url
            && names.into_iter().all(|name| limits(self, name) == limits(other, name))
    }

    /// The places that see the client's secret, and the one that sends people to them.
    pub(crate) fn secret_places(&self) -> [&Option<Place>; 5] {
        [&self.authorize.url, &self.token.url, &self.refresh.url, &self.device.url, &self.revoke.url]
    }

    /// The same, to be changed.
    pub(crate) fn secret_places_mut(&mut self) -> [&mut Option<Place>; 5] {
        [
            &mut self.authorize.url,
            &mut self.token.url,
            &mut self.refresh.url,
            &mut self.device.url,
            &mut self.revoke.url,
        ]
    }

    /// Puts values into the URLs: `guarded` into those that see the client's secret, `values` into the others.
    pub(crate) fn fill(&mut self, values: &BTreeMap<String, String>, guarded: &BTreeMap<String, String>) {
        for place in self.secret_places_mut().into_iter().flatten() {
            place.fill(guarded);
        }
        for place in [&mut self.identity.url, &mut self.api.base_url].into_iter().flatten() {
            place.fill(values);
        }
    }

    /// A name in a URL that nothing can fill in. Captured values may stand in the API's address only: where tokens go is
    /// not for an answer to say.
    pub(crate) fn unknown_name(&self) -> Option<&str> {
        let is_setting = |name: &&str| self.config.contains_key(*name);
        let captured =
            |name: &&str| self.token.capture.contains_key(*name) || self.callback.capture.contains_key(*name);
        let base = self.api.base_url.as_ref();
        let rest = self
            .places()
            .into_iter()
            .filter(|place| base != Some(*place) && self.revoke.url.as_ref() != Some(*place));
        let revoke = self.revoke.url.iter().flat_map(Place::names).filter(|name| *name != "client_id");
        let base = base.into_iter().flat_map(Place::names).filter(|name| !captured(name));
        rest.flat_map(Place::names).chain(revoke).chain(base).find(|name| !is_setting(name))
    }

    /// The settings that have a default.
    pub(crate) fn defaults(&self) -> BTreeMap<String, String> {
        self.config.iter().filter_map(|(name, c)| Some((name.clone(), c.default.clone()?))).collect()
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthorizeData {
    pub(crate) url: Option<Place>,
    pub(crate) params: BTreeMap<String, String>,
    /// The standard's name of a parameter, and the provider's.
    pub(crate) rename: BTreeMap<String, String>,
    /// Parameters of the standard that the provider does not bear.
    pub(crate) drop: Vec<String>,
    /// Behind the `#`.
    pub(crate) fragment: Option<String>,
    /// Where the request is pushed first (RFC 9126).
    pub(crate) pushed_url: Option<Url>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScopeData {
    pub(crate) separator: String,
    pub(crate) granted_separator: Option<String>,
    pub(crate) default: Scopes,
    /// Always asked for besides, so that a refresh token comes.
    pub(crate) offline: Scopes,
    /// The parameter that carries the scopes.
    pub(crate) param: String,
    /// Another parameter with a list of scopes of its own.
    pub(crate) second_param: Option<String>,
    /// What to ask for there.
    pub(crate) second: Scopes,
    /// What people usually ask for, and what it is good for.
    pub(crate) common: BTreeMap<String, String>,
}

impl Default for ScopeData {
    fn default() -> Self {
        Self {
            separator: " ".to_owned(),
            granted_separator: None,
            default: Scopes::default(),
            offline: Scopes::default(),
            param: "scope".to_owned(),
            second_param: None,
            second: Scopes::default(),
            common: BTreeMap::new(),
        }
    }
}

impl ScopeData {
    /// Reads the scopes of an answer.
    pub(crate) fn granted(&self, text: &str) -> Scopes {
        Scopes::split(text, self.granted_separator.as_ref().unwrap_or(&self.separator))
    }

    /// What is asked for: the scopes, and those without which no refresh token comes.
    pub(crate) fn asked(&self, scopes: &Scopes) -> Scopes {
        scopes.iter().chain(self.offline.iter()).collect()
    }
}

/// A value that comes back with the person or with the tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// Where it is, in a token answer; by default, the member of that name.
    pub at: Option<String>,
    /// What it must look like.
    pub(crate) pattern: place::Pattern,
    /// Whether the token endpoint wants it back, in the exchange and in each refresh.
    #[serde(default)]
    pub send: bool,
}

impl Capture {
    /// Whether the value looks as it must.
    pub fn accepts(&self, value: &str) -> bool {
        self.pattern.fits(value)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CallbackData {
    /// The parameter with the code.
    pub(crate) code_param: String,
    pub(crate) capture: BTreeMap<String, Capture>,
}

impl Default for CallbackData {
    fn default() -> Self {
        Self { code_param: "code".to_owned(), capture: BTreeMap::new() }
    }
}

/// How the fields of a request are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    #[default]
    Form,
    Json,
}

/// Where the account is described.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdentityFrom {
    /// At `identity.url`.
    #[default]
    Url,
    /// In the answer of the exchange itself.
    Token,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IdentityData {
    pub(crate) from: IdentityFrom,
    pub(crate) url: Option<Place>,
    pub(crate) method: Method,
    pub(crate) encoding: Encoding,
    /// Fields of a request that is a POST.
    pub(crate) params: BTreeMap<String, String>,
    /// Paths, the first that is there counts.
    pub(crate) account_id: Vec<String>,
    /// Paths, the first that is there counts.
    pub(crate) account_label: Vec<String>,
}

impl Default for IdentityData {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect();
        Self {
            from: IdentityFrom::default(),
            url: None,
            method: Method::Get,
            encoding: Encoding::default(),
            params: BTreeMap::new(),
            account_id: words(&["sub", "id"]),
            account_label: words(&["preferred_username", "email", "name"]),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ErrorData {
    /// Besides `invalid_grant`.
    #[serde(rename = "final")]
    pub(crate) final_: Vec<String>,
    /// Besides `invalid_client` and `unauthorized_client`.
    pub(crate) operator: Vec<String>,
    /// Besides `temporarily_unavailable` and `server_error`.
    pub(crate) passing: Vec<String>,
    /// The path of an error's code, where it is not at `error`.
    pub(crate) code_at: Option<String>,
    /// The path of the words to it.
    pub(crate) message_at: Option<String>,
    /// Codes that say that all is well.
    pub(crate) none: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApiData {
    pub(crate) base_url: Option<Place>,
    pub(crate) hosts: Vec<String>,
    /// The header with the credential.
    pub(crate) header: String,
    /// The word before the credential; empty: there is none.
    pub(crate) scheme: String,
    /// Further headers of every call. A value may hold `{client_id}`.
    pub(crate) headers: BTreeMap<String, String>,
    /// The parameter that carries the credential where no header does.
    pub(crate) query_param: Option<String>,
}

impl Default for ApiData {
    fn default() -> Self {
        Self {
            base_url: None,
            hosts: Vec::new(),
            header: "Authorization".to_owned(),
            scheme: "Bearer".to_owned(),
            headers: BTreeMap::new(),
            query_param: None,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PkceMode {
    #[default]
    On,
    /// The provider refuses to do without.
    Required,
    Off,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PkceData {
    pub(crate) mode: PkceMode,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedirectData {
    pub(crate) refuses_localhost: bool,
    /// Plain `http` is refused, on `localhost` as well.
    pub(crate) https_only: bool,
    /// A name from the registration stands in place of the URI.
    pub(crate) named: bool,
}

/// How the client names itself at the device authorization endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeviceAuth {
    /// As at the token endpoint (RFC 8628 §3.1).
    #[default]
    AsToken,
    /// Only the id.
    None,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DeviceData {
    /// The device authorization endpoint (RFC 8628 §3.1).
    pub(crate) url: Option<Place>,
    pub(crate) auth: DeviceAuth,
    /// The field with the scopes.
    pub(crate) scope_param: String,
    /// Whether the scopes are sent again with every question whether the person has said yes.
    pub(crate) send_scope: bool,
}

impl Default for DeviceData {
    fn default() -> Self {
        Self { url: None, auth: DeviceAuth::default(), scope_param: "scope".to_owned(), send_scope: false }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Oauth1Data {
    /// Where temporary credentials are had (RFC 5849 §2.1).
    pub(crate) request_url: Option<Url>,
}

/// What a person copies where there is nothing to say yes to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CredentialData {
    /// What the service calls it.
    pub(crate) what: Option<String>,
    /// With `basic`: what stands before the colon.
    pub(crate) user: Option<String>,
    /// With `basic`: what stands behind it.
    pub(crate) password: Option<String>,
    /// Where it is made.
    pub(crate) url: Option<Url>,
}
