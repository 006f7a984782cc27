//! The one table of all keys, with that of a provider's beside it. They drive what is read from the file and from the
//! variables, which names are known, the values that are shown, and the example: a key that is not there does not exist.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::parse::{self, Wrong};
pub(super) use super::provider_keys::PROVIDER_KEYS;
use super::{Config, LogFormat, MasterKeySource, Signup};

/// What stands in for the value of a secret wherever values are shown.
pub(super) const SET: &str = "(set)";

/// What every variable begins with.
pub(super) const PREFIX: &str = "TOKENRY_";

/// The table of the file in which each provider has a table of its own.
pub(super) const PROVIDERS: &str = "providers";

const DAY: Duration = Duration::from_hours(24);
const COUNT: &str = "a whole number from 1 to 1000000";
const QUOTA: &str = "a whole number from 0 to 1000000000; 0 is no limit";

/// One key of a `T`.
pub(super) struct Key<T: 'static> {
    /// As in the file, tables before it: `log.format`.
    pub(super) name: &'static str,
    pub(super) kind: Kind<T>,
    /// The value for people to read; for a secret only whether it is there. `None`: it is not set.
    pub(super) show: fn(&T) -> Option<String>,
    /// What it is for, as one sentence.
    pub(super) help: &'static str,
    /// What may be its value, so that "must be …" is a sentence.
    pub(super) allowed: &'static str,
    /// A value for the example where there is no default.
    pub(super) sample: &'static str,
}

/// Names and values.
pub(super) type Pairs = [(String, String)];

/// What kind of value it is, and how to set it.
pub(super) enum Kind<T: 'static> {
    Text(fn(&mut T, &str) -> Result<(), Wrong>),
    Flag(fn(&mut T, bool)),
    Count(fn(&mut T, i64) -> Result<(), Wrong>),
    List(fn(&mut T, &[String]) -> Result<(), Wrong>),
    /// A program and its arguments; as one text, with white space between, or a JSON array.
    Command(fn(&mut T, &[String]) -> Result<(), Wrong>),
    /// A table of texts; as one text, `name=value` with white space between.
    Table(fn(&mut T, &Pairs) -> Result<(), Wrong>),
    /// It has a `_FILE` twin, whose file is read here.
    Secret(fn(&mut T, SecretString) -> Result<(), Wrong>),
    /// As a secret; but the twin's path is kept for whoever needs the secret, and the file of the configuration may not hold
    /// the secret itself.
    SecretApart(fn(&mut T, SecretString) -> Result<(), Wrong>, fn(&mut T, PathBuf)),
}

impl<T> Key<T> {
    pub(super) const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret(_) | Kind::SecretApart(..))
    }

    /// The key of its `_FILE` twin. Only secrets have one.
    pub(super) fn twin(&self) -> Option<String> {
        self.is_secret().then(|| format!("{}_file", self.name))
    }

    /// All its names in the file.
    pub(super) fn file_names(&self) -> impl Iterator<Item = String> {
        let own = (!matches!(self.kind, Kind::SecretApart(..))).then(|| self.name.to_owned());
        own.into_iter().chain(self.twin())
    }

    /// All its names among the variables, still written as keys.
    pub(super) fn variable_names(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.name.to_owned()).chain(self.twin())
    }
}

/// Finds a key by its name or its twin's; `true` for the twin's.
pub(super) fn find<T>(keys: &'static [Key<T>], name: &str) -> Option<(&'static Key<T>, bool)> {
    keys.iter().find_map(|key| {
        let is_twin = || key.is_secret() && name.strip_suffix("_file") == Some(key.name);
        if key.name == name { Some((key, false)) } else { is_twin().then_some((key, true)) }
    })
}

/// The variable of a key: `log.format` is `TOKENRY_LOG__FORMAT`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('-', "_").replace('.', "__"))
}

pub(super) fn put<T>(place: &mut T, value: Result<T, Wrong>) -> Result<(), Wrong> {
    *place = value?;
    Ok(())
}

