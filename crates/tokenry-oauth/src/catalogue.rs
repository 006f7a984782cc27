//! All providers: the built-in ones from their data files, and the operator's own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokenry_model::ProviderId;
use url::Url;

use crate::built_in::built_in;
use crate::data::{Place, ProviderData};
use crate::provider::CallbackPath;
use crate::provider_file::{Files, stem};
use crate::{FileProblem, OutboundPolicy, Provider, ProviderFile, ProviderSettings, SettingError, Source};

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
    secrets: Arc<HashMap<ProviderId, Secrets>>,
    /// What each was made from: descriptions and what is configured, without the operator's own clients laid over them.
    made_from: Arc<BTreeMap<ProviderId, (Entry, ProviderSettings)>>,
    /// The same without clients laid over them, if some are.
    bare: Option<Catalogue>,
}

/// The client that an operator registered at a provider, kept elsewhere than in the configuration.
#[derive(Debug, Clone)]
pub struct ServiceClient {
    /// The client id that the provider gave out.
    pub client_id: String,
    /// The client secret. Without one it is a public client, as where the configuration names an id alone.
    pub client_secret: Option<SecretString>,
}

/// What is configured and never printed.
#[derive(Debug)]
struct Secrets([Option<SecretString>; 2]);

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        let plain = |secret: &Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
        self.0.iter().map(plain).eq(other.0.iter().map(plain))
    }
}

/// The catalogue cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Provider files are broken.
    #[error("{}", list(.0))]
    Files(Vec<FileProblem>),
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
        "{id} is no built-in provider and has no provider file, so it needs an `issuer`, or `authorize_url` and `token_url` (missing: {})",
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

/// One sentence when there is one problem, else a list with a line for each.
fn list(problems: &[FileProblem]) -> String {
    if let [only] = problems {
        return format!("a provider file is refused: {only}");
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("provider files are refused, for {} reasons:\n  - {}", lines.len(), lines.join("\n  - "))
}

/// What is known of a provider before the configuration is laid over it.
#[derive(Debug, Clone)]
struct Entry {
    data: ProviderData,
    source: Source,
    /// Its authorize or token endpoint is not that of the built-in provider of this id.
    moved: bool,
}

impl Entry {
    fn goes_by(&self, word: &str) -> bool {
        self.data.id.as_str() == word || self.data.aliases.iter().any(|alias| alias == word)
    }

    fn into_provider(self, settings: ProviderSettings) -> Arc<Provider> {
        let differs = |new: &Option<Url>, old: &Option<Place>| {
            new.as_ref().is_some_and(|new| old.as_ref().and_then(Place::url) != Some(new))
        };
        let custom = matches!(self.source, Source::File(_) | Source::Configuration);
        let own_callback = custom
            || self.moved
            || settings.issuer.is_some()
            || differs(&settings.authorize_url, &self.data.authorize.url)
            || differs(&settings.token_url, &self.data.token.url);
        let from_configuration = self.source == Source::Configuration;
        let mut provider = Provider::new(self.data, settings, from_configuration);
        provider.source = self.source;
        provider.callback = if own_callback { CallbackPath::Own } else { CallbackPath::Shared };
        Arc::new(provider)
    }
}

/// What differs between two catalogues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The new one has them, the old one had not.
    pub added: Vec<ProviderId>,
    /// Both have them, and not with the same description and configuration.
    pub changed: Vec<ProviderId>,
    /// The old one had them.
    pub removed: Vec<ProviderId>,
}

impl Catalogue {
    /// Reads the built-in data and lays the configuration over them.
    ///
    /// # Errors
    /// [`CatalogueError`], which names the provider and the setting.
    pub fn load(configured: &BTreeMap<ProviderId, ProviderSettings>) -> Result<Self, CatalogueError> {
        Self::load_with(configured, &[], &OutboundPolicy::default())
    }

