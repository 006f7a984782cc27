//! A person's own connections, in a sealed file that they take away.
//!
//! Nothing is taken out of service for it. What two installations may renew side by side goes along whole; of a grant whose
//! refresh token can be spent once, a copy goes that ends with its access token. A hand-over is the operator's to make: it
//! needs a file that is known to be on disk, and of a download only the browser knows.

use std::io::{Read as _, Seek as _};

use tokenry_model::{Action, AuditOutcome, ExposeSecret as _, SecretString};

use super::{ExportSecret, ExportWanted, Exported, PortableError};
use crate::accounts::address_of;
use crate::audit::Note;
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::problem::Problem;
use crate::sessions::Claims;

/// A passphrase that is shorter, in characters, is guessed by whoever has the file.
const SHORTEST: usize = 12;

/// A person's connections, sealed.
#[derive(Debug)]
pub struct OwnExport {
    /// The file.
    pub bytes: Vec<u8>,
    /// What is in it.
    pub exported: Exported,
}

impl Broker {
    /// The caller's connections as a file that is sealed with `passphrase`, for `tokenry import` at another installation.
    /// All of it stays in service here. Who has no more than a session does not get it: the account's password is asked for.
    ///
    /// # Errors
    /// [`BrokerError::Field`] when the password is wrong or the passphrase is short; [`BrokerError::TooManyAttempts`];
    /// [`BrokerError::Busy`]; those of a caller who may not.
    pub async fn export_own(
        &self,
        claims: &Claims,
        password: &SecretString,
        passphrase: SecretString,
    ) -> Result<OwnExport, PortableError> {
        let note = Note::by(claims, Action::ExportOwn);
        let user = self.user(claims).await?;
        if passphrase.expose_secret().chars().count() < SHORTEST {
            return Err(BrokerError::field("passphrase", Problem::ShortPassphrase(SHORTEST)).into());
        }
        let address = address_of(&claims.from);
        if self.check_login(&user.username, password, address, Some(claims.clone())).await?.is_none() {
            self.note_passing(note, AuditOutcome::Refused, Some("wrong_password"));
            return Err(BrokerError::field("password", Problem::NotYourPassword).into());
        }
        // Its key is made by a slow hash: that takes its turn with the passwords, on a thread of its own.
        let place = self.passwords.turn(&claims.device, true).await?.place();
        let wanted = ExportWanted { user: Some(user.username.as_str().to_owned()), hand_over: false };
        let (broker, runtime) = (self.clone(), tokio::runtime::Handle::current());
        let write = move || {
            let _place = place;
            runtime.block_on(async {
                let mut file = broker.spool.scratch()?;
                let secret = ExportSecret::Passphrase(passphrase);
                let exported = broker.export_connections(&mut file, &secret, &wanted).await?;
                let mut bytes = Vec::new();
                file.rewind()?;
                file.read_to_end(&mut bytes)?;
                Ok::<_, PortableError>(OwnExport { bytes, exported })
            })
        };
        let written = self.tasks.spawn_blocking(write).await;
        let written = written.map_err(|_| BrokerError::Internal("an export ended without an outcome"))??;
        self.note_act(note).await;
        Ok(written)
    }
}
