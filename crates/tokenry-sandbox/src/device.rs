//! Devices without a browser (RFC 8628): they get a code and show another one to a person, who types it in here.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    app::App,
    authorize,
    decision::{self, Decision},
    fresh::{Key, NoRandomness, Token},
    grants::{Caller, Consent},
    incoming::Incoming,
    options::Account,
    pages,
    params::require_form,
    refused::Refused,
    shape,
};

/// How long a device code may wait, in seconds.
const TTL_S: u64 = 600;
/// How long a device waits between two polls, in seconds.
const INTERVAL_S: u64 = 5;
/// What each `slow_down` adds to that (RFC 8628 §3.5).
const SLOWER_BY: Duration = Duration::from_secs(5);
/// Letters that are not read as others and spell no words (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const SWEEP_FROM: usize = 1024;

enum State {
    Waiting,
    Denied,
    Allowed(Arc<Account>, Arc<str>),
}

struct Device {
    caller: Caller,
    scopes: Vec<String>,
    user_code: String,
    until: Option<Instant>,
    interval: Duration,
    polled: Option<Instant>,
    state: State,
}

/// The devices that wait.
#[derive(Default)]
pub(crate) struct Devices {
    by_code: HashMap<Key, Device>,
    by_user_code: HashMap<String, Key>,
}

impl Devices {
    fn add(&mut self, now: Instant, code: Key, device: Device) {
        if self.by_code.len() >= SWEEP_FROM {
            self.by_code.retain(|_, device| device.until.is_none_or(|until| until > now));
            let Self { by_code, by_user_code } = self;
            by_user_code.retain(|_, code| by_code.contains_key(code));
        }
        self.by_user_code.insert(device.user_code.clone(), code);
        self.by_code.insert(code, device);
    }

    /// The device that shows this code and still waits.
    fn waiting(&mut self, now: Instant, user_code: &str) -> Option<&mut Device> {
        // People type it as they like.
        let typed: String = user_code.chars().filter(char::is_ascii_alphabetic).collect();
        let device = self.by_code.get_mut(self.by_user_code.get(&typed.to_ascii_uppercase())?)?;
        let waits = matches!(device.state, State::Waiting) && device.until.is_none_or(|until| until > now);
        waits.then_some(device)
    }

    /// What the person decided (RFC 8628 §3.5). A code that led to tokens is spent.
    pub(crate) fn poll(&mut self, now: Instant, caller: &Caller, code: Key) -> Result<Consent, Refused> {
        let device = self.by_code.get_mut(&code).filter(|device| device.caller == *caller);
        let device = device.ok_or(Refused::InvalidGrant("the device code is unknown or used"))?;
        if device.until.is_some_and(|until| until <= now) {
            return Err(Refused::ExpiredToken);
        }
        let too_soon =
            device.polled.is_some_and(|polled| now.saturating_duration_since(polled) < device.interval);
        device.polled = Some(now);
        let (account, scope) = match &device.state {
            State::Waiting if too_soon => {
                device.interval += SLOWER_BY;
                return Err(Refused::SlowDown);
            }
            State::Waiting => return Err(Refused::AuthorizationPending),
            State::Denied => return Err(Refused::AccessDenied),
            State::Allowed(account, scope) => (account.clone(), scope.clone()),
        };
        let user_code = device.user_code.clone();
        self.by_code.remove(&code);
        self.by_user_code.remove(&user_code);
        Ok(Consent { caller: caller.clone(), account, scope, second_scope: None, refreshable: true })
    }
}

/// `POST /device_authorization` (RFC 8628 §3.1).
pub(crate) async fn authorize(incoming: Incoming) -> Response {
    match try_authorize(&incoming) {
        Ok(answer) => ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(refused) => {
            incoming.app.state().tally.note("device", None, refused.description());
            shape::refusal(&incoming.app.quirks, refused)
        }
    }
}

