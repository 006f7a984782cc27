//! Connecting an account: the link, the way back, and the browser it must come back in.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokenry_model::{
    Connection, ConnectionId, ConnectionName, ConnectionState, ExposeSecret as _, Flow, FlowKind,
    SecretString, StateHash, Timestamp, User, UserId, Values,
};
use tokenry_oauth::{AuthorizeRequest, Exchange, OAuth, OAuthError, PkceVerifier, Provider, Readiness};
use tokenry_store::{FlowClaim, NewConnection, Parked, StoreError};
use tokenry_vault::{Context, FlowField};
use tracing::Instrument as _;
use url::Url;
use zeroize::Zeroizing;

use crate::boot::{Broker, hash_of, random_token};
use crate::error::BrokerError;
use crate::grants::{self, Granted};
use crate::schedule;
use crate::sessions::{Claims, ENDED};

/// How long a link is good, and how long a grant waits for its owner to sign in.
pub(crate) const FLOW_TTL: Duration = Duration::from_mins(10);
/// How often a connect that lost a race against another for the same account looks again.
const ACCOUNT_TRIES: u32 = 3;

/// A link at which a person connects an account.
#[derive(Debug)]
pub struct ConnectLink {
    /// The service, as it was asked for.
    pub service: String,
    /// Where to send the person.
    pub url: Url,
    /// The cookie that marks the browser which asked.
    pub browser: SecretString,
}

/// What a browser brings back from a provider.
#[derive(Debug, Default)]
pub struct Callback {
    /// The `state` parameter.
    pub state: Option<String>,
    /// The `code` parameter.
    pub code: Option<SecretString>,
    /// The `error` parameter (RFC 6749 §4.1.2.1).
    pub error: Option<String>,
    /// The `iss` parameter (RFC 9207).
    pub issuer: Option<String>,
    /// The provider named by the callback's own path; `None` on the shared one.
    pub provider: Option<String>,
}

/// Who the browser is that comes back.
#[derive(Debug, Default)]
pub struct Claimant {
    /// The cookie that marks the browser.
    pub browser: Option<SecretString>,
    /// The access token it is signed in with.
    pub session: Option<SecretString>,
}

/// A connect that ended well.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// The service's name.
    pub service: String,
    /// The account at the service, in a word the person knows.
    pub account: Option<String>,
    /// Whose connection it is.
    pub username: String,
    /// Whether an existing connection was renewed.
    pub renewed: bool,
}

/// A grant that waits for its owner to sign in.
#[derive(Debug)]
pub struct ParkedConnect {
    /// The service's name.
    pub service: String,
    /// The account at the service that would be connected.
    pub account: Option<String>,
    /// The Tokenry user that would get it.
    pub username: String,
    /// Names the grant in the form.
    pub handle: SecretString,
    /// The cookie that ties the form to this browser.
    pub browser: SecretString,
}

/// How a callback ended that did not fail.
#[derive(Debug)]
pub enum CallbackOutcome {
    /// The connection is stored.
    Connected(Connected),
    /// Another browser asked: the owner must sign in here first.
    Confirm(ParkedConnect),
}

/// Why a connect did not end well. The display text is for the person in front of the browser.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No state, or one that is not ours.
    #[error("this link is not one of ours, or it is so old that it is forgotten")]
    UnknownState,
    /// The state was spent before.
    #[error("this link was used before, and each can be used only once")]
    UsedState,
    /// The state is too old.
    #[error("this link has expired: it was good for ten minutes")]
    ExpiredState,
    /// The answer came to the callback of another provider (RFC 9700 §4.4).
    #[error("the answer came back at the wrong address, so it was not used")]
    WrongCallback,
    /// The person said no.
    #[error("{service} was not connected, because the request was declined there")]
    Declined {
        /// The service's name.
        service: String,
    },
    /// The provider sent an error instead of a code.
    #[error("{service} answered with an error: {error}")]
    Provider {
        /// The service's name.
        service: String,
        /// Its error code, sanitised.
        error: String,
    },
    /// The code could not be exchanged.
    #[error("{service} did not complete the connection: {cause}")]
    Exchange {
        /// The service's name.
        service: String,
        /// Why.
        cause: OAuthError,
    },
    /// It failed on our side, or the person may not.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<StoreError> for ConnectError {
    fn from(error: StoreError) -> Self {
        Self::Broker(error.into())
    }
}

/// What a flow keeps sealed.
#[derive(Serialize)]
struct SecretsOut<'a> {
    verifier: &'a str,
    nonce: Option<&'a str>,
}

#[derive(Deserialize)]
struct SecretsIn {
    verifier: SecretString,
    nonce: Option<String>,
}

