//! Saying yes on another device (RFC 8628): the code, and the question how it is getting on.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokenry_broker::{BrokerError, DeviceBegun, DeviceStatus, Offer};
use tokenry_model::{ExposeSecret as _, SecretString};
use url::Url;

use super::error::PageError;
use super::extract::Form;
use super::frame::{Frame, Section};
use super::gate::{Visit, Who};
use super::markup::Markup;
use super::routes::Page;
use super::service::outward;
use super::words::Said;

pub(super) fn routes() -> Vec<Page> {
    vec![Page::post("/connect/device", Who::Person, ask)]
}

/// What the page shows, and sends along to be shown again.
#[derive(Deserialize)]
struct Waiting {
    #[serde(default)]
    service: String,
    #[serde(default)]
    handle: SecretString,
    #[serde(default)]
    code: String,
    #[serde(default)]
    address: String,
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage<'a> {
    frame: Frame,
    service_id: &'a str,
    service: &'a str,
    handle: &'a str,
    code: &'a str,
    address: &'a str,
    /// Whether it was asked after, and nothing has come yet.
    is_pending: bool,
    /// Why it could not be asked after.
    problem: Option<&'a Markup>,
}

pub(super) fn show_begun(visit: &Visit, offer: &Offer, begun: &DeviceBegun) -> Response {
    let address = outward(&begun.verification_uri).unwrap_or_default();
    let waiting = Waiting {
        service: offer.id.to_string(),
        handle: begun.id.clone(),
        code: begun.user_code.clone(),
        address,
    };
    show(visit, offer, &waiting, false, None)
}

fn show(
    visit: &Visit,
    offer: &Offer,
    waiting: &Waiting,
    is_pending: bool,
    problem: Option<&Said>,
) -> Response {
    let title = visit.language.say("device-title", &[("service", &offer.name)]);
    let address = Url::parse(&waiting.address).ok().and_then(|url| outward(&url)).unwrap_or_default();
    let template = DevicePage {
        frame: visit.titled(title).at(Section::Connect),
        service_id: offer.id.as_str(),
        service: &offer.name,
        handle: waiting.handle.expose_secret(),
        code: &waiting.code,
        address: &address,
        is_pending,
        problem: problem.map(|said| &said.text),
    };
    Said::page(problem, &template)
}

/// Asks how it is getting on.
async fn ask(visit: Visit, Form(waiting): Form<Waiting>) -> Result<Response, PageError> {
    let claims = visit.claims()?;
    let broker = &visit.app.broker;
    let offer = broker.find_offer(&waiting.service).await?.ok_or(PageError::NotFound)?;
    let progress = match broker.poll_device(claims, claims.username(), waiting.handle.expose_secret()).await {
        Ok(progress) => progress,
        Err(error) => return not_now(&visit, &offer, &waiting, error),
    };
    Ok(match (progress.status, progress.connection) {
        (DeviceStatus::Connected, Some(id)) => visit.go(&format!("/connections/{id}?done=connected")),
        (DeviceStatus::Pending | DeviceStatus::Connected, _) => show(&visit, &offer, &waiting, true, None),
        (DeviceStatus::Declined, _) => ended(&visit, &offer, "device-declined"),
        (DeviceStatus::Expired, _) => ended(&visit, &offer, "device-expired"),
    })
}

/// What passes is said above the form, which is all that knows the handle.
fn not_now(
    visit: &Visit,
    offer: &Offer,
    waiting: &Waiting,
    error: BrokerError,
) -> Result<Response, PageError> {
    if matches!(error, BrokerError::Unauthenticated(_)) {
        return Err(error.into());
    }
    let said = Said::of(&visit.language, &error);
    if said.status.is_server_error() || said.status == StatusCode::TOO_MANY_REQUESTS {
        return Ok(show(visit, offer, waiting, false, Some(&said)));
    }
    Err(error.into())
}

fn ended(visit: &Visit, offer: &Offer, key: &str) -> Response {
    let title = visit.language.say(&format!("{key}-title"), &[("service", &offer.name)]);
    let next = visit.say("device-again");
    super::connecting::dead_end(visit, StatusCode::BAD_REQUEST, &title, &next, offer)
}
