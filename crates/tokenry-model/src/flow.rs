//! Flows: a connect that has begun and not yet ended.

use std::fmt;

use crate::{
    ConnectionId, ConnectionName, LinkId, ProviderId, Scopes, Sealed, Timestamp, UnknownState, UserId, Values,
};

/// The SHA-256 of a flow's `state`. The state itself is only in the browser's address bar.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateHash([u8; 32]);

impl StateHash {
    /// Wraps a hash.
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateHash(..)")
    }
}

/// How far a flow has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowStage {
    /// The person is, or may be, at the provider.
    Pending,
    /// The provider's answer came back in a browser that did not start the flow, and waits for its owner to sign in.
    Unconfirmed,
    /// The state came back and was spent, whatever came of it.
    Used,
}

impl FlowStage {
    /// The word it is stored under.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unconfirmed => "unconfirmed",
            Self::Used => "used",
        }
    }

    /// Reads the stored word.
    ///
    /// # Errors
    /// [`UnknownState`] for a word that no version of Tokenry wrote.
    pub fn parse(text: &str) -> Result<Self, UnknownState> {
        match text {
            "pending" => Ok(Self::Pending),
            "unconfirmed" => Ok(Self::Unconfirmed),
            "used" => Ok(Self::Used),
            other => Err(UnknownState(other.to_owned())),
        }
    }
}

/// By which way a connect goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowKind {
    /// The authorization code grant (RFC 6749 §4.1).
    Code,
    /// The device authorization grant (RFC 8628): the person types a code elsewhere, and the state is what the program that
    /// waits asks with.
    Device,
    /// OAuth 1.0a (RFC 5849 §2).
    OAuth1,
}

impl FlowKind {
    /// The word it is stored under.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Device => "device",
            Self::OAuth1 => "oauth1",
        }
    }

    /// Reads the stored word.
    ///
    /// # Errors
    /// [`UnknownState`] for a word that no version of Tokenry wrote.
    pub fn parse(text: &str) -> Result<Self, UnknownState> {
        match text {
            "code" => Ok(Self::Code),
            "device" => Ok(Self::Device),
            "oauth1" => Ok(Self::OAuth1),
            other => Err(UnknownState(other.to_owned())),
        }
    }
}

/// A connect that has begun: what must be the same when the browser comes back.
#[derive(Debug, Clone)]
pub struct Flow {
    /// How it is found.
    pub state_hash: StateHash,
    /// Who asked for it, and will own the connection.
    pub user_id: UserId,
    /// The word the service was asked for by.
    pub token_type: String,
    /// The provider that word means.
    pub provider: ProviderId,
    /// The redirect URI that was sent, to be echoed (RFC 6749 §4.1.3).
    pub redirect_uri: String,
    /// The token endpoint as it was when the flow began: the code goes there or nowhere.
    pub token_url: String,
    /// The scopes that were asked for.
    pub scopes: Scopes,
    /// The sealed PKCE verifier (RFC 7636 §4.1) and, for OpenID Connect, the nonce.
    pub secrets: Sealed,
    /// The SHA-256 of the cookie that the asking browser was given.
    pub browser_hash: [u8; 32],
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// By which way it goes.
    pub kind: FlowKind,
    /// What differs from connection to connection at this service.
    pub values: Values,
    /// What the connection is to be called; `None`: after the service and the account.
    pub name: Option<ConnectionName>,
    /// The connection that is to be renewed, with the same account; `None`: that of the account that comes, or a new one.
    pub connection: Option<ConnectionId>,
    /// The connect link that it was begun with.
    pub link: Option<LinkId>,
}
