//! The layer of the environment variables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use tokenry_model::ProviderId;

use super::error::{Problem, shown};
use super::keys::{self, KEYS, Key, PREFIX, PROVIDER_KEYS};
use super::layer::{Given, Layer, Origin, Raw, insert};
use super::nearest::nearest;

/// Names the configuration file.
pub(super) const CONFIG: &str = "CONFIG";
/// What the variables of providers begin with, after the prefix.
const PROVIDERS: &str = "PROVIDERS__";
/// Tokenry's own tests are steered by variables that begin so.
const TESTS: &str = "TEST_";

/// What the environment says: the file to read, and the layer.
pub(super) fn read<K, V>(
    variables: impl IntoIterator<Item = (K, V)>,
    problems: &mut Vec<Problem>,
) -> (Option<PathBuf>, Layer)
where
    K: Into<OsString>,
    V: Into<OsString>,
{
    let mut file = None;
    let mut layer = Layer::default();
    // By name, so that problems come in the same order each time.
    let ours: BTreeMap<String, OsString> = variables
        .into_iter()
        .map(|(name, value)| (name.into().to_string_lossy().into_owned(), value.into()))
        .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
        .collect();
    for (name, value) in ours {
        let word = &name[PREFIX.len()..];
        if word == CONFIG {
            file = Some(PathBuf::from(value));
            continue;
        }
        let Ok(value) = value.into_string() else {
            problems.push(Problem::NotUtf8 { name: shown(&name) });
            continue;
        };
        if word.starts_with(TESTS) || is_service_link(word, &value) {
            continue;
        }
        let given = |twin| Given { raw: Raw::Text(value), origin: Origin::Variable(name.clone()), twin };
        if let Some(rest) = word.strip_prefix(PROVIDERS) {
            provider(&name, rest, given, &mut layer, problems);
        } else if let Some((key, twin)) = find(KEYS, word) {
            insert(&mut layer.own, key.name, given(twin), problems);
        } else {
            problems.push(Problem::UnknownVariable { name: shown(&name), nearest: nearest_variable(word) });
        }
    }
    (file, layer)
}

/// `rest`: `ACME__CLIENT_ID`. The id may have `__` in it, a key has not, so the last one counts.
fn provider(
    name: &str,
    rest: &str,
    given: impl FnOnce(bool) -> Given,
    layer: &mut Layer,
    problems: &mut Vec<Problem>,
) {
    let Some((id, word)) = rest.rsplit_once("__") else {
        problems.push(Problem::UnknownVariable { name: shown(name), nearest: split_provider(rest) });
        return;
    };
    let Some((key, twin)) = find(PROVIDER_KEYS, word) else {
        let known: Vec<String> = PROVIDER_KEYS.iter().flat_map(Key::variable_names).collect();
        let nearest = nearest(word, known.iter().map(String::as_str))
            .map(|key| format!("{PREFIX}{PROVIDERS}{}__{}", shown(id), key.to_ascii_uppercase()));
        problems.push(Problem::UnknownVariable { name: shown(name), nearest });
        return;
    };
    match ProviderId::parse(&id.to_ascii_lowercase().replace('_', "-")) {
        Ok(id) => insert(layer.providers.entry(id).or_default(), key.name, given(twin), problems),
        Err(_) => problems.push(Problem::ProviderId { origin: Origin::Variable(shown(name)) }),
    }
}

/// Finds a key by a variable's name without the prefix.
fn find<T>(keys: &'static [Key<T>], word: &str) -> Option<(&'static Key<T>, bool)> {
    // Capitals, and no dots: there is one spelling of each variable.
    if word.bytes().any(|b| b.is_ascii_lowercase() || b == b'.') {
        return None;
    }
    keys::find(keys, &word.to_ascii_lowercase().replace("__", "."))
}

fn nearest_variable(word: &str) -> Option<String> {
    let mut known: Vec<String> = KEYS.iter().flat_map(Key::variable_names).collect();
    known.push(CONFIG.to_ascii_lowercase());
    nearest(&word.replace("__", "."), known.iter().map(String::as_str))
        .map(keys::variable)
        .or_else(|| split_provider(word))
}

/// `ACME_CLIENT_ID` was meant for `ACME__CLIENT_ID`.
fn split_provider(word: &str) -> Option<String> {
    let mut keys: Vec<String> =
        PROVIDER_KEYS.iter().flat_map(Key::variable_names).map(|key| key.to_ascii_uppercase()).collect();
    // CLIENT_SECRET_FILE before a key that it might end in.
    keys.sort_by_key(|key| std::cmp::Reverse(key.len()));
    keys.iter().find_map(|key| {
        let id = word.strip_suffix(key)?.strip_suffix('_')?.trim_matches('_');
        (!id.is_empty()).then(|| format!("{PREFIX}{PROVIDERS}{}__{key}", shown(id)))
    })
}

/// Whether Kubernetes or Docker made this variable. For each service in reach whose name is `tokenry…` they set some to
/// tell its address: `TOKENRY_SERVICE_HOST`, `TOKENRY_SERVICE_PORT_HTTP`, `TOKENRY_PORT_8080_TCP_ADDR`,
/// and `TOKENRY_PORT=tcp://…`. Nobody wrote them, so nobody is to be told about them.
fn is_service_link(word: &str, value: &str) -> bool {
    let parts: Vec<&str> = word.split('_').collect();
    let has = |wanted: [&str; 2]| parts.windows(2).any(|pair| pair == wanted);
    let is_port = |pair: &[&str]| {
        pair[0] == "PORT" && !pair[1].is_empty() && pair[1].bytes().all(|b| b.is_ascii_digit())
    };
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    has(["SERVICE", "HOST"])
        || has(["SERVICE", "PORT"])
        || parts.windows(2).any(is_port)
        || (parts.last() == Some(&"PORT") && is_address)
}
