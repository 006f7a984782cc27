//! How tokens are had, kept fresh and given back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(doc)]
use super::ApiQuirks;
use super::Names;

/// How a request is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// With the fields in the body.
    #[default]
    Post,
    /// With the fields in the query.
    Get,
    /// With the fields in the body.
    Delete,
}

/// How fields are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`; for an answer of the token endpoint, its default is JSON instead.
    #[default]
    Form,
    /// JSON.
    Json,
}

/// How a client says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Basic` or the body, as the client likes (RFC 6749 §2.3.1).
    #[default]
    Any,
    /// `Basic` only.
    Basic,
    /// The body only.
    Body,
    /// The id alone, in the body: a public client.
    None,
    /// `Basic` with the secret as the user and an empty password.
    SecretAsBasicUser,
    /// An assertion signed with the key in [`TokenQuirks::keys`] (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// The secret is a short-lived JWT, signed with the key in [`TokenQuirks::keys`].
    SignedSecret,
}

/// The public key of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKey {
    /// `SubjectPublicKeyInfo` in PEM: RSA, P-256 or Ed25519.
    pub public_pem: String,
    /// The `kid` that a JWT must name, if any.
    #[serde(default)]
    pub kid: Option<String>,
    /// For a signed secret: the `iss` it must name.
    #[serde(default)]
    pub team: Option<String>,
    /// For a signed secret: the `aud` it must name. `None`: the sandbox's issuer.
    #[serde(default)]
    pub audience: Option<String>,
}

/// Requests to the token endpoint (RFC 6749 §3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenQuirks {
    /// How it is asked.
    pub method: Method,
    /// How the fields are written.
    pub encoding: Encoding,
    /// How the client says who it is.
    pub auth: Auth,
    /// Public keys by `client_id`.
    pub keys: BTreeMap<String, ClientKey>,
    /// The standard's name of a field, and the one that is used instead; also where tokens are given back.
    pub rename: Names,
    /// Fields of the standard that are refused.
    pub drop: Vec<String>,
    /// Fields that an exchange must have, with these values.
    pub require: Names,
    /// Headers that a request must have, with these values.
    pub headers: Names,
}

/// How the life of an access token is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// `expires_in` in seconds.
    #[default]
    Seconds,
    /// `expires_in` in milliseconds.
    Milliseconds,
    /// Not at all.
    Silent,
}

/// What an answer says about scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantedScope {
    /// Nothing.
    Silent,
    /// The granted ones, with this between them.
    SeparatedBy(String),
}

impl Default for GrantedScope {
    fn default() -> Self {
        Self::SeparatedBy(" ".to_owned())
    }
}

/// Successful answers of the token endpoint (RFC 6749 §5.1). A path is member names, or positions in a list, with dots
/// between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerQuirks {
    /// Form instead of JSON.
    pub as_form: bool,
    /// Numbers are texts.
    pub numbers_as_text: bool,
    /// `refresh_token_expires_in` tells how long the refresh token lives, if it ends.
    pub refresh_token_expires_in: bool,
    /// The path of the object with the tokens.
    pub at: Option<String>,
    /// The standard's name of a member, and its path below `at`.
    pub fields: Names,
    /// The second token of an exchange: its type. It stands at the top, the person's below `at`.
    pub second_token: Option<String>,
    /// What is said to be the type of the token.
    pub token_type: String,
    /// How the life of the access token is told.
    pub expiry: Expiry,
    /// What is told about scopes.
    pub scope: GrantedScope,
    /// Further members by their path.
    pub extra: BTreeMap<String, Value>,
}

impl Default for AnswerQuirks {
    fn default() -> Self {
        Self {
            as_form: false,
            numbers_as_text: false,
            refresh_token_expires_in: false,
            at: None,
            fields: Names::new(),
            second_token: None,
            token_type: "Bearer".to_owned(),
            expiry: Expiry::default(),
            scope: GrantedScope::default(),
            extra: BTreeMap::new(),
        }
    }
}

/// Errors of the token and revocation endpoints (RFC 6749 §5.2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorQuirks {
    /// The status is 200 all the same.
    pub in_ok: bool,
    /// The path of the code. `None`: `error`.
    pub code_at: Option<String>,
    /// The path of the words. `None`: `error_description`.
    pub message_at: Option<String>,
    /// The standard's code, and the one that is used instead.
    pub codes: Names,
    /// A code that says, in every good answer, that all is well.
    pub none: Option<Value>,
}

