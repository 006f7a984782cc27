//! What comes in to the handlers, and what does not: a head that is not too long, a body that has arrived, and no more at
//! a time than the server can work on.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::router::{App, MAX_BODY};
use crate::serve::{Line, Phase};

/// The longest address and headers together, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Who is answered however much is under way: otherwise nobody could tell a busy server from a dead one.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Lets a request in, with its body, and gives it its turn, which ends when it is dropped. A body is waited for before: a
/// client that is slow to send one keeps no turn from others.
pub(crate) async fn admit(
    app: &App,
    request: Request,
) -> Result<(Request, Option<SemaphorePermit<'_>>), ApiError> {
    let is_probe = PROBES.contains(&request.uri().path());
    let line = request.extensions().get::<std::sync::Arc<Line>>().cloned();
    let refuse = || {
        app.requests.refused.inc();
        Err(ApiError::overloaded())
    };
    let has_room = line.as_ref().is_none_or(|line| !line.is_spare) && app.turns.available_permits() > 0;
    if !is_probe && !has_room {
        return refuse();
    }
    check_head(&request)?;
    let (head, body) = request.into_parts();
    let body = if body.is_end_stream() {
        body
    } else {
        let enter = |phase| line.iter().for_each(|line| line.enter(phase));
        enter(Phase::Body);
        let body = arrive(body, Instant::now() + app.limits.body_within).await?;
        enter(Phase::Working);
        body
    };
    let request = Request::from_parts(head, body);
    if is_probe {
        return Ok((request, None));
    }
    match app.turns.try_acquire() {
        Ok(turn) => Ok((request, Some(turn))),
        Err(_) => refuse(),
    }
}

fn check_head(request: &Request) -> Result<(), ApiError> {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    if address + headers.sum::<usize>() <= MAX_HEAD {
        return Ok(());
    }
    let message = format!("the address and the headers are longer than {MAX_HEAD} bytes together");
    Err(ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", message))
}

/// The body once it has arrived. Of one that is too long so much that whoever reads it sees that it is.
async fn arrive(body: Body, until: Instant) -> Result<Body, ApiError> {
    let mut stream = body.into_data_stream();
    let mut first: Option<Bytes> = None;
    let mut whole: Vec<u8> = Vec::new();
    loop {
        let Ok(next) = tokio::time::timeout_at(until, stream.next()).await else {
            let message = "the body did not arrive in time";
            return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message));
        };
        let part = match next {
            None => break,
            Some(Ok(part)) => part,
            Some(Err(_)) => {
                let message = "the body did not arrive whole";
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", message));
            }
        };
        match (&first, whole.is_empty()) {
            // Most come in one piece.
            (None, true) => first = Some(part),
            (Some(_), _) => {
                whole.extend_from_slice(&first.take().unwrap_or_default());
                whole.extend_from_slice(&part);
            }
            (None, false) => whole.extend_from_slice(&part),
        }
        if first.as_ref().map_or(whole.len(), Bytes::len) > MAX_BODY {
            break;
        }
    }
    Ok(first.map_or_else(|| Body::from(whole), Body::from))
}
