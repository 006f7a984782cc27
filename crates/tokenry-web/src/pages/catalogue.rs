//! What can be connected: the catalogue, to look through and to search.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokenry_broker::{Offer, Way};

use super::error::PageError;
use super::frame::{Frame, Section};
use super::gate::{Visit, Who};
use super::routes::Page;
use super::texts::Language;
use super::{device, page, service};
use crate::logos::Sheet;

/// How many services one page shows.
const PAGE: usize = 48;
/// The services that most people look for, by their ids, the most wanted first.
const POPULAR: &str = include_str!("../../assets/popular.txt");

pub(super) fn routes() -> Vec<Page> {
    let mut routes = vec![Page::get("/connect", Who::Person, catalogue)];
    routes.extend(service::routes());
    routes.extend(device::routes());
    routes
}

/// Which services are wanted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Search {
    /// A part of the name, the id or an alias.
    #[serde(default)]
    q: String,
    #[serde(default)]
    category: String,
    /// Counted from 0.
    #[serde(default)]
    page: usize,
}

#[derive(Template)]
#[template(path = "catalogue.html")]
struct CataloguePage {
    frame: Frame,
    sheet: String,
    search: Search,
    categories: Vec<String>,
    cards: Vec<Card>,
    count: usize,
    next: Option<usize>,
}

/// One service of the catalogue.
struct Card {
    id: String,
    name: String,
    logo: String,
    categories: String,
    /// The text of how it is connected, and the class of its badge.
    way: (&'static str, &'static str),
    /// Whether nothing has to be asked before the person goes there.
    is_one_click: bool,
}

/// The text for how a service is connected, and the class of its badge.
pub(super) fn way(offer: &Offer) -> (&'static str, &'static str) {
    match offer.way {
        Way::Consent => ("way-consent", "good"),
        Way::ApiKey => ("way-api-key", ""),
        Way::Basic { .. } => ("way-basic", ""),
        Way::Client { .. } => ("way-client", ""),
        Way::NotSetUp { .. } => ("way-closed", ""),
        Way::PasteOnly { .. } => ("way-paste", ""),
    }
}

/// What a service is for, in words.
pub(super) fn categories(language: &Language, words: &[String]) -> String {
    words.iter().map(|word| language.known("category", word)).collect::<Vec<_>>().join(", ")
}

/// How well a service answers a search, less being better. `None`: not at all.
fn match_of(offer: &Offer, wanted: &str) -> Option<u8> {
    if wanted.is_empty() {
        return Some(0);
    }
    let name = offer.name.to_lowercase();
    let mut words = offer.aliases.iter().map(|alias| alias.to_lowercase()).chain([offer.id.to_string()]);
    if name == wanted || words.clone().any(|word| word == wanted) {
        Some(0)
    } else if name.starts_with(wanted) {
        Some(1)
    } else if name.contains(wanted) || words.any(|word| word.contains(wanted)) {
        Some(2)
    } else {
        offer.categories.iter().any(|category| category.contains(wanted)).then_some(3)
    }
}

/// Those that fit, the best first: what can be connected with one click, then what most people look for.
fn find(offers: Vec<Offer>, search: &Search) -> Vec<Offer> {
    let wanted = search.q.trim().to_lowercase();
    let popular: Vec<&str> = POPULAR.lines().collect();
    let rank = |offer: &Offer| {
        let id = offer.id.as_str();
        popular.iter().position(|known| *known == id).unwrap_or(popular.len())
    };
    let fits = |offer: Offer| {
        let in_category = search.category.is_empty() || offer.categories.contains(&search.category);
        let matched = match_of(&offer, &wanted).filter(|_| in_category)?;
        let place = (matched, offer.way != Way::Consent, rank(&offer), offer.name.to_lowercase());
        Some((place, offer))
    };
    let mut found: Vec<_> = offers.into_iter().filter_map(fits).collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.into_iter().map(|(_, offer)| offer).collect()
}

async fn catalogue(
    visit: Visit,
    search: Result<Query<Search>, QueryRejection>,
) -> Result<Response, PageError> {
    // An address that nobody of ours made shows the whole catalogue.
    let search = search.map_or_else(|_| Search::default(), |Query(search)| search);
    let offers = visit.app.broker.offers().await?;
    let words: BTreeSet<String> = offers.iter().flat_map(|offer| offer.categories.clone()).collect();
    let found = find(offers, &search);
    let count = found.len();
    let first = search.page.saturating_mul(PAGE);
    let mut sheet = Sheet::within(usize::MAX);
    let card = |offer: Offer| Card {
        logo: sheet.logo(offer.id.as_str(), &offer.name).html(),
        categories: categories(&visit.language, &offer.categories),
        way: way(&offer),
        is_one_click: offer.way == Way::Consent && !offer.settings.iter().any(|it| it.is_needed),
        id: offer.id.to_string(),
        name: offer.name,
    };
    let cards: Vec<Card> = found.into_iter().skip(first).take(PAGE).map(card).collect();
    let template = CataloguePage {
        frame: visit.frame("catalogue-title").at(Section::Connect),
        sheet: sheet.html(),
        categories: words.into_iter().collect(),
        next: (count > first.saturating_add(PAGE)).then_some(search.page.saturating_add(1)),
        cards,
        count,
        search,
    };
    Ok(page(StatusCode::OK, &template))
}
