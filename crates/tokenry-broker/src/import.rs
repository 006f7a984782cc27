//! Credentials that people bring along: keys, passwords, clients of their own, token sets of another server.

use std::sync::Arc;
use std::time::Duration;

use tokenry_model::{
    Action, ConnectionId, ConnectionName, CredentialKind, Deadlines, ExposeSecret as _, Scopes, SecretString,
    Timestamp, UserId, Values,
};
use tokenry_oauth::{Kind, OAuthError, Provider, TokenSet};
use tokenry_store::{HeldLink, NewCredential, StoreError};

use crate::audit::Note;
use crate::boot::{Broker, filled};
use crate::connect::{ConnectError, Place, oauth1_credential};
use crate::details::ConnectionDetail;
use crate::error::{BrokerError, is_passing};
use crate::fields;
use crate::grants::{self, Granted};
use crate::problem::Problem;
use crate::refresh::OwnClient;
use crate::schedule::Renewal;
use crate::sessions::Claims;

/// A credential somebody brings, and what it is for.
#[derive(Debug)]
pub struct NewImport {
    /// The service: an id or an alias.
    pub service: String,
    /// What to call the connection; after the service and the account if it is `None`.
    pub name: Option<String>,
    /// What differs from connection to connection at this service.
    pub settings: Values,
    /// The credential.
    pub given: Given,
}

/// When an access token dies, in either way of saying it.
#[derive(Debug, Clone, Copy)]
pub enum Expiry {
    /// At this time.
    At(Timestamp),
    /// So long from now.
    In(Duration),
}

/// A credential somebody brings.
#[derive(Debug)]
pub enum Given {
    /// A text that is handed out as it is.
    Plain {
        /// The text.
        token: SecretString,
    },
    /// A key of the service.
    ApiKey {
        /// The key.
        api_key: SecretString,
    },
    /// A user name and a password (RFC 7617), or two words that stand for them.
    Basic {
        /// The user name. Some services have the key here.
        username: SecretString,
        /// The password; some services have the key as the user, and no password.
        password: SecretString,
    },
    /// OAuth 1.0a token credentials (RFC 5849 §2.3), had by the operator's client.
    OAuth1 {
        /// The token.
        token: SecretString,
        /// Its secret.
        token_secret: SecretString,
    },
    /// A token set (RFC 6749 §5.1), had by the operator's client.
    OAuth2 {
        /// The access token.
        access_token: SecretString,
        /// The refresh token.
        refresh_token: Option<SecretString>,
        /// When the access token dies.
        expiry: Option<Expiry>,
        /// What was granted.
        scopes: Vec<String>,
    },
    /// A client of the connection's own (RFC 6749 §4.4): id and secret. `None`: the operator's.
    ClientCredentials {
        /// The client.
        client: Option<(String, SecretString)>,
        /// What to ask for.
        scopes: Vec<String>,
    },
}

/// What came of bringing a credential.
#[derive(Debug)]
pub struct Imported {
    /// The connection.
    pub detail: ConnectionDetail,
    /// Whether the account had a connection, which has the new credential now.
    pub renewed: bool,
}

/// What the row keeps beside a credential that is handed out as it is.
pub(crate) fn pasted(kind: CredentialKind, values: Values) -> NewCredential {
    NewCredential {
        kind,
        requested: Scopes::default(),
        scopes: Scopes::default(),
        values,
        times: Deadlines::default(),
    }
}

impl NewImport {
    /// Checks what was given against its service. Gives the service with its settings filled in, and these.
    ///
    /// # Errors
    /// [`BrokerError::Field`] and [`BrokerError::Setting`].
    pub(crate) fn fit(&self, general: &Arc<Provider>) -> Result<(Arc<Provider>, Values), BrokerError> {
        check_kind(general, self.given.kind())?;
        self.given.check()?;
        let values = match &self.given {
            // It need not be of use for anything but to be handed out.
            Given::Plain { .. } if self.settings.is_empty() => Values::new(),
            _ => fields::settings(general, &self.settings)?,
        };
        Ok((filled(general, &values)?, values))
    }
}

