//! Links at which people connect accounts.

use tokenry_model::{
    Action, Connection, ConnectionId, ConnectionName, ExposeSecret as _, Flow, FlowKind, LinkId, Scopes,
    SecretString, StateHash, Values,
};
use tokenry_oauth::{AuthorizeRequest, Kind, OAuth, Provider, Readiness};
use url::Url;

use super::{ConnectLink, FLOW_TTL, SecretsOut};
use crate::audit::Note;
use crate::boot::{Broker, filled, hash_of, random_token};
use crate::error::BrokerError;
use crate::fields;
use crate::sessions::Claims;

/// A link for a connection that is not there yet.
#[derive(Debug)]
pub struct AuthorizeNew {
    /// The service: an id or an alias.
    pub service: String,
    /// What to call the connection; after the service and the account if it is `None`.
    pub name: Option<String>,
    /// What to ask for; the service's usual scopes if it is `None`.
    pub scopes: Option<Vec<String>>,
    /// What differs from connection to connection at this service.
    pub settings: Values,
}

/// A link for a connection that is there.
#[derive(Debug)]
pub struct AuthorizeConnection {
    /// What to ask for besides what it has asked for before.
    pub scopes: Vec<String>,
    /// Settings that the connection lacks.
    pub settings: Values,
}

/// What a flow is begun with.
pub(crate) struct Beginning<'a> {
    /// With the connection's settings filled in.
    pub(crate) provider: &'a Provider,
    pub(crate) token_type: String,
    pub(crate) scopes: Scopes,
    pub(crate) values: Values,
    pub(crate) name: Option<ConnectionName>,
    pub(crate) connection: Option<ConnectionId>,
    /// The cookie of an earlier link, if the browser has one.
    pub(crate) browser: Option<&'a SecretString>,
    /// The connect link that it is begun with.
    pub(crate) link: Option<LinkId>,
}

/// Where a flow sends the person, and what it keeps.
struct Sent {
    url: Url,
    redirect_uri: Url,
    token_url: String,
    kind: FlowKind,
    sealed: tokenry_model::Sealed,
    good_for: std::time::Duration,
}

impl Broker {
    /// A link at which the caller connects an account. `browser` is the cookie of an earlier link, if the browser has one.
    ///
    /// # Errors
    /// [`BrokerError::UnknownService`], [`BrokerError::ProviderNotConfigured`], [`BrokerError::SettingsRequired`],
    /// [`BrokerError::ProviderAway`] when a provider's metadata cannot be read; those of a caller who may not.
    pub async fn connect_link(
        &self,
        claims: &Claims,
        service: &str,
        browser: Option<&SecretString>,
    ) -> Result<ConnectLink, BrokerError> {
        let mut note = Note::by(claims, Action::ConnectBegin);
        let link = self.plain_link(claims, service, browser, &mut note).await;
        self.noted(note, link).await
    }

    async fn plain_link(
        &self,
        claims: &Claims,
        service: &str,
        browser: Option<&SecretString>,
        note: &mut Note,
    ) -> Result<ConnectLink, BrokerError> {
        let user = self.user(claims).await?;
        self.fresh_services().await?;
        let provider = self.find_provider(service, None)?;
        note.provider = Some(provider.id.clone());
        let beginning = Beginning {
            provider: &provider,
            token_type: service.to_owned(),
            scopes: provider.default_scopes().clone(),
            // The connection stays where it was made, whatever the operator fixes later.
            values: provider.trusted_settings(),
            name: None,
            connection: None,
            browser,
            link: None,
        };
        self.begin(user.id, beginning).await
    }

    /// A link at which the caller connects an account, with settings, scopes and a name of its own.
    ///
    /// # Errors
    /// As [`Broker::connect_link`], and [`BrokerError::Field`] and [`BrokerError::Setting`] for what was said.
    pub async fn authorize_new(
        &self,
        claims: &Claims,
        owner: &str,
        new: AuthorizeNew,
        browser: Option<&SecretString>,
    ) -> Result<ConnectLink, BrokerError> {
        let mut note = Note::at(claims, Action::ConnectBegin, owner);
        let link = self.new_link(claims, owner, new, browser, &mut note).await;
        self.noted(note, link).await
    }

