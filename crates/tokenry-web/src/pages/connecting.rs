//! The way back from a provider, and the page that asks the owner to sign in.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Form, Path, RawQuery};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use serde::Deserialize;
use tokenry_broker::{
    BrokerError, Callback, CallbackOutcome, Claimant, ConnectError, Connected, Offer, ParkedConnect,
};
use tokenry_model::{ExposeSecret as _, SecretString};

use super::frame::{Frame, Section};
use super::gate::{Visit, Who};
use super::markup::Markup;
use super::routes::Page;
use super::words::{Said, of_connect};
use super::{link_end, message, page, problem};
use crate::browser;
use crate::logos::Sheet;
use crate::router::App;

/// So many parameters besides the standard's are looked at, each with so long a name and value at most.
const MAX_OTHERS: usize = 32;
const MAX_OTHER_NAME: usize = 64;
const MAX_OTHER: usize = 2048;

pub(super) fn routes() -> Vec<Page> {
    vec![
        Page::get_once("/callback", Who::Anyone, callback),
        Page::get_once("/callback/{provider}", Who::Anyone, callback_of),
        Page::post("/connect/confirm", Who::Anyone, confirm),
    ]
}

#[derive(Template)]
#[template(path = "connected.html")]
struct ConnectedPage<'a> {
    frame: Frame,
    sheet: String,
    logo: String,
    connected: &'a Connected,
    /// Whether whoever sees the page is signed in as the owner.
    is_theirs: bool,
}

#[derive(Template)]
#[template(path = "dead_end.html")]
struct DeadEndPage<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a Markup,
    next: &'a str,
    /// Where to try again.
    again: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'a> {
    frame: Frame,
    service: &'a str,
    account: Option<&'a str>,
    username: &'a str,
    handle: &'a str,
    problem: Option<Markup>,
}

/// The way back from a provider that is built in.
async fn callback(visit: Visit, headers: HeaderMap, uri: Uri, RawQuery(query): RawQuery) -> Response {
    end(&visit, &headers, &uri, None, &query.unwrap_or_default()).await
}

/// The way back from a provider that the operator defined: each has its own (RFC 9700 §4.4.2).
async fn callback_of(
    visit: Visit,
    headers: HeaderMap,
    uri: Uri,
    provider: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let Ok(Path(provider)) = provider else { return failed(&visit, &ConnectError::UnknownState) };
    end(&visit, &headers, &uri, Some(provider), &query.unwrap_or_default()).await
}

async fn end(
    visit: &Visit,
    headers: &HeaderMap,
    uri: &Uri,
    provider: Option<String>,
    query: &str,
) -> Response {
    if let Some(target) = home_of(&visit.app, headers, uri) {
        return Redirect::to(&target).into_response();
    }
    let Some(callback) = read_callback(query, provider) else {
        return failed(visit, &ConnectError::UnknownState);
    };
    let claimant = Claimant {
        browser: Some(visit.browser.clone()),
        session: visit.session.clone(),
        from: visit.from.clone(),
    };
    let completed = visit.app.broker.complete(callback, claimant).await;
    if let Some(page) = completed.link.and_then(|end| link_end::show(visit, &end, &completed.outcome)) {
        return page;
    }
    match completed.outcome {
        Ok(CallbackOutcome::Connected(connected)) => show_connected(visit, &connected),
        Ok(CallbackOutcome::Confirm(parked)) => ask_to_confirm(visit, &parked, None),
        Err(error) => failed(visit, &error),
    }
}

/// A provider that refuses `localhost` sends the browser to 127.0.0.1, where it has none of the cookies that it got at
/// `localhost`. It is the same server: the browser is sent home first, with what it brought.
fn home_of(app: &App, headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let at_loopback_ip = host == "127.0.0.1" || host.starts_with("127.0.0.1:");
    if !at_loopback_ip || app.public_url.host_str() != Some("localhost") {
        return None;
    }
    let target =
        format!("{}{}", app.public_url.as_str().trim_end_matches('/'), uri.path_and_query()?.as_str());
    Some(target)
}

