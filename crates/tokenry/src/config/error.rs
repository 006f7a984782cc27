//! What can be wrong with a configuration, as sentences that say what to do.

use std::fmt;
use std::path::PathBuf;

use super::Origin;

/// One thing that is wrong. Its `Display` is one sentence; no value of a setting is ever in it, because a value at
/// the wrong place may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A `TOKENRY_*` variable that means nothing.
    #[error("unknown variable {name}; {}", advice(nearest.as_deref()))]
    UnknownVariable {
        /// Its name, cut to a readable length.
        name: String,
        /// The known variable that is most like it.
        nearest: Option<String>,
    },
    /// A key of the file that means nothing.
    #[error("unknown key `{key}` in {}; {}", file.display(), advice(nearest.as_deref()))]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The key with the tables it stands in.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
    },
    /// A value that cannot be used.
    #[error("{origin} must be {allowed}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// What may stand there.
        allowed: String,
    },
    /// A value of the wrong TOML type.
    #[error("{origin} has the type {found} and must be {wanted}: {allowed}")]
    Type {
        /// Where it stands.
        origin: Origin,
        /// The TOML type that was found.
        found: &'static str,
        /// The type that is needed.
        wanted: &'static str,
        /// What may stand there.
        allowed: String,
    },
    /// One setting said twice at the same level: a secret and its `_FILE` twin, or one provider in two spellings.
    #[error("{first} and {second} set the same thing; keep one of them")]
    SetTwice {
        /// The one.
        first: Origin,
        /// The other.
        second: Origin,
    },
    /// A secret that has no place in the configuration file.
    #[error(
        "{origin} is refused, because this file is too easily shared; put it in a file of its own that `{twin}` names, or in {variable}"
    )]
    NotInFile {
        /// Where it stands.
        origin: Origin,
        /// The key that may name a file instead.
        twin: String,
        /// The variable that may hold it.
        variable: String,
    },
    /// A secret's file that yields no secret. The path is not shown: people put the secret itself there by mistake.
    #[error("{origin} must name a file that holds the secret: {why}")]
    SecretFile {
        /// Where the file is named.
        origin: Origin,
        /// Why it yields none.
        why: String,
    },
    /// A name that no provider can have.
    #[error(
        "{origin} names no provider; a provider id is 1 to 64 of a-z, 0-9 and '-', and begins with a letter or a digit"
    )]
    ProviderId {
        /// Where it stands.
        origin: Origin,
    },
    /// A variable whose value is not text.
    #[error("{name} is not valid UTF-8; write it in UTF-8")]
    NotUtf8 {
        /// Its name.
        name: String,
    },
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read ({why}); correct the path, or make the file readable", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The reason.
        why: String,
    },
    /// The configuration file is not TOML.
    #[error("{} is not valid TOML at line {line}, column {column} ({why}); correct that line", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// What the parser says. It repeats nothing of the file.
        why: String,
    },
}

fn advice(nearest: Option<&str>) -> String {
    match nearest {
        Some(known) => format!("did you mean {known}?"),
        None => "remove it, or find the right name in the output of `tokenry config example`".to_owned(),
    }
}

/// All that is wrong with a configuration, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<Problem>);

impl ConfigErrors {
    /// One by one: first the file's, then the variables', then what is wrong with the values.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

/// One sentence when there is one problem, else a list with a line for each.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "the configuration is refused: {only}");
        }
        write!(f, "the configuration is refused, for {} reasons:", self.0.len())?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// How much of an unknown name is shown.
const MAX_SHOWN: usize = 80;

/// A name as it may be shown: on one line, and not endless.
pub(super) fn shown(name: &str) -> String {
    let mut text: String =
        name.chars().take(MAX_SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(MAX_SHOWN).is_some() {
        text.push('…');
    }
    text
}
