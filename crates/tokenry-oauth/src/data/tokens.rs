//! What a data file says about tokens: how they are had, kept fresh and given back.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use super::{Capture, Encoding, Place};
use crate::ClientAuth;

/// The methods by which the token endpoint is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    /// The fields are in the body.
    #[default]
    Post,
    /// The fields are in the query. Against RFC 6749 §3.2, and some know nothing else.
    Get,
}

/// How a JWT is signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// What the client signs to name itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignedData {
    /// For whom it is: `issuer`, or the words themselves; by default, the token endpoint.
    pub(crate) audience: Option<String>,
    /// For how many seconds it holds.
    pub(crate) ttl_s: u32,
    /// The only algorithm that is taken; by default, what the key is made for.
    pub(crate) alg: Option<Algorithm>,
}

impl Default for SignedData {
    fn default() -> Self {
        Self { audience: None, ttl_s: 60, alg: None }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TokenData {
    pub(crate) url: Option<Place>,
    pub(crate) method: Method,
    pub(crate) auth: Option<ClientAuth>,
    pub(crate) encoding: Encoding,
    /// Further headers of every request there. A value may hold `{client_id}`.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) params: BTreeMap<String, String>,
    /// The standard's name of a field, and the provider's; in every request there.
    pub(crate) rename: BTreeMap<String, String>,
    /// Fields of the standard that the provider does not bear.
    pub(crate) drop: Vec<String>,
    /// Where in the answer the fields are: a path such as `authed_user`.
    pub(crate) answer_at: Option<String>,
    /// The standard's name of a member of the answer, and the path at which it is here.
    pub(crate) fields: BTreeMap<String, String>,
    /// Values of the answer that are worth keeping.
    pub(crate) capture: BTreeMap<String, Capture>,
    /// Token types that are as good as `Bearer` here.
    pub(crate) token_types: Vec<String>,
    /// What the client signs, where it authenticates with a key.
    pub(crate) signed: SignedData,
    /// How the first access token is exchanged for one that lives longer, at once.
    pub(crate) upgrade: Option<UpgradeData>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpgradeData {
    pub(crate) url: Url,
    #[serde(default)]
    pub(crate) method: Method,
    pub(crate) grant: String,
    /// The field with the first access token.
    pub(crate) token_param: String,
}

/// What is spent to get a fresh access token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Spends {
    #[default]
    RefreshToken,
    /// The access token itself, while it lives.
    AccessToken,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RefreshData {
    pub(crate) url: Option<Place>,
    pub(crate) method: Method,
    pub(crate) grant: String,
    pub(crate) spends: Spends,
    /// The field with what is spent.
    pub(crate) token_param: String,
    pub(crate) params: BTreeMap<String, String>,
    /// Fields of the standard that are left out.
    pub(crate) drop: Vec<String>,
    pub(crate) send_scope: bool,
    /// A younger access token is not refreshed, in seconds.
    pub(crate) min_age_s: u64,
    /// How many refreshes a second the provider bears.
    pub(crate) rate_per_s: Option<u32>,
}

impl Default for RefreshData {
    fn default() -> Self {
        Self {
            url: None,
            method: Method::default(),
            grant: "refresh_token".to_owned(),
            spends: Spends::default(),
            token_param: "refresh_token".to_owned(),
            params: BTreeMap::new(),
            drop: Vec::new(),
            send_scope: false,
            min_age_s: 0,
            rate_per_s: None,
        }
    }
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

/// In what an answer counts the life of a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExpiryUnit {
    #[default]
    Seconds,
    Milliseconds,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExpiryData {
    pub(crate) default_s: Option<u64>,
    pub(crate) leeway_s: Option<u64>,
    pub(crate) unit: ExpiryUnit,
    /// Whatever the answer says, the access token does not expire.
    pub(crate) never: bool,
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

/// Where the token stands that is given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenIn {
    /// Among the fields.
    #[default]
    Body,
    /// In the header with which the API is called; there are no fields then, but the fixed ones.
    Header,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RevokeData {
    /// May hold `{client_id}` and the names of settings.
    pub(crate) url: Option<Place>,
    pub(crate) method: RevokeMethod,
    pub(crate) auth: RevokeAuth,
    pub(crate) encoding: Encoding,
    pub(crate) token_param: String,
    pub(crate) token_in: TokenIn,
    /// Fixed fields.
    pub(crate) params: BTreeMap<String, String>,
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
            token_in: TokenIn::default(),
            params: BTreeMap::new(),
            tokens: RevokeTokens::default(),
            shared: false,
            gone: Vec::new(),
        }
    }
}
