//! `POST /revoke`: a client gives a token back (RFC 7009).

use std::time::Instant;

use axum::{
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    connection::Tear,
    faults::{Endpoint, around},
    fresh::Key,
    grants::Revoked,
    params::{Params, require_form},
    refused::Refused,
};

pub(crate) async fn revoke(
    State(app): State<App>,
    ConnectInfo(tear): ConnectInfo<Tear>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let params = Params::parse(&body);
    around(&app, &tear, Endpoint::Revoke, None, || answer(&app, &headers, &params)).await
}

fn answer(app: &App, headers: &HeaderMap, params: &Params) -> Response {
    match try_revoke(app, headers, params) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refused) => {
            app.state().tally.note(Endpoint::Revoke.name(), None, refused.description());
            refused.into_response()
        }
    }
}

fn try_revoke(app: &App, headers: &HeaderMap, params: &Params) -> Result<(), Refused> {
    require_form(headers)?;
    let client = app.clients.authenticate(headers, params)?;
    let token = Key::of(params.required("token", "token is missing")?);
    let mut state = app.state();
    let outcome = match state.grants.revoke(Instant::now(), client, token) {
        Revoked::Family => "refresh token and its family revoked",
        Revoked::AccessToken => "access token revoked",
        // The client wanted it gone, and gone it is (RFC 7009 §2.2).
        Revoked::Unknown => {
            state.tally.note(Endpoint::Revoke.name(), Some(client), "unknown token");
            return Ok(());
        }
        Revoked::NotYours => return Err(Refused::UnauthorizedClient),
    };
    state.tally.counts.revocations += 1;
    state.tally.note(Endpoint::Revoke.name(), Some(client), outcome);
    Ok(())
}