pub(super) fn show_list<T: ToString>(list: impl IntoIterator<Item = T>) -> String {
    list.into_iter().map(|entry| entry.to_string()).collect::<Vec<_>>().join(" ")
}

/// The keys of the whole.
pub(super) static KEYS: &[Key<Config>] = &[
    Key {
        name: "listen",
        kind: Kind::Text(|c, v| put(&mut c.listen, parse::socket(v))),
        show: |c| Some(c.listen.to_string()),
        help: "Where the server listens. Put a proxy that speaks TLS in front of any address but loopback.",
        allowed: "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080",
        sample: "",
    },
    Key {
        name: "public_url",
        kind: Kind::Text(|c, v| put(&mut c.public_url, parse::public_url(v))),
        show: |c| Some(c.public_url.as_str().trim_end_matches('/').to_owned()),
        help: "Where browsers find the server. When only `listen` is set, this is http://localhost and its port.",
        allowed: "an http or https URL without user name, query and fragment, such as https://tokenry.example.org",
        sample: "",
    },
    Key {
        name: "data_dir",
        kind: Kind::Text(|c, v| put(&mut c.data_dir, parse::data_dir(v))),
        show: |c| Some(c.data_dir.display().to_string()),
        help: "The directory of the database and of the master key that is made at the first start.",
        allowed: "the path of a directory, without ? and #",
        sample: "",
    },
    Key {
        name: "database_url",
        kind: Kind::Secret(|c, v| put(&mut c.database_url, parse::database_url(v))),
        show: |c| {
            let url = c.database_url.expose_secret();
            Some(if *url == c.default_database_url() { url.to_owned() } else { SET.to_owned() })
        },
        help: "The database. It is a secret, because it may hold a password. When it is not set, it is tokenry.db in `data_dir`.",
        allowed: "a URL such as sqlite://data/tokenry.db or postgres://user:password@host/database?sslmode=verify-full",
        sample: "",
    },
    Key {
        name: "database_connections",
        kind: Kind::Count(|c, v| put(&mut c.database_pool.connections, parse::count(v))),
        show: |c| Some(c.database_pool.connections.to_string()),
        help: "How many connections to a PostgreSQL server this process opens at most. SQLite has no need of it.",
        allowed: COUNT,
        sample: "",
    },
    Key {
        name: "database_timeout",
        kind: Kind::Text(|c, v| {
            let timeout = parse::duration(v, Duration::from_secs(1), Duration::from_mins(5));
            put(&mut c.database_pool.statement_timeout, timeout)
        }),
        show: |c| Some(parse::show_duration(c.database_pool.statement_timeout)),
        help: "How long a PostgreSQL server may take for one statement.",
        allowed: "a whole number with s or m behind it, from 1s to 5m, such as 10s",
        sample: "",
    },
    Key {
        name: "providers_dir",
        kind: Kind::Text(|c, v| put(&mut c.providers_dir, parse::directory(v))),
        show: |c| Some(c.providers_dir.display().to_string()),
        help: "The directory of your own provider files (`tokenry provider template` writes one). When it is not set, it is providers in `data_dir`, and need not be there. SIGHUP reads it again.",
        allowed: "the path of a directory",
        sample: "",
    },
    Key {
        name: "texts_dir",
        kind: Kind::Text(|c, v| put(&mut c.texts_dir, parse::directory(v))),
        show: |c| Some(c.texts_dir.display().to_string()),
        help: "The directory of your own texts for the pages: `de.ftl` adds German, `en.ftl` changes words (docs/texts.md). When it is not set, it is texts in `data_dir`, and need not be there. SIGHUP reads it again.",
        allowed: "the path of a directory",
        sample: "",
    },
    Key {
        name: "master_key",
        kind: Kind::SecretApart(
            |c, v| put(&mut c.master_key, parse::secret(v).map(MasterKeySource::Value)),
            |c, path| c.master_key = MasterKeySource::File(path),
        ),
        show: |c| match &c.master_key {
            MasterKeySource::Value(_) => Some(SET.to_owned()),
            MasterKeySource::Command(_) => Some("from a command".to_owned()),
            MasterKeySource::File(path) | MasterKeySource::DataDir(path) => {
                Some(format!("in the file {}", path.display()))
            }
        },
        help: "The key that seals everything. Without it, one is made at the first start: master.key in `data_dir`.",
        allowed: "what `tokenry key generate` prints",
        sample: "",
    },
    Key {
        name: "master_key_command",
        kind: Kind::Command(|c, v| put(&mut c.master_key, parse::command(v).map(MasterKeySource::Command))),
        // Its arguments may be secrets.
        show: |c| match &c.master_key {
            MasterKeySource::Command(command) => command.first().cloned(),
            _ => None,
        },
        help: "A command that prints the master key: a KMS's or a secret manager's. It runs without a shell, within 30 s.",
        allowed: "a program and its arguments: a list, or a text with white space between or a JSON array",
        sample: "secret-manager read tokenry/master-key",
    },
    Key {
        name: "signup",
        kind: Kind::Text(|c, v| put(&mut c.signup, parse::signup(v))),
        show: |c| {
            let word = match c.signup {
                Signup::Open => "open",
                Signup::Closed => "closed",
            };
            Some(word.to_owned())
        },
        help: "Whether everybody may make an account. When closed, `tokenry user add` makes them.",
        allowed: "\"open\" or \"closed\"",
        sample: "",
    },
    Key {
        name: "session_ttl",
        kind: Kind::Text(|c, v| {
            put(&mut c.session_ttl, parse::duration(v, Duration::from_mins(1), 365 * DAY))
        }),
        show: |c| Some(parse::show_duration(c.session_ttl)),
        help: "How long an access token of Tokenry's own is good.",
        allowed: "a whole number with s, m, h or d behind it, from 1m to 365d, such as 24h",
        sample: "",
    },
    Key {
        name: "refresh_ahead",
        kind: Kind::Flag(|c, v| c.refresh_ahead = v),
        show: |c| Some(c.refresh_ahead.to_string()),
        help: "Whether this process refreshes tokens before they are due. Several processes may; without any, readers wait.",
        allowed: "true or false",
        sample: "",
    },
    Key {
        name: "audit_keep",
        kind: Kind::Text(|c, v| put(&mut c.audit_keep, parse::duration(v, DAY, 36_500 * DAY))),
        show: |c| Some(parse::show_duration(c.audit_keep)),
        help: "How long the audit log is kept. What is older is taken out of it, and the rest can still be verified.",
        allowed: "a whole number with s, m, h or d behind it, from 1d to 36500d, such as 365d",
        sample: "",
    },
    Key {
        name: "audit_queue",
        kind: Kind::Count(|c, v| put(&mut c.audit_queue, parse::count(v))),
        show: |c| Some(c.audit_queue.to_string()),
        help: "How many different reads may wait in memory for the audit log while the database does not take them. Beyond that, nothing is handed out. About 300 bytes each.",
        allowed: "a whole number from 1 to 1000000",
        sample: "",
    },
    Key {
        name: "trusted_proxies",
        kind: Kind::List(|c, v| put(&mut c.trusted_proxies, parse::networks(v))),
        show: |c| Some(show_list(&c.trusted_proxies)),
        help: "The proxies whose X-Forwarded-For is believed.",
        allowed: "a list of IP addresses and ranges, such as 127.0.0.1 or 10.0.0.0/8",
        sample: "",
    },
    Key {
        name: "return_to",
        kind: Kind::List(|c, v| put(&mut c.embedding.return_to, parse::return_places(v))),
        show: |c| Some(show_list(&c.embedding.return_to)),
        help: "Where a connect link may send people in the end: an address allows itself and all below its path, and nothing beside it.",
        allowed: "a list of https addresses (http only on this machine) without query, such as https://app.example.org/connected",
        sample: "",
    },
    Key {
        name: "embed_origins",
        kind: Kind::List(|c, v| put(&mut c.embedding.origins, parse::web_origins(v))),
        show: |c| Some(show_list(&c.embedding.origins)),
        help: "The sites whose pages may open a connect link in a window (connect.js), frame it, and call the API from a browser.",
        allowed: "a list of https origins (http only on this machine) without path and wildcard, such as https://app.example.org",
        sample: "",
    },
    Key {
        name: "metrics_token",
        kind: Kind::Secret(|c, v| put(&mut c.metrics_token, parse::header_secret(v).map(Some))),
        show: |c| c.metrics_token.as_ref().map(|_| SET.to_owned()),
        help: "What a caller of /metrics has to present. Without it, only direct callers from this machine are answered.",
        allowed: "a text in printable ASCII without white space",
        sample: "a-long-random-text",
    },
    Key {
        name: "log.format",
        kind: Kind::Text(|c, v| put(&mut c.log.format, parse::log_format(v))),
        show: |c| {
            let word = match c.log.format {
                LogFormat::Human => "human",
                LogFormat::Json => "json",
            };
            Some(word.to_owned())
        },
        help: "How log lines look.",
        allowed: "\"human\" or \"json\"",
        sample: "",
    },
    Key {
        name: "log.level",
        kind: Kind::Text(|c, v| put(&mut c.log.level, parse::log_level(v))),
        show: |c| Some(c.log.level.clone()),
        help: "What is logged.",
        allowed: "off, error, warn, info, debug or trace, or such words by module: info,tokenry_oauth=debug",
        sample: "",
    },
    Key {
        name: "outbound.allow_private",
        kind: Kind::Flag(|c, v| c.outbound.allow_private = v),
        show: |c| Some(c.outbound.allow_private.to_string()),
        help: "Whether providers may be on this machine or in a private network, there also over plain http.",
        allowed: "true or false",
        sample: "",
    },
    Key {
        name: "outbound.timeout",
        kind: Kind::Text(|c, v| {
            put(&mut c.outbound.timeout, parse::duration(v, Duration::from_secs(1), Duration::from_mins(5)))
        }),
        show: |c| Some(parse::show_duration(c.outbound.timeout)),
        help: "How long one call to a provider may take as a whole.",
        allowed: "a whole number with s or m behind it, from 1s to 5m, such as 15s",
        sample: "",
    },
    Key {
        name: "limits.tcp_connections",
        kind: Kind::Count(|c, v| put(&mut c.limits.connections, parse::count(v))),
        show: |c| Some(c.limits.connections.to_string()),
        help: "How many clients may be connected at a time; each takes a file descriptor. One more, and the client goes that has kept the server waiting the longest.",
        allowed: COUNT,
        sample: "",
    },
    Key {
        name: "limits.requests",
        kind: Kind::Count(|c, v| put(&mut c.limits.requests, parse::count(v))),
        show: |c| Some(c.limits.requests.to_string()),
        help: "How many requests are worked on at a time; more are answered 503 with Retry-After. Fewer than `tcp_connections`, so that the refusal can be said.",
        allowed: COUNT,
        sample: "",
    },
    Key {
        name: "limits.connections_per_user",
        kind: Kind::Count(|c, v| put(&mut c.quotas.connections, parse::quota(v))),
        show: |c| Some(c.quotas.connections.to_string()),
        help: "How many connections a user may keep.",
        allowed: QUOTA,
        sample: "",
    },
    Key {
        name: "limits.flows_per_user",
        kind: Kind::Count(|c, v| put(&mut c.quotas.flows, parse::quota(v))),
        show: |c| Some(c.quotas.flows.to_string()),
        help: "How many connects a user may have begun and not ended. One more, and the oldest is forgotten.",
        allowed: QUOTA,
        sample: "",
    },
];
