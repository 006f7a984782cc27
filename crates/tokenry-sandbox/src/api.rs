//! Protected resources: `/userinfo` for access tokens, `/api/me` for what a person copies.

use aws_lc_rs::constant_time;
use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{
    dialect::has_headers,
    faults::{Endpoint, around},
    fresh::Key,
    incoming::Incoming,
    options::{Account, ApiKey},
    params::Params,
    shape,
};

/// `/userinfo`: who the access token stands for.
pub(crate) async fn userinfo(incoming: Incoming) -> Response {
    incoming.app.state().tally.counts.userinfo_calls += 1;
    around(&incoming.app, &incoming.tear, Endpoint::Userinfo, None, || of_token(&incoming)).await
}

/// `/api/me`: who the API key, or the user name and password, stand for.
pub(crate) async fn me(incoming: Incoming) -> Response {
    incoming.app.state().tally.counts.api_calls += 1;
    around(&incoming.app, &incoming.tear, Endpoint::Api, None, || of_key(&incoming)).await
}

/// The credential, from where the quirks want it; the default is RFC 6750 §2.1. It is not looked for anywhere else.
pub(crate) fn credential(incoming: &Incoming) -> Option<&str> {
    let rules = &incoming.app.quirks.api;
    if let Some(name) = &rules.query_param {
        return incoming.query.one(name).ok().flatten();
    }
    let value = incoming.header(&rules.header)?.trim();
    if rules.scheme.is_empty() {
        return Some(value);
    }
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case(&rules.scheme).then(|| credential.trim())
}

fn of_token(incoming: &Incoming) -> Response {
    let app = &incoming.app;
    let rules = &app.quirks.identity;
    if !is_in_order(incoming) {
        app.state().tally.note(Endpoint::Userinfo.name(), None, "a header, a field or the method is wrong");
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_request" }))).into_response();
    }
    let token = credential(incoming);
    let mut state = app.state();
    let living = token.and_then(|token| state.grants.find_living(app.now(), Key::of(token)));
    let living = living.filter(|living| living.is_access && living.consent.caller.tenant == incoming.tenant);
    let Some(living) = living else {
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
    state.tally.note(Endpoint::Userinfo.name(), Some(&living.consent.caller.client), "answered");
    let account = shape::account(&living.consent.account, &rules.rename);
    let mut body = json!({});
    match &rules.at {
        Some(path) => shape::put(&mut body, path, account),
        None => body = account,
    }
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Method, fields and headers.
fn is_in_order(incoming: &Incoming) -> bool {
    let quirks = &incoming.app.quirks;
    let is_post = incoming.method == axum::http::Method::POST;
    let fields = if is_post { Params::parse_json(&incoming.body) } else { Some(Params::default()) };
    is_post == quirks.identity.by_post
        && has_headers(incoming, &quirks.api.headers)
        && fields.is_some_and(|fields| {
            quirks.identity.require.iter().all(|(name, value)| fields.one(name) == Ok(Some(value)))
        })
}

fn of_key(incoming: &Incoming) -> Response {
    let app = &incoming.app;
    let found = app.api_keys.iter().find(|key| match &key.user {
        None => credential(incoming).is_some_and(|given| is_same(key, given)),
        Some(user) => basic(incoming).is_some_and(|(name, given)| name == *user && is_same(key, &given)),
    });
    let found = found.filter(|_| has_headers(incoming, &app.quirks.api.headers));
    let Some(account) = found.and_then(|key| app.account(&key.account)) else {
        app.state().tally.note(Endpoint::Api.name(), None, "no good key");
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"sandbox\"")];
        return (StatusCode::UNAUTHORIZED, challenge, Json(json!({ "error": "unauthorized" })))
            .into_response();
    };
    app.state().tally.note(Endpoint::Api.name(), None, "answered");
    let account: &Account = account;
    let body = Json(shape::account(account, &app.quirks.identity.rename));
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// User name and password (RFC 7617). They are not form-encoded, unlike a client's.
fn basic(incoming: &Incoming) -> Option<(String, String)> {
    let (scheme, credentials) = incoming.header("authorization")?.split_once(' ')?;
    let decoded =
        STANDARD.decode(credentials.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn is_same(key: &ApiKey, given: &str) -> bool {
    let (known, given) = (Key::of(key.key.expose_secret()), Key::of(given));
    constant_time::verify_slices_are_equal(known.as_bytes(), given.as_bytes()).is_ok()
}
