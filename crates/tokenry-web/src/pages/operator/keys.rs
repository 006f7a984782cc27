//! The keys: what each has sealed, how far a rotation is, and which are gone.

use askama::Template;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::Response;
use tokenry_broker::{BrokerError, KeyStatus};
use tokenry_model::Timestamp;

use super::{frame, grouped, share};
use crate::pages::error::PageError;
use crate::pages::frame::Frame;
use crate::pages::gate::{Visit, Who};
use crate::pages::markup::Markup;
use crate::pages::page;
use crate::pages::routes::Page;
use crate::pages::words::Said;

pub(super) fn routes() -> Vec<Page> {
    vec![
        Page::get("/operator/keys", Who::Operator, look),
        Page::post("/operator/keys/rotate", Who::Operator, rotate),
        Page::post("/operator/keys/{id}/retire", Who::Operator, retire),
    ]
}

#[derive(Template)]
#[template(path = "operator_keys.html")]
struct KeysPage {
    frame: Frame,
    tab: &'static str,
    keys: Vec<KeyRow>,
    retired: Vec<(u32, Timestamp)>,
    signing: Vec<SigningRow>,
    /// How much of all is sealed with the current key, while there is another.
    progress: Option<Progress>,
    problem: Option<Markup>,
}

/// How far a rotation is.
struct Progress {
    current: i64,
    all: i64,
    share: String,
}

struct KeyRow {
    id: u32,
    is_current: bool,
    created_at: Timestamp,
    sealed: String,
    /// What it is needed for: how many of what.
    counts: Vec<(String, &'static str)>,
    /// Processes that run and hold it, and such that are gone.
    held: (usize, usize),
}

struct SigningRow {
    id: i64,
    created_at: Timestamp,
    until: Option<Timestamp>,
}

async fn look(visit: Visit) -> Result<Response, PageError> {
    show(&visit, None).await
}

async fn show(visit: &Visit, problem: Option<Said>) -> Result<Response, PageError> {
    let status = visit.app.broker.key_status(visit.claims()?).await?;
    let all = status.sealed();
    let current = status.keys.iter().filter(|key| key.is_current).map(|key| status.sealed_with(key.id)).sum();
    let keys = status.keys.iter().map(|key| {
        let holds: Vec<_> = status.holds.iter().filter(|hold| hold.key_id == key.id).collect();
        let alive = holds.iter().filter(|hold| status.is_alive(hold)).count();
        let counts = status.counts.iter().filter(|count| count.key == Some(key.id));
        KeyRow {
            id: key.id,
            is_current: key.is_current,
            created_at: key.created_at,
            sealed: grouped(status.sealed_with(key.id)),
            counts: counts.map(|count| (grouped(count.count), count.what)).collect(),
            held: (alive, holds.len() - alive),
        }
    });
    let signing = status.signing.iter().map(|key| SigningRow {
        id: key.id,
        created_at: key.created_at,
        until: KeyStatus::verifies_until(key),
    });
    let (code, problem) = match problem {
        Some(said) => (said.status, Some(said.text)),
        None => (StatusCode::OK, None),
    };
    let template = KeysPage {
        frame: frame(visit, "keys-title"),
        tab: "keys",
        keys: keys.collect(),
        retired: status.retired.iter().map(|key| (key.id, key.retired_at)).collect(),
        signing: signing.collect(),
        progress: (status.keys.len() > 1).then(|| Progress { current, all, share: share(current, all) }),
        problem,
    };
    Ok(page(code, &template))
}

async fn rotate(visit: Visit) -> Result<Response, PageError> {
    match visit.app.broker.rotate_key(visit.claims()?).await {
        Ok(_) => Ok(visit.go("/operator/keys?done=key-rotated")),
        Err(error @ BrokerError::Keys { .. }) => show(&visit, Some(Said::of(&visit.language, &error))).await,
        Err(error) => Err(error.into()),
    }
}

async fn retire(visit: Visit, id: Result<Path<u32>, PathRejection>) -> Result<Response, PageError> {
    let Ok(Path(id)) = id else { return Err(PageError::NotFound) };
    match visit.app.broker.retire_key(visit.claims()?, id).await {
        Ok(()) => Ok(visit.go("/operator/keys?done=key-retired")),
        Err(error @ BrokerError::Keys { .. }) => show(&visit, Some(Said::of(&visit.language, &error))).await,
        Err(error) => Err(error.into()),
    }
}