/// When a refresh token is given at all. What is left out is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefreshTokenQuirks {
    /// Never.
    pub never: bool,
    /// Only with the first consent of an account to a client, unless the request says `prompt=consent`.
    pub first_consent_only: bool,
    /// Only when this scope was granted.
    pub needs_scope: Option<String>,
    /// Only when the authorization request has these parameters.
    pub needs_params: Names,
}

/// How a refresh is asked for (RFC 6749 §6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefreshQuirks {
    /// At `/refresh` only, not at `/token`.
    pub own_url: bool,
    /// An access token is spent, which must still live; there is no refresh token.
    pub spends_access_token: bool,
    /// How it is asked.
    pub method: Method,
    /// The grant type.
    pub grant: String,
    /// The field with the token that is spent.
    pub token_param: String,
    /// Fields of the standard that are refused.
    pub drop: Vec<String>,
    /// Fields that must be there with these values.
    pub require: Names,
    /// While the newest access token is younger, in seconds, there is no refresh.
    pub min_age_s: u64,
    /// The first access token is short-lived, and must be exchanged at `/upgrade` before it can be refreshed.
    pub upgrade: Option<UpgradeQuirk>,
}

impl Default for RefreshQuirks {
    fn default() -> Self {
        Self {
            own_url: false,
            spends_access_token: false,
            method: Method::Post,
            grant: "refresh_token".to_owned(),
            token_param: "refresh_token".to_owned(),
            drop: Vec::new(),
            require: Names::new(),
            min_age_s: 0,
            upgrade: None,
        }
    }
}

/// How a short-lived access token becomes a long-lived one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeQuirk {
    /// How it is asked.
    pub method: Method,
    /// The grant type.
    pub grant: String,
    /// The field with the access token.
    pub token_param: String,
    /// How long the first access token lives, in seconds.
    pub first_ttl_s: u64,
}

/// What the use of a refresh token does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationMode {
    /// Nothing: it stays.
    Keep,
    /// Every second time a new one takes its place.
    Optional,
    /// A new one takes its place.
    Always,
}

/// What becomes of a spent refresh token that comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reuse {
    /// The whole grant ends (RFC 9700 §4.14.2).
    #[default]
    EndsGrant,
    /// It is refused.
    Refused,
}

/// How long refresh tokens live. All that are set hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RotationQuirks {
    /// What their use does to them. `None`: as `rotate` of the options says.
    pub mode: Option<RotationMode>,
    /// For how many seconds a spent one gives the same answer once more.
    pub grace_s: u64,
    /// What becomes of a spent one that comes back later.
    pub reuse: Reuse,
    /// After how many seconds without use they die.
    pub idle_ttl_s: Option<u64>,
    /// How many seconds after the consent the grant dies.
    pub absolute_ttl_s: Option<u64>,
}

/// How a client that gives tokens back says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeAuth {
    /// As at the token endpoint.
    #[default]
    AsToken,
    /// `Basic` only.
    Basic,
    /// Not at all; whoever does is refused.
    Omit,
}

/// Where the token stands that is given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenIn {
    /// Among the fields.
    #[default]
    Body,
    /// Where a resource wants its credential, see [`ApiQuirks`].
    Header,
}

/// Giving tokens back (RFC 7009).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RevokeQuirks {
    /// Whether it is done at `/revoke/<client id>` only.
    pub client_in_path: bool,
    /// Whether only an access token is taken, which then ends the whole grant.
    pub access_token_only: bool,
    /// Whether the other grants of the account to this client end too.
    pub shared: bool,
    /// How it is asked.
    pub method: Method,
    /// How the fields are written.
    pub encoding: Encoding,
    /// How the client says who it is.
    pub auth: RevokeAuth,
    /// Where the token stands.
    pub token_in: TokenIn,
    /// The field with the token.
    pub token_param: String,
    /// Fields that must be there with these values.
    pub require: Names,
    /// The status for a token that is unknown. `None`: 200 (RFC 7009 §2.2).
    pub gone_status: Option<u16>,
}

impl Default for RevokeQuirks {
    fn default() -> Self {
        Self {
            client_in_path: false,
            access_token_only: false,
            shared: false,
            method: Method::Post,
            encoding: Encoding::Form,
            auth: RevokeAuth::default(),
            token_in: TokenIn::default(),
            token_param: "token".to_owned(),
            require: Names::new(),
            gone_status: None,
        }
    }
}
