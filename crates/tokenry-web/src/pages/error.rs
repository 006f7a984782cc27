//! What a page says when it cannot be shown, or a form when it could not be carried out.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokenry_broker::{BrokerError, ConnectError};

use super::gate::Visit;
use super::{connecting, message};

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
    /// A verb was not done.
    Broker(Box<BrokerError>),
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
            Self::Broker(error) => super::problem(visit, error),
        }
    }
}

impl From<BrokerError> for PageError {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Unauthenticated(_) => Self::SignIn,
            BrokerError::NoSuchConnection | BrokerError::Forbidden => Self::NotFound,
            other => Self::Broker(Box::new(other)),
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
