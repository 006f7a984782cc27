//! The OpenAPI 3.1 document. It is made from the handlers, so it cannot name a route that is not there.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::error::ErrorBody;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tokenry",
        description = "Connections to other services: connect an account once, get a valid token ever after. Every \
                       answer has an X-Request-Id; every error is JSON with a message for a person and a code for a program.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "accounts", description = "Signing up and logging in"),
        (name = "connecting", description = "Connecting an account by its owner's consent"),
        (name = "connections", description = "The connections and their tokens"),
    ),
    components(schemas(ErrorBody)),
    modifiers(&Common),
)]
pub(crate) struct Description;

/// What holds for every endpoint.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        let description = "The access token, as it is or after `Bearer `";
        let key = ApiKey::Header(ApiKeyValue::with_description("Authorization", description));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("access_token", SecurityScheme::ApiKey(key));
    }
}

/// Adds the errors that any endpoint of its kind can answer.
pub(crate) fn add_common_errors(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        let by_method = [
            (&mut item.get, false),
            (&mut item.delete, false),
            (&mut item.post, true),
            (&mut item.put, true),
        ];
        for (operation, writes) in by_method {
            let Some(operation) = operation else { continue };
            let mut errors = vec![
                ("408", "The request took too long to arrive"),
                ("431", "The address and the headers are too long"),
                (
                    "503",
                    "The database or the provider is away, or too much is under way; `Retry-After` says when to try again",
                ),
            ];
            if path.contains("{id}") || (writes && operation.request_body.is_some()) {
                errors.push(("400", "The id is not a positive whole number, or the body is not JSON"));
            }
            if writes && operation.request_body.is_some() {
                errors.push(("413", "The body is too large"));
                errors.push(("415", "The body is not declared as JSON"));
            }
            if path.contains("{service}")
                || path.ends_with("/get/connections")
                || operation.request_body.is_some()
            {
                errors.push(("422", "A field is missing or not allowed; the message names it"));
            }
            for (status, text) in errors {
                let body = Content::new(Some(utoipa::openapi::Ref::from_schema_name("ErrorBody")));
                let response = ResponseBuilder::new().description(text).content("application/json", body);
                operation
                    .responses
                    .responses
                    .entry(status.to_owned())
                    .or_insert_with(|| RefOr::T(response.build()));
            }
        }
    }
}

/// The document as JSON, for the snapshot that a changed API must change.
pub fn openapi_json() -> String {
    crate::router::document().to_pretty_json().unwrap_or_default()
}
