//! One HTTP call: made within the policy, its answer read within the limits.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Client;
use secrecy::zeroize::Zeroizing;
use time::PrimitiveDateTime;
use time::macros::format_description;
use tokenry_model::{Clock, Timestamp};
use url::Url;

use crate::data::Encoding;
use crate::policy::{Admit, ForbiddenName, GuardedResolver, Names, SystemNames};
use crate::sanitise::sanitise;
use crate::{OAuthError, OutboundPolicy};

/// Nobody is made to wait longer than this by a `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The HTTP clients: one for each rule about addresses.
#[derive(Debug)]
pub(crate) struct Wire {
    https: Client,
    http: Client,
    policy: OutboundPolicy,
    clock: Arc<dyn Clock>,
}

/// A call to be made.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    /// The header that says who asks.
    pub(crate) authorization: Option<(HeaderName, HeaderValue)>,
    pub(crate) headers: HeaderMap,
    pub(crate) fields: Option<(Encoding, Vec<(String, String)>)>,
    /// What the call carries that must not show in an error.
    pub(crate) secrets: &'a [&'a str],
}

/// An answer with a status of 2xx or 4xx; the others are errors already.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Wire {
    pub(crate) fn new(policy: OutboundPolicy, clock: Arc<dyn Clock>) -> Result<Self, OAuthError> {
        Self::with_names(policy, clock, &(Arc::new(SystemNames) as Arc<dyn Names>))
    }

    pub(crate) fn with_names(
        policy: OutboundPolicy,
        clock: Arc<dyn Clock>,
        names: &Arc<dyn Names>,
    ) -> Result<Self, OAuthError> {
        Ok(Self {
            https: client(&policy, Admit::over_tls(policy.allow_private), Arc::clone(names))?,
            http: client(&policy, Admit::PrivateOnly, Arc::clone(names))?,
            policy,
            clock,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the policy lets us go there, as far as the URL says.
    pub(crate) fn check(&self, url: &Url) -> Result<(), OAuthError> {
        self.policy.check(url)
    }

    /// The status of a bare GET, whatever it is. The body is not read.
    pub(crate) async fn look(&self, url: &Url) -> Result<u16, OAuthError> {
        self.check(url)?;
        let host = url.host_str().unwrap_or_default();
        let client = if url.scheme() == "https" { &self.https } else { &self.http };
        let response = client.get(url.clone()).send().await.map_err(|e| self.failure(host, &e, &[]))?;
        Ok(response.status().as_u16())
    }

    /// Makes the call. Redirects, 429, 408, 425 and 5xx come back as errors.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer, OAuthError> {
        self.check(call.url)?;
        let host = call.url.host_str().unwrap_or_default();
        let client = if call.url.scheme() == "https" { &self.https } else { &self.http };
        let mut request = client.request(call.method, call.url.clone()).header(ACCEPT, "application/json");
        // Ours give way to those that the data name: `Accept`, `User-Agent`.
        request = request.headers(call.headers);
        if let Some((name, value)) = call.authorization {
            request = request.header(name, value);
        }
        if let Some((encoding, fields)) = call.fields {
            let (content_type, body) = encode(encoding, fields);
            request = request.header(CONTENT_TYPE, content_type).body(body);
        }
        let mut response = request.send().await.map_err(|e| self.failure(host, &e, call.secrets))?;
        let status = response.status();
        tracing::debug!(host, status = status.as_u16(), "a provider answered");
        self.triage(host, status, response.headers())?;

        let too_long = || {
            OAuthError::nonsense(format!(
                "the answer of {host} is longer than {} bytes",
                self.policy.max_answer_bytes
            ))
        };
        let limit = self.policy.max_answer_bytes;
        if response.content_length().is_some_and(|length| length > u64::try_from(limit).unwrap_or(u64::MAX)) {
            return Err(too_long());
        }
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|e| self.failure(host, &e, call.secrets))? {
            if body.len() + chunk.len() > limit {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }

    fn triage(&self, host: &str, status: StatusCode, headers: &HeaderMap) -> Result<(), OAuthError> {
        if status.is_success() {
            return Ok(());
        }
        let retry_after = || retry_after(headers, self.now());
        match status.as_u16() {
            429 => Err(OAuthError::RateLimited { retry_after: retry_after() }),
            408 | 425 | 500..=599 => Err(OAuthError::Unavailable {
                retry_after: retry_after(),
                what: format!("{host} answered with status {}", status.as_u16()),
            }),
            400..=499 => Ok(()),
            // A redirect would carry the code or the token to another place (RFC 9700 §4.12).
            300..=399 => Err(OAuthError::nonsense(format!(
                "{host} answered with a redirect (status {}), which is never followed",
                status.as_u16()
            ))),
            other => Err(OAuthError::nonsense(format!("{host} answered with status {other}"))),
        }
    }

    fn failure(&self, host: &str, error: &reqwest::Error, secrets: &[&str]) -> OAuthError {
        let mut innermost: &dyn std::error::Error = error;
        if error.source().is_none() {
            return OAuthError::away(format!("the call to {host} failed"));
        }
        while let Some(source) = innermost.source() {
            if let Some(forbidden) = source.downcast_ref::<ForbiddenName>() {
                return OAuthError::Forbidden { what: forbidden.what.clone() };
            }
            innermost = source;
        }
        let cause = sanitise(&innermost.to_string(), secrets);
        OAuthError::away(if error.is_timeout() {
            let limit = if error.is_connect() { self.policy.connect_timeout } else { self.policy.timeout };
            format!("{host} did not answer within {limit:?}")
        } else if error.is_connect() {
            format!("cannot connect to {host}: {cause}")
        } else {
            format!("the connection to {host} broke off: {cause}")
        })
    }
}

fn client(policy: &OutboundPolicy, admit: Admit, names: Arc<dyn Names>) -> Result<Client, OAuthError> {
    Client::builder()
        .user_agent(concat!("tokenry/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(GuardedResolver { admit, names })
        .https_only(!matches!(admit, Admit::PrivateOnly))
        // A proxy would resolve names in our place.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        // A code or a refresh token is spent by the first request: whoever called decides about a second one.
        .retry(reqwest::retry::never())
        .referer(false)
        .timeout(policy.timeout)
        .connect_timeout(policy.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(20))
        .build()
        .map_err(|e| {
            let cause = e.source().map_or_else(|| e.to_string(), ToString::to_string);
            OAuthError::Setup { what: sanitise(&cause, &[]) }
        })
}

fn encode(encoding: Encoding, fields: Vec<(String, String)>) -> (&'static str, String) {
    match encoding {
        Encoding::Form => (
            "application/x-www-form-urlencoded",
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish(),
        ),
        Encoding::Json => {
            let members = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
            ("application/json", serde_json::Value::Object(members).to_string())
        }
    }
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let format = format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let at = PrimitiveDateTime::parse(text, &format).ok()?.assume_utc().unix_timestamp();
        Timestamp::from_micros(at.saturating_mul(1_000_000)).since(now)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        // 1994-11-06T08:49:37Z
        let now = Timestamp::from_micros(784_111_777_000_000);
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            retry_after(&headers, now).map(|d| d.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("Sun, 06 Nov 1994 08:51:37 GMT"), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(read("99999999999999999999999"), Some(86400));
        for text in ["", "soon", "-1", "1.5"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn fields_are_written_as_form_or_json() {
        let fields = || vec![("a".to_owned(), "1 &=".to_owned()), ("b".to_owned(), "\"ü".to_owned())];
        assert_eq!(encode(Encoding::Form, fields()).1, "a=1+%26%3D&b=%22%C3%BC");
        assert_eq!(encode(Encoding::Json, fields()).1, r#"{"a":"1 &=","b":"\"ü"}"#);
    }
}
