//! The routes, and what every handler works with.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequestParts as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use ipnet::IpNet;
use prometheus_client::registry::Registry;
use tokenry_broker::Broker;
use tokenry_model::SecretString;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use url::{Host, Url};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::openapi::{Description, add_common_errors};
use crate::pages::{LiveTexts, Visit};
use crate::requests::{self, RequestMetrics};
use crate::serve::{Limits, Lines};
use crate::{
    accounts, audit, begin, calls, connect, connect_js, connections, cors, details, health, imports, links,
    pages,
};

/// The largest body, in bytes: a token of 64 KiB, every byte of it escaped, and some room.
pub(crate) const MAX_BODY: usize = 512 * 1024;

/// What the door is made of.
pub struct WebParts {
    /// The verbs.
    pub broker: Broker,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What opens `/metrics` to callers from elsewhere.
    pub metrics_token: Option<SecretString>,
    /// The connections that it is served on.
    pub lines: Arc<Lines>,
    /// What the pages say.
    pub texts: LiveTexts,
}

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) broker: Broker,
    pub(crate) public_url: Url,
    base_path: String,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) metrics_token: Option<SecretString>,
    pub(crate) registry: Registry,
    pub(crate) requests: RequestMetrics,
    pub(crate) openapi: String,
    pub(crate) limits: Limits,
    pub(crate) texts: LiveTexts,
    /// One for each request that may be worked on.
    pub(crate) turns: Semaphore,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Whether people reach us over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// Whether people reach us on this machine only.
    pub(crate) fn is_local(&self) -> bool {
        match self.public_url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The path under which people reach us, without a slash at the end: empty, unless a proxy serves us below one.
    pub(crate) fn base_path(&self) -> &str {
        &self.base_path
    }
}

fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(accounts::sign_up))
        .routes(routes!(accounts::log_in))
        .routes(routes!(accounts::refresh))
        .routes(routes!(accounts::user))
        .routes(routes!(accounts::log_out))
        .routes(routes!(accounts::change_password))
        .routes(routes!(connect::link))
        .routes(routes!(connections::add))
        .routes(routes!(connections::get))
        .routes(routes!(connections::list))
        .routes(routes!(connections::rename))
        .routes(routes!(connections::check))
        .routes(routes!(connections::replace_token))
        .routes(routes!(connections::delete))
        .routes(routes!(begin::authorize))
        .routes(routes!(begin::authorize_again))
        .routes(routes!(begin::begin_device))
        .routes(routes!(begin::poll_device))
        .routes(routes!(links::make_link))
        .routes(routes!(links::link_status))
        .routes(routes!(imports::import, details::list))
        .routes(routes!(details::detail))
        .routes(routes!(details::revoke))
        .routes(routes!(calls::token))
        .routes(routes!(calls::authorization))
        .routes(routes!(audit::of_connection))
        .routes(routes!(audit::of_user))
}

/// The OpenAPI document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = api().split_for_parts();
    add_common_errors(&mut document);
    document
}

/// The whole door. Serve it with [`serve`](crate::serve()): limits and the log go by address.
pub fn router(parts: WebParts) -> Router {
    let WebParts { broker, trusted_proxies, metrics_token, lines, texts } = parts;
    let mut registry = Registry::default();
    broker.metrics().register(&mut registry);
    let requests = RequestMetrics::register(&mut registry);
    lines.register(&mut registry);
    let limits = *lines.limits();
    let public_url = broker.settings().public_url.clone();
    let base_path = public_url.path().trim_end_matches('/').to_owned();
    let openapi = document().to_json().unwrap_or_default();
    let app = App(Arc::new(Parts {
        broker,
        public_url,
        base_path,
        trusted_proxies,
        metrics_token,
        registry,
        requests,
        openapi,
        limits,
        texts,
        turns: Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS)),
    }));
    let (api, _) = api().split_for_parts();
    let mut api = api.route("/connect.js", get(connect_js::script));
    if let Some(cors) = cors::layer(&app.broker.settings().embedding.origins) {
        // Else the refusal of a method, set further out, would come before the answer to a preflight.
        api = api.method_not_allowed_fallback(method_not_allowed).layer(cors);
    }
    api.merge(pages::router(&app))
        .route("/openapi.json", get(openapi_document))
        .merge(pages::assets())
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), requests::around))
        .with_state(app)
}

async fn openapi_document(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone())
}

async fn not_found(State(app): State<App>, request: Request) -> Response {
    if pages::wants_page(request.headers(), request.uri().path()) {
        let (mut parts, _) = request.into_parts();
        return match Visit::from_request_parts(&mut parts, &app).await {
            Ok(visit) => pages::not_found(&visit),
            Err(error) => error.into_response(),
        };
    }
    let message = "there is nothing at this address; /docs lists what there is";
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message).into_response()
}

pub(crate) async fn method_not_allowed() -> ApiError {
    let message = "this address does not take this method; the Allow header says which it takes";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

#[allow(clippy::needless_pass_by_value, reason = "the layer calls it with a box")]
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    // The panic hook has logged what happened.
    ApiError::internal().into_response()
}