    async fn new_link(
        &self,
        claims: &Claims,
        owner: &str,
        new: AuthorizeNew,
        browser: Option<&SecretString>,
        note: &mut Note,
    ) -> Result<ConnectLink, BrokerError> {
        let user = claims.own(owner)?;
        self.user(claims).await?;
        let name = new.name.as_deref().map(fields::name).transpose()?;
        self.fresh_services().await?;
        let provider = self.find_provider(&new.service, Some("service"))?;
        note.provider = Some(provider.id.clone());
        self.require_link(&provider)?;
        let scopes = match &new.scopes {
            Some(scopes) => fields::scopes(scopes)?,
            None => provider.default_scopes().clone(),
        };
        let values = fields::settings(&provider, &new.settings)?;
        let provider = filled(&provider, &values)?;
        let token_type = new.service;
        let beginning = Beginning {
            provider: &provider,
            token_type,
            scopes,
            values,
            name,
            connection: None,
            browser,
            link: None,
        };
        self.begin(user, beginning).await
    }

    /// A link at which the caller connects the account of a connection again, perhaps with more scopes. The connection
    /// keeps its id.
    ///
    /// # Errors
    /// As [`Broker::authorize_new`], and [`BrokerError::NoSuchConnection`].
    pub async fn authorize_connection(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
        again: AuthorizeConnection,
        browser: Option<&SecretString>,
    ) -> Result<ConnectLink, BrokerError> {
        let mut note = Note::at(claims, Action::ConnectBegin, owner).on(id);
        let link = async {
            let connection = self.own_connection(claims, owner, id).await?;
            note.saw(&connection);
            self.link_again(&connection, again, browser).await
        };
        let link = link.await;
        self.noted(note, link).await
    }

    async fn link_again(
        &self,
        connection: &Connection,
        again: AuthorizeConnection,
        browser: Option<&SecretString>,
    ) -> Result<ConnectLink, BrokerError> {
        self.fresh_services().await?;
        let provider = self.stored_provider(&connection.provider)?;
        self.require_link(&provider)?;
        let more = fields::scopes(&again.scopes)?;
        let before =
            if connection.requested.is_empty() { provider.default_scopes() } else { &connection.requested };
        let scopes = before.iter().chain(more.iter()).collect();
        let values = fields::settings(&provider, &merged(&provider, connection, again.settings)?)?;
        let provider = filled(&provider, &values)?;
        let beginning = Beginning {
            provider: &provider,
            token_type: connection.token_type.clone(),
            scopes,
            values,
            name: None,
            connection: Some(connection.id),
            browser,
            link: None,
        };
        self.begin(connection.user_id, beginning).await
    }

    /// Refuses a provider that no settings could make connectable.
    pub(crate) fn require_link(&self, provider: &Provider) -> Result<(), BrokerError> {
        match self.require_ready(provider) {
            Err(BrokerError::SettingsRequired { .. }) => Ok(()),
            other => other,
        }
    }

    pub(crate) async fn begin(
        &self,
        user: tokenry_model::UserId,
        beginning: Beginning<'_>,
    ) -> Result<ConnectLink, BrokerError> {
        let random = &*self.random;
        let provider = beginning.provider;
        self.require_ready(provider)?;
        let state = OAuth::make_state(random)?;
        let state_hash = StateHash::new(hash_of(&state));
        let sent = match provider.kind() {
            Kind::Oauth1 => self.send_with_token(user, provider, &state, &state_hash).await?,
            _ => self.send_with_code(user, provider, &beginning.scopes, &state, &state_hash).await?,
        };
        let browser = match beginning.browser {
            Some(known) if known.expose_secret().len() == 43 => known.clone(),
            _ => random_token(random)?,
        };
        let now = self.clock.now();
        let flow = Flow {
            state_hash,
            user_id: user,
            token_type: beginning.token_type.to_ascii_lowercase(),
            provider: provider.id.clone(),
            redirect_uri: sent.redirect_uri.into(),
            token_url: sent.token_url,
            scopes: beginning.scopes,
            secrets: sent.sealed,
            browser_hash: hash_of(browser.expose_secret()),
            expires_at: now.plus(FLOW_TTL),
            kind: sent.kind,
            values: beginning.values,
            name: beginning.name,
            connection: beginning.connection,
            link: beginning.link,
        };
        self.store.insert_flow(&flow, now).await?;
        self.forget_oldest_flows(&flow).await?;
        Ok(ConnectLink {
            service: beginning.token_type,
            url: sent.url,
            browser,
            expires_at: now.plus(sent.good_for.min(FLOW_TTL)),
        })
    }