impl Broker {
    /// A link at which the caller connects an account. `browser` is the cookie of an earlier link, if the browser has one.
    ///
    /// # Errors
    /// [`BrokerError::UnknownService`], [`BrokerError::ProviderNotConfigured`], [`BrokerError::ProviderAway`] when a
    /// provider's metadata cannot be read; those of a caller who may not.
    pub async fn connect_link(
        &self,
        claims: &Claims,
        service: &str,
        browser: Option<&SecretString>,
    ) -> Result<ConnectLink, BrokerError> {
        let user = self.user(claims).await?;
        let provider = self.find_provider(service, None)?;
        self.require_ready(&provider)?;
        let random = &*self.random;
        let (state, verifier) = (OAuth::make_state(random)?, OAuth::make_verifier(random)?);
        let nonce = OAuth::make_nonce(random)?;
        let redirect_uri = provider.redirect_uri(&self.settings.public_url);
        let scopes = provider.default_scopes();
        let request = AuthorizeRequest {
            redirect_uri: &redirect_uri,
            state: &state,
            verifier: &verifier,
            nonce: Some(&nonce),
            scopes,
        };
        let authorization = self
            .oauth
            .authorize(&provider, request)
            .await
            .map_err(|cause| BrokerError::provider(&provider.name, cause))?;
        let browser = match browser {
            Some(known) if known.expose_secret().len() == 43 => known.clone(),
            _ => random_token(random)?,
        };
        let state_hash = StateHash::new(hash_of(&state));
        let secrets = SecretsOut { verifier: verifier.as_secret().expose_secret(), nonce: Some(&nonce) };
        let secrets = Zeroizing::new(
            serde_json::to_vec(&secrets)
                .map_err(|_| BrokerError::Internal("a flow could not be written down"))?,
        );
        let context = Context::Flow { user: user.id, state: &state_hash, field: FlowField::Secrets };
        let now = self.clock.now();
        let flow = Flow {
            state_hash,
            user_id: user.id,
            token_type: service.to_ascii_lowercase(),
            provider: provider.id.clone(),
            redirect_uri: redirect_uri.into(),
            token_url: authorization.token_url.into(),
            scopes: scopes.clone(),
            secrets: self.vault.seal(&context, &secrets)?,
            browser_hash: hash_of(browser.expose_secret()),
            expires_at: now.plus(FLOW_TTL),
            kind: FlowKind::Code,
            values: Values::new(),
            name: None,
            connection: None,
        };
        self.store.insert_flow(&flow, now).await?;
        Ok(ConnectLink { service: service.to_owned(), url: authorization.url, browser })
    }

    fn require_ready(&self, provider: &Provider) -> Result<(), BrokerError> {
        match provider.readiness() {
            Readiness::Ready => Ok(()),
            Readiness::NotSupported { why, .. } => {
                Err(BrokerError::ProviderNotSupported { service: provider.name.clone(), why })
            }
            Readiness::NeedsSettings { names, .. } => Err(BrokerError::ProviderNotSupported {
                service: provider.name.clone(),
                why: format!("its addresses differ from account to account: it needs {}", names.join(", ")),
            }),
            Readiness::Missing { what, docs_url } => Err(BrokerError::ProviderNotConfigured {
                service: provider.name.clone(),
                redirect_uri: provider.redirect_uri(&self.settings.public_url).into(),
                missing: what.into_iter().map(|key| format!("providers.{}.{key}", provider.id)).collect(),
                docs: docs_url.map(Into::into),
            }),
        }
    }

    /// Ends a connect: the state is spent, the code exchanged, the account named. In the browser that asked for the link, or
    /// one signed in as the same user, the connection is stored; in any other the owner must sign in first.
    ///
    /// # Errors
    /// [`ConnectError`]; nothing is stored then.
    pub async fn complete(
        &self,
        callback: Callback,
        claimant: Claimant,
    ) -> Result<CallbackOutcome, ConnectError> {
        let broker = self.clone();
        self.untorn(async move { broker.complete_alone(callback, &claimant).await }).await
    }