impl Given {
    pub(crate) const fn kind(&self) -> CredentialKind {
        match self {
            Self::Plain { .. } => CredentialKind::Plain,
            Self::ApiKey { .. } => CredentialKind::ApiKey,
            Self::Basic { .. } => CredentialKind::Basic,
            Self::OAuth1 { .. } => CredentialKind::OAuth1,
            Self::OAuth2 { .. } => CredentialKind::OAuth2,
            Self::ClientCredentials { .. } => CredentialKind::ClientCredentials,
        }
    }

    fn check(&self) -> Result<(), BrokerError> {
        match self {
            Self::Plain { token } => fields::token("token", token),
            Self::ApiKey { api_key } => fields::token("api_key", api_key),
            Self::Basic { username, password } => {
                let username = username.expose_secret();
                if username.is_empty() && password.expose_secret().is_empty() {
                    return Err(BrokerError::field("username", Problem::NothingAtAll));
                }
                if username.contains(':') {
                    // RFC 7617 §2: nobody could tell where it ends.
                    return Err(BrokerError::field("username", Problem::Colon));
                }
                fields::part("username", username)?;
                fields::part("password", password.expose_secret())
            }
            Self::OAuth1 { token, token_secret } => {
                fields::token("token", token)?;
                fields::token("token_secret", token_secret)
            }
            Self::OAuth2 { access_token, refresh_token, scopes, .. } => {
                fields::provider_token("access_token", access_token)?;
                if let Some(token) = refresh_token {
                    fields::provider_token("refresh_token", token)?;
                }
                fields::scopes(scopes).map(|_| ())
            }
            Self::ClientCredentials { client, scopes } => {
                if let Some((id, secret)) = client {
                    fields::token("client_id", &id.as_str().into())?;
                    fields::token("client_secret", secret)?;
                }
                fields::scopes(scopes).map(|_| ())
            }
        }
    }
}

impl Broker {
    /// Stores a credential that somebody brings. Where it is somebody's consent to the operator's client (OAuth 1.0a and
    /// 2.0) and the service says whose, a connection that the user has for the same account is renewed by it.
    ///
    /// # Errors
    /// [`BrokerError::Field`], [`BrokerError::Setting`], [`BrokerError::UnknownService`];
    /// [`BrokerError::CredentialRefused`] when a client of one's own is refused; [`BrokerError::ProviderNotConfigured`] when
    /// it takes the operator's client and there is none; [`BrokerError::ProviderAway`]; those of a caller who may not.
    pub async fn import_connection(
        &self,
        claims: &Claims,
        owner: &str,
        new: NewImport,
    ) -> Result<Imported, BrokerError> {
        let mut note = Note::at(claims, Action::Import, owner);
        let imported = self.import_alone(claims, owner, new, &mut note).await;
        if let Ok(imported) = &imported {
            note.connection = Some(imported.detail.connection.id);
            note.action = if imported.renewed { Action::Reconnect } else { Action::Import };
        }
        self.noted(note, imported).await
    }

    async fn import_alone(
        &self,
        claims: &Claims,
        owner: &str,
        new: NewImport,
        note: &mut Note,
    ) -> Result<Imported, BrokerError> {
        let user = claims.own(owner)?;
        self.user(claims).await?;
        let name = new.name.as_deref().map(fields::name).transpose()?;
        self.fresh_services().await?;
        let general = self.find_provider(&new.service, Some("service"))?;
        note.provider = Some(general.id.clone());
        let (provider, values) = new.fit(&general)?;
        let place = Place {
            user,
            username: claims.username().to_owned(),
            provider: general.id.clone(),
            token_type: new.service.to_ascii_lowercase(),
            name,
            connection: None,
        };
        let kind = new.given.kind();
        if !matches!(kind, CredentialKind::OAuth2 | CredentialKind::OAuth1) {
            // The others never take the place of a connection that is there.
            self.require_room(user).await?;
        }
        let mut granted = self.prove(&provider, new.given, values).await?;
        let (id, renewed) = match kind {
            CredentialKind::OAuth2 | CredentialKind::OAuth1 => {
                match self.keep_granted(&place, &provider, &granted).await {
                    Ok(connected) => (connected.id, connected.renewed),
                    Err(ConnectError::Broker(error)) => return Err(error),
                    Err(_) => return Err(BrokerError::Internal("an import went the way of a link")),
                }
            }
            _ => {
                let name = place.name_for(granted.account.as_ref());
                (self.insert_pasted(&place, &name, &mut granted, None).await?, false)
            }
        };
        Ok(Imported { detail: self.detail_of(user, id).await?, renewed })
    }

