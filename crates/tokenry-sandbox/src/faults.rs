//! Faults on demand: what a provider does on a bad day.

use std::{
    io,
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::{app::App, connection::Tear};

/// Something that is to go wrong, at one endpoint, a number of times. Faults wait in the order they were injected; a
/// request meets the first one that fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where.
    pub endpoint: Endpoint,
    /// Only for this grant type (token endpoint only). `None`: for every request.
    #[serde(default)]
    pub grant: Option<Grant>,
    /// How many requests it hits.
    #[serde(default = "once")]
    pub times: u32,
    /// What goes wrong.
    pub kind: FaultKind,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// A fault that hits the next request to `endpoint`.
    pub fn once(endpoint: Endpoint, kind: FaultKind) -> Self {
        Self { endpoint, grant: None, times: 1, kind }
    }

    /// A fault that hits the next refresh.
    pub fn on_refresh(kind: FaultKind) -> Self {
        Self { grant: Some(Grant::RefreshToken), ..Self::once(Endpoint::Token, kind) }
    }

    /// The same fault, for that many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// An endpoint that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `GET` and `POST /authorize`.
    Authorize,
    /// The token endpoint, under all its URLs.
    Token,
    /// `/userinfo`.
    Userinfo,
    /// The revocation endpoint.
    Revoke,
    /// `POST /introspect`.
    Introspect,
    /// Both well-known documents.
    Metadata,
    /// `GET /api/me`.
    Api,
    /// The endpoints of OAuth 1.0a, the consent page aside.
    Oauth1,
}

impl Endpoint {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Token => "token",
            Self::Userinfo => "userinfo",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::Metadata => "metadata",
            Self::Api => "api",
            Self::Oauth1 => "oauth1",
        }
    }
}

/// A grant type of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// The exchange of a code.
    AuthorizationCode,
    /// A refresh, whatever it spends.
    RefreshToken,
    /// A poll of a device (RFC 8628 §3.4).
    DeviceCode,
    /// A token for the client itself (RFC 6749 §4.4).
    ClientCredentials,
}

/// What goes wrong. Unless it says otherwise, the request is answered without being looked at: no code or token is
/// spent, and the next try finds everything as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// A bare HTTP status, 200 to 599. Any other number is served as 500.
    Status {
        /// The status.
        code: u16,
        /// Seconds for a `Retry-After` header.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    /// An error answer as in RFC 6749 §5.2.
    #[serde(rename = "oauth_error")]
    OAuthError {
        /// Its `error` member.
        code: String,
        /// Its HTTP status, as in [`FaultKind::Status`].
        status: u16,
    },
    /// Waits, then does its work as ever.
    Delay {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// Tears the connection before anything is done.
    Drop,
    /// Does the work (a refresh spends its token), then tears the connection: the answer is lost.
    DropAfter,
    /// Status 200 and JSON that breaks off in the middle.
    Malformed,
    /// Status 200 with an `error` member, as some providers do.
    ErrorInOk {
        /// Its `error` member.
        code: String,
    },
    /// Status 200 and a body that goes on and on, of unannounced length.
    HugeBody {
        /// Its length.
        bytes: u64,
    },
    /// Does the work, then sends its answer byte by byte.
    SlowBody {
        /// How long the whole answer takes, in milliseconds.
        ms_total: u64,
    },
    /// Status 302 to somewhere else.
    RedirectTo {
        /// Where to.
        url: Url,
    },
}

impl FaultKind {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Status { .. } => "fault: status",
            Self::OAuthError { .. } => "fault: oauth_error",
            Self::Delay { .. } => "fault: delay",
            Self::Drop => "fault: drop",
            Self::DropAfter => "fault: drop_after",
            Self::Malformed => "fault: malformed",
            Self::ErrorInOk { .. } => "fault: error_in_ok",
            Self::HugeBody { .. } => "fault: huge_body",
            Self::SlowBody { .. } => "fault: slow_body",
            Self::RedirectTo { .. } => "fault: redirect_to",
        }
    }
}

/// The faults that still wait.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        if fault.times > 0 {
            self.0.push(fault);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many requests are still going to be hit.
    pub(crate) fn waiting(&self) -> u64 {
        self.0.iter().map(|fault| u64::from(fault.times)).sum()
    }

    fn take(&mut self, endpoint: Endpoint, grant: Option<Grant>) -> Option<FaultKind> {
        let fits =
            |fault: &Fault| fault.endpoint == endpoint && (fault.grant.is_none() || fault.grant == grant);
        let at = self.0.iter().position(fits)?;
        self.0[at].times -= 1;
        Some(if self.0[at].times == 0 { self.0.remove(at).kind } else { self.0[at].kind.clone() })
    }
}

