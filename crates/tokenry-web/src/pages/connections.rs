//! What a person has connected: the list.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use serde::Deserialize;
use tokenry_broker::{ConnectionDetail, ConnectionFilter, Leaving};
use tokenry_model::Timestamp;

use super::connection;
use super::error::PageError;
use super::frame::{Frame, Section};
use super::gate::{Visit, Who};
use super::markup::Markup;
use super::routes::Page;
use super::words::Said;
use crate::logos::Sheet;

/// How many connections one page shows.
const PAGE: usize = 25;
/// How many are read at a time while a list is searched.
const BATCH: usize = 200;
/// How many bytes of logos one page holds: all of it stays under 100 kB.
const LOGOS: usize = 32 * 1024;
/// From how many on a list is worth a search.
const MANY: usize = 6;

pub(super) fn routes() -> Vec<Page> {
    let mut routes = vec![Page::get("/connections", Who::Person, list)];
    routes.extend(connection::routes());
    routes
}

/// Which connections are wanted.
#[derive(Debug, Default, Clone, Deserialize)]
pub(super) struct Search {
    /// A part of the name, the account or the service.
    #[serde(default)]
    pub(super) q: String,
    /// The word for where it stands.
    #[serde(default)]
    pub(super) state: String,
    /// The id behind which the page begins.
    #[serde(default)]
    pub(super) after: i64,
}

impl Search {
    /// The same, in an address.
    pub(super) fn query(&self) -> String {
        let after = self.after.to_string();
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("q", &self.q), ("state", &self.state), ("after", &after)] {
            if !value.is_empty() && value != "0" {
                text.append_pair(name, value);
            }
        }
        text.finish()
    }
}

#[derive(Template)]
#[template(path = "connections.html")]
struct ListPage {
    frame: Frame,
    sheet: String,
    leaving: Vec<Going>,
    rows: Vec<Row>,
    search: Search,
    /// Of a name that could not be had: whose, what was typed, and what is wrong with it.
    refused: Option<Refused>,
    /// Whether there is a search to show.
    is_long: bool,
    is_searched: bool,
    /// Where the next page begins.
    more: Option<i64>,
}

impl ListPage {
    /// Whether a row's name was refused just now.
    fn refused(&self, id: i64) -> Option<&Refused> {
        self.refused.as_ref().filter(|refused| refused.id == id)
    }

    /// What is wrong with a name whose connection is not among those that are shown.
    fn refused_elsewhere(&self) -> Option<&Markup> {
        let refused = self.refused.as_ref()?;
        self.rows.iter().all(|row| row.id != refused.id).then_some(&refused.said.text)
    }

    /// The states that can be asked for, each with its word.
    #[allow(clippy::unused_self, reason = "the template asks the page")]
    fn states(&self) -> [(&'static str, &'static str); 6] {
        ["ok", "expiring", "reconnect_required", "quarantined", "revoked", "handed_over"]
            .map(|word| (word, standing(word).0))
    }
}

/// A name that a connection could not be given.
pub(super) struct Refused {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) said: Said,
}

/// One connection of the list.
struct Row {
    id: i64,
    logo: String,
    title: String,
    /// The name as it can be changed.
    name: String,
    service: String,
    account: Option<String>,
    /// The text of where it stands, and the class of its badge.
    standing: (&'static str, &'static str),
    last_used: Option<Timestamp>,
    last_refreshed: Option<Timestamp>,
    reconnect_by: Option<Timestamp>,
    /// Whether its owner has something to do.
    is_waiting: bool,
}

/// One that is being deleted.
struct Going {
    id: i64,
    title: String,
    delete_at: Timestamp,
}

impl Row {
    fn of(detail: ConnectionDetail, sheet: &mut Sheet) -> Self {
        let connection = &detail.connection;
        let can_renew = connection.kind.is_grant();
        Self {
            id: connection.id.get(),
            logo: sheet.logo(connection.provider.as_str(), &detail.service_name).html(),
            title: title(&detail),
            name: connection.name.as_str().to_owned(),
            account: account(&detail),
            standing: standing(detail.standing),
            last_used: detail.last_used_at,
            last_refreshed: connection.last_refreshed_at,
            reconnect_by: detail.reconnect_by,
            is_waiting: can_renew && matches!(detail.standing, "expiring" | "reconnect_required" | "revoked"),
            service: detail.service_name,
        }
    }
}

