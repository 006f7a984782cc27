//! Keeping a grant: in the connection of its account, in the one that it was asked for, or in a new one.

use tokenry_model::{
    Account, Connection, ConnectionId, ConnectionName, ConnectionState, Flow, ProviderId, User, UserId,
};
use tokenry_oauth::Provider;
use tokenry_store::{HeldLink, NewConnection, NewRevocation, StoreError};

use super::{ConnectError, Connected};
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::grants::{self, Granted};
use crate::schedule;

/// How often a connect that lost a race against another for the same account looks again.
const ACCOUNT_TRIES: u32 = 3;

/// Whose a grant is to be, and where it belongs.
pub(crate) struct Place {
    pub(crate) user: UserId,
    pub(crate) username: String,
    pub(crate) provider: ProviderId,
    pub(crate) token_type: String,
    pub(crate) name: Option<ConnectionName>,
    /// The connection that is to be renewed, with the same account.
    pub(crate) connection: Option<ConnectionId>,
}

impl Place {
    pub(crate) fn of(flow: &Flow, owner: &User) -> Self {
        Self {
            user: flow.user_id,
            username: owner.username.to_string(),
            provider: flow.provider.clone(),
            token_type: flow.token_type.clone(),
            name: flow.name.clone(),
            connection: flow.connection,
        }
    }

    /// What a new connection is called.
    pub(crate) fn name_for(&self, account: Option<&Account>) -> ConnectionName {
        let account = account.map(|account| account.label.as_ref().unwrap_or(&account.id));
        match (&self.name, account) {
            (Some(name), _) => name.clone(),
            (None, Some(account)) => ConnectionName::from_label(&format!("{} ({account})", self.token_type)),
            (None, None) => ConnectionName::from_label(&self.token_type),
        }
    }

    /// What is told of a grant that is kept here now.
    pub(crate) fn connected(
        &self,
        provider: &Provider,
        granted: &Granted,
        id: ConnectionId,
        name: &ConnectionName,
        renewed: bool,
    ) -> Connected {
        Connected {
            id,
            name: name.as_str().to_owned(),
            provider: provider.id.clone(),
            service: provider.name.clone(),
            account: granted.account.as_ref().and_then(|account| account.label.clone()),
            kind: granted.credential.kind,
            granted: granted.credential.scopes.clone(),
            missing: granted.credential.requested.without(&granted.credential.scopes),
            reconnect_by: granted.credential.times.reconnect_by(),
            username: self.username.clone(),
            renewed,
            link: None,
        }
    }
}

impl Broker {
    /// Stores a grant: in the connection that it was asked for; else in the user's connection for this account if there is
    /// one, in a new one otherwise.
    pub(crate) async fn keep_granted(
        &self,
        place: &Place,
        provider: &Provider,
        granted: &Granted,
    ) -> Result<Connected, ConnectError> {
        let (id, name, renewed) = match place.connection {
            Some(id) => {
                let existing = self.keep_in(place, id, provider, granted).await.inspect_err(|error| {
                    self.metrics.connected(provider.id.as_str(), "failed");
                    tracing::warn!(connection = %id, provider = %provider.id, %error, "a grant was not kept");
                })?;
                (id, existing.name, true)
            }
            None => self.keep_anywhere(place, granted).await?,
        };
        self.metrics.connected(provider.id.as_str(), if renewed { "renewed" } else { "ok" });
        tracing::info!(connection = %id, provider = %provider.id, user = %place.user, renewed, "connected");
        Ok(place.connected(provider, granted, id, &name, renewed))
    }

    async fn keep_anywhere(
        &self,
        place: &Place,
        granted: &Granted,
    ) -> Result<(ConnectionId, ConnectionName, bool), BrokerError> {
        for _ in 0..ACCOUNT_TRIES {
            if let Some(existing) = self.find_same_account(place, granted).await? {
                if self.renew(&existing, granted).await? {
                    return Ok((existing.id, existing.name, true));
                }
            } else {
                let name = place.name_for(granted.account.as_ref());
                match self.insert_granted(place, &name, granted, None).await {
                    Err(BrokerError::Store(StoreError::Conflict)) => {}
                    other => return Ok((other?, name, false)),
                }
            }
        }
        Err(BrokerError::Internal("a connect kept losing a race for its account"))
    }

