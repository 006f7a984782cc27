//! What a page says when it cannot be shown, or a form when it could not be carried out.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokenry_broker::{BrokerError, ConnectError};

use super::gate::Visit;
use super::{connecting, message};
use crate::error::ApiError;

/// Why there is no page, or another one.
#[derive(Debug)]
pub(crate) enum PageError {
    /// Somebody must sign in first.
    SignIn,
    /// The form was not made for this browser, or it is too old.
    ForeignForm,
    /// The form is larger than we take.
    TooLarge,
    /// There is nothing of that name, or it is somebody else's.
    NotFound,
    /// A connect did not end well.
    Connect(Box<ConnectError>),
    /// Anything else, in the words of the API.
    Plain {
        /// The status.
        status: StatusCode,
        /// What happened.
        text: String,
        /// `Retry-After`.
        header: Option<(HeaderName, HeaderValue)>,
    },
}

impl PageError {
    /// The page that says it.
    pub(super) fn show(&self, visit: &Visit) -> Response {
        match self {
            Self::SignIn => visit.go("/sign-in"),
            Self::NotFound => super::not_found(visit),
            Self::ForeignForm => message(visit, StatusCode::FORBIDDEN, "foreign-form"),
            Self::TooLarge => message(visit, StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Self::Connect(error) => connecting::failed(visit, error),
            Self::Plain { status, text, header } => {
                let mut response = super::problem(visit, *status, text);
                if let Some((name, value)) = header {
                    response.headers_mut().insert(name, value.clone());
                }
                response
            }
        }
    }
}

impl From<ApiError> for PageError {
    fn from(mut error: ApiError) -> Self {
        let header = error.take_header().filter(|(name, _)| *name == header::RETRY_AFTER);
        // A page has no access token to ask for.
        let status = match error.status() {
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            other => other,
        };
        Self::Plain { status, text: super::sentence(error.message()), header }
    }
}

impl From<BrokerError> for PageError {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Unauthenticated(_) => Self::SignIn,
            BrokerError::NoSuchConnection | BrokerError::Forbidden => Self::NotFound,
            other => ApiError::from(other).into(),
        }
    }
}

impl From<ConnectError> for PageError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}

impl IntoResponse for PageError {
    /// The gate sets it into the frame.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
