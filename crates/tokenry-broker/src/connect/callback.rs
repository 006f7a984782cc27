//! The way back: the state is spent, what came with the person is exchanged, the account is named.

use std::sync::Arc;

use tokenry_model::{
    Action, Actor, CredentialKind, Deadlines, ExposeSecret as _, Flow, FlowKind, Link, Scopes, SecretString,
    StateHash, Timestamp, User, Values,
};
use tokenry_oauth::{Exchange, OAuthError, PkceVerifier, Provider, TokenSet};
use tokenry_store::{FlowClaim, NewCredential};
use url::Url;

use super::{Callback, CallbackOutcome, Claimant, Completed, ConnectError, SecretsIn};
use crate::audit::Note;
use crate::boot::{Broker, hash_of};
use crate::error::BrokerError;
use crate::grants::{self, Granted};
use crate::links::LinkEnd;
use crate::sessions::ENDED;

/// A flow's secrets are not those of its kind.
const WRONG_SECRETS: BrokerError = BrokerError::Internal("a flow does not hold what its kind needs");

impl Broker {
    /// Ends a connect: the state is spent, the code exchanged, the account named. In the browser that asked for the link, or
    /// one signed in as the same user, the connection is stored; in any other the owner must sign in first.
    ///
    /// [`Completed::outcome`] says how it ended; nothing is stored if that is an error.
    pub async fn complete(&self, callback: Callback, claimant: Claimant) -> Completed {
        let broker = self.clone();
        let whole = self.untorn(async move { Ok(broker.complete_alone(callback, &claimant).await) }).await;
        whole.unwrap_or_else(|error| Completed { outcome: Err(error), link: None })
    }

    async fn complete_alone(&self, callback: Callback, claimant: &Claimant) -> Completed {
        let mut note = Note::new(Actor::Anonymous, Action::Connect).from(claimant.from.clone());
        let mut link = None;
        let ended = self.end_flow(callback, claimant, &mut note, &mut link).await;
        Completed { outcome: self.noted_callback(note, ended).await, link }
    }

    /// Notes how a connect ended, and gives that on.
    pub(crate) async fn noted_callback(
        &self,
        note: Note,
        ended: Result<CallbackOutcome, ConnectError>,
    ) -> Result<CallbackOutcome, ConnectError> {
        match ended {
            Ok(CallbackOutcome::Connected(connected)) => {
                Ok(CallbackOutcome::Connected(Box::new(self.noted_connect(note, Ok(*connected)).await?)))
            }
            Ok(parked) => {
                self.note_parked(note, Action::ConnectPark);
                Ok(parked)
            }
            Err(error) => {
                self.note_failed_connect(note, &error);
                Err(error)
            }
        }
    }

    async fn end_flow(
        &self,
        callback: Callback,
        claimant: &Claimant,
        note: &mut Note,
        link_end: &mut Option<LinkEnd>,
    ) -> Result<CallbackOutcome, ConnectError> {
        // Before the state is spent: what it takes to go on is known then.
        self.fresh_services().await?;
        let flow = self.claim_flow(callback.state.as_deref()).await?;
        (note.owner, note.provider) = (Some(flow.user_id), Some(flow.provider.clone()));
        // Before anything is exchanged: of several connects that were begun with one link, one ends.
        let link = self.claim_link_of(&flow).await?;
        let mut ended = self.finish_flow(&flow, link.as_ref(), &callback, claimant, note).await;
        if let Some(link) = link {
            *link_end = self.end_link(link, &flow, note, &ended).await;
            if let Ok(CallbackOutcome::Connected(connected)) = &mut ended {
                connected.link = link_end.clone().map(Box::new);
            }
        }
        ended
    }

