//! Grants: tokens from a provider, on their way into a row and out of it.

use serde::{Deserialize, Serialize};
use tokenry_model::{
    Account, Connection, ConnectionId, CredentialKind, Deadlines, EntropyError, ExposeSecret as _, Random,
    Scopes, Sealed, SecretString, Timestamp, UserId, Values,
};
use tokenry_oauth::{Grant, Provider, TokenSet};
use tokenry_store::{NewCredential, SealedCredential};
use tokenry_vault::{ConnectionField, Context, Vault, VaultError};
use zeroize::Zeroizing;

use crate::schedule::Renewal;

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
    open_token(vault, connection.user_id, connection.id, &connection.access_token)
}

/// Opens an access token that was sealed for this connection.
pub(crate) fn open_token(
    vault: &Vault,
    user: UserId,
    connection: ConnectionId,
    sealed: &Sealed,
) -> Result<SecretString, VaultError> {
    vault.open_text(&context(user, connection, ConnectionField::AccessToken), sealed)
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

/// What the row keeps beside the sealed tokens of a new grant.
pub(crate) fn credential(
    provider: &Provider,
    tokens: &TokenSet,
    requested: &Scopes,
    values: Values,
    random: &dyn Random,
    now: Timestamp,
) -> Result<NewCredential, EntropyError> {
    let renewal = Renewal {
        provider,
        tokens,
        renewable: tokens.refresh_token.is_some(),
        consented_at: now,
        before: None,
        now,
    };
    Ok(NewCredential {
        kind: CredentialKind::OAuth2,
        requested: requested.clone(),
        // RFC 6749 §5.1: no scope in the answer means the scope that was asked for.
        scopes: tokens.scopes.clone().unwrap_or_else(|| requested.clone()),
        values,
        times: renewal.deadlines(random)?,
    })
}

/// What the row keeps beside the sealed tokens that a refresh brought.
pub(crate) fn renewed(
    provider: &Provider,
    tokens: &TokenSet,
    connection: &Connection,
    random: &dyn Random,
    now: Timestamp,
) -> Result<NewCredential, EntropyError> {
    let renewal = Renewal {
        provider,
        tokens,
        renewable: true,
        consented_at: connection.connected_at.unwrap_or(connection.created_at),
        before: Some(connection.times),
        now,
    };
    let times = renewal.deadlines(random)?;
    let has_grant = connection.kind != CredentialKind::ClientCredentials;
    Ok(NewCredential {
        kind: connection.kind,
        requested: connection.requested.clone(),
        scopes: tokens.scopes.clone().unwrap_or_else(|| connection.scopes.clone()),
        values: connection.values.clone(),
        times: if has_grant { times } else { without_end(times) },
    })
}

/// The deadlines of what no grant and no refresh token is behind: a client has its next token whenever it asks.
pub(crate) fn without_end(times: Deadlines) -> Deadlines {
    Deadlines { keep_at: None, ends_at: None, idle_ends_at: None, ..times }
}

/// A grant that came back from a provider, complete with whose account it is: what a connect ends with.
#[derive(Clone)]
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
    requested: &'a Scopes,
    scopes: &'a Scopes,
    values: &'a Values,
    times: [Option<i64>; 6],
}

#[derive(Deserialize)]
struct ParkedIn {
    access: SecretString,
    refresh: Option<SecretString>,
    account: Option<(String, Option<String>)>,
    requested: Scopes,
    scopes: Scopes,
    values: Values,
    times: [Option<i64>; 6],
}

impl Granted {
    /// Writes the grant down, to be sealed at once.
    pub(crate) fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let out = ParkedOut {
            access: self.access.expose_secret(),
            refresh: self.refresh.as_ref().map(tokenry_model::ExposeSecret::expose_secret),
            account: self.account.as_ref().map(|a| (a.id.as_str(), a.label.as_deref())),
            requested: &self.credential.requested,
            scopes: &self.credential.scopes,
            values: &self.credential.values,
            times: self.credential.times.to_micros(),
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
                requested: parked.requested,
                scopes: parked.scopes,
                values: parked.values,
                times: Deadlines::from_micros(parked.times),
            },
        })
    }

    /// The tokens alone, to be revoked.
    pub(crate) fn into_grant(self) -> Grant {
        Grant { access: self.access, refresh: self.refresh }
    }
}
