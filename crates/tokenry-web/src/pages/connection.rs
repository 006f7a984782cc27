//! One connection: what it is, who used it, and what its owner can do with it.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokenry_broker::{AuthorizeConnection, BrokerError, ConnectionDetail, Leaving, Offer, Way};
use tokenry_model::{ConnectionId, Scopes, Timestamp, Values};

use super::connections::{self, Refused, Search, account, standing, title};
use super::doings::Doing;
use super::error::PageError;
use super::extract::{Form, Path};
use super::frame::{Frame, Section};
use super::gate::{Visit, Who};
use super::markup::Markup;
use super::routes::Page;
use super::words::Said;
use super::{leave, page};
use crate::logos::Sheet;

/// How many rows of the audit log one page shows.
const ROWS: i64 = 20;

pub(super) fn routes() -> Vec<Page> {
    vec![
        Page::get("/connections/{id}", Who::Person, look),
        Page::post("/connections/{id}/rename", Who::Person, rename),
        Page::post("/connections/{id}/reconnect", Who::Person, reconnect),
        Page::post("/connections/{id}/revoke", Who::Person, revoke),
        Page::post("/connections/{id}/delete", Who::Person, delete),
        Page::post("/connections/{id}/undo", Who::Person, undo),
    ]
}

#[derive(Template)]
#[template(path = "connection.html")]
struct ConnectionPage {
    frame: Frame,
    sheet: String,
    logo: String,
    id: i64,
    /// What it is called, and the name as it can be changed.
    title: String,
    name: String,
    service: String,
    service_id: String,
    account: Option<String>,
    standing: (&'static str, &'static str),
    /// What to do, and what was written down of the cause.
    advice: &'static str,
    reason: Option<Markup>,
    /// When it ends, if that is soon.
    ends_at: Option<Timestamp>,
    trouble: Option<Markup>,
    kind: &'static str,
    times: Vec<(&'static str, Timestamp)>,
    settings: Vec<(String, String)>,
    granted: Vec<ScopeLine>,
    missing: Vec<ScopeLine>,
    /// What can be asked for besides.
    addable: Vec<ScopeLine>,
    can_reconnect: bool,
    is_waiting: bool,
    can_revoke: bool,
    /// The text of what a delete does.
    deletes: &'static str,
    doings: Vec<Doing>,
    older: Option<i64>,
    /// What is wrong with the name that was sent.
    problem: Option<Markup>,
}

#[derive(Template)]
#[template(path = "leaving.html")]
struct LeavingPage {
    frame: Frame,
    id: i64,
    title: String,
    delete_at: Timestamp,
}

/// A scope, and what it is good for where that is known.
struct ScopeLine {
    scope: String,
    about: Option<String>,
}

/// Where the list of what happened goes on.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Older {
    pub(super) before: Option<i64>,
}

#[derive(Deserialize)]
struct Renaming {
    #[serde(default)]
    name: String,
    /// Whether the form is one of the list, and which part of that was shown.
    #[serde(default)]
    from: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    after: i64,
}

/// The id of an address. One that is none is nobody's connection.
fn id_of(text: &str) -> Result<ConnectionId, PageError> {
    ConnectionId::parse(text).map_err(|_| PageError::NotFound)
}

async fn look(
    visit: Visit,
    Path(id): Path<String>,
    older: Result<Query<Older>, QueryRejection>,
) -> Result<Response, PageError> {
    let before = older.ok().and_then(|Query(older)| older.before);
    show(&visit, id_of(&id)?, before, None).await
}

