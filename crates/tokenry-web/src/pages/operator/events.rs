//! What happened, from the audit log.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokenry_broker::{AuditLine, BrokerError, EventFilter, EventsPage};
use tokenry_model::{Action, AuditOutcome};

use super::{frame, query};
use crate::pages::error::PageError;
use crate::pages::frame::Frame;
use crate::pages::gate::{Visit, Who};
use crate::pages::markup::Markup;
use crate::pages::page;
use crate::pages::routes::Page;
use crate::pages::words::Said;

/// How many events a page lists.
const PAGE: i64 = 50;

pub(super) fn routes() -> Vec<Page> {
    vec![Page::get("/operator/events", Who::Operator, list)]
}

#[derive(Template)]
#[template(path = "operator_events.html")]
struct EventsView {
    frame: Frame,
    tab: &'static str,
    lines: Vec<AuditLine>,
    asked: Asked,
    actions: Vec<&'static str>,
    outcomes: Vec<&'static str>,
    next: Option<String>,
    problem: Option<Markup>,
}

/// What cannot be read asks for nothing.
type Asking = Result<Query<Asked>, QueryRejection>;

#[derive(Deserialize, Default)]
struct Asked {
    #[serde(default)]
    user: String,
    #[serde(default)]
    connection: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    before: String,
}

async fn list(visit: Visit, asked: Asking) -> Result<Response, PageError> {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let cut = |text: &str| text.trim().chars().take(64).collect::<String>();
    let filter = EventFilter {
        user: cut(&asked.user),
        connection: asked.connection.trim().parse().ok(),
        action: cut(&asked.action),
        outcome: cut(&asked.outcome),
        service: cut(&asked.service),
        before: asked.before.parse().ok(),
    };
    let (events, problem) = match visit.app.broker.list_events(visit.claims()?, &filter, PAGE).await {
        Ok(events) => (events, None),
        Err(error @ BrokerError::Field { .. }) => {
            (EventsPage { lines: Vec::new(), next: None }, Some(Said::of(&visit.language, &error)))
        }
        Err(error) => return Err(error.into()),
    };
    let next = events.next.map(|place| {
        query(&[
            ("user", &asked.user),
            ("connection", &asked.connection),
            ("action", &asked.action),
            ("outcome", &asked.outcome),
            ("service", &asked.service),
            ("before", &place.to_string()),
        ])
    });
    let template = EventsView {
        frame: frame(&visit, "events-title"),
        tab: "events",
        lines: events.lines,
        actions: Action::ALL.iter().map(|action| action.as_str()).collect(),
        outcomes: AuditOutcome::ALL.iter().map(|outcome| outcome.as_str()).collect(),
        next,
        problem: problem.map(|said| said.text),
        asked,
    };
    let status = if template.problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(page(status, &template))
}
