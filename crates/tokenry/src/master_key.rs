//! Where the master key comes from.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;
use tokenry_store::Store;
use tokenry_vault::{MasterKey, SystemRandom};

use crate::config::{MasterKeySource, read_secret_file};

/// The master key, and the file it was just made in, if it was.
#[derive(Debug)]
pub struct Found {
    /// The key.
    pub key: MasterKey,
    /// The file that holds it from now on, when none was configured and none was there.
    pub made: Option<PathBuf>,
}

/// Finds the master key, or makes one in the data directory when none is configured and no database needs another.
///
/// # Errors
/// When the key cannot be read or is not one; when the key file is gone and the database at `database_url` was sealed with it.
pub async fn find(source: &MasterKeySource, database_url: &str) -> anyhow::Result<Found> {
    match source {
        MasterKeySource::Value(text) => {
            let key = MasterKey::from_base64(text).context("TOKENRY_MASTER_KEY is not a master key")?;
            Ok(Found { key, made: None })
        }
        MasterKeySource::File(path) => Ok(Found { key: read(path)?, made: None }),
        MasterKeySource::DataDir(path) => match fs::metadata(path) {
            Ok(_) => Ok(Found { key: read(path)?, made: None }),
            Err(error) if error.kind() == ErrorKind::NotFound => make(path, database_url).await,
            Err(error) => {
                Err(error).with_context(|| format!("the master key file {} cannot be read", path.display()))
            }
        },
    }
}

fn read(path: &Path) -> anyhow::Result<MasterKey> {
    let text = read_secret_file(path)
        .with_context(|| format!("the master key file {} cannot be read", path.display()))?;
    MasterKey::from_base64(&text).with_context(|| format!("{} does not hold a master key", path.display()))
}

async fn make(path: &Path, database_url: &str) -> anyhow::Result<Found> {
    // A new key would not open the old database; the old one must be brought back.
    if !Store::peek_keys(database_url).await?.is_empty() {
        bail!(
            "the master key file {} is missing, but the database was sealed with it: put the file back, or name the key \
             with TOKENRY_MASTER_KEY or TOKENRY_MASTER_KEY_FILE",
            path.display()
        );
    }
    let key = MasterKey::generate(&SystemRandom)?;
    write(path, &key).with_context(|| format!("the master key cannot be written to {}", path.display()))?;
    Ok(Found { key, made: Some(path.to_owned()) })
}

/// Writes the key so that it is there after a power cut: what is sealed with it will be.
fn write(path: &Path, key: &MasterKey) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(key.to_base64().expose_secret().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    if let Some(parent) = path.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Makes the data directory, for its owner alone.
///
/// # Errors
/// When it cannot be made.
pub fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).with_context(|| format!("the data directory {} cannot be made", path.display()))
}
