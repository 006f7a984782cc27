//! The link at which an account is connected. The way back is a page.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use serde_json::{Map, Value};

use crate::browser;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Caller, Word};
use crate::router::App;

/// Get a link at which you connect an account.
///
/// Open it in a browser. The answer carries a cookie that marks the browser which asked: if the same browser comes back
/// from the service, the connection is stored at once; any other has to sign in as you first. A link is good once,
/// for ten minutes.
#[utoipa::path(
    get, path = "/api/user/connection/access/token/{service}", tag = "connecting",
    params(("service" = String, Path, description = "A service of the catalogue, by its id or an alias", example = "spotify")),
    security(("access_token" = [])),
    responses(
        (status = 200, content_type = "application/json", body = std::collections::BTreeMap<String, String>,
         description = "The link, under `<service>_url` and under `url`",
         example = json!({
             "spotify_url": "https://accounts.spotify.com/authorize?response_type=code&client_id=…",
             "url": "https://accounts.spotify.com/authorize?response_type=code&client_id=…"
         })),
        (status = 401, body = ErrorBody, description = "No access token, or not a good one"),
        (status = 409, body = ErrorBody, description = "The service is not set up here (`provider_not_configured`), and the message says what to register and where; or it needs to know more first (`settings_required`), and the message says what and where; or it cannot be connected by a link (`provider_not_supported`), and a pasted token works"),
        (status = 502, body = ErrorBody, description = "The provider's metadata make no sense"),
    ),
)]
pub(crate) async fn link(
    State(app): State<App>,
    caller: Caller,
    jar: CookieJar,
    Word(service): Word,
) -> Result<Response, ApiError> {
    let known = browser::browser_of(&app, &jar);
    let link = app.broker.connect_link(&caller.claims, &service, known.as_ref()).await?;
    let mut answer = Map::new();
    answer.insert(format!("{}_url", link.service), Value::from(link.url.as_str()));
    answer.insert("url".to_owned(), Value::from(link.url.as_str()));
    Ok((browser::mark(&app, jar, &link.browser), Json(answer)).into_response())
}
