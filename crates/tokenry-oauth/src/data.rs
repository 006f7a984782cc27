//! What a provider's data file may say. README.md explains each word for the people who write the files.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokenry_model::{ProviderId, Scopes};
use url::Url;

use crate::{ClientAuth, Issuer};

/// One data file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderData {
    pub(crate) id: ProviderId,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    pub(crate) docs_url: Option<Url>,
    pub(crate) issuer: Option<Issuer>,
    #[serde(default)]
    pub(crate) authorize: AuthorizeData,
    #[serde(default)]
    pub(crate) scope: ScopeData,
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
}

impl ProviderData {
    /// The data of a provider that only the operator knows: the standards, and nothing besides.
    pub(crate) fn standard(id: ProviderId) -> Self {
        Self {
            name: id.to_string(),
            id,
            aliases: Vec::new(),
            docs_url: None,
            issuer: None,
            authorize: AuthorizeData::default(),
            scope: ScopeData::default(),
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
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizeData {
    pub(crate) url: Option<Url>,
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScopeData {
    pub(crate) separator: String,
    pub(crate) granted_separator: Option<String>,
    pub(crate) default: Scopes,
}

impl Default for ScopeData {
    fn default() -> Self {
        Self { separator: " ".to_owned(), granted_separator: None, default: Scopes::default() }
    }
}

impl ScopeData {
    /// Reads the scopes of an answer.
    pub(crate) fn granted(&self, text: &str) -> Scopes {
        Scopes::split(text, self.granted_separator.as_ref().unwrap_or(&self.separator))
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

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenData {
    pub(crate) url: Option<Url>,
    pub(crate) auth: Option<ClientAuth>,
    #[serde(default)]
    pub(crate) encoding: Encoding,
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
    /// Where in the answer the fields are: a path such as `authed_user`.
    pub(crate) answer_at: Option<String>,
    /// Token types that are as good as `Bearer` here.
    #[serde(default)]
    pub(crate) token_types: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RefreshData {
    pub(crate) url: Option<Url>,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) send_scope: bool,
}

/// What becomes of a refresh token when it is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationMode {
    /// It stays the same.
    Keep,
    /// A new one may come.
    #[default]
    Optional,
    /// A new one comes each time, and the old one is spent.
    Always,
}

/// From when the life of a refresh token is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedFrom {
    /// From the moment the person said yes: refreshing does not extend it.
    #[default]
    Consent,
    /// From the moment this refresh token was issued.
    Issue,
}

/// How long refresh tokens live and how they are replaced.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    /// What becomes of a refresh token when it is used.
    pub mode: RotationMode,
    /// For how many seconds after its use a spent refresh token still gives the same answer. 0: it does not.
    pub grace_s: u64,
    /// After how many seconds without use a refresh token dies.
    pub idle_ttl_s: Option<u64>,
    /// After how many seconds the grant dies, used or not.
    pub absolute_ttl_s: Option<u64>,
    /// From when `absolute_ttl_s` is counted.
    pub absolute_ttl_from: CountedFrom,
    /// Whether a spent refresh token that is used again ends the whole grant.
    pub reuse_revokes: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpiryData {
    pub(crate) default_s: Option<u64>,
    pub(crate) leeway_s: Option<u64>,
}

/// The methods by which tokens are revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RevokeMethod {
    #[default]
    Post,
    Delete,
}

/// How the client names itself when it revokes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RevokeAuth {
    /// As at the token endpoint.
    #[default]
    AsToken,
    Basic,
    Body,
    None,
    /// Not at all: the token alone says it.
    Omit,
}

/// Which tokens of a grant have to be sent to end it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RevokeTokens {
    /// The refresh token, then the access token (RFC 7009 §2.1 leaves it open whether one ends the other).
    #[default]
    Both,
    /// The refresh token, or the access token where there is none: one ends the other.
    One,
    /// The access token only.
    Access,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RevokeData {
    /// May hold `{client_id}`.
    pub(crate) url: Option<String>,
    pub(crate) method: RevokeMethod,
    pub(crate) auth: RevokeAuth,
    pub(crate) encoding: Encoding,
    pub(crate) token_param: String,
    pub(crate) tokens: RevokeTokens,
    pub(crate) shared: bool,
    pub(crate) gone: Vec<u16>,
}

impl Default for RevokeData {
    fn default() -> Self {
        Self {
            url: None,
            method: RevokeMethod::default(),
            auth: RevokeAuth::default(),
            encoding: Encoding::default(),
            token_param: "token".to_owned(),
            tokens: RevokeTokens::default(),
            shared: false,
            gone: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IdentityData {
    pub(crate) url: Option<Url>,
    /// Paths, the first that is there counts.
    pub(crate) account_id: Vec<String>,
    /// Paths, the first that is there counts.
    pub(crate) account_label: Vec<String>,
}

impl Default for IdentityData {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect();
        Self {
            url: None,
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
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApiData {
    pub(crate) base_url: Option<Url>,
    pub(crate) hosts: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PkceMode {
    #[default]
    On,
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
}
