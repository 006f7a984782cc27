//! The pages: rendered here, whole without script, under a policy that allows nothing but what is in the binary.

mod account;
mod assets;
mod catalogue;
mod connecting;
mod connection;
mod connections;
mod device;
mod doings;
mod error;
mod extract;
mod frame;
mod gate;
mod home;
mod link_bring;
mod link_end;
mod links;
mod markup;
mod operator;
mod routes;
mod service;
mod setup;
mod sign_in;
mod texts;
mod words;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use url::Url;

pub(crate) use self::assets::router as assets;
#[cfg(feature = "fuzz")]
pub(crate) use self::connecting::read_callback;
pub(crate) use self::frame::Frame;
pub use self::gate::Who;
pub(crate) use self::gate::{Visit, wants_page};
use self::markup::Markup;
pub use self::routes::page_routes;
pub(crate) use self::routes::router;
use self::texts::Language;
pub use self::texts::{LiveTexts, TextFile, Texts, TextsError, english_texts};
use self::words::{Said, title_of};
use crate::error::ApiError;
use crate::router::App;
use tokenry_broker::BrokerError;

/// What a page may do: show itself, with our style and our scripts, and send its forms to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a Markup,
    next: &'a str,
}

#[derive(Template)]
#[template(path = "leave.html")]
struct LeavePage<'a> {
    frame: Frame,
    service: &'a str,
    url: &'a str,
}

/// Puts a page out.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    let Ok(html) = template.render() else { return ApiError::internal().into_response() };
    dressed(status, html)
}

fn dressed(status: StatusCode, html: String) -> Response {
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        // The callback's address holds a code and a state.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}

/// A page that only says something: `key` has a text, `<key>-title` and `<key>-next` belong to it.
pub(crate) fn message(visit: &Visit, status: StatusCode, key: &str) -> Response {
    let [title, next] = ["title", "next"].map(|part| visit.say(&format!("{key}-{part}")));
    let text = visit.language.mark(key, &[]);
    worded(visit, status, &title, &text, &next)
}

/// As [`message`], with texts that are there already.
pub(crate) fn worded(visit: &Visit, status: StatusCode, title: &str, text: &Markup, next: &str) -> Response {
    let frame = visit.titled(title.to_owned());
    page(status, &MessagePage { frame, title, text, next })
}

/// A verb was not done.
fn problem(visit: &Visit, error: &BrokerError) -> Response {
    let said = Said::of(&visit.language, error);
    let key = title_of(error, said.status);
    let [title, next] = ["title", "next"].map(|part| visit.say(&format!("{key}-{part}")));
    said.wait(worded(visit, said.status, &title, &said.text, &next))
}

/// There is nothing at this address, or nothing for this person: the two are told apart by nobody.
pub(crate) fn not_found(visit: &Visit) -> Response {
    message(visit, StatusCode::NOT_FOUND, "not-found")
}

/// What is said when it cannot even be found out who comes.
fn bare(app: &App, language: Language, error: &BrokerError) -> Response {
    let said = Said::of(&language, error);
    let [title, next] = ["problem-here-title", "problem-here-next"].map(|key| language.say(key, &[]));
    let frame = Frame::new(app.base_path(), language, title.clone(), None, Default::default());
    said.wait(page(said.status, &MessagePage { frame, title: &title, text: &said.text, next: &next }))
}

/// Leaves for a service. A redirect would do, if browsers did not hold the policy about forms against it.
pub(crate) fn leave(visit: &Visit, url: &Url, service: &str) -> Response {
    let frame = visit.titled(visit.language.say("leave-title", &[("service", &service)]));
    page(StatusCode::OK, &LeavePage { frame, service, url: url.as_str() })
}

/// What was done, by the word that the address says it with.
fn notice(language: &Language, word: &str, username: &str) -> Option<String> {
    let key = match word {
        "signed-in" => "notice-signed-in",
        "signed-out" => "notice-signed-out",
        "session-ended" => "notice-session-ended",
        "signed-out-everywhere" => "notice-signed-out-everywhere",
        "password-changed" => "notice-password-changed",
        "connected" => "notice-connected",
        "renamed" => "notice-renamed",
        "revoked" => "notice-revoked",
        "undone" => "notice-undone",
        "operator" => "notice-operator",
        "service-saved" => "notice-service-saved",
        "service-removed" => "notice-service-removed",
        "role-changed" => "notice-role-changed",
        "sessions-ended" => "notice-sessions-ended",
        "key-rotated" => "notice-key-rotated",
        "key-retired" => "notice-key-retired",
        _ => return None,
    };
    Some(language.say(key, &[("username", &username)]))
}
