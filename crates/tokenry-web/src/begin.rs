//! `/api/users/{username}/connections/…authorize` and `…/device`: connects that begin with settings, scopes and a name.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use serde::{Deserialize, Serialize};
use tokenry_broker::{AuthorizeConnection, AuthorizeNew, BeginDevice, ConnectLink};
use tokenry_model::ExposeSecret as _;
use utoipa::ToSchema;

use crate::browser;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Body, Caller, OwnedId, TwoWords, Word};
use crate::router::App;

/// What is to be connected.
#[derive(Deserialize, ToSchema)]
pub(crate) struct BeginBody {
    /// A service of the catalogue, by its id or an alias.
    #[schema(example = "shopify")]
    service: String,
    /// What to call the connection; after the service and the account when it is missing.
    name: Option<String>,
    /// What to ask for; the service's usual scopes when it is missing.
    scopes: Option<Vec<String>>,
    /// What differs from connection to connection at this service.
    #[schema(example = json!({"shop": "acme"}))]
    settings: Option<BTreeMap<String, String>>,
}

/// What is to be asked for besides.
#[derive(Deserialize, ToSchema)]
pub(crate) struct AgainBody {
    /// What to ask for besides what the connection has asked for before.
    #[schema(example = json!(["email"]))]
    scopes: Option<Vec<String>>,
    /// Settings that the connection lacks. Those that it has stay.
    settings: Option<BTreeMap<String, String>>,
}

/// A link to open in a browser.
#[derive(Serialize, ToSchema)]
pub(crate) struct Link {
    #[schema(example = "https://accounts.example.org/authorize?response_type=code&client_id=…")]
    url: String,
    /// Until when it is good. It is good once.
    #[schema(format = DateTime, example = "2021-04-11T20:33:44.487065Z")]
    expires_at: String,
}

fn answer(app: &App, jar: CookieJar, link: &ConnectLink) -> Response {
    let body = Link { url: link.url.to_string(), expires_at: link.expires_at.to_string() };
    let mut response = (browser::mark(app, jar, &link.browser), Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Get a link at which you connect an account, with settings, scopes and a name of its own.
///
/// Open it in a browser. The answer carries a cookie that marks the browser which asked: if the same browser comes back
/// from the service, the connection is stored at once; any other has to sign in as you first.
#[utoipa::path(
    post, path = "/api/users/{username}/connections/authorize", tag = "connecting", request_body = BeginBody,
    params(("username" = String, Path, description = "Your username")), security(("access_token" = [])),
    responses(
        (status = 200, body = Link),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 409, body = ErrorBody, description = "The service is not set up here (`provider_not_configured`), or cannot be connected by a link (`provider_not_supported`)"),
        (status = 502, body = ErrorBody, description = "The provider's metadata make no sense, or it refused us"),
    ),
)]
pub(crate) async fn authorize(
    State(app): State<App>,
    caller: Caller,
    jar: CookieJar,
    Word(owner): Word,
    Body(body): Body<BeginBody>,
) -> Result<Response, ApiError> {
    let known = browser::browser_of(&app, &jar);
    let new = AuthorizeNew {
        service: body.service,
        name: body.name,
        scopes: body.scopes,
        settings: body.settings.unwrap_or_default(),
    };
    let link = app.broker.authorize_new(&caller.claims, &owner, new, known.as_ref()).await?;
    Ok(answer(&app, jar, &link))
}

/// Get a link at which you connect the account of a connection again, perhaps with more scopes.
///
/// The connection keeps its id. If another account comes back than its own, nothing is stored.
#[utoipa::path(
    post, path = "/api/users/{username}/connections/{id}/authorize", tag = "connecting", request_body = AgainBody,
    params(("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1)),
    security(("access_token" = [])),
    responses(
        (status = 200, body = Link),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
        (status = 409, body = ErrorBody, description = "The service is not set up here (`provider_not_configured`), or cannot be connected by a link (`provider_not_supported`)"),
        (status = 502, body = ErrorBody, description = "The provider's metadata make no sense, or it refused us"),
    ),
)]
pub(crate) async fn authorize_again(
    State(app): State<App>,
    caller: Caller,
    jar: CookieJar,
    OwnedId { owner, id }: OwnedId,
    Body(body): Body<AgainBody>,
) -> Result<Response, ApiError> {
    let known = browser::browser_of(&app, &jar);
    let again = AuthorizeConnection {
        scopes: body.scopes.unwrap_or_default(),
        settings: body.settings.unwrap_or_default(),
    };
    let link = app.broker.authorize_connection(&caller.claims, &owner, id, again, known.as_ref()).await?;
    Ok(answer(&app, jar, &link))
}

