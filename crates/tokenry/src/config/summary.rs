//! The configuration for people to read.

use super::keys::{KEYS, PROVIDER_KEYS, PROVIDERS};
use super::{Config, Origin};

/// One key as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key with the tables before it, such as `log.format`.
    pub key: String,
    /// Its value; `(set)` for a secret, `(not set)` where there is none.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Config {
    /// Every key, and of each provider the keys that somebody set. No secret is in it.
    pub fn sources(&self) -> Vec<Setting> {
        let own = KEYS.iter().map(|key| self.setting(key.name.to_owned(), (key.show)(self)));
        let of_providers = self.providers.iter().flat_map(|(id, provider)| {
            PROVIDER_KEYS.iter().filter_map(move |key| {
                let value = (key.show)(provider)?;
                Some(self.setting(format!("{PROVIDERS}.{id}.{}", key.name), Some(value)))
            })
        });
        own.chain(of_providers).collect()
    }

    /// Where the value of this key comes from, named with its tables (`log.format`, `providers.acme.client_id`).
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// A table of all keys, their values and where these come from, then the warnings. No secret is in it.
    pub fn summary(&self) -> String {
        let settings = self.sources();
        let width = |of: fn(&Setting) -> &str| {
            settings.iter().map(|setting| of(setting).chars().count()).max().unwrap_or_default()
        };
        let (keys, values) = (width(|s| &s.key), width(|s| &s.value));
        let rows = settings.iter().map(|Setting { key, value, origin }| {
            format!("{key:keys$}  {value:values$}  {}\n", origin.source())
        });
        rows.chain(self.warnings.iter().map(|warning| format!("warning: {warning}\n"))).collect()
    }

    fn setting(&self, key: String, value: Option<String>) -> Setting {
        let origin = self.origin(&key).clone();
        let value = match value {
            None => "(not set)".to_owned(),
            Some(value) if value.is_empty() => "(none)".to_owned(),
            Some(value) => value,
        };
        Setting { key, value, origin }
    }
}
