//! The server: every room put together, started, and stopped without tearing anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use tokenry_broker::{Broker, BrokerParts, Settings, check_master_key};
use tokenry_model::{Action, AuditOutcome, Clock, Random};
use tokenry_oauth::{Changes, OAuth, OutboundPolicy};
use tokenry_store::{Spool, Store};
use tokenry_vault::SystemRandom;
use tokenry_web::{Lines, LiveTexts, WebParts};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Signup};
use crate::{master_key, providers, texts};

/// A stop takes at most so long: what is under way then is given up.
const STOP_WITHIN: Duration = Duration::from_millis(9500);
/// How much of it requests may take; the rest is for refreshes and revocations.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Opens everything a command needs: the key, the database, the broker. Tells what it had to make.
///
/// # Errors
/// When the master key is not the one of the database, or something cannot be opened; each error is a sentence for the
/// operator.
pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<(Broker, Opened)> {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let database_url = config.database_url.expose_secret();
    // First what can be wrong without anything being made: a start that fails must not leave a key behind unmentioned.
    let catalogue = providers::catalogue(config, &config.outbound)?;
    texts::read(config)?;
    let oauth = OAuth::new(config.outbound.clone(), Arc::clone(&clock))?;
    master_key::make_data_dir(&config.data_dir)?;
    let found = master_key::find(&config.master_key, database_url).await?;
    check_master_key(database_url, &found.key, Arc::clone(&random)).await?;
    let store = Store::open_with(database_url, &config.database_pool).await?;
    let settings = Settings {
        public_url: config.public_url.clone(),
        signup_open: config.signup == Signup::Open,
        session_ttl: config.session_ttl,
        audit_keep: config.audit_keep,
        audit_queue: config.audit_queue,
        quotas: config.quotas,
        embedding: config.embedding.clone(),
    };
    let spool = Spool::new(config.data_dir.join("spool"));
    let parts = BrokerParts { store, master: found.key, catalogue, oauth, clock, random, settings, spool };
    let broker = Broker::open(parts).await?;
    broker.set_configured(providers::configured(config));
    Ok((broker, Opened { made_key: found.made }))
}

/// What opening had to make.
#[derive(Debug)]
pub struct Opened {
    /// The file that the master key was generated into.
    pub made_key: Option<std::path::PathBuf>,
}

/// A server that runs.
pub struct Server {
    address: SocketAddr,
    broker: Broker,
    policy: OutboundPolicy,
    texts: LiveTexts,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    chores: JoinHandle<()>,
    renewals: JoinHandle<()>,
    keys: JoinHandle<()>,
    audit: JoinHandle<()>,
}

/// Binds the configured address.
///
/// # Errors
/// When it cannot be bound.
pub async fn bind(config: &Config) -> anyhow::Result<TcpListener> {
    TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}: is another server running there?", config.listen))
}

impl Server {
    /// Serves an address that is bound already.
    ///
    /// # Errors
    /// When the address or the texts cannot be read.
    pub fn start_on(listener: TcpListener, config: &Config, broker: Broker) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let lines = Lines::new(config.limits);
        let texts = LiveTexts::new(texts::texts(config)?);
        let router = tokenry_web::router(WebParts {
            broker: broker.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            metrics_token: config.metrics_token.clone(),
            lines: Arc::clone(&lines),
            texts: texts.clone(),
        });
        let stop = CancellationToken::new();
        let serving = tokio::spawn(tokenry_web::serve(listener, router, lines, stop.clone()));
        let chores = {
            let (broker, stopped) = (broker.clone(), stop.clone().cancelled_owned());
            tokio::spawn(async move { broker.run_chores(stopped).await })
        };
        let renewals = {
            let (broker, stopped) = (broker.clone(), stop.clone().cancelled_owned());
            let ahead = config.refresh_ahead;
            tokio::spawn(async move {
                if ahead {
                    broker.run_renewals(stopped).await;
                }
            })
        };
        let keys = {
            let (broker, stopped) = (broker.clone(), stop.clone().cancelled_owned());
            tokio::spawn(async move { broker.run_keys(stopped).await })
        };
        let audit = {
            let (broker, stopped) = (broker.clone(), stop.clone().cancelled_owned());
            tokio::spawn(async move {
                broker.note_start().await;
                broker.run_audit(stopped).await;
            })
        };
        let policy = config.outbound.clone();
        Ok(Self { address, broker, policy, texts, stop, serving, chores, renewals, keys, audit })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The broker behind it.
    pub const fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Puts the services of this configuration, which was read anew, in the place of those that are known: the providers
    /// section with its secrets, and the providers directory; and the texts of the pages. Nothing else of it takes effect. Tells
    /// which services changed.
    ///
    /// # Errors
    /// As [`providers::catalogue`] and [`texts::texts`]; then nothing has changed.
    pub fn reload(&self, config: &Config) -> anyhow::Result<Changes> {
        let (new, texts) = (providers::catalogue(config, &self.policy)?, texts::texts(config)?);
        self.texts.replace(texts);
        let changes = self.broker.replace_catalogue(&new);
        self.broker.set_configured(providers::configured(config));
        self.broker.note_operator_soon(Action::ProvidersReload, AuditOutcome::Ok);
        Ok(changes)
    }

    /// Takes no more requests, finishes those under way, waits for refreshes, closes the database. Within ten seconds.
    pub async fn stop(self) {
        let began = Instant::now();
        self.stop.cancel();
        let abort = self.serving.abort_handle();
        if tokio::time::timeout(DRAIN_WITHIN, self.serving).await.is_err() {
            tracing::warn!("some requests did not end in time and were cut off");
            abort.abort();
        }
        let close = async {
            let _ = self.chores.await;
            let _ = self.renewals.await;
            let _ = self.keys.await;
            let _ = self.audit.await;
            self.broker.close().await;
        };
        if tokio::time::timeout_at(began + STOP_WITHIN, close).await.is_err() {
            tracing::warn!("some work in the background did not end in time");
        }
    }
}
