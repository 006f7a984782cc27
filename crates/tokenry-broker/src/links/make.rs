//! Making a link, and asking how it is getting on.

use tokenry_model::{Action, ExposeSecret as _, Link, LinkId, LinkStage, ProviderId};

use super::{LinkStatus, MadeLink, NewLink, id_of, text_of};
use crate::audit::Note;
use crate::boot::{Broker, hash_of, random_token};
use crate::connect::FLOW_TTL;
use crate::error::BrokerError;
use crate::sessions::Claims;

/// So many services can be named.
const MAX_SERVICES: usize = 100;

impl Broker {
    /// A link for a person of whom the caller has the access token: whoever opens it first can connect an account to theirs.
    ///
    /// # Errors
    /// [`BrokerError::Field`] for what the operator does not allow, [`BrokerError::UnknownService`] and
    /// [`BrokerError::ProviderNotConfigured`] for a service that cannot be connected; those of a caller who may not.
    pub async fn make_link(
        &self,
        claims: &Claims,
        owner: &str,
        new: NewLink,
    ) -> Result<MadeLink, BrokerError> {
        let note = Note::at(claims, Action::LinkMake, owner);
        let made = self.make_link_alone(claims, owner, new).await;
        self.noted(note, made).await
    }

    async fn make_link_alone(
        &self,
        claims: &Claims,
        owner: &str,
        new: NewLink,
    ) -> Result<MadeLink, BrokerError> {
        let user_id = claims.own(owner)?;
        let user = self.user(claims).await?;
        // Another process may have set one of them up a moment ago.
        self.fresh_services().await?;
        let services = self.offered(new.services)?;
        let embedding = &self.settings.embedding;
        let return_to = new.return_to.map(|text| embedding.allowed_return(&text)).transpose()?;
        let origin = new.origin.map(|text| embedding.allowed_origin(&text)).transpose()?;
        let token = random_token(&*self.random)?;
        let now = self.clock.now();
        let expires_at = now.plus(FLOW_TTL);
        let link = Link {
            id: LinkId::new(hash_of(token.expose_secret())),
            user_id,
            session_epoch: user.session_epoch,
            services: services.clone(),
            return_to: return_to.map(Into::into),
            origin: origin.map(|origin| origin.as_str().to_owned()),
            stage: LinkStage::Open,
            browser_hash: None,
            nonce: None,
            service: None,
            connection: None,
            expires_at,
            ends_at: expires_at,
        };
        self.store.insert_link(&link, now).await?;
        let most = self.settings.quotas.flows;
        if most > 0 {
            let forgotten = self.store.delete_oldest_links(user_id, &link.id, most).await?;
            if forgotten > 0 {
                tracing::info!(user = %user_id, forgotten, "the oldest connect links were forgotten: there may not be more");
            }
        }
        Ok(MadeLink { id: text_of(&link.id), token, services, expires_at })
    }

    /// The services that a link is to be for, each of which can be connected by a link here.
    fn offered(&self, named: Option<Vec<String>>) -> Result<Vec<ProviderId>, BrokerError> {
        let Some(named) = named else { return Ok(Vec::new()) };
        if named.is_empty() || named.len() > MAX_SERVICES {
            let problem = "must name 1 to 100 services; leave it out for all of the catalogue";
            return Err(BrokerError::field("services", problem));
        }
        let mut services = Vec::with_capacity(named.len());
        for word in &named {
            let provider = self.find_provider(word, Some("services"))?;
            self.require_linkable(&provider)?;
            if !services.contains(&provider.id) {
                services.push(provider.id.clone());
            }
        }
        Ok(services)
    }

    /// How a link is getting on, for whoever knows its id: nothing about its owner, and nothing that opens it.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchLink`].
    pub async fn link_status(&self, id: &str) -> Result<LinkStatus, BrokerError> {
        let id = id_of(id).ok_or(BrokerError::NoSuchLink)?;
        let link = self.store.find_link(&id).await?.ok_or(BrokerError::NoSuchLink)?;
        let is_over = self.clock.now() >= link.ends_at;
        let status = match link.stage {
            LinkStage::Connected => "connected",
            LinkStage::Declined => "declined",
            LinkStage::Failed => "failed",
            LinkStage::Open | LinkStage::Ending if is_over => "expired",
            LinkStage::Open | LinkStage::Ending => "open",
        };
        let ended = link.stage == LinkStage::Connected;
        Ok(LinkStatus {
            status,
            connection: link.connection.filter(|_| ended),
            service: link.service.filter(|_| status != "open" && status != "expired"),
        })
    }
}
