//! The token endpoint: codes and refresh tokens become access tokens (RFC 6749 §4.1.3, §4.4, §5, §6; RFC 8628 §3.4).

use std::sync::Arc;

use axum::{
    http::{HeaderValue, Method as HttpMethod, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    app::{App, State},
    authorize,
    dialect::{Dialect, has_headers},
    faults::{Endpoint, Grant, around},
    fresh::{Fresh, Key},
    grants::{Caller, Consent, Issued, Redemption, Renewal},
    incoming::Incoming,
    options::Account,
    pace::TurnedAway,
    params::{Params, is_content_type},
    quirks::Auth,
    refused::Refused,
    shape,
};

pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Which of its URLs was asked. The second and third are there by quirk only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Token,
    Refresh,
    Upgrade,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Grant(Grant),
    Upgrade,
    Unknown,
}

pub(crate) async fn token(incoming: Incoming) -> Response {
    serve(&incoming, Door::Token).await
}

pub(crate) async fn refresh_only(incoming: Incoming) -> Response {
    if !incoming.app.quirks.refresh.own_url {
        return StatusCode::NOT_FOUND.into_response();
    }
    serve(&incoming, Door::Refresh).await
}

pub(crate) async fn upgrade_only(incoming: Incoming) -> Response {
    if incoming.app.quirks.refresh.upgrade.is_none() {
        return StatusCode::NOT_FOUND.into_response();
    }
    serve(&incoming, Door::Upgrade).await
}

async fn serve(incoming: &Incoming, door: Door) -> Response {
    let app = &incoming.app;
    let wanted = wanted(incoming, door);
    let grant = if let Wanted::Grant(grant) = wanted { Some(grant) } else { None };
    let turned_away = arrive(&mut app.state(), app, grant);
    let response = match turned_away {
        Some(TurnedAway::TooMany { retry_after_s }) => {
            let wait = [(header::RETRY_AFTER, HeaderValue::from(retry_after_s))];
            (StatusCode::TOO_MANY_REQUESTS, wait).into_response()
        }
        Some(TurnedAway::ServerError) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        None => around(app, &incoming.tear, Endpoint::Token, grant, || answer(incoming, door, wanted)).await,
    };
    leave(&mut app.state(), app, &response);
    response
}

/// Counts a request, and turns it away where it comes too fast or by chance.
fn arrive(state: &mut State, app: &App, grant: Option<Grant>) -> Option<TurnedAway> {
    let now = app.now();
    let is_refresh = grant == Some(Grant::RefreshToken);
    if is_refresh {
        state.tally.counts.refresh_attempts += 1;
    }
    if state.pace.breaks_a_pause(now) {
        state.tally.counts.retry_after_broken += 1;
    }
    let turned_away = state.pace.admit(now, is_refresh);
    match turned_away {
        Some(TurnedAway::TooMany { .. }) => state.tally.note("token", None, "turned away: too many"),
        Some(TurnedAway::ServerError) => {
            state.tally.counts.faults_served += 1;
            state.tally.note("token", None, "turned away: a fault by chance");
        }
        None => {}
    }
    turned_away
}

/// Remembers what a client was told about waiting.
fn leave(state: &mut State, app: &App, response: &Response) {
    if response.status() != StatusCode::TOO_MANY_REQUESTS {
        return;
    }
    state.tally.counts.too_many_sent += 1;
    let wait = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    if let Some(seconds) = wait.and_then(|text| text.parse().ok()) {
        state.pace.pause(app.now(), seconds);
    }
}

