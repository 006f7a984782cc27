//! What people say about connections, checked: names, tokens, scopes, settings.

use tokenry_model::{ConnectionName, ExposeSecret as _, Scopes, SecretString, Values};
use tokenry_oauth::Provider;

use crate::error::BrokerError;
use crate::problem::Problem;

/// The longest credential that can be stored, in bytes.
const MAX_TOKEN: usize = 64 * 1024;
/// So many scopes can be asked for, each at most so long.
const MAX_SCOPES: usize = 200;
const MAX_SCOPE: usize = 255;

/// The name of a connection.
pub(crate) fn name(text: &str) -> Result<ConnectionName, BrokerError> {
    ConnectionName::parse(text).map_err(|e| BrokerError::field("name", e))
}

/// A credential: any text but an empty one, one that is too long, and NUL.
pub(crate) fn token(field: &'static str, token: &SecretString) -> Result<(), BrokerError> {
    if token.expose_secret().is_empty() {
        return Err(BrokerError::field(field, Problem::Empty));
    }
    part(field, token.expose_secret())
}

/// A part of a credential, which may be empty.
pub(crate) fn part(field: &'static str, text: &str) -> Result<(), BrokerError> {
    if text.len() > MAX_TOKEN {
        return Err(BrokerError::field(field, Problem::TooLong(MAX_TOKEN)));
    }
    if text.contains('\0') {
        return Err(BrokerError::field(field, Problem::Nul));
    }
    Ok(())
}

/// A token that a provider gave (RFC 6749 §A.12), so that it fits into a header.
pub(crate) fn provider_token(field: &'static str, given: &SecretString) -> Result<(), BrokerError> {
    token(field, given)?;
    if given.expose_secret().bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(BrokerError::field(field, Problem::NotVisible))
}

/// Scopes (RFC 6749 §3.3).
pub(crate) fn scopes(list: &[String]) -> Result<Scopes, BrokerError> {
    let fits = |scope: &String| {
        (1..=MAX_SCOPE).contains(&scope.len())
            && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    if list.len() > MAX_SCOPES || !list.iter().all(fits) {
        return Err(BrokerError::field("scopes", Problem::Scopes));
    }
    Ok(list.iter().map(String::as_str).collect())
}

/// The settings of a connection, checked, and completed by the defaults.
pub(crate) fn settings(provider: &Provider, given: &Values) -> Result<Values, BrokerError> {
    provider
        .check_settings(given)
        .map_err(|error| BrokerError::Setting { name: shown(&error.name), problem: error.problem })
}

/// A name that somebody made up, as far as it can be said back.
pub(crate) fn shown(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_graphic() && *c != '`').take(64).collect()
}
