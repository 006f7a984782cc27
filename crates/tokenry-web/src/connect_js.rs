//! `/connect.js`: the script with which a page of another site opens a connect link in a window.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// The script. Its address stays, so browsers ask again after an hour.
pub(crate) async fn script() -> Response {
    let mut response = include_str!("../assets/connect.js").into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        // Pages that are isolated from others load it as well.
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
