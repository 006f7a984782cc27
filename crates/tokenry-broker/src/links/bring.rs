//! Connecting a service with a link by what a person brings along: a key, a user name and a password, a client of their own.
//!
//! It is proven first, and the link is spent in the transaction that stores it. So what a service refuses, and what cannot be
//! stored, leaves the link as it was, and of all who send the form at once one gets a connection.

use tokenry_model::{Action, Actor, CredentialKind, ExposeSecret as _, Link, LinkStage, ProviderId};
use tokenry_store::{HeldLink, StoreError};

use super::visit::Usable;
use super::{LinkError, Visitor};
use crate::audit::Note;
use crate::boot::{Broker, hash_of};
use crate::connect::{CallbackOutcome, Completed, ConnectError, Place};
use crate::error::BrokerError;
use crate::import::NewImport;
use crate::offers::is_brought;

impl Broker {
    /// Connects a service with a link, in the browser that has it, by what a person brings along who is its owner or not
    /// signed in. It becomes a connection of the link's owner, as [`Broker::import_connection`] makes one.
    ///
    /// [`Completed::outcome`] says how it ended. If that is an error, nothing is stored and the link can be used again.
    ///
    /// # Errors
    /// [`LinkError`] when the link cannot be used; [`LinkError::Broker`] for what the person can correct, as
    /// [`Broker::import_connection`] says it. The link is as it was then.
    pub async fn bring_with_link(
        &self,
        handle: &str,
        visitor: Visitor,
        new: NewImport,
    ) -> Result<Completed, LinkError> {
        let (broker, handle) = (self.clone(), handle.to_owned());
        // What is stored is noted and told, also when whoever sent it hangs up.
        let whole = self.untorn(async move { Ok(broker.bring_and_note(&handle, &visitor, new).await) });
        match whole.await {
            Ok(brought) => brought,
            Err(ConnectError::Broker(error)) => Err(error.into()),
            Err(_) => Err(BrokerError::Internal("what was brought ended as a consent").into()),
        }
    }

    async fn bring_and_note(
        &self,
        handle: &str,
        visitor: &Visitor,
        new: NewImport,
    ) -> Result<Completed, LinkError> {
        let mut note = Note::new(Actor::Anonymous, Action::Import).from(visitor.from.clone());
        match self.bring_alone(handle, visitor, new, &mut note).await {
            Ok(Completed { outcome, link }) => {
                Ok(Completed { outcome: self.noted_callback(note, outcome).await, link })
            }
            Err(error) => {
                self.note_refused_link(note, Some(&error));
                Err(error)
            }
        }
    }

    async fn bring_alone(
        &self,
        handle: &str,
        visitor: &Visitor,
        new: NewImport,
        note: &mut Note,
    ) -> Result<Completed, LinkError> {
        let browser = visitor.browser.as_ref().ok_or(LinkError::Elsewhere)?;
        let hash = hash_of(browser.expose_secret());
        let Usable { link, owner } = self.held_link(handle, &hash, note).await?;
        // A consent there would wait for the owner to sign in. A secret that somebody typed waits for nobody.
        if visitor.claims.as_ref().is_some_and(|claims| claims.user != owner.id) {
            return Err(LinkError::Stranger);
        }
        let general = self.linked_provider(&link, &new.service, note).await?;
        self.require_linkable(&general)?;
        if !is_brought(general.kind()) || new.given.kind() == CredentialKind::Plain {
            let problem = "must be what the service takes: a link takes no token that was made elsewhere";
            return Err(BrokerError::field("kind", problem).into());
        }
        let (provider, values) = new.fit(&general)?;
        let place = Place {
            user: owner.id,
            username: owner.username.to_string(),
            provider: general.id.clone(),
            token_type: general.id.to_string(),
            name: None,
            connection: None,
        };
        match self.require_room(owner.id).await {
            Ok(()) => {}
            // Nothing that could be typed would change it.
            Err(full @ BrokerError::TooManyConnections { .. }) => {
                return Ok(self.not_brought(link, &general.id, note, full).await);
            }
            Err(error) => return Err(error.into()),
        }
        let mut granted = self.prove(&provider, new.given, values).await?;
        let name = place.name_for(granted.account.as_ref());
        let spends = HeldLink { id: link.id, browser_hash: hash };
        match self.insert_pasted(&place, &name, &mut granted, Some(&spends)).await {
            Ok(id) => {
                note.actor = Actor::User(owner.id);
                let mut connected = place.connected(&provider, &granted, id, &name, false);
                let end = self.tell_link_end(link, &general.id, note, LinkStage::Connected, Some(id));
                connected.link = end.clone().map(Box::new);
                tracing::info!(connection = %id, provider = %general.id, user = %owner.id, "connected with a link by what was brought");
                Ok(Completed { outcome: Ok(CallbackOutcome::Connected(Box::new(connected))), link: end })
            }
            // Another end was faster, or its owner took it elsewhere, or signed out, since it was looked at.
            Err(BrokerError::Store(StoreError::Spent)) => {
                Err(self.held_link(handle, &hash, note).await.err().unwrap_or(LinkError::Finishing))
            }
            Err(error) => Ok(self.not_brought(link, &general.id, note, error).await),
        }
    }

    /// It cannot be kept here. The link says so, and can be used again.
    async fn not_brought(
        &self,
        link: Link,
        service: &ProviderId,
        note: &Note,
        error: BrokerError,
    ) -> Completed {
        tracing::warn!(provider = %service, user = %link.user_id, %error, "what was brought with a link was not kept");
        let link = self.write_link_end(link, service, note, false, LinkStage::Failed, None).await;
        Completed { outcome: Err(error.into()), link }
    }
}
