//! What an operator's machines ask: is it alive, is it ready, what has it counted.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq as _;
use tokenry_model::ExposeSecret as _;

use crate::address::ClientAddress;
use crate::error::ApiError;
use crate::extract::access_token;
use crate::router::App;

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The database answers too.
pub(crate) async fn readyz(State(app): State<App>) -> Result<&'static str, ApiError> {
    app.broker.ready().await?;
    Ok("ready\n")
}

/// The counters, in the Prometheus text format. For callers on this machine that no proxy stands before, and for those with the
/// metrics token (ASVS 5.0, 13.4.5).
pub(crate) async fn metrics(
    State(app): State<App>,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let allowed = match (&app.metrics_token, access_token(&headers)) {
        (Some(expected), Some(given)) => {
            let (expected, given) = (expected.expose_secret(), given.expose_secret());
            expected.as_bytes().ct_eq(given.as_bytes()).into()
        }
        (Some(_), None) => false,
        // Behind a proxy that adds no header everybody looks local: there a token is asked for.
        (None, _) => address.local && app.is_local(),
    };
    if !allowed {
        let message = "the metrics are for this machine while public_url is this machine, or for a bearer of the configured metrics_token";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &app.registry).map_err(|_| ApiError::internal())?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
