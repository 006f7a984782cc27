//! The page of a connect link: whose account gets the access, and which one. See docs/embedding.md.
//!
//! Opening it in earnest gives the link to the browser, so only a navigation that a browser says is one does that: previews and
//! prefetchers, and browsers that say nothing, get a page with a button.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tokenry_broker::{BrokerError, LinkError, LinkPage, LinkService, LinkVisit, Opener, Visitor};

use super::error::PageError;
use super::extract::{Form, Path};
use super::frame::Frame;
use super::gate::{Visit, Who};
use super::link_end::embeddable;
use super::markup::Markup;
use super::routes::Page;
use super::service::Sent;
use super::words::{of_broker, of_link};
use super::{leave, link_bring, page, worded};
use crate::logos::Sheet;

/// How many services the page shows at once.
const SHOWN: usize = 48;
/// How many bytes their logos may have.
const ROOM: usize = 40_000;
/// What the names of a service's fields begin with.
const SETTING: &str = "setting-";

pub(super) fn routes() -> Vec<Page> {
    vec![
        Page::get_once("/link/{token}", Who::Anyone, open),
        Page::post("/link/{token}", Who::Anyone, go_on),
        Page::post("/link/{token}/take", Who::Person, take_over),
        Page::post("/link/{token}/connect", Who::Anyone, connect),
        Page::get_once("/link/{token}/service/{service}", Who::Anyone, ask),
        Page::post("/link/{token}/service/{service}", Who::Anyone, link_bring::bring),
    ]
}

/// What may be in the address.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    /// What the page that opened the window knows it by.
    popup: Option<String>,
    /// A part of a service's name.
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "link.html")]
struct ChoicePage<'a> {
    frame: Frame,
    link: &'a LinkPage,
    /// Somebody else's name, if that is who is signed in here.
    stranger: Option<String>,
    opener: Option<&'a Opener>,
    services: &'a [Choice],
    sheet: String,
    search: &'a str,
    searchable: bool,
    /// How many more there are.
    more: usize,
}

/// A service, and what it is shown by.
struct Choice {
    service: LinkService,
    logo: String,
}

#[derive(Template)]
#[template(path = "link_gate.html")]
struct GatePage<'a> {
    frame: Frame,
    /// The keys of the texts.
    heading: String,
    text: String,
    username: &'a str,
    /// Where the button leads: `post` a form of ours, `window` a window of its own, `sign-in` the sign-in.
    way: &'static str,
    action: String,
    button: String,
}

#[derive(Template)]
#[template(path = "link_service.html")]
struct ServicePage<'a> {
    frame: Frame,
    link: &'a LinkPage,
    opener: Option<&'a Opener>,
    service: &'a LinkService,
    given: &'a BTreeMap<String, String>,
    problem: Option<Markup>,
}

impl ServicePage<'_> {
    fn given(&self, name: &str) -> &str {
        self.given.get(name).map_or("", String::as_str)
    }
}

/// How a link was opened.
#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    /// By a person, in a tab or a window.
    Tab,
    /// In a frame, where there are no cookies.
    Frame,
    /// Nobody can say: a preview, a prefetch, a browser that does not tell.
    Unclear,
}

/// How a request says that it came to be (Fetch Metadata).
fn arrival(headers: &HeaderMap) -> Arrival {
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if ["iframe", "frame", "fencedframe", "embed", "object"]
        .iter()
        .any(|dest| said("sec-fetch-dest") == Some(dest))
    {
        return Arrival::Frame;
    }
    let ahead =
        ["sec-purpose", "purpose", "x-purpose", "x-moz"].iter().any(|name| headers.contains_key(*name));
    let real = said("sec-fetch-mode") == Some("navigate") && said("sec-fetch-dest") == Some("document");
    if real && !ahead { Arrival::Tab } else { Arrival::Unclear }
}

pub(super) fn visitor(visit: &Visit) -> Visitor {
    Visitor {
        browser: Some(visit.browser.clone()),
        claims: visit.person.as_ref().map(|person| person.claims.clone()),
        from: visit.from.clone(),
    }
}

/// Somebody opens a link.
async fn open(
    visit: Visit,
    headers: HeaderMap,
    Path(token): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let arrival = arrival(&headers);
    let take = arrival == Arrival::Tab;
    let visited = visit.app.broker.visit_link(&token, &visitor(&visit), take, asked.popup.as_deref()).await;
    let response =
        match visited {
            Err(error) => refused(&visit, error),
            Ok(
                LinkVisit::Here(link) | LinkVisit::Unopened(link) | LinkVisit::Elsewhere { page: link, .. },
            ) if arrival == Arrival::Frame => in_a_frame(&visit, &token, &link),
            Ok(LinkVisit::Here(link)) => choice(&visit, &link, &asked.q),
            Ok(LinkVisit::Unopened(link)) => unopened(&visit, &token, asked.popup.as_deref(), &link),
            Ok(LinkVisit::Elsewhere { page, may_take }) => elsewhere(&visit, &token, &page, may_take),
        };
    embeddable(&visit, response)
}

