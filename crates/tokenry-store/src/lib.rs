#![doc = include_str!("../README.md")]

mod connections;
mod database;
mod error;
mod flows;
mod keys;
mod leases;
mod logins;
mod revocations;
mod spool;
mod users;

pub use connections::{NewConnection, NewCredential, Owned, OwnedList, SealedCredential};
pub use database::Store;
pub use error::StoreError;
pub use flows::{FlowClaim, NewFlow, Parked};
pub use keys::{StoredKey, StoredSigningKey};
pub use logins::Bucket;
pub use revocations::Revocation;
pub use spool::{Spool, Spooled};
pub use users::{Login, NewUser};
