//! `POST /control` and `GET /seen`. Neither asks who is there: the sandbox is a toy, and whoever reaches it may play.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

use crate::{app::App, faults::Fault, seen::Seen};

pub(crate) async fn seen(State(app): State<App>) -> Json<Seen> {
    Json(app.seen())
}

/// What `POST /control` takes. JSON only, so that no other site's form can send it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Control {
    access_ttl_s: Option<u64>,
    forget: Option<String>,
    #[serde(default)]
    clear_faults: bool,
    #[serde(default)]
    faults: Vec<Fault>,
}

pub(crate) async fn control(State(app): State<App>, Json(wanted): Json<Control>) -> Response {
    if wanted.forget.as_ref().is_some_and(|id| app.account(id).is_none()) {
        return (StatusCode::NOT_FOUND, Json(json!({ "error": "unknown_account" }))).into_response();
    }
    let forgotten = wanted.forget.map_or(0, |id| app.forget(&id));
    let mut state = app.state();
    if let Some(seconds) = wanted.access_ttl_s {
        state.grants.rules.access_ttl = Duration::from_secs(seconds);
    }
    if wanted.clear_faults {
        state.faults.clear();
    }
    for fault in wanted.faults {
        state.faults.add(fault);
    }
    Json(json!({
        "access_ttl_s": state.grants.rules.access_ttl.as_secs(),
        "families_forgotten": forgotten,
        "faults_waiting": state.faults.waiting(),
    }))
    .into_response()
}
