//! Where a provider is asked: the addresses that are configured or in the data, then those that its issuer names.

use std::sync::Arc;

use url::Url;

use crate::ask::Ask;
use crate::data::Place;
use crate::discovery::Metadata;
use crate::engine::OAuth;
use crate::{ClientAuth, OAuthError, Provider};

/// A provider's endpoints as they are now.
pub(crate) struct Endpoints {
    pub(crate) authorize: Option<Url>,
    pub(crate) token: Url,
    /// May hold `{client_id}`.
    pub(crate) revoke: Option<Place>,
    pub(crate) device: Option<Url>,
    /// Where the request is pushed first, where it has to be (RFC 9126).
    pub(crate) pushed: Option<Url>,
    pub(crate) auth: ClientAuth,
}

impl Endpoints {
    /// A question to the token endpoint.
    pub(crate) fn ask_token<'a>(
        &'a self,
        provider: &Provider,
        fields: Vec<(String, String)>,
        secrets: &'a [&'a str],
    ) -> Ask<'a> {
        Ask {
            method: provider.data.token.method,
            url: &self.token,
            auth: self.auth,
            token_url: &self.token,
            fields,
            secrets,
            as_token: true,
        }
    }
}

/// What is known of a provider's endpoints; some may be missing.
pub(crate) struct Known {
    pub(crate) authorize: Option<Url>,
    pub(crate) token: Option<Url>,
    pub(crate) revoke: Option<Place>,
    pub(crate) device: Option<Url>,
    pub(crate) userinfo: Option<Url>,
    pub(crate) pushed: Option<Url>,
}

impl Known {
    fn of(provider: &Provider, found: Option<&Metadata>) -> Self {
        let data = &provider.data;
        let pick = |known: &Option<Place>, discovered: Option<&Option<Url>>| {
            known.as_ref().and_then(Place::url).cloned().or_else(|| discovered.cloned().flatten())
        };
        let revoke = || found?.revocation_endpoint.clone().map(Place::Url);
        Self {
            authorize: pick(&data.authorize.url, found.map(|m| &m.authorization_endpoint)),
            token: pick(&data.token.url, found.map(|m| &m.token_endpoint)),
            revoke: data.revoke.url.clone().or_else(revoke),
            device: pick(&data.device.url, found.map(|m| &m.device_authorization_endpoint)),
            userinfo: pick(&data.identity.url, found.map(|m| &m.userinfo_endpoint)),
            pushed: data
                .authorize
                .pushed_url
                .clone()
                .or_else(|| found?.pushed_authorization_request_endpoint.clone()),
        }
    }
}

impl OAuth {
    /// What the issuer says about itself, where it is to be asked.
    pub(crate) async fn metadata(&self, provider: &Provider) -> Result<Option<Arc<Metadata>>, OAuthError> {
        match provider.issuer().filter(|_| provider.discovers()) {
            None => Ok(None),
            Some(issuer) => self.discovery().find(self.wire(), issuer).await.map(Some),
        }
    }

    /// All endpoints that are known.
    pub(crate) async fn known(&self, provider: &Provider) -> Result<Known, OAuthError> {
        Ok(Known::of(provider, self.metadata(provider).await?.as_deref()))
    }

    /// The endpoints by which tokens are had.
    pub(crate) async fn endpoints(&self, provider: &Provider) -> Result<Endpoints, OAuthError> {
        if let Some(why) = provider.open_places() {
            return Err(provider.not_supported_because(why));
        }
        let metadata = self.metadata(provider).await?;
        let found = metadata.as_deref();
        let known = Known::of(provider, found);
        let has_secret = provider.client_secret.is_some();
        let auth = match provider.data.token.auth {
            Some(auth) => auth,
            None => ClientAuth::pick(
                found.and_then(|m| m.token_endpoint_auth_methods_supported.as_deref()),
                has_secret,
                provider.key.is_some(),
            )
            .ok_or_else(|| {
                OAuthError::nonsense(
                    "the issuer offers neither client_secret_basic nor client_secret_post, nor private_key_jwt with a \
                     private key at hand",
                )
            })?,
        };
        let must_push = provider.data.authorize.pushed_url.is_some()
            || found.is_some_and(Metadata::wants_pushed_requests);
        if must_push && known.pushed.is_none() {
            return Err(OAuthError::nonsense("the issuer wants pushed requests and does not say where"));
        }
        Ok(Endpoints {
            authorize: known.authorize,
            token: known.token.ok_or_else(|| provider.missing("token_url"))?,
            revoke: known.revoke,
            device: known.device,
            pushed: known.pushed.filter(|_| must_push),
            auth,
        })
    }
}
