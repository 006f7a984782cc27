//! Putting the broker together, and the keys it needs before it can do anything.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokenry_model::{
    Clock, Connection, EntropyError, ExposeSecret as _, ProviderId, Random, SecretString, Username, Values,
};
use tokenry_oauth::{Catalogue, OAuth, Provider};
use tokenry_store::{Spool, Store, StoreError};
use tokenry_vault::{MasterKey, VaultError};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::audit::Audit;
use crate::error::BrokerError;
use crate::hours::Hours;
use crate::keys::{Keys, unlock};
use crate::links::Embedding;
use crate::metrics::Metrics;
use crate::passwords::Passwords;
use crate::refresh::Flights;
use crate::refusals::{Faults, Successes};
use crate::renewals::{Renewing, Used};
use crate::services::Services;
use crate::signing::Signing;
use crate::spool::WaitingAnswers;
use crate::upkeep::Holds;

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address people reach the server at. Redirect URIs are made from it, never from a request.
    pub public_url: Url,
    /// Whether people may sign up.
    pub signup_open: bool,
    /// How long an access token of ours lives.
    pub session_ttl: Duration,
    /// How long rows of the audit log are kept.
    pub audit_keep: Duration,
    /// How many kinds of events may wait for the audit log before hand-outs are refused.
    pub audit_queue: usize,
    /// What a user may have.
    pub quotas: Quotas,
    /// What pages of other sites may do here.
    pub embedding: Embedding,
}

/// How much of what a user may have. 0: any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Connections that are there.
    pub connections: i64,
    /// Connects that have begun and not ended.
    pub flows: i64,
}

impl Default for Quotas {
    /// 1000 connections, 50 connects under way.
    fn default() -> Self {
        Self { connections: 1000, flows: 50 }
    }
}

/// What a broker is put together from.
pub struct BrokerParts {
    /// The open database.
    pub store: Store,
    /// The key to the key ring.
    pub master: MasterKey,
    /// The services.
    pub catalogue: Catalogue,
    /// What speaks to them.
    pub oauth: OAuth,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub random: Arc<dyn Random>,
    /// What the operator decides.
    pub settings: Settings,
    /// Where answers wait that the database does not take.
    pub spool: Spool,
}

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key ring does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There are no random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The spool cannot be read. It may hold the only copy of a token.
    #[error("the spool of refreshed tokens cannot be read: {0}")]
    Spool(#[from] std::io::Error),
    /// A part does not fit.
    #[error("{0}")]
    Unusable(&'static str),
}

/// The verbs. Cheap to clone; every clone is the same broker.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

/// What every verb works with.
pub struct Inner {
    pub(crate) store: Store,
    pub(crate) vault: Keys,
    pub(crate) services: Services,
    pub(crate) oauth: OAuth,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) settings: Settings,
    pub(crate) sessions: Signing,
    pub(crate) passwords: Passwords,
    pub(crate) metrics: Metrics,
    /// What is to be written into the audit log.
    pub(crate) audit: Audit,
    /// What this process is called on the leases it takes.
    pub(crate) process: String,
    /// The data keys that the database knows this process to need, and by what name its spool goes there.
    pub(crate) holds: Mutex<Holds>,
    pub(crate) spool_name: String,
    /// Refreshes under way in this process, by connection.
    pub(crate) flights: Flights,
    /// Answers that the database does not take, on disk and in memory.
    pub(crate) spool: Spool,
    pub(crate) waiting: WaitingAnswers,
    /// Providers whose connections this process is renewing.
    pub(crate) renewing: Renewing,
    /// When tokens were handed out, until it is written down.
    pub(crate) used: Used,
    /// How refreshes went, until it is written down.
    pub(crate) hours: Hours,
    /// When providers gave tokens, and what they last said against this server.
    pub(crate) successes: Successes,
    pub(crate) faults: Faults,
    /// Work that must not be torn: a stop waits for it.
    pub(crate) tasks: TaskTracker,
    /// A name that nobody can have: log-ins with an impossible name are counted under it.
    pub(crate) nobody: Username,
}

