//! What the fuzz targets see of this crate: each answer of a provider as it comes off the wire.
#![allow(missing_docs, clippy::missing_errors_doc, reason = "nobody else sees it")]

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use tokenry_model::{Account, ProviderId, Timestamp};
use url::Url;

use crate::answer;
use crate::data::ProviderData;
use crate::engine::read_grant;
use crate::provider_file::Files;
use crate::wire::{Answer, retry_after as read_retry_after};
use crate::{
    DeviceAuthorization, FileProblem, IdClaims, Issuer, OAuth, OAuthError, OutboundPolicy, Provider,
    ProviderFile, ProviderSettings, TokenSet, discovery, id_token as token, identity, oauth1, sanitise,
};

fn answer(status: u16, body: &[u8]) -> Answer {
    // The others are errors before anybody looks at the body.
    let status = if status == 200 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Answer { status, body: Zeroizing::new(body.to_vec()) }
}

/// A provider as a file of its own describes it.
pub fn provider(text: &str) -> Result<Provider, Vec<FileProblem>> {
    let data = provider_data(text)?;
    Ok(Provider::new(data, ProviderSettings::default(), false))
}

/// Nothing but standard OAuth.
pub fn standard(id: &ProviderId) -> Provider {
    Provider::new(ProviderData::standard(id.clone()), ProviderSettings::default(), false)
}

fn provider_data(text: &str) -> Result<ProviderData, Vec<FileProblem>> {
    let mut problems = Vec::new();
    let files = [ProviderFile { name: "fuzzed.toml".to_owned(), text: text.to_owned() }];
    let policy = OutboundPolicy::default();
    let mut read = Files::parse(&files, &mut problems).finish(Some(&policy), &mut problems);
    match read.pop() {
        Some((_, data)) if problems.is_empty() => Ok(data),
        _ => Err(problems),
    }
}

pub fn token_answer(
    provider: &Provider,
    status: u16,
    body: &[u8],
    secrets: &[&str],
) -> Result<TokenSet, OAuthError> {
    read_grant(provider, &answer::read(&answer(status, body), &provider.data.errors, secrets)?)
}

pub fn oauth1_answer(
    provider: &Provider,
    status: u16,
    body: &[u8],
    secrets: &[&str],
) -> Result<(String, SecretString), OAuthError> {
    oauth1::token_and_secret(&answer::read(&answer(status, body), &provider.data.errors, secrets)?)
}

pub fn device_answer(
    oauth: &OAuth,
    provider: &Provider,
    status: u16,
    body: &[u8],
    secrets: &[&str],
) -> Result<DeviceAuthorization, OAuthError> {
    oauth.read_device(&answer::read(&answer(status, body), &provider.data.errors, secrets)?)
}

pub fn account_answer(
    provider: &Provider,
    status: u16,
    body: &[u8],
    secrets: &[&str],
) -> Result<Account, OAuthError> {
    identity::account(provider, &answer::read_api(&answer(status, body), &provider.data.errors, secrets)?)
}

/// The endpoints that a description names, completed by a second one.
pub fn description(
    oauth: &OAuth,
    issuer: &Issuer,
    first: &[u8],
    second: &[u8],
) -> Result<Vec<Url>, OAuthError> {
    let mut members = discovery::description(first)?;
    discovery::complete(&mut members, discovery::description(second));
    let known = discovery::accept(oauth.wire(), issuer, discovery::read(members)?)?;
    let all = [
        known.authorization_endpoint,
        known.token_endpoint,
        known.revocation_endpoint,
        known.userinfo_endpoint,
        known.device_authorization_endpoint,
        known.pushed_authorization_request_endpoint,
    ];
    Ok(all.into_iter().flatten().collect())
}

pub fn id_token(
    text: &str,
    issuer: &Issuer,
    client_id: &str,
    nonce: &str,
    now: Timestamp,
) -> Result<IdClaims, OAuthError> {
    let label = ["email".to_owned(), "name".to_owned()];
    token::check(text, &token::Expected { issuer, client_id, nonce: Some(nonce), now, label: &label })
}

pub fn retry_after(value: &[u8], now: Timestamp) -> Option<Duration> {
    let value = HeaderValue::from_bytes(value).ok()?;
    read_retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now)
}

pub fn sanitised(text: &str, secrets: &[&str]) -> String {
    sanitise::sanitise(text, secrets)
}
