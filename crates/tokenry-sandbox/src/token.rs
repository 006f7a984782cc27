//! `POST /token`: codes and refresh tokens become access tokens (RFC 6749 §4.1.3, §5, §6).

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::{
    app::App,
    connection::Tear,
    faults::{Endpoint, Grant, around},
    fresh::{Fresh, Key},
    grants::{Issued, Redemption},
    params::{Params, require_form},
    refused::Refused,
};

pub(crate) async fn token(
    State(app): State<App>,
    ConnectInfo(tear): ConnectInfo<Tear>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let params = Params::parse(&body);
    let grant = match params.one("grant_type") {
        Ok(Some("authorization_code")) => Some(Grant::AuthorizationCode),
        Ok(Some("refresh_token")) => Some(Grant::RefreshToken),
        _ => None,
    };
    if grant == Some(Grant::RefreshToken) {
        app.state().tally.counts.refresh_attempts += 1;
    }
    around(&app, &tear, Endpoint::Token, grant, || answer(&app, &headers, &params, grant)).await
}

fn answer(app: &App, headers: &HeaderMap, params: &Params, grant: Option<Grant>) -> Response {
    let client = match require_form(headers).and_then(|()| app.clients.authenticate(headers, params)) {
        Ok(client) => client,
        Err(refused) => {
            app.state().tally.note(Endpoint::Token.name(), None, refused.description());
            return refused.into_response();
        }
    };
    let result = match grant {
        Some(Grant::AuthorizationCode) => exchange(app, client, params),
        Some(Grant::RefreshToken) => refresh(app, client, params),
        None => {
            params.required("grant_type", "grant_type is missing").and(Err(Refused::UnsupportedGrantType))
        }
    };
    match result {
        Ok(issued) => success(&issued),
        Err(refused) => {
            let mut state = app.state();
            if refused == Refused::Reuse {
                state.tally.counts.reuses_detected += 1;
            }
            state.tally.note(Endpoint::Token.name(), Some(client), refused.description());
            refused.into_response()
        }
    }
}

fn exchange(app: &App, client: &Arc<str>, params: &Params) -> Result<Issued, Refused> {
    let redemption = Redemption {
        client,
        code: Key::of(params.required("code", "code is missing")?),
        redirect_uri: params.one("redirect_uri")?,
        verifier: params.one("code_verifier")?,
    };
    let fresh = Fresh::new()?;
    let mut state = app.state();
    let issued = state.grants.redeem(Instant::now(), &redemption, fresh)?;
    state.tally.counts.codes_exchanged += 1;
    state.tally.note(Endpoint::Token.name(), Some(client), "code exchanged");
    Ok(issued)
}

fn refresh(app: &App, client: &Arc<str>, params: &Params) -> Result<Issued, Refused> {
    let token = Key::of(params.required("refresh_token", "refresh_token is missing")?);
    let scope = params.one("scope")?;
    let fresh = Fresh::new()?;
    let mut state = app.state();
    let issued = state.grants.refresh(Instant::now(), client, token, scope, fresh)?;
    state.tally.counts.refreshes += 1;
    state.tally.note(Endpoint::Token.name(), Some(client), "refreshed");
    Ok(issued)
}

#[derive(Serialize)]
struct Answer<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    scope: &'a str,
}

fn success(issued: &Issued) -> Response {
    let answer = Answer {
        access_token: issued.access.expose_secret(),
        token_type: "Bearer",
        expires_in: issued.expires_in,
        refresh_token: issued.refresh.as_ref().map(SecretString::expose_secret),
        scope: &issued.scope,
    };
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], Json(answer)).into_response()
}