impl From<Leaving> for Going {
    fn from(leaving: Leaving) -> Self {
        Self {
            id: leaving.detail.connection.id.get(),
            title: title(&leaving.detail),
            delete_at: leaving.delete_at,
        }
    }
}

/// What a connection is called: its name, or its service's where it has none.
pub(super) fn title(detail: &ConnectionDetail) -> String {
    let name = detail.connection.name.as_str();
    if name.trim().is_empty() { detail.service_name.clone() } else { name.to_owned() }
}

/// The account, in the word that its owner knows.
pub(super) fn account(detail: &ConnectionDetail) -> Option<String> {
    let account = detail.connection.account.as_ref()?;
    Some(account.label.as_ref().unwrap_or(&account.id).clone())
}

/// The text for where a connection stands, and the class of its badge.
pub(super) fn standing(word: &str) -> (&'static str, &'static str) {
    match word {
        "ok" => ("standing-ok", "good"),
        "expiring" => ("standing-expiring", "warn"),
        "reconnect_required" => ("standing-reconnect", "bad"),
        "quarantined" => ("standing-quarantined", "warn"),
        "handed_over" => ("standing-handed-over", ""),
        _ => ("standing-revoked", ""),
    }
}

async fn list(visit: Visit, search: Result<Query<Search>, QueryRejection>) -> Result<Response, PageError> {
    // An address that nobody of ours made shows the whole list.
    show(&visit, search.map_or_else(|_| Search::default(), |Query(search)| search), None).await
}

/// Shows the list, perhaps with a name that was refused.
pub(super) async fn show(
    visit: &Visit,
    search: Search,
    refused: Option<Refused>,
) -> Result<Response, PageError> {
    let claims = visit.claims()?;
    let broker = &visit.app.broker;
    let found = find(visit, &search).await?;
    let more = (found.len() > PAGE).then(|| found[PAGE - 1].connection.id.get());
    let leaving = broker.list_leaving(claims, claims.username()).await?;
    let is_searched = !search.q.trim().is_empty() || !search.state.is_empty();
    let mut sheet = Sheet::within(LOGOS);
    let rows: Vec<Row> = found.into_iter().take(PAGE).map(|detail| Row::of(detail, &mut sheet)).collect();
    let template = ListPage {
        frame: visit.frame("connections-title").at(Section::Connections),
        sheet: sheet.html(),
        leaving: leaving.into_iter().map(Going::from).collect(),
        is_long: is_searched || search.after > 0 || rows.len() >= MANY,
        is_searched,
        rows,
        more,
        search,
        refused,
    };
    Ok(Said::page(template.refused.as_ref().map(|refused| &refused.said), &template))
}

/// The connections that fit, one more than a page holds if there are so many.
async fn find(visit: &Visit, search: &Search) -> Result<Vec<ConnectionDetail>, PageError> {
    let claims = visit.claims()?;
    let known = !search.state.is_empty() && standing(&search.state).0 != "standing-revoked";
    let state = (known || search.state == "revoked").then(|| search.state.clone());
    let filter = ConnectionFilter { state, ..ConnectionFilter::default() };
    let wanted = search.q.trim().to_lowercase();
    let fits = |detail: &ConnectionDetail| {
        let texts = [title(detail), account(detail).unwrap_or_default(), detail.service_name.clone()];
        wanted.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&wanted))
    };
    let step = if wanted.is_empty() { PAGE + 1 } else { BATCH };
    let (mut found, mut after) = (Vec::new(), search.after.max(0));
    while found.len() <= PAGE {
        let owner = claims.username();
        let batch = visit.app.broker.list_details(claims, owner, &filter, after, step).await?;
        let read = batch.len();
        after = batch.last().map_or(after, |last| last.connection.id.get());
        found.extend(batch.into_iter().filter(fits));
        if read < step {
            break;
        }
    }
    Ok(found)
}
