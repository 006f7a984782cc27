//! `/authorize`: asks the person, and sends the answer back to the client (RFC 6749 §4.1.1, §4.1.2; RFC 9207).
//!
//! The form posts to the URL that showed it, so the request is checked twice and kept nowhere in between.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::{
    app::App,
    connection::Tear,
    faults::{Endpoint, around},
    fresh::{Token, is_challenge},
    grants::{Consent, NewCode},
    options::Account,
    pages,
    params::Params,
};

/// What is granted to a client that names no scope (RFC 6749 §3.3).
const DEFAULT_SCOPE: &str = "profile";

/// An authorization request that may be shown to a person.
struct Asked {
    client: Arc<str>,
    back: Back,
    redirect_uri: String,
    scopes: Vec<String>,
    challenge: Option<String>,
    login_hint: Option<String>,
}

/// The way back to the client.
struct Back {
    url: Url,
    state: Option<String>,
    issuer: String,
}

impl Back {
    fn with(mut self, name: &str, value: &str) -> Response {
        {
            let mut query = self.url.query_pairs_mut();
            query.append_pair(name, value);
            if let Some(state) = &self.state {
                query.append_pair("state", state);
            }
            query.append_pair("iss", &self.issuer);
        }
        let headers = [
            (header::LOCATION, self.url.as_str()),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        (StatusCode::SEE_OTHER, headers).into_response()
    }
}

/// Why a request is not shown to a person.
enum Unfit {
    /// It is not certain whom to answer, so only the person is told.
    Page(&'static str),
    /// The client is told, in `error`.
    Client(Box<Back>, &'static str),
}

pub(crate) async fn ask(
    State(app): State<App>,
    ConnectInfo(tear): ConnectInfo<Tear>,
    RawQuery(query): RawQuery,
) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    around(&app, &tear, Endpoint::Authorize, None, || show(&app, &params)).await
}

pub(crate) async fn decide(
    State(app): State<App>,
    ConnectInfo(tear): ConnectInfo<Tear>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let form = Params::parse(&body);
    around(&app, &tear, Endpoint::Authorize, None, || take(&app, &headers, &params, &form)).await
}

fn show(app: &App, params: &Params) -> Response {
    let asked = match check(app, params) {
        Ok(asked) => asked,
        Err(unfit) => return turn_away(app, unfit),
    };
    {
        let mut state = app.state();
        state.tally.counts.authorizations += 1;
        state.tally.note(Endpoint::Authorize.name(), Some(&asked.client), "consent page shown");
    }
    pages::consent(&pages::Consent {
        client: &asked.client,
        returns_to: &pages::place(&asked.back.url),
        action: &format!("authorize?{}", params.to_query()),
        scopes: &asked.scopes,
        accounts: &app.accounts,
        chosen: chosen(app, asked.login_hint.as_deref()),
    })
}

/// The account that is chosen when the page opens.
fn chosen<'a>(app: &'a App, hint: Option<&str>) -> Option<&'a Account> {
    let hinted =
        app.accounts.iter().find(|account| hint == Some(&account.id) || hint == Some(&account.email));
    hinted.or(app.accounts.first()).map(AsRef::as_ref)
}

fn take(app: &App, headers: &HeaderMap, params: &Params, form: &Params) -> Response {
    // Browsers say where a form was. One on another site must not be able to press Allow.
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if matches!(site, Some("cross-site" | "same-site")) {
        return turn_away(app, Unfit::Page("This form came from another site."));
    }
    let asked = match check(app, params) {
        Ok(asked) => asked,
        Err(unfit) => return turn_away(app, unfit),
    };
    let ticked: Vec<&str> = form.all("scope").flat_map(str::split_ascii_whitespace).collect();
    match form.one("decision") {
        Ok(Some("deny")) => deny(app, asked, "denied"),
        Ok(Some("allow")) => {
            if !ticked.iter().all(|scope| asked.scopes.iter().any(|asked| asked == scope)) {
                return turn_away(app, Unfit::Page("A scope was ticked that the client did not ask for."));
            }
            let account = form.one("account").ok().flatten().and_then(|id| app.account(id));
            let Some(account) = account else {
                return turn_away(app, Unfit::Page("There is no such account here."));
            };
            // A consent to nothing at all is none.
            if ticked.is_empty() {
                deny(app, asked, "denied: nothing ticked")
            } else {
                allow(app, asked, account, &ticked)
            }
        }
        _ => turn_away(app, Unfit::Page("The form came without a decision.")),
    }
}

