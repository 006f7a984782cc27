//! Why something was not done, in the short words of the audit log: those of the API's codes, where it has one.

use tokenry_model::AuditOutcome::{self, Failed, Refused};

use crate::connect::ConnectError;
use crate::error::BrokerError;
use crate::sessions::{EXPIRED_TEXT, MISSING_TEXT};

/// How an error is written down. Nothing for what is neither a refusal nor a failure, but a slip of the caller's: a field
/// that is too long, a service that is not there.
pub(crate) fn reason_of(error: &BrokerError) -> Option<(AuditOutcome, &'static str)> {
    Some(match error.root() {
        BrokerError::Unauthenticated(EXPIRED_TEXT) => (Refused, "token_expired"),
        BrokerError::Unauthenticated(MISSING_TEXT) => (Refused, "no_token"),
        BrokerError::Unauthenticated(_) => (Refused, "unauthenticated"),
        BrokerError::WrongLogin => (Refused, "wrong_login"),
        BrokerError::Forbidden => (Refused, "forbidden"),
        BrokerError::OperatorOnly => (Refused, "operator_only"),
        BrokerError::SetupLinkEnded => (Refused, "setup_link_ended"),
        BrokerError::Keys { .. } => (Refused, "keys"),
        BrokerError::SignupClosed => (Refused, "signup_closed"),
        BrokerError::NoSuchConnection => (Refused, "no_such_connection"),
        BrokerError::NoSuchDeviceFlow => (Refused, "no_such_device_flow"),
        BrokerError::NoSuchLink => (Refused, "no_such_link"),
        BrokerError::TooManyAttempts { .. } => (Refused, "too_many_attempts"),
        BrokerError::ReconnectRequired { .. } => (Refused, "reconnect_required"),
        BrokerError::CredentialRefused { .. } => (Refused, "credential_refused"),
        BrokerError::ProviderRefused { .. } => (Failed, "provider_refused"),
        BrokerError::ProviderAway { .. } => (Failed, "provider_unavailable"),
        BrokerError::ProviderGone { .. } => (Failed, "provider_not_configured"),
        BrokerError::Store(_) if error.is_database_away() => (Failed, "database_unavailable"),
        BrokerError::Store(_) | BrokerError::Vault(_) | BrokerError::Internal(_) => (Failed, "internal"),
        _ => return None,
    })
}

/// As [`reason_of`], for a connect.
pub(crate) fn reason_of_connect(error: &ConnectError) -> Option<(AuditOutcome, &'static str)> {
    Some(match error {
        ConnectError::UnknownState => (Refused, "unknown_state"),
        ConnectError::UsedState => (Refused, "used_state"),
        ConnectError::ExpiredState => (Refused, "expired_state"),
        ConnectError::WrongCallback => (Refused, "wrong_callback"),
        ConnectError::Declined { .. } => (Refused, "declined"),
        ConnectError::Provider { .. } => (Failed, "provider_error"),
        ConnectError::Exchange { .. } => (Failed, "exchange_failed"),
        ConnectError::WrongAccount { .. } => (Refused, "wrong_account"),
        ConnectError::ConnectedElsewhere { .. } => (Refused, "connected_elsewhere"),
        ConnectError::LinkEnded => (Refused, "ended_link"),
        ConnectError::Broker(error) => return reason_of(error),
    })
}
