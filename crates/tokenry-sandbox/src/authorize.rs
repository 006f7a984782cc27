//! `/authorize`: asks the person, and sends the answer back to the client (RFC 6749 §4.1.1, §4.1.2; RFC 9207).
//!
//! The form posts to the URL that showed it, so the request is checked twice and kept nowhere in between.

use std::sync::Arc;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::{
    app::App,
    decision::{self, Decision},
    dialect,
    faults::{Endpoint, around},
    fresh::{Token, is_challenge},
    grants::{Caller, Consent, NewCode},
    incoming::Incoming,
    options::{Account, Client},
    pages,
    params::Params,
    quirks::Quirks,
};

/// What is granted to a client that names no scope (RFC 6749 §3.3).
pub(crate) const DEFAULT_SCOPE: &str = "profile";

/// An authorization request that may be shown to a person.
struct Asked {
    caller: Caller,
    back: Back,
    redirect_uri: String,
    scopes: Vec<String>,
    /// The request, in the standard's words.
    params: Params,
}

/// The way back to the client.
pub(crate) struct Back {
    url: Url,
    state: Option<String>,
    issuer: Option<String>,
}

impl Back {
    fn with<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Response {
        {
            let mut query = self.url.query_pairs_mut();
            query.extend_pairs(pairs);
            query.extend_pairs(self.state.iter().map(|state| ("state", state)));
            query.extend_pairs(self.issuer.iter().map(|issuer| ("iss", issuer)));
        }
        see_other(&self.url)
    }

    fn with_error(self, error: &str) -> Response {
        self.with([("error", error)])
    }
}