    /// Reads the built-in data, then the operator's files, and lays the configuration over them. A file whose id is a
    /// built-in one stands in its place, whole. `policy` says where the files' addresses may lead.
    ///
    /// # Errors
    /// [`CatalogueError`], which names the file and the line, or the provider and the setting. All problems of the files
    /// are told at once.
    pub fn load_with(
        configured: &BTreeMap<ProviderId, ProviderSettings>,
        files: &[ProviderFile],
        policy: &OutboundPolicy,
    ) -> Result<Self, CatalogueError> {
        let mut entries = described(files, policy)?;
        let mut taken: HashMap<ProviderId, ProviderId> = HashMap::new();
        let (mut all, mut secrets) = (Vec::new(), HashMap::new());
        let mut made_from = BTreeMap::new();
        for (word, settings) in configured {
            check_urls(word, settings)?;
            let own = Secrets([settings.client_secret.clone(), settings.private_key.clone()]);
            if let Some(at) = entries.iter().position(|entry| entry.goes_by(word.as_str())) {
                let entry = entries.swap_remove(at);
                settings.check(&entry.data)?;
                let aliases = entry.data.aliases.iter();
                taken.extend(aliases.filter_map(|a| Some((ProviderId::parse(a).ok()?, word.clone()))));
                taken.insert(entry.data.id.clone(), word.clone());
                secrets.insert(entry.data.id.clone(), own);
                made_from.insert(entry.data.id.clone(), (entry.clone(), settings.clone()));
                all.push(entry.into_provider(settings.clone()));
            } else if let Some(first) = taken.get(word) {
                return Err(CatalogueError::TwiceConfigured { first: first.clone(), second: word.clone() });
            } else {
                check_complete(word, settings)?;
                let data = ProviderData::standard(word.clone());
                settings.check(&data)?;
                secrets.insert(word.clone(), own);
                let entry = Entry { data, source: Source::Configuration, moved: false };
                made_from.insert(word.clone(), (entry.clone(), settings.clone()));
                all.push(entry.into_provider(settings.clone()));
            }
        }
        for entry in entries {
            made_from.insert(entry.data.id.clone(), (entry.clone(), ProviderSettings::default()));
            all.push(entry.into_provider(ProviderSettings::default()));
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        let (secrets, made_from) = (Arc::new(secrets), Arc::new(made_from));
        Ok(Self(Arc::new(Inner { by_word: words_of(&all)?, all, secrets, made_from, bare: None })))
    }

    /// These services with the operator's own clients laid over them. Where the configuration names a client (an id, a secret
    /// or a key), that one stands, and the other is passed over; so is one of a service that is not there. What was laid over
    /// them before is gone.
    #[must_use]
    pub fn with_clients(&self, clients: &BTreeMap<ProviderId, ServiceClient>) -> Self {
        let bare = self.as_configured();
        let mut all = Vec::with_capacity(bare.0.all.len());
        for provider in &bare.0.all {
            let laid = clients.get(&provider.id).filter(|_| !bare.is_client_configured(&provider.id));
            let (Some(client), Some((entry, settings))) = (laid, bare.0.made_from.get(&provider.id)) else {
                all.push(Arc::clone(provider));
                continue;
            };
            let mut settings = settings.clone();
            settings.client_id = Some(client.client_id.clone());
            settings.client_secret.clone_from(&client.client_secret);
            all.push(entry.clone().into_provider(settings));
        }
        let mut by_word = bare.0.by_word.clone();
        for known in by_word.values_mut() {
            if let Ok(at) = all.binary_search_by(|provider| provider.id.cmp(&known.id)) {
                known.clone_from(&all[at]);
            }
        }
        let (secrets, made_from) = (Arc::clone(&bare.0.secrets), Arc::clone(&bare.0.made_from));
        Self(Arc::new(Inner { by_word, all, secrets, made_from, bare: Some(bare.clone()) }))
    }

    /// The services without the clients that were laid over them.
    fn as_configured(&self) -> &Self {
        self.0.bare.as_ref().unwrap_or(self)
    }

    /// Whether the configuration names the client of this provider: its id, its secret or its key.
    pub fn is_client_configured(&self, id: &ProviderId) -> bool {
        self.0.made_from.get(id).is_some_and(|(_, settings)| {
            settings.client_id.is_some() || settings.client_secret.is_some() || settings.private_key.is_some()
        })
    }

    /// Whether each of the two has the same in every word and secret.
    fn says_the_same(&self, old: &Provider, new: &Self, provider: &Provider) -> bool {
        // What is printed is everything but the secrets.
        format!("{old:?}") == format!("{provider:?}")
            && self.0.secrets.get(&old.id) == new.0.secrets.get(&provider.id)
    }

    /// What a change from this catalogue to the other one is, as far as both are configured.
    pub fn changes_to(&self, new: &Self) -> Changes {
        self.as_configured().changes_between(new.as_configured())
    }

    fn changes_between(&self, new: &Self) -> Changes {
        let find = |catalogue: &Self, id: &ProviderId| {
            catalogue.find(id.as_str()).filter(|provider| &provider.id == id).cloned()
        };
        let mut changes = Changes::default();
        for provider in new.iter() {
            match find(self, &provider.id) {
                None => changes.added.push(provider.id.clone()),
                Some(old) if !self.says_the_same(&old, new, provider) => {
                    changes.changed.push(provider.id.clone());
                }
                Some(_) => {}
            }
        }
        changes.removed =
            self.iter().filter(|old| find(new, &old.id).is_none()).map(|old| old.id.clone()).collect();
        changes
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

/// The providers by their ids and aliases.
fn words_of(all: &[Arc<Provider>]) -> Result<HashMap<String, Arc<Provider>>, CatalogueError> {
    let mut by_word = HashMap::new();
    for provider in all {
        let aliases = provider.aliases.iter().map(String::as_str);
        for word in std::iter::once(provider.id.as_str()).chain(aliases) {
            let word = word.to_ascii_lowercase();
            if by_word.insert(word.clone(), Arc::clone(provider)).is_some() {
                return Err(CatalogueError::TwiceNamed { word });
            }
        }
    }
    Ok(by_word)
}

/// The built-in providers, and the operator's in their places and beside them.
fn described(files: &[ProviderFile], policy: &OutboundPolicy) -> Result<Vec<Entry>, CatalogueError> {
    let mut problems = Vec::new();
    let read = Files::parse(files, &mut problems).finish(Some(policy), &mut problems);
    let replaced: BTreeSet<&str> = read.iter().map(|(_, data)| data.id.as_str()).collect();
    let (originals, kept): (Vec<_>, Vec<_>) =
        built_in()?.into_iter().partition(|data| replaced.contains(data.id.as_str()));
    // Who has each word, and whether it is a built-in one.
    let mut words: HashMap<String, String> = HashMap::new();
    for data in &kept {
        words.extend(all_words(data).map(|word| (word, data.id.to_string())));
    }
    for (file, data) in &read {
        if stem(&file.name) != data.id.as_str() {
            let what = format!("`id` is {:?}, so the file must be called {0}.toml", data.id.as_str());
            problems.push(file.problem(&["id"], what));
        }
        for (at, word) in std::iter::once("id").chain(std::iter::repeat("aliases")).zip(all_words(data)) {
            let Some(other) = words.insert(word.clone(), data.id.to_string()) else { continue };
            let what = format!("{word:?} is a word for {other} already; choose another");
            problems.push(file.problem(&[at], what));
        }
    }
    if !problems.is_empty() {
        return Err(CatalogueError::Files(problems));
    }
    let built_in = kept.into_iter().map(|data| Entry { data, source: Source::BuiltIn, moved: false });
    let own = read.iter().map(|(file, data)| {
        let original = originals.iter().find(|original| original.id == data.id);
        let name = file.name.clone();
        Entry {
            data: data.clone(),
            source: if original.is_none() { Source::File(name) } else { Source::Replacement(name) },
            moved: original.is_some_and(|original| !data.has_endpoints_of(original)),
        }
    });
    Ok(built_in.chain(own).collect())
}

/// The id and the aliases, as they are looked up.
fn all_words(data: &ProviderData) -> impl Iterator<Item = String> {
    std::iter::once(data.id.as_str())
        .chain(data.aliases.iter().map(String::as_str))
        .map(str::to_ascii_lowercase)
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
