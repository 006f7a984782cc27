//! The layer of the configuration file.

use std::path::Path;

use tokenry_model::ProviderId;
use tokenry_oauth::ProviderSettings;
use toml::{Table, Value};

use super::error::{Problem, shown};
use super::keys::{self, KEYS, Key, Kind, PROVIDER_KEYS, PROVIDERS};
use super::layer::{Given, Layer, Origin, Raw, Settings, insert};
use super::nearest::nearest;

/// Reads the file. What cannot be read is left out and told.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Layer {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problems.push(Problem::File { file: path.to_owned(), why: error.to_string() });
            return Layer::default();
        }
    };
    parse(path, &text, problems)
}

/// Reads what the file holds.
pub(super) fn parse(path: &Path, text: &str, problems: &mut Vec<Problem>) -> Layer {
    match text.parse::<Table>() {
        Ok(table) => Reader { path, problems }.layer(table),
        Err(error) => {
            problems.push(syntax(path, text, &error));
            Layer::default()
        }
    }
}

/// The parser's own `Display` quotes the line, which may hold a secret; so only its place and the message are taken.
fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Problem::Syntax { file: path.to_owned(), line, column, why: error.message().to_owned() }
}

struct Reader<'a> {
    path: &'a Path,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn layer(mut self, table: Table) -> Layer {
        let mut layer = Layer::default();
        self.own(table, "", &mut layer);
        layer
    }

    /// The keys at the top and in the tables that are only groups of keys.
    fn own(&mut self, table: Table, prefix: &str, layer: &mut Layer) {
        for (word, value) in table {
            let key = format!("{prefix}{word}");
            if key == PROVIDERS {
                if let Some(providers) = self.table(&key, value) {
                    self.providers(providers, layer);
                }
            } else if tables().any(|table| table == key) {
                if let Some(inner) = self.table(&key, value) {
                    self.own(inner, &format!("{key}."), layer);
                }
            } else {
                self.key(KEYS, &key, &key, value, &mut layer.own);
            }
        }
    }

    fn providers(&mut self, table: Table, layer: &mut Layer) {
        for (word, value) in table {
            let place = format!("{PROVIDERS}.{}", shown(&word));
            let Ok(id) = ProviderId::parse(&word) else {
                let origin = self.origin(&place);
                self.problems.push(Problem::ProviderId { origin });
                continue;
            };
            let Some(inner) = self.table(&place, value) else { continue };
            let settings = layer.providers.entry(id).or_default();
            for (word, value) in inner {
                let place = format!("{place}.{word}");
                self.key::<ProviderSettings>(PROVIDER_KEYS, &word, &place, value, settings);
            }
        }
    }

    /// `name` as the table of keys has it; `place` with the tables before it.
    fn key<T>(
        &mut self,
        keys: &'static [Key<T>],
        name: &str,
        place: &str,
        value: Value,
        settings: &mut Settings,
    ) {
        let Some((key, twin)) = keys::find(keys, name) else {
            self.unknown(keys, name, place);
            return;
        };
        let origin = self.origin(place);
        if matches!(key.kind, Kind::SecretApart(..)) && !twin {
            self.problems.push(Problem::NotInFile {
                origin,
                twin: format!("{place}_file"),
                variable: keys::variable(place),
            });
            return;
        }
        insert(settings, key.name, Given { raw: Raw::Toml(value), origin, twin }, self.problems);
    }

    fn unknown<T>(&mut self, keys: &'static [Key<T>], name: &str, place: &str) {
        let mut known: Vec<String> = keys.iter().flat_map(Key::file_names).collect();
        let prefix = place.strip_suffix(name).unwrap_or_default();
        if prefix.is_empty() {
            known.extend(tables().map(str::to_owned));
            known.push(PROVIDERS.to_owned());
        }
        let nearest = nearest(name, known.iter().map(String::as_str)).map(|n| format!("`{prefix}{n}`"));
        self.problems.push(Problem::UnknownKey { file: self.path.to_owned(), key: shown(place), nearest });
    }

    fn table(&mut self, key: &str, value: Value) -> Option<Table> {
        match value {
            Value::Table(table) => Some(table),
            other => {
                let allowed =
                    if key == PROVIDERS { "[providers.<id>]".to_owned() } else { format!("[{key}]") };
                self.problems.push(Problem::Type {
                    origin: self.origin(key),
                    found: other.type_str(),
                    wanted: "table",
                    allowed,
                });
                None
            }
        }
    }

    fn origin(&self, key: &str) -> Origin {
        Origin::File { path: self.path.to_owned(), key: key.to_owned() }
    }
}

/// The tables that are groups of keys: `log`, `outbound`.
fn tables() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(|key| key.name.rsplit_once('.').map(|(table, _)| table))
}
