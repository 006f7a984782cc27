//! What can go wrong between Tokenry and a provider.

use std::time::Duration;

use crate::SettingError;

/// What a provider's refusal means for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The grant is over: only a person can renew it.
    Final,
    /// The registration of this Tokenry at the provider is wrong: the operator can mend it, and no person's
    /// connection is to blame.
    Operator,
    /// Neither is known.
    Other,
}

/// What went wrong between Tokenry and a provider.
///
/// Every message is for a person. None holds a secret: a provider's own words pass through a filter first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// The operator has not configured the provider far enough.
    #[error("{provider} is not set up here: {} missing", .what.join(" and "))]
    NotConfigured {
        /// The provider's id.
        provider: String,
        /// The settings that are missing.
        what: Vec<&'static str>,
    },
    /// The provider needs something that Tokenry cannot do yet. No request was made.
    #[error("{provider} cannot be connected by a link: {why}")]
    NotSupported {
        /// The provider's id.
        provider: String,
        /// What it needs.
        why: String,
    },
    /// A setting of the connection cannot be used. No request was made.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// An error answer (RFC 6749 §5.2), such as `invalid_grant`.
    #[error("the provider refused: {code}{}", .description.as_deref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Refused {
        /// The provider's error code.
        code: String,
        /// The provider's own words, filtered.
        description: Option<String>,
        /// What it means for what comes next.
        meaning: Refusal,
    },
    /// The provider wants fewer requests (status 429).
    #[error("the provider asks for fewer requests")]
    RateLimited {
        /// How long to wait, if it said.
        retry_after: Option<Duration>,
    },
    /// The provider is away: no connection, no answer in time, or a 5xx.
    #[error("the provider is away: {what}")]
    Unavailable {
        /// How long to wait, if it said.
        retry_after: Option<Duration>,
        /// What was seen.
        what: String,
    },
    /// The answer is not one that OAuth knows.
    #[error("the provider's answer makes no sense: {what}")]
    Nonsense {
        /// What is wrong with it.
        what: String,
    },
    /// The outbound policy does not let Tokenry go there. No request was made.
    #[error("this address is not allowed: {what}")]
    Forbidden {
        /// Which, and why.
        what: String,
    },
    /// The answer came from another issuer than the one that was asked (RFC 9207, RFC 8414 §3.3).
    #[error("the issuer is {}, where {expected} was expected", .got.as_deref().unwrap_or("not named"))]
    WrongIssuer {
        /// The issuer as configured.
        expected: String,
        /// The issuer as named in the answer, filtered.
        got: Option<String>,
    },
    /// The id token does not fit the request (OpenID Connect Core 1.0 §3.1.3.7).
    #[error("the provider's id token does not fit: {what}")]
    WrongIdToken {
        /// What does not.
        what: String,
    },
    /// The provider's token endpoint is another one than when the flow began: the code must not go there.
    #[error("the provider's token endpoint has changed since this connect began; begin it again")]
    Changed,
    /// The HTTP client could not be made, for example because the machine has no root certificates.
    #[error("cannot make an HTTPS client: {what}")]
    Setup {
        /// What the TLS library says.
        what: String,
    },
}

impl OAuthError {
    /// Whether the grant is over, so that trying again is of no use: `invalid_grant`, or a code that the
    /// provider's data name as final.
    pub const fn is_final_refusal(&self) -> bool {
        matches!(self, Self::Refused { meaning: Refusal::Final, .. })
    }

    /// Whether the operator's registration or configuration is at fault: `invalid_client`,
    /// `unauthorized_client`, a code that the provider's data name as the operator's, a missing setting, a
    /// forbidden address.
    pub const fn is_operators_fault(&self) -> bool {
        matches!(
            self,
            Self::Refused { meaning: Refusal::Operator, .. }
                | Self::NotConfigured { .. }
                | Self::Forbidden { .. }
                | Self::Setup { .. }
        )
    }

    /// How long the provider asks to wait before the next request, if it said. At most one day.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn nonsense(what: impl Into<String>) -> Self {
        Self::Nonsense { what: what.into() }
    }

    pub(crate) fn away(what: impl Into<String>) -> Self {
        Self::Unavailable { retry_after: None, what: what.into() }
    }
}
