//! `POST /api/users/{username}/connections`: credentials that people bring along.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokenry_broker::{Expiry, Given, NewImport};
use tokenry_model::{SecretString, Timestamp};
use utoipa::ToSchema;

use crate::details::Detail;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Body, Caller, Word};
use crate::router::App;

/// No access token is believed to live longer, in seconds: ten years.
const MAX_EXPIRES_IN_S: u64 = 315_360_000;
/// Which fields each kind has, the first of them required.
const KINDS: [(&str, &[&str], &[&str]); 6] = [
    ("plain", &["token"], &[]),
    ("api_key", &["api_key"], &[]),
    ("basic", &["username", "password"], &[]),
    ("oauth1", &["token", "token_secret"], &[]),
    ("oauth2", &["access_token"], &["refresh_token", "expires_at", "expires_in", "scopes"]),
    ("client_credentials", &[], &["client_id", "client_secret", "scopes"]),
];

/// A credential. Which fields it has goes by its kind.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"kind": "api_key", "service": "stripe", "api_key": "rk_…"}))]
pub(crate) struct ImportBody {
    /// `plain`: `token`. `api_key`: `api_key`. `basic`: `username`, `password`. `oauth1`: `token`, `token_secret`.
    /// `oauth2`: `access_token`, and perhaps `refresh_token`, `expires_at` or `expires_in`, `scopes`.
    /// `client_credentials`: `client_id`, `client_secret` (without both, the operator's), and perhaps `scopes`.
    kind: String,
    /// A service of the catalogue, by its id or an alias. It says which kinds it takes; `plain` always goes.
    service: String,
    /// What to call it; after the service and the account when it is missing.
    name: Option<String>,
    /// What differs from connection to connection at this service, such as a subdomain.
    settings: Option<BTreeMap<String, String>>,
    #[schema(value_type = Option<String>)]
    token: Option<SecretString>,
    #[schema(value_type = Option<String>)]
    token_secret: Option<SecretString>,
    #[schema(value_type = Option<String>)]
    api_key: Option<SecretString>,
    /// Some services have the key here.
    #[schema(value_type = Option<String>)]
    username: Option<SecretString>,
    /// May be empty, where the service has the key as the user.
    #[schema(value_type = Option<String>)]
    password: Option<SecretString>,
    #[schema(value_type = Option<String>)]
    access_token: Option<SecretString>,
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
    /// When the access token dies (RFC 3339).
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// In how many seconds it does.
    #[schema(maximum = 315_360_000)]
    expires_in: Option<u64>,
    /// What was granted; with `client_credentials`, what to ask for.
    scopes: Option<Vec<String>>,
    client_id: Option<String>,
    #[schema(value_type = Option<String>)]
    client_secret: Option<SecretString>,
}

