//! Randomness as an argument.

use std::fmt;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct EntropyError;

/// A source of random bytes fit for keys, nonces and states.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `dest` with random bytes.
    ///
    /// # Errors
    /// [`EntropyError`] when there are none to be had; nothing may be made from `dest` then.
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError>;
}