    async fn finish_flow(
        &self,
        flow: &Flow,
        link: Option<&Link>,
        callback: &Callback,
        claimant: &Claimant,
        note: &mut Note,
    ) -> Result<CallbackOutcome, ConnectError> {
        let provider = self.provider_with(&flow.provider, &flow.values)?;
        let granted = self.take_grant(&provider, flow, callback).await.inspect_err(|error| {
            let outcome = if matches!(error, ConnectError::Declined { .. }) { "declined" } else { "failed" };
            self.metrics.connected(provider.id.as_str(), outcome);
            tracing::warn!(provider = %provider.id, user = %flow.user_id, %error, "a connect failed");
        })?;
        let owner = match self.store.find_user(flow.user_id).await {
            Ok(Some(owner)) => owner,
            other => {
                self.give_back_later(flow.clone(), granted);
                return Err(other.map_or_else(Into::into, |_| ENDED.into()));
            }
        };
        // A link that its owner took into another browser is no longer the first one's.
        let is_its_browser = link.is_none_or(|link| link.browser_hash == Some(flow.browser_hash));
        if self.is_owner(flow, is_its_browser, &owner, claimant).await {
            note.actor = Actor::User(owner.id);
            let connected = self.keep_or_give_back(flow, &provider, granted).await?;
            return Ok(CallbackOutcome::Connected(Box::new(connected)));
        }
        match self.park(flow, &owner, &provider, &granted, claimant).await {
            Ok(parked) => Ok(CallbackOutcome::Confirm(parked)),
            Err(error) => {
                self.give_back_later(flow.clone(), granted);
                Err(error.into())
            }
        }
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

    async fn take_grant(
        &self,
        provider: &Arc<Provider>,
        flow: &Flow,
        callback: &Callback,
    ) -> Result<Granted, ConnectError> {
        let service = || provider.name.clone();
        // By what was registered when the flow began: the provider may have been described anew since.
        let own = format!("/callback/{}", provider.id);
        let is_own = Url::parse(&flow.redirect_uri).is_ok_and(|uri| uri.path().ends_with(&own));
        let expected = is_own.then(|| provider.id.as_str());
        if callback.provider.as_deref() != expected {
            return Err(ConnectError::WrongCallback);
        }
        let failed = |cause| ConnectError::Exchange { service: service(), cause };
        if flow.kind == FlowKind::Code {
            self.oauth.check_issuer(provider, callback.issuer.as_deref()).await.map_err(failed)?;
        }
        // OAuth 1.0a has no word for it; this one is in use.
        let denied = flow.kind == FlowKind::OAuth1 && callback.others.contains_key("denied");
        match callback.error.as_deref() {
            Some("access_denied") => return Err(ConnectError::Declined { service: service() }),
            Some(error) => {
                let error = error.chars().filter(char::is_ascii_graphic).take(64).collect();
                return Err(ConnectError::Provider { service: service(), error });
            }
            None if denied => return Err(ConnectError::Declined { service: service() }),
            None => {}
        }
        let secrets = self.open_flow_secrets(flow).await?;
        match flow.kind {
            FlowKind::Code => self.exchange_code(provider, flow, callback, secrets).await,
            FlowKind::OAuth1 => self.exchange_token(provider, flow, callback, secrets).await,
            FlowKind::Device => Err(ConnectError::UnknownState),
        }
    }

    async fn exchange_code(
        &self,
        provider: &Arc<Provider>,
        flow: &Flow,
        callback: &Callback,
        secrets: SecretsIn,
    ) -> Result<Granted, ConnectError> {
        let service = || provider.name.clone();
        let failed = |cause| ConnectError::Exchange { service: service(), cause };
        let sent = match provider.code_param() {
            "code" => callback.code.as_ref(),
            other => callback.others.get(other),
        };
        let Some(code) = sent.filter(|code| !code.expose_secret().is_empty()) else {
            return Err(ConnectError::Provider { service: service(), error: "no code came back".to_owned() });
        };
        let captured = provider.capture_callback(&captures(provider, callback)).map_err(failed)?;
        let parse =
            |text: &str| Url::parse(text).map_err(|_| BrokerError::Internal("a stored URL is broken"));
        let exchange = Exchange {
            code,
            redirect_uri: &parse(&flow.redirect_uri)?,
            verifier: &PkceVerifier::new(secrets.verifier.ok_or(WRONG_SECRETS)?),
            nonce: secrets.nonce.as_deref(),
            token_url: &parse(&flow.token_url)?,
            scopes: &flow.scopes,
            captured: &captured,
        };
        let asked_at = self.clock.now();
        let tokens = match self.oauth.exchange(provider, exchange).await {
            Ok(tokens) => tokens,
            Err(cause) => {
                self.note_pause(&provider.id, &cause).await;
                return Err(failed(cause));
            }
        };
        let mut values = flow.values.clone();
        values.extend(captured);
        Ok(self.granted(provider, tokens, asked_at, &flow.scopes, values).await?)
    }

    /// What there is to keep of tokens that a provider has just given; `asked_at` is when it was asked, and from then on they
    /// live. From here on a failure would lose the grant: one without a name still works.
    pub(crate) async fn granted(
        &self,
        provider: &Arc<Provider>,
        tokens: TokenSet,
        asked_at: Timestamp,
        requested: &Scopes,
        mut values: Values,
    ) -> Result<Granted, BrokerError> {
        values.extend(tokens.captured.clone());
        // What was captured may say where the account is described.
        let provider = provider.for_connection(&values).unwrap_or_else(|error| {
            tracing::warn!(provider = %provider.id, %error, "a captured value is of no use");
            Arc::clone(provider)
        });
        let account = self.oauth.identify(&provider, &tokens).await.unwrap_or_else(|error| {
            tracing::warn!(provider = %provider.id, %error, "the account behind a new grant is not known");
            None
        });
        let credential = grants::credential(&provider, &tokens, requested, values, &*self.random, asked_at)?;
        Ok(Granted { access: tokens.access_token, refresh: tokens.refresh_token, account, credential })
    }

    /// OAuth 1.0a (RFC 5849 §2.2, §2.3).
    async fn exchange_token(
        &self,
        provider: &Arc<Provider>,
        flow: &Flow,
        callback: &Callback,
        secrets: SecretsIn,
    ) -> Result<Granted, ConnectError> {
        let failed = |cause| ConnectError::Exchange { service: provider.name.clone(), cause };
        let missing = |what: &str| ConnectError::Provider {
            service: provider.name.clone(),
            error: format!("no {what} came back"),
        };
        let came =
            |name: &str| callback.others.get(name).filter(|value| !value.expose_secret().is_empty()).cloned();
        let (token, secret) = secrets.token.zip(secrets.token_secret).ok_or(WRONG_SECRETS)?;
        let came_back = came("oauth_token").ok_or_else(|| missing("oauth_token"))?;
        if came_back.expose_secret() != token {
            let what = "the token that came back is not the one that was sent".to_owned();
            return Err(failed(OAuthError::Nonsense { what }));
        }
        let verifier = came("oauth_verifier").ok_or_else(|| missing("oauth_verifier"))?;
        let had = self.oauth.oauth1_finish(provider, &token, &secret, &verifier).await.map_err(failed)?;
        let mut values = flow.values.clone();
        values.extend(had.captured);
        let account = match had.account {
            Some(account) => Some(account),
            None => self.oauth1_account(provider, &had.token, &had.secret).await,
        };
        Ok(Granted {
            access: had.token,
            refresh: Some(had.secret),
            account,
            credential: oauth1_credential(values),
        })
    }

    /// Whose account an OAuth 1.0a token opens, if the provider says.
    pub(crate) async fn oauth1_account(
        &self,
        provider: &Provider,
        token: &SecretString,
        secret: &SecretString,
    ) -> Option<tokenry_model::Account> {
        self.oauth.oauth1_identify(provider, token, secret).await.unwrap_or_else(|error| {
            tracing::warn!(provider = %provider.id, %error, "the account behind a token is not known");
            None
        })
    }

    /// Whether the browser that came back is signed in as the same user, or is the one that asked and signed in as nobody.
    /// One that is somebody else's now is asked first, whoever used it when the link was asked for.
    async fn is_owner(&self, flow: &Flow, is_its_browser: bool, owner: &User, claimant: &Claimant) -> bool {
        let same_browser = claimant
            .browser
            .as_ref()
            .is_some_and(|cookie| hash_of(cookie.expose_secret()) == flow.browser_hash);
        let session = match &claimant.session {
            Some(cookie) => self.browser_session(cookie, claimant.from.clone()).await,
            None => Ok(None),
        };
        match session {
            Ok(Some(session)) => session.user.id == owner.id,
            Ok(None) => same_browser && is_its_browser,
            Err(_) => false,
        }
    }
}

/// What the row keeps beside the sealed halves of an OAuth 1.0a token: it does not expire, and has no scopes.
pub(crate) fn oauth1_credential(values: Values) -> NewCredential {
    NewCredential {
        kind: CredentialKind::OAuth1,
        requested: Scopes::default(),
        scopes: Scopes::default(),
        values,
        times: Deadlines::default(),
    }
}

/// The parameters that the provider's data call worth keeping. No other is looked at.
fn captures(provider: &Provider, callback: &Callback) -> Values {
    let declared = provider.callback_captures().keys();
    declared
        .filter_map(|name| Some((name.clone(), callback.others.get(name)?.expose_secret().to_owned())))
        .collect()
}