/// The button of the page for whoever cannot be told from a preview.
async fn go_on(
    visit: Visit,
    Path(token): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let visited = visit.app.broker.visit_link(&token, &visitor(&visit), true, asked.popup.as_deref()).await;
    let response = match visited {
        Err(error) => refused(&visit, error),
        Ok(LinkVisit::Here(link) | LinkVisit::Unopened(link)) => choice(&visit, &link, ""),
        Ok(LinkVisit::Elsewhere { page, may_take }) => elsewhere(&visit, &token, &page, may_take),
    };
    embeddable(&visit, response)
}

/// The owner, signed in here, takes it over from another browser.
async fn take_over(visit: Visit, Path(token): Path<String>) -> Response {
    let response = match visit.app.broker.take_link(&token, &visitor(&visit)).await {
        Ok(_) => visit.go(&format!("/link/{token}")),
        Err(error) => refused(&visit, error),
    };
    embeddable(&visit, response)
}

/// Which service, and what it asks for.
pub(super) async fn ask(visit: Visit, Path((token, service)): Path<(String, String)>) -> Response {
    let broker = &visit.app.broker;
    let response = match broker.visit_link(&token, &visitor(&visit), false, None).await {
        Err(error) => refused(&visit, error),
        Ok(LinkVisit::Here(link)) => match broker.link_offer(&link.services, &service).await {
            Ok(Some(offer)) => return link_bring::show(&visit, &link, &offer, &Sent::default(), None),
            Ok(None) => asking(&visit, &link, &service, &BTreeMap::new(), None),
            Err(error) => refused(&visit, error.into()),
        },
        Ok(_) => refused(&visit, LinkError::Elsewhere),
    };
    embeddable(&visit, response)
}

/// To the service.
async fn connect(
    visit: Visit,
    Path(token): Path<String>,
    Form(form): Form<BTreeMap<String, String>>,
) -> Response {
    let service = form.get("service").map(String::as_str).unwrap_or_default();
    let said = |(name, value): (&String, &String)| {
        let name = name.strip_prefix(SETTING)?;
        (!value.trim().is_empty()).then(|| (name.to_owned(), value.trim().to_owned()))
    };
    let given: BTreeMap<String, String> = form.iter().filter_map(said).collect();
    let (broker, from) = (&visit.app.broker, visit.from.clone());
    let response = match broker.begin_with_link(&token, &visit.browser, service, &given, from).await {
        Ok(begun) => {
            let known =
                broker.link_services(&[]).into_iter().find(|known| known.id.as_str() == begun.service);
            leave(&visit, &begun.url, known.as_ref().map_or(begun.service.as_str(), |known| &known.name))
        }
        Err(LinkError::Broker(
            error @ (BrokerError::Setting { .. } | BrokerError::SettingsRequired { .. }),
        )) => match broker.visit_link(&token, &visitor(&visit), false, None).await {
            Ok(LinkVisit::Here(link)) => {
                asking(&visit, &link, service, &given, Some(of_broker(&visit.language, &error)))
            }
            Ok(_) => refused(&visit, LinkError::Elsewhere),
            Err(error) => refused(&visit, error),
        },
        Err(error) => refused(&visit, error),
    };
    embeddable(&visit, response)
}

/// The services, for the browser that has the link.
fn choice(visit: &Visit, link: &LinkPage, search: &str) -> Response {
    let all = visit.app.broker.link_services(&link.services);
    let searchable = all.len() > SHOWN;
    let wanted = search.trim().to_lowercase();
    let mut found: Vec<_> = all.into_iter().filter(|service| service.words.contains(&wanted)).collect();
    let more = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    let mut sheet = Sheet::within(ROOM);
    let choice = |service: LinkService| {
        let logo = sheet.logo(service.id.as_str(), &service.name).html();
        Choice { service, logo }
    };
    let services: Vec<Choice> = found.into_iter().map(choice).collect();
    let signed_in = visit.person.as_ref().map(|person| person.user.username.to_string());
    let template = ChoicePage {
        frame: visit.frame("link-title"),
        opener: link.opener.as_ref(),
        stranger: signed_in.filter(|name| *name != link.username),
        services: &services,
        sheet: sheet.html(),
        search: search.trim(),
        searchable,
        more,
        link,
    };
    page(StatusCode::OK, &template)
}

