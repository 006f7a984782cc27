//! The front page.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::Frame;
use super::gate::Visit;
use super::page;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    signup_open: bool,
}

/// What a visitor who has only the address sees. Whoever is signed in sees what is theirs.
pub(crate) async fn home(visit: Visit) -> Response {
    if visit.person.is_some() {
        return visit.go("/connections");
    }
    let signup_open = visit.app.broker.settings().signup_open;
    page(StatusCode::OK, &HomePage { frame: visit.frame("home-title"), signup_open })
}
