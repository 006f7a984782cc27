//! Error answers of the token, revocation and introspection endpoints (RFC 6749 §5.2).

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

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
    ServerError,
}

impl Refused {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant(_) | Self::Reuse => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::ServerError => "server_error",
        }
    }

    /// For people: the answer's `error_description` and the event's outcome.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest(why) | Self::InvalidGrant(why) => why,
            Self::InvalidClient => "the client is unknown, or its secret is wrong or missing",
            Self::Reuse => "the refresh token was used before; all tokens of its grant are revoked",
            Self::InvalidScope => "the scope asks for more than was granted",
            Self::UnauthorizedClient => "the token was issued to another client",
            Self::UnsupportedGrantType => "grant_type is neither authorization_code nor refresh_token",
            Self::ServerError => "the sandbox failed",
        }
    }
}

impl From<NoRandomness> for Refused {
    fn from(NoRandomness: NoRandomness) -> Self {
        Self::ServerError
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = Json(serde_json::json!({ "error": self.code(), "error_description": self.description() }));
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")], body).into_response();
        if self == Self::InvalidClient {
            let challenge = axum::http::HeaderValue::from_static("Basic realm=\"sandbox\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
