//! OAuth 1.0a (RFC 5849): temporary credentials, the person's consent, token credentials, and a resource.

mod signature;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use self::signature::Signed;
use crate::{
    app::{App, State},
    authorize,
    decision::{self, Decision},
    faults::{Endpoint, around},
    fresh::{Key, NoRandomness, Token},
    incoming::Incoming,
    options::Account,
    pages, shape,
};

/// How far a timestamp may be off, in seconds; for as long a nonce is remembered (§3.3).
const CLOCK_SKEW_S: u64 = 300;
/// How long temporary credentials wait.
const TEMPORARY_TTL: Duration = Duration::from_mins(10);
const SWEEP_FROM: usize = 4096;

/// What was asked for and not yet given.
struct Temporary {
    client: Arc<str>,
    secret: SecretString,
    callback: String,
    until: Option<Instant>,
    /// Who consented, and the verifier that the client must know.
    allowed: Option<(Arc<Account>, Key)>,
}

struct Access {
    client: Arc<str>,
    secret: SecretString,
    account: Arc<Account>,
}

/// The credentials that live, and the nonces that were used.
#[derive(Default)]
pub(crate) struct Tokens {
    temporary: HashMap<Key, Temporary>,
    access: HashMap<Key, Access>,
    nonces: HashMap<Key, u64>,
}

impl Tokens {
    /// Ends the tokens of an account. Answers how many there were.
    pub(crate) fn forget(&mut self, account: &str) -> usize {
        let before = self.access.len();
        self.access.retain(|_, access| access.account.id != account);
        before - self.access.len()
    }

    fn sweep(&mut self, now: Instant, unix_now: u64) {
        if self.temporary.len() >= SWEEP_FROM {
            self.temporary.retain(|_, waiting| waiting.until.is_none_or(|until| until > now));
        }
        if self.nonces.len() >= SWEEP_FROM {
            self.nonces.retain(|_, at| at.saturating_add(CLOCK_SKEW_S) >= unix_now);
        }
    }

    /// Whether this nonce is new for its timestamp, client and token (§3.3).
    fn is_new(&mut self, signed: &Signed, timestamp: u64) -> bool {
        let part = |name| signed.get(name).unwrap_or_default();
        let (client, token, nonce) = (part("oauth_consumer_key"), part("oauth_token"), part("oauth_nonce"));
        let key = Key::of(&format!("{client}\n{token}\n{timestamp}\n{nonce}"));
        !nonce.is_empty() && self.nonces.insert(key, timestamp).is_none()
    }
}

/// Why a request is refused. The texts are fixed.
type Why = &'static str;

fn refuse(app: &App, why: Why) -> Response {
    app.state().tally.note("oauth1", None, why);
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "OAuth realm=\"sandbox\"")], why).into_response()
}

