//! Giving tokens back (RFC 7009, and the ways of those who have another).

use http::Method;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::answer;
use crate::client_auth::Named;
use crate::data::{Place, RevokeAuth, RevokeMethod, RevokeTokens, TokenIn};
use crate::endpoints::Endpoints;
use crate::engine::OAuth;
use crate::wire::Call;
use crate::{ClientAuth, OAuthError, Provider, Values};

/// What is given back.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The access token.
    pub access: SecretString,
    /// The refresh token.
    pub refresh: Option<SecretString>,
}

/// Codes by which servers say that a token is dead already, though RFC 7009 §2.2 wants a plain 200.
const DEAD_ALREADY: [&str; 4] = ["invalid_token", "invalid_request", "invalid_grant", "token_not_found"];

impl OAuth {
    /// Revokes a grant: the refresh token first, then the access token, as far as the provider wants both
    /// (RFC 7009 §2.1).
    ///
    /// Done when the provider says so, when it does not know the token, and when it has no way to revoke.
    /// May be repeated.
    ///
    /// # Errors
    /// [`OAuthError::Unavailable`] and [`OAuthError::RateLimited`] call for another try later.
    pub async fn revoke(&self, provider: &Provider, grant: &Grant) -> Result<(), OAuthError> {
        if !provider.revokes() {
            return Ok(());
        }
        let ends = self.endpoints(provider).await?;
        let Some(place) = ends.revoke.clone() else { return Ok(()) };
        let url = filled(place, provider.require_client_id()?)?;
        let access = (&grant.access, "access_token");
        let refresh = grant.refresh.as_ref().map(|token| (token, "refresh_token"));
        let tokens = match (provider.data.revoke.tokens, refresh) {
            (RevokeTokens::Both, Some(refresh)) => vec![refresh, access],
            (RevokeTokens::One, Some(refresh)) => vec![refresh],
            (_, None) | (RevokeTokens::Access, Some(_)) => vec![access],
        };
        let mut is_first = true;
        for (token, hint) in tokens {
            match self.revoke_one(provider, &ends, &url, token, hint).await {
                // Access tokens are not revoked here (RFC 7009 §2.2.1), and the refresh token is gone.
                Err(OAuthError::Refused { code, .. }) if !is_first && code == "unsupported_token_type" => {}
                other => other?,
            }
            is_first = false;
        }
        Ok(())
    }

    async fn revoke_one(
        &self,
        provider: &Provider,
        ends: &Endpoints,
        url: &Url,
        token: &SecretString,
        hint: &str,
    ) -> Result<(), OAuthError> {
        let data = &provider.data.revoke;
        let mut fields: Vec<_> = data.params.clone().into_iter().collect();
        if data.token_in == TokenIn::Body {
            fields.push((data.token_param.clone(), token.expose_secret().to_owned()));
            if data.token_param == "token" {
                fields.push(("token_type_hint".to_owned(), hint.to_owned()));
            }
        }
        let auth = match data.auth {
            RevokeAuth::AsToken => Some(ends.auth),
            RevokeAuth::Basic => Some(ClientAuth::Basic),
            RevokeAuth::Body => Some(ClientAuth::Body),
            RevokeAuth::None => Some(ClientAuth::None),
            RevokeAuth::Omit => None,
        };
        let named = match auth {
            Some(auth) => auth.apply(provider, &ends.token, self.wire().now(), &mut fields)?,
            None => Named::default(),
        };
        provider.rename(&mut fields);
        let authorization = match data.token_in {
            TokenIn::Body => named.header.map(|value| (AUTHORIZATION, value)),
            TokenIn::Header => Some(provider.authorization(token)?),
        };
        let mut secrets: Vec<&str> = named.secrets.iter().map(String::as_str).collect();
        secrets.extend([
            token.expose_secret(),
            provider.client_secret.as_ref().map_or("", |s| s.expose_secret()),
        ]);
        let method = match data.method {
            RevokeMethod::Post => Method::POST,
            RevokeMethod::Delete => Method::DELETE,
        };
        let fields = Some((data.encoding, fields)).filter(|(_, fields)| !fields.is_empty());
        let headers = match data.token_in {
            TokenIn::Body => provider.headers(&provider.data.token.headers)?,
            TokenIn::Header => provider.headers(&provider.data.api.headers)?,
        };
        let call = Call { method, url, authorization, headers, fields, secrets: &secrets };
        let answer = self.wire().send(call).await?;
        if answer.status.is_success() || data.gone.contains(&answer.status.as_u16()) {
            return Ok(());
        }
        match answer::read_api(&answer, &provider.data.errors, &secrets) {
            Err(OAuthError::Refused { code, .. }) if DEAD_ALREADY.contains(&code.as_str()) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }
}

/// The URL with the client id where it wants it.
pub(crate) fn filled(mut place: Place, client_id: &str) -> Result<Url, OAuthError> {
    let encoded = percent_encoding::utf8_percent_encode(client_id, percent_encoding::NON_ALPHANUMERIC);
    place.fill(&Values::from([("client_id".to_owned(), encoded.to_string())]));
    place.url().cloned().ok_or_else(|| OAuthError::nonsense("the revocation URL cannot be read"))
}
