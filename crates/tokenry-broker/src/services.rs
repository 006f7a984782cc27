//! The services: described by files, configured by the operator, and, where no configuration names a client, set up on a page.
//!
//! What one process keeps of the latter, every process uses with the next request: each change leaves a mark in the database,
//! and a verb that needs a client looks at it first.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokenry_model::{Action, ExposeSecret as _, Health, ProviderId, SecretString, Timestamp, UserId};
use tokenry_oauth::{Catalogue, Changes, Kind, Provider, Readiness, ServiceCheck, ServiceClient};
use tokenry_store::{NewSecret, StoreError, StoredClient};
use tokenry_vault::Context;
use url::Url;

use crate::audit::Note;
use crate::boot::{Broker, random_token};
use crate::error::BrokerError;
use crate::problem::Problem;
use crate::sessions::Claims;

/// The longest client id and secret that are taken, in bytes.
const MOST_ID: usize = 512;
const MOST_SECRET: usize = 4096;
/// How many people are counted at most.
const MOST_PEOPLE: i64 = 1000;

/// The services as this process knows them.
pub(crate) struct Services {
    known: RwLock<Known>,
    /// One reads at a time, so that nobody puts back what is older.
    reading: tokio::sync::Mutex<()>,
}

struct Known {
    /// With the clients laid over them.
    catalogue: Catalogue,
    clients: BTreeMap<ProviderId, ServiceClient>,
    /// What the clients were marked with when they were read.
    mark: Option<String>,
    configured: Arc<[Configured]>,
}

/// A setting as it is configured, for an operator to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// The key, with its tables.
    pub key: String,
    /// What it is.
    pub value: ConfiguredValue,
    /// Who says so.
    pub by: ConfiguredBy,
}

/// What a setting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfiguredValue {
    /// Not set.
    Nothing,
    /// A secret, which is not shown.
    Secret,
    /// This.
    Text(String),
}

/// Who says what a setting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfiguredBy {
    /// Nobody: it is the default.
    Default,
    /// A file, by its path.
    File(String),
    /// A variable of the environment, by its name.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

/// Who set a service's client up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetUp {
    /// Nobody has, or there is nothing to be set up.
    Nobody,
    /// The configuration, which wins.
    Configuration,
    /// An operator, on a page.
    Page,
}

/// A service in a list.
#[derive(Debug, Clone)]
pub struct ServiceLine {
    /// The service.
    pub provider: Arc<Provider>,
    /// Who set it up.
    pub set_up: SetUp,
    /// Whether it can be connected.
    pub readiness: Readiness,
}

/// What an operator sees of one service. Never a secret.
#[derive(Debug, Clone)]
pub struct ServiceDetail {
    /// The service.
    pub provider: Arc<Provider>,
    /// Who set it up.
    pub set_up: SetUp,
    /// Whether it can be connected.
    pub readiness: Readiness,
    /// The redirect URI to register at the service.
    pub redirect_uri: Url,
    /// What the configuration says of it.
    pub configured: Vec<Configured>,
    /// The client id that is kept for it, also where the configuration wins.
    pub client_id: Option<String>,
    /// Since when a secret is kept with it.
    pub secret_at: Option<Timestamp>,
    /// When it was last changed, and by whom.
    pub changed: Option<(Timestamp, Option<String>)>,
    /// How many people have a connection there that is renewed: a thousand, if there are more.
    pub people: i64,
    /// What the servers have seen of it.
    pub health: Health,
}

/// A client as an operator writes it down.
#[derive(Debug)]
pub struct SetClient {
    /// The client id.
    pub client_id: String,
    /// The secret. Empty: the one that is there stays.
    pub client_secret: SecretString,
    /// There is none, and the one that is there goes.
    pub without_secret: bool,
}

impl Services {
    pub(crate) fn new(catalogue: Catalogue) -> Self {
        let known = Known { catalogue, clients: BTreeMap::new(), mark: None, configured: Arc::new([]) };
        Self { known: RwLock::new(known), reading: tokio::sync::Mutex::default() }
    }

    // Whoever panicked while it was locked had either put a whole catalogue in or none.
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// The services as this process knows them now.
    pub fn catalogue(&self) -> Catalogue {
        self.services.read().catalogue.clone()
    }

    /// The services as they are, with what was set up at whichever process.
    ///
    /// # Errors
    /// [`BrokerError::Store`].
    pub async fn current_catalogue(&self) -> Result<Catalogue, BrokerError> {
        self.fresh_services().await?;
        Ok(self.catalogue())
    }

    /// From now on, these are the services, with the clients of the pages laid over them. Work that is under way ends with what
    /// it began with. Tells what changed.
    pub fn replace_catalogue(&self, new: &Catalogue) -> Changes {
        let mut known = self.services.write();
        let changes = known.catalogue.changes_to(new);
        known.catalogue = new.with_clients(&known.clients);
        drop(known);
        self.faults.forget();
        changes
    }

    /// What the configuration says, for an operator to look at.
    pub fn set_configured(&self, configured: Vec<Configured>) {
        self.services.write().configured = configured.into();
    }

