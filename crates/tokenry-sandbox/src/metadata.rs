//! The metadata documents (RFC 8414). One text serves both well-known paths. It claims no OpenID Connect: there are
//! no ID tokens and no keys.

use axum::{
    Json,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    app::App,
    connection::Tear,
    faults::{Endpoint, around},
};

pub(crate) async fn metadata(State(app): State<App>, ConnectInfo(tear): ConnectInfo<Tear>) -> Response {
    around(&app, &tear, Endpoint::Metadata, None, || answer(&app.issuer)).await
}

fn answer(issuer: &str) -> Response {
    let auth_methods = ["client_secret_basic", "client_secret_post"];
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": auth_methods,
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "introspection_endpoint_auth_methods_supported": auth_methods,
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response()
}
