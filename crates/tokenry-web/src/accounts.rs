//! `/api/auth`: accounts.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use tokenry_model::{ExposeSecret as _, SecretString};
use utoipa::ToSchema;

use crate::address::CameFrom;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Body, Caller, access_token};
use crate::router::App;

/// A sentence that says it is done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Message {
    message: &'static str,
}

impl Message {
    pub(crate) const fn json(message: &'static str) -> Json<Self> {
        Json(Self { message })
    }
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct SignUp {
    /// 1 to 64 letters, digits, `.`, `_` and `-`; unique without regard to case.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$", example = "ada")]
    username: String,
    #[schema(max_length = 254, pattern = r"^\S+@\S+$", example = "ada@example.org")]
    email: String,
    /// At least 8 characters.
    #[schema(value_type = String, min_length = 8, max_length = 1024, format = Password, example = "correct horse battery")]
    password: SecretString,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct LogIn {
    #[schema(example = "ada")]
    username: String,
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    password: SecretString,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangePassword {
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    current_password: SecretString,
    /// At least 8 characters.
    #[schema(value_type = String, min_length = 8, max_length = 1024, format = Password, example = "staple and stapler")]
    new_password: SecretString,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AccessToken {
    #[schema(example = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ…")]
    access_token: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RefreshToken {
    /// A new access token; the name is historical.
    #[schema(example = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ…")]
    refresh_token: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Profile {
    user: ProfileUser,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProfileUser {
    #[schema(example = "ada@example.org")]
    email: String,
    #[schema(example = "ada")]
    username: String,
}

/// Sign up.
#[utoipa::path(
    post, path = "/api/auth/signup", tag = "accounts", request_body = SignUp,
    responses(
        (status = 200, body = Message, example = json!({"message": "user created successfully."})),
        (status = 403, body = ErrorBody, description = "Signing up is closed on this server"),
        (status = 409, body = ErrorBody, description = "The username is taken"),
    ),
)]
pub(crate) async fn sign_up(
    State(app): State<App>,
    CameFrom(from): CameFrom,
    Body(body): Body<SignUp>,
) -> Result<Json<Message>, ApiError> {
    app.broker.sign_up(&body.username, &body.email, &body.password, from).await?;
    Ok(Message::json("user created successfully."))
}

/// Log in.
///
/// A token of an earlier log-in may be sent along in `Authorization`, even an expired one: it keeps its bearer
/// out of the limits that a stranger guessing at the same username can use up.
#[utoipa::path(
    post, path = "/api/auth/login", tag = "accounts", request_body = LogIn,
    responses(
        (status = 200, body = AccessToken),
        (status = 401, body = ErrorBody, description = "The username or the password is wrong; it is not said which"),
        (status = 429, body = ErrorBody, description = "Too many failed log-ins; `Retry-After` says how long to wait"),
    ),
)]
pub(crate) async fn log_in(
    State(app): State<App>,
    CameFrom(from): CameFrom,
    headers: HeaderMap,
    Body(body): Body<LogIn>,
) -> Result<Json<AccessToken>, ApiError> {
    let device = access_token(&headers);
    let device = device.as_ref().map(tokenry_model::ExposeSecret::expose_secret);
    let token = app.broker.log_in(&body.username, &body.password, from, device).await?;
    Ok(Json(AccessToken { access_token: token.expose_secret().to_owned() }))
}

/// Get a new access token for a good one.
#[utoipa::path(
    post, path = "/api/auth/refresh", tag = "accounts", security(("access_token" = [])),
    responses(
        (status = 200, body = RefreshToken),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
    ),
)]
pub(crate) async fn refresh(State(app): State<App>, caller: Caller) -> Result<Json<RefreshToken>, ApiError> {
    let token = app.broker.renew_token(&caller.claims).await?;
    Ok(Json(RefreshToken { refresh_token: token.expose_secret().to_owned() }))
}

/// See who you are.
#[utoipa::path(
    get, path = "/api/auth/user", tag = "accounts", security(("access_token" = [])),
    responses(
        (status = 200, body = Profile),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
    ),
)]
pub(crate) async fn user(State(app): State<App>, caller: Caller) -> Result<Json<Profile>, ApiError> {
    let user = app.broker.whoami(&caller.claims).await?;
    let (email, username) = (user.email.as_str().to_owned(), user.username.to_string());
    Ok(Json(Profile { user: ProfileUser { email, username } }))
}

/// Log out: every access token issued to you so far ends at once.
#[utoipa::path(
    post, path = "/api/auth/logout", tag = "accounts", security(("access_token" = [])),
    responses(
        (status = 200, body = Message, example = json!({"message": "logged out"})),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
    ),
)]
pub(crate) async fn log_out(State(app): State<App>, caller: Caller) -> Result<Json<Message>, ApiError> {
    app.broker.log_out(&caller.claims).await?;
    Ok(Message::json("logged out"))
}

/// Change your password: every access token issued to you so far ends at once.
#[utoipa::path(
    put, path = "/api/auth/password", tag = "accounts", security(("access_token" = [])),
    request_body = ChangePassword,
    responses(
        (status = 200, body = Message, example = json!({"message": "password changed; log in again"})),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 422, body = ErrorBody, description = "The current password is wrong, or the new one is not allowed"),
        (status = 429, body = ErrorBody, description = "Too many wrong passwords"),
    ),
)]
pub(crate) async fn change_password(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<ChangePassword>,
) -> Result<Json<Message>, ApiError> {
    let (current, new) = (&body.current_password, &body.new_password);
    app.broker.change_password(&caller.claims, current, new).await?;
    Ok(Message::json("password changed; log in again"))
}