    /// What the configuration says. No secret is in it.
    ///
    /// # Errors
    /// [`BrokerError::OperatorOnly`].
    pub async fn configuration(&self, claims: &Claims) -> Result<Arc<[Configured]>, BrokerError> {
        self.operator(claims).await?;
        Ok(Arc::clone(&self.services.read().configured))
    }

    /// Reads the clients again if anybody changed them: one look at a row by its key, if nobody has.
    pub(crate) async fn fresh_services(&self) -> Result<(), BrokerError> {
        if self.store.find_services_mark().await? == self.services.read().mark {
            return Ok(());
        }
        let _one = self.services.reading.lock().await;
        let mark = self.store.find_services_mark().await?;
        if mark == self.services.read().mark {
            return Ok(());
        }
        let rows = match self.store.list_service_clients().await {
            Ok(rows) => rows,
            Err(error @ StoreError::Unavailable(_)) => return Err(error.into()),
            // One row that cannot be read must not hold up every service: what was known of them stays.
            Err(error) => {
                tracing::error!(%error, "the services that were set up on the pages cannot be read");
                self.services.write().mark = mark;
                return Ok(());
            }
        };
        let mut clients = BTreeMap::new();
        for row in rows {
            let client_secret = match self.open_client_secret(&row).await {
                Ok(secret) => secret,
                Err(BrokerError::Vault(error)) => {
                    let provider = &row.provider;
                    tracing::error!(%provider, %error, "a client secret does not open, and its service is not set up");
                    continue;
                }
                Err(error) => return Err(error),
            };
            clients.insert(row.provider, ServiceClient { client_id: row.client_id, client_secret });
        }
        let mut known = self.services.write();
        known.catalogue = known.catalogue.with_clients(&clients);
        (known.clients, known.mark) = (clients, mark);
        drop(known);
        self.faults.forget();
        Ok(())
    }

    async fn open_client_secret(&self, row: &StoredClient) -> Result<Option<SecretString>, BrokerError> {
        let Some(sealed) = &row.secret else { return Ok(None) };
        let context = Context::Client { provider: row.provider.as_str() };
        self.opened(|keys| keys.open_text(&context, sealed)).await.map(Some)
    }

    /// All services, by their names. For an operator.
    ///
    /// # Errors
    /// [`BrokerError::OperatorOnly`].
    pub async fn list_services(&self, claims: &Claims) -> Result<Vec<ServiceLine>, BrokerError> {
        self.operator(claims).await?;
        let catalogue = self.current_catalogue().await?;
        let known = self.services.read();
        let mut lines: Vec<_> = catalogue
            .iter()
            .map(|provider| ServiceLine {
                provider: Arc::clone(provider),
                set_up: set_up(&catalogue, &known.clients, &provider.id),
                readiness: provider.readiness(),
            })
            .collect();
        lines.sort_by_key(|line| line.provider.name.to_lowercase());
        Ok(lines)
    }

    /// One service. For an operator.
    ///
    /// # Errors
    /// [`BrokerError::UnknownService`], [`BrokerError::OperatorOnly`].
    pub async fn find_service(&self, claims: &Claims, id: &str) -> Result<ServiceDetail, BrokerError> {
        self.operator(claims).await?;
        let catalogue = self.current_catalogue().await?;
        let provider = service_of_id(&catalogue, id)?;
        let rows = self.store.list_service_clients().await?;
        let row = rows.into_iter().find(|row| row.provider == provider.id);
        let changed = match &row {
            Some(row) => Some((row.updated_at, self.name_of(row.updated_by).await?)),
            None => None,
        };
        let means_it = |configured: &&Configured| {
            let mut words = configured.key.split('.');
            words.next() == Some("providers")
                && words
                    .next()
                    .and_then(|word| catalogue.find(word))
                    .is_some_and(|other| other.id == provider.id)
        };
        let (set_up, configured) = {
            let known = self.services.read();
            let configured = known.configured.iter().filter(means_it).cloned().collect();
            (set_up(&catalogue, &known.clients, &provider.id), configured)
        };
        Ok(ServiceDetail {
            readiness: provider.readiness(),
            redirect_uri: provider.redirect_uri(&self.settings.public_url),
            configured,
            client_id: row.as_ref().map(|row| row.client_id.clone()),
            secret_at: row.as_ref().and_then(|row| row.secret_at),
            changed,
            people: self.store.count_people(&provider.id, MOST_PEOPLE).await?,
            health: self.store.find_health(&provider.id).await?,
            set_up,
            provider,
        })
    }

    /// Checks a service as the command line does: what is configured, and whether its addresses lead anywhere. For an operator.
    ///
    /// # Errors
    /// As [`Broker::find_service`].
    pub async fn check_service(&self, claims: &Claims, id: &str) -> Result<ServiceCheck, BrokerError> {
        self.operator(claims).await?;
        let catalogue = self.current_catalogue().await?;
        let provider = service_of_id(&catalogue, id)?;
        let health = self.store.find_health(&provider.id).await?;
        Ok(self.oauth.check(&provider, health).await)
    }

