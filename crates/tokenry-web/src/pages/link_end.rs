//! How a connect ends that was begun with a link: a page that says so, tells the page that opened it, and leads back to where
//! the program wants the person.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tokenry_broker::{CallbackOutcome, ConnectError, Connected, LinkEnd, WebOrigin};

use super::connecting::{error_key, status_of};
use super::frame::Frame;
use super::gate::Visit;
use super::markup::Markup;
use super::page;
use super::words::{Said, of_connect};

#[derive(Template)]
#[template(path = "link_end.html")]
struct EndPage<'a> {
    frame: Frame,
    end: &'a LinkEnd,
    /// The class of the badge.
    mood: &'static str,
    badge: String,
    connected: Option<&'a Connected>,
    text: Markup,
    next: String,
    /// Where the person goes on, and what that place is called.
    back: Option<(String, String)>,
    /// Whether they go there by themselves.
    goes: bool,
    can_retry: bool,
}

/// The page for how it ended. Nothing for what has not: a grant that waits for its owner.
pub(super) fn show(
    visit: &Visit,
    end: &LinkEnd,
    outcome: &Result<CallbackOutcome, ConnectError>,
) -> Option<Response> {
    match outcome {
        Ok(CallbackOutcome::Connected(connected)) => Some(show_connected(visit, end, connected)),
        Ok(CallbackOutcome::Confirm(_)) => None,
        Err(error) => Some(show_failed(visit, end, error)),
    }
}

/// The account is connected.
pub(super) fn show_connected(visit: &Visit, end: &LinkEnd, connected: &Connected) -> Response {
    let title = visit.language.say("connected-title", &[("service", &connected.service)]);
    let template = EndPage {
        mood: "good",
        badge: visit.say("connected-new"),
        connected: Some(connected),
        ..blank(visit, end, title)
    };
    embeddable(visit, page(StatusCode::OK, &template))
}

fn show_failed(visit: &Visit, end: &LinkEnd, error: &ConnectError) -> Response {
    let key = error_key(error);
    let title = visit.say(&format!("{key}-title"));
    let said = match error {
        ConnectError::Broker(error) => Some(Said::of(&visit.language, error)),
        _ => None,
    };
    let template = EndPage {
        mood: if end.status == "declined" { "warn" } else { "bad" },
        badge: visit.say("link-end-not"),
        text: of_connect(&visit.language, error),
        next: visit.say("link-end-next"),
        can_retry: true,
        // What failed is to be read first.
        goes: end.status == "declined" && end.opener.is_none(),
        ..blank(visit, end, title)
    };
    let response = match said {
        Some(said) => said.wait(page(said.status, &template)),
        None => page(status_of(error), &template),
    };
    embeddable(visit, response)
}

fn blank<'a>(visit: &Visit, end: &'a LinkEnd, title: String) -> EndPage<'a> {
    let back = end
        .return_to
        .as_ref()
        .map(|url| (url.as_str().to_owned(), url.host_str().unwrap_or_default().to_owned()));
    EndPage {
        frame: visit.titled(title),
        end,
        mood: "",
        badge: String::new(),
        connected: None,
        text: Markup::default(),
        next: String::new(),
        back,
        // A window that a page opened is closed by that page.
        goes: end.opener.is_none(),
        can_retry: false,
    }
}

/// Lets the configured origins open a page in a window that stays theirs. A page that asks for a password stands in no frame.
pub(super) fn openable(visit: &Visit, mut response: Response) -> Response {
    if !visit.app.broker.settings().embedding.origins.is_empty() {
        let policy = HeaderValue::from_static("unsafe-none");
        response.headers_mut().insert("cross-origin-opener-policy", policy);
    }
    response
}

/// Lets the configured origins open a page in a window that stays theirs, and frame it. What is done there needs cookies,
/// which no frame of another site has.
pub(super) fn embeddable(visit: &Visit, mut response: Response) -> Response {
    let origins = &visit.app.broker.settings().embedding.origins;
    let policy =
        response.headers().get(header::CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let (false, Some(policy)) = (origins.is_empty(), policy) else { return response };
    let allowed: Vec<&str> = origins.iter().map(WebOrigin::as_str).collect();
    let policy = policy.replace("frame-ancestors 'none'", &format!("frame-ancestors {}", allowed.join(" ")));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        // It knows no list, and browsers that know one do not need it.
        headers.remove(header::X_FRAME_OPTIONS);
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("unsafe-none"));
    }
    response
}
