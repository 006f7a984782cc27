//! Asking an issuer where its endpoints are (RFC 8414, OpenID Connect Discovery 1.0).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokenry_model::Timestamp;
use url::Url;

use crate::sanitise::sanitise;
use crate::wire::{Call, Wire};
use crate::{Issuer, OAuthError};

/// For how long an issuer is taken at its word.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// What we read of an issuer's metadata (RFC 8414 §2). An endpoint that is no URL is as good as none.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    issuer: String,
    #[serde(default, deserialize_with = "url_or_none")]
    pub(crate) authorization_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "url_or_none")]
    pub(crate) token_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "url_or_none")]
    pub(crate) revocation_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "url_or_none")]
    pub(crate) userinfo_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "url_or_none")]
    pub(crate) device_authorization_endpoint: Option<Url>,
    #[serde(default, deserialize_with = "url_or_none")]
    pub(crate) pushed_authorization_request_endpoint: Option<Url>,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
    require_pushed_authorization_requests: Option<bool>,
}

impl Metadata {
    /// Whether every authorization response names its issuer (RFC 9207 §3).
    pub(crate) fn names_issuer_in_response(&self) -> bool {
        self.authorization_response_iss_parameter_supported == Some(true)
    }

    /// Whether only pushed requests are taken (RFC 9126 §5).
    pub(crate) fn wants_pushed_requests(&self) -> bool {
        self.require_pushed_authorization_requests == Some(true)
    }
}

fn url_or_none<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.and_then(|text| Url::parse(&text).ok()))
}

/// The metadata of the issuers that were asked lately.
#[derive(Debug, Default)]
pub(crate) struct Discovery(Mutex<HashMap<String, (Timestamp, Arc<Metadata>)>>);

impl Discovery {
    /// The issuer's metadata, at most ten minutes old. A failure is not remembered: the issuer is asked
    /// again next time.
    pub(crate) async fn find(&self, wire: &Wire, issuer: &Issuer) -> Result<Arc<Metadata>, OAuthError> {
        let now = wire.now();
        if let Some((since, metadata)) =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get(issuer.as_str())
            // One from later was kept while the clock was wrong.
            && *since <= now
            && now.since(*since) < KEPT_FOR
        {
            return Ok(Arc::clone(metadata));
        }
        let metadata = Arc::new(ask(wire, issuer).await?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(issuer.as_str().to_owned(), (now, Arc::clone(&metadata)));
        Ok(metadata)
    }
}

async fn ask(wire: &Wire, issuer: &Issuer) -> Result<Metadata, OAuthError> {
    let places = issuer.well_known().map_err(|e| OAuthError::nonsense(e.to_string()))?;
    let [openid, oauth] = &places;
    match fetch(wire, openid).await {
        Ok(mut members) => {
            // OpenID Connect Discovery knows no revocation: a server may name its endpoint in the other place alone.
            if !members.contains_key("revocation_endpoint") {
                complete(&mut members, fetch(wire, oauth).await);
            }
            return accept(wire, issuer, read(members)?);
        }
        // Nothing to be had there: a single-page app may even answer every path with itself.
        Err(OAuthError::Nonsense { .. }) => {}
        Err(other) => return Err(other),
    }
    match fetch(wire, oauth).await.and_then(read) {
        Ok(metadata) => accept(wire, issuer, metadata),
        Err(OAuthError::Nonsense { .. }) => {
            Err(OAuthError::nonsense(format!("no description of the issuer at {openid} or {oauth}")))
        }
        Err(other) => Err(other),
    }
}

/// Adds what a second description of the same issuer says beyond the first. Its failure takes nothing away.
fn complete(members: &mut Map<String, Value>, second: Result<Map<String, Value>, OAuthError>) {
    let Ok(second) = second else { return };
    if second.get("issuer") != members.get("issuer") {
        return;
    }
    for (name, value) in second {
        members.entry(name).or_insert(value);
    }
}

/// A description of an issuer, by its members.
async fn fetch(wire: &Wire, place: &Url) -> Result<Map<String, Value>, OAuthError> {
    let answer = wire
        .send(Call {
            method: Method::GET,
            url: place,
            authorization: None,
            headers: http::HeaderMap::new(),
            fields: None,
            secrets: &[],
        })
        .await?;
    if !answer.status.is_success() {
        return Err(OAuthError::nonsense(format!("status {}", answer.status.as_u16())));
    }
    let members: Map<String, Value> =
        serde_json::from_slice(&answer.body).map_err(|e| OAuthError::nonsense(e.to_string()))?;
    // Without it, it is something else.
    match members.get("issuer") {
        Some(Value::String(_)) => Ok(members),
        _ => Err(OAuthError::nonsense("no issuer is named")),
    }
}

fn read(members: Map<String, Value>) -> Result<Metadata, OAuthError> {
    serde_json::from_value(Value::Object(members)).map_err(|e| OAuthError::nonsense(e.to_string()))
}

fn accept(wire: &Wire, issuer: &Issuer, metadata: Metadata) -> Result<Metadata, OAuthError> {
    // As text, to the last slash (RFC 8414 §3.3).
    if metadata.issuer != issuer.as_str() {
        return Err(OAuthError::WrongIssuer {
            expected: issuer.to_string(),
            got: Some(sanitise(&metadata.issuer, &[])),
        });
    }
    for endpoint in [
        &metadata.authorization_endpoint,
        &metadata.token_endpoint,
        &metadata.revocation_endpoint,
        &metadata.userinfo_endpoint,
        &metadata.device_authorization_endpoint,
        &metadata.pushed_authorization_request_endpoint,
    ]
    .into_iter()
    .flatten()
    {
        wire.check(endpoint)?;
    }
    Ok(metadata)
}
