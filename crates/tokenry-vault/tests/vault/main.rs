//! What the vault promises, tried from outside.
#![allow(clippy::unwrap_used, reason = "helpers of tests: a broken assumption should stop the test")]

mod master_key;
mod ring;
mod rotation;
mod seal;
mod silence;
mod vectors;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokenry_model::{ConnectionId, EntropyError, ExposeSecret, Random, Sealed, StateHash, UserId};
use tokenry_vault::{
    ConnectionField, Context, FlowField, KeyId, MasterKey, SystemRandom, Vault, VaultError, WrappedKey,
};

/// Not random at all: counts 0, 1, 2, …, so that sealed bytes come out the same each time.
#[derive(Debug, Default)]
struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        dest.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// A system without random bytes.
#[derive(Debug)]
struct Dry;

impl Random for Dry {
    fn fill(&self, _dest: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

/// A place bytes can be sealed for, without borrows.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Connection(i64, i64, ConnectionField),
    Flow(i64, StateHash, FlowField),
    SigningKey(i64),
    Installation(String),
    Client(String),
}

impl Place {
    fn context(&self) -> Context<'_> {
        match self {
            Self::Connection(user, connection, field) => Context::Connection {
                user: UserId::new(*user),
                connection: ConnectionId::new(*connection),
                field: *field,
            },
            Self::Flow(user, state, field) => {
                Context::Flow { user: UserId::new(*user), state, field: *field }
            }
            Self::SigningKey(id) => Context::SigningKey { id: *id },
            Self::Installation(name) => Context::Installation { name },
            Self::Client(provider) => Context::Client { provider },
        }
    }
}

fn key_id(id: u32) -> KeyId {
    KeyId::new(id).unwrap()
}

fn master() -> MasterKey {
    MasterKey::generate(&SystemRandom).unwrap()
}

fn new_key(master: &MasterKey, id: u32) -> WrappedKey {
    Vault::make_key(master, key_id(id), &SystemRandom).unwrap()
}

fn unlock(master: &MasterKey, ring: &[WrappedKey], current: u32) -> Result<Vault, VaultError> {
    Vault::unlock(master, ring, key_id(current), Arc::new(SystemRandom))
}

/// A vault with one fresh key.
fn vault() -> Vault {
    let master = master();
    unlock(&master, &[new_key(&master, 1)], 1).unwrap()
}

/// Opens, and lets the test look at what was inside.
fn opened(vault: &Vault, place: &Place, sealed: &Sealed) -> Result<Vec<u8>, VaultError> {
    vault.open(&place.context(), sealed).map(|plain| plain.expose_secret().to_vec())
}

/// A copy of `sealed` with one bit changed, counted from the first byte's lowest.
fn with_bit_changed(sealed: &[u8], bit: usize) -> Vec<u8> {
    let mut changed = sealed.to_vec();
    changed[bit / 8] ^= 1 << (bit % 8);
    changed
}
