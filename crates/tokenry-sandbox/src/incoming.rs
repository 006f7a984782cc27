//! A request as every endpoint gets it.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequest, FromRequestParts as _, Request},
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Response},
};

use crate::{app::App, connection::Tear, params::Params, tenants::Tenant};

/// A request, and what is needed to answer it. No `Debug`: there are secrets in it.
pub(crate) struct Incoming {
    pub(crate) app: App,
    pub(crate) tear: Tear,
    pub(crate) method: Method,
    /// Without the tenant in front.
    pub(crate) uri: Uri,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Params,
    pub(crate) body: Bytes,
}

impl FromRequest<App> for Incoming {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let ConnectInfo(tear) = ConnectInfo::<Tear>::from_request_parts(&mut parts, app)
            .await
            .map_err(IntoResponse::into_response)?;
        let tenant = parts.extensions.remove::<Tenant>().map(|Tenant(name)| name);
        let query = Params::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
        let body = Bytes::from_request(Request::from_parts(parts, body), app)
            .await
            .map_err(IntoResponse::into_response)?;
        Ok(Self { app: app.clone(), tear, method, uri, tenant, headers, query, body })
    }
}

impl Incoming {
    /// The body as a form, whatever it calls itself.
    pub(crate) fn form(&self) -> Params {
        Params::parse(&self.body)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
