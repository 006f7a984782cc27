#![doc = include_str!("../README.md")]

mod commits;
mod connections;
mod credentials;
mod database;
mod devices;
mod error;
mod flows;
mod health;
mod keys;
mod leases;
mod listing;
mod logins;
mod postgres;
mod quotas;
mod reads;
mod renewals;
mod revocations;
mod spool;
mod sqlite;
mod users;

pub use connections::{NewConnection, NewCredential, Owned, OwnedList, SealedCredential};
pub use database::{Pool, Store};
pub use devices::DeviceFlow;
pub use error::StoreError;
pub use flows::{FlowClaim, NewFlow, Parked};
pub use keys::{StoredKey, StoredSigningKey};
pub use listing::Wanted;
pub use logins::Bucket;
pub use reads::Ready;
pub use renewals::{Due, Ending, Failed};
pub use revocations::{NewRevocation, Revocation};
pub use spool::{Spool, Spooled};
pub use users::{Login, NewUser};
