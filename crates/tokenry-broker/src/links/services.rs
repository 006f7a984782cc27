//! What can be connected with a link, as its pages show it.

use tokenry_model::ProviderId;
use tokenry_oauth::{Provider, Readiness};

use crate::boot::Broker;
use crate::error::BrokerError;
use crate::offers::{Offer, is_brought};

/// A service that can be connected with a link.
#[derive(Debug, Clone)]
pub struct LinkService {
    /// Its id.
    pub id: ProviderId,
    /// Its name.
    pub name: String,
    /// By what words it can be found, in lower case.
    pub words: String,
    /// What the person is asked for before they go there.
    pub asks: Vec<LinkAsk>,
    /// Whether the person goes nowhere, and brings along what opens it: see [`Broker::link_offer`].
    pub is_brought: bool,
}

/// What a service asks for before somebody goes there.
#[derive(Debug, Clone)]
pub struct LinkAsk {
    /// The setting.
    pub name: String,
    /// What to ask the person for.
    pub title: String,
    /// What a value looks like.
    pub example: String,
    /// The only values there are; none: any that fits.
    pub one_of: Vec<String>,
}

impl Broker {
    /// The services that can be connected with a link for these; all that can be connected here if there are none.
    pub fn link_services(&self, ids: &[ProviderId]) -> Vec<LinkService> {
        let catalogue = self.catalogue();
        if !ids.is_empty() {
            return ids.iter().filter_map(|id| service(catalogue.find(id.as_str())?)).collect();
        }
        let mut all: Vec<_> = catalogue.iter().filter_map(|provider| service(provider)).collect();
        // What takes one click comes first.
        all.sort_by_cached_key(|service| (service.is_brought, service.name.to_lowercase()));
        all
    }

    /// What to ask a person for who brings along what opens a service, by its id. Nothing if it is not connected in that way,
    /// or not with a link for these services.
    ///
    /// # Errors
    /// [`BrokerError::Store`].
    pub async fn link_offer(&self, ids: &[ProviderId], service: &str) -> Result<Option<Offer>, BrokerError> {
        let catalogue = self.current_catalogue().await?;
        let found = catalogue.find(service).filter(|provider| {
            provider.id.as_str() == service
                && (ids.is_empty() || ids.contains(&provider.id))
                && is_brought(provider.kind())
        });
        Ok(found.map(|provider| self.offer(provider)))
    }

    /// Refuses a service that no link connects, whatever its settings.
    pub(super) fn require_linkable(&self, provider: &Provider) -> Result<(), BrokerError> {
        if is_brought(provider.kind()) { Ok(()) } else { self.require_link(provider) }
    }
}

/// The service, if it can be connected here.
fn service(provider: &Provider) -> Option<LinkService> {
    let is_brought = is_brought(provider.kind());
    let names = match provider.readiness() {
        _ if is_brought => Vec::new(),
        Readiness::Ready => Vec::new(),
        Readiness::NeedsSettings { names, .. } => names,
        Readiness::Missing { .. } | Readiness::NotSupported { .. } => return None,
    };
    let asks = names.into_iter().filter_map(|name| {
        let setting = provider.settings().get(&name)?;
        Some(LinkAsk {
            title: setting.title.clone(),
            example: setting.example.clone(),
            one_of: setting.one_of.clone(),
            name,
        })
    });
    let words = [provider.name.as_str(), provider.id.as_str()].into_iter();
    let words = words.chain(provider.aliases.iter().map(String::as_str));
    let words = words.chain(provider.categories().iter().map(String::as_str));
    Some(LinkService {
        id: provider.id.clone(),
        name: provider.name.clone(),
        words: words.collect::<Vec<_>>().join(" ").to_lowercase(),
        asks: asks.collect(),
        is_brought,
    })
}