    /// The authorization code grant (RFC 6749 §4.1).
    async fn send_with_code(
        &self,
        user: tokenry_model::UserId,
        provider: &Provider,
        scopes: &Scopes,
        state: &str,
        state_hash: &StateHash,
    ) -> Result<Sent, BrokerError> {
        let random = &*self.random;
        let (verifier, nonce) = (OAuth::make_verifier(random)?, OAuth::make_nonce(random)?);
        let redirect_uri = provider.redirect_uri(&self.settings.public_url);
        let request = AuthorizeRequest {
            redirect_uri: &redirect_uri,
            state,
            verifier: &verifier,
            nonce: Some(&nonce),
            scopes,
        };
        let pushes = self.oauth.pushes(provider).await;
        if pushes.map_err(|cause| BrokerError::provider(&provider.name, cause))? {
            self.require_no_pause(provider).await?;
        }
        let authorization = match self.oauth.authorize(provider, request).await {
            Ok(authorization) => authorization,
            Err(cause) => return Err(self.heard(provider, cause).await),
        };
        let secrets = SecretsOut {
            verifier: Some(verifier.as_secret().expose_secret()),
            nonce: Some(&nonce),
            ..SecretsOut::default()
        };
        Ok(Sent {
            url: authorization.url,
            redirect_uri,
            token_url: authorization.token_url.into(),
            kind: FlowKind::Code,
            sealed: self.seal_flow_secrets(user, state_hash, &secrets)?,
            good_for: authorization.good_for.unwrap_or(FLOW_TTL),
        })
    }

    /// OAuth 1.0a (RFC 5849 §2). It has no state: ours travels in the query of the callback.
    async fn send_with_token(
        &self,
        user: tokenry_model::UserId,
        provider: &Provider,
        state: &str,
        state_hash: &StateHash,
    ) -> Result<Sent, BrokerError> {
        let mut redirect_uri = provider.redirect_uri(&self.settings.public_url);
        redirect_uri.query_pairs_mut().append_pair("state", state);
        self.require_no_pause(provider).await?;
        let begun = match self.oauth.oauth1_begin(provider, &redirect_uri).await {
            Ok(begun) => begun,
            Err(cause) => return Err(self.heard(provider, cause).await),
        };
        // The state is nobody's to read in the row.
        redirect_uri.set_query(None);
        let secrets = SecretsOut {
            token: Some(&begun.token),
            token_secret: Some(begun.secret.expose_secret()),
            ..SecretsOut::default()
        };
        Ok(Sent {
            url: begun.url,
            redirect_uri,
            token_url: String::new(),
            kind: FlowKind::OAuth1,
            sealed: self.seal_flow_secrets(user, state_hash, &secrets)?,
            good_for: FLOW_TTL,
        })
    }

    /// Refuses a provider that cannot be connected here as things are.
    pub(crate) fn require_ready(&self, provider: &Provider) -> Result<(), BrokerError> {
        match provider.readiness() {
            Readiness::Ready => Ok(()),
            Readiness::NotSupported { why, .. } => {
                Err(BrokerError::ProviderNotSupported { service: provider.name.clone(), why })
            }
            Readiness::NeedsSettings { names, .. } => {
                let say = |name: &String| match provider.settings().get(name) {
                    Some(setting) => format!("{name} ({}, such as {})", setting.title, setting.example),
                    None => name.clone(),
                };
                Err(BrokerError::SettingsRequired {
                    service: provider.name.clone(),
                    settings: names.iter().map(say).collect(),
                })
            }
            Readiness::Missing { what, docs_url } => Err(BrokerError::ProviderNotConfigured {
                service: provider.name.clone(),
                redirect_uri: provider.redirect_uri(&self.settings.public_url).into(),
                missing: what.into_iter().map(|key| format!("providers.{}.{key}", provider.id)).collect(),
                docs: docs_url.map(Into::into),
            }),
        }
    }
}

/// The settings of a connection with those that it lacks. One that it has cannot be another: that would be another
/// connection.
fn merged(provider: &Provider, connection: &Connection, given: Values) -> Result<Values, BrokerError> {
    let mut all: Values = connection
        .values
        .iter()
        .filter(|(name, _)| provider.settings().contains_key(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in given {
        if all.get(&name).is_some_and(|known| *known != value) {
            let problem = "is another one at this connection; make a new connection for it".to_owned();
            return Err(BrokerError::Setting { name: fields::shown(&name), problem });
        }
        all.insert(name, value);
    }
    Ok(all)
}
