//! Endpoints of tenants: the tenant's name is taken off before the request is routed.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{app::App, quirks::Tenants};

/// Whose endpoint was asked.
#[derive(Clone)]
pub(crate) struct Tenant(pub(crate) Arc<str>);

/// What belongs to the sandbox itself and not to a tenant.
const OURS: [&str; 5] = ["/", "/control", "/seen", "/style.css", "/.well-known/"];

/// Takes the tenant's name off. Without one, the OAuth endpoints are not there.
pub(crate) async fn take_off(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Some(tenants) = app.quirks.tenants else { return next.run(request).await };
    let path = request.uri().path();
    if OURS
        .iter()
        .any(|ours| path == *ours || (ours.len() > 1 && ours.ends_with('/') && path.starts_with(ours)))
    {
        return next.run(request).await;
    }
    let found = match tenants {
        Tenants::Path => from_path(path),
        Tenants::Host => from_host(&request).map(|tenant| (tenant, path.to_owned())),
    };
    let Some((tenant, path)) = found else { return StatusCode::NOT_FOUND.into_response() };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(uri) = Uri::try_from(format!("{path}{query}")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    *request.uri_mut() = uri;
    request.extensions_mut().insert(Tenant(Arc::from(tenant)));
    next.run(request).await
}

/// `/acme/oauth/token` is `/token` of `acme`; so is `/acme/token`, for what is no OAuth endpoint.
fn from_path(path: &str) -> Option<(String, String)> {
    let (tenant, rest) = path.strip_prefix('/')?.split_once('/')?;
    let rest = rest.strip_prefix("oauth/").unwrap_or(rest);
    (!tenant.is_empty()).then(|| (tenant.to_owned(), format!("/{rest}")))
}

fn from_host(request: &Request) -> Option<String> {
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let tenant = name.strip_suffix(".localhost")?;
    (!tenant.is_empty()).then(|| tenant.to_owned())
}
