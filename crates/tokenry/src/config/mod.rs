//! The configuration: defaults, then `tokenry.toml`, then `TOKENRY_*` variables, then flags of the command line.
//!
//! All keys stand in one table (`keys.rs`). A name that is not in it is an error that names the nearest one, and all
//! problems are told at once. A value that is covered by a higher layer is not looked at.

mod apply;
mod env;
mod error;
mod example;
mod file;
mod keys;
mod layer;
mod nearest;
mod parse;
mod provider_keys;
mod secret_file;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use tokenry_broker::{Embedding, Quotas};
use tokenry_model::ProviderId;
use tokenry_oauth::{OutboundPolicy, ProviderSettings};
use tokenry_store::Pool;
use tokenry_web::Limits;
use url::{Host, Url};

use apply::{Findings, apply};
use keys::{KEYS, Key, PROVIDER_KEYS, PROVIDERS};
use layer::{Given, Layer, Raw, Settings};

pub use error::{ConfigErrors, Problem};
pub use example::example;
pub use keys::variable;
pub use layer::Origin;
pub use secret_file::{SecretFileError, read_secret_file};
pub use summary::Setting;

/// Reads a duration as the settings write it: a whole number with `s`, `m`, `h` or `d` behind it. Nothing if it is none, or
/// longer than `max`.
pub fn read_duration(text: &str, max: Duration) -> Option<Duration> {
    parse::duration(text, Duration::ZERO, max).ok()
}

/// The file that is read when nobody names one, if it is there.
const DEFAULT_FILE: &str = "tokenry.toml";

