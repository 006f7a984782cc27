//! Saying yes on another device (RFC 8628).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokenry_model::Scopes;
use url::Url;

use crate::answer::{Members, number, text};
use crate::ask::{Ask, owned};
use crate::data::{DeviceAuth, Method};
use crate::engine::{OAuth, read_grant};
use crate::{ClientAuth, Kind, OAuthError, Provider, TokenSet};

/// The grant type of a device's code (RFC 8628 §3.4).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long a device's code is good for when the answer is silent.
const DEFAULT_LIFE: Duration = Duration::from_mins(10);
/// How often it may be asked when the answer is silent (RFC 8628 §3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// Nobody is made to wait longer between two questions.
const MAX_INTERVAL: Duration = Duration::from_mins(5);
/// What a person has to type is not longer.
const MAX_USER_CODE: usize = 64;

/// What the person is told, and what is kept for asking (RFC 8628 §3.2).
#[derive(Debug, Clone)]
pub struct DeviceAuthorization {
    /// What is asked with.
    pub device_code: SecretString,
    /// What the person types.
    pub user_code: String,
    /// Where they type it.
    pub verification_uri: Url,
    /// The same place with the code in it already.
    pub verification_uri_complete: Option<Url>,
    /// How long both codes are good for, from now.
    pub expires_in: Duration,
    /// How long to wait before each question.
    pub interval: Duration,
}

/// What became of the request so far (RFC 8628 §3.5).
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "it is looked at once and taken apart")]
pub enum DevicePoll {
    /// The person has not decided yet.
    Pending,
    /// Neither, and it was asked too often: five seconds more between two questions from now on.
    SlowDown,
    /// The person said no.
    Declined,
    /// The codes are no longer good.
    Expired,
    /// The person said yes.
    Done(TokenSet),
}

impl OAuth {
    /// Asks for a pair of codes (RFC 8628 §3.1).
    ///
    /// # Errors
    /// [`OAuthError::NotSupported`] where the provider has no such way; [`OAuthError::Forbidden`] when the person would be
    /// sent where the policy does not go; whatever a call can end in.
    pub async fn device_begin(
        &self,
        provider: &Provider,
        scopes: &Scopes,
    ) -> Result<DeviceAuthorization, OAuthError> {
        let data = &provider.data;
        let none = || provider.not_supported_because("it has no way to say yes on another device");
        if data.kind != Kind::Oauth2 {
            return Err(none());
        }
        let ends = self.endpoints(provider).await?;
        let url = ends.device.as_ref().ok_or_else(none)?;
        let mut fields = Vec::new();
        let scope = data.scope.asked(scopes).join(&data.scope.separator);
        if !scope.is_empty() {
            fields.extend(owned(&[(&data.device.scope_param, &scope)]));
        }
        let ask = Ask {
            method: Method::Post,
            url,
            auth: match data.device.auth {
                DeviceAuth::AsToken => ends.auth,
                DeviceAuth::None => ClientAuth::None,
            },
            token_url: &ends.token,
            fields,
            secrets: &[],
            as_token: true,
        };
        let answer = self.ask(provider, ask).await?;
        self.read_device(&answer)
    }

    fn read_device(&self, answer: &Members) -> Result<DeviceAuthorization, OAuthError> {
        let missing = |what: &str| OAuthError::nonsense(format!("there is no usable {what} in it"));
        let url = |names: [&str; 2]| {
            let found = names.into_iter().find_map(|name| answer.get(name).and_then(Value::as_str))?;
            Url::parse(found).ok()
        };
        let device_code = answer.get("device_code").and_then(Value::as_str).filter(|code| !code.is_empty());
        let user_code = answer
            .get("user_code")
            .and_then(text)
            .filter(|code| code.len() <= MAX_USER_CODE && !code.chars().any(char::is_control));
        // The second names are from before the standard.
        let verification_uri = url(["verification_uri", "verification_url"]);
        let verification_uri = verification_uri.ok_or_else(|| missing("verification_uri"))?;
        let verification_uri_complete = url(["verification_uri_complete", "verification_url_complete"]);
        for url in std::iter::once(&verification_uri).chain(&verification_uri_complete) {
            self.wire().check(url)?;
        }
        let seconds = |name: &str| {
            let seconds = answer.get(name).and_then(number).filter(|s| (1.0..1e7).contains(s))?;
            Some(Duration::from_secs_f64(seconds))
        };
        Ok(DeviceAuthorization {
            device_code: device_code.ok_or_else(|| missing("device_code"))?.into(),
            user_code: user_code.ok_or_else(|| missing("user_code"))?,
            verification_uri,
            verification_uri_complete,
            expires_in: seconds("expires_in").unwrap_or(DEFAULT_LIFE),
            interval: seconds("interval").unwrap_or(DEFAULT_INTERVAL).min(MAX_INTERVAL),
        })
    }

    /// Asks once whether the person has said yes (RFC 8628 §3.4). When that is asked again is the caller's to decide.
    ///
    /// # Errors
    /// [`OAuthError::WrongIdToken`] when an id token does not fit; whatever a call can end in.
    pub async fn device_poll(
        &self,
        provider: &Provider,
        device_code: &SecretString,
        scopes: &Scopes,
    ) -> Result<DevicePoll, OAuthError> {
        let data = &provider.data;
        let ends = self.endpoints(provider).await?;
        let code = device_code.expose_secret();
        let mut fields = owned(&[("grant_type", GRANT), ("device_code", code)]);
        let scope = data.scope.asked(scopes).join(&data.scope.separator);
        if data.device.send_scope && !scope.is_empty() {
            fields.extend(owned(&[(&data.device.scope_param, &scope)]));
        }
        let answer = match self.ask(provider, ends.ask_token(provider, fields, &[code])).await {
            Ok(answer) => answer,
            Err(OAuthError::RateLimited { retry_after: None }) => return Ok(DevicePoll::SlowDown),
            Err(OAuthError::Refused { code, description, meaning }) => {
                return match code.as_str() {
                    "authorization_pending" => Ok(DevicePoll::Pending),
                    "slow_down" => Ok(DevicePoll::SlowDown),
                    "access_denied" | "authorization_declined" => Ok(DevicePoll::Declined),
                    "expired_token" => Ok(DevicePoll::Expired),
                    _ => Err(OAuthError::Refused { code, description, meaning }),
                };
            }
            Err(other) => return Err(other),
        };
        let mut tokens = read_grant(provider, &answer)?;
        tokens.id_claims = self.id_claims(provider, &answer, scopes, None)?;
        Ok(DevicePoll::Done(tokens))
    }
}