/// Reads the parameters of a callback. One of the standard's that comes twice makes all of them worthless (RFC 6749 §3.1).
pub(crate) fn read_callback(query: &str, provider: Option<String>) -> Option<Callback> {
    let mut callback = Callback { provider, ..Callback::default() };
    let (mut code, mut seen) = (None, Vec::new());
    let (mut others, mut doubles) = (BTreeMap::new(), Vec::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*name {
            "state" => &mut callback.state,
            "code" => &mut code,
            "error" => &mut callback.error,
            "iss" => &mut callback.issuer,
            _ => {
                let fits = name.len() <= MAX_OTHER_NAME && value.len() <= MAX_OTHER;
                if others.contains_key(&*name) {
                    doubles.push(name.into_owned());
                } else if fits && others.len() < MAX_OTHERS {
                    others.insert(name.into_owned(), SecretString::from(value.into_owned()));
                }
                continue;
            }
        };
        if seen.contains(&name) {
            return None;
        }
        *slot = Some(value.into_owned());
        seen.push(name);
    }
    // Which of two is meant, nobody can say.
    others.retain(|name, _| !doubles.contains(name));
    callback.code = code.map(SecretString::from);
    callback.others = others;
    Some(callback)
}

/// What the form on the page that asks the owner to sign in sends.
#[derive(Deserialize)]
struct Confirmation {
    #[serde(default)]
    handle: SecretString,
    password: Option<SecretString>,
    #[serde(default)]
    decision: String,
}

/// The owner signs in, or the person says no.
async fn confirm(visit: Visit, form: Result<Form<Confirmation>, FormRejection>) -> Response {
    let Ok(Form(form)) = form else { return failed(&visit, &ConnectError::UnknownState) };
    let broker = &visit.app.broker;
    if form.decision != "finish" {
        return match broker.abandon(&form.handle, &visit.browser, visit.from.clone()).await {
            Ok(true) => message(&visit, StatusCode::OK, "abandoned-given-back"),
            Ok(false) => message(&visit, StatusCode::OK, "abandoned-unconfirmed"),
            Err(error) => failed(&visit, &error),
        };
    }
    let password = form.password.unwrap_or_default();
    match broker.confirm(&form.handle, &visit.browser, &password, visit.from.clone()).await {
        Ok((connected, session)) => {
            let jar = browser::sign_in(&visit.app, CookieJar::new(), &session);
            // The page is of whoever it signed in; it is stored, whatever the database says by now.
            let visit = visit.signed_in(&session).await.unwrap_or(visit);
            let page = match &connected.link {
                Some(end) => link_end::show_connected(&visit, end, &connected),
                None => show_connected(&visit, &connected),
            };
            (jar, page).into_response()
        }
        Err(ConnectError::Broker(
            error @ (BrokerError::WrongLogin | BrokerError::TooManyAttempts { .. } | BrokerError::Busy),
        )) => match broker.find_parked(&form.handle, &visit.browser).await {
            Ok(parked) => ask_to_confirm(&visit, &parked, Some(&error)),
            Err(error) => failed(&visit, &error),
        },
        Err(error) => failed(&visit, &error),
    }
}

/// The connection is stored.
fn show_connected(visit: &Visit, connected: &Connected) -> Response {
    let title = visit.language.say("connected-title", &[("service", &connected.service)]);
    let mut sheet = Sheet::within(usize::MAX);
    let logo = sheet.logo(connected.provider.as_str(), &connected.service).html();
    let is_theirs = visit.person.as_ref().is_some_and(|p| p.user.username.as_str() == connected.username);
    let frame = visit.titled(title).at(Section::Connections);
    page(StatusCode::OK, &ConnectedPage { frame, sheet: sheet.html(), logo, connected, is_theirs })
}

/// The owner has to sign in first.
fn ask_to_confirm(visit: &Visit, parked: &ParkedConnect, problem: Option<&BrokerError>) -> Response {
    let said = problem.map(|error| Said::of(&visit.language, error));
    let template = ConfirmPage {
        frame: visit.frame("confirm-title"),
        service: &parked.service,
        account: parked.account.as_deref(),
        username: &parked.username,
        handle: parked.handle.expose_secret(),
        problem: said.as_ref().map(|said| said.text.clone()),
    };
    link_end::openable(visit, Said::page(said.as_ref(), &template))
}