/// Looks what is asked for, before it is known whether the request is in order.
fn wanted(incoming: &Incoming, door: Door) -> Wanted {
    let quirks = &incoming.app.quirks;
    match door {
        Door::Upgrade => return Wanted::Upgrade,
        Door::Refresh => return Wanted::Grant(Grant::RefreshToken),
        Door::Token => {}
    }
    let params = if incoming.method == HttpMethod::GET {
        incoming.query.clone()
    } else if is_content_type(&incoming.headers, "application/json") {
        Params::parse_json(&incoming.body).unwrap_or_default()
    } else {
        incoming.form()
    };
    let name = quirks.token.rename.get("grant_type").map_or("grant_type", String::as_str);
    let dropped = quirks.token.drop.iter().chain(&quirks.refresh.drop).any(|dropped| dropped == "grant_type");
    match params.one(name) {
        Ok(Some(grant)) if grant == quirks.refresh.grant && !quirks.refresh.own_url => {
            Wanted::Grant(Grant::RefreshToken)
        }
        Ok(Some("authorization_code")) => Wanted::Grant(Grant::AuthorizationCode),
        Ok(Some("client_credentials")) => Wanted::Grant(Grant::ClientCredentials),
        Ok(Some(DEVICE_GRANT)) => Wanted::Grant(Grant::DeviceCode),
        Ok(None) if dropped && params.has(&quirks.refresh.token_param) => Wanted::Grant(Grant::RefreshToken),
        Ok(None) if dropped => Wanted::Grant(Grant::AuthorizationCode),
        _ => Wanted::Unknown,
    }
}

fn answer(incoming: &Incoming, door: Door, wanted: Wanted) -> Response {
    let app = &incoming.app;
    let mut client = None;
    match try_answer(incoming, door, wanted, &mut client) {
        Ok(issued) => shape::tokens(&app.quirks, &issued),
        Err(refused) => {
            let mut state = app.state();
            if refused == Refused::Reuse {
                state.tally.counts.reuses_detected += 1;
            }
            state.tally.note(Endpoint::Token.name(), client.as_ref(), refused.description());
            shape::refusal(&app.quirks, refused)
        }
    }
}

fn try_answer(
    incoming: &Incoming,
    door: Door,
    wanted: Wanted,
    client: &mut Option<Arc<str>>,
) -> Result<Issued, Refused> {
    let app = &incoming.app;
    let quirks = &*app.quirks;
    if !has_headers(incoming, &quirks.token.headers) {
        return Err(Refused::InvalidRequest("a header is missing or has another value"));
    }
    let mut dialect = match wanted {
        Wanted::Grant(Grant::RefreshToken) => Dialect::of_refresh(quirks),
        _ => Dialect::of_token(quirks),
    };
    if wanted != Wanted::Grant(Grant::AuthorizationCode) && wanted != Wanted::Grant(Grant::RefreshToken) {
        dialect.require.clear();
    }
    if let (Door::Upgrade, Some(upgrade)) = (door, &quirks.refresh.upgrade) {
        dialect.method = upgrade.method;
    }
    let params = dialect.read(incoming)?;
    // Where the client's name is not taken, the token says whose it is.
    let caller = if dialect.drop.contains(&"client_id") {
        None
    } else {
        let auth = if dialect.drop.contains(&"client_secret") { Auth::None } else { quirks.token.auth };
        Some(app.authenticate(incoming, &params, auth)?)
    };
    *client = caller.as_ref().map(|caller| caller.client.clone());
    let named = caller.as_ref().ok_or(Refused::InvalidClient);
    match wanted {
        Wanted::Grant(Grant::AuthorizationCode) => exchange(app, named?, &params),
        Wanted::Grant(Grant::RefreshToken) => refresh(incoming, caller.as_ref(), &params, &dialect),
        Wanted::Grant(Grant::DeviceCode) => device(app, named?, &params),
        Wanted::Grant(Grant::ClientCredentials) => own_account(app, named?, &params),
        Wanted::Upgrade => upgrade(app, caller.as_ref(), &params),
        Wanted::Unknown => {
            params.required("grant_type", "grant_type is missing").and(Err(Refused::UnsupportedGrantType))
        }
    }
}

/// The values that came with the code must come back.
fn check_extra(app: &App, params: &Params) -> Result<(), Refused> {
    let callback = &app.quirks.callback;
    let back = |(name, value): (&String, &String)| params.one(name) == Ok(Some(value));
    if callback.wants_extra_back && !callback.extra.iter().all(back) {
        return Err(Refused::InvalidRequest("a value of the callback did not come back"));
    }
    Ok(())
}

fn exchange(app: &App, caller: &Caller, params: &Params) -> Result<Issued, Refused> {
    check_extra(app, params)?;
    let redemption = Redemption {
        caller,
        code: Key::of(params.required("code", "code is missing")?),
        redirect_uri: params.one("redirect_uri")?,
        verifier: params.one("code_verifier")?,
    };
    let fresh = Fresh::new()?;
    let mut state = app.state();
    let issued = state.grants.redeem(app.now(), &redemption, fresh)?;
    state.tally.counts.codes_exchanged += 1;
    state.tally.note(Endpoint::Token.name(), Some(&caller.client), "code exchanged");
    Ok(issued)
}

