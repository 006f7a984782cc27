//! Grants: tokens from a provider, on their way into a row and out of it.

use serde::{Deserialize, Serialize};
use tokenry_model::{
    Account, Connection, ConnectionId, CredentialKind, ExposeSecret as _, Scopes, Sealed, SecretString,
    Timestamp, UserId,
};
use tokenry_oauth::{Grant, Provider, TokenSet};
use tokenry_store::{NewCredential, SealedCredential};
use tokenry_vault::{ConnectionField, Context, Vault, VaultError};
use zeroize::Zeroizing;

/// The context of one field of one connection.
pub(crate) const fn context(
    user: UserId,
    connection: ConnectionId,
    field: ConnectionField,
) -> Context<'static> {
    Context::Connection { user, connection, field }
}

/// Seals a grant for a connection.
pub(crate) fn seal_grant(
    vault: &Vault,
    user: UserId,
    connection: ConnectionId,
    access: &SecretString,
    refresh: Option<&SecretString>,
) -> Result<SealedCredential, VaultError> {
    let seal = |field, token: &SecretString| {
        vault.seal(&context(user, connection, field), token.expose_secret().as_bytes())
    };
    Ok(SealedCredential {
        access: seal(ConnectionField::AccessToken, access)?,
        refresh: refresh.map(|token| seal(ConnectionField::RefreshToken, token)).transpose()?,
    })
}

/// Opens the access token, or the pasted one, of a connection.
pub(crate) fn open_access(vault: &Vault, connection: &Connection) -> Result<SecretString, VaultError> {
    let context = context(connection.user_id, connection.id, ConnectionField::AccessToken);
    vault.open_text(&context, &connection.access_token)
}

/// Opens a grant that was sealed for a connection.
pub(crate) fn open_grant(
    vault: &Vault,
    user: UserId,
    connection: ConnectionId,
    sealed: &SealedCredential,
) -> Result<Grant, VaultError> {
    let open = |field, sealed: &Sealed| vault.open_text(&context(user, connection, field), sealed);
    Ok(Grant {
        access: open(ConnectionField::AccessToken, &sealed.access)?,
        refresh: sealed
            .refresh
            .as_ref()
            .map(|sealed| open(ConnectionField::RefreshToken, sealed))
            .transpose()?,
    })
}

/// When a token dies, and from when on a reader asks for the next.
pub(crate) fn due(
    provider: &Provider,
    tokens: &TokenSet,
    now: Timestamp,
) -> (Option<Timestamp>, Option<Timestamp>) {
    match provider.lifetime(tokens) {
        None => (None, None),
        Some(life) => {
            let expires = now.plus(life.expires_in);
            (Some(expires), Some(expires.minus(life.leeway)))
        }
    }
}

/// What the row keeps beside the sealed tokens.
pub(crate) fn credential(
    provider: &Provider,
    tokens: &TokenSet,
    requested: &Scopes,
    now: Timestamp,
) -> NewCredential {
    let (expires_at, due_at) = due(provider, tokens, now);
    // RFC 6749 §5.1: no scope in the answer means the scope that was asked for.
    let scopes = tokens.scopes.clone().unwrap_or_else(|| requested.clone());
    NewCredential { kind: CredentialKind::OAuth2, scopes, expires_at, due_at }
}

/// A grant that came back from a provider, complete with whose account it is: what a connect ends with.
pub(crate) struct Granted {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) account: Option<Account>,
    pub(crate) credential: NewCredential,
}

/// How a grant is written down, sealed, while it waits for its owner to sign in.
#[derive(Serialize)]
struct ParkedOut<'a> {
    access: &'a str,
    refresh: Option<&'a str>,
    account: Option<(&'a str, Option<&'a str>)>,
    scopes: &'a Scopes,
    expires_at: Option<i64>,
    due_at: Option<i64>,
}

#[derive(Deserialize)]
struct ParkedIn {
    access: SecretString,
    refresh: Option<SecretString>,
    account: Option<(String, Option<String>)>,
    scopes: Scopes,
    expires_at: Option<i64>,
    due_at: Option<i64>,
}

impl Granted {
    /// Writes the grant down, to be sealed at once.
    pub(crate) fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let out = ParkedOut {
            access: self.access.expose_secret(),
            refresh: self.refresh.as_ref().map(tokenry_model::ExposeSecret::expose_secret),
            account: self.account.as_ref().map(|a| (a.id.as_str(), a.label.as_deref())),
            scopes: &self.credential.scopes,
            expires_at: self.credential.expires_at.map(Timestamp::micros),
            due_at: self.credential.due_at.map(Timestamp::micros),
        };
        serde_json::to_vec(&out).ok().map(Zeroizing::new)
    }

    /// Reads what [`Granted::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let parked: ParkedIn = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            access: parked.access,
            refresh: parked.refresh,
            account: parked.account.map(|(id, label)| Account { id, label }),
            credential: NewCredential {
                kind: CredentialKind::OAuth2,
                scopes: parked.scopes,
                expires_at: parked.expires_at.map(Timestamp::from_micros),
                due_at: parked.due_at.map(Timestamp::from_micros),
            },
        })
    }

    /// The tokens alone, to be revoked.
    pub(crate) fn into_grant(self) -> Grant {
        Grant { access: self.access, refresh: self.refresh }
    }
}
