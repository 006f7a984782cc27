//! Opening a link, taking it over, and beginning a connect with it.

use std::sync::Arc;

use tokenry_model::{
    Action, Actor, AuditOutcome, ExposeSecret as _, Link, LinkId, LinkStage, Origin, SecretString, User,
    Values,
};
use tokenry_oauth::Provider;
use url::Url;

use super::{LinkError, LinkPage, LinkVisit, Opener, Visitor, id_of, text_of};
use crate::audit::{Note, reason_of};
use crate::boot::{Broker, filled, hash_of, random_token};
use crate::connect::{Beginning, ConnectLink, FLOW_TTL};
use crate::error::BrokerError;
use crate::fields;

/// How long what we make for cookies, links and ids is, as text.
const LENGTH: usize = 43;
/// What a page knows its window by has so many letters at most.
const MAX_NONCE: usize = 64;

/// A link that can be used, and whose it is.
pub(super) struct Usable {
    pub(super) link: Link,
    pub(super) owner: User,
}

impl Usable {
    fn page(self, browser: SecretString) -> LinkPage {
        let Self { link, owner } = self;
        LinkPage {
            id: text_of(&link.id),
            username: owner.username.to_string(),
            services: link.services,
            return_to: link.return_to.as_deref().and_then(|text| Url::parse(text).ok()),
            opener: opener_of(link.origin, link.nonce),
            browser,
            expires_at: link.expires_at,
        }
    }
}

/// Who opened a link, if its page can be told.
pub(super) fn opener_of(origin: Option<String>, nonce: Option<String>) -> Option<Opener> {
    Some(Opener { origin: origin?, nonce: nonce? })
}

impl Broker {
    /// A browser opens a link. `take`: if nobody has it, it is this browser's from now on. `handle` is the link's token, or, in
    /// the browser that has it, its id. `nonce` is what the page that opened the window knows it by.
    ///
    /// # Errors
    /// [`LinkError`] when the link cannot be used, by whomever.
    pub async fn visit_link(
        &self,
        handle: &str,
        visitor: &Visitor,
        take: bool,
        nonce: Option<&str>,
    ) -> Result<LinkVisit, LinkError> {
        let mut note = Note::new(Actor::Anonymous, Action::LinkOpen).from(visitor.from.clone());
        let visited = self.visit_link_alone(handle, visitor, take, nonce, &mut note).await;
        self.note_refused_link(note, visited.as_ref().err());
        visited
    }

