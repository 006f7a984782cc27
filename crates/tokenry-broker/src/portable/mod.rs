//! Connections on their way from one installation to another: a sealed file, and who may spend a refresh token meanwhile.
//!
//! A grant is renewed by one installation alone. So an export either leaves the refresh tokens that rotate where they are
//! (what is imported is a copy that ends with its access token), or hands the grants over: the file is whole and on disk
//! before the first row is marked, a row that was refreshed meanwhile is written into it again, and only when all are marked
//! does it get its end, without which nobody imports it.

mod export;
mod file;
mod import;
mod own;
mod record;

use std::io;

use tokenry_model::{EntropyError, SecretString};
use tokenry_store::StoreError;
use tokenry_vault::{MasterKey, VaultError};

use crate::boot::Broker;
use crate::error::BrokerError;

pub use export::{ExportWanted, Exported};
pub use import::ImportedFile;
pub use own::OwnExport;

/// What an export is sealed with.
#[derive(Debug)]
pub enum ExportSecret {
    /// Words that somebody remembers or has written down. A slow hash makes a key of them (Argon2id).
    Passphrase(SecretString),
    /// 32 random bytes, such as `tokenry key generate` makes.
    Key(MasterKey),
}

/// Why connections could not be exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// The database, the vault or a provider.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The file cannot be read or written.
    #[error("the file cannot be used: {0}")]
    File(#[from] io::Error),
    /// It is no export, or not one of a version that this program reads.
    #[error("this is no export of Tokenry, or one of a newer version")]
    NotAnExport,
    /// It does not open with this passphrase or key, or was changed.
    #[error("the export does not open: the passphrase or the key is another one, or the file was changed")]
    Refused,
    /// It has no end.
    #[error(
        "the export never came to its end, and must not be imported: run the command that made it again, and it goes on \
         where it was"
    )]
    Unfinished,
    /// What was asked for cannot be done.
    #[error("{0}")]
    Unusable(String),
}

impl From<StoreError> for PortableError {
    fn from(error: StoreError) -> Self {
        Self::Broker(error.into())
    }
}

impl From<VaultError> for PortableError {
    fn from(error: VaultError) -> Self {
        Self::Broker(error.into())
    }
}

impl From<EntropyError> for PortableError {
    fn from(error: EntropyError) -> Self {
        Self::Broker(BrokerError::from(VaultError::from(error)))
    }
}

/// The fact under which an installation knows what it is called.
const ID: &str = "id";

impl Broker {
    /// What this installation is called towards others: random, made when it is first needed.
    async fn installation_id(&self) -> Result<String, PortableError> {
        if let Some(id) = self.store.find_fact(ID).await? {
            return Ok(id);
        }
        self.store.insert_fact(ID, &random_id(&*self.random)?, self.clock.now()).await?;
        let id = self.store.find_fact(ID).await?;
        Ok(id.ok_or(BrokerError::Internal("a fact that was written down is not there"))?)
    }
}

/// 96 random bits, for a name that nobody else has.
fn random_id(random: &dyn tokenry_model::Random) -> Result<String, EntropyError> {
    use base64::Engine as _;
    let mut bytes = [0; 12];
    random.fill(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}
