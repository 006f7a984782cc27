//! `/api/users/{username}/connect/links`: links that a program sends a person, and how they are getting on.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokenry_broker::NewLink;
use tokenry_model::{ConnectionId, ExposeSecret as _};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorBody};
use crate::extract::{Body, Caller, Word};
use crate::router::App;

/// What a connect link is for.
#[derive(Deserialize, ToSchema)]
pub(crate) struct LinkBody {
    /// The services that can be connected with it, by id or alias; all of the catalogue when it is missing. Where no consent is
    /// given, the person is asked for a key, a user name and a password, or a client of their own.
    #[schema(min_items = 1, max_items = 100, example = json!(["spotify"]))]
    services: Option<Vec<String>>,
    /// Where the person is sent in the end, with `connection`, `service` and `status` in the query. The operator says in
    /// `return_to` which addresses may be.
    #[schema(max_length = 2048, example = "https://app.example.org/connected")]
    return_to: Option<String>,
    /// The site whose page opens the link in a window, by `/connect.js`. The operator says in `embed_origins` which may.
    #[schema(example = "https://app.example.org")]
    origin: Option<String>,
}

/// A connect link.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeLinkBody {
    /// What names it. It opens nothing.
    id: String,
    /// Send the person here. Whoever opens it first can connect an account, so it goes to nobody else.
    #[schema(example = "https://tokenry.example.org/link/…")]
    url: String,
    /// Where it is told how it is getting on, also to pages of the configured origins.
    #[schema(example = "https://tokenry.example.org/api/connect/links/…")]
    status_url: String,
    /// Until when a connect can be begun with it.
    #[schema(format = DateTime, example = "2021-04-11T20:33:44.487065Z")]
    expires_at: String,
    /// The services that can be connected with it, by their ids; all of the catalogue when it is missing.
    #[schema(example = json!(["spotify"]))]
    services: Option<Vec<String>>,
}

/// How a connect link is getting on.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkStatusBody {
    /// `open`, `connected`, `declined`, `failed` or `expired`.
    #[schema(example = "connected")]
    status: &'static str,
    /// The id of the connection, once there is one.
    #[schema(example = 10)]
    connection: Option<i64>,
    /// The service that was connected, or tried.
    #[schema(example = "spotify")]
    service: Option<String>,
}

/// Make a connect link: an address to send a person, who connects an account there.
///
/// The person consents at the service, or brings along what it takes: a key, a user name and a password, the id and the secret
/// of a client of their own. That is sealed here and handed to your programs, as if you had imported it.
///
/// It is good once, for ten minutes, and only in the browser that opens it first. A connect that was declined or failed does
/// not spend it. In the end the person is sent to `return_to`.
#[utoipa::path(
    post, path = "/api/users/{username}/connect/links", tag = "connecting", request_body = LinkBody,
    params(("username" = String, Path, description = "Your username")), security(("access_token" = [])),
    responses(
        (status = 201, body = MadeLinkBody, headers(("Location" = String, description = "Where to ask how it is getting on"))),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 409, body = ErrorBody, description = "A service is not set up here (`provider_not_configured`), or cannot be connected by a link (`provider_not_supported`)"),
    ),
)]
pub(crate) async fn make_link(
    State(app): State<App>,
    caller: Caller,
    Word(owner): Word,
    Body(body): Body<LinkBody>,
) -> Result<Response, ApiError> {
    let new = NewLink { services: body.services, return_to: body.return_to, origin: body.origin };
    let made = app.broker.make_link(&caller.claims, &owner, new).await?;
    let base = app.public_url.as_str().trim_end_matches('/');
    let services = made.services.iter().map(ToString::to_string).collect::<Vec<_>>();
    let status_path = format!("/api/connect/links/{}", made.id);
    let body = MadeLinkBody {
        url: format!("{base}/link/{}", made.token.expose_secret()),
        status_url: format!("{base}{status_path}"),
        id: made.id,
        expires_at: made.expires_at.to_string(),
        services: (!services.is_empty()).then_some(services),
    };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(format!("{}{status_path}", app.base_path())) {
        headers.insert(header::LOCATION, value);
    }
    Ok(response)
}

/// Ask how a connect link is getting on.
///
/// Whoever knows the id may ask. It says nothing about the owner, the account or the link itself, and keeps its answer for a
/// day.
#[utoipa::path(
    get, path = "/api/connect/links/{link}", tag = "connecting",
    params(("link" = String, Path, description = "The id of the link")),
    responses(
        (status = 200, body = LinkStatusBody),
        (status = 404, body = ErrorBody, description = "There is no link with this id (`no_such_link`)"),
    ),
)]
pub(crate) async fn link_status(State(app): State<App>, Word(link): Word) -> Result<Response, ApiError> {
    let status = app.broker.link_status(&link).await?;
    let body = LinkStatusBody {
        status: status.status,
        connection: status.connection.map(ConnectionId::get),
        service: status.service.map(|service| service.to_string()),
    };
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