/// A connect did not end well: what happened, and what to do.
pub(super) fn failed(visit: &Visit, error: &ConnectError) -> Response {
    if let ConnectError::Broker(error) = error {
        return problem(visit, error);
    }
    let key = error_key(error);
    let [title, next] = ["title", "next"].map(|part| visit.say(&format!("{key}-{part}")));
    let service = match error {
        ConnectError::Declined { service }
        | ConnectError::Provider { service, .. }
        | ConnectError::Exchange { service, .. } => Some(service),
        _ => None,
    };
    let catalogue = visit.app.broker.catalogue();
    let offer = service.and_then(|name| catalogue.iter().find(|known| &known.name == name));
    let mended = matches!(error, ConnectError::WrongAccount { .. } | ConnectError::ConnectedElsewhere { .. });
    let again = match offer {
        Some(offer) => format!("/connect/{}", offer.id),
        None if mended => "/connections".to_owned(),
        None => "/connect".to_owned(),
    };
    show_dead_end(visit, status_of(error), &title, &of_connect(&visit.language, error), &next, again)
}

/// Says what happened and what to do next, with a way to try again at a service.
pub(super) fn dead_end(
    visit: &Visit,
    status: StatusCode,
    title: &str,
    next: &str,
    offer: &Offer,
) -> Response {
    show_dead_end(visit, status, title, &Markup::default(), next, format!("/connect/{}", offer.id))
}

fn show_dead_end(
    visit: &Visit,
    status: StatusCode,
    title: &str,
    text: &Markup,
    next: &str,
    again: String,
) -> Response {
    let frame = visit.titled(title.to_owned());
    page(status, &DeadEndPage { frame, title, text, next, again })
}

/// The key of the texts that go with an error.
pub(super) fn error_key(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::UnknownState => "link-unknown",
        ConnectError::UsedState => "link-used",
        ConnectError::ExpiredState => "link-expired",
        ConnectError::LinkEnded => "link-ended",
        ConnectError::WrongCallback => "wrong-callback",
        ConnectError::Declined { .. } => "declined",
        ConnectError::WrongAccount { .. } | ConnectError::ConnectedElsewhere { .. } => "wrong-account",
        ConnectError::Provider { .. } | ConnectError::Exchange { .. } if error.is_provider_away() => {
            "provider-away"
        }
        ConnectError::Provider { .. } | ConnectError::Exchange { .. } => "not-completed",
        ConnectError::Broker(_) => "problem",
    }
}

/// The status of the page for a connect that a person or a provider ended.
pub(super) fn status_of(error: &ConnectError) -> StatusCode {
    if error.is_provider_away() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST }
}

#[cfg(test)]
mod tests {
    use tokenry_model::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_spoils_the_callback() {
        let read = |query| read_callback(query, None);
        let good = read("code=c&state=s&iss=https%3A%2F%2Fexample.org&scope=a&scope=b").unwrap();
        assert_eq!(good.code.unwrap().expose_secret(), "c");
        assert_eq!(good.issuer.as_deref(), Some("https://example.org"));
        assert!(good.others.is_empty(), "which scope was meant?");
        let more = read("state=s&auth_code=c&shop=a&shop=b&realmId=7");
        let more = more.unwrap().others;
        let more: Vec<_> = more.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(more, [("auth_code", "c"), ("realmId", "7")]);
        let long = format!("state=s&long={}&short=x", "x".repeat(MAX_OTHER + 1));
        assert_eq!(read(&long).unwrap().others.into_keys().collect::<Vec<_>>(), ["short"]);
        let many = (0..100).fold("state=s".to_owned(), |all, n| all + &format!("&p{n}=x"));
        assert_eq!(read(&many).unwrap().others.len(), MAX_OTHERS);
        for query in ["code=c&code=d&state=s", "state=s&state=s&code=c", "code=c&state=s&iss=a&iss=b"] {
            assert!(read(query).is_none(), "{query}");
        }
    }
}
