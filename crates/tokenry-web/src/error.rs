//! The one place that turns an error into HTTP. The cause is logged here, once, and never sent.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokenry_broker::BrokerError;
use tokenry_model::InvalidId;
use utoipa::ToSchema;

/// How long a client is told to wait when nobody knows better.
const SHORTLY: Duration = Duration::from_secs(2);

/// What every error says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What is wrong, in words a person can act on.
    #[schema(example = "you have no connection with this id; list yours to see their ids")]
    message: String,
    /// The same as a stable word, for a program.
    #[schema(example = "no_such_connection")]
    code: &'static str,
}

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), header: None }
    }

    /// A field is not allowed to be what it is.
    pub(crate) fn field(name: &str, problem: &str) -> Self {
        let message = format!("the field `{name}` {problem}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", message)
    }

    /// There is no access token, or it is not good.
    pub(crate) fn unauthenticated(message: &str) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"tokenry\"");
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
            .with(header::WWW_AUTHENTICATE, challenge)
    }

    /// Something failed on our side. What, is in the log.
    pub(crate) fn internal() -> Self {
        let message =
            "something went wrong on the server; the X-Request-Id of this answer finds it in its log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// More is under way than we take at a time.
    pub(crate) fn overloaded() -> Self {
        let message =
            "the server is working on as many requests as it takes at a time; try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message).retry_after(SHORTLY)
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    fn retry_after(self, wait: Duration) -> Self {
        // Rounded up: a client that waits so long must not come too early.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        match HeaderValue::try_from(seconds.to_string()) {
            Ok(value) => self.with(header::RETRY_AFTER, value),
            Err(_) => self,
        }
    }

    /// The status it goes out with.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The words for whoever called.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The headers beside the body, for a page that says the same.
    pub(crate) fn take_header(&mut self) -> Option<(HeaderName, HeaderValue)> {
        self.header.take()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(ErrorBody { message: self.message, code: self.code });
        let mut response = (self.status, body).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<InvalidId> for ApiError {
    fn from(error: InvalidId) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_id", format!("the id in the path is not one: {error}"))
    }
}

impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        Self::from(&error)
    }
}

impl From<&BrokerError> for ApiError {
    fn from(error: &BrokerError) -> Self {
        let error = error.root();
        let say = |status, code| Self::new(status, code, error.to_string());
        match error {
            BrokerError::Unauthenticated(why) => Self::unauthenticated(why),
            BrokerError::WrongLogin => say(StatusCode::UNAUTHORIZED, "wrong_login")
                .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tokenry\"")),
            BrokerError::Forbidden => say(StatusCode::FORBIDDEN, "forbidden"),
            BrokerError::OperatorOnly => say(StatusCode::FORBIDDEN, "operator_only"),
            BrokerError::NoSuchUser => say(StatusCode::NOT_FOUND, "no_such_user"),
            BrokerError::SetupLinkEnded => say(StatusCode::GONE, "setup_link_ended"),
            BrokerError::Keys { .. } => say(StatusCode::CONFLICT, "keys"),
            BrokerError::SignupClosed => say(StatusCode::FORBIDDEN, "signup_closed"),
            BrokerError::NoSuchConnection => say(StatusCode::NOT_FOUND, "no_such_connection"),
            BrokerError::NoSuchDeviceFlow => say(StatusCode::NOT_FOUND, "no_such_device_flow"),
            BrokerError::NoSuchLink => say(StatusCode::NOT_FOUND, "no_such_link"),
            BrokerError::Field { .. } | BrokerError::Setting { .. } => {
                say(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field")
            }
            BrokerError::CredentialRefused { .. } => {
                say(StatusCode::UNPROCESSABLE_ENTITY, "credential_refused")
            }
            BrokerError::SettingsRequired { .. } => say(StatusCode::CONFLICT, "settings_required"),
            BrokerError::DeviceFlowNotSupported { .. } => {
                say(StatusCode::CONFLICT, "device_flow_not_supported")
            }
            BrokerError::NoHeader { .. } => say(StatusCode::CONFLICT, "no_header"),
            BrokerError::UnknownService { .. } => say(StatusCode::UNPROCESSABLE_ENTITY, "unknown_service"),
            BrokerError::UsernameTaken => say(StatusCode::CONFLICT, "username_taken"),
            BrokerError::TooManyAttempts { retry_after } => {
                say(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts").retry_after(*retry_after)
            }
            BrokerError::TooManyConnections { .. } => say(StatusCode::CONFLICT, "too_many_connections"),
            BrokerError::Busy => say(StatusCode::SERVICE_UNAVAILABLE, "busy").retry_after(SHORTLY),
            BrokerError::AuditBehind => {
                say(StatusCode::SERVICE_UNAVAILABLE, "audit_unavailable").retry_after(SHORTLY)
            }
            BrokerError::ReconnectRequired { .. } => say(StatusCode::CONFLICT, "reconnect_required"),
            BrokerError::HandedOver { .. } => say(StatusCode::CONFLICT, "handed_over"),
            BrokerError::ProviderNotSupported { .. } => say(StatusCode::CONFLICT, "provider_not_supported"),
            BrokerError::ProviderNotConfigured { .. } | BrokerError::ProviderGone { .. } => {
                say(StatusCode::CONFLICT, "provider_not_configured")
            }
            BrokerError::ProviderRefused { .. } => {
                tracing::warn!(%error, "a provider refused, or answered nonsense");
                say(StatusCode::BAD_GATEWAY, "provider_refused")
            }
            BrokerError::ProviderAway { retry_after, service, cause } => {
                tracing::warn!(service, %cause, "a provider is away");
                say(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable").retry_after(*retry_after)
            }
            BrokerError::Store(_) if error.is_database_away() => {
                tracing::error!(%error, "the database is away");
                let message = "the database is not available at the moment; try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", message)
                    .retry_after(SHORTLY)
            }
            // `root` has taken the wrapping off; what remains is ours to mend.
            BrokerError::Store(_)
            | BrokerError::Vault(_)
            | BrokerError::Internal(_)
            | BrokerError::Shared(_) => {
                tracing::error!(%error, "internal error");
                Self::internal()
            }
        }
    }
}