/// Nobody has it yet, and nobody can say whether a person opened it.
fn unopened(visit: &Visit, token: &str, popup: Option<&str>, link: &LinkPage) -> Response {
    let mut action = format!("{}/link/{token}", visit.app.base_path());
    if let Some(popup) = popup {
        let popup: String = url::form_urlencoded::byte_serialize(popup.as_bytes()).collect();
        action = format!("{action}?popup={popup}");
    }
    gate(visit, link, "link-unopened", "post", action)
}

/// There are no cookies in a frame of another site, so it cannot be told there who one is.
fn in_a_frame(visit: &Visit, token: &str, link: &LinkPage) -> Response {
    gate(visit, link, "link-framed", "window", format!("{}/link/{token}", visit.app.base_path()))
}

/// Another browser has it: only its owner can go on here.
fn elsewhere(visit: &Visit, token: &str, link: &LinkPage, may_take: bool) -> Response {
    let base = visit.app.base_path();
    let mut response = if may_take {
        gate(visit, link, "link-take", "post", format!("{base}/link/{token}/take"))
    } else if visit.person.is_some() {
        gate(visit, link, "link-stranger", "post", format!("{base}/sign-out"))
    } else {
        let next: String =
            url::form_urlencoded::byte_serialize(format!("/link/{token}").as_bytes()).collect();
        gate(visit, link, "link-confirm", "sign-in", format!("{base}/sign-in?next={next}"))
    };
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

pub(super) fn gate(visit: &Visit, link: &LinkPage, key: &str, way: &'static str, action: String) -> Response {
    let username = link.username.as_str();
    let say = |part: &str| visit.language.say(&format!("{key}{part}"), &[("username", &username)]);
    let template = GatePage {
        frame: visit.titled(say("-title")),
        heading: say("-title"),
        text: say(""),
        button: say("-button"),
        username,
        way,
        action,
    };
    page(StatusCode::OK, &template)
}

/// What a service asks for before one goes there.
fn asking(
    visit: &Visit,
    link: &LinkPage,
    service: &str,
    given: &BTreeMap<String, String>,
    problem: Option<Markup>,
) -> Response {
    let offered = visit.app.broker.link_services(&link.services);
    let Some(service) = offered.iter().find(|known| known.id.as_str() == service) else {
        return refused(visit, LinkError::OtherService);
    };
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let template = ServicePage {
        frame: visit.titled(visit.language.say("link-service-title", &[("service", &service.name)])),
        opener: link.opener.as_ref(),
        link,
        service,
        given,
        problem,
    };
    page(status, &template)
}

/// Why a link cannot be used, in words, and what to do.
pub(super) fn refused(visit: &Visit, error: LinkError) -> Response {
    let (status, key) = match &error {
        LinkError::Unknown => (StatusCode::NOT_FOUND, "link-unknown"),
        LinkError::Expired => (StatusCode::GONE, "link-expired"),
        LinkError::Used => (StatusCode::GONE, "link-used"),
        LinkError::Finishing => (StatusCode::CONFLICT, "link-finishing"),
        LinkError::Ended => (StatusCode::GONE, "link-ended"),
        // A stranger to it is shown whose it is, on a page of its own.
        LinkError::Elsewhere | LinkError::Stranger => (StatusCode::FORBIDDEN, "link-elsewhere"),
        LinkError::OtherService => (StatusCode::FORBIDDEN, "link-other-service"),
        LinkError::Broker(_) => {
            let LinkError::Broker(error) = error else { return super::not_found(visit) };
            return PageError::from(error).show(visit);
        }
    };
    let [title, next] = ["title", "next"].map(|part| visit.say(&format!("{key}-{part}")));
    worded(visit, status, &title, &of_link(&visit.language, &error), &next)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_a_navigation_of_a_whole_tab_is_taken_for_a_person() {
        let arrives = |headers: &[(&'static str, &'static str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            arrival(&headers.collect())
        };
        let tab = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert_eq!(arrives(&tab), Arrival::Tab);
        for more in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
        ] {
            assert_eq!(arrives(&[tab[0], tab[1], more]), Arrival::Unclear, "{more:?}");
        }
        for unclear in [
            &[] as &[_],
            &[tab[0]],
            &[tab[1]],
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        ] {
            assert_eq!(arrives(unclear), Arrival::Unclear, "{unclear:?}");
        }
        for frame in ["iframe", "frame", "object", "embed"] {
            assert_eq!(arrives(&[tab[0], ("sec-fetch-dest", frame)]), Arrival::Frame, "{frame}");
        }
    }
}
