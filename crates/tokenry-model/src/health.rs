//! How a provider is doing, as far as Tokenry can tell.

use crate::Timestamp;

/// A provider that refuses everybody, or this server itself: nobody's connection is to blame, and it is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    /// What was seen, in words for the operator. Holds no secret.
    pub reason: String,
    /// Since when.
    pub opened_at: Timestamp,
    /// When one refresh is let through, to see whether it is over.
    pub until: Timestamp,
    /// How often that was tried in vain.
    pub tries: u32,
}

/// How a provider is doing, over all processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// The provider asked to be left alone until then (`Retry-After`).
    pub paused_until: Option<Timestamp>,
    /// Open while the provider refuses everybody.
    pub circuit: Option<Circuit>,
    /// What is wrong with this server's own registration there, and since when: for the operator to mend.
    pub fault: Option<(String, Timestamp)>,
}
