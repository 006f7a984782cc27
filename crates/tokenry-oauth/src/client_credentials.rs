//! Programs that sign in by themselves (RFC 6749 §4.4).

use tokenry_model::Scopes;

use crate::ask::owned;
use crate::engine::OAuth;
use crate::{ClientAuth, Kind, OAuthError, Provider, TokenSet};

impl OAuth {
    /// Has an access token for the client itself (RFC 6749 §4.4): the operator's, or one that belongs to a connection
    /// ([`Provider::with_client`]). A refresh token that comes along is not needed: the next token is had the same way.
    ///
    /// # Errors
    /// [`OAuthError::NotConfigured`] without id and secret (or key); [`OAuthError::NotSupported`] where the provider has no
    /// token endpoint for that, or a setting is missing; whatever a call can end in.
    pub async fn client_credentials(
        &self,
        provider: &Provider,
        scopes: &Scopes,
    ) -> Result<TokenSet, OAuthError> {
        let data = &provider.data;
        if !matches!(data.kind, Kind::ClientCredentials | Kind::Oauth2) {
            return Err(provider.not_supported_because("no program signs in there by itself"));
        }
        let ends = self.endpoints(provider).await?;
        if ends.auth == ClientAuth::None {
            // Whoever knows the id would be the client (RFC 6749 §4.4: confidential clients only).
            return Err(provider.missing("client_secret"));
        }
        let mut fields = owned(&[("grant_type", "client_credentials")]);
        if !scopes.is_empty() {
            fields.extend(owned(&[("scope", &scopes.join(&data.scope.separator))]));
        }
        if data.kind == Kind::ClientCredentials {
            fields.extend(data.token.params.clone());
        }
        TokenSet::read(data, &self.ask(provider, ends.ask_token(provider, fields, &[])).await?)
    }
}
