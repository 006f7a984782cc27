//! The metadata documents (RFC 8414). One text serves both well-known paths. It claims no OpenID Connect: there are
//! no ID tokens and no keys.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    app::App,
    faults::{Endpoint, around},
    incoming::Incoming,
    quirks::Auth,
    token::DEVICE_GRANT,
};

pub(crate) async fn metadata(incoming: Incoming) -> Response {
    around(&incoming.app, &incoming.tear, Endpoint::Metadata, None, || answer(&incoming.app)).await
}

fn answer(app: &App) -> Response {
    let issuer = &app.issuer;
    let auth_methods: &[&str] = match app.quirks.token.auth {
        Auth::Any => &["client_secret_basic", "client_secret_post"],
        // There is no registered word for the secret as the user.
        Auth::Basic | Auth::SecretAsBasicUser => &["client_secret_basic"],
        Auth::Body | Auth::SignedSecret => &["client_secret_post"],
        Auth::PrivateKeyJwt => &["private_key_jwt"],
        Auth::None => &["none"],
    };
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "device_authorization_endpoint": format!("{issuer}/device_authorization"),
        "pushed_authorization_request_endpoint": format!("{issuer}/par"),
        "require_pushed_authorization_requests": app.quirks.authorize.par_required,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported":
            ["authorization_code", "refresh_token", "client_credentials", DEVICE_GRANT],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": auth_methods,
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": !app.quirks.callback.without_iss,
    });
    if app.quirks.token.auth == Auth::PrivateKeyJwt {
        document["token_endpoint_auth_signing_alg_values_supported"] =
            json!(["ES256", "RS256", "PS256", "EdDSA"]);
    }
    Json(document).into_response()
}