    /// Makes of what was given what is kept, with the provider's help where it has to be asked.
    pub(crate) async fn prove(
        &self,
        provider: &Arc<Provider>,
        given: Given,
        values: Values,
    ) -> Result<Granted, BrokerError> {
        match given {
            Given::Plain { token } => Ok(Granted {
                access: token,
                refresh: None,
                account: None,
                credential: pasted(CredentialKind::Plain, values),
            }),
            Given::ApiKey { api_key } => {
                self.with_account(provider, api_key, pasted(CredentialKind::ApiKey, values)).await
            }
            Given::Basic { username, password } => {
                let both = format!("{}:{}", username.expose_secret(), password.expose_secret()).into();
                self.with_account(provider, both, pasted(CredentialKind::Basic, values)).await
            }
            Given::OAuth1 { token, token_secret } => {
                self.require_ready(provider)?;
                let account = self.oauth1_account(provider, &token, &token_secret).await;
                Ok(Granted {
                    access: token,
                    refresh: Some(token_secret),
                    account,
                    credential: oauth1_credential(values),
                })
            }
            Given::OAuth2 { access_token, refresh_token, expiry, scopes } => {
                let now = self.clock.now();
                let scopes = fields::scopes(&scopes)?;
                // What cannot be refreshed here would be lost when it is due.
                if refresh_token.is_some() {
                    self.require_ready(provider)?;
                }
                let own = || provider.spends_access_token().then(|| access_token.clone());
                let tokens = TokenSet {
                    refresh_token: refresh_token.or_else(own),
                    access_token: access_token.clone(),
                    expires_in: expiry.map(|expiry| match expiry {
                        Expiry::At(at) => at.since(now),
                        Expiry::In(life) => life,
                    }),
                    refresh_expires_in: None,
                    scopes: Some(scopes.clone()),
                    id_claims: None,
                    account: None,
                    captured: Values::new(),
                };
                self.granted(provider, tokens, now, &scopes, values).await
            }
            Given::ClientCredentials { client, scopes } => {
                if client.is_none() && provider.kind() != Kind::ClientCredentials {
                    // What the operator's client may do as itself is not every user's to do.
                    return Err(BrokerError::field("client_id", Problem::OwnClient));
                }
                self.first_token(provider, client, fields::scopes(&scopes)?, values).await
            }
        }
    }

    /// A pasted credential, and whose it is if the provider says so.
    async fn with_account(
        &self,
        provider: &Provider,
        token: SecretString,
        credential: NewCredential,
    ) -> Result<Granted, BrokerError> {
        let account = self.oauth.identify_with(provider, &token).await.unwrap_or_else(|error| {
            tracing::warn!(provider = %provider.id, %error, "the account behind a pasted credential is not known");
            None
        });
        Ok(Granted { access: token, refresh: None, account, credential })
    }

    /// Stores a credential in a connection of its own: of one account there may be several keys. Only one of them is known
    /// by its account. `spends`: the connect link that is spent by that.
    pub(crate) async fn insert_pasted(
        &self,
        place: &Place,
        name: &ConnectionName,
        granted: &mut Granted,
        spends: Option<&HeldLink>,
    ) -> Result<ConnectionId, BrokerError> {
        match self.insert_granted(place, name, granted, spends).await {
            Err(BrokerError::Store(StoreError::Conflict)) => {
                let account = granted.account.take();
                let kept = self.insert_granted(place, name, granted, spends).await;
                granted.account = account;
                kept
            }
            other => other,
        }
    }

