//! Error answers of the token, revocation and introspection endpoints (RFC 6749 §5.2).

use axum::http::StatusCode;

use crate::fresh::NoRandomness;

/// Why a request is refused. The texts are fixed: nothing that came in goes out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    InvalidRequest(&'static str),
    InvalidClient,
    InvalidGrant(&'static str),
    /// A spent refresh token came again. To the client it is `invalid_grant`; it is counted apart.
    Reuse,
    InvalidScope,
    UnauthorizedClient,
    UnsupportedGrantType,
    /// Only access tokens can be given back here (RFC 7009 §2.2.1).
    UnsupportedTokenType,
    WrongMethod,
    /// The person has not decided yet (RFC 8628 §3.5).
    AuthorizationPending,
    /// The same, and the client asks too often.
    SlowDown,
    /// The device code is too old.
    ExpiredToken,
    /// The person declined.
    AccessDenied,
    ServerError,
}

impl Refused {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::WrongMethod => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant(_) | Self::Reuse => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
        }
    }

    /// For people: the answer's `error_description` and the event's outcome.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest(why) | Self::InvalidGrant(why) => why,
            Self::InvalidClient => "the client is unknown, or its secret is wrong or missing",
            Self::Reuse => "the refresh token was used before",
            Self::InvalidScope => "the scope asks for more than was granted",
            Self::UnauthorizedClient => "the token was issued to another client",
            Self::UnsupportedGrantType => "grant_type is none that this endpoint knows",
            Self::UnsupportedTokenType => "only an access token can be revoked",
            Self::WrongMethod => "this endpoint is asked by another method",
            Self::AuthorizationPending => "the person has not decided yet",
            Self::SlowDown => "polled before the interval was over",
            Self::ExpiredToken => "the device code is expired",
            Self::AccessDenied => "the person declined",
            Self::ServerError => "the sandbox failed",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<NoRandomness> for Refused {
    fn from(NoRandomness: NoRandomness) -> Self {
        Self::ServerError
    }
}
