#![doc = include_str!("../README.md")]

mod audit;
mod backup;
mod browser_sessions;
mod commits;
mod connections;
mod credentials;
mod database;
mod deletes;
mod devices;
mod error;
mod flows;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod handover;
mod health;
mod installation;
mod keys;
mod leases;
mod links;
mod listing;
mod logins;
mod moving;
mod postgres;
mod quotas;
mod reads;
mod renewals;
mod reseal;
mod revocations;
mod rotation;
mod signing_keys;
mod spool;
mod sqlite;
mod users;

pub use audit::{AuditHead, AuditRow, AuditWanted};
pub use backup::{BackedUp, back_up, check_backup, unpack_backup};
pub use browser_sessions::{BrowserSession, NewBrowserSession};
pub use connections::{NewConnection, NewCredential, Owned, OwnedList, SealedCredential};
pub use database::{Pool, Store};
pub use devices::DeviceFlow;
pub use error::StoreError;
pub use flows::{FlowClaim, NewFlow, Parked};
pub use handover::{Brought, Exportable};
pub use keys::{StoredKey, StoredSigningKey};
pub use listing::{Listed, ListedTokens, Wanted};
pub use logins::Bucket;
pub use moving::{Described, MovedStore, describe, move_store, take_back_store};
pub use reads::Ready;
pub use renewals::{Due, Ending, Failed};
pub use reseal::{SealedCount, SealedPlace, SealedValue};
pub use revocations::{NewRevocation, Revocation};
pub use rotation::{KeyHold, KeyRow, RetiredKey};
pub use signing_keys::SigningKeyRow;
pub use spool::{Spool, Spooled};
pub use users::{Login, NewUser};
