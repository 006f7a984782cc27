//! Connecting an account: the link, the callback, and the page that asks the owner to sign in.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Form, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokenry_broker::{BrokerError, Callback, CallbackOutcome, ConnectError};
use tokenry_model::{Origin, SecretString};

use crate::address::CameFrom;
use crate::browser;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Caller, Word};
use crate::pages;
use crate::router::App;

/// So many parameters besides the standard's are looked at, each with so long a name and value at most.
const MAX_OTHERS: usize = 32;
const MAX_OTHER_NAME: usize = 64;
const MAX_OTHER: usize = 2048;

/// Get a link at which you connect an account.
///
/// Open it in a browser. The answer carries a cookie that marks the browser which asked: if the same browser comes back
/// from the service, the connection is stored at once; any other has to sign in as you first. A link is good once,
/// for ten minutes.
#[utoipa::path(
    get, path = "/api/user/connection/access/token/{service}", tag = "connecting",
    params(("service" = String, Path, description = "A service of the catalogue, by its id or an alias", example = "spotify")),
    security(("access_token" = [])),
    responses(
        (status = 200, content_type = "application/json", body = std::collections::BTreeMap<String, String>,
         description = "The link, under `<service>_url` and under `url`",
         example = json!({
             "spotify_url": "https://accounts.spotify.com/authorize?response_type=code&client_id=…",
             "url": "https://accounts.spotify.com/authorize?response_type=code&client_id=…"
         })),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 409, body = ErrorBody, description = "The service is not set up here (`provider_not_configured`), and the message says what to register and where; or it needs to know more first (`settings_required`), and the message says what and where; or it cannot be connected by a link (`provider_not_supported`), and a pasted token works"),
        (status = 502, body = ErrorBody, description = "The provider's metadata make no sense"),
    ),
)]
pub(crate) async fn link(
    State(app): State<App>,
    caller: Caller,
    jar: CookieJar,
    Word(service): Word,
) -> Result<Response, ApiError> {
    let known = browser::browser_of(&app, &jar);
    let link = app.broker.connect_link(&caller.claims, &service, known.as_ref()).await?;
    let mut answer = Map::new();
    answer.insert(format!("{}_url", link.service), Value::from(link.url.as_str()));
    answer.insert("url".to_owned(), Value::from(link.url.as_str()));
    Ok((browser::mark(&app, jar, &link.browser), Json(answer)).into_response())
}

