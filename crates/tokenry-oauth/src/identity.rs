//! Whose account a grant opens.

use secrecy::{ExposeSecret, SecretString};
use tokenry_model::Account;

use crate::answer::{self, Members, at, text};
use crate::ask::with_params;
use crate::data::{IdentityFrom, Method};
use crate::engine::OAuth;
use crate::wire::Call;
use crate::{OAuthError, Provider, TokenSet};

/// A longer account id is no account id.
const MAX_ID_BYTES: usize = 255;

impl OAuth {
    /// Asks whose account the tokens open. `None` where the provider has no way to tell.
    ///
    /// With OpenID Connect it is the subject of the checked id token, and the userinfo answer must be about
    /// the same one (OpenID Connect Core 1.0 §5.3.2). When userinfo is away, the id token alone is enough.
    ///
    /// # Errors
    /// [`OAuthError::WrongIdToken`] when the two disagree, and whatever a call can end in.
    pub async fn identify(
        &self,
        provider: &Provider,
        tokens: &TokenSet,
    ) -> Result<Option<Account>, OAuthError> {
        let known = tokens.id_claims.as_ref();
        let from_id_token = || known.map(|c| Account { id: c.subject.clone(), label: c.label.clone() });
        if let Some(account) = &tokens.account {
            return Ok(Some(account.clone()));
        }
        let members = match self.describe(provider, &tokens.access_token).await {
            Ok(Some(members)) => members,
            Ok(None) => return Ok(from_id_token()),
            Err(OAuthError::Unavailable { .. } | OAuthError::RateLimited { .. }) if known.is_some() => {
                return Ok(from_id_token());
            }
            Err(other) => return Err(other),
        };

        if let Some(claims) = known {
            if members.get("sub").and_then(text).as_ref() != Some(&claims.subject) {
                return Err(OAuthError::WrongIdToken {
                    what: "userinfo is about another account".to_owned(),
                });
            }
            if !provider.has_own_account_id() {
                let label =
                    label(&members, &provider.data.identity.account_label).or_else(|| claims.label.clone());
                return Ok(Some(Account { id: claims.subject.clone(), label }));
            }
        }
        account(provider, &members).map(Some)
    }

    /// Asks whose account a credential opens that a person pasted: an access token, a key, or user and password. `None`
    /// where the provider has no way to tell.
    ///
    /// # Errors
    /// [`OAuthError::Refused`] when the provider does not take the credential, and whatever a call can end in.
    pub async fn identify_with(
        &self,
        provider: &Provider,
        token: &SecretString,
    ) -> Result<Option<Account>, OAuthError> {
        match self.describe(provider, token).await? {
            Some(members) => account(provider, &members).map(Some),
            None => Ok(None),
        }
    }

    /// What the provider says about the account, if it has a place for that.
    async fn describe(
        &self,
        provider: &Provider,
        token: &SecretString,
    ) -> Result<Option<Members>, OAuthError> {
        if provider.data.identity.from == IdentityFrom::Token {
            return Ok(None);
        }
        let Some(mut url) = self.known(provider).await?.userinfo else { return Ok(None) };
        let identity = &provider.data.identity;
        let method = match identity.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
        };
        let fields = Some(&identity.params).filter(|params| !params.is_empty());
        let authorization = if let Some(name) = provider.api_query_param() {
            url = with_params(&url, &[(name, token.expose_secret())]);
            None
        } else {
            Some(provider.authorization(token)?)
        };
        let shown = authorization.as_ref().and_then(|(_, value)| value.to_str().ok()).unwrap_or_default();
        let secrets = [token.expose_secret(), shown.rsplit(' ').next().unwrap_or_default()];
        let call = Call {
            method,
            url: &url,
            authorization: authorization.clone(),
            headers: provider.headers(&provider.data.api.headers)?,
            fields: fields.map(|params| (identity.encoding, params.clone().into_iter().collect())),
            secrets: &secrets,
        };
        let answer = self.wire().send(call).await?;
        answer::read_api(&answer, &provider.data.errors, &secrets).map(Some)
    }
}

/// The account that the members describe.
pub(crate) fn account(provider: &Provider, members: &Members) -> Result<Account, OAuthError> {
    let identity = &provider.data.identity;
    let paths = &identity.account_id;
    let id = paths
        .iter()
        .find_map(|path| at(members, path).and_then(text))
        .filter(|id| id.len() <= MAX_ID_BYTES && id.chars().all(is_shown))
        .ok_or_else(|| {
            OAuthError::nonsense(format!("the account has no usable id at {}", paths.join(" or ")))
        })?;
    Ok(Account { id, label: label(members, &identity.account_label) })
}

/// The first of the paths at which there is a word for the account.
pub(crate) fn label(members: &Members, paths: &[String]) -> Option<String> {
    paths
        .iter()
        .find_map(|path| at(members, path).and_then(text))
        .map(|word| word.chars().filter(|c| is_shown(*c)).take(200).collect())
}

/// Whether a character can stand in a word for an account: none that ends a line, or turns around what is beside it.
fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
