//! `POST /par`: authorization requests that are pushed beforehand (RFC 9126).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{
    authorize, dialect,
    fresh::{Key, Token},
    grants::Caller,
    incoming::Incoming,
    params::{Params, require_form},
    refused::Refused,
    shape,
};

const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
const TTL: Duration = Duration::from_secs(90);
const SWEEP_FROM: usize = 1024;

/// The requests that were pushed and not forgotten yet.
#[derive(Default)]
pub(crate) struct Pushed(HashMap<Key, (Caller, Params, Option<Instant>)>);

impl Pushed {
    fn add(&mut self, now: Instant, key: Key, caller: Caller, params: Params) {
        if self.0.len() >= SWEEP_FROM {
            self.0.retain(|_, (_, _, until)| until.is_none_or(|until| until > now));
        }
        self.0.insert(key, (caller, params, now.checked_add(TTL)));
    }

    /// The request, if the client that is named in `query` pushed it.
    pub(crate) fn find(&self, now: Instant, request_uri: &str, query: &Params) -> Option<Params> {
        let (caller, params, until) = self.0.get(&Key::of(request_uri.strip_prefix(PREFIX)?))?;
        let named = query.pairs().iter().any(|(_, value)| **value == *caller.client);
        (named && until.is_none_or(|until| until > now)).then(|| params.clone())
    }
}

pub(crate) async fn push(incoming: Incoming) -> Response {
    match try_push(&incoming) {
        Ok(request_uri) => {
            let body = Json(json!({ "request_uri": request_uri, "expires_in": TTL.as_secs() }));
            (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], body).into_response()
        }
        Err(refused) => {
            incoming.app.state().tally.note("par", None, refused.description());
            shape::refusal(&incoming.app.quirks, refused)
        }
    }
}

fn try_push(incoming: &Incoming) -> Result<String, Refused> {
    require_form(&incoming.headers)?;
    let app = &incoming.app;
    let params = incoming.form();
    let standard = dialect::authorize(&app.quirks, params.clone()).map_err(Refused::InvalidRequest)?;
    let caller = app.authenticate(incoming, &standard, app.quirks.token.auth)?;
    if params.has("request_uri") {
        return Err(Refused::InvalidRequest("request_uri must not be pushed"));
    }
    authorize::would_be_shown(incoming, params.clone()).map_err(Refused::InvalidRequest)?;
    let token = Token::new("")?;
    let mut state = app.state();
    state.tally.counts.pushed_requests += 1;
    state.tally.note("par", Some(&caller.client), "request pushed");
    state.pushed.add(app.now(), token.key, caller, params);
    Ok(format!("{PREFIX}{}", token.text.expose_secret()))
}
