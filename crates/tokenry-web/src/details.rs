//! `/api/users/{username}/connections…`: what there is to say about connections.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokenry_broker::{ConnectionDetail, ConnectionFilter};
use tokenry_model::{Scopes, Timestamp};
use utoipa::ToSchema;

use crate::accounts::Message;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Caller, OwnedId, Word};
use crate::router::App;

/// How long a page is when nobody says.
const PAGE: usize = 100;
/// The longest page.
const MAX_PAGE: usize = 1000;

/// Which account at the service it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountView {
    /// The service's own id for it.
    #[schema(example = "u-7")]
    id: String,
    /// A word by which its owner knows it.
    #[schema(example = "ada")]
    label: Option<String>,
}

/// What was asked for, and what came of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScopesView {
    #[schema(value_type = Vec<String>, example = json!(["profile", "email"]))]
    requested: Scopes,
    #[schema(value_type = Vec<String>, example = json!(["profile"]))]
    granted: Scopes,
    /// Asked for and not granted: a person may untick a box.
    #[schema(value_type = Vec<String>, example = json!(["email"]))]
    missing: Scopes,
}

/// A connection, but for its token.
#[derive(Serialize, ToSchema)]
pub(crate) struct Detail {
    #[schema(example = 10)]
    id: i64,
    /// The service, by its id.
    #[schema(example = "github")]
    service: String,
    #[schema(example = "GitHub")]
    service_name: String,
    /// The word that the service was asked for by.
    #[schema(example = "git")]
    token_type: String,
    /// `plain`, `api_key`, `basic`, `oauth1`, `oauth2` or `client_credentials`.
    #[schema(example = "oauth2")]
    kind: &'static str,
    #[schema(example = "git (ada)")]
    name: String,
    /// `ok`; `expiring` (only its owner can put its end off); `reconnect_required`; `quarantined` (the provider refuses it
    /// again and again, it is tried seldom); `revoked`; `handed_over` (another installation keeps it fresh, and here its last
    /// token is handed out until that ends).
    #[schema(example = "ok")]
    state: &'static str,
    /// Why, in words, with the provider's own error.
    reason: Option<String>,
    account: Option<AccountView>,
    scopes: ScopesView,
    /// What differs from connection to connection at this service.
    settings: BTreeMap<String, String>,
    #[schema(format = DateTime, example = "2021-04-11T20:23:44.487065Z")]
    created_at: String,
    #[schema(format = DateTime, example = "2021-04-11T20:23:44.490836Z")]
    updated_at: String,
    /// When a person last consented to it, or gave it.
    #[schema(format = DateTime, example = "2021-04-11T20:23:44.487065Z")]
    connected_at: Option<String>,
    /// When its token dies, if somebody said. It is refreshed before, where it can be.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    last_refreshed_at: Option<String>,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// When it must be connected again if nothing happens meanwhile.
    #[schema(format = DateTime)]
    reconnect_by: Option<String>,
    /// What is wrong with the service at the moment. No connection is to blame for it.
    provider_trouble: Option<String>,
}

impl From<ConnectionDetail> for Detail {
    fn from(detail: ConnectionDetail) -> Self {
        let connection = detail.connection;
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: connection.id.get(),
            service: connection.provider.to_string(),
            service_name: detail.service_name,
            token_type: connection.token_type,
            kind: connection.kind.as_str(),
            name: connection.name.as_str().to_owned(),
            state: detail.standing,
            reason: detail.reason,
            account: connection.account.map(|account| AccountView { id: account.id, label: account.label }),
            scopes: ScopesView {
                requested: connection.requested,
                granted: connection.scopes,
                missing: detail.missing,
            },
            settings: connection.values,
            created_at: connection.created_at.to_string(),
            updated_at: connection.updated_at.to_string(),
            connected_at: text(connection.connected_at),
            expires_at: text(connection.times.expires_at),
            last_refreshed_at: text(connection.last_refreshed_at),
            last_used_at: text(detail.last_used_at),
            reconnect_by: text(detail.reconnect_by),
            provider_trouble: detail.provider_trouble,
        }
    }
}

/// A page of connections.
#[derive(Serialize, ToSchema)]
pub(crate) struct DetailPage {
    connections: Vec<Detail>,
}

/// What there is to say about a connection: where it stands and why, its account, its scopes, its times.
#[utoipa::path(
    get, path = "/api/users/{username}/connections/{id}", tag = "connections",
    params(("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1)),
    security(("access_token" = [])),
    responses(
        (status = 200, body = Detail),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
    ),
)]
pub(crate) async fn detail(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
) -> Result<Json<Detail>, ApiError> {
    Ok(Json(app.broker.find_detail(&caller.claims, &owner, id).await?.into()))
}

