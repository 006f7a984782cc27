//! `/api/users/{username}/connections/{id}/token` and `…/authorization`: calling a service with a connection.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokenry_broker::Carrier;
use tokenry_model::{ExposeSecret as _, Scopes};
use utoipa::ToSchema;

use crate::connections::min_valid_for;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Body, Caller, OwnedId};
use crate::router::App;

/// A name and a value that carry a credential.
#[derive(Serialize, ToSchema)]
pub(crate) struct CarrierView {
    #[schema(example = "authorization")]
    name: String,
    #[schema(example = "Bearer 1afcd222222sdcfaxfdfa52aafkkkbvdj")]
    value: String,
}

impl From<Carrier> for CarrierView {
    fn from(carrier: Carrier) -> Self {
        Self { name: carrier.name, value: carrier.value.expose_secret().to_owned() }
    }
}

/// A token, and how a call carries it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenView {
    #[schema(example = "1afcd222222sdcfaxfdfa52aafkkkbvdj")]
    token: String,
    #[schema(example = "oauth2")]
    kind: &'static str,
    /// The header that a call of the service's API carries, where one carries the credential as it is.
    header: Option<CarrierView>,
    /// The parameter of the query, where the service's API reads no header.
    query: Option<CarrierView>,
    /// When it dies, if somebody said.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(value_type = Vec<String>)]
    scopes: Scopes,
    /// With OAuth 1.0a only: what signs. It is never sent to the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_secret: Option<String>,
}

/// The call that is to be made.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CallBody {
    #[schema(example = "GET")]
    method: String,
    #[schema(example = "https://api.example.org/me?fields=name")]
    url: String,
}

fn no_store(body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Get the token of a connection, valid now, and how a call of the service's API carries it.
///
/// It is refreshed first if it is due, or dies earlier than `min_valid_for` wants it to.
#[utoipa::path(
    get, path = "/api/users/{username}/connections/{id}/token", tag = "connections",
    params(
        ("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1),
        ("min_valid_for" = Option<u64>, Query, minimum = 0, maximum = 31_536_000, description = "How long it must live from now on, in seconds"),
    ),
    security(("access_token" = [])),
    responses(
        (status = 200, body = TokenView),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
        (status = 409, body = ErrorBody, description = "It must be connected again (`reconnect_required`), or another installation has it (`handed_over`); the message says why"),
        (status = 422, body = ErrorBody, description = "No token lives for so long; the message says how long they do"),
        (status = 502, body = ErrorBody, description = "The provider refused us, or answered nonsense"),
    ),
)]
pub(crate) async fn token(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let min_valid = min_valid_for(query.as_deref().unwrap_or_default())?;
    let had = app.broker.token_for_calls(&caller.claims, &owner, id, min_valid).await?;
    Ok(no_store(Json(TokenView {
        token: had.token.expose_secret().to_owned(),
        kind: had.kind.as_str(),
        header: had.header.map(CarrierView::from),
        query: had.query.map(CarrierView::from),
        expires_at: had.expires_at.map(|at| at.to_string()),
        scopes: had.scopes,
        token_secret: had.token_secret.map(|secret| secret.expose_secret().to_owned()),
    })))
}

/// Get the header for one call of the service's API.
///
/// With OAuth 1.0a (RFC 5849) it is signed: good for exactly this method and this URL with its query, once. The fields of a
/// form body would have to be signed too, and are not: send them in the query or as JSON.
#[utoipa::path(
    post, path = "/api/users/{username}/connections/{id}/authorization", tag = "connections", request_body = CallBody,
    params(("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1)),
    security(("access_token" = [])),
    responses(
        (status = 200, body = CarrierView),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
        (status = 409, body = ErrorBody, description = "It must be connected again (`reconnect_required`), or another installation has it (`handed_over`); or no header carries the credential (`no_header`)"),
        (status = 502, body = ErrorBody, description = "The provider refused us, or answered nonsense"),
    ),
)]
pub(crate) async fn authorization(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
    Body(body): Body<CallBody>,
) -> Result<Response, ApiError> {
    let carrier = app.broker.authorize_call(&caller.claims, &owner, id, &body.method, &body.url).await?;
    Ok(no_store(Json(CarrierView::from(carrier))))
}
