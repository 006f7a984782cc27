//! `GET /userinfo`: who the access token stands for.

use std::time::Instant;

use axum::{
    Json,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    app::App,
    connection::Tear,
    faults::{Endpoint, around},
    fresh::Key,
};

pub(crate) async fn userinfo(
    State(app): State<App>,
    ConnectInfo(tear): ConnectInfo<Tear>,
    headers: HeaderMap,
) -> Response {
    app.state().tally.counts.userinfo_calls += 1;
    around(&app, &tear, Endpoint::Userinfo, None, || answer(&app, &headers)).await
}

fn answer(app: &App, headers: &HeaderMap) -> Response {
    let token = bearer(headers);
    let mut state = app.state();
    let living = token.and_then(|token| state.grants.find_living(Instant::now(), token));
    let Some(living) = living.filter(|living| living.is_access) else {
        // Without a token the challenge carries no error (RFC 6750 §3.1).
        let (outcome, challenge, body) = match token {
            None => ("no token", "Bearer realm=\"sandbox\"", json!({})),
            Some(_) => (
                "invalid_token",
                "Bearer realm=\"sandbox\", error=\"invalid_token\"",
                json!({ "error": "invalid_token" }),
            ),
        };
        state.tally.note(Endpoint::Userinfo.name(), None, outcome);
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], Json(body))
            .into_response();
    };
    state.tally.note(Endpoint::Userinfo.name(), Some(&living.consent.client), "answered");
    let account = &living.consent.account;
    let body = Json(json!({
        "sub": account.id,
        "name": account.name,
        "email": account.email,
        "preferred_username": account.id,
    }));
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// The token of an `Authorization: Bearer` header (RFC 6750 §2.1). It is not looked for anywhere else.
fn bearer(headers: &HeaderMap) -> Option<Key> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Key::of(token.trim()))
}