    /// Sets a service up, or changes its client. Every process uses it with the next request. For an operator.
    ///
    /// # Errors
    /// [`BrokerError::Field`], also when the configuration names a client; as [`Broker::find_service`].
    pub async fn set_service(
        &self,
        claims: &Claims,
        id: &str,
        client: &SetClient,
    ) -> Result<(), BrokerError> {
        let mut note = Note::by(claims, Action::ServiceSet);
        let set = self.set_service_alone(claims, id, client, &mut note).await;
        self.noted(note, set).await
    }

    async fn set_service_alone(
        &self,
        claims: &Claims,
        id: &str,
        client: &SetClient,
        note: &mut Note,
    ) -> Result<(), BrokerError> {
        self.operator(claims).await?;
        let provider = self.service_to_change(id, note).await?;
        if !matches!(provider.kind(), Kind::Oauth2 | Kind::Oauth1) {
            return Err(BrokerError::field("client_id", Problem::NoClient));
        }
        let client_id = client.client_id.trim();
        if client_id.is_empty() || client_id.len() > MOST_ID || client_id.chars().any(char::is_control) {
            return Err(BrokerError::field("client_id", Problem::ClientId));
        }
        let secret = client.client_secret.expose_secret().trim();
        if secret.len() > MOST_SECRET || secret.chars().any(char::is_control) {
            return Err(BrokerError::field("client_secret", Problem::ClientSecret));
        }
        if !self.keep_client(&provider.id, client_id, secret, client.without_secret, claims.user).await? {
            return Err(BrokerError::field("client_secret", Problem::OtherSecret));
        }
        // What the service said of the client before says nothing of this one.
        self.store.close_circuit(&provider.id).await?;
        self.fresh_services().await
    }

    /// Returns whether it was kept: not when the secret that is there belongs to another client id.
    async fn keep_client(
        &self,
        id: &ProviderId,
        client_id: &str,
        secret: &str,
        without_secret: bool,
        by: UserId,
    ) -> Result<bool, BrokerError> {
        let mark = random_token(&*self.random)?;
        let mut tries = 2;
        loop {
            let sealed = match secret {
                "" => None,
                secret => {
                    Some(self.vault.seal(&Context::Client { provider: id.as_str() }, secret.as_bytes())?)
                }
            };
            let new = match &sealed {
                Some(sealed) => NewSecret::Sealed(sealed),
                None if without_secret => NewSecret::None,
                None => NewSecret::Stays,
            };
            let now = self.clock.now();
            let mark = mark.expose_secret();
            match self.store.update_service_client(id, client_id, new, Some(by), mark, now).await {
                // The key went while it was sealed with.
                Err(StoreError::KeyInUse) if tries > 1 => {
                    tries -= 1;
                    self.read_ring().await?;
                }
                done => return Ok(done?),
            }
        }
    }

    /// Takes a service's client away. Connections stay, and cannot be refreshed until there is a client again. For an operator.
    ///
    /// # Errors
    /// As [`Broker::set_service`].
    pub async fn remove_service(&self, claims: &Claims, id: &str) -> Result<(), BrokerError> {
        let mut note = Note::by(claims, Action::ServiceRemove);
        let removed = async {
            self.operator(claims).await?;
            let provider = self.service_to_change(id, &mut note).await?;
            let mark = random_token(&*self.random)?;
            self.store.delete_service_client(&provider.id, mark.expose_secret(), self.clock.now()).await?;
            self.store.settle().await;
            self.fresh_services().await
        };
        let removed = removed.await;
        self.noted(note, removed).await
    }

    async fn service_to_change(&self, id: &str, note: &mut Note) -> Result<Arc<Provider>, BrokerError> {
        let catalogue = self.current_catalogue().await?;
        let provider = service_of_id(&catalogue, id)?;
        note.provider = Some(provider.id.clone());
        if catalogue.is_client_configured(&provider.id) {
            return Err(BrokerError::field("client_id", Problem::Configured));
        }
        Ok(provider)
    }

    pub(crate) async fn name_of(&self, user: Option<UserId>) -> Result<Option<String>, BrokerError> {
        let Some(user) = user else { return Ok(None) };
        Ok(self.store.find_user(user).await?.map(|user| user.username.to_string()))
    }
}

fn set_up(catalogue: &Catalogue, clients: &BTreeMap<ProviderId, ServiceClient>, id: &ProviderId) -> SetUp {
    if catalogue.is_client_configured(id) {
        SetUp::Configuration
    } else if clients.contains_key(id) {
        SetUp::Page
    } else {
        SetUp::Nobody
    }
}

/// By its id alone: an address of a page has no second one.
fn service_of_id(catalogue: &Catalogue, id: &str) -> Result<Arc<Provider>, BrokerError> {
    let found = catalogue.find(id).filter(|provider| provider.id.as_str() == id);
    found.cloned().ok_or_else(|| BrokerError::UnknownService {
        field: None,
        word: id.chars().filter(|c| !c.is_control()).take(64).collect(),
        close: catalogue.close_matches(id),
    })
}
