//! Where sealed bytes belong. They open nowhere else.

use tokenry_model::{ConnectionId, StateHash, UserId};

use crate::KeyId;

/// The place that sealed bytes are bound to: they open only when the same place is named again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context<'a> {
    /// A field of a connection's credential.
    Connection {
        /// The owner.
        user: UserId,
        /// The connection.
        connection: ConnectionId,
        /// The field.
        field: ConnectionField,
    },
    /// A field of a flow.
    Flow {
        /// Who began the flow.
        user: UserId,
        /// The hash by which the flow is found.
        state: &'a StateHash,
        /// The field.
        field: FlowField,
    },
    /// A key that signs our own access tokens.
    SigningKey {
        /// Its row.
        id: i64,
    },
    /// A secret of the installation as a whole.
    Installation {
        /// What it goes by.
        name: &'a str,
    },
    /// The secret of the operator's own client at a provider.
    Client {
        /// The provider's id.
        provider: &'a str,
    },
}

/// The sealed fields of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionField {
    /// The access token, or the pasted one.
    AccessToken,
    /// The refresh token.
    RefreshToken,
}

/// The sealed fields of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowField {
    /// What must be kept until the browser comes back: the PKCE verifier and the nonce.
    Secrets,
    /// What the provider answered, until its owner confirms it.
    Grant,
}

impl ConnectionField {
    const fn word(self) -> &'static [u8] {
        match self {
            Self::AccessToken => b"access_token",
            Self::RefreshToken => b"refresh_token",
        }
    }
}

impl FlowField {
    const fn word(self) -> &'static [u8] {
        match self {
            Self::Secrets => b"secrets",
            Self::Grant => b"grant",
        }
    }
}

impl Context<'_> {
    /// The data that is authenticated with the ciphertext: a label, the key id, and the parts of the context,
    /// each behind its length so that no two contexts run into the same bytes.
    pub(crate) fn aad(&self, key: KeyId) -> Vec<u8> {
        let mut aad = Vec::with_capacity(128);
        aad.extend_from_slice(b"tokenry-seal-v1");
        aad.extend_from_slice(&key.to_bytes());
        match self {
            Self::Connection { user, connection, field } => {
                push_part(&mut aad, b"connection");
                push_part(&mut aad, &user.get().to_be_bytes());
                push_part(&mut aad, &connection.get().to_be_bytes());
                push_part(&mut aad, field.word());
            }
            Self::Flow { user, state, field } => {
                push_part(&mut aad, b"flow");
                push_part(&mut aad, &user.get().to_be_bytes());
                push_part(&mut aad, state.as_bytes());
                push_part(&mut aad, field.word());
            }
            Self::SigningKey { id } => {
                push_part(&mut aad, b"signing_key");
                push_part(&mut aad, &id.to_be_bytes());
            }
            Self::Installation { name } => {
                push_part(&mut aad, b"installation");
                push_part(&mut aad, name.as_bytes());
            }
            Self::Client { provider } => {
                push_part(&mut aad, b"client");
                push_part(&mut aad, provider.as_bytes());
            }
        }
        aad
    }
}

/// Appends the length of `part` (8 bytes, big-endian), then `part`.
pub(crate) fn push_part(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
    bytes.extend_from_slice(part);
}
