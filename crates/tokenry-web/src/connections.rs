//! `/api/users/{username}/…`: a person's connections.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokenry_broker::{AddConnection, ConnectionView};
use tokenry_model::{ExposeSecret as _, SecretString};
use utoipa::ToSchema;

use crate::accounts::Message;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Body, Caller, OwnedId, Word};
use crate::router::App;

/// The largest page that can be asked for.
const MAX_LIMIT: i64 = 1000;
/// The longest life that can be asked for, in seconds: a year.
const MAX_MIN_VALID_S: u64 = 31_536_000;

#[derive(Deserialize, ToSchema)]
pub(crate) struct AddBody {
    /// What to call it; may be empty or missing.
    #[serde(default)]
    #[schema(max_length = 255, example = "spotify3")]
    name: String,
    /// A service of the catalogue, by its id or an alias.
    #[schema(min_length = 1, example = "spotify")]
    token_type: String,
    #[schema(value_type = String, min_length = 1, max_length = 65_536, example = "1afcd222222sdcfaxfdfa52aafkkkbvdj")]
    token: SecretString,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct NameBody {
    #[schema(max_length = 255, example = "git1")]
    name: String,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct TokenBody {
    #[schema(value_type = String, min_length = 1, max_length = 65_536, example = "asdpjbfipdsafhbcop;bfdhsbocp;x")]
    token: SecretString,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Token {
    #[schema(example = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImxlZ2F0by")]
    token: String,
}

/// One connection of the list. The names and their order are the contract's.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedConnection {
    #[serde(rename = "ID")]
    #[schema(example = 10)]
    id: i64,
    #[serde(rename = "CreatedAt")]
    #[schema(format = DateTime, example = "2021-04-11T20:23:44.487065Z")]
    created_at: String,
    #[serde(rename = "UpdatedAt")]
    #[schema(format = DateTime, example = "2021-04-11T20:23:44.490836Z")]
    updated_at: String,
    /// Always null: a deleted connection is not listed.
    #[serde(rename = "DeletedAt")]
    #[schema(format = DateTime)]
    deleted_at: Option<String>,
    /// The stored access token. It may have expired: get the connection to have it refreshed.
    #[serde(rename = "Token")]
    #[schema(example = "1afcd222222sdcfaxsdfsaz")]
    token: String,
    #[serde(rename = "Token_type")]
    #[schema(example = "spotify")]
    token_type: String,
    #[serde(rename = "UserID")]
    #[schema(example = 3)]
    user_id: i64,
    #[serde(rename = "Name")]
    #[schema(example = "spotify4")]
    name: String,
}

impl From<ConnectionView> for ListedConnection {
    fn from(view: ConnectionView) -> Self {
        let ConnectionView { user_id, connection, token } = view;
        Self {
            id: connection.id.get(),
            created_at: connection.created_at.to_string(),
            updated_at: connection.updated_at.to_string(),
            deleted_at: None,
            token: token.expose_secret().to_owned(),
            token_type: connection.token_type,
            user_id: user_id.get(),
            name: connection.name.as_str().to_owned(),
        }
    }
}

/// Add a connection by its token.
#[utoipa::path(
    post, path = "/api/users/{username}/add/connection", tag = "connections", request_body = AddBody,
    params(("username" = String, Path, description = "Your username")), security(("access_token" = [])),
    responses(
        (status = 200, body = Message, headers(("Location" = String, description = "The path of the new connection")),
         example = json!({"message": "connection added"})),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 409, body = ErrorBody, description = "You have as many connections as you may (`too_many_connections`)"),
    ),
)]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Word(owner): Word,
    Body(body): Body<AddBody>,
) -> Result<Response, ApiError> {
    let add = AddConnection { name: body.name, token_type: body.token_type, token: body.token };
    let id = app.broker.add_connection(&caller.claims, &owner, add).await?;
    let location = format!("{}/api/users/{}/get/connection/{id}", app.base_path(), caller.claims.username());
    let mut response = Message::json("connection added").into_response();
    if let Ok(value) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

/// Get the token of a connection, valid now.
///
/// An OAuth token that is due is refreshed first. With `min_valid_for`, so is one that dies earlier than that: you get a
/// token that lives at least so long, or an error. A token without a known end outlives every wish.
#[utoipa::path(
    get, path = "/api/users/{username}/get/connection/{id}", tag = "connections",
    params(
        ("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1),
        ("min_valid_for" = Option<u64>, Query, minimum = 0, maximum = 31_536_000, description = "How long it must live from now on, in seconds"),
    ),
    security(("access_token" = [])),
    responses(
        (status = 200, body = Token),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
        (status = 409, body = ErrorBody, description = "It must be connected again (`reconnect_required`), or another installation has it (`handed_over`); the message says why"),
        (status = 502, body = ErrorBody, description = "The provider refused us, or answered nonsense"),
    ),
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
    RawQuery(query): RawQuery,
) -> Result<Json<Token>, ApiError> {
    let min_valid = min_valid_for(query.as_deref().unwrap_or_default())?;
    let fresh = app.broker.hand_out(&caller.claims, &owner, id, min_valid).await?;
    Ok(Json(Token { token: fresh.token.expose_secret().to_owned() }))
}

/// Reads `min_valid_for`. Anything else in the query is not ours to judge.
pub(crate) fn min_valid_for(query: &str) -> Result<Duration, ApiError> {
    let mut found = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name == "min_valid_for" {
            let seconds = value.parse().ok().filter(|seconds| *seconds <= MAX_MIN_VALID_S);
            if seconds.is_none() || found.is_some() {
                return Err(ApiError::field(
                    &name,
                    "must be a whole number of seconds, at most 31536000 (a year)",
                ));
            }
            found = seconds;
        }
    }
    Ok(Duration::from_secs(found.unwrap_or(0)))
}

