//! The table of all pages. What is not in here is not a page, and everything in here goes through the gate.

use std::sync::LazyLock;

use axum::Router;
use axum::middleware;
use axum::routing::{MethodRouter, get, post};

use super::gate::{Gate, Who, enforce};
use super::{account, catalogue, connecting, connections, home, links, operator, setup, sign_in};
use crate::docs;
use crate::router::{App, method_not_allowed};

/// One entry of the table.
pub(crate) struct Page {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    handler: MethodRouter<App>,
}

impl Page {
    /// A page to look at.
    pub(crate) fn get<H, T>(path: &'static str, who: Who, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        Self { method: "GET", path, who, handler: get(handler) }
    }

    /// A page that spends what it is asked with: whoever only looks must not.
    pub(crate) fn get_once<H, T>(path: &'static str, who: Who, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        Self { method: "GET", path, who, handler: get(handler).head(method_not_allowed) }
    }

    /// A form to send.
    pub(crate) fn post<H, T>(path: &'static str, who: Who, handler: H) -> Self
    where
        H: axum::handler::Handler<T, App>,
        T: 'static,
    {
        Self { method: "POST", path, who, handler: post(handler) }
    }
}

fn table() -> Vec<Page> {
    let mut pages =
        vec![Page::get("/", Who::Anyone, home::home), Page::get("/docs", Who::Anyone, docs::docs)];
    pages.extend(sign_in::routes());
    pages.extend(connecting::routes());
    pages.extend(connections::routes());
    pages.extend(catalogue::routes());
    pages.extend(account::routes());
    pages.extend(links::routes());
    pages.extend(operator::routes());
    pages.extend(setup::routes());
    pages
}

/// The pages, each behind its gate.
pub(crate) fn router(app: &App) -> Router<App> {
    table().into_iter().fold(Router::new(), |router, page| {
        let gate = Gate { app: app.clone(), who: page.who };
        router.route(page.path, page.handler.route_layer(middleware::from_fn_with_state(gate, enforce)))
    })
}

/// Every page there is, for tests: method, path and who it is for.
#[must_use]
pub fn page_routes() -> Vec<(&'static str, &'static str, Who)> {
    table().into_iter().map(|page| (page.method, page.path, page.who)).collect()
}

/// Whether there is a page to look at under this address.
pub(super) fn has_page(path: &str) -> bool {
    static PATHS: LazyLock<Vec<&str>> = LazyLock::new(|| {
        table().into_iter().filter(|page| page.method == "GET").map(|page| page.path).collect()
    });
    let fits = |pattern: &&str| {
        let (mut parts, mut given) = (pattern.split('/'), path.split('/'));
        loop {
            match (parts.next(), given.next()) {
                (None, None) => return true,
                (Some(part), Some(word)) if part == word || part.starts_with('{') && !word.is_empty() => {}
                _ => return false,
            }
        }
    };
    PATHS.iter().any(fits)
}
