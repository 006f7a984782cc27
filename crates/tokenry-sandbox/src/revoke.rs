//! The revocation endpoint: a client gives a token back (RFC 7009).

use axum::{
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use crate::{
    api,
    dialect::Dialect,
    faults::{Endpoint, around},
    fresh::Key,
    grants::{Caller, Revoked},
    incoming::Incoming,
    params::Params,
    quirks::{Auth, RevokeAuth, TokenIn},
    refused::Refused,
    shape,
};

pub(crate) async fn revoke(incoming: Incoming) -> Response {
    around(&incoming.app, &incoming.tear, Endpoint::Revoke, None, || answer(&incoming)).await
}

fn answer(incoming: &Incoming) -> Response {
    let app = &incoming.app;
    let named = incoming.uri.path().strip_prefix("/revoke/");
    if named.is_some() != app.quirks.revoke.client_in_path {
        return StatusCode::NOT_FOUND.into_response();
    }
    match try_revoke(incoming, named) {
        Ok(status) => status.into_response(),
        Err(refused) => {
            app.state().tally.note(Endpoint::Revoke.name(), None, refused.description());
            shape::refusal(&app.quirks, refused)
        }
    }
}

/// Who gives the token back; `None` where the token alone says it.
fn caller(incoming: &Incoming, params: &Params) -> Result<Option<Caller>, Refused> {
    let app = &incoming.app;
    let rules = &app.quirks.revoke;
    let auth = match rules.auth {
        RevokeAuth::AsToken => app.quirks.token.auth,
        RevokeAuth::Basic => Auth::Basic,
        RevokeAuth::Omit => {
            let basic = incoming.header("authorization").is_some_and(|value| value.starts_with("Basic "));
            if basic || params.has("client_secret") {
                return Err(Refused::InvalidRequest("the client does not say here who it is"));
            }
            return Ok(None);
        }
    };
    if rules.token_in == TokenIn::Header {
        // The header is the token's, so only the body can name the client.
        let bare = HeaderMap::new();
        return app.authenticate_by(&bare, incoming.tenant.as_ref(), params, auth).map(Some);
    }
    app.authenticate(incoming, params, auth).map(Some)
}

fn try_revoke(incoming: &Incoming, named: Option<&str>) -> Result<StatusCode, Refused> {
    let app = &incoming.app;
    let rules = &app.quirks.revoke;
    let params = Dialect::of_revoke(&app.quirks).read(incoming)?;
    let caller = caller(incoming, &params)?;
    let client = caller.as_ref().map(|caller| &caller.client);
    if let (Some(named), Some(client)) = (named, client)
        && *named != **client
    {
        return Err(Refused::InvalidClient);
    }
    let token = match rules.token_in {
        TokenIn::Body => params.required(&rules.token_param, "the token is missing")?,
        TokenIn::Header => {
            api::credential(incoming).ok_or(Refused::InvalidRequest("the token is missing"))?
        }
    };
    let mut state = app.state();
    let outcome = match state.grants.revoke(app.now(), caller.as_ref(), Key::of(token)) {
        Revoked::Family => "the grant is revoked",
        Revoked::AccessToken => "access token revoked",
        // The client wanted it gone, and gone it is (RFC 7009 §2.2).
        Revoked::Unknown => {
            state.tally.note(Endpoint::Revoke.name(), client, "unknown token");
            let status = rules.gone_status.and_then(|status| StatusCode::from_u16(status).ok());
            return Ok(status.unwrap_or(StatusCode::OK));
        }
        Revoked::NotYours => return Err(Refused::UnauthorizedClient),
        Revoked::WrongKind => return Err(Refused::UnsupportedTokenType),
    };
    state.tally.counts.revocations += 1;
    state.tally.note(Endpoint::Revoke.name(), client, outcome);
    Ok(StatusCode::OK)
}