/// What the person is to be told, and what to ask with.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceBegun {
    /// What to ask with how it is getting on.
    id: String,
    /// What the person types.
    #[schema(example = "WDJB-MJHT")]
    user_code: String,
    /// Where they type it, on any device.
    #[schema(example = "https://example.org/device")]
    verification_uri: String,
    /// The same place with the code in it already, for a QR code.
    verification_uri_complete: Option<String>,
    #[schema(format = DateTime, example = "2021-04-11T20:33:44.487065Z")]
    expires_at: String,
    /// How many seconds to wait between two questions. Asking earlier does no harm, and tells nothing new.
    #[schema(example = 5)]
    interval: i64,
}

/// How a connect on another device is getting on.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceProgress {
    /// `pending`, `connected`, `declined` or `expired`.
    #[schema(example = "connected")]
    status: &'static str,
    /// The id of the connection, once there is one.
    #[schema(example = 10)]
    connection: Option<i64>,
    /// How many seconds to wait before the next question.
    #[schema(example = 5)]
    interval: i64,
}

/// Begin a connect in which the person says yes on another device (RFC 8628): for a program without a browser.
#[utoipa::path(
    post, path = "/api/users/{username}/connections/device", tag = "connecting", request_body = BeginBody,
    params(("username" = String, Path, description = "Your username")), security(("access_token" = [])),
    responses(
        (status = 201, body = DeviceBegun, headers(("Location" = String, description = "Where to ask how it is getting on"))),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 409, body = ErrorBody, description = "The service has no such way (`device_flow_not_supported`), or is not set up here (`provider_not_configured`)"),
        (status = 502, body = ErrorBody, description = "The provider refused us, or answered nonsense"),
    ),
)]
pub(crate) async fn begin_device(
    State(app): State<App>,
    caller: Caller,
    Word(owner): Word,
    Body(body): Body<BeginBody>,
) -> Result<Response, ApiError> {
    let new = BeginDevice {
        service: body.service,
        name: body.name,
        scopes: body.scopes,
        settings: body.settings.unwrap_or_default(),
    };
    let begun = app.broker.begin_device(&caller.claims, &owner, new).await?;
    let id = begun.id.expose_secret().to_owned();
    let (base, username) = (app.base_path(), caller.claims.username());
    let location = format!("{base}/api/users/{username}/connections/device/{id}");
    let body = DeviceBegun {
        id,
        user_code: begun.user_code,
        verification_uri: begun.verification_uri.into(),
        verification_uri_complete: begun.verification_uri_complete.map(Into::into),
        expires_at: begun.expires_at.to_string(),
        interval: begun.interval_s,
    };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, value);
    }
    Ok(response)
}

/// Ask how a connect on another device is getting on.
///
/// The service is asked at most as often as it wants to be, however often you ask. The answer stays the same after the end.
#[utoipa::path(
    get, path = "/api/users/{username}/connections/device/{flow}", tag = "connecting",
    params(("username" = String, Path, description = "Your username"), ("flow" = String, Path, description = "The id that it was begun under")),
    security(("access_token" = [])),
    responses(
        (status = 200, body = DeviceProgress),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have begun nothing under this id (`no_such_device_flow`)"),
        (status = 409, body = ErrorBody, description = "You have as many connections as you may (`too_many_connections`)"),
        (status = 502, body = ErrorBody, description = "The provider refused us, or answered nonsense"),
    ),
)]
pub(crate) async fn poll_device(
    State(app): State<App>,
    caller: Caller,
    TwoWords(owner, flow): TwoWords,
) -> Result<Response, ApiError> {
    let progress = app.broker.poll_device(&caller.claims, &owner, &flow).await?;
    let body = DeviceProgress {
        status: progress.status.as_str(),
        connection: progress.connection.map(tokenry_model::ConnectionId::get),
        interval: progress.interval_s,
    };
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