/// List your connections, oldest first.
#[utoipa::path(
    get, path = "/api/users/{username}/get/connections", tag = "connections",
    params(
        ("username" = String, Path, description = "Your username"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000, description = "At most so many; without it, all"),
        ("after" = Option<i64>, Query, minimum = 0, description = "Only those with a greater id"),
    ),
    security(("access_token" = [])),
    responses(
        (status = 200, body = Vec<ListedConnection>,
         headers(("Link" = String, description = "With `limit`, where the next page is (RFC 8288), if there is one"))),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Word(owner): Word,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (limit, after) = paging(query.as_deref().unwrap_or_default())?;
    // One more than asked for tells whether there is a next page.
    let ask = limit.map_or(i64::MAX, |limit| limit + 1);
    let mut views = app.broker.list_connections(&caller.claims, &owner, after, ask).await?;
    let mut headers = HeaderMap::new();
    if let Some(limit) = limit
        && usize::try_from(limit).is_ok_and(|limit| views.len() > limit)
    {
        views.pop();
        if let Some(last) = views.last() {
            let base = app.base_path();
            let (owner, after) = (caller.claims.username(), last.connection.id);
            let link = format!(
                "<{base}/api/users/{owner}/get/connections?limit={limit}&after={after}>; rel=\"next\""
            );
            headers.extend(HeaderValue::try_from(link).ok().map(|value| (header::LINK, value)));
        }
    }
    let list: Vec<ListedConnection> = views.into_iter().map(ListedConnection::from).collect();
    Ok((headers, Json(list)).into_response())
}

/// Reads `limit` and `after`. Anything else in the query is not ours to judge.
pub(crate) fn paging(query: &str) -> Result<(Option<i64>, i64), ApiError> {
    let (mut limit, mut after) = (None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let (slot, allowed, say) = match &*name {
            "limit" => (&mut limit, 1..=MAX_LIMIT, "must be a whole number from 1 to 1000"),
            "after" => (&mut after, 0..=i64::MAX, "must be the id of a connection"),
            _ => continue,
        };
        let parsed = value.parse::<i64>().ok().filter(|number| allowed.contains(number));
        if slot.is_some() || parsed.is_none() {
            return Err(ApiError::field(&name, say));
        }
        *slot = parsed;
    }
    Ok((limit, after.unwrap_or(0)))
}

/// Rename a connection.
#[utoipa::path(
    put, path = "/api/users/{username}/update/connection/name/{id}", tag = "connections", request_body = NameBody,
    params(("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1)),
    security(("access_token" = [])),
    responses(
        (status = 200, body = Message, example = json!({"message": "updated connection successfully"})),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
    ),
)]
pub(crate) async fn rename(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
    Body(body): Body<NameBody>,
) -> Result<Json<Message>, ApiError> {
    app.broker.rename_connection(&caller.claims, &owner, id, &body.name).await?;
    Ok(Message::json("updated connection successfully"))
}

/// Check that you have a connection with this id.
#[utoipa::path(
    get, path = "/api/users/{username}/check/connection/{id}", tag = "connections",
    params(("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1)),
    security(("access_token" = [])),
    responses(
        (status = 200, body = Message, example = json!({"message": "correct connection"})),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
    ),
)]
pub(crate) async fn check(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
) -> Result<Json<Message>, ApiError> {
    app.broker.check_connection(&caller.claims, &owner, id).await?;
    Ok(Message::json("correct connection"))
}

/// Replace the token of a connection.
///
/// The connection becomes a plain stored token: an OAuth grant behind it is revoked and dropped.
#[utoipa::path(
    put, path = "/api/users/{username}/update/connection/token/{id}", tag = "connections", request_body = TokenBody,
    params(("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1)),
    security(("access_token" = [])),
    responses(
        (status = 200, body = Message, example = json!({"message": "updated connection successfully"})),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
    ),
)]
pub(crate) async fn replace_token(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
    Body(body): Body<TokenBody>,
) -> Result<Json<Message>, ApiError> {
    app.broker.replace_token(&caller.claims, &owner, id, &body.token).await?;
    Ok(Message::json("updated connection successfully"))
}

/// Delete a connection.
///
/// The grant is revoked at the provider where it has a way. A provider that is away does not keep the connection: it
/// is told as soon as it hears.
#[utoipa::path(
    delete, path = "/api/users/{username}/connection/delete/{id}", tag = "connections",
    params(("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1)),
    security(("access_token" = [])),
    responses(
        (status = 200, body = Message, example = json!({"message": "deleted connection successfully"})),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
    ),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
) -> Result<Json<Message>, ApiError> {
    app.broker.delete_connection(&caller.claims, &owner, id).await?;
    Ok(Message::json("deleted connection successfully"))
}