/// The way back from a provider that is built in.
pub(crate) async fn callback(
    State(app): State<App>,
    CameFrom(from): CameFrom,
    jar: CookieJar,
    headers: HeaderMap,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Response {
    end(&app, jar, from, &headers, &uri, None, &query.unwrap_or_default()).await
}

/// The way back from a provider that the operator defined: each has its own (RFC 9700 §4.4.2).
pub(crate) async fn callback_of(
    State(app): State<App>,
    CameFrom(from): CameFrom,
    jar: CookieJar,
    headers: HeaderMap,
    uri: Uri,
    provider: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let Ok(Path(provider)) = provider else { return pages::failed(&app, &ConnectError::UnknownState) };
    end(&app, jar, from, &headers, &uri, Some(provider), &query.unwrap_or_default()).await
}

async fn end(
    app: &App,
    jar: CookieJar,
    from: Origin,
    headers: &HeaderMap,
    uri: &Uri,
    provider: Option<String>,
    query: &str,
) -> Response {
    if let Some(target) = home_of(app, headers, uri) {
        return Redirect::to(&target).into_response();
    }
    let Some(callback) = read_callback(query, provider) else {
        return pages::failed(app, &ConnectError::UnknownState);
    };
    match app.broker.complete(callback, browser::claimant_of(app, &jar, from)).await.outcome {
        Ok(CallbackOutcome::Connected(connected)) => pages::connected(app, &connected),
        Ok(CallbackOutcome::Confirm(parked)) => {
            let jar = browser::mark(app, jar, &parked.browser);
            (jar, pages::confirm(app, &parked, None)).into_response()
        }
        Err(error) => pages::failed(app, &error),
    }
}

/// A provider that refuses `localhost` sends the browser to 127.0.0.1, where it has none of the cookies that it got at
/// `localhost`. It is the same server: the browser is sent home first, with what it brought.
fn home_of(app: &App, headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let at_loopback_ip = host == "127.0.0.1" || host.starts_with("127.0.0.1:");
    if !at_loopback_ip || app.public_url.host_str() != Some("localhost") {
        return None;
    }
    let target =
        format!("{}{}", app.public_url.as_str().trim_end_matches('/'), uri.path_and_query()?.as_str());
    Some(target)
}

/// Reads the parameters of a callback. One of the standard's that comes twice makes all of them worthless (RFC 6749 §3.1).
pub(crate) fn read_callback(query: &str, provider: Option<String>) -> Option<Callback> {
    let mut callback = Callback { provider, ..Callback::default() };
    let (mut code, mut seen) = (None, Vec::new());
    let (mut others, mut doubles) = (BTreeMap::new(), Vec::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*name {
            "state" => &mut callback.state,
            "code" => &mut code,
            "error" => &mut callback.error,
            "iss" => &mut callback.issuer,
            _ => {
                let fits = name.len() <= MAX_OTHER_NAME && value.len() <= MAX_OTHER;
                if others.contains_key(&*name) {
                    doubles.push(name.into_owned());
                } else if fits && others.len() < MAX_OTHERS {
                    others.insert(name.into_owned(), SecretString::from(value.into_owned()));
                }
                continue;
            }
        };
        if seen.contains(&name) {
            return None;
        }
        *slot = Some(value.into_owned());
        seen.push(name);
    }
    // Which of two is meant, nobody can say.
    others.retain(|name, _| !doubles.contains(name));
    callback.code = code.map(SecretString::from);
    callback.others = others;
    Some(callback)
}

/// What the form on the page that asks the owner to sign in sends.
#[derive(Deserialize)]
pub(crate) struct Confirmation {
    handle: SecretString,
    password: Option<SecretString>,
    decision: String,
}

/// The owner signs in, or the person says no.
pub(crate) async fn confirm(
    State(app): State<App>,
    CameFrom(from): CameFrom,
    jar: CookieJar,
    form: Result<Form<Confirmation>, axum::extract::rejection::FormRejection>,
) -> Response {
    let Ok(Form(form)) = form else { return pages::failed(&app, &ConnectError::UnknownState) };
    let Some(marker) = browser::browser_of(&app, &jar) else {
        return pages::failed(&app, &ConnectError::UnknownState);
    };
    if form.decision != "finish" {
        return match app.broker.abandon(&form.handle, &marker, from).await {
            Ok(given_back) => pages::abandoned(&app, given_back),
            Err(error) => pages::failed(&app, &error),
        };
    }
    let password = form.password.unwrap_or_default();
    match app.broker.confirm(&form.handle, &marker, &password, from).await {
        Ok((connected, session)) => {
            (browser::sign_in(&app, jar, &session), pages::connected(&app, &connected)).into_response()
        }
        Err(ConnectError::Broker(
            error @ (BrokerError::WrongLogin | BrokerError::TooManyAttempts { .. } | BrokerError::Busy),
        )) => match app.broker.find_parked(&form.handle, &marker).await {
            Ok(parked) => {
                let mut problem = ApiError::from(error);
                let extra = problem.take_header().filter(|(name, _)| *name == header::RETRY_AFTER);
                let mut page = pages::confirm(&app, &parked, Some(problem.message()));
                *page.status_mut() = match problem.status() {
                    // A page has no access token to ask for.
                    StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
                    other => other,
                };
                let fallback = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                let (name, value) = extra.unwrap_or(fallback);
                page.headers_mut().insert(name, value);
                page
            }
            Err(error) => pages::failed(&app, &error),
        },
        Err(error) => pages::failed(&app, &error),
    }
}

#[cfg(test)]
mod tests {
    use tokenry_model::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_spoils_the_callback() {
        let read = |query| read_callback(query, None);
        let good = read("code=c&state=s&iss=https%3A%2F%2Fexample.org&scope=a&scope=b").unwrap();
        assert_eq!(good.code.unwrap().expose_secret(), "c");
        assert_eq!(good.issuer.as_deref(), Some("https://example.org"));
        assert!(good.others.is_empty(), "which scope was meant?");
        let more = read("state=s&auth_code=c&shop=a&shop=b&realmId=7");
        let more = more.unwrap().others;
        let more: Vec<_> = more.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(more, [("auth_code", "c"), ("realmId", "7")]);
        let long = format!("state=s&long={}&short=x", "x".repeat(MAX_OTHER + 1));
        assert_eq!(read(&long).unwrap().others.into_keys().collect::<Vec<_>>(), ["short"]);
        let many = (0..100).fold("state=s".to_owned(), |all, n| all + &format!("&p{n}=x"));
        assert_eq!(read(&many).unwrap().others.len(), MAX_OTHERS);
        for query in ["code=c&code=d&state=s", "state=s&state=s&code=c", "code=c&state=s&iss=a&iss=b"] {
            assert!(read(query).is_none(), "{query}");
        }
    }
}
