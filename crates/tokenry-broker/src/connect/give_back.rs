//! Grants that came and could not be kept: nobody would know of them, and nobody could end them. They are given back.

use std::sync::Arc;
use std::time::Duration;

use tokenry_model::{ExposeSecret as _, Flow, FlowKind};
use tokenry_oauth::Provider;

use super::parked::grant_context;
use super::{ConnectError, Connected, Place};
use crate::boot::Broker;
use crate::devices::DeviceStatus;
use crate::error::BrokerError;
use crate::grants::{self, Granted};
use crate::sessions::ENDED;

/// How often it is tried to write a grant down that has to be given back, and how long apart: twenty minutes in all.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_secs(2);

impl Broker {
    /// Stores what a flow brought, in the connection of its owner. What cannot be stored is given back.
    pub(crate) async fn keep_or_give_back(
        &self,
        flow: &Flow,
        provider: &Arc<Provider>,
        granted: Granted,
    ) -> Result<Connected, ConnectError> {
        let kept = async {
            let owner = self.store.find_user(flow.user_id).await?.ok_or(ENDED)?;
            self.keep_granted(&Place::of(flow, &owner), provider, &granted).await
        };
        let kept = kept.await;
        // The others have seen to it already.
        if let Err(ConnectError::Broker(error)) = &kept
            && !matches!(error, BrokerError::NoSuchConnection)
        {
            self.give_back_later(flow.clone(), granted);
        }
        kept
    }

    /// Sees to it that a grant is given back, in a task of its own: the database, which did not take it, may take its time.
    /// A process that ends meanwhile leaves it at the provider; then the log has said so.
    pub(crate) fn give_back_later(&self, flow: Flow, granted: Granted) {
        let broker = self.clone();
        self.tasks.spawn(async move {
            let (provider, user) = (&flow.provider, flow.user_id);
            for _ in 0..TRIES {
                match broker.park_for_nobody(&flow, &granted).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%provider, %user, %error, "a grant waits to be given back"),
                }
                if broker.tasks.is_closed() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            tracing::error!(%provider, %user, "a grant was neither kept nor given back: it lives on at the provider");
        });
    }

    /// Parks a grant where nobody can claim it: the chores give it back, as often as it takes.
    async fn park_for_nobody(&self, flow: &Flow, granted: &Granted) -> Result<(), BrokerError> {
        if self.is_kept(flow, granted).await? {
            return Ok(());
        }
        let state = &flow.state_hash;
        if flow.kind == FlowKind::Device {
            self.store.update_device_ended(state, DeviceStatus::Expired.as_str(), None).await?;
        }
        let bytes = granted.to_bytes().ok_or(BrokerError::Internal("a grant could not be written down"))?;
        let sealed = self.vault.seal(&grant_context(flow.user_id, state), &bytes)?;
        let (handle, browser) = (self.nobodys_hash()?, self.nobodys_hash()?);
        Ok(self.store.update_flow_parked(state, &handle, &browser, &sealed, self.clock.now()).await?)
    }

    /// Whether it was kept after all: a database that goes away while it commits may have committed.
    async fn is_kept(&self, flow: &Flow, granted: &Granted) -> Result<bool, BrokerError> {
        let Some(list) = self.store.list_connections(flow.user_id, 0, i64::MAX).await? else {
            return Ok(false);
        };
        let holds = |connection: &&tokenry_model::Connection| {
            connection.provider == flow.provider
                && grants::open_access(&self.vault, connection)
                    .is_ok_and(|token| token.expose_secret() == granted.access.expose_secret())
        };
        Ok(list.connections.iter().any(|connection| holds(&connection)))
    }
}
