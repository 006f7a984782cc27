//! All providers: the built-in ones from their data files, and the operator's own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use tokenry_model::ProviderId;
use url::Url;

use crate::data::ProviderData;
use crate::{Provider, ProviderSettings};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/providers");

/// How alike two words must be for one to be offered in place of the other (Jaro–Winkler, 0 to 1).
const ALIKE: f64 = 0.7;
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
            let alike = strsim::jaro_winkler(&word, known);
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

/// Reads the embedded data files.
pub(crate) fn built_in() -> Result<Vec<ProviderData>, CatalogueError> {
    FILES
        .files()
        .map(|file| {
            let name = file.path().display().to_string();
            let broken = |cause: String| CatalogueError::File { file: name.clone(), cause };
            let text = file.contents_utf8().ok_or_else(|| broken("it is not UTF-8".to_owned()))?;
            let data: ProviderData = toml::from_str(text).map_err(|e| broken(e.to_string()))?;
            if data.authorize.url.is_none() || data.token.url.is_none() {
                return Err(broken("it needs authorize.url and token.url".to_owned()));
            }
            Ok(data)
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::OutboundPolicy;

    #[test]
    fn every_data_file_is_sane() {
        let files = built_in().unwrap();
        assert!(files.len() >= 4);
        let policy = OutboundPolicy::default();
        let mut words = BTreeSet::new();
        for data in &files {
            let id = data.id.as_str();
            assert!(FILES.get_file(format!("{id}.toml")).is_some(), "{id} lies in a file of another name");
            assert!(!data.name.trim().is_empty() && data.docs_url.is_some(), "{id}");
            for word in data.aliases.iter().map(String::as_str).chain([id]) {
                assert!(ProviderId::parse(word).is_ok(), "{id}: {word}");
                assert!(words.insert(word), "two files claim {word}");
            }
            let revoke = data.revoke.url.as_ref().map(|url| Url::parse(url).unwrap());
            let urls = [
                &data.docs_url,
                &data.authorize.url,
                &data.token.url,
                &data.refresh.url,
                &data.identity.url,
                &data.api.base_url,
                &revoke,
            ];
            for url in urls.into_iter().flatten() {
                assert!(policy.check(url).is_ok() && url.domain().is_some(), "{id}: {url}");
                assert!(url.fragment().is_none(), "{id}: {url}");
            }
            if let Some(base) = &data.api.base_url {
                let host = base.host_str().unwrap();
                assert!(data.api.hosts.iter().any(|h| h == host), "{id}: {host} is not among the hosts");
            }
            assert!(!data.identity.account_id.is_empty(), "{id}");
            assert!(!data.scope.separator.is_empty(), "{id}");
            for kept in ["state", "redirect_uri", "response_type", "client_id", "code_challenge"] {
                assert!(!data.authorize.params.contains_key(kept), "{id}: {kept} is not for data to say");
            }
        }
    }

    #[test]
    fn an_unknown_word_in_a_data_file_is_an_error() {
        let text = "id = \"p\"\nname = \"P\"\n[token]\nurl = \"https://p.example/t\"\nurk = 1\n";
        assert!(toml::from_str::<ProviderData>(text).unwrap_err().to_string().contains("urk"));
    }
}
