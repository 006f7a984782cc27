//! What happens around every request: an id, a time limit, a log line, a count. The log names the route, never the address: an
//! address may hold a code.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tracing::Instrument as _;

use crate::admission;
use crate::error::ApiError;
use crate::router::App;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    method: &'static str,
    route: String,
    status: u16,
}

/// Counts and times of requests.
#[derive(Debug, Clone)]
pub(crate) struct RequestMetrics {
    count: Family<ByRoute, Counter>,
    seconds: Histogram,
    /// Those that were refused because too many were under way.
    pub(crate) refused: Counter,
}

impl RequestMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            count: Family::default(),
            seconds: Histogram::new([
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0,
            ]),
            refused: Counter::default(),
        };
        registry.register(
            "tokenry_requests_refused",
            "Requests refused because too many were under way",
            metrics.refused.clone(),
        );
        registry.register("tokenry_requests", "Requests by route and status", metrics.count.clone());
        registry.register_with_unit(
            "tokenry_request_duration",
            "How long requests took",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        metrics
    }
}

/// The words that a label may be: a client can send any method.
fn method_label(request: &Request) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// An id that a caller may choose, if it is short and plain; else one of ours.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|value| {
        (1..=64).contains(&value.len())
            && value.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    });
    given.cloned().unwrap_or_else(|| {
        use std::hash::{BuildHasher as _, RandomState};
        // Unique enough to find a line in a log; it guards nothing.
        let id = RandomState::new().hash_one(Instant::now());
        HeaderValue::try_from(format!("{id:016x}")).unwrap_or(HeaderValue::from_static("unknown"))
    })
}

/// Wraps every request.
pub(crate) async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_label(&request);
    let route =
        request.extensions().get::<MatchedPath>().map_or("none", |matched| matched.as_str()).to_owned();
    let id = request_id(&request);
    let span = tracing::error_span!("request", id = id.to_str().unwrap_or_default(), method, route);
    let mut response = async {
        let (request, _turn) = match admission::admit(&app, request).await {
            Ok(admitted) => admitted,
            Err(refused) => return refused.into_response(),
        };
        let Ok(response) = tokio::time::timeout(app.limits.answer_within, next.run(request)).await else {
            tracing::warn!("the request took too long");
            let message = "the request took too long and was given up";
            return ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message).into_response();
        };
        tracing::info!(
            status = response.status().as_u16(),
            ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        response
    }
    .instrument(span)
    .await;
    let status = response.status().as_u16();
    app.requests.count.get_or_create(&ByRoute { method, route, status }).inc();
    app.requests.seconds.observe(began.elapsed().as_secs_f64());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    // An answer that does not say it may be kept may hold a token.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
