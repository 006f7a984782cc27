//! The pages. Rendered here, without script, under a policy that allows nothing but our own style sheet.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use tokenry_broker::{BrokerError, ConnectError, Connected, ParkedConnect};
use tokenry_model::ExposeSecret as _;

use crate::error::ApiError;
use crate::router::App;

/// What a page may do: show itself, with our style, and send its forms to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";
const STYLE: &str = include_str!("../assets/style.css");

#[derive(Template)]
#[template(path = "connected.html")]
struct ConnectedPage<'a> {
    base: &'a str,
    connected: &'a Connected,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'a> {
    base: &'a str,
    service: &'a str,
    account: Option<&'a str>,
    username: &'a str,
    handle: &'a str,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    base: &'a str,
    title: &'a str,
    text: &'a str,
    next: &'a str,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    base: &'a str,
}

/// Puts a page out.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    let Ok(html) = template.render() else { return ApiError::internal().into_response() };
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        // The callback's address holds a code and a state.
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The connection is stored.
pub(crate) fn connected(app: &App, connected: &Connected) -> Response {
    page(StatusCode::OK, &ConnectedPage { base: app.base_path(), connected })
}

/// The owner has to sign in first.
pub(crate) fn confirm(app: &App, parked: &ParkedConnect, problem: Option<&str>) -> Response {
    let template = ConfirmPage {
        base: app.base_path(),
        service: &parked.service,
        account: parked.account.as_deref(),
        username: &parked.username,
        handle: parked.handle.expose_secret(),
        problem,
    };
    page(StatusCode::OK, &template)
}

/// The person did not want it.
pub(crate) fn abandoned(app: &App, given_back: bool) -> Response {
    let text = if given_back {
        "Nothing was stored, and the access that the service had granted was given back."
    } else {
        "Nothing was stored. This service has no way to give access back from here, or did not confirm it: to be sure, \
         remove the app in your account's settings there."
    };
    let template = MessagePage {
        base: app.base_path(),
        title: "Nothing was connected",
        text,
        next: "You can close this page.",
    };
    page(StatusCode::OK, &template)
}

/// A connect did not end well: what happened, and what to do.
pub(crate) fn failed(app: &App, error: &ConnectError) -> Response {
    let ask_anew = "Ask for a new link and open it within ten minutes.";
    let (status, title, next) = match error {
        ConnectError::UnknownState => (StatusCode::BAD_REQUEST, "This link does not work", ask_anew),
        ConnectError::UsedState => (
            StatusCode::BAD_REQUEST,
            "This link was used before",
            "If you have just connected the account, all is well: reloading this page does nothing. Otherwise ask \
             for a new link.",
        ),
        ConnectError::ExpiredState => (StatusCode::BAD_REQUEST, "This link has expired", ask_anew),
        ConnectError::WrongCallback => (
            StatusCode::BAD_REQUEST,
            "The answer came back at the wrong address",
            "Ask for a new link. If it happens again, tell the operator of this server: a service may be set up with \
             another service's address.",
        ),
        ConnectError::Declined { .. } => (
            StatusCode::BAD_REQUEST,
            "Nothing was connected",
            "If you did not mean to decline, ask for a new link and allow the access.",
        ),
        ConnectError::WrongAccount { .. } | ConnectError::ConnectedElsewhere { .. } => (
            StatusCode::BAD_REQUEST,
            "The wrong account",
            "Nothing was stored. Ask for a new link, sign in at the service with the account that belongs to this \
             connection, and allow the access. For another account, make a connection of its own.",
        ),
        ConnectError::Provider { .. } | ConnectError::Exchange { .. } => (
            StatusCode::BAD_REQUEST,
            "The service did not complete the connection",
            "Ask for a new link and try again. If it happens again, tell the operator of this server what is written \
             here.",
        ),
        ConnectError::LinkEnded => (StatusCode::BAD_REQUEST, "This link does not work any more", ask_anew),
        ConnectError::Broker(error) => return failed_here(app, error),
    };
    let text = sentence(&error.to_string());
    page(status, &MessagePage { base: app.base_path(), title, text: &text, next })
}

/// It failed on our side; the words and the status are those of the API.
fn failed_here(app: &App, error: &BrokerError) -> Response {
    let mut error = ApiError::from(error);
    let template = MessagePage {
        base: app.base_path(),
        title: "The connection was not stored",
        text: &sentence(error.message()),
        next: "Ask for a new link and try again in a moment.",
    };
    let mut page = page(error.status(), &template);
    if let Some((name, value)) = error.take_header().filter(|(name, _)| *name == header::RETRY_AFTER) {
        page.headers_mut().insert(name, value);
    }
    page
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str().trim_end_matches('.')),
        None => String::new(),
    }
}

/// What a visitor who has only the address sees.
pub(crate) async fn home(State(app): State<App>) -> Response {
    page(StatusCode::OK, &HomePage { base: app.base_path() })
}

/// The style sheet.
pub(crate) async fn style() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, STYLE).into_response()
}