/// Shows a connection, be it one that is being deleted.
async fn show(
    visit: &Visit,
    id: ConnectionId,
    before: Option<i64>,
    problem: Option<Said>,
) -> Result<Response, PageError> {
    let claims = visit.claims()?;
    let owner = claims.username();
    let broker = &visit.app.broker;
    let (detail, delete_at) = broker.find_kept(claims, owner, id).await?;
    if let Some(delete_at) = delete_at {
        return Ok(show_leaving(visit, &Leaving { detail, delete_at }));
    }
    let audit = broker.list_connection_audit(claims, owner, id, before.unwrap_or(i64::MAX), ROWS + 1).await?;
    let mut doings: Vec<Doing> = audit.lines.iter().map(|line| Doing::of(&visit.language, line)).collect();
    let shown = usize::try_from(ROWS).unwrap_or_default();
    let older = (doings.len() > shown).then(|| doings[shown - 1].place);
    doings.truncate(shown);
    let status = problem.as_ref().map_or(StatusCode::OK, |said| said.status);
    let offer = broker.find_offer(detail.connection.provider.as_str()).await?;
    let template = template(visit, detail, offer.as_ref(), doings, older, problem);
    Ok(page(status, &template))
}

fn template(
    visit: &Visit,
    detail: ConnectionDetail,
    offer: Option<&Offer>,
    doings: Vec<Doing>,
    older: Option<i64>,
    problem: Option<Said>,
) -> ConnectionPage {
    let mut sheet = Sheet::within(usize::MAX);
    let connection = &detail.connection;
    let is_grant = connection.kind.is_grant();
    let can_reconnect = is_grant && offer.is_some_and(|offer| offer.way == Way::Consent);
    let asked = |scope: &str| connection.requested.contains(scope) || connection.scopes.contains(scope);
    let addable = offer.filter(|_| can_reconnect).map_or_else(Vec::new, |offer| {
        let open = offer.scopes.iter().filter(|known| !asked(&known.scope));
        open.map(|known| ScopeLine { scope: known.scope.clone(), about: Some(known.about.clone()) }).collect()
    });
    let times = [
        ("connection-connected", connection.connected_at),
        ("connection-used", detail.last_used_at),
        ("connection-refreshed", connection.last_refreshed_at),
        ("connection-token-ends", connection.times.expires_at),
        ("connection-reconnect-by", detail.reconnect_by),
    ];
    ConnectionPage {
        logo: sheet.logo(connection.provider.as_str(), &detail.service_name).html(),
        sheet: sheet.html(),
        id: connection.id.get(),
        title: title(&detail),
        name: connection.name.as_str().to_owned(),
        service_id: connection.provider.to_string(),
        account: account(&detail),
        standing: standing(detail.standing),
        kind: kind(connection.kind.as_str()),
        times: times.into_iter().filter_map(|(key, at)| Some((key, at?))).collect(),
        settings: connection.values.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        granted: lines(&connection.scopes, offer),
        missing: lines(&detail.missing, offer),
        addable,
        can_reconnect,
        is_waiting: can_reconnect && detail.standing != "ok",
        can_revoke: is_grant && !matches!(detail.standing, "revoked" | "handed_over"),
        deletes: if detail.is_revocable {
            "delete-is-told"
        } else if is_grant {
            "delete-is-not-told"
        } else {
            "delete-is-pasted"
        },
        doings,
        older,
        problem: problem.map(|said| said.text),
        frame: visit.titled(title(&detail)).at(Section::Connections),
        advice: advice(detail.standing),
        ends_at: detail.reconnect_by.filter(|_| detail.standing == "expiring"),
        // That it ends soon is said with the time in the reader's own words.
        reason: detail.reason.filter(|_| detail.standing != "expiring").map(|reason| Markup::quote(&reason)),
        trouble: detail.provider_trouble.map(|trouble| Markup::quote(&trouble)),
        service: detail.service_name,
    }
}

/// The text for what a standing means for its owner; none where there is nothing to say.
fn advice(standing: &str) -> &'static str {
    match standing {
        "reconnect_required" => "advice-reconnect",
        "quarantined" => "advice-quarantined",
        "revoked" => "advice-revoked",
        "handed_over" => "advice-handed-over",
        _ => "",
    }
}

