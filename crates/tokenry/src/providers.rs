//! The services that a configuration comes to: the built-in ones, the files of the providers directory, and what is
//! configured of each.

use std::path::Path;

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;
use tokenry_broker::{Configured, ConfiguredBy, ConfiguredValue};
use tokenry_oauth::{Catalogue, OutboundPolicy, ProviderFile, ServiceClient};
use tokenry_store::Store;

use crate::config::{Config, Origin};

/// A provider file that is longer is no provider file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

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

/// Every `*.toml` of the directory, by name. Files that begin with a dot are an editor's.
fn files(config: &Config) -> anyhow::Result<Vec<ProviderFile>> {
    let dir = &config.providers_dir;
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match config.origin("providers_dir") {
                Origin::Default => Ok(Vec::new()),
                origin => bail!(
                    "{origin} names the directory {}, which is not there; make it, or correct the path",
                    dir.display()
                ),
            };
        }
        Err(error) => {
            return Err(error).with_context(|| {
                format!("the providers directory {} cannot be read; providers_dir names it", dir.display())
            });
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("{} cannot be read", dir.display()))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(read(&path)?);
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<ProviderFile> {
    let name = path.display().to_string();
    let context = || format!("the provider file {name} cannot be read");
    let meta = std::fs::metadata(path).with_context(context)?;
    if !meta.is_file() || meta.len() > MAX_FILE_BYTES {
        bail!("the provider file {name} must be a file of at most 1 MiB");
    }
    let text = std::fs::read_to_string(path).with_context(context)?;
    Ok(ProviderFile { name, text })
}
