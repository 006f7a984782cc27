#![doc = include_str!("../README.md")]

mod backup;
mod connections;
mod credentials;
mod database;
mod devices;
mod error;
mod flows;
mod handover;
mod health;
mod installation;
mod keys;
mod leases;
mod listing;
mod logins;
mod moving;
mod postgres;
mod renewals;
mod revocations;
mod spool;
mod sqlite;
mod users;

pub use backup::{BackedUp, back_up, check_backup, unpack_backup};
pub use connections::{NewConnection, NewCredential, Owned, OwnedList, SealedCredential};
pub use database::{Pool, Store};
pub use devices::DeviceFlow;
pub use error::StoreError;
pub use flows::{FlowClaim, NewFlow, Parked};
pub use handover::{Brought, Exportable};
pub use keys::{StoredKey, StoredSigningKey};
pub use listing::Wanted;
pub use logins::Bucket;
pub use moving::{Described, MovedStore, describe, move_store, take_back_store};
pub use renewals::{Due, Ending, Failed};
pub use revocations::{NewRevocation, Revocation};
pub use spool::{Spool, Spooled};
pub use users::{Login, NewUser};