fn try_authorize(incoming: &Incoming) -> Result<Value, Refused> {
    require_form(&incoming.headers)?;
    let app = &incoming.app;
    let params = incoming.form();
    let caller = app.authenticate(incoming, &params, app.quirks.token.auth)?;
    let scopes = authorize::scopes(params.one("scope")?, &app.quirks.authorize.scope_separator)
        .map_err(|_| Refused::InvalidScope)?;
    let (code, user_code) = (Token::new("sbx_dc_")?, user_code()?);
    let shown = format!("{}-{}", &user_code[..4], &user_code[4..]);
    let now = app.now();
    let mut state = app.state();
    state.tally.note("device", Some(&caller.client), "device code issued");
    let device = Device {
        caller,
        scopes,
        user_code,
        until: now.checked_add(Duration::from_secs(TTL_S)),
        interval: Duration::from_secs(INTERVAL_S),
        polled: None,
        state: State::Waiting,
    };
    state.devices.add(now, code.key, device);
    Ok(json!({
        "device_code": code.text.expose_secret(),
        "user_code": shown,
        "verification_uri": format!("{}/device", app.issuer),
        "verification_uri_complete": format!("{}/device?user_code={shown}", app.issuer),
        "expires_in": TTL_S,
        "interval": INTERVAL_S,
    }))
}

/// Eight letters. That the first of the twenty come up a little more often does not matter to a toy.
fn user_code() -> Result<String, NoRandomness> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect())
}

/// `GET /device`: asks for the code, then for the decision (RFC 8628 §3.3).
pub(crate) async fn ask(incoming: Incoming) -> Response {
    let app = &incoming.app;
    let Ok(Some(user_code)) = incoming.query.one("user_code") else { return pages::ask_user_code() };
    let mut state = app.state();
    let Some(device) = state.devices.waiting(app.now(), user_code) else {
        return pages::error("No device waits for this code.");
    };
    pages::consent(&pages::Consent {
        client: &device.caller.client,
        returns_to: None,
        action: &format!("device?{}", incoming.query.to_query()),
        scopes: &device.scopes,
        accounts: &app.accounts,
        chosen: decision::chosen(app, None),
    })
}

/// `POST /device`: the decision.
pub(crate) async fn decide(incoming: Incoming) -> Response {
    let user_code = incoming.query.one("user_code").ok().flatten().unwrap_or_default();
    match try_decide(&incoming.app, user_code, |scopes| {
        decision::read(&incoming.app, &incoming.headers, &incoming.form(), scopes)
    }) {
        Ok(true) => pages::done("The device is connected"),
        Ok(false) => pages::done("The device is not connected"),
        Err(why) => pages::error(why),
    }
}

/// The decision of a person without a browser, for `/control`. All scopes are granted.
pub(crate) fn decide_for(app: &App, user_code: &str, account: Option<&str>) -> Result<bool, &'static str> {
    try_decide(app, user_code, |scopes| match account {
        None => Ok(Decision::Denied("denied")),
        Some(id) => {
            let account = app.account(id).ok_or("There is no such account here.")?;
            Ok(Decision::Allowed(account.clone(), scopes.to_vec()))
        }
    })
}

fn try_decide(
    app: &App,
    user_code: &str,
    decide: impl FnOnce(&[String]) -> Result<Decision, &'static str>,
) -> Result<bool, &'static str> {
    let mut state = app.state();
    let device = state.devices.waiting(app.now(), user_code).ok_or("No device waits for this code.")?;
    let client = device.caller.client.clone();
    let (allowed, outcome) = match decide(&device.scopes)? {
        Decision::Denied(outcome) => {
            device.state = State::Denied;
            (false, outcome)
        }
        Decision::Allowed(account, granted) => {
            device.state = State::Allowed(account, Arc::from(granted.join(" ")));
            (true, "allowed")
        }
    };
    let counts = &mut state.tally.counts;
    *(if allowed { &mut counts.consents_allowed } else { &mut counts.consents_denied }) += 1;
    state.tally.note("device", Some(&client), outcome);
    Ok(allowed)
}