impl Deref for Broker {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Whether this master key opens the key ring of the database at `url`. Changes nothing, and makes nothing if nothing is there.
///
/// # Errors
/// [`OpenError::Vault`] when it does not; [`OpenError::Store`] when the database is there and cannot be read.
pub async fn check_master_key(
    url: &str,
    master: &MasterKey,
    random: Arc<dyn Random>,
) -> Result<(), OpenError> {
    let ring = Store::peek_keys(url).await?;
    if !ring.is_empty() {
        unlock(master, &ring, random)?;
    }
    Ok(())
}

impl Broker {
    /// Opens the key ring (and makes it, in a database that has none) and puts the broker together.
    ///
    /// # Errors
    /// [`OpenError`] when the master key is not the one, or the database is away.
    pub async fn open(parts: BrokerParts) -> Result<Self, OpenError> {
        let BrokerParts { store, master, catalogue, oauth, clock, random, settings, spool } = parts;
        let vault = Keys::unlock(&store, master, &*clock, Arc::clone(&random)).await?;
        let sessions = Signing::open(&store, &vault, settings.session_ttl, &*clock, &*random).await?;
        let passwords = Passwords::new(Arc::clone(&random))
            .ok_or(OpenError::Unusable("the parameters for password hashing are not usable"))?;
        let nobody = Username::parse("nobody-can-have-this-name")
            .map_err(|_| OpenError::Unusable("the stand-in username is not usable"))?;
        let process = random_token(&*random)?.expose_secret().to_owned();
        let spool_name = name_of(&spool, &process).await;
        let audit = Audit::new(settings.audit_queue);
        let broker = Self(Arc::new(Inner {
            audit,
            process,
            holds: Mutex::default(),
            spool_name,
            store,
            vault,
            services: Services::new(catalogue),
            oauth,
            clock,
            random,
            settings,
            sessions,
            passwords,
            metrics: Metrics::default(),
            flights: Mutex::new(HashMap::new()),
            spool,
            waiting: Mutex::new(HashMap::new()),
            renewing: Mutex::default(),
            used: Mutex::default(),
            hours: Hours::default(),
            successes: Successes::default(),
            faults: Faults::default(),
            tasks: TaskTracker::new(),
            nobody,
        }));
        broker.hold_at_start().await;
        if let Err(error) = broker.fresh_services().await {
            tracing::warn!(%error, "the services that were set up on the pages are not known yet");
        }
        broker.take_up_spool().await?;
        broker.reserve_room().await;
        Ok(broker)
    }

    /// What the broker counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What the operator decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`BrokerError::Store`] when it does not.
    pub async fn ready(&self) -> Result<(), BrokerError> {
        Ok(self.store.ping().await?)
    }

    /// Waits until no refresh and no revocation is under way, then closes the database.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = self.write_uses().await {
            tracing::warn!(%error, "when tokens were last used could not be written down");
        }
        if let Err(error) = self.write_hours().await {
            tracing::warn!(%error, "how the last refreshes went could not be written down");
        }
        self.end_audit().await;
        if let Err(error) = self.let_go().await {
            tracing::warn!(%error, "it could not be written down which data keys are no longer needed");
        }
        self.store.close().await;
    }

    /// The provider a word means. `field`: where in the body the word was, for the words of the refusal.
    pub(crate) fn find_provider(
        &self,
        word: &str,
        field: Option<&'static str>,
    ) -> Result<Arc<Provider>, BrokerError> {
        let catalogue = self.catalogue();
        catalogue.find(word).cloned().ok_or_else(|| BrokerError::UnknownService {
            field,
            word: word.chars().filter(|c| !c.is_control()).take(64).collect(),
            close: catalogue.close_matches(word),
        })
    }

    /// The provider of a connection, with what differs from connection to connection filled in.
    pub(crate) fn provider_of(&self, connection: &Connection) -> Result<Arc<Provider>, BrokerError> {
        self.provider_with(&connection.provider, &connection.values)
    }

    /// A stored provider with these values filled in.
    pub(crate) fn provider_with(
        &self,
        id: &ProviderId,
        values: &Values,
    ) -> Result<Arc<Provider>, BrokerError> {
        filled(&self.stored_provider(id)?, values)
    }

    /// The provider of a stored connection, as it is for all.
    pub(crate) fn stored_provider(&self, id: &ProviderId) -> Result<Arc<Provider>, BrokerError> {
        let gone = || BrokerError::ProviderGone { service: id.to_string() };
        self.catalogue().find(id.as_str()).cloned().ok_or_else(gone)
    }
}

/// A provider with these values filled in.
pub(crate) fn filled(provider: &Arc<Provider>, values: &Values) -> Result<Arc<Provider>, BrokerError> {
    provider.for_connection(values).map_err(|cause| BrokerError::provider(&provider.name, cause))
}

/// The spool's name. A disk that takes no name is no reason not to serve: it goes by the process's then.
async fn name_of(spool: &Spool, process: &str) -> String {
    let (spool, fresh) = (spool.clone(), process.to_owned());
    let named = tokio::task::spawn_blocking(move || spool.name(&fresh)).await;
    match named.unwrap_or_else(|_| Err(std::io::Error::other("the task ended early"))) {
        Ok(name) if !name.is_empty() => name,
        Ok(_) => process.to_owned(),
        Err(error) => {
            tracing::warn!(%error, "the spool has no name that lasts");
            process.to_owned()
        }
    }
}

/// The SHA-256 of a secret that is found by its hash. The secret has enough entropy to need no salt.
pub(crate) fn hash_of(secret: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// 32 random bytes as text, for a cookie or a form.
pub(crate) fn random_token(random: &dyn Random) -> Result<SecretString, EntropyError> {
    use base64::Engine as _;
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    random.fill(&mut *bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(*bytes).into())
}