fn refresh(
    incoming: &Incoming,
    caller: Option<&Caller>,
    params: &Params,
    dialect: &Dialect<'_>,
) -> Result<Issued, Refused> {
    let app = &incoming.app;
    let rules = &app.quirks.refresh;
    check_extra(app, params)?;
    if !dialect.drop.contains(&"grant_type") && params.one("grant_type")? != Some(&rules.grant) {
        return Err(Refused::UnsupportedGrantType);
    }
    let token = Key::of(params.required(&rules.token_param, "the token to be spent is missing")?);
    let scope = params.one("scope")?;
    let separator = &app.quirks.authorize.scope_separator;
    let scope = scope.map(|scope| scope.split(separator).collect::<Vec<_>>().join(" "));
    let fresh = Fresh::new()?;
    let mut state = app.state();
    let now = app.now();
    let issued = if rules.spends_access_token {
        state.grants.renew(now, caller, token, Renewal::Refresh, fresh)
    } else {
        state.grants.refresh(now, caller, token, scope.as_deref(), fresh)
    };
    if let Err(Refused::Reuse) = issued {
        state.journal.came_again(token, now);
    }
    let issued = issued?;
    // Without a next one it was not spent.
    if issued.refresh.is_some() && !issued.again {
        state.journal.spent(token, &issued.account.id, now, incoming.tear.peer);
    }
    let outcome = if issued.again {
        state.tally.counts.replays += 1;
        "the same answer again"
    } else {
        state.tally.counts.refreshes += 1;
        "refreshed"
    };
    state.tally.note(Endpoint::Token.name(), caller.map(|caller| &caller.client), outcome);
    Ok(issued)
}

fn upgrade(app: &App, caller: Option<&Caller>, params: &Params) -> Result<Issued, Refused> {
    let rules = app.quirks.refresh.upgrade.as_ref().ok_or(Refused::UnsupportedGrantType)?;
    if params.one("grant_type")? != Some(&rules.grant) {
        return Err(Refused::UnsupportedGrantType);
    }
    let token = Key::of(params.required(&rules.token_param, "the access token is missing")?);
    let fresh = Fresh::new()?;
    let mut state = app.state();
    let issued = state.grants.renew(app.now(), caller, token, Renewal::Upgrade, fresh)?;
    state.tally.note(Endpoint::Token.name(), caller.map(|caller| &caller.client), "upgraded");
    Ok(issued)
}

fn device(app: &App, caller: &Caller, params: &Params) -> Result<Issued, Refused> {
    let code = Key::of(params.required("device_code", "device_code is missing")?);
    let fresh = Fresh::new()?;
    let mut state = app.state();
    let consent = state.devices.poll(app.now(), caller, code)?;
    let (_, issued) = state.grants.open(app.now(), consent, fresh)?;
    state.tally.counts.device_grants += 1;
    state.tally.note(Endpoint::Token.name(), Some(&caller.client), "device connected");
    Ok(issued)
}

/// The client's own account (RFC 6749 §4.4). It gets no refresh token (§4.4.3).
fn own_account(app: &App, caller: &Caller, params: &Params) -> Result<Issued, Refused> {
    let separator = &app.quirks.authorize.scope_separator;
    let scopes = authorize::scopes(params.one("scope")?, separator).map_err(|_| Refused::InvalidScope)?;
    let id = caller.client.to_string();
    let consent = Consent {
        caller: caller.clone(),
        account: Arc::new(Account { name: id.clone(), email: String::new(), id }),
        scope: Arc::from(scopes.join(" ")),
        second_scope: None,
        refreshable: false,
    };
    let fresh = Fresh::new()?;
    let mut state = app.state();
    let (_, issued) = state.grants.open(app.now(), consent, fresh)?;
    state.tally.counts.client_credentials += 1;
    state.tally.note(Endpoint::Token.name(), Some(&caller.client), "a token for the client itself");
    Ok(issued)
}
