//! The engine: what Tokenry says to providers, and what it makes of the answers.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use tokenry_model::{Clock, EntropyError, Random, Scopes};
use url::Url;

use crate::answer::{self, Members};
use crate::client_auth::basic;
use crate::data::{IdentityFrom, Method, Place, UpgradeData};
use crate::discovery::{Discovery, Metadata};
use crate::pkce::make_text;
use crate::readiness::UNKNOWN_AUTH;
use crate::sanitise::sanitise;
use crate::wire::{Call, Wire};
use crate::{ClientAuth, Issuer, OAuthError, OutboundPolicy, PkceVerifier, Provider, TokenSet};
use crate::{id_token, identity};

/// Speaks to providers. Holds no token and no state but the connections and the issuers' metadata; share one.
#[derive(Debug)]
pub struct OAuth {
    wire: Wire,
    discovery: Discovery,
}

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
}

/// A code that came back, and what was kept of the flow.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The authorization code.
    pub code: &'a SecretString,
    /// The redirect URI as it was sent (RFC 6749 §4.1.3).
    pub redirect_uri: &'a Url,
    /// The flow's PKCE verifier.
    pub verifier: &'a PkceVerifier,
    /// The flow's nonce.
    pub nonce: Option<&'a str>,
    /// The flow's token endpoint, from [`Authorization::token_url`].
    pub token_url: &'a Url,
    /// The scopes that were asked for: an id token counts only when `openid` is among them.
    pub scopes: &'a Scopes,
}

/// A provider's endpoints as they are now.
pub(crate) struct Endpoints {
    pub(crate) authorize: Url,
    pub(crate) token: Url,
    /// May hold `{client_id}`.
    pub(crate) revoke: Option<String>,
    pub(crate) userinfo: Option<Url>,
    pub(crate) auth: ClientAuth,
}

impl OAuth {
    /// Makes an engine.
    ///
    /// # Errors
    /// [`OAuthError::Setup`] when there are no TLS roots to trust.
    pub fn new(policy: OutboundPolicy, clock: Arc<dyn Clock>) -> Result<Self, OAuthError> {
        Ok(Self { wire: Wire::new(policy, clock)?, discovery: Discovery::default() })
    }

    /// A fresh PKCE verifier (RFC 7636 §4.1) from 32 random bytes.
    ///
    /// # Errors
    /// [`EntropyError`] when there are no random bytes.
    pub fn make_verifier(random: &dyn Random) -> Result<PkceVerifier, EntropyError> {
        PkceVerifier::make(random)
    }

    /// A fresh state: 64 random bytes as base64url, 86 characters.
    ///
    /// # Errors
    /// [`EntropyError`] when there are no random bytes.
    pub fn make_state(random: &dyn Random) -> Result<String, EntropyError> {
        make_text::<64>(random)
    }

    /// A fresh nonce (OpenID Connect Core 1.0 §3.1.2.1) from 32 random bytes.
    ///
    /// # Errors
    /// [`EntropyError`] when there are no random bytes.
    pub fn make_nonce(random: &dyn Random) -> Result<String, EntropyError> {
        make_text::<32>(random)
    }

    /// Writes the authorize URL (RFC 6749 §4.1.1, RFC 7636 §4.3).
    ///
    /// # Errors
    /// [`OAuthError::NotConfigured`] without a client id; with discovery, whatever a call can end in.
    pub async fn authorize(
        &self,
        provider: &Provider,
        request: AuthorizeRequest<'_>,
    ) -> Result<Authorization, OAuthError> {
        let client_id = provider.require_client_id()?;
        if let Some(why) = provider.not_supported() {
            return Err(OAuthError::NotSupported { provider: provider.id.to_string(), why });
        }
        let ends = self.endpoints(provider).await?;
        self.wire.check(&ends.authorize)?;
        self.wire.check(&ends.token)?;

        let data = &provider.data;
        let scope = data.scope.asked(request.scopes).join(&data.scope.separator);
        let second = data.scope.second.join(&data.scope.separator);
        let challenge = request.verifier.challenge();
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", request.redirect_uri.as_str()),
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
        let mut url = with_params(&ends.authorize, &params);
        url.set_fragment(data.authorize.fragment.as_deref());
        Ok(Authorization { url, token_url: ends.token })
    }

