//! Sending a person to the provider.

use std::time::Duration;

use url::Url;

use crate::answer::{number, text};
use crate::ask::{Ask, owned, with_params};
use crate::data::Method;
use crate::endpoints::Endpoints;
use crate::engine::OAuth;
use crate::{Kind, OAuthError, PkceVerifier, Provider};
use tokenry_model::Scopes;

/// What a flow sends with the person to the provider.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizeRequest<'a> {
    /// Where the provider sends the person back to. From [`Provider::redirect_uri`].
    pub redirect_uri: &'a Url,
    /// The flow's state. From [`OAuth::make_state`].
    pub state: &'a str,
    /// The flow's PKCE verifier. Only its hash goes into the URL.
    pub verifier: &'a PkceVerifier,
    /// The flow's nonce. Sent when `openid` is among the scopes.
    pub nonce: Option<&'a str>,
    /// What to ask for. When empty, no scope is sent.
    pub scopes: &'a Scopes,
}

/// Where to send the person, and what to keep for when they come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The authorize URL.
    pub url: Url,
    /// The token endpoint of this flow: the code goes there or nowhere (RFC 9700 §4.4).
    pub token_url: Url,
    /// For how long the URL is good, where what it stands for was pushed to the provider before (RFC 9126 §2.2).
    pub good_for: Option<Duration>,
}

impl OAuth {
    /// Writes the authorize URL (RFC 6749 §4.1.1, RFC 7636 §4.3). Where the provider wants the request pushed first
    /// (RFC 9126), that is one request.
    ///
    /// # Errors
    /// [`OAuthError::NotConfigured`] without a client id; [`OAuthError::NotSupported`] where no link leads in, and where
    /// a setting is missing; with discovery or a pushed request, whatever a call can end in.
    pub async fn authorize(
        &self,
        provider: &Provider,
        request: AuthorizeRequest<'_>,
    ) -> Result<Authorization, OAuthError> {
        let client_id = provider.require_client_id()?;
        if let Some(why) = provider.not_supported() {
            return Err(provider.not_supported_because(why));
        }
        if provider.kind() != Kind::Oauth2 {
            return Err(provider.not_supported_because("it speaks OAuth 1.0a, which begins otherwise"));
        }
        let ends = self.endpoints(provider).await?;
        let authorize = ends.authorize.as_ref().ok_or_else(|| provider.missing("authorize_url"))?;
        self.wire().check(authorize)?;
        self.wire().check(&ends.token)?;

        let params = params(provider, client_id, &request)?;
        let (params, good_for) = match &ends.pushed {
            None => (params, None),
            Some(to) => self.push(provider, &ends, to, params).await?,
        };
        let params: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut url = with_params(authorize, &params);
        url.set_fragment(provider.data.authorize.fragment.as_deref());
        Ok(Authorization { url, token_url: ends.token, good_for })
    }

    /// Whether a request is pushed before a person is sent off with it: then writing the authorize URL is a call.
    ///
    /// # Errors
    /// As [`OAuth::authorize`]: with discovery, whatever a call can end in.
    pub async fn pushes(&self, provider: &Provider) -> Result<bool, OAuthError> {
        if provider.not_supported().is_some() || provider.kind() != Kind::Oauth2 {
            return Ok(false);
        }
        Ok(self.endpoints(provider).await?.pushed.is_some())
    }

    /// Pushes the request (RFC 9126 §2.1). What the person takes along is only its name.
    async fn push(
        &self,
        provider: &Provider,
        ends: &Endpoints,
        to: &Url,
        params: Vec<(String, String)>,
    ) -> Result<(Vec<(String, String)>, Option<Duration>), OAuthError> {
        let rename = &provider.data.authorize.rename;
        let named = rename.get("client_id").map_or("client_id", String::as_str);
        let client_id = provider.require_client_id()?;
        let ask = Ask {
            method: Method::Post,
            url: to,
            auth: ends.auth,
            token_url: &ends.token,
            fields: params,
            secrets: &[],
            as_token: false,
        };
        let answer = self.ask(provider, ask).await?;
        let request_uri = answer
            .get("request_uri")
            .and_then(text)
            .ok_or_else(|| OAuthError::nonsense("it took the pushed request and gave no request_uri"))?;
        let good_for = answer.get("expires_in").and_then(number).filter(|s| (0.0..1e9).contains(s));
        Ok((
            owned(&[(named, client_id), ("request_uri", &request_uri)]),
            good_for.map(Duration::from_secs_f64),
        ))
    }
}

fn params(
    provider: &Provider,
    client_id: &str,
    request: &AuthorizeRequest<'_>,
) -> Result<Vec<(String, String)>, OAuthError> {
    let data = &provider.data;
    let scope = data.scope.asked(request.scopes).join(&data.scope.separator);
    let second = data.scope.second.join(&data.scope.separator);
    let challenge = request.verifier.challenge();
    let mut params = vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", provider.redirect_sent(request.redirect_uri)?),
        ("state", request.state),
    ];
    if !scope.is_empty() {
        params.push((&data.scope.param, &scope));
    }
    if let Some(name) = data.scope.second_param.as_deref().filter(|_| !second.is_empty()) {
        params.push((name, &second));
    }
    if provider.uses_pkce() {
        params.extend([("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")]);
    }
    if let Some(nonce) = request.nonce.filter(|_| request.scopes.contains("openid")) {
        params.push(("nonce", nonce));
    }
    params.retain(|(name, _)| !data.authorize.drop.iter().any(|dropped| dropped == name));
    for (name, _) in &mut params {
        *name = data.authorize.rename.get(*name).map_or(*name, String::as_str);
    }
    let fixed = data.authorize.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let fixed: Vec<_> = fixed.filter(|(name, _)| !params.iter().any(|(ours, _)| ours == name)).collect();
    params.extend(fixed);
    Ok(owned(&params))
}
