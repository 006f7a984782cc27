//! All providers: the built-in ones from their data files, and the operator's own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokenry_model::ProviderId;
use url::Url;

use crate::built_in::built_in;
use crate::data::ProviderData;
use crate::{Provider, ProviderSettings, SettingError};

/// How alike two words must be for one to be offered in place of the other, from 0 to 1.
const ALIKE: f64 = 0.55;
/// Longer words are not compared to their end.
const MAX_COMPARED: usize = 64;

/// The providers by their names. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalogue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    by_word: HashMap<String, Arc<Provider>>,
    all: Vec<Arc<Provider>>,
}

/// The catalogue cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A built-in data file cannot be read. A fault of this build.
    #[error("the data file {file} is broken: {cause}")]
    File {
        /// Its name.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Two providers go by one word.
    #[error("two providers go by the word {word:?}")]
    TwiceNamed {
        /// The word.
        word: String,
    },
    /// One provider is configured under two words.
    #[error("{first} and {second} are the same provider: configure it once")]
    TwiceConfigured {
        /// The word that came first.
        first: ProviderId,
        /// The other.
        second: ProviderId,
    },
    /// A provider of the operator's own lacks what it takes.
    #[error(
        "{id} is no built-in provider, so it needs an `issuer`, or `authorize_url` and `token_url` (missing: {})",
        .missing.join(", ")
    )]
    Incomplete {
        /// Its id.
        id: ProviderId,
        /// The settings that are missing.
        missing: Vec<&'static str>,
    },
    /// The private key cannot be used.
    #[error("{id}: private_key {why}")]
    BadKey {
        /// The provider's id.
        id: ProviderId,
        /// Why not.
        why: String,
    },
    /// A value that the operator fixed for all connections cannot be used.
    #[error("{id}: settings.{error}")]
    BadSetting {
        /// The provider's id.
        id: ProviderId,
        /// Which, and why not.
        error: SettingError,
    },
    /// A setting cannot be used.
    #[error("{id}: {setting} must be an http or https URL with a host, and without user name and fragment")]
    BadUrl {
        /// The provider's id.
        id: ProviderId,
        /// The setting.
        setting: &'static str,
    },
}

impl Catalogue {
    /// Reads the built-in data and lays the configuration over them.
    ///
    /// # Errors
    /// [`CatalogueError`], which names the provider and the setting.
    pub fn load(configured: &BTreeMap<ProviderId, ProviderSettings>) -> Result<Self, CatalogueError> {
        let mut files = built_in()?;
        let mut taken: HashMap<ProviderId, ProviderId> = HashMap::new();
        let mut all = Vec::new();
        for (word, settings) in configured {
            check_urls(word, settings)?;
            let found =
                files.iter().position(|d| &d.id == word || d.aliases.iter().any(|a| a == word.as_str()));
            if let Some(at) = found {
                let data = files.swap_remove(at);
                settings.check(&data)?;
                taken.extend(
                    data.aliases.iter().filter_map(|a| Some((ProviderId::parse(a).ok()?, word.clone()))),
                );
                taken.insert(data.id.clone(), word.clone());
                all.push(Arc::new(Provider::new(data, settings.clone(), false)));
            } else if let Some(first) = taken.get(word) {
                return Err(CatalogueError::TwiceConfigured { first: first.clone(), second: word.clone() });
            } else {
                check_complete(word, settings)?;
                let data = ProviderData::standard(word.clone());
                settings.check(&data)?;
                all.push(Arc::new(Provider::new(data, settings.clone(), true)));
            }
        }
        let untouched =
            files.into_iter().map(|d| Arc::new(Provider::new(d, ProviderSettings::default(), false)));
        all.extend(untouched);
        all.sort_by(|a, b| a.id.cmp(&b.id));

        let mut by_word = HashMap::new();
        for provider in &all {
            for word in
                std::iter::once(provider.id.as_str()).chain(provider.aliases.iter().map(String::as_str))
            {
                let word = word.to_ascii_lowercase();
                if by_word.insert(word.clone(), Arc::clone(provider)).is_some() {
                    return Err(CatalogueError::TwiceNamed { word });
                }
            }
        }
        Ok(Self(Arc::new(Inner { by_word, all })))
    }

    /// The provider of that id or alias, without regard to case.
    pub fn find(&self, word: &str) -> Option<&Arc<Provider>> {
        self.0.by_word.get(&word.to_ascii_lowercase())
    }

    /// At most three ids that the word may have been meant for, the likeliest first.
    pub fn close_matches(&self, word: &str) -> Vec<String> {
        let word: String = word.chars().take(MAX_COMPARED).collect::<String>().to_lowercase();
        let mut best: BTreeMap<&str, f64> = BTreeMap::new();
        for (known, provider) in &self.0.by_word {
            let alike = alike(&word, known);
            let score = best.entry(provider.id.as_str()).or_insert(alike);
            *score = score.max(alike);
        }
        let mut best: Vec<_> = best.into_iter().filter(|(_, alike)| *alike >= ALIKE).collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1));
        best.into_iter().take(3).map(|(id, _)| id.to_owned()).collect()
    }

    /// All providers, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.0.all.iter()
    }
}

/// How alike two words are, from 0 to 1: one part by their letters (Jaro–Winkler), two parts by the slips of the keyboard
/// between them, of which two letters in the wrong order are one.
fn alike(a: &str, b: &str) -> f64 {
    (strsim::jaro_winkler(a, b) + 2.0 * strsim::normalized_damerau_levenshtein(a, b)) / 3.0
}

fn check_complete(id: &ProviderId, settings: &ProviderSettings) -> Result<(), CatalogueError> {
    let missing: Vec<_> = [("authorize_url", &settings.authorize_url), ("token_url", &settings.token_url)]
        .into_iter()
        .filter_map(|(name, url)| url.is_none().then_some(name))
        .collect();
    if missing.is_empty() || settings.issuer.is_some() {
        Ok(())
    } else {
        Err(CatalogueError::Incomplete { id: id.clone(), missing })
    }
}

fn check_urls(id: &ProviderId, settings: &ProviderSettings) -> Result<(), CatalogueError> {
    let fits = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    };
    for (setting, url) in [
        ("authorize_url", &settings.authorize_url),
        ("token_url", &settings.token_url),
        ("revoke_url", &settings.revoke_url),
        ("userinfo_url", &settings.userinfo_url),
    ] {
        if url.as_ref().is_some_and(|url| !fits(url)) {
            return Err(CatalogueError::BadUrl { id: id.clone(), setting });
        }
    }
    Ok(())
}
