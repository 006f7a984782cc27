//! `/api/users/{username}/…audit`: what happened with what is a person's.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokenry_broker::{AuditLine, AuditPage};
use tokenry_model::ConnectionId;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorBody};
use crate::extract::{Caller, OwnedId, Word};
use crate::router::App;

/// How long a page is when nobody says.
const PAGE: i64 = 100;
/// The longest page.
const MAX_PAGE: i64 = 1000;

/// Something that happened, once or several times in a row.
#[derive(Serialize, ToSchema)]
pub(crate) struct Event {
    /// Its place in the log of this server.
    #[schema(example = 4711)]
    id: i64,
    /// When it happened first.
    #[schema(format = DateTime, example = "2021-04-11T20:23:44.487065Z")]
    at: String,
    /// When it happened last.
    #[schema(format = DateTime, example = "2021-04-11T20:24:31.002114Z")]
    last_at: String,
    /// How often it happened between the two.
    #[schema(example = 12)]
    count: i64,
    /// Who did it: `user` (you), `other_user` (the bearer of somebody else's token), `operator`, `background` (the server
    /// itself) or `anonymous`.
    #[schema(example = "user")]
    actor: String,
    /// What was done, or tried: `token.read`, `token.list`, `connection.connect`, `connection.refresh`, `user.log_in`…
    #[schema(example = "token.read")]
    action: String,
    /// `ok`; `refused` (whoever asked may not, or must do something first); `failed`.
    #[schema(example = "ok")]
    outcome: String,
    /// Why, in a short word, unless it went well.
    #[schema(example = "reconnect_required")]
    reason: Option<String>,
    /// The connection. A list (`token.list`) hands out all of them, and names none.
    #[schema(example = 10)]
    connection: Option<i64>,
    /// The service, by its id.
    #[schema(example = "github")]
    service: Option<String>,
    /// The address it came from.
    #[schema(example = "192.0.2.7")]
    address: Option<String>,
    /// What the program called itself that did it first.
    #[schema(example = "curl/8.5.0")]
    agent: Option<String>,
}

impl From<AuditLine> for Event {
    fn from(line: AuditLine) -> Self {
        let entry = line.row.entry;
        Self {
            id: line.row.seq,
            at: entry.at.to_string(),
            last_at: entry.last_at.to_string(),
            count: entry.count,
            actor: entry.actor.into_owned(),
            action: entry.action.into_owned(),
            outcome: entry.outcome.into_owned(),
            reason: entry.reason.map(std::borrow::Cow::into_owned),
            connection: entry.connection,
            service: entry.provider,
            address: entry.address,
            agent: entry.agent,
        }
    }
}

/// A page of what happened.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventPage {
    events: Vec<Event>,
}

/// See who used a connection, and what else happened with it, the newest first.
///
/// Reads are counted: one row stands for all that the same caller read from the same address within a minute. Lists of all your
/// connections that were handed out since it was made are among them.
#[utoipa::path(
    get, path = "/api/users/{username}/connections/{id}/audit", tag = "connections",
    params(
        ("username" = String, Path, description = "Your username"), ("id" = i64, Path, minimum = 1),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000, description = "At most so many; 100 when nothing is said"),
        ("before" = Option<i64>, Query, minimum = 1, description = "Only those with a smaller id"),
    ),
    security(("access_token" = [])),
    responses(
        (status = 200, body = EventPage,
         headers(("Link" = String, description = "Where the next page is (RFC 8288), if there is one"))),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 404, body = ErrorBody, description = "You have no connection with this id"),
        (status = 422, body = ErrorBody, description = "A parameter is not understood; the message names it"),
    ),
)]
pub(crate) async fn of_connection(
    State(app): State<App>,
    caller: Caller,
    OwnedId { owner, id }: OwnedId,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Asked::read(query.as_deref().unwrap_or_default(), false)?;
    let ask = asked.limit + 1;
    let page = app.broker.list_connection_audit(&caller.claims, &owner, id, asked.before, ask).await?;
    let path = format!("connections/{id}/audit");
    Ok(answer(&app, &caller, &path, &asked, page))
}

/// See what happened with everything that is yours, the newest first: reads, connects, refreshes, log-ins, refusals.
#[utoipa::path(
    get, path = "/api/users/{username}/audit", tag = "connections",
    params(
        ("username" = String, Path, description = "Your username"),
        ("connection" = Option<i64>, Query, minimum = 1, description = "Only what is about this connection, be it deleted"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000, description = "At most so many; 100 when nothing is said"),
        ("before" = Option<i64>, Query, minimum = 1, description = "Only those with a smaller id"),
    ),
    security(("access_token" = [])),
    responses(
        (status = 200, body = EventPage,
         headers(("Link" = String, description = "Where the next page is (RFC 8288), if there is one"))),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 422, body = ErrorBody, description = "A parameter is not understood; the message names it"),
    ),
)]
pub(crate) async fn of_user(
    State(app): State<App>,
    caller: Caller,
    Word(owner): Word,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Asked::read(query.as_deref().unwrap_or_default(), true)?;
    let (connection, ask) = (asked.connection, asked.limit + 1);
    let page = app.broker.list_own_audit(&caller.claims, &owner, connection, asked.before, ask).await?;
    Ok(answer(&app, &caller, "audit", &asked, page))
}

/// What a query asks for. Anything else in it is not ours to judge.
struct Asked {
    connection: Option<i64>,
    limit: i64,
    before: i64,
}

impl Asked {
    fn read(query: &str, by_connection: bool) -> Result<Self, ApiError> {
        let (mut connection, mut limit, mut before) = (None, None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let (slot, allowed, say) = match &*name {
                "connection" if by_connection => {
                    (&mut connection, 1..=i64::MAX, "must be the id of a connection")
                }
                "limit" => (&mut limit, 1..=MAX_PAGE, "must be a whole number from 1 to 1000"),
                "before" => (&mut before, 1..=i64::MAX, "must be the id of an event"),
                _ => continue,
            };
            let number = ConnectionId::parse(&value).ok().map(ConnectionId::get);
            let number = number.filter(|number| allowed.contains(number));
            if slot.is_some() || number.is_none() {
                return Err(ApiError::field(&name, say));
            }
            *slot = number;
        }
        Ok(Self { connection, limit: limit.unwrap_or(PAGE), before: before.unwrap_or(i64::MAX) })
    }
}

/// One more than was asked for tells whether there is a next page.
fn answer(app: &App, caller: &Caller, path: &str, asked: &Asked, page: AuditPage) -> Response {
    let mut events: Vec<Event> = page.lines.into_iter().map(Event::from).collect();
    let mut headers = HeaderMap::new();
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    if events.len() > limit {
        events.truncate(limit);
        if let Some(last) = events.last() {
            let (base, owner) = (app.base_path(), caller.claims.username());
            let of = asked.connection.map(|id| format!("connection={id}&")).unwrap_or_default();
            let query = format!("{of}limit={limit}&before={}", last.id);
            let link = format!("<{base}/api/users/{owner}/{path}?{query}>; rel=\"next\"");
            headers.extend(HeaderValue::try_from(link).ok().map(|value| (header::LINK, value)));
        }
    }
    (headers, Json(EventPage { events })).into_response()
}
