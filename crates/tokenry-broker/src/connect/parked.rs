//! Grants that came back in another browser than the one that asked: they wait, sealed, for their owner to sign in.

use tokenry_model::{
    Action, Actor, CredentialKind, ExposeSecret as _, Flow, FlowKind, Origin, Sealed, SecretString,
    StateHash, Timestamp, User, UserId,
};
use tokenry_oauth::Provider;
use tokenry_store::Parked;
use tokenry_vault::{Context, FlowField};

use super::{Claimant, ConnectError, Connected, FLOW_TTL, ParkedConnect, Place};
use crate::audit::Note;
use crate::boot::{Broker, hash_of, random_token};
use crate::error::BrokerError;
use crate::grants::Granted;

impl Broker {
    /// Keeps a grant for its owner, sealed, and ties it to the browser it came back in.
    pub(super) async fn park(
        &self,
        flow: &Flow,
        owner: &User,
        provider: &Provider,
        granted: &Granted,
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
            account: granted.account.clone().and_then(|account| account.label.or(Some(account.id))),
            username: owner.username.to_string(),
            handle,
            browser,
        })
    }

    pub(crate) async fn open_parked(&self, parked: &Parked) -> Result<Granted, BrokerError> {
        let context = grant_context(parked.flow.user_id, &parked.flow.state_hash);
        let opened = self.opened(|vault| vault.open(&context, &parked.grant)).await?;
        let mut granted = Granted::from_bytes(opened.expose_secret())
            .ok_or(BrokerError::Internal("a waiting grant cannot be read"))?;
        if parked.flow.kind == FlowKind::OAuth1 {
            granted.credential.kind = CredentialKind::OAuth1;
        }
        Ok(granted)
    }

    /// The grant as it is put back: the key that it was sealed with may have been retired while it was out.
    pub(crate) fn fresh_parked(&self, parked: &Parked) -> Result<Sealed, BrokerError> {
        let context = grant_context(parked.flow.user_id, &parked.flow.state_hash);
        Ok(self.vault.fresh(&context, &parked.grant)?)
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
        let granted = self.open_parked(&parked).await?;
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

    /// The owner signs in, in the browser the grant came back in, and the connection is stored. Returns it and a session's
    /// cookie for that browser.
    ///
    /// # Errors
    /// [`BrokerError::WrongLogin`] and [`BrokerError::TooManyAttempts`], after which it can be tried again;
    /// [`ConnectError::UnknownState`].
    pub async fn confirm(
        &self,
        handle: &SecretString,
        browser: &SecretString,
        password: &SecretString,
        from: Origin,
    ) -> Result<(Connected, SecretString), ConnectError> {
        let (parked, owner) = self.look_up_parked(handle, browser).await?;
        self.fresh_services().await?;
        let user = self.check_and_note(&owner.username, password, from.clone(), None).await?;
        let mut note = Note::new(Actor::User(user.id), Action::Connect).from(from);
        note.provider = Some(parked.flow.provider.clone());
        let broker = self.clone();
        let owner = user.clone();
        let (confirm, of_browser) = (hash_of(handle.expose_secret()), hash_of(browser.expose_secret()));
        let connected = self
            .untorn(async move {
                let claimed = broker.store.claim_parked(&parked.flow.state_hash).await?;
                let parked = claimed.ok_or(ConnectError::UsedState)?;
                let kept = broker.keep_parked(&parked, &owner).await;
                if matches!(&kept, Err(ConnectError::Broker(error)) if !matches!(error, BrokerError::NoSuchConnection)) {
                    // The form stays good: the same handle, in the same browser.
                    broker.park_again(&parked, &confirm, &of_browser, broker.clock.now().plus(FLOW_TTL)).await;
                }
                let mut kept = kept;
                if let Ok(connected) = &mut kept {
                    let end = broker.end_link_of_parked(&parked.flow, &note, Some(connected.id)).await;
                    connected.link = end.map(Box::new);
                }
                broker.noted_connect(note, kept).await
            })
            .await?;
        let session = self.open_session(&user, None).await.map_err(ConnectError::from)?;
        Ok((connected, session))
    }

    /// Puts a grant back that was claimed and is neither kept nor given back. What the database does not take goes on being
    /// offered to it.
    pub(crate) async fn park_again(
        &self,
        parked: &Parked,
        confirm: &[u8; 32],
        browser: &[u8; 32],
        until: Timestamp,
    ) {
        let put = async {
            let grant = self.fresh_parked(parked)?;
            let state = &parked.flow.state_hash;
            Ok::<_, BrokerError>(self.store.update_flow_parked(state, confirm, browser, &grant, until).await?)
        };
        let Err(error) = put.await else { return };
        tracing::warn!(%error, "a waiting grant could not be put back yet");
        match self.open_parked(parked).await {
            Ok(granted) => self.give_back_later(parked.flow.clone(), granted),
            Err(error) => {
                tracing::error!(%error, "a waiting grant does not open: it lives on at the provider");
            }
        }
    }

    async fn keep_parked(&self, parked: &Parked, owner: &User) -> Result<Connected, ConnectError> {
        let granted = self.open_parked(parked).await?;
        let provider = self.provider_with(&parked.flow.provider, &parked.flow.values)?;
        self.keep_granted(&Place::of(&parked.flow, owner), &provider, &granted).await
    }

    /// The person does not want it: the grant is given back. Returns whether the provider confirmed that.
    ///
    /// # Errors
    /// [`ConnectError::UnknownState`] when nothing waits there for this browser.
    pub async fn abandon(
        &self,
        handle: &SecretString,
        browser: &SecretString,
        from: Origin,
    ) -> Result<bool, ConnectError> {
        let (parked, owner) = self.look_up_parked(handle, browser).await?;
        self.fresh_services().await?;
        let mut note = Note::new(Actor::Anonymous, Action::ConnectAbandon).from(from);
        (note.owner, note.provider) = (Some(owner.id), Some(parked.flow.provider.clone()));
        self.end_link_of_parked(&parked.flow, &note, None).await;
        self.note_parked(note, Action::ConnectAbandon);
        Ok(self.drop_parked(&parked).await?)
    }
}

pub(super) const fn grant_context(user: UserId, state: &StateHash) -> Context<'_> {
    Context::Flow { user, state, field: FlowField::Grant }
}