/// What the command line says. `None`: nothing.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`: the configuration file. It must be there.
    pub config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--public-url`
    pub public_url: Option<String>,
    /// `--data-dir`
    pub data_dir: Option<String>,
    /// `--database-url`. Other users of the machine see flags; a URL with a password belongs elsewhere.
    pub database_url: Option<SecretString>,
    /// `--log-format`
    pub log_format: Option<String>,
}

/// Whether everybody may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signup {
    /// Everybody.
    Open,
    /// Only the operator, by the command line.
    Closed,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Human,
    /// For machines: one JSON object per line.
    Json,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How its lines look.
    pub format: LogFormat,
    /// Directives for `tracing_subscriber::EnvFilter`, which takes them.
    pub level: String,
}

/// Where the master key is.
#[derive(Clone)]
pub enum MasterKeySource {
    /// Here.
    Value(SecretString),
    /// In this file, which was there when the configuration was read. [`read_secret_file`] reads it.
    File(PathBuf),
    /// Nobody said: in this file of the data directory, where it is made at the first start.
    DataDir(PathBuf),
    /// This program with these arguments prints it.
    Command(Vec<String>),
}

/// Without the key, and without a command's arguments, which may be secrets too.
impl std::fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(key) => f.debug_tuple("Value").field(key).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::DataDir(path) => f.debug_tuple("DataDir").field(path).finish(),
            Self::Command(command) => f.debug_tuple("Command").field(&command.first()).finish(),
        }
    }
}

/// The configuration. Its `Debug` redacts secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    /// Where the server listens. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where browsers find it: `http` or `https`, with neither query nor fragment, its path without a slash at the end.
    pub public_url: Url,
    /// The directory for the database and the master key; relative to the working directory.
    pub data_dir: PathBuf,
    /// The database. It may hold a password.
    pub database_url: SecretString,
    /// How a database server is used.
    pub database_pool: Pool,
    /// The directory of the operator's provider files; relative to the working directory.
    pub providers_dir: PathBuf,
    /// The directory of the operator's texts for the pages; relative to the working directory.
    pub texts_dir: PathBuf,
    /// Where the master key is.
    pub master_key: MasterKeySource,
    /// Whether everybody may make an account.
    pub signup: Signup,
    /// How long an access token of Tokenry's own is good: 1 minute to 365 days.
    pub session_ttl: Duration,
    /// Whether this process refreshes tokens before they are due.
    pub refresh_ahead: bool,
    /// How long rows of the audit log are kept: 1 day to 100 years.
    pub audit_keep: Duration,
    /// How many kinds of events may wait for the audit log before hand-outs are refused.
    pub audit_queue: usize,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What a caller of `/metrics` has to present. `None`: only direct callers from this machine are answered.
    pub metrics_token: Option<SecretString>,
    /// The log.
    pub log: Log,
    /// The limits of calls to providers.
    pub outbound: OutboundPolicy,
    /// What the server takes at a time.
    pub limits: Limits,
    /// What a user may have.
    pub quotas: Quotas,
    /// What pages of other sites may do here.
    pub embedding: Embedding,
    /// What is set for each provider.
    pub providers: BTreeMap<ProviderId, ProviderSettings>,
    /// What works, and should be looked at all the same: one sentence each, without secrets.
    pub warnings: Vec<String>,
    origins: BTreeMap<String, Origin>,
}

/// What holds when nobody says anything. The example prints the defaults from here.
impl Default for Config {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        let mut config = Self {
            file: None,
            listen,
            public_url: default_public_url(listen.port()),
            data_dir: PathBuf::from("data"),
            database_url: SecretString::default(),
            database_pool: Pool::default(),
            providers_dir: PathBuf::new(),
            texts_dir: PathBuf::new(),
            master_key: MasterKeySource::DataDir(PathBuf::new()),
            signup: Signup::Open,
            session_ttl: Duration::from_hours(24),
            refresh_ahead: true,
            audit_keep: Duration::from_hours(90 * 24),
            audit_queue: 50_000,
            trusted_proxies: Vec::new(),
            metrics_token: None,
            log: Log { format: LogFormat::Human, level: "info".to_owned() },
            outbound: OutboundPolicy::default(),
            limits: Limits::default(),
            quotas: Quotas::default(),
            embedding: Embedding::default(),
            providers: BTreeMap::new(),
            warnings: Vec::new(),
            origins: BTreeMap::new(),
        };
        config.derive();
        config
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// The file is the one of [`Overrides::config`], else that of `TOKENRY_CONFIG`, else `tokenry.toml` in the working
    /// directory if it is there. `env` is the environment, as `std::env::vars_os()` gives it; a variable that is empty
    /// counts as unset.
    ///
    /// # Errors
    /// [`ConfigErrors`] with all problems. No value of a setting is in them.
    pub fn load<K, V>(
        overrides: &Overrides,
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigErrors>
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        Self::load_in(Path::new(""), overrides, env)
    }

    /// `dir`: where the file is looked for when nobody names one.
    fn load_in<K, V>(
        dir: &Path,
        overrides: &Overrides,
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigErrors>
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let mut findings = Findings::default();
        let mut variable_problems = Vec::new();
        let (file_of_env, variables) = env::read(env, &mut variable_problems);
        let file = overrides.config.clone().or(file_of_env).or_else(|| {
            let usual = dir.join(DEFAULT_FILE);
            usual.exists().then_some(usual)
        });
        let mut layers = Layer::default();
        if let Some(path) = &file {
            layers = file::read(path, &mut findings.problems);
            findings.warnings.extend(warn_of_open_file(path, &layers));
        }
        findings.problems.append(&mut variable_problems);
        layers.cover_with(variables);
        layers.cover_with(overrides.layer());
        Self::of(file, layers, findings)
    }

    /// What the layers come to, from a file and its text, and from variables.
    ///
    /// # Errors
    /// As [`Self::load`].
    #[cfg(feature = "fuzz")]
    #[doc(hidden)]
    pub fn of_text<K, V>(text: &str, env: impl IntoIterator<Item = (K, V)>) -> Result<Self, ConfigErrors>
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let mut findings = Findings::default();
        let mut layers = file::parse(Path::new(DEFAULT_FILE), text, &mut findings.problems);
        layers.cover_with(env::read(env, &mut findings.problems).1);
        Self::of(None, layers, findings)
    }

    fn of(file: Option<PathBuf>, layers: Layer, mut findings: Findings) -> Result<Self, ConfigErrors> {
        let mut config = Self { file, ..Self::default() };
        config.set(layers, &mut findings);
        config.derive();
        config.warn(&mut findings.warnings);
        config.warnings = findings.warnings;
        if findings.problems.is_empty() { Ok(config) } else { Err(ConfigErrors(findings.problems)) }
    }

    fn set(&mut self, mut layers: Layer, findings: &mut Findings) {
        // Two places for one key, be they in different layers: nobody could say which is meant.
        if let (Some(first), Some(second)) =
            (layers.own.get("master_key"), layers.own.get("master_key_command"))
        {
            let (first, second) = (first.origin.clone(), second.origin.clone());
            findings.problems.push(Problem::SetTwice { first, second });
        }
        for key in KEYS {
            if let Some(given) = layers.own.remove(key.name) {
                self.origins.insert(key.name.to_owned(), given.origin.clone());
                apply(key, given, self, findings);
            }
        }
        for (id, mut given) in layers.providers {
            let mut settings = ProviderSettings::default();
            for key in PROVIDER_KEYS {
                if let Some(given) = given.remove(key.name) {
                    let name = format!("{PROVIDERS}.{id}.{}", key.name);
                    self.origins.insert(name, given.origin.clone());
                    apply(key, given, &mut settings, findings);
                }
            }
            self.providers.insert(id, settings);
        }
    }

    /// The server listens here: with port 0 configured, this is the one it got. A public URL that nobody set follows.
    pub fn listen_at(&mut self, address: SocketAddr) {
        self.listen = address;
        if *self.origin("public_url") == Origin::Default {
            self.public_url = default_public_url(address.port());
        }
    }

    /// Fills in what follows from other keys, where nobody said anything else.
    fn derive(&mut self) {
        let unset = |key: &str| !self.origins.contains_key(key);
        let (public_url, database_url) = (unset("public_url"), unset("database_url"));
        let master_key = unset("master_key") && unset("master_key_command");
        let (providers_dir, texts_dir) = (unset("providers_dir"), unset("texts_dir"));
        if public_url {
            self.public_url = default_public_url(self.listen.port());
        }
        if database_url {
            self.database_url = self.default_database_url().into();
        }
        if providers_dir {
            self.providers_dir = self.data_dir.join("providers");
        }
        if texts_dir {
            self.texts_dir = self.data_dir.join("texts");
        }
        if master_key {
            self.master_key = MasterKeySource::DataDir(self.data_dir.join("master.key"));
        }
    }

    fn default_database_url(&self) -> String {
        format!("sqlite://{}", self.data_dir.join("tokenry.db").display())
    }

    fn warn(&self, warnings: &mut Vec<String>) {
        if self.public_url.scheme() == "http" && !is_loopback(&self.public_url) {
            warnings.push(format!(
                "public_url ({}) is plain http on a host that is not this machine, so cookies and tokens travel in \
                 the clear; put a proxy that speaks TLS in front and write https",
                self.origin("public_url")
            ));
        }
        if !is_loopback(&self.public_url) && self.listen.ip().is_loopback() && self.trusted_proxies.is_empty()
        {
            warnings.push(
                "public_url is not this machine and listen is, so a proxy stands in between, and trusted_proxies does not \
                 name it: to the limits on failed log-ins all people are one address; name the proxy's address"
                    .to_owned(),
            );
        }
        if self.limits.requests >= self.limits.connections {
            warnings.push(format!(
                "limits.requests ({}) is not below limits.tcp_connections ({}), so when that many are under way a probe of \
                 the server's health may find no connection free",
                self.limits.requests,
                self.limits.connections
            ));
        }
        if self.trusted_proxies.iter().any(|net| net.prefix_len() == 0) {
            warnings.push(format!(
                "trusted_proxies ({}) holds every address, so any caller can pretend to come from anywhere; name the \
                 proxies only",
                self.origin("trusted_proxies")
            ));
        }
    }
}

impl Overrides {
    fn layer(&self) -> Layer {
        use secrecy::ExposeSecret;

        let database_url = self.database_url.as_ref().map(|url| url.expose_secret().to_owned());
        let flags = [
            ("listen", "--listen", self.listen.clone()),
            ("public_url", "--public-url", self.public_url.clone()),
            ("data_dir", "--data-dir", self.data_dir.clone()),
            ("database_url", "--database-url", database_url),
            ("log.format", "--log-format", self.log_format.clone()),
        ];
        let own = flags.into_iter().filter_map(|(key, flag, value)| {
            Some((key, Given { raw: Raw::Text(value?), origin: Origin::Flag(flag), twin: false }))
        });
        Layer { own: own.collect(), providers: BTreeMap::new() }
    }
}

/// The public URL of a server that nobody gave one: `http://localhost` and its port.
pub fn default_public_url(port: u16) -> Url {
    let mut url = LOCALHOST.clone();
    // Cannot fail: an http URL with a host takes every port.
    let _ = url.set_port(Some(port));
    url
}

#[allow(clippy::expect_used, reason = "the text is a constant, and every test of this module reads it")]
static LOCALHOST: std::sync::LazyLock<Url> =
    std::sync::LazyLock::new(|| Url::parse("http://localhost").expect("a constant URL"));

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A warning when the file holds a secret and everybody on the machine may read it.
fn warn_of_open_file(path: &Path, layer: &Layer) -> Option<String> {
    fn holds<T>(keys: &'static [Key<T>], settings: &Settings) -> bool {
        keys.iter().any(|key| key.is_secret() && settings.get(key.name).is_some_and(|given| !given.twin))
    }
    let holds_secret =
        holds(KEYS, &layer.own) || layer.providers.values().any(|settings| holds(PROVIDER_KEYS, settings));
    let mode = secret_file::mode_open_to_all(path).filter(|_| holds_secret)?;
    Some(format!(
        "{} holds a secret and is open to everybody on this machine (mode {mode:04o}); run chmod 600 on it",
        path.display()
    ))
}
