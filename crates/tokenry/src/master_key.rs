//! Where the master key comes from.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;
use tokenry_store::Store;
use tokenry_vault::{MasterKey, SystemRandom};

use crate::config::{MasterKeySource, read_secret_file};
use crate::key_command;

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
        MasterKeySource::Command(command) => Ok(Found { key: key_command::run(command).await?, made: None }),
        MasterKeySource::DataDir(path) => match fs::metadata(path) {
            Ok(_) => Ok(Found { key: read(path)?, made: None }),
            Err(error) if error.kind() == ErrorKind::NotFound => make(path, database_url).await,
            Err(error) => {
                Err(error).with_context(|| format!("the master key file {} cannot be read", path.display()))
            }
        },
    }
}

/// Reads a master key from a file.
///
/// # Errors
/// When the file cannot be read, or holds none.
pub fn read(path: &Path) -> anyhow::Result<MasterKey> {
    let text = read_secret_file(path)
        .with_context(|| format!("the master key file {} cannot be read", path.display()))?;
    MasterKey::from_base64(&text).with_context(|| format!("{} does not hold a master key", path.display()))
}

async fn make(path: &Path, database_url: &str) -> anyhow::Result<Found> {
    // A new key would not open the old database; the old one must be brought back.
    if !Store::peek_keys(database_url).await?.is_empty() {
        // Unless another server has made both since we looked for the key.
        if path.exists() {
            return Ok(Found { key: read(path)?, made: None });
        }
        bail!(
            "the master key file {} is missing, but the database was sealed with it: put the file back, or name the key \
             with TOKENRY_MASTER_KEY or TOKENRY_MASTER_KEY_FILE",
            path.display()
        );
    }
    let key = MasterKey::generate(&SystemRandom)?;
    match write(path, &key) {
        Ok(()) => Ok(Found { key, made: Some(path.to_owned()) }),
        // Another server started at the same time and was first: there is one key, and it is that one's.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Found { key: read(path)?, made: None }),
        Err(error) => {
            Err(error).with_context(|| format!("the master key cannot be written to {}", path.display()))
        }
    }
}

/// Writes the key so that it is there after a power cut: what is sealed with it will be. Whoever sees the file sees all of
/// it; one that is there already is left alone.
fn write(path: &Path, key: &MasterKey) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Only its owner reads it: that is how this crate makes them.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(key.to_base64().expose_secret().as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    fs::File::open(dir)?.sync_all()
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
