//! What can be connected with a link, as its page shows it.

use tokenry_model::ProviderId;
use tokenry_oauth::{Provider, Readiness};

use crate::boot::Broker;

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
        all.sort_by_cached_key(|service| service.name.to_lowercase());
        all
    }
}

/// The service, if it can be connected here.
fn service(provider: &Provider) -> Option<LinkService> {
    let names = match provider.readiness() {
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
    })
}