    /// Runs to its end in a task of its own: a browser that hangs up between the exchange and the row must not cost
    /// the person the grant.
    async fn untorn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ConnectError>> + Send + 'static,
    ) -> Result<T, ConnectError> {
        self.tasks
            .spawn(work.in_current_span())
            .await
            .map_err(|_| BrokerError::Internal("a connect ended without an outcome"))?
    }

    async fn complete_alone(
        &self,
        callback: Callback,
        claimant: &Claimant,
    ) -> Result<CallbackOutcome, ConnectError> {
        let flow = self.claim_flow(callback.state.as_deref()).await?;
        let provider = self.stored_provider(&flow.provider)?;
        let granted = self.exchange(&provider, &flow, &callback).await.inspect_err(|error| {
            let outcome = if matches!(error, ConnectError::Declined { .. }) { "declined" } else { "failed" };
            self.metrics.connected(provider.id.as_str(), outcome);
            tracing::warn!(provider = %provider.id, user = %flow.user_id, %error, "a connect failed");
        })?;
        let owner = self.store.find_user(flow.user_id).await?.ok_or(ENDED)?;
        if self.is_owner(&flow, &owner, claimant) {
            let connected = self.keep_granted(&flow, &owner, &provider, &granted).await?;
            return Ok(CallbackOutcome::Connected(connected));
        }
        Ok(CallbackOutcome::Confirm(self.park(&flow, &owner, &provider, granted, claimant).await?))
    }

    async fn claim_flow(&self, state: Option<&str>) -> Result<Flow, ConnectError> {
        let state = state.filter(|s| !s.is_empty() && s.len() <= 512).ok_or(ConnectError::UnknownState)?;
        match self.store.claim_flow(&StateHash::new(hash_of(state)), self.clock.now()).await? {
            FlowClaim::Claimed(flow) => Ok(*flow),
            FlowClaim::Used => Err(ConnectError::UsedState),
            FlowClaim::Expired => Err(ConnectError::ExpiredState),
            FlowClaim::Unknown => Err(ConnectError::UnknownState),
        }
    }

    async fn exchange(
        &self,
        provider: &Provider,
        flow: &Flow,
        callback: &Callback,
    ) -> Result<Granted, ConnectError> {
        let service = || provider.name.clone();
        let expected = provider.is_custom().then(|| provider.id.as_str());
        if callback.provider.as_deref() != expected {
            return Err(ConnectError::WrongCallback);
        }
        let failed = |cause| ConnectError::Exchange { service: service(), cause };
        self.oauth.check_issuer(provider, callback.issuer.as_deref()).await.map_err(failed)?;
        match callback.error.as_deref() {
            Some("access_denied") => return Err(ConnectError::Declined { service: service() }),
            Some(error) => {
                let error = error.chars().filter(char::is_ascii_graphic).take(64).collect();
                return Err(ConnectError::Provider { service: service(), error });
            }
            None => {}
        }
        let Some(code) = callback.code.as_ref().filter(|code| !code.expose_secret().is_empty()) else {
            return Err(ConnectError::Provider { service: service(), error: "no code came back".to_owned() });
        };
        let secrets = self.open_flow_secrets(flow)?;
        let parse =
            |text: &str| Url::parse(text).map_err(|_| BrokerError::Internal("a stored URL is broken"));
        let exchange = Exchange {
            code,
            redirect_uri: &parse(&flow.redirect_uri)?,
            verifier: &PkceVerifier::new(secrets.verifier),
            nonce: secrets.nonce.as_deref(),
            token_url: &parse(&flow.token_url)?,
            scopes: &flow.scopes,
            captured: &flow.values,
        };
        let tokens = self.oauth.exchange(provider, exchange).await.map_err(failed)?;
        // The code is spent: from here on a failure would lose the grant. One without a name still works.
        let account = self.oauth.identify(provider, &tokens).await.unwrap_or_else(|error| {
            tracing::warn!(provider = %provider.id, %error, "the account behind a new grant is not known");
            None
        });
        let now = self.clock.now();
        let credential =
            grants::credential(provider, &tokens, &flow.scopes, flow.values.clone(), &*self.random, now)
                .map_err(BrokerError::from)?;
        Ok(Granted { access: tokens.access_token, refresh: tokens.refresh_token, account, credential })
    }

    fn open_flow_secrets(&self, flow: &Flow) -> Result<SecretsIn, BrokerError> {
        let context =
            Context::Flow { user: flow.user_id, state: &flow.state_hash, field: FlowField::Secrets };
        let opened = self.vault.open(&context, &flow.secrets)?;
        serde_json::from_slice(opened.expose_secret())
            .map_err(|_| BrokerError::Internal("a flow cannot be read"))
    }

    /// Whether the browser that came back is the one that asked, or is signed in as the same user.
    fn is_owner(&self, flow: &Flow, owner: &User, claimant: &Claimant) -> bool {
        let same_browser = claimant
            .browser
            .as_ref()
            .is_some_and(|cookie| hash_of(cookie.expose_secret()) == flow.browser_hash);
        let signed_in = || {
            let token = claimant.session.as_ref()?;
            let claims = self.sessions.verify(token.expose_secret(), self.clock.now()).ok()?;
            (claims.user == owner.id && claims.check_epoch(Some(owner.session_epoch)).is_ok()).then_some(())
        };
        same_browser || signed_in().is_some()
    }

    /// Stores a grant: into the user's connection for this account if there is one, into a new one otherwise.
    async fn keep_granted(
        &self,
        flow: &Flow,
        owner: &User,
        provider: &Provider,
        granted: &Granted,
    ) -> Result<Connected, BrokerError> {
        let label = granted.account.as_ref().and_then(|account| account.label.clone());
        let mut tries = 0;
        let (id, name, renewed) = loop {
            if let Some(existing) = self.find_same_account(flow, granted).await? {
                if self.renew(&existing, granted).await? {
                    break (existing.id, existing.name, true);
                }
            } else {
                let account = label.as_ref().or(granted.account.as_ref().map(|account| &account.id));
                let name = match account {
                    Some(account) => ConnectionName::from_label(&format!("{} ({account})", flow.token_type)),
                    None => ConnectionName::from_label(&flow.token_type),
                };
                match self.insert_granted(flow, &name, granted).await {
                    Err(BrokerError::Store(StoreError::Conflict)) => {}
                    other => break (other?, name, false),
                }
            }
            tries += 1;
            if tries == ACCOUNT_TRIES {
                return Err(BrokerError::Internal("a connect kept losing a race for its account"));
            }
        };
        self.metrics.connected(provider.id.as_str(), if renewed { "renewed" } else { "ok" });
        tracing::info!(connection = %id, provider = %provider.id, user = %owner.id, renewed, "connected");
        Ok(Connected {
            id,
            name: name.as_str().to_owned(),
            service: provider.name.clone(),
            account: label,
            username: owner.username.to_string(),
            renewed,
        })
    }

    async fn find_same_account(
        &self,
        flow: &Flow,
        granted: &Granted,
    ) -> Result<Option<Connection>, BrokerError> {
        match &granted.account {
            Some(account) => {
                Ok(self.store.find_connection_by_account(flow.user_id, &flow.provider, &account.id).await?)
            }
            None => Ok(None),
        }
    }

    async fn renew(&self, existing: &Connection, granted: &Granted) -> Result<bool, BrokerError> {
        let (user, id) = (existing.user_id, existing.id);
        let sealed = grants::seal_grant(&self.vault, user, id, &granted.access, granted.refresh.as_ref())?;
        let mut credential = granted.credential.clone();
        let keeps_refresh = granted.refresh.is_none() && existing.refresh_token.is_some();
        if keeps_refresh && existing.kind == credential.kind && existing.state == ConnectionState::Ok {
            credential.times = schedule::with_kept_refresh(credential.times, existing.times);
        }
        let account = granted.account.as_ref();
        Ok(self.store.update_reconnected(user, id, account, &sealed, &credential, self.clock.now()).await?)
    }

    async fn insert_granted(
        &self,
        flow: &Flow,
        name: &ConnectionName,
        granted: &Granted,
    ) -> Result<ConnectionId, BrokerError> {
        let new = NewConnection {
            user_id: flow.user_id,
            name: name.clone(),
            token_type: flow.token_type.clone(),
            provider: flow.provider.clone(),
            account: granted.account.clone(),
            credential: granted.credential.clone(),
        };
        self.store
            .insert_connection(&new, self.clock.now(), |id| {
                let refresh = granted.refresh.as_ref();
                grants::seal_grant(&self.vault, flow.user_id, id, &granted.access, refresh)
                    .map_err(BrokerError::from)
            })
            .await
    }

    /// Keeps a grant for its owner, sealed, and ties it to the browser it came back in.
    async fn park(
        &self,
        flow: &Flow,
        owner: &User,
        provider: &Provider,
        granted: Granted,
        claimant: &Claimant,
    ) -> Result<ParkedConnect, BrokerError> {
        let handle = random_token(&*self.random)?;
        let browser = match &claimant.browser {
            Some(known) if known.expose_secret().len() == 43 => known.clone(),
            _ => random_token(&*self.random)?,
        };
        let bytes = granted.to_bytes().ok_or(BrokerError::Internal("a grant could not be written down"))?;
        let sealed = self.vault.seal(&grant_context(flow.user_id, &flow.state_hash), &bytes)?;
        let expires_at: Timestamp = self.clock.now().plus(FLOW_TTL);
        let (confirm, of_browser) = (hash_of(handle.expose_secret()), hash_of(browser.expose_secret()));
        self.store.update_flow_parked(&flow.state_hash, &confirm, &of_browser, &sealed, expires_at).await?;
        self.metrics.connected(provider.id.as_str(), "to_confirm");
        Ok(ParkedConnect {
            service: provider.name.clone(),
            account: granted.account.and_then(|account| account.label.or(Some(account.id))),
            username: owner.username.to_string(),
            handle,
            browser,
        })
    }

    pub(crate) fn open_parked(&self, parked: &Parked) -> Result<Granted, BrokerError> {
        let opened =
            self.vault.open(&grant_context(parked.flow.user_id, &parked.flow.state_hash), &parked.grant)?;
        Granted::from_bytes(opened.expose_secret())
            .ok_or(BrokerError::Internal("a waiting grant cannot be read"))
    }

    /// What waits under a handle, to be shown again.
    ///
    /// # Errors
    /// [`ConnectError::UnknownState`] when nothing waits there for this browser.
    pub async fn find_parked(
        &self,
        handle: &SecretString,
        browser: &SecretString,
    ) -> Result<ParkedConnect, ConnectError> {
        let (parked, owner) = self.look_up_parked(handle, browser).await?;
        let granted = self.open_parked(&parked)?;
        Ok(ParkedConnect {
            service: self.stored_provider(&parked.flow.provider)?.name.clone(),
            account: granted.account.and_then(|account| account.label.or(Some(account.id))),
            username: owner.username.to_string(),
            handle: handle.clone(),
            browser: browser.clone(),
        })
    }

    async fn look_up_parked(
        &self,
        handle: &SecretString,
        browser: &SecretString,
    ) -> Result<(Parked, User), ConnectError> {
        let (confirm, of_browser) = (hash_of(handle.expose_secret()), hash_of(browser.expose_secret()));
        let parked = self
            .store
            .find_parked(&confirm, &of_browser, self.clock.now())
            .await?
            .ok_or(ConnectError::UnknownState)?;
        let owner = self.store.find_user(parked.flow.user_id).await?.ok_or(ConnectError::UnknownState)?;
        Ok((parked, owner))
    }

    /// The owner signs in, in the browser the grant came back in, and the connection is stored. Returns it and an access
    /// token for that browser.
    ///
    /// # Errors
    /// [`BrokerError::WrongLogin`] and [`BrokerError::TooManyAttempts`], after which it can be tried again;
    /// [`ConnectError::UnknownState`].
    pub async fn confirm(
        &self,
        handle: &SecretString,
        browser: &SecretString,
        password: &SecretString,
        address: IpAddr,
    ) -> Result<(Connected, SecretString), ConnectError> {
        let (parked, owner) = self.look_up_parked(handle, browser).await?;
        let Some(user) = self.check_login(&owner.username, password, address, None).await? else {
            return Err(BrokerError::WrongLogin.into());
        };
        let broker = self.clone();
        let owner = user.clone();
        let (confirm, of_browser) = (hash_of(handle.expose_secret()), hash_of(browser.expose_secret()));
        let connected = self
            .untorn(async move {
                let claimed = broker.store.claim_parked(&parked.flow.state_hash).await?;
                let parked = claimed.ok_or(ConnectError::UsedState)?;
                let kept = broker.keep_parked(&parked, &owner).await;
                if kept.is_err() {
                    // The form stays good: the same handle, in the same browser.
                    let (state, until) = (&parked.flow.state_hash, broker.clock.now().plus(FLOW_TTL));
                    broker
                        .store
                        .update_flow_parked(state, &confirm, &of_browser, &parked.grant, until)
                        .await?;
                }
                Ok(kept?)
            })
            .await?;
        let session =
            self.sessions.issue(&user, None, self.clock.now(), &*self.random).map_err(ConnectError::from)?;
        Ok((connected, session))
    }

    async fn keep_parked(&self, parked: &Parked, owner: &User) -> Result<Connected, BrokerError> {
        let granted = self.open_parked(parked)?;
        let provider = self.stored_provider(&parked.flow.provider)?;
        self.keep_granted(&parked.flow, owner, &provider, &granted).await
    }

    /// The person does not want it: the grant is given back. Returns whether the provider confirmed that.
    ///
    /// # Errors
    /// [`ConnectError::UnknownState`] when nothing waits there for this browser.
    pub async fn abandon(&self, handle: &SecretString, browser: &SecretString) -> Result<bool, ConnectError> {
        let (parked, _) = self.look_up_parked(handle, browser).await?;
        Ok(self.drop_parked(&parked).await?)
    }
}

const fn grant_context(user: UserId, state: &StateHash) -> Context<'_> {
    Context::Flow { user, state, field: FlowField::Grant }
}