/// The text for a kind of credential.
fn kind(word: &str) -> &'static str {
    match word {
        "api_key" => "kind-api-key",
        "basic" => "kind-basic",
        "oauth1" | "oauth2" => "kind-oauth",
        "client_credentials" => "kind-client",
        _ => "kind-plain",
    }
}

/// Scopes, each with what it is good for.
fn lines(scopes: &Scopes, offer: Option<&Offer>) -> Vec<ScopeLine> {
    let about = |scope: &str| {
        let known = offer?.scopes.iter().find(|known| known.scope == scope)?;
        Some(known.about.clone())
    };
    scopes.iter().map(|scope| ScopeLine { scope: scope.to_owned(), about: about(scope) }).collect()
}

fn show_leaving(visit: &Visit, leaving: &Leaving) -> Response {
    let title = title(&leaving.detail);
    let template = LeavingPage {
        frame: visit.titled(title.clone()).at(Section::Connections),
        id: leaving.detail.connection.id.get(),
        title,
        delete_at: leaving.delete_at,
    };
    page(StatusCode::OK, &template)
}

async fn rename(
    visit: Visit,
    Path(id): Path<String>,
    Form(form): Form<Renaming>,
) -> Result<Response, PageError> {
    let id = id_of(&id)?;
    let claims = visit.claims()?;
    let search = Search { q: form.q, state: form.state, after: form.after };
    match visit.app.broker.rename_connection(claims, claims.username(), id, form.name.trim()).await {
        Ok(()) if form.from == "list" => {
            Ok(visit.go(&format!("/connections?done=renamed&{}", search.query())))
        }
        Ok(()) => Ok(visit.go(&format!("/connections/{id}?done=renamed"))),
        Err(error @ BrokerError::Field { .. }) => {
            let said = Said::of(&visit.language, &error);
            if form.from == "list" {
                let refused = Refused { id: id.get(), name: form.name, said };
                return connections::show(&visit, search, Some(refused)).await;
            }
            show(&visit, id, None, Some(said)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Connects the account again, perhaps with more scopes, and leaves for the service.
async fn reconnect(
    visit: Visit,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let id = id_of(&id)?;
    let claims = visit.claims()?;
    let owner = claims.username();
    let broker = &visit.app.broker;
    let scopes: Vec<String> = fields
        .iter()
        .filter(|(name, _)| name == "scope")
        .flat_map(|(_, value)| value.split_whitespace().map(str::to_owned))
        .collect();
    let service = broker.find_detail(claims, owner, id).await?.service_name;
    let again = AuthorizeConnection { scopes, settings: Values::new() };
    let link = broker.authorize_connection(claims, owner, id, again, Some(&visit.browser)).await?;
    Ok(leave(&visit, &link.url, &service))
}

async fn revoke(visit: Visit, Path(id): Path<String>) -> Result<Response, PageError> {
    let id = id_of(&id)?;
    let claims = visit.claims()?;
    visit.app.broker.revoke_connection(claims, claims.username(), id).await?;
    Ok(visit.go(&format!("/connections/{id}?done=revoked")))
}

/// Takes it out of service. It is deleted when the time to take that back is over.
async fn delete(visit: Visit, Path(id): Path<String>) -> Result<Response, PageError> {
    let id = id_of(&id)?;
    let claims = visit.claims()?;
    visit.app.broker.delete_later(claims, claims.username(), id).await?;
    Ok(visit.go("/connections"))
}

async fn undo(visit: Visit, Path(id): Path<String>) -> Result<Response, PageError> {
    let id = id_of(&id)?;
    let claims = visit.claims()?;
    match visit.app.broker.undo_delete(claims, claims.username(), id).await {
        Ok(()) => Ok(visit.go(&format!("/connections/{id}?done=undone"))),
        // It came too late, or it was never to be deleted.
        Err(BrokerError::NoSuchConnection) => Ok(too_late(&visit)),
        Err(error) => Err(error.into()),
    }
}

fn too_late(visit: &Visit) -> Response {
    super::message(visit, StatusCode::NOT_FOUND, "undo-late")
}