/// Sends the person on.
pub(crate) fn see_other(url: &Url) -> Response {
    let headers = [
        (header::LOCATION, url.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Why a request is not shown to a person.
enum Unfit {
    /// It is not certain whom to answer, so only the person is told.
    Page(&'static str),
    /// The client is told, in `error`.
    Client(Box<Back>, &'static str),
}

pub(crate) async fn ask(incoming: Incoming) -> Response {
    around(&incoming.app, &incoming.tear, Endpoint::Authorize, None, || show(&incoming)).await
}

pub(crate) async fn decide(incoming: Incoming) -> Response {
    around(&incoming.app, &incoming.tear, Endpoint::Authorize, None, || take(&incoming)).await
}

fn show(incoming: &Incoming) -> Response {
    let app = &incoming.app;
    let asked = match asked(incoming) {
        Ok(asked) => asked,
        Err(unfit) => return turn_away(app, unfit),
    };
    {
        let mut state = app.state();
        state.tally.counts.authorizations += 1;
        state.tally.note(Endpoint::Authorize.name(), Some(&asked.caller.client), "consent page shown");
    }
    pages::consent(&pages::Consent {
        client: &asked.caller.client,
        returns_to: Some(&pages::place(&asked.back.url)),
        action: &format!("authorize?{}", incoming.query.to_query()),
        scopes: &asked.scopes,
        accounts: &app.accounts,
        chosen: decision::chosen(app, asked.params.all("login_hint").next()),
    })
}

fn take(incoming: &Incoming) -> Response {
    let app = &incoming.app;
    let asked = match asked(incoming) {
        Ok(asked) => asked,
        Err(unfit) => return turn_away(app, unfit),
    };
    match decision::read(app, &incoming.headers, &incoming.form(), &asked.scopes) {
        Err(why) => turn_away(app, Unfit::Page(why)),
        Ok(Decision::Denied(outcome)) => {
            let mut state = app.state();
            state.tally.counts.consents_denied += 1;
            state.tally.note(Endpoint::Authorize.name(), Some(&asked.caller.client), outcome);
            asked.back.with_error("access_denied")
        }
        Ok(Decision::Allowed(account, granted)) => allow(app, asked, &account, &granted),
    }
}

fn allow(app: &App, asked: Asked, account: &Arc<Account>, granted: &[String]) -> Response {
    let Ok(code) = Token::code() else { return asked.back.with_error("server_error") };
    let words = &app.quirks.authorize;
    let second = words.second_scope_param.as_ref().map(|name| {
        let scopes = asked.params.all(name).next().unwrap_or_default();
        Arc::from(scopes.split(&words.scope_separator).collect::<Vec<_>>().join(" "))
    });
    let client = asked.caller.client.clone();
    let mut state = app.state();
    let is_first = state.consented.insert((asked.caller.clone(), account.id.clone()));
    let consent = Consent {
        caller: asked.caller,
        account: account.clone(),
        scope: Arc::from(granted.join(" ")),
        second_scope: second.filter(|_| app.quirks.answer.second_token.is_some()),
        refreshable: gets_refresh_token(&app.quirks, &asked.params, granted, is_first),
    };
    let challenge = asked.params.all("code_challenge").next().map(str::to_owned);
    let new = NewCode { consent, redirect_uri: asked.redirect_uri, challenge };
    state.grants.add_code(app.now(), code.key, new);
    state.tally.counts.consents_allowed += 1;
    state.tally.note(Endpoint::Authorize.name(), Some(&client), "allowed");
    let callback = &app.quirks.callback;
    let extra = callback.extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    asked.back.with(std::iter::once((callback.code_param.as_str(), code.text.expose_secret())).chain(extra))
}

/// Whether this consent comes with a refresh token.
fn gets_refresh_token(quirks: &Quirks, params: &Params, granted: &[String], is_first: bool) -> bool {
    let rules = &quirks.refresh_token;
    let asked_anew = params.all("prompt").any(|prompt| prompt == "consent");
    !rules.never
        && !quirks.refresh.spends_access_token
        && (is_first || asked_anew || !rules.first_consent_only)
        && rules.needs_scope.as_ref().is_none_or(|scope| granted.contains(scope))
        && rules.needs_params.iter().all(|(name, value)| params.all(name).any(|sent| sent == value))
}

fn turn_away(app: &App, unfit: Unfit) -> Response {
    let (outcome, response) = match unfit {
        Unfit::Page(why) => (why, pages::error(why)),
        Unfit::Client(back, error) => (error, back.with_error(error)),
    };
    app.state().tally.note(Endpoint::Authorize.name(), None, outcome);
    response
}

/// The request, from the URL or as it was pushed before (RFC 9126 §4).
fn asked(incoming: &Incoming) -> Result<Asked, Unfit> {
    let app = &incoming.app;
    let params = match incoming.query.one("request_uri") {
        Err(_) => return Err(Unfit::Page("The request's request_uri is repeated.")),
        Ok(None) if app.quirks.authorize.par_required => {
            return Err(Unfit::Page("This request should have been pushed beforehand."));
        }
        Ok(None) => incoming.query.clone(),
        Ok(Some(uri)) => {
            let pushed = app.state().pushed.find(app.now(), uri, &incoming.query);
            pushed.ok_or(Unfit::Page("The request's request_uri is unknown or expired."))?
        }
    };
    check(app, incoming, params)
}

/// Whether a request could be shown to a person; what is wrong, otherwise.
pub(crate) fn would_be_shown(incoming: &Incoming, params: Params) -> Result<(), &'static str> {
    match check(&incoming.app, incoming, params) {
        Ok(_) => Ok(()),
        Err(Unfit::Page(why) | Unfit::Client(_, why)) => Err(why),
    }
}

/// First whom to answer, then everything else: before client and redirect URI are known to belong together, no error
/// may be sent anywhere (RFC 6749 §4.1.2.1).
fn check(app: &App, incoming: &Incoming, params: Params) -> Result<Asked, Unfit> {
    let params = dialect::authorize(&app.quirks, params).map_err(Unfit::Page)?;
    let client = params.one("client_id").ok().flatten().and_then(|id| app.clients.find(id));
    let (id, client) = client.ok_or(Unfit::Page("The request names no client that this sandbox knows."))?;
    let caller = Caller { client: id.clone(), tenant: incoming.tenant.clone() };
    let (redirect_uri, url) = redirect(&app.quirks, client, &params).map_err(Unfit::Page)?;
    let state = params.one("state").map(|state| state.map(str::to_owned));
    let repeated = state.is_err();
    let issuer = (!app.quirks.callback.without_iss).then(|| app.issuer.clone());
    let back = Back { url, state: state.unwrap_or_default(), issuer };
    let scopes = if repeated { Err("invalid_request") } else { check_rest(app, &params) };
    match scopes {
        Ok(scopes) => Ok(Asked { caller, back, redirect_uri, scopes, params }),
        Err(error) => Err(Unfit::Client(Box::new(back), error)),
    }
}

/// The redirect URI as it was said, and where it leads.
fn redirect(quirks: &Quirks, client: &Client, params: &Params) -> Result<(String, Url), &'static str> {
    const NOT_REGISTERED: &str = "The request's redirect_uri is not registered for this client.";
    let rules = &quirks.redirect;
    let dropped = quirks.authorize.drop.iter().any(|name| name == "redirect_uri");
    let said = match params.one("redirect_uri") {
        Ok(None) if dropped => client.redirect_uris.first().map(String::as_str),
        said => said.ok().flatten(),
    };
    let said = said.ok_or(NOT_REGISTERED)?;
    let uri = if rules.named.is_empty() { Some(said) } else { rules.named.get(said).map(String::as_str) };
    let uri = uri.filter(|uri| client.may_redirect_to(uri)).ok_or(NOT_REGISTERED)?;
    let url = Url::parse(uri).map_err(|_| NOT_REGISTERED)?;
    if rules.refuses_localhost && url.host_str() == Some("localhost") {
        return Err("This provider does not redirect to localhost by that name.");
    }
    if rules.https_only && url.scheme() == "http" {
        return Err("This provider redirects to https only.");
    }
    Ok((said.to_owned(), url))
}

/// The scopes, if the rest of the request is in order; otherwise the error code for the client.
fn check_rest(app: &App, params: &Params) -> Result<Vec<String>, &'static str> {
    let dropped = |name: &str| app.quirks.authorize.drop.iter().any(|dropped| dropped == name);
    let one = |name| params.one(name).map_err(|_| "invalid_request");
    match one("response_type")? {
        Some("code") => {}
        Some(_) => return Err("unsupported_response_type"),
        None if dropped("response_type") => {}
        None => return Err("invalid_request"),
    }
    let require_pkce = app.require_pkce && !dropped("code_challenge");
    match (one("code_challenge")?, one("code_challenge_method")?) {
        (None, None) if !require_pkce => {}
        // An absent method would mean `plain` (RFC 7636 §4.3), which protects from nothing.
        (Some(challenge), Some("S256")) if is_challenge(challenge) => {}
        _ => return Err("invalid_request"),
    }
    // Without sessions, there is nothing that could be granted silently.
    if one("prompt")? == Some("none") {
        return Err("consent_required");
    }
    one("nonce")?;
    scopes(one("scope")?, &app.quirks.authorize.scope_separator)
}

/// The scopes of a request, each only once.
pub(crate) fn scopes(asked: Option<&str>, separator: &str) -> Result<Vec<String>, &'static str> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in asked.unwrap_or(DEFAULT_SCOPE).split(separator) {
        if !is_scope(scope) {
            return Err("invalid_scope");
        }
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Ok(scopes)
}

/// `scope-token` of RFC 6749 §3.3.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}
