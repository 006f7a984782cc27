//! How a sandbox differs from the standards, for clients that must get along with providers that do.
//!
//! The words follow a client's view of a provider. Each of them is insisted on: where a provider calls `client_id`
//! something else, the standard's name is refused.

mod tokens;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::tokens::{
    AnswerQuirks, Auth, ClientKey, Encoding, ErrorQuirks, Expiry, GrantedScope, Method, RefreshQuirks,
    RefreshTokenQuirks, Reuse, RevokeAuth, RevokeQuirks, RotationMode, RotationQuirks, TokenIn, TokenQuirks,
    UpgradeQuirk,
};

/// Names by names.
pub type Names = BTreeMap<String, String>;

/// Every way in which a sandbox can differ. The default is the standards' way throughout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// The authorization request.
    pub authorize: AuthorizeQuirks,
    /// What a redirect URI may look like.
    pub redirect: RedirectQuirks,
    /// The way back to the client.
    pub callback: CallbackQuirks,
    /// Requests to the token endpoint.
    pub token: TokenQuirks,
    /// Answers of the token endpoint.
    pub answer: AnswerQuirks,
    /// Errors of the token and revocation endpoints.
    pub error: ErrorQuirks,
    /// When a refresh token is given at all.
    pub refresh_token: RefreshTokenQuirks,
    /// How a refresh is asked for.
    pub refresh: RefreshQuirks,
    /// How long refresh tokens live, and what their use does to them.
    pub rotation: RotationQuirks,
    /// Giving tokens back.
    pub revoke: RevokeQuirks,
    /// Who the account is.
    pub identity: IdentityQuirks,
    /// How a protected resource wants its credential.
    pub api: ApiQuirks,
    /// Whether each tenant has endpoints of its own. Any name will do; a grant is known to its own tenant only.
    pub tenants: Option<Tenants>,
}

/// The authorization request (RFC 6749 §4.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorizeQuirks {
    /// The standard's name of a parameter, and the one that is used instead.
    pub rename: Names,
    /// Parameters of the standard that are refused.
    pub drop: Vec<String>,
    /// Parameters that must be there with these values.
    pub require: Names,
    /// What stands between two scopes.
    pub scope_separator: String,
    /// A further parameter with scopes, for the second token of [`AnswerQuirks::second_token`].
    pub second_scope_param: Option<String>,
    /// Whether requests must be pushed beforehand (RFC 9126).
    pub par_required: bool,
}

impl Default for AuthorizeQuirks {
    fn default() -> Self {
        Self {
            rename: Names::new(),
            drop: Vec::new(),
            require: Names::new(),
            scope_separator: " ".to_owned(),
            second_scope_param: None,
            par_required: false,
        }
    }
}

/// What a redirect URI may look like, registered or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedirectQuirks {
    /// `localhost` is refused; `127.0.0.1` is not.
    pub refuses_localhost: bool,
    /// Plain `http` is refused, also on loopback.
    pub https_only: bool,
    /// Names from the registration, and the URI each stands for. With any, only names are taken.
    pub named: Names,
}

/// The authorization response (RFC 6749 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbackQuirks {
    /// The parameter with the code.
    pub code_param: String,
    /// Further parameters, and their values.
    pub extra: Names,
    /// Whether the token endpoint wants `extra` back, in the exchange and in each refresh.
    pub wants_extra_back: bool,
    /// Whether `iss` is left out (RFC 9207).
    pub without_iss: bool,
}

impl Default for CallbackQuirks {
    fn default() -> Self {
        Self {
            code_param: "code".to_owned(),
            extra: Names::new(),
            wants_extra_back: false,
            without_iss: false,
        }
    }
}

/// Who the account is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityQuirks {
    /// The path in the answer of an exchange at which the account stands.
    pub in_token: Option<String>,
    /// `/userinfo` is asked by POST, as JSON, with `require` among the fields.
    pub by_post: bool,
    /// Fields that must be there with these values.
    pub require: Names,
    /// The path in the answer of `/userinfo` at which the account stands.
    pub at: Option<String>,
    /// The name of a member (`sub`, `name`, `email`, `preferred_username`), and the one that is used instead.
    pub rename: Names,
    /// A second connection of an account gets the access token of the first again, while that lives.
    pub same_access_token: bool,
}

/// How `/userinfo` and `/api/me` want their credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiQuirks {
    /// The header with the credential.
    pub header: String,
    /// The word before it; empty: there is none.
    pub scheme: String,
    /// The parameter of the query, instead of the header.
    pub query_param: Option<String>,
    /// Headers that a request must have, with these values.
    pub headers: Names,
}

impl Default for ApiQuirks {
    fn default() -> Self {
        Self {
            header: "Authorization".to_owned(),
            scheme: "Bearer".to_owned(),
            query_param: None,
            headers: Names::new(),
        }
    }
}

/// Where a tenant's name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tenants {
    /// `/<tenant>/oauth/token`, and so on.
    Path,
    /// `<tenant>.localhost` in the `Host` header.
    Host,
}
