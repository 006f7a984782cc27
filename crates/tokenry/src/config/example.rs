//! A configuration file that explains itself, made from the table of keys.

use toml::Value;

use super::Config;
use super::keys::{KEYS, Key, Kind, PROVIDER_KEYS, PROVIDERS, variable};

const TOP: &str = "\
# Tokenry's configuration. No key is needed: without this file, everything has its default.
# Command-line flags go before environment variables, and those before this file.
# A line that begins with # and a letter is a setting: remove the # and change the value. It shows the default, where
# there is one.
#
# Every secret can stand in a file of its own, which the key that ends in _file names; one line break at its end is
# not part of it. Set the secret or its file, not both.
";

const PROVIDERS_TOP: &str = "
# Providers. Those that come with Tokenry, such as spotify, need a client id and a client secret:
#
#   [providers.spotify]
#   client_id = \"…\"
#   client_secret_file = \"…\"
#
# A provider of your own has an id of your choice (a-z, 0-9 and '-', here acme), and needs an `issuer`, or
# `authorize_url` and `token_url`. In variables the id is in capitals, with _ in place of -.
#[providers.acme]
";

/// The text of a `tokenry.toml` with every key, what it means, its default and its variable. All settings in it are
/// commented out.
pub fn example() -> String {
    let defaults = Config::default();
    let mut parts = vec![TOP.to_owned()];
    let mut table = None;
    for key in KEYS {
        let (group, name) = match key.name.rsplit_once('.') {
            Some((group, name)) => (Some(group), name),
            None => (None, key.name),
        };
        if let Some(group) = group.filter(|_| group != table) {
            parts.push(format!("\n[{group}]\n"));
        }
        table = group;
        parts.push(entry(key, name, key.name, (key.show)(&defaults).as_deref()));
    }
    parts.push(PROVIDERS_TOP.to_owned());
    for key in PROVIDER_KEYS {
        parts.push(entry(key, key.name, &format!("{PROVIDERS}.acme.{}", key.name), None));
    }
    parts.concat()
}

/// One key: `name` as in its table, `path` with the tables before it.
fn entry<T>(key: &Key<T>, name: &str, path: &str, default: Option<&str>) -> String {
    let unset = if default.is_none() { " Not set by default." } else { "" };
    let own = variable(path);
    let variables = if key.is_secret() {
        format!("{own}, or for its file {}", variable(&format!("{path}_file")))
    } else {
        own
    };
    let mut lines = vec![
        String::new(),
        format!("# {}", key.help),
        format!("# It must be {}.{unset}", key.allowed),
        format!("# Variable: {variables}."),
    ];
    if !matches!(key.kind, Kind::SecretApart(..)) {
        lines.push(format!("#{name} = {}", literal(key, default.unwrap_or(key.sample))));
    }
    if key.is_secret() {
        lines.push(format!("#{name}_file = \"/run/secrets/{}\"", path.replace(['.', '-'], "_")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A value as TOML writes it.
fn literal<T>(key: &Key<T>, value: &str) -> String {
    match key.kind {
        Kind::Flag(_) | Kind::Count(_) => value.to_owned(),
        Kind::List(_) => {
            let entries = value.split_whitespace().map(|entry| Value::String(entry.to_owned())).collect();
            Value::Array(entries).to_string()
        }
        Kind::Table(_) => {
            let pairs = value.split_whitespace().filter_map(|pair| pair.split_once('='));
            let pairs: Vec<String> =
                pairs.map(|(name, value)| format!("{name} = {}", Value::String(value.to_owned()))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        _ => Value::String(value.to_owned()).to_string(),
    }
}
