//! The engine: what Tokenry says to providers, and what it makes of the answers.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokenry_model::{Clock, EntropyError, Random, Scopes};
use url::Url;

use crate::answer::Members;
use crate::ask::{Ask, owned};
use crate::data::{IdentityFrom, Place, UpgradeData};
use crate::discovery::Discovery;
use crate::endpoints::Endpoints;
use crate::pkce::make_text;
use crate::sanitise::sanitise;
use crate::wire::Wire;
use crate::{IdClaims, OAuthError, OutboundPolicy, PkceVerifier, Provider, TokenSet, Values};
use crate::{id_token, identity};

/// Speaks to providers. Holds no token and no state but the connections and the issuers' metadata; share one.
#[derive(Debug)]
pub struct OAuth {
    wire: Wire,
    discovery: Discovery,
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
    /// The flow's token endpoint, from [`Authorization::token_url`](crate::Authorization::token_url).
    pub token_url: &'a Url,
    /// The scopes that were asked for: an id token counts only when `openid` is among them.
    pub scopes: &'a Scopes,
    /// What [`Provider::capture_callback`] took from the callback.
    pub captured: &'a Values,
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
            ("redirect_uri", provider.redirect_sent(exchange.redirect_uri)?),
        ]);
        if provider.uses_pkce() {
            fields.extend(owned(&[("code_verifier", verifier)]));
        }
        fields.extend(provider.data.token.params.clone());
        fields.extend(provider.sent_back(exchange.captured));
        let answer = self.ask(provider, ends.ask_token(provider, fields, &[code, verifier])).await?;
        let mut tokens = read_grant(provider, &answer)?;
        if let Some(upgrade) = &provider.data.token.upgrade {
            tokens = self.upgrade(provider, &ends, upgrade, tokens).await?;
        }
        tokens.id_claims = self.id_claims(provider, &answer, exchange.scopes, exchange.nonce)?;
        Ok(tokens)
    }

    /// Who the person is, by the id token of an answer, if one was asked for and the issuer is known.
    pub(crate) fn id_claims(
        &self,
        provider: &Provider,
        answer: &Members,
        scopes: &Scopes,
        nonce: Option<&str>,
    ) -> Result<Option<IdClaims>, OAuthError> {
        let id_token = answer.get("id_token").and_then(serde_json::Value::as_str);
        let (Some(id_token), Some(issuer), true) = (id_token, provider.issuer(), scopes.contains("openid"))
        else {
            return Ok(None);
        };
        let expected = id_token::Expected {
            issuer,
            client_id: provider.require_client_id()?,
            nonce,
            now: self.wire.now(),
            label: &provider.data.identity.account_label,
        };
        id_token::check(id_token, &expected).map(Some)
    }

    /// Exchanges the first access token for one that lives longer. What else the first answer said stays.
    async fn upgrade(
        &self,
        provider: &Provider,
        ends: &Endpoints,
        upgrade: &UpgradeData,
        first: TokenSet,
    ) -> Result<TokenSet, OAuthError> {
        let token = first.access_token.expose_secret();
        let fields = owned(&[("grant_type", &upgrade.grant), (&upgrade.token_param, token)]);
        let sent = [token];
        let ask =
            Ask { method: upgrade.method, url: &upgrade.url, ..ends.ask_token(provider, fields, &sent) };
        let longer = TokenSet::read(&provider.data, &self.ask(provider, ask).await?)?;
        let mut captured = first.captured;
        captured.extend(longer.captured);
        Ok(TokenSet {
            scopes: longer.scopes.or(first.scopes),
            account: first.account,
            refresh_token: longer.refresh_token.or(first.refresh_token),
            captured,
            ..longer
        })
    }

    /// Spends a refresh token (RFC 6749 §6), or the access token itself where that is what the provider takes
    /// ([`Provider::spends_access_token`]). One request, never a second. `captured` are the connection's captured values:
    /// those that the token endpoint wants back are sent.
    ///
    /// An id token in the answer is not looked at: it says nothing that the first one did not, and a fault
    /// in it must not cost the person a refresh token that has just been rotated.
    ///
    /// # Errors
    /// Whatever a call can end in; see [`OAuthError::is_final_refusal`].
    pub async fn refresh(
        &self,
        provider: &Provider,
        spent: &SecretString,
        scopes: &Scopes,
        captured: &Values,
    ) -> Result<TokenSet, OAuthError> {
        let ends = self.endpoints(provider).await?;
        let data = &provider.data;
        let token = spent.expose_secret();
        let mut fields = owned(&[("grant_type", &data.refresh.grant), (&data.refresh.token_param, token)]);
        if data.refresh.send_scope && !scopes.is_empty() {
            fields.extend(owned(&[("scope", &data.scope.asked(scopes).join(&data.scope.separator))]));
        }
        fields.retain(|(name, _)| !data.refresh.drop.contains(name));
        fields.extend(data.refresh.params.clone());
        fields.extend(provider.sent_back(captured));
        let url = data.refresh.url.as_ref().and_then(Place::url).unwrap_or(&ends.token);
        let sent = [token];
        let ask = Ask { method: data.refresh.method, url, ..ends.ask_token(provider, fields, &sent) };
        TokenSet::read(data, &self.ask(provider, ask).await?)
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

    pub(crate) const fn discovery(&self) -> &Discovery {
        &self.discovery
    }
}

/// The tokens of a new grant, and whose they are where the answer itself says so.
pub(crate) fn read_grant(provider: &Provider, answer: &Members) -> Result<TokenSet, OAuthError> {
    let mut tokens = TokenSet::read(&provider.data, answer)?;
    if provider.data.identity.from == IdentityFrom::Token {
        tokens.account = Some(identity::account(provider, answer)?);
    }
    Ok(tokens)
}
