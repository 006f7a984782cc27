//! The services that a configuration comes to: the built-in ones, the files of the providers directory, and what is
//! configured of each.

use secrecy::ExposeSecret as _;
use tokenry_broker::{Configured, ConfiguredBy, ConfiguredValue};
use tokenry_oauth::{Catalogue, OutboundPolicy, ProviderFile, ServiceClient};
use tokenry_store::Store;

use crate::config::{Config, Origin};
use crate::own_files;

/// Reads the directory and makes the catalogue. `policy` says where the files' addresses may lead.
///
/// # Errors
/// When the directory was configured and is not there, when a file cannot be read, and as
/// [`Catalogue::load_with`]; each error is for the operator and names the file.
pub fn catalogue(config: &Config, policy: &OutboundPolicy) -> anyhow::Result<Catalogue> {
    Ok(Catalogue::load_with(&config.providers, &files(config)?, policy)?)
}

/// What is configured, and by whom, for an operator to look at. No secret is in it.
pub fn configured(config: &Config) -> Vec<Configured> {
    let of = |setting: crate::config::Setting| {
        let value = match setting.value.as_str() {
            "(set)" => ConfiguredValue::Secret,
            "(not set)" | "(none)" => ConfiguredValue::Nothing,
            _ => ConfiguredValue::Text(setting.value),
        };
        let by = match setting.origin {
            Origin::Default => ConfiguredBy::Default,
            Origin::File { path, .. } => ConfiguredBy::File(path.display().to_string()),
            Origin::Variable(name) => ConfiguredBy::Variable(name),
            Origin::Flag(flag) => ConfiguredBy::Flag(flag.to_owned()),
        };
        Configured { key: setting.key, value, by }
    };
    config.sources().into_iter().map(of).collect()
}

/// As [`catalogue`], with the services that are set up on pages, as far as their secrets matter: that there is one, not which.
/// A database that cannot be looked at now is said so, and nothing else.
///
/// # Errors
/// As [`catalogue`].
pub async fn catalogue_as_served(config: &Config) -> anyhow::Result<(Catalogue, Option<anyhow::Error>)> {
    let catalogue = catalogue(config, &config.outbound)?;
    match Store::peek_service_clients(config.database_url.expose_secret()).await {
        Ok(rows) => {
            let client = |row: tokenry_store::StoredClient| {
                let client_secret = row.secret.map(|_| "not opened here".into());
                (row.provider, ServiceClient { client_id: row.client_id, client_secret })
            };
            Ok((catalogue.with_clients(&rows.into_iter().map(client).collect()), None))
        }
        Err(error) => Ok((catalogue, Some(error.into()))),
    }
}

fn files(config: &Config) -> anyhow::Result<Vec<ProviderFile>> {
    let files = own_files::read_all(config, "providers_dir", &config.providers_dir, "toml", "provider file")?;
    Ok(files.into_iter().map(|file| ProviderFile { name: file.name, text: file.text }).collect())
}
