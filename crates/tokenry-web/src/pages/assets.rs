//! What pages load: a few files that are in the binary.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type, bytes.
const ASSETS: &[(&str, &str, &str)] = &[
    ("style.css", CSS, include_str!("../../assets/style.css")),
    ("when.js", SCRIPT, include_str!("../../assets/when.js")),
    ("link.js", SCRIPT, include_str!("../../assets/link.js")),
    ("mark.svg", SVG, include_str!("../../assets/mark.svg")),
];

/// The same in every replica of one version: this hasher has no key of its own.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    ASSETS.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

/// A word that changes with what is in the assets.
pub(crate) fn version() -> &'static str {
    &VERSION
}

/// What pages of other sites load. Its address stays, so browsers ask again after an hour.
pub(crate) async fn connect_js() -> Response {
    let mut response = include_str!("../../assets/connect.js").into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, SCRIPT),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        // Pages that are isolated from others load it as well.
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Serves one.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, text)) => {
            let headers = [
                (header::CONTENT_TYPE, *kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, *text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
