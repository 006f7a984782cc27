//! Connect links: addresses that a program sends a person, who connects an account of theirs there, once.

use std::fmt;

use crate::{ConnectionId, ProviderId, Timestamp, UnknownState, UserId};

/// The SHA-256 of a link's token, which is only in the link. The hash is no secret: it names the link, and opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId([u8; 32]);

impl LinkId {
    /// Wraps a hash.
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkId(..)")
    }
}

/// How far a link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStage {
    /// Nobody has come back from a provider.
    Open,
    /// Somebody has, and one process sees to it.
    Ending,
    /// An account was connected: the link is spent.
    Connected,
    /// The last try was declined. It can be tried again.
    Declined,
    /// The last try failed. It can be tried again.
    Failed,
}

impl LinkStage {
    /// The word it is stored under.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ending => "ending",
            Self::Connected => "connected",
            Self::Declined => "declined",
            Self::Failed => "failed",
        }
    }

    /// Reads the stored word.
    ///
    /// # Errors
    /// [`UnknownState`] for a word that no version of Tokenry wrote.
    pub fn parse(text: &str) -> Result<Self, UnknownState> {
        match text {
            "open" => Ok(Self::Open),
            "ending" => Ok(Self::Ending),
            "connected" => Ok(Self::Connected),
            "declined" => Ok(Self::Declined),
            "failed" => Ok(Self::Failed),
            other => Err(UnknownState(other.to_owned())),
        }
    }
}

/// A connect link.
#[derive(Debug, Clone)]
pub struct Link {
    /// How it is found.
    pub id: LinkId,
    /// Who made it, and will own the connection.
    pub user_id: UserId,
    /// The session epoch of its owner when it was made: it ends with their sessions.
    pub session_epoch: i64,
    /// The services that can be connected; none: every one of the catalogue.
    pub services: Vec<ProviderId>,
    /// Where the person is sent in the end, as the operator allows.
    pub return_to: Option<String>,
    /// The origin whose page opens it in a window of its own, and is told how it ended.
    pub origin: Option<String>,
    /// How far it has come.
    pub stage: LinkStage,
    /// The SHA-256 of the cookie of the browser that has it.
    pub browser_hash: Option<[u8; 32]>,
    /// What the page that opened it knows its own window by.
    pub nonce: Option<String>,
    /// The service that was tried last.
    pub service: Option<ProviderId>,
    /// The connection that came of it.
    pub connection: Option<ConnectionId>,
    /// Until when a connect can be begun with it.
    pub expires_at: Timestamp,
    /// Until when a connect that was begun with it can come to its end.
    pub ends_at: Timestamp,
}