/// Does an endpoint's work, or what the next fault for it says.
pub(crate) async fn around(
    app: &App,
    tear: &Tear,
    endpoint: Endpoint,
    grant: Option<Grant>,
    work: impl FnOnce() -> Response + Send,
) -> Response {
    let kind = {
        let mut state = app.state();
        let kind = state.faults.take(endpoint, grant);
        if let Some(kind) = &kind {
            state.tally.counts.faults_served += 1;
            state.tally.note(endpoint.name(), None, kind.outcome());
        }
        kind
    };
    let Some(kind) = kind else { return work() };
    match kind {
        FaultKind::Status { code, retry_after_s } => {
            let mut response = status(code).into_response();
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        FaultKind::OAuthError { code, status: number } => {
            (status(number), no_store(), Json(json!({ "error": code }))).into_response()
        }
        FaultKind::Delay { ms } => {
            if app.stops_within(Duration::from_millis(ms)).await {
                return torn(tear);
            }
            work()
        }
        FaultKind::Drop => torn(tear),
        FaultKind::DropAfter => {
            work();
            torn(tear)
        }
        FaultKind::Malformed => (as_json(), r#"{"access_token":"sbx_at_"#).into_response(),
        FaultKind::ErrorInOk { code } => (no_store(), Json(json!({ "error": code }))).into_response(),
        FaultKind::HugeBody { bytes } => (as_json(), huge(bytes)).into_response(),
        FaultKind::SlowBody { ms_total } => slow(app, work(), Duration::from_millis(ms_total)).await,
        FaultKind::RedirectTo { url } => {
            (StatusCode::FOUND, [(header::LOCATION, url.as_str())]).into_response()
        }
    }
}

fn status(code: u16) -> StatusCode {
    // A 1xx is no answer, and hyper refuses to send it as one.
    let code = if (200..600).contains(&code) { code } else { 500 };
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn no_store() -> [(HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}

fn as_json() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(header::CONTENT_TYPE, json)])
}

/// The answer that nobody will read.
fn torn(tear: &Tear) -> Response {
    tear.now();
    StatusCode::NO_CONTENT.into_response()
}

/// One JSON string, so that a reader that wants the whole of it must read all of it. Sent in chunks, so its length is
/// not known beforehand.
fn huge(bytes: u64) -> Body {
    const CHUNK: usize = 64 * 1024;
    let padding = Bytes::from(vec![b'x'; CHUNK]);
    let chunks = stream::unfold(0, move |sent: u64| {
        let chunk = (sent < bytes).then(|| {
            let left = usize::try_from(bytes - sent).unwrap_or(CHUNK).min(CHUNK);
            let next = sent + left as u64;
            (Ok::<_, io::Error>(quoted(padding.slice(..left), sent == 0, next == bytes)), next)
        });
        async move { chunk }
    });
    Body::from_stream(chunks)
}

/// Puts the quotation marks at the two ends of the string. A chunk is never empty.
fn quoted(chunk: Bytes, first: bool, last: bool) -> Bytes {
    if !first && !last {
        return chunk;
    }
    let mut chunk = chunk.to_vec();
    let end = chunk.len() - 1;
    if first {
        chunk[0] = b'"';
    }
    if last {
        chunk[end] = b'"';
    }
    chunk.into()
}

/// The same answer, its bytes spread evenly over `total`.
async fn slow(app: &App, response: Response, total: Duration) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    let (start, app) = (Instant::now(), app.clone());
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let bytes = stream::unfold(0_u32, move |sent| {
        let (app, body) = (app.clone(), body.clone());
        async move {
            let byte = body.get(sent as usize).copied()?;
            let due = total.saturating_mul(sent + 1) / length;
            if app.stops_within(due.saturating_sub(start.elapsed())).await {
                return Some((Err(io::Error::other("the sandbox stops")), length));
            }
            Some((Ok(Bytes::from(vec![byte])), sent + 1))
        }
    });
    Response::from_parts(parts, Body::from_stream(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_served_in_order_and_only_where_they_fit() {
        let mut faults = Faults::default();
        faults.add(Fault::on_refresh(FaultKind::Drop).times(2));
        faults.add(Fault::once(Endpoint::Token, FaultKind::Malformed));
        faults.add(Fault::once(Endpoint::Token, FaultKind::Drop).times(0));
        assert_eq!(faults.waiting(), 3);
        assert_eq!(faults.take(Endpoint::Userinfo, None), None);
        assert_eq!(faults.take(Endpoint::Token, Some(Grant::AuthorizationCode)), Some(FaultKind::Malformed));
        assert_eq!(faults.take(Endpoint::Token, Some(Grant::RefreshToken)), Some(FaultKind::Drop));
        assert_eq!(faults.take(Endpoint::Token, Some(Grant::RefreshToken)), Some(FaultKind::Drop));
        assert_eq!(faults.take(Endpoint::Token, Some(Grant::RefreshToken)), None);
    }

    #[test]
    fn the_spelling_of_every_kind_is_kept() {
        for text in [
            r#"{"status":{"code":503,"retry_after_s":1}}"#,
            r#"{"oauth_error":{"code":"invalid_grant","status":400}}"#,
            r#"{"delay":{"ms":5}}"#,
            r#""drop""#,
            r#""drop_after""#,
            r#""malformed""#,
            r#"{"error_in_ok":{"code":"bad_refresh_token"}}"#,
            r#"{"huge_body":{"bytes":9}}"#,
            r#"{"slow_body":{"ms_total":9}}"#,
            r#"{"redirect_to":{"url":"http://127.0.0.1/"}}"#,
        ] {
            let kind: FaultKind = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&kind).unwrap(), text);
        }
    }

    #[test]
    fn a_status_that_is_none_becomes_500() {
        assert_eq!([status(429), status(100), status(0)].map(|code| code.as_u16()), [429, 500, 500]);
    }
}
