//! What pages load: a few files that are in the binary.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::router::App;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type, bytes.
const ASSETS: &[(&str, &str, &str)] = &[
    ("style.css", CSS, include_str!("../../assets/style.css")),
    ("when.js", SCRIPT, include_str!("../../assets/when.js")),
    ("link.js", SCRIPT, include_str!("../../assets/link.js")),
    ("copy.js", SCRIPT, include_str!("../../assets/copy.js")),
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

/// An address for each.
pub(crate) fn router() -> Router<App> {
    ASSETS.iter().fold(Router::new(), |router, (name, kind, text)| {
        let asset = move || async move {
            let headers = [
                (header::CONTENT_TYPE, *kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, *text)
        };
        router.route(&format!("/assets/{name}"), get(asset))
    })
}
