#![doc = include_str!("../README.md")]

mod cipher;
mod context;
mod error;
mod keys;
mod random;
mod stream;
mod vault;

pub use context::{ConnectionField, Context, FlowField};
pub use error::VaultError;
pub use keys::{KeyId, MasterKey, WrappedKey};
pub use random::SystemRandom;
pub use stream::StreamKey;
pub use vault::Vault;