impl ImportBody {
    /// The fields that go by the kind, and whether each is there.
    fn present(&self) -> [(&'static str, bool); 12] {
        [
            ("token", self.token.is_some()),
            ("token_secret", self.token_secret.is_some()),
            ("api_key", self.api_key.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("access_token", self.access_token.is_some()),
            ("refresh_token", self.refresh_token.is_some()),
            ("expires_at", self.expires_at.is_some()),
            ("expires_in", self.expires_in.is_some()),
            ("scopes", self.scopes.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret", self.client_secret.is_some()),
        ]
    }

    /// Refuses a kind that is not known, a field that it lacks, and one that does not go with it.
    fn check(&self) -> Result<&'static str, ApiError> {
        let Some((kind, needs, may)) = KINDS.into_iter().find(|(kind, ..)| *kind == self.kind) else {
            let words = KINDS.map(|(kind, ..)| kind).join(", ");
            return Err(ApiError::field("kind", &format!("must be one of {words}")));
        };
        for (name, is_there) in self.present() {
            if !is_there && needs.contains(&name) {
                return Err(ApiError::field(name, "is missing"));
            }
            if is_there && !needs.contains(&name) && !may.contains(&name) {
                return Err(ApiError::field(name, &format!("does not go with the kind {kind}")));
            }
        }
        Ok(kind)
    }

    fn expiry(&self) -> Result<Option<Expiry>, ApiError> {
        match (&self.expires_at, self.expires_in) {
            (Some(_), Some(_)) => {
                Err(ApiError::field("expires_in", "says it again: send it or `expires_at`, not both"))
            }
            (Some(at), None) => read_time(at).map(|at| Some(Expiry::At(at))).ok_or_else(|| {
                ApiError::field("expires_at", "must be a time, such as 2030-01-31T12:00:00Z (RFC 3339)")
            }),
            (None, Some(seconds)) if seconds > MAX_EXPIRES_IN_S => {
                Err(ApiError::field("expires_in", "must be at most 315360000 seconds (ten years)"))
            }
            (None, seconds) => Ok(seconds.map(|seconds| Expiry::In(Duration::from_secs(seconds)))),
        }
    }

    fn into_import(self) -> Result<NewImport, ApiError> {
        let kind = self.check()?;
        let expiry = self.expiry()?;
        let scopes = self.scopes.unwrap_or_default();
        let given = match kind {
            "api_key" => Given::ApiKey { api_key: self.api_key.unwrap_or_default() },
            "basic" => Given::Basic {
                username: self.username.unwrap_or_default(),
                password: self.password.unwrap_or_default(),
            },
            "oauth1" => Given::OAuth1 {
                token: self.token.unwrap_or_default(),
                token_secret: self.token_secret.unwrap_or_default(),
            },
            "oauth2" => Given::OAuth2 {
                access_token: self.access_token.unwrap_or_default(),
                refresh_token: self.refresh_token,
                expiry,
                scopes,
            },
            "client_credentials" => {
                let client = match (self.client_id, self.client_secret) {
                    (None, None) => None,
                    (Some(_), None) => return Err(ApiError::field("client_secret", "is missing")),
                    (None, Some(_)) => return Err(ApiError::field("client_id", "is missing")),
                    (Some(id), Some(secret)) => Some((id, secret)),
                };
                Given::ClientCredentials { client, scopes }
            }
            _ => Given::Plain { token: self.token.unwrap_or_default() },
        };
        let settings = self.settings.unwrap_or_default();
        Ok(NewImport { service: self.service, name: self.name, settings, given })
    }
}

fn read_time(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1000).ok().map(Timestamp::from_micros)
}

/// Add a connection by a credential that you have: a key, a user and password, a client of your own, a token set.
///
/// Tokens of OAuth 1.0a and 2.0 must have been had by this server's own application, or they cannot be refreshed here. If the
/// service says whose account they open, and you have a connection for it, that one is renewed (200).
///
/// With `client_credentials` the first token is had at once: a client that the service refuses is not stored.
#[utoipa::path(
    post, path = "/api/users/{username}/connections", tag = "connections", request_body = ImportBody,
    params(("username" = String, Path, description = "Your username")), security(("access_token" = [])),
    responses(
        (status = 201, body = Detail, description = "It is new",
         headers(("Location" = String, description = "The path of the connection"))),
        (status = 200, body = Detail, description = "You had a connection for this account, and it has the new credential now",
         headers(("Location" = String, description = "The path of the connection"))),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 403, body = ErrorBody, description = "The access token is another user's"),
        (status = 409, body = ErrorBody, description = "It takes this server's application at the service, which is not set up (`provider_not_configured`); or you have as many connections as you may (`too_many_connections`)"),
        (status = 422, body = ErrorBody, description = "A field is missing, not allowed, or does not go with the kind (`invalid_field`); or the service refuses the client (`credential_refused`)"),
        (status = 502, body = ErrorBody, description = "The provider refused us, or answered nonsense"),
    ),
)]
pub(crate) async fn import(
    State(app): State<App>,
    caller: Caller,
    Word(owner): Word,
    Body(body): Body<ImportBody>,
) -> Result<Response, ApiError> {
    let imported = app.broker.import_connection(&caller.claims, &owner, body.into_import()?).await?;
    let id = imported.detail.connection.id;
    let status = if imported.renewed { StatusCode::OK } else { StatusCode::CREATED };
    let location = format!("{}/api/users/{}/connections/{id}", app.base_path(), caller.claims.username());
    let mut response = (status, Json(Detail::from(imported.detail))).into_response();
    if let Ok(value) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}