fn answer_form(pairs: &[(&str, &str)]) -> Response {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let headers =
        [(header::CONTENT_TYPE, "application/x-www-form-urlencoded"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

/// Checks client, signature, timestamp and nonce (§3.2). `secret` gives the token's secret.
fn verify(
    incoming: &Incoming,
    state: &mut State,
    secret: impl FnOnce(&Tokens, &Signed) -> Option<SecretString>,
) -> Result<(Arc<str>, Signed), Why> {
    let app = &incoming.app;
    let signed = Signed::read(&app.issuer, incoming).ok_or("the request is not signed")?;
    let client = signed.get("oauth_consumer_key").and_then(|id| app.clients.find(id));
    let (id, client) = client.ok_or("the client is unknown")?;
    if signed.get("oauth_version").is_some_and(|version| version != "1.0") {
        return Err("the version is not 1.0");
    }
    let token_secret = secret(&state.oauth1, &signed).ok_or("the token is unknown")?;
    if !signed.is_signed_with(client.secret.expose_secret(), token_secret.expose_secret()) {
        return Err("the signature is wrong");
    }
    let now = app.unix_now().as_secs();
    let timestamp = signed.get("oauth_timestamp").and_then(|text| text.parse::<u64>().ok());
    let timestamp = timestamp.filter(|at| at.abs_diff(now) <= CLOCK_SKEW_S);
    let timestamp = timestamp.ok_or("the timestamp is not of now")?;
    state.oauth1.sweep(app.now(), now);
    if !state.oauth1.is_new(&signed, timestamp) {
        return Err("the nonce was used before");
    }
    Ok((id.clone(), signed))
}

/// `POST /oauth1/request_token` (§2.1).
pub(crate) async fn request_token(incoming: Incoming) -> Response {
    around(&incoming.app, &incoming.tear, Endpoint::Oauth1, None, || {
        try_request_token(&incoming).unwrap_or_else(|why| refuse(&incoming.app, why))
    })
    .await
}

fn try_request_token(incoming: &Incoming) -> Result<Response, Why> {
    let app = &incoming.app;
    let (token, secret) = fresh("sbx_o1t_").map_err(|NoRandomness| "the sandbox failed")?;
    let mut state = app.state();
    let (client, signed) = verify(incoming, &mut state, |_, _| Some(String::new().into()))?;
    let callback = signed.get("oauth_callback").ok_or("oauth_callback is missing")?;
    // A client has no state here but what it puts into the query (compare RFC 6749 §3.1.2.2).
    let place = callback.split('?').next().unwrap_or_default();
    let registered = app
        .clients
        .find(&client)
        .is_some_and(|(_, client)| client.may_redirect_to(callback) || client.may_redirect_to(place));
    if !registered {
        return Err("oauth_callback is not registered");
    }
    let answer = answer_form(&[
        ("oauth_token", token.text.expose_secret()),
        ("oauth_token_secret", secret.expose_secret()),
        ("oauth_callback_confirmed", "true"),
    ]);
    state.tally.note("oauth1", Some(&client), "temporary credentials issued");
    let until = app.now().checked_add(TEMPORARY_TTL);
    let temporary = Temporary { client, secret, callback: callback.to_owned(), until, allowed: None };
    state.oauth1.temporary.insert(token.key, temporary);
    Ok(answer)
}

fn fresh(prefix: &str) -> Result<(Token, SecretString), NoRandomness> {
    Ok((Token::new(prefix)?, Token::new("")?.text))
}

/// The temporary credentials that the URL names.
fn waiting<'s>(app: &App, state: &'s mut State, incoming: &Incoming) -> Result<&'s mut Temporary, Why> {
    let token = incoming.query.one("oauth_token").ok().flatten().unwrap_or_default();
    let waiting = state.oauth1.temporary.get_mut(&Key::of(token)).filter(|waiting| waiting.allowed.is_none());
    waiting
        .filter(|waiting| waiting.until.is_none_or(|until| until > app.now()))
        .ok_or("The request's oauth_token is unknown, used or expired.")
}

/// `GET /oauth1/authorize` (§2.2).
pub(crate) async fn ask(incoming: Incoming) -> Response {
    let app = &incoming.app;
    let mut state = app.state();
    let temporary = match waiting(app, &mut state, &incoming) {
        Ok(temporary) => temporary,
        Err(why) => return pages::error(why),
    };
    let returns_to = Url::parse(&temporary.callback).map(|url| pages::place(&url)).unwrap_or_default();
    let page = pages::consent(&pages::Consent {
        client: &temporary.client,
        returns_to: Some(&returns_to),
        action: &format!("authorize?{}", incoming.query.to_query()),
        scopes: &[],
        accounts: &app.accounts,
        chosen: decision::chosen(app, None),
    });
    state.tally.counts.authorizations += 1;
    page
}

/// `POST /oauth1/authorize`: the decision.
pub(crate) async fn decide(incoming: Incoming) -> Response {
    try_decide(&incoming).unwrap_or_else(pages::error)
}

fn try_decide(incoming: &Incoming) -> Result<Response, Why> {
    let app = &incoming.app;
    let decision = decision::read(app, &incoming.headers, &incoming.form(), &[])?;
    let verifier = Token::new("").map_err(|NoRandomness| "The sandbox failed.")?;
    let mut state = app.state();
    let temporary = waiting(app, &mut state, incoming)?;
    let mut back = Url::parse(&temporary.callback).map_err(|_| "The callback is no URL.")?;
    let token = incoming.query.all("oauth_token").next().unwrap_or_default();
    match decision {
        Decision::Denied(_) => {
            state.oauth1.temporary.remove(&Key::of(token));
            state.tally.counts.consents_denied += 1;
            back.query_pairs_mut().append_pair("denied", token);
        }
        Decision::Allowed(account, _) => {
            temporary.allowed = Some((account, verifier.key));
            state.tally.counts.consents_allowed += 1;
            let mut query = back.query_pairs_mut();
            query.append_pair("oauth_token", token);
            query.append_pair("oauth_verifier", verifier.text.expose_secret());
        }
    }
    Ok(authorize::see_other(&back))
}

/// `POST /oauth1/access_token` (§2.3).
pub(crate) async fn access_token(incoming: Incoming) -> Response {
    around(&incoming.app, &incoming.tear, Endpoint::Oauth1, None, || {
        try_access_token(&incoming).unwrap_or_else(|why| refuse(&incoming.app, why))
    })
    .await
}

fn key_of_token(signed: &Signed) -> Key {
    Key::of(signed.get("oauth_token").unwrap_or_default())
}

fn try_access_token(incoming: &Incoming) -> Result<Response, Why> {
    let app = &incoming.app;
    let (token, secret) = fresh("sbx_o1a_").map_err(|NoRandomness| "the sandbox failed")?;
    let mut state = app.state();
    let (client, signed) = verify(incoming, &mut state, |tokens, signed| {
        tokens.temporary.get(&key_of_token(signed)).map(|temporary| temporary.secret.clone())
    })?;
    let key = key_of_token(&signed);
    let temporary = state.oauth1.temporary.get(&key).ok_or("the token is unknown")?;
    if temporary.client != client || temporary.until.is_some_and(|until| until <= app.now()) {
        return Err("the token is another client's, or expired");
    }
    let verifier = signed.get("oauth_verifier").map(Key::of);
    let account = match &temporary.allowed {
        Some((account, expected)) if verifier == Some(*expected) => account.clone(),
        _ => return Err("the verifier is missing or wrong"),
    };
    state.oauth1.temporary.remove(&key);
    let answer = answer_form(&[
        ("oauth_token", token.text.expose_secret()),
        ("oauth_token_secret", secret.expose_secret()),
        ("user_id", &account.id),
        ("screen_name", &account.name),
    ]);
    state.tally.counts.oauth1_tokens += 1;
    state.tally.note("oauth1", Some(&client), "token credentials issued");
    state.oauth1.access.insert(token.key, Access { client, secret, account });
    Ok(answer)
}

/// `GET /oauth1/me`: who the token stands for (§3.1).
pub(crate) async fn me(incoming: Incoming) -> Response {
    incoming.app.state().tally.counts.api_calls += 1;
    around(&incoming.app, &incoming.tear, Endpoint::Oauth1, None, || {
        try_me(&incoming).unwrap_or_else(|why| refuse(&incoming.app, why))
    })
    .await
}

fn try_me(incoming: &Incoming) -> Result<Response, Why> {
    let app = &incoming.app;
    let mut state = app.state();
    let (client, signed) = verify(incoming, &mut state, |tokens, signed| {
        tokens.access.get(&key_of_token(signed)).map(|access| access.secret.clone())
    })?;
    let access = state.oauth1.access.get(&key_of_token(&signed)).filter(|access| access.client == client);
    let account = access.ok_or("the token is another client's")?.account.clone();
    state.tally.note("oauth1", Some(&client), "answered");
    let body = Json(shape::account(&account, &app.quirks.identity.rename));
    Ok(([(header::CACHE_CONTROL, "no-store")], body).into_response())
}