    /// Renews a connection with the account that it has. Whatever came for another account is given back.
    async fn keep_in(
        &self,
        place: &Place,
        id: ConnectionId,
        provider: &Provider,
        granted: &Granted,
    ) -> Result<Connection, ConnectError> {
        let owned = self.store.find_connection(place.user, id).await?;
        let Some(existing) = owned.and_then(|owned| owned.connection) else {
            self.hand_back(place, id, provider, granted).await?;
            return Err(BrokerError::NoSuchConnection.into());
        };
        if let Some(known) = &existing.account
            && granted.account.as_ref().is_none_or(|account| account.id != known.id)
        {
            self.hand_back(place, id, provider, granted).await?;
            return Err(ConnectError::WrongAccount {
                service: provider.name.clone(),
                expected: shown(known),
                got: granted.account.as_ref().map(shown),
            });
        }
        let taken = match self.find_same_account(place, granted).await?.filter(|other| other.id != id) {
            Some(other) => Some(other),
            None => match self.renew(&existing, granted).await {
                Ok(true) => None,
                Ok(false) => {
                    self.hand_back(place, id, provider, granted).await?;
                    return Err(BrokerError::NoSuchConnection.into());
                }
                // Another connect of the same account was faster.
                Err(BrokerError::Store(StoreError::Conflict)) => {
                    self.find_same_account(place, granted).await?
                }
                Err(other) => return Err(other.into()),
            },
        };
        match taken.zip(granted.account.as_ref()) {
            None => Ok(existing),
            Some((other, account)) => {
                self.hand_back(place, id, provider, granted).await?;
                Err(ConnectError::ConnectedElsewhere {
                    service: provider.name.clone(),
                    account: shown(account),
                    connection: other.id,
                })
            }
        }
    }

    /// Gives back a grant that has no place, unless another grant would die of it.
    async fn hand_back(
        &self,
        place: &Place,
        id: ConnectionId,
        provider: &Provider,
        granted: &Granted,
    ) -> Result<(), BrokerError> {
        let account_id = granted.account.as_ref().map(|account| account.id.as_str());
        if !provider.revokes() || (account_id.is_none() && provider.revocation_is_shared()) {
            return Ok(());
        }
        let refresh = granted.refresh.as_ref();
        let sealed = grants::seal_grant(&self.vault, place.user, id, &granted.access, refresh)?;
        let revocation = NewRevocation {
            user_id: place.user,
            connection_id: id,
            provider: &place.provider,
            account_id,
            values: &granted.credential.values,
            sealed: &sealed,
        };
        self.store.insert_revocation(&revocation, self.clock.now()).await?;
        self.revoke_soon(id, true).await;
        Ok(())
    }

    async fn find_same_account(
        &self,
        place: &Place,
        granted: &Granted,
    ) -> Result<Option<Connection>, BrokerError> {
        match &granted.account {
            Some(account) => {
                let (user, provider) = (place.user, &place.provider);
                let values = &granted.credential.values;
                Ok(self.store.find_connection_by_account(user, provider, &account.id, values).await?)
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

    /// Stores a grant in a new connection. `spends`: the connect link that is spent by that, in the same transaction.
    pub(crate) async fn insert_granted(
        &self,
        place: &Place,
        name: &ConnectionName,
        granted: &Granted,
        spends: Option<&HeldLink>,
    ) -> Result<ConnectionId, BrokerError> {
        let new = NewConnection {
            user_id: place.user,
            name: name.clone(),
            token_type: place.token_type.clone(),
            provider: place.provider.clone(),
            account: granted.account.clone(),
            credential: granted.credential.clone(),
        };
        let most = self.settings.quotas.connections;
        self.store
            .insert_connection_within(most, spends, &new, self.clock.now(), |id| {
                let refresh = granted.refresh.as_ref();
                grants::seal_grant(&self.vault, place.user, id, &granted.access, refresh)
                    .map_err(BrokerError::from)
            })
            .await
            .map_err(|error| self.said_if_full(error))
    }
}

fn shown(account: &Account) -> String {
    account.label.as_ref().unwrap_or(&account.id).clone()
}
