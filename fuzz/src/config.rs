//! The configuration: a file, and variables.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use tokenry::config::Config;
use toml::{Table, Value};

use super::{SENTINEL, two};

/// A file, a NUL, and a line for each variable.
pub fn run(data: &[u8]) {
    let (file, variables) = two(data);
    let Ok(text) = std::str::from_utf8(file) else { return };
    let env: Vec<(OsString, OsString)> = variables
        .split(|byte| *byte == b'\n')
        .map(|line| {
            let at = line.iter().position(|byte| *byte == b'=').unwrap_or(line.len());
            let of = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
            (of(&line[..at]), of(line.get(at + 1..).unwrap_or_default()))
        })
        .collect();
    let named =
        env.iter().any(|(name, _)| name.to_string_lossy().contains(SENTINEL)) || is_named_in_file(text);
    match Config::of_text(text, env) {
        Ok(config) => {
            assert!(!config.summary().is_empty() && !format!("{config:?}").is_empty());
            assert!(matches!(config.public_url.scheme(), "http" | "https"));
            assert!(config.public_url.query().is_none() && config.public_url.fragment().is_none());
            assert!((60..=365 * 86400).contains(&config.session_ttl.as_secs()));
        }
        Err(errors) => {
            assert!(!errors.problems().is_empty());
            for problem in errors.problems() {
                let words = problem.to_string();
                assert!(!words.trim().is_empty());
                // A name may be said, a value may not.
                assert!(named || !words.contains(SENTINEL), "{words}");
            }
        }
    }
}

/// Whether a key has the secret's name, or might have it for all that we can see.
fn is_named_in_file(text: &str) -> bool {
    fn any_key(table: &Table) -> bool {
        table.iter().any(|(key, value)| key.contains(SENTINEL) || in_value(value))
    }
    fn in_value(value: &Value) -> bool {
        match value {
            Value::Table(table) => any_key(table),
            Value::Array(list) => list.iter().any(in_value),
            _ => false,
        }
    }
    text.parse::<Table>().map_or(true, |table| any_key(&table))
}
