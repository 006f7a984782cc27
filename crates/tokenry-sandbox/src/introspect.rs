//! `POST /introspect`: whether a token is good (RFC 7662). Any client of the sandbox may ask about any token.

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    faults::{Endpoint, around},
    fresh::Key,
    incoming::Incoming,
    params::require_form,
    quirks::Auth,
    refused::Refused,
    shape,
};

pub(crate) async fn introspect(incoming: Incoming) -> Response {
    around(&incoming.app, &incoming.tear, Endpoint::Introspect, None, || answer(&incoming)).await
}

fn answer(incoming: &Incoming) -> Response {
    match inspect(incoming) {
        Ok(answer) => ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(refused) => {
            incoming.app.state().tally.note(Endpoint::Introspect.name(), None, refused.description());
            shape::refusal(&incoming.app.quirks, refused)
        }
    }
}

fn inspect(incoming: &Incoming) -> Result<Value, Refused> {
    require_form(&incoming.headers)?;
    let (app, params) = (&incoming.app, incoming.form());
    let caller = app.authenticate(incoming, &params, Auth::Any)?;
    let client = &caller.client;
    let token = Key::of(params.required("token", "token is missing")?);
    let mut state = app.state();
    state.tally.counts.introspections += 1;
    let Some(living) = state.grants.find_living(app.now(), token) else {
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
        "client_id": &*consent.caller.client,
        "scope": &*consent.scope,
    });
    if living.is_access {
        answer["token_type"] = json!("Bearer");
    }
    if let Some(left) = living.left {
        answer["exp"] = json!(app.unix_now().saturating_add(left).as_secs());
    }
    Ok(answer)
}