/// List your connections with all there is to say about them, oldest first. Never a token.
#[utoipa::path(
    get, path = "/api/users/{username}/connections", tag = "connections",
    params(
        ("username" = String, Path, description = "Your username"),
        ("state" = Option<String>, Query, description = "Only those that stand so: `ok`, `expiring`, `reconnect_required`, `quarantined`, `revoked` or `handed_over`"),
        ("service" = Option<String>, Query, description = "Only those of this service, by its id or an alias"),
        ("kind" = Option<String>, Query, description = "Only those with such a credential: `plain`, `api_key`, `basic`, `oauth1`, `oauth2` or `client_credentials`"),
        ("account" = Option<String>, Query, description = "Only those of this account, by its id or its label"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000, description = "At most so many; 100 when nothing is said"),
        ("after" = Option<i64>, Query, minimum = 0, description = "Only those with a greater id"),
    ),
    security(("access_token" = [])),
    responses(
        (status = 200, body = DetailPage,
         headers(("Link" = String, description = "Where the next page is (RFC 8288), if there is one"))),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 422, body = ErrorBody, description = "A filter is not understood; the message names the words that are"),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Word(owner): Word,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let Asked { filter, limit, after } = Asked::read(query.as_deref().unwrap_or_default())?;
    // One more than asked for tells whether there is a next page.
    let mut found = app.broker.list_details(&caller.claims, &owner, &filter, after, limit + 1).await?;
    let mut headers = HeaderMap::new();
    if found.len() > limit {
        found.truncate(limit);
        if let Some(last) = found.last() {
            let query = next_page(&filter, limit, last.connection.id.get());
            let (base, owner) = (app.base_path(), caller.claims.username());
            let link = format!("<{base}/api/users/{owner}/connections?{query}>; rel=\"next\"");
            headers.extend(HeaderValue::try_from(link).ok().map(|value| (header::LINK, value)));
        }
    }
    let page = DetailPage { connections: found.into_iter().map(Detail::from).collect() };
    Ok((headers, Json(page)).into_response())
}

/// What a query asks for. Anything else in it is not ours to judge.
struct Asked {
    filter: ConnectionFilter,
    limit: usize,
    after: i64,
}

impl Asked {
    fn read(query: &str) -> Result<Self, ApiError> {
        let mut filter = ConnectionFilter::default();
        let (mut limit, mut after) = (None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut filter.state,
                "service" => &mut filter.service,
                "kind" => &mut filter.kind,
                "account" => &mut filter.account,
                "limit" => &mut limit,
                "after" => &mut after,
                _ => continue,
            };
            if value.is_empty() || value.len() > 1024 {
                return Err(ApiError::field(&name, "must have from 1 to 1024 characters, or not be there"));
            }
            if slot.replace(value.into_owned()).is_some() {
                return Err(ApiError::field(&name, "must not be there twice"));
            }
        }
        let limit = limit.map(|text| text.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)));
        let after = after.map(|text| text.parse().ok().filter(|n| *n >= 0));
        if limit == Some(None) {
            return Err(ApiError::field("limit", "must be a whole number from 1 to 1000"));
        }
        if after == Some(None) {
            return Err(ApiError::field("after", "must be the id of a connection"));
        }
        Ok(Self { filter, limit: limit.flatten().unwrap_or(PAGE), after: after.flatten().unwrap_or(0) })
    }
}

fn next_page(filter: &ConnectionFilter, limit: usize, after: i64) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [
        ("state", &filter.state),
        ("service", &filter.service),
        ("kind", &filter.kind),
        ("account", &filter.account),
    ] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.append_pair("limit", &limit.to_string()).append_pair("after", &after.to_string());
    query.finish()
}

/// Revoke a connection, and keep it.
///
/// The grant is revoked at the provider where it has a way, and the credential is gone from here at once. Connecting the
/// account again brings the connection back, with its id.
#[utoipa::path(
    post, path = "/api/users/{username}/connections/{id}/revoke", tag = "connections",
    params(("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1)),
    security(("access_token" = [])),
    responses(
        (status = 200, body = Message, example = json!({"message": "revoked connection successfully"})),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
    ),
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
) -> Result<Json<Message>, ApiError> {
    app.broker.revoke_connection(&caller.claims, &owner, id).await?;
    Ok(Message::json("revoked connection successfully"))
}
