//! What pages of other sites may ask from a browser (CORS, as in the Fetch standard): those of the configured origins, the API
//! and `/connect.js`, and never with cookies. The API takes none anyway.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tokenry_broker::WebOrigin;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it was allowed.
const REMEMBER: Duration = Duration::from_mins(10);

/// The layer for what may be asked. Nothing when no origin is configured: then no answer says a word of it.
pub(crate) fn layer(origins: &[WebOrigin]) -> Option<CorsLayer> {
    let origins: Vec<_> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
            .expose_headers([header::LOCATION, header::RETRY_AFTER, HeaderName::from_static("x-request-id")])
            .vary([header::ORIGIN])
            .max_age(REMEMBER),
    )
}