fn deny(app: &App, asked: Asked, outcome: &'static str) -> Response {
    let mut state = app.state();
    state.tally.counts.consents_denied += 1;
    state.tally.note(Endpoint::Authorize.name(), Some(&asked.client), outcome);
    asked.back.with("error", "access_denied")
}

fn allow(app: &App, asked: Asked, account: &Arc<Account>, ticked: &[&str]) -> Response {
    let Ok(code) = Token::code() else {
        return asked.back.with("error", "server_error");
    };
    // In the order of the request, and each only once.
    let mut granted = asked.scopes;
    granted.retain(|scope| ticked.contains(&scope.as_str()));
    let scope = Arc::from(granted.join(" "));
    let consent = Consent { client: asked.client.clone(), account: account.clone(), scope };
    let new = NewCode { consent, redirect_uri: asked.redirect_uri, challenge: asked.challenge };
    let mut state = app.state();
    state.grants.add_code(Instant::now(), code.key, new);
    state.tally.counts.consents_allowed += 1;
    state.tally.note(Endpoint::Authorize.name(), Some(&asked.client), "allowed");
    asked.back.with("code", code.text.expose_secret())
}

fn turn_away(app: &App, unfit: Unfit) -> Response {
    let (outcome, response) = match unfit {
        Unfit::Page(why) => (why, pages::error(why)),
        Unfit::Client(back, error) => (error, back.with("error", error)),
    };
    app.state().tally.note(Endpoint::Authorize.name(), None, outcome);
    response
}

/// First whom to answer, then everything else: before client and redirect URI are known to belong together, no error
/// may be sent anywhere (RFC 6749 §4.1.2.1).
fn check(app: &App, params: &Params) -> Result<Asked, Unfit> {
    let client = params.one("client_id").ok().flatten().and_then(|id| app.clients.find(id));
    let (id, client) = client.ok_or(Unfit::Page("The request names no client that this sandbox knows."))?;
    let redirect_uri = params.one("redirect_uri").ok().flatten();
    let registered = redirect_uri.filter(|uri| client.may_redirect_to(uri));
    let (redirect_uri, url) = registered
        .and_then(|uri| Some((uri, Url::parse(uri).ok()?)))
        .ok_or(Unfit::Page("The request's redirect_uri is not registered for this client."))?;
    let state = params.one("state").map(|state| state.map(str::to_owned));
    let repeated = state.is_err();
    let back = Back { url, state: state.unwrap_or_default(), issuer: app.issuer.clone() };
    let scopes = if repeated { Err("invalid_request") } else { check_rest(app, params) };
    match scopes {
        Ok(scopes) => Ok(Asked {
            client: id.clone(),
            back,
            redirect_uri: redirect_uri.to_owned(),
            scopes,
            challenge: params.all("code_challenge").next().map(str::to_owned),
            login_hint: params.all("login_hint").next().map(str::to_owned),
        }),
        Err(error) => Err(Unfit::Client(Box::new(back), error)),
    }
}

/// The scopes, if the rest of the request is in order; otherwise the error code for the client.
fn check_rest(app: &App, params: &Params) -> Result<Vec<String>, &'static str> {
    let one = |name| params.one(name).map_err(|_| "invalid_request");
    match one("response_type")? {
        Some("code") => {}
        Some(_) => return Err("unsupported_response_type"),
        None => return Err("invalid_request"),
    }
    match (one("code_challenge")?, one("code_challenge_method")?) {
        (None, None) if !app.require_pkce => {}
        // An absent method would mean `plain` (RFC 7636 §4.3), which protects from nothing.
        (Some(challenge), Some("S256")) if is_challenge(challenge) => {}
        _ => return Err("invalid_request"),
    }
    // Without sessions, there is nothing that could be granted silently.
    if one("prompt")? == Some("none") {
        return Err("consent_required");
    }
    one("nonce")?;
    let mut scopes: Vec<String> = Vec::new();
    for scope in one("scope")?.unwrap_or(DEFAULT_SCOPE).split(' ') {
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
