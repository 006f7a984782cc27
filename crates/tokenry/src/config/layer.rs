//! One layer of the configuration: what one source says, before anybody knows whether it is right.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use tokenry_model::ProviderId;

use super::error::Problem;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The key in it, with its tables.
        key: String,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// In this flag of the command line.
    Flag(&'static str),
}

impl Origin {
    /// The source alone, for a table that names the key already.
    pub fn source(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, key } => write!(f, "`{key}` in {}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value as it was found. No `Debug`: it may be a secret.
pub(super) enum Raw {
    Text(String),
    Toml(toml::Value),
}

/// A value and where it was found. `twin`: it is the path of the file that holds the value.
pub(super) struct Given {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
    pub(super) twin: bool,
}

/// Values by the names of the keys in the table.
pub(super) type Settings = BTreeMap<&'static str, Given>;

/// All that one source says.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) own: Settings,
    pub(super) providers: BTreeMap<ProviderId, Settings>,
}

impl Layer {
    /// Lays another one over this.
    pub(super) fn cover_with(&mut self, upper: Self) {
        self.own.extend(upper.own);
        for (id, settings) in upper.providers {
            self.providers.entry(id).or_default().extend(settings);
        }
    }
}

/// Adds a value. Two for one key in one layer are a problem: nobody could say which one counts.
pub(super) fn insert(settings: &mut Settings, key: &'static str, given: Given, problems: &mut Vec<Problem>) {
    match settings.get(key) {
        Some(first) => {
            problems.push(Problem::SetTwice { first: first.origin.clone(), second: given.origin });
        }
        None => {
            settings.insert(key, given);
        }
    }
}