    /// Has the first token for a client (RFC 6749 §4.4), so that a wrong one is refused at once.
    async fn first_token(
        &self,
        provider: &Arc<Provider>,
        client: Option<(String, SecretString)>,
        requested: Scopes,
        values: Values,
    ) -> Result<Granted, BrokerError> {
        let is_own = client.is_some();
        let client = match client {
            Some((id, secret)) => OwnClient { id, secret: secret.expose_secret().to_owned() },
            None => OwnClient::operators(),
        };
        let caller = client.provider(provider);
        if !is_own {
            self.require_no_pause(provider).await?;
        }
        let now = self.clock.now();
        let tokens = self.oauth.client_credentials(&caller, &requested).await;
        if let (Err(cause), false) = (&tokens, is_own) {
            self.note_pause(&provider.id, cause).await;
        }
        let tokens = tokens.map_err(|cause| {
            let service = provider.name.clone();
            match cause {
                OAuthError::NotConfigured { what, .. } => BrokerError::ProviderNotConfigured {
                    service,
                    redirect_uri: provider.redirect_uri(&self.settings.public_url).into(),
                    missing: what.iter().map(|key| format!("providers.{}.{key}", provider.id)).collect(),
                    docs: provider.docs_url().map(ToString::to_string),
                },
                OAuthError::NotSupported { why, .. } => BrokerError::ProviderNotSupported { service, why },
                cause @ OAuthError::Refused { .. } if is_own && !is_passing(&cause) => {
                    BrokerError::CredentialRefused { service, cause }
                }
                cause => BrokerError::provider(&provider.name, cause),
            }
        })?;
        let renewal =
            Renewal { provider, tokens: &tokens, renewable: true, consented_at: now, before: None, now };
        let credential = NewCredential {
            kind: CredentialKind::ClientCredentials,
            scopes: tokens.scopes.clone().unwrap_or_else(|| requested.clone()),
            requested,
            values,
            times: grants::without_end(renewal.deadlines(&*self.random)?),
        };
        let client = serde_json::to_string(&client)
            .map_err(|_| BrokerError::Internal("a client could not be written down"))?;
        Ok(Granted { access: tokens.access_token, refresh: Some(client.into()), account: None, credential })
    }

    async fn detail_of(&self, user: UserId, id: ConnectionId) -> Result<ConnectionDetail, BrokerError> {
        let owned = self.store.find_connection(user, id).await?;
        let connection = owned.and_then(|owned| owned.connection).ok_or(BrokerError::NoSuchConnection)?;
        let health = self.store.find_health(&connection.provider).await?;
        Ok(self.detail(connection, &health))
    }
}

/// Whether a provider of this kind takes a credential of that one. A pasted text always goes.
fn check_kind(provider: &Provider, given: CredentialKind) -> Result<(), BrokerError> {
    let takes: &[CredentialKind] = match provider.kind() {
        Kind::Oauth2 => &[CredentialKind::OAuth2, CredentialKind::ClientCredentials],
        Kind::Oauth1 => &[CredentialKind::OAuth1],
        Kind::ClientCredentials => &[CredentialKind::ClientCredentials],
        Kind::ApiKey => &[CredentialKind::ApiKey],
        Kind::Basic => &[CredentialKind::Basic],
    };
    if given == CredentialKind::Plain || takes.contains(&given) {
        return Ok(());
    }
    let words: Vec<&str> = takes.iter().map(|kind| kind.as_str()).collect();
    let problem = format!(
        "is {}, and {} takes {} (or plain, which is handed out as it is)",
        given.as_str(),
        provider.name,
        words.join(" or ")
    );
    Err(BrokerError::field("kind", problem))
}