    /// Spends a code (RFC 6749 §4.1.3). Never twice: what a failure means is the caller's to decide. Where the first
    /// access token is only good for getting another, that is done at once, with a second request.
    ///
    /// # Errors
    /// [`OAuthError::Changed`] when the token endpoint is not the flow's; [`OAuthError::WrongIdToken`] when
    /// the id token does not fit; whatever a call can end in.
    pub async fn exchange(
        &self,
        provider: &Provider,
        exchange: Exchange<'_>,
    ) -> Result<TokenSet, OAuthError> {
        let ends = self.endpoints(provider).await?;
        if ends.token != *exchange.token_url {
            return Err(OAuthError::Changed);
        }
        let code = exchange.code.expose_secret();
        let verifier = exchange.verifier.as_secret().expose_secret();
        let mut fields = owned(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", exchange.redirect_uri.as_str()),
        ]);
        if provider.uses_pkce() {
            fields.extend(owned(&[("code_verifier", verifier)]));
        }
        fields.extend(provider.data.token.params.clone());
        let to = (provider.data.token.method, &ends.token);
        let answer = self.ask(provider, ends.auth, to, fields, &[code, verifier]).await?;
        let mut tokens = TokenSet::read(&provider.data, &answer)?;
        if provider.data.identity.from == IdentityFrom::Token {
            tokens.account = Some(identity::account(provider, &answer)?);
        }
        if let Some(upgrade) = &provider.data.token.upgrade {
            tokens = self.upgrade(provider, ends.auth, upgrade, tokens).await?;
        }
        let id_token = answer.get("id_token").and_then(serde_json::Value::as_str);
        if let (Some(id_token), Some(issuer), true) =
            (id_token, provider.issuer(), exchange.scopes.contains("openid"))
        {
            let expected = id_token::Expected {
                issuer,
                client_id: provider.require_client_id()?,
                nonce: exchange.nonce,
                now: self.wire.now(),
                label: &provider.data.identity.account_label,
            };
            tokens.id_claims = Some(id_token::check(id_token, &expected)?);
        }
        Ok(tokens)
    }

    /// Exchanges the first access token for one that lives longer. What else the first answer said stays.
    async fn upgrade(
        &self,
        provider: &Provider,
        auth: ClientAuth,
        upgrade: &UpgradeData,
        first: TokenSet,
    ) -> Result<TokenSet, OAuthError> {
        let token = first.access_token.expose_secret();
        let fields = owned(&[("grant_type", &upgrade.grant), (&upgrade.token_param, token)]);
        let answer = self.ask(provider, auth, (upgrade.method, &upgrade.url), fields, &[token]).await?;
        let longer = TokenSet::read(&provider.data, &answer)?;
        Ok(TokenSet {
            scopes: longer.scopes.or(first.scopes),
            account: first.account,
            refresh_token: longer.refresh_token.or(first.refresh_token),
            ..longer
        })
    }

    /// Spends a refresh token (RFC 6749 §6). One request, never a second.
    ///
    /// An id token in the answer is not looked at: it says nothing that the first one did not, and a fault
    /// in it must not cost the person a refresh token that has just been rotated.
    ///
    /// # Errors
    /// Whatever a call can end in; see [`OAuthError::is_final_refusal`].
    pub async fn refresh(
        &self,
        provider: &Provider,
        refresh_token: &SecretString,
        scopes: &Scopes,
    ) -> Result<TokenSet, OAuthError> {
        let ends = self.endpoints(provider).await?;
        let data = &provider.data;
        let token = refresh_token.expose_secret();
        let mut fields = owned(&[("grant_type", &data.refresh.grant), (&data.refresh.token_param, token)]);
        if data.refresh.send_scope && !scopes.is_empty() {
            fields.extend(owned(&[("scope", &data.scope.asked(scopes).join(&data.scope.separator))]));
        }
        fields.retain(|(name, _)| !data.refresh.drop.contains(name));
        fields.extend(data.refresh.params.clone());
        let url = data.refresh.url.as_ref().and_then(Place::url).unwrap_or(&ends.token);
        let answer = self.ask(provider, ends.auth, (data.refresh.method, url), fields, &[token]).await?;
        TokenSet::read(data, &answer)
    }

    /// Checks the issuer that an authorization response names (RFC 9207 §2.4): as text, exactly. A missing
    /// one is refused where the provider's metadata promise it. Nothing is checked where no issuer is
    /// known.
    ///
    /// # Errors
    /// [`OAuthError::WrongIssuer`]; with discovery, whatever a call can end in.
    pub async fn check_issuer(&self, provider: &Provider, iss: Option<&str>) -> Result<(), OAuthError> {
        let Some(issuer) = provider.issuer() else { return Ok(()) };
        let fits = match iss {
            Some(iss) => iss == issuer.as_str(),
            None => {
                self.metadata(provider).await?.is_none_or(|metadata| !metadata.names_issuer_in_response())
            }
        };
        if fits {
            return Ok(());
        }
        Err(OAuthError::WrongIssuer { expected: issuer.to_string(), got: iss.map(|iss| sanitise(iss, &[])) })
    }

    pub(crate) const fn wire(&self) -> &Wire {
        &self.wire
    }

    async fn metadata(&self, provider: &Provider) -> Result<Option<Arc<Metadata>>, OAuthError> {
        let issuer: Option<&Issuer> = provider.issuer().filter(|_| provider.discovers);
        match issuer {
            None => Ok(None),
            Some(issuer) => self.discovery.find(&self.wire, issuer).await.map(Some),
        }
    }

    /// The endpoints: those that are configured or in the data, then those that the issuer names.
    pub(crate) async fn endpoints(&self, provider: &Provider) -> Result<Endpoints, OAuthError> {
        let metadata = self.metadata(provider).await?;
        let found = metadata.as_deref();
        let data = &provider.data;
        let pick = |known: &Option<Place>, discovered: Option<&Option<Url>>, what: &'static str| {
            known
                .as_ref()
                .and_then(Place::url)
                .cloned()
                .or_else(|| discovered.cloned().flatten())
                .ok_or_else(|| provider.missing(what))
        };
        let has_secret = provider.client_secret.is_some();
        let auth = match data.token.auth {
            Some(auth) => auth.known().ok_or_else(|| OAuthError::NotSupported {
                provider: provider.id.to_string(),
                why: UNKNOWN_AUTH.to_owned(),
            })?,
            None => ClientAuth::pick(
                found.and_then(|m| m.token_endpoint_auth_methods_supported.as_deref()),
                has_secret,
            )
            .ok_or_else(|| {
                OAuthError::nonsense("the issuer offers neither client_secret_basic nor client_secret_post")
            })?,
        };
        Ok(Endpoints {
            authorize: pick(&data.authorize.url, found.map(|m| &m.authorization_endpoint), "authorize_url")?,
            token: pick(&data.token.url, found.map(|m| &m.token_endpoint), "token_url")?,
            revoke: data
                .revoke
                .url
                .clone()
                .or_else(|| Some(found?.revocation_endpoint.as_ref()?.to_string())),
            userinfo: data
                .identity
                .url
                .as_ref()
                .and_then(Place::url)
                .cloned()
                .or_else(|| found?.userinfo_endpoint.clone()),
            auth,
        })
    }

    /// Asks a token endpoint.
    async fn ask(
        &self,
        provider: &Provider,
        auth: ClientAuth,
        (method, url): (Method, &Url),
        mut fields: Vec<(String, String)>,
        sent: &[&str],
    ) -> Result<Members, OAuthError> {
        let client_id = provider.require_client_id()?;
        let secret = provider.client_secret.as_ref();
        let token = &provider.data.token;
        let authorization = auth.apply(provider.id.as_str(), client_id, secret, &mut fields)?;
        let basic = secret.map(|secret| basic(client_id, secret)).unwrap_or_default();
        let mut secrets = vec![basic.as_str(), secret.map_or("", |s| s.expose_secret())];
        secrets.extend(sent);
        fields.retain(|(name, _)| !token.drop.contains(name));
        provider.rename(&mut fields);
        let headers = provider.headers(&token.headers)?;
        let (with_query, fields) = match method {
            Method::Post => (None, Some((token.encoding, fields))),
            Method::Get => {
                let pairs: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                (Some(with_params(url, &pairs)), None)
            }
        };
        let call = Call {
            method: if fields.is_some() { http::Method::POST } else { http::Method::GET },
            url: with_query.as_ref().unwrap_or(url),
            authorization: authorization.map(|value| (AUTHORIZATION, value)),
            headers,
            fields,
            secrets: &secrets,
        };
        let answer = self.wire.send(call).await?;
        answer::read(&answer, &provider.data.errors, &secrets)
    }
}

/// The URL with the parameters; those it has by itself stay, unless they are named again.
fn with_params(url: &Url, params: &[(&str, &str)]) -> Url {
    let own: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| !params.iter().any(|(ours, _)| ours == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = url.clone();
    url.set_fragment(None);
    url.query_pairs_mut().clear().extend_pairs(own).extend_pairs(params);
    url
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}
