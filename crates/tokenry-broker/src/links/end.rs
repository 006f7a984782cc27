//! What becomes of a link when a connect that was begun with it comes back.

use tokenry_model::{Action, AuditOutcome, ConnectionId, Flow, Link, LinkStage, ProviderId};
use url::Url;

use super::visit::opener_of;
use super::{LinkEnd, text_of, with_result};
use crate::audit::Note;
use crate::boot::Broker;
use crate::connect::{CallbackOutcome, ConnectError};

impl Broker {
    /// Takes the link of a flow for the one connect that may spend it. Nothing for a flow that was begun without one.
    pub(crate) async fn claim_link_of(&self, flow: &Flow) -> Result<Option<Link>, ConnectError> {
        let Some(id) = &flow.link else { return Ok(None) };
        let link = self.store.find_link(id).await?.ok_or(ConnectError::UnknownState)?;
        let epoch = self.store.find_user(link.user_id).await?.map(|owner| owner.session_epoch);
        if epoch != Some(link.session_epoch) {
            return Err(ConnectError::LinkEnded);
        }
        let browser = link.browser_hash.ok_or(ConnectError::UnknownState)?;
        if self.store.claim_link(id, &browser).await? { Ok(Some(link)) } else { Err(ConnectError::UsedState) }
    }

    /// Writes down how it ended for whoever had [`Broker::claim_link_of`].
    pub(crate) async fn end_link(
        &self,
        link: Link,
        flow: &Flow,
        note: &Note,
        ended: &Result<CallbackOutcome, ConnectError>,
    ) -> Option<LinkEnd> {
        let (stage, connection) = match ended {
            Ok(CallbackOutcome::Connected(connected)) => (LinkStage::Connected, Some(connected.id)),
            // Another browser brought it: the link is still good in its own.
            Ok(CallbackOutcome::Confirm(_)) => (LinkStage::Open, None),
            Err(ConnectError::Declined { .. }) => (LinkStage::Declined, None),
            Err(_) => (LinkStage::Failed, None),
        };
        self.write_link_end(link, &flow.provider, note, true, stage, connection).await
    }

    /// A grant that waited for its owner was kept, or not wanted. If its link is still unspent, it is told.
    pub(crate) async fn end_link_of_parked(
        &self,
        flow: &Flow,
        note: &Note,
        connection: Option<ConnectionId>,
    ) -> Option<LinkEnd> {
        let link = self.store.find_link(flow.link.as_ref()?).await.ok().flatten()?;
        let stage = if connection.is_some() { LinkStage::Connected } else { LinkStage::Declined };
        self.write_link_end(link, &flow.provider, note, false, stage, connection).await
    }

    /// Writes down how a link ended, and tells it. Nothing if it had ended already. `claimed` as for the store.
    pub(super) async fn write_link_end(
        &self,
        link: Link,
        service: &ProviderId,
        note: &Note,
        claimed: bool,
        stage: LinkStage,
        connection: Option<ConnectionId>,
    ) -> Option<LinkEnd> {
        match self.store.update_link_ended(&link.id, claimed, stage, service, connection).await {
            Ok(true) => {}
            // Whoever spent it first has told how that ended.
            Ok(false) => return None,
            Err(error) => {
                // The connect has ended as it has; the link ends by itself.
                tracing::warn!(user = %link.user_id, %error, "how a connect link ended could not be written down");
            }
        }
        self.tell_link_end(link, service, note, stage, connection)
    }

    /// Tells how a link ended for which that is written down.
    pub(super) fn tell_link_end(
        &self,
        link: Link,
        service: &ProviderId,
        note: &Note,
        stage: LinkStage,
        connection: Option<ConnectionId>,
    ) -> Option<LinkEnd> {
        if stage == LinkStage::Connected {
            let note = Note { action: Action::LinkUse, connection, ..note.clone() };
            self.note_passing(note, AuditOutcome::Ok, None);
        }
        if !matches!(stage, LinkStage::Connected | LinkStage::Declined | LinkStage::Failed) {
            return None;
        }
        let return_to = link.return_to.as_deref().and_then(|text| Url::parse(text).ok());
        Some(LinkEnd {
            id: text_of(&link.id),
            status: stage.as_str(),
            connection,
            service: service.clone(),
            return_to: return_to.map(|to| with_result(to, stage.as_str(), connection, service)),
            opener: opener_of(link.origin, link.nonce),
        })
    }
}
