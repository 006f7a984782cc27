//! What handlers take from a request, checked.

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokenry_broker::Claims;
use tokenry_model::{ConnectionId, ExposeSecret, SecretString};

use crate::address::origin_of;
use crate::error::ApiError;
use crate::router::App;

/// The bearer of a good access token.
pub(crate) struct Caller {
    /// Whom it was issued to.
    pub(crate) claims: Claims,
}

/// The access token of a request: `Authorization: <token>` as it is, or after `Bearer ` (RFC 6750 §2.1).
pub(crate) fn access_token(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let token = match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_start(),
        _ => value,
    };
    (!token.is_empty()).then(|| token.into())
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let token = access_token(&parts.headers);
        let text = token.as_ref().map(ExposeSecret::expose_secret);
        let claims = app.broker.authenticate(text, origin_of(parts, app)).await?;
        Ok(Self { claims })
    }
}

/// The username of the path, and the id after it. The id is checked once the caller is known.
pub(crate) struct OwnedId {
    pub(crate) owner: String,
    pub(crate) id: ConnectionId,
}

impl FromRequestParts<App> for OwnedId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        let Path((owner, id)) = path.map_err(|_| invalid_path())?;
        Ok(Self { owner, id: ConnectionId::parse(&id)? })
    }
}

/// The one word in a path: a username, a service.
pub(crate) struct Word(pub(crate) String);

impl FromRequestParts<App> for Word {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        path.map(|Path(word)| Self(word)).map_err(|_| invalid_path())
    }
}

/// The two words in a path: a username, and what comes after it.
pub(crate) struct TwoWords(pub(crate) String, pub(crate) String);

impl FromRequestParts<App> for TwoWords {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        path.map(|Path((first, second))| Self(first, second)).map_err(|_| invalid_path())
    }
}

fn invalid_path() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_path", "the path is not valid UTF-8")
}

/// A JSON body. What is wrong with one is said without repeating what is in it: it may be a secret.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            let message = "send the body as JSON, with Content-Type: application/json";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
        }
        let bytes =
            axum::body::Bytes::from_request(request, app).await.map_err(|rejection| match rejection {
                BytesRejection::FailedToBufferBody(failed)
                    if failed.status() == StatusCode::PAYLOAD_TOO_LARGE =>
                {
                    let message = format!("the body is larger than {} bytes", crate::router::MAX_BODY);
                    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
                }
                _ => ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", "the body did not arrive whole"),
            })?;
        parse(&bytes).map(Self)
    }
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let not_json = |message: String| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", format!("{message}; nothing was changed"))
    };
    let went_wrong = |error: &serde_json::Error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        not_json(format!("the body is not JSON: it goes wrong at {place}"))
    };
    let no_object =
        || ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", "the body must be a JSON object");
    // serde would fill the fields from a list as well, by their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(_) => no_object(),
            Err(error) => went_wrong(&error),
        });
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        if !inner.is_data() {
            return went_wrong(inner);
        }
        // serde names the field in these two, and only the field, which is a word of ours.
        let text = inner.to_string();
        let named = text.split('`').nth(1).unwrap_or_default();
        if text.starts_with("duplicate field") {
            not_json(format!("the body is ambiguous: it has the field `{named}` twice"))
        } else if text.starts_with("missing field") {
            ApiError::field(named, "is missing")
        } else if path == "." {
            no_object()
        } else {
            // Below the field there may be names that the caller made up.
            let field = path.split(['.', '[']).next().unwrap_or_default();
            ApiError::field(field, if field == path { must_be(&text) } else { "must hold texts alone" })
        }
    })?;
    json.end().map_err(|_| not_json("the body goes on after the JSON value".to_owned()))?;
    Ok(value)
}

/// What a field must be, by what serde says it expected. That comes last, and is about our types, not about the value.
fn must_be(text: &str) -> &'static str {
    let expected = text.rsplit(", expected ").next().unwrap_or_default();
    match expected {
        "a sequence" => "must be a list of texts",
        "a map" => "must be an object of texts",
        "u64" => "must be a whole number, not below 0",
        _ => "must be a text",
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Rename {
        #[allow(dead_code, reason = "only how it is parsed matters here")]
        name: String,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_without_repeating_it() {
        for (body, status, part) in [
            (r#"{"name":"x"#, 400, "not JSON"),
            ("", 400, "not JSON"),
            (r#"{"name":"x"} y"#, 400, "goes on"),
            (r#"{"name":"x","name":"y"}"#, 400, "`name` twice"),
            ("{\"name\":\"\u{0}\"}", 400, "not JSON"),
            ("{}", 422, "`name` is missing"),
            (r#"{"name":12345678}"#, 422, "`name` must be a text"),
            (r#"{"name":null}"#, 422, "`name` must be a text"),
            ("[]", 422, "must be a JSON object"),
            (r#" ["sentinel"]"#, 422, "must be a JSON object"),
            (r#"["sentinel""#, 400, "not JSON"),
            (r#""sentinel""#, 422, "must be a JSON object"),
        ] {
            let error = parse::<Rename>(body.as_bytes()).unwrap_err();
            assert_eq!(error.status().as_u16(), status, "{body}: {}", error.message());
            assert!(error.message().contains(part), "{body}: {}", error.message());
            assert!(!error.message().contains("12345678") && !error.message().contains("sentinel"));
        }
        assert!(parse::<Rename>(b"{\"name\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_token_is_taken_as_it_is_or_after_bearer() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            access_token(&headers).map(|token| token.expose_secret().to_owned())
        };
        assert_eq!(of("abc").as_deref(), Some("abc"));
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer   abc").as_deref(), Some("abc"));
        assert_eq!(of("Basic abc").as_deref(), Some("Basic abc"));
        assert_eq!(of(" "), None);
    }
}