    async fn visit_link_alone(
        &self,
        handle: &str,
        visitor: &Visitor,
        take: bool,
        nonce: Option<&str>,
        note: &mut Note,
    ) -> Result<LinkVisit, LinkError> {
        let known = visitor.browser.as_ref().filter(|cookie| cookie.expose_secret().len() == LENGTH);
        let browser = match known {
            Some(cookie) => cookie.clone(),
            None => random_token(&*self.random).map_err(BrokerError::from)?,
        };
        let hash = hash_of(browser.expose_secret());
        let nonce = nonce.filter(|nonce| {
            (1..=MAX_NONCE).contains(&nonce.len())
                && nonce.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
        self.fresh_services().await?;
        let mut usable = self.usable_link(handle, Some(&hash), note).await?;
        if take && usable.link.browser_hash.is_none_or(|has| has == hash) {
            let now = self.clock.now();
            let was_first = usable.link.browser_hash.is_none();
            if self.store.claim_link_browser(&usable.link.id, &hash, nonce, now).await? {
                if was_first {
                    self.note_passing(note.clone(), AuditOutcome::Ok, None);
                }
                usable.link.browser_hash = Some(hash);
                usable.link.nonce = nonce.map(str::to_owned).or(usable.link.nonce);
            } else {
                // Another browser was faster, or it has ended this very moment.
                usable = self.usable_link(handle, Some(&hash), note).await?;
            }
        }
        let is_owner = visitor.claims.as_ref().is_some_and(|claims| {
            claims.user == usable.owner.id && claims.check_epoch(Some(usable.owner.session_epoch)).is_ok()
        });
        Ok(match usable.link.browser_hash {
            Some(has) if has == hash => LinkVisit::Here(usable.page(browser)),
            None => LinkVisit::Unopened(usable.page(browser)),
            Some(_) => LinkVisit::Elsewhere { page: usable.page(browser), may_take: is_owner },
        })
    }

    /// The owner, signed in in this browser, takes a link over from the one that has it.
    ///
    /// # Errors
    /// [`LinkError::Elsewhere`] when it is not the owner's browser.
    pub async fn take_link(&self, handle: &str, visitor: &Visitor) -> Result<LinkPage, LinkError> {
        let mut note = Note::new(Actor::Anonymous, Action::LinkTake).from(visitor.from.clone());
        let taken = self.take_link_alone(handle, visitor, &mut note).await;
        match &taken {
            Ok(_) => self.note_act(note).await,
            Err(error) => self.note_refused_link(note, Some(error)),
        }
        taken
    }

    async fn take_link_alone(
        &self,
        handle: &str,
        visitor: &Visitor,
        note: &mut Note,
    ) -> Result<LinkPage, LinkError> {
        let visit = self.visit_link_alone(handle, visitor, false, None, &mut note.clone()).await?;
        let page = match visit {
            LinkVisit::Here(page) | LinkVisit::Elsewhere { page, may_take: true } => page,
            LinkVisit::Unopened(_) | LinkVisit::Elsewhere { may_take: false, .. } => {
                return Err(LinkError::Elsewhere);
            }
        };
        let mut usable = self.usable_link(handle, None, note).await?;
        if let Some(claims) = &visitor.claims {
            note.actor = Actor::User(claims.user);
        }
        let (now, to) = (self.clock.now(), hash_of(page.browser.expose_secret()));
        let from = usable.link.browser_hash.ok_or(LinkError::Elsewhere)?;
        if from != to && !self.store.update_link_browser(&usable.link.id, &from, &to, now).await? {
            return Err(LinkError::Elsewhere);
        }
        usable.link.browser_hash = Some(to);
        Ok(usable.page(page.browser))
    }

    /// Begins a connect with a link, in the browser that has it.
    ///
    /// # Errors
    /// [`LinkError`]; as [`Broker::authorize_new`] for the service.
    pub async fn begin_with_link(
        &self,
        handle: &str,
        browser: &SecretString,
        service: &str,
        settings: &Values,
        from: Origin,
    ) -> Result<ConnectLink, LinkError> {
        let mut note = Note::new(Actor::Anonymous, Action::ConnectBegin).from(from);
        let begun = self.begin_with_link_alone(handle, browser, service, settings, &mut note).await;
        match &begun {
            Ok(_) => self.note_passing(note, AuditOutcome::Ok, None),
            Err(error) => self.note_refused_link(note, Some(error)),
        }
        begun
    }

    async fn begin_with_link_alone(
        &self,
        handle: &str,
        browser: &SecretString,
        service: &str,
        settings: &Values,
        note: &mut Note,
    ) -> Result<ConnectLink, LinkError> {
        let hash = hash_of(browser.expose_secret());
        let Usable { link, owner } = self.held_link(handle, &hash, note).await?;
        let provider = self.linked_provider(&link, service, note).await?;
        self.require_link(&provider)?;
        let values = fields::settings(&provider, settings)?;
        let provider = filled(&provider, &values)?;
        self.require_ready(&provider)?;
        let now = self.clock.now();
        if !self.store.update_link_begun(&link.id, &hash, &provider.id, now.plus(FLOW_TTL), now).await? {
            // Another connect ended, or its owner took it elsewhere, since it was looked at.
            return Err(LinkError::Finishing);
        }
        let beginning = Beginning {
            provider: &provider,
            token_type: provider.id.to_string(),
            scopes: provider.default_scopes().clone(),
            values,
            name: None,
            connection: None,
            browser: Some(browser),
            link: Some(link.id),
        };
        Ok(self.begin(owner.id, beginning).await?)
    }

    /// A link in the browser that has it.
    pub(super) async fn held_link(
        &self,
        handle: &str,
        browser: &[u8; 32],
        note: &mut Note,
    ) -> Result<Usable, LinkError> {
        let usable = self.usable_link(handle, Some(browser), note).await?;
        if usable.link.browser_hash.as_ref() == Some(browser) {
            Ok(usable)
        } else {
            Err(LinkError::Elsewhere)
        }
    }

    /// A service, if the link is for it.
    pub(super) async fn linked_provider(
        &self,
        link: &Link,
        service: &str,
        note: &mut Note,
    ) -> Result<Arc<Provider>, LinkError> {
        self.fresh_services().await?;
        let provider = self.find_provider(service, Some("service"))?;
        if !link.services.is_empty() && !link.services.contains(&provider.id) {
            return Err(LinkError::OtherService);
        }
        note.provider = Some(provider.id.clone());
        Ok(provider)
    }

    /// A link by its token; by its id only for the browser that has it.
    async fn usable_link(
        &self,
        handle: &str,
        browser: Option<&[u8; 32]>,
        note: &mut Note,
    ) -> Result<Usable, LinkError> {
        if handle.len() != LENGTH {
            return Err(LinkError::Unknown);
        }
        let by_token = self.store.find_link(&LinkId::new(hash_of(handle))).await?;
        let link = match (by_token, id_of(handle), browser) {
            (Some(link), ..) => link,
            (None, Some(id), Some(browser)) => {
                let link = self.store.find_link(&id).await?;
                link.filter(|link| link.browser_hash.as_ref() == Some(browser)).ok_or(LinkError::Unknown)?
            }
            _ => return Err(LinkError::Unknown),
        };
        note.owner = Some(link.user_id);
        match link.stage {
            LinkStage::Connected => return Err(LinkError::Used),
            LinkStage::Ending => return Err(LinkError::Finishing),
            LinkStage::Open | LinkStage::Declined | LinkStage::Failed => {}
        }
        if self.clock.now() >= link.expires_at {
            return Err(LinkError::Expired);
        }
        let owner = self.store.find_user(link.user_id).await?.ok_or(LinkError::Ended)?;
        if owner.session_epoch != link.session_epoch {
            return Err(LinkError::Ended);
        }
        Ok(Usable { link, owner })
    }

    pub(super) fn note_refused_link(&self, note: Note, error: Option<&LinkError>) {
        let (outcome, reason) = match error {
            None => return,
            Some(LinkError::Unknown) => (AuditOutcome::Refused, "unknown_link"),
            Some(LinkError::Expired) => (AuditOutcome::Refused, "expired_link"),
            Some(LinkError::Used | LinkError::Finishing) => (AuditOutcome::Refused, "used_link"),
            Some(LinkError::Ended) => (AuditOutcome::Refused, "ended_link"),
            Some(LinkError::Elsewhere) => (AuditOutcome::Refused, "another_browser"),
            Some(LinkError::Stranger) => (AuditOutcome::Refused, "another_user"),
            Some(LinkError::OtherService) => (AuditOutcome::Refused, "another_service"),
            Some(LinkError::Broker(error)) => match reason_of(error) {
                Some(words) => words,
                None => return,
            },
        };
        self.note_passing(note, outcome, Some(reason));
    }
}
