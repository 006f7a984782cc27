//! Turns what was given into what it means, by the table of keys.

use std::path::PathBuf;

use toml::Value;

use super::error::Problem;
use super::keys::{Key, Kind};
use super::layer::{Given, Origin, Raw};
use super::parse::{self, Wrong};
use super::secret_file;

/// What came up while the configuration was read.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

/// The type a value should have and the one it has.
struct WrongType {
    found: &'static str,
    wanted: &'static str,
}

/// Sets one key, or says why not.
pub(super) fn apply<T>(key: &Key<T>, given: Given, target: &mut T, findings: &mut Findings) {
    let Given { raw, origin, twin } = given;
    if twin {
        apply_file(key, raw, &origin, target, findings);
        return;
    }
    let done = match key.kind {
        Kind::Text(set) => text(raw).map(|text| set(target, &text)),
        Kind::Flag(set) => flag(raw).map(|flag| flag.map(|flag| set(target, flag))),
        Kind::Count(set) => count(raw).map(|count| count.and_then(|count| set(target, count))),
        Kind::List(set) => list(raw).map(|list| set(target, &list)),
        Kind::Command(set) => command(raw).map(|command| command.and_then(|command| set(target, &command))),
        Kind::Table(set) => table(raw).map(|pairs| pairs.and_then(|pairs| set(target, &pairs))),
        Kind::Secret(set) | Kind::SecretApart(set, _) => text(raw).map(|text| set(target, text.into())),
    };
    match done {
        Ok(Ok(())) => {}
        Ok(Err(wrong)) => findings.problems.push(refusal(key, origin, wrong)),
        Err(wrong) => findings.problems.push(wrong_type(origin, &wrong, key.allowed)),
    }
}

/// Sets a secret from the file that its twin names.
fn apply_file<T>(key: &Key<T>, raw: Raw, origin: &Origin, target: &mut T, findings: &mut Findings) {
    let path = match text(raw) {
        Ok(path) => PathBuf::from(path),
        Err(wrong) => {
            findings.problems.push(wrong_type(origin.clone(), &wrong, "the path of a file"));
            return;
        }
    };
    let done = match key.kind {
        Kind::Secret(set) => secret_file::read_secret_file(&path).map(|secret| set(target, secret)),
        Kind::SecretApart(_, keep) => secret_file::check(&path).map(|()| {
            keep(target, path.clone());
            Ok(())
        }),
        // Only secrets have twins.
        _ => return,
    };
    match done {
        Ok(Ok(())) => {}
        Ok(Err(_)) => findings.problems.push(Problem::SecretFile {
            origin: origin.clone(),
            why: format!("the one it names must hold {}", key.allowed),
        }),
        Err(error) => {
            findings.problems.push(Problem::SecretFile { origin: origin.clone(), why: error.to_string() });
        }
    }
    if let Some(mode) = secret_file::mode_open_to_all(&path) {
        findings.warnings.push(format!(
            "the file {} that {origin} names is open to everybody on this machine (mode {mode:04o}); run chmod 600 on it",
            path.display()
        ));
    }
}

fn refusal<T>(key: &Key<T>, origin: Origin, wrong: Wrong) -> Problem {
    let allowed = match wrong {
        Wrong::Value => key.allowed.to_owned(),
        Wrong::Entry(number) => format!("{}; entry {number} does not fit", key.allowed),
    };
    Problem::Value { origin, allowed }
}

fn wrong_type(origin: Origin, wrong: &WrongType, allowed: &str) -> Problem {
    Problem::Type { origin, found: wrong.found, wanted: wrong.wanted, allowed: allowed.to_owned() }
}

fn text(raw: Raw) -> Result<String, WrongType> {
    match raw {
        Raw::Text(text) | Raw::Toml(Value::String(text)) => Ok(text),
        Raw::Toml(other) => Err(WrongType { found: other.type_str(), wanted: "string" }),
    }
}

fn flag(raw: Raw) -> Result<Result<bool, Wrong>, WrongType> {
    match raw {
        Raw::Text(text) => Ok(text.trim().to_ascii_lowercase().parse().map_err(|_| Wrong::Value)),
        Raw::Toml(Value::Boolean(flag)) => Ok(Ok(flag)),
        Raw::Toml(other) => Err(WrongType { found: other.type_str(), wanted: "boolean" }),
    }
}

fn count(raw: Raw) -> Result<Result<i64, Wrong>, WrongType> {
    match raw {
        Raw::Text(text) => Ok(text.trim().parse().map_err(|_| Wrong::Value)),
        Raw::Toml(Value::Integer(count)) => Ok(Ok(count)),
        Raw::Toml(other) => Err(WrongType { found: other.type_str(), wanted: "integer" }),
    }
}

fn list(raw: Raw) -> Result<Vec<String>, WrongType> {
    const WANTED: &str = "array of strings";
    match raw {
        Raw::Text(text) | Raw::Toml(Value::String(text)) => Ok(parse::split(&text)),
        Raw::Toml(Value::Array(entries)) => entries
            .into_iter()
            .map(|entry| match entry {
                Value::String(text) => Ok(text),
                _ => Err(WrongType { found: "array of other things", wanted: WANTED }),
            })
            .collect(),
        Raw::Toml(other) => Err(WrongType { found: other.type_str(), wanted: WANTED }),
    }
}

/// Words as they are in a list; in one text, a JSON array if it begins like one, else what white space divides.
fn command(raw: Raw) -> Result<Result<Vec<String>, Wrong>, WrongType> {
    match raw {
        Raw::Text(text) | Raw::Toml(Value::String(text)) => Ok(if text.trim_start().starts_with('[') {
            serde_json::from_str(&text).map_err(|_| Wrong::Value)
        } else {
            Ok(text.split_whitespace().map(str::to_owned).collect())
        }),
        given @ Raw::Toml(_) => list(given).map(Ok),
    }
}

fn table(raw: Raw) -> Result<Result<Vec<(String, String)>, Wrong>, WrongType> {
    const WANTED: &str = "table of strings";
    match raw {
        Raw::Text(text) | Raw::Toml(Value::String(text)) => {
            let pair = |(at, word): (usize, &str)| match word.split_once('=') {
                Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
                None => Err(Wrong::Entry(at + 1)),
            };
            Ok(text.split_whitespace().enumerate().map(pair).collect())
        }
        Raw::Toml(Value::Table(entries)) => entries
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name, text)),
                _ => Err(WrongType { found: "table of other things", wanted: WANTED }),
            })
            .collect::<Result<_, _>>()
            .map(Ok),
        Raw::Toml(other) => Err(WrongType { found: other.type_str(), wanted: WANTED }),
    }
}
