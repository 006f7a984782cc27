//! `POST /introspect`: whether a token is good (RFC 7662). Any client of the sandbox may ask about any token.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    app::App,
    connection::Tear,
    faults::{Endpoint, around},
    fresh::Key,
    params::{Params, require_form},
    refused::Refused,
};

pub(crate) async fn introspect(
    State(app): State<App>,
    ConnectInfo(tear): ConnectInfo<Tear>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let params = Params::parse(&body);
    around(&app, &tear, Endpoint::Introspect, None, || answer(&app, &headers, &params)).await
}

fn answer(app: &App, headers: &HeaderMap, params: &Params) -> Response {
    match inspect(app, headers, params) {
        Ok(answer) => ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(refused) => {
            app.state().tally.note(Endpoint::Introspect.name(), None, refused.description());
            refused.into_response()
        }
    }
}

fn inspect(app: &App, headers: &HeaderMap, params: &Params) -> Result<Value, Refused> {
    require_form(headers)?;
    let client = app.clients.authenticate(headers, params)?;
    let token = Key::of(params.required("token", "token is missing")?);
    let mut state = app.state();
    state.tally.counts.introspections += 1;
    let Some(living) = state.grants.find_living(Instant::now(), token) else {
        state.tally.note(Endpoint::Introspect.name(), Some(client), "inactive");
        return Ok(json!({ "active": false }));
    };
    state.tally.note(Endpoint::Introspect.name(), Some(client), "active");
    let consent = &living.consent;
    let mut answer = json!({
        "active": true,
        "iss": app.issuer,
        "sub": consent.account.id,
        "username": consent.account.id,
        "client_id": &*consent.client,
        "scope": &*consent.scope,
    });
    if living.is_access {
        answer["token_type"] = json!("Bearer");
    }
    if let Some(left) = living.left {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        answer["exp"] = json!(since.saturating_add(left).as_secs());
    }
    Ok(answer)
}
