#![doc = include_str!("../README.md")]

mod accounts;
mod background;
mod boot;
mod calls;
mod connect;
mod connections;
mod crash;
mod details;
mod devices;
mod error;
mod fields;
mod grants;
mod import;
mod metrics;
mod passwords;
mod portable;
mod refresh;
mod refusals;
mod renewals;
mod revoke;
mod schedule;
mod sessions;
mod spool;
mod throttle;

pub use boot::{Broker, BrokerParts, OpenError, Settings, check_master_key};
pub use calls::{CallToken, Carrier};
pub use connect::{
    AuthorizeConnection, AuthorizeNew, Callback, CallbackOutcome, Claimant, ConnectError, ConnectLink,
    Connected, ParkedConnect,
};
pub use connections::{AddConnection, ConnectionView};
pub use details::{ConnectionDetail, ConnectionFilter};
pub use devices::{BeginDevice, DeviceBegun, DeviceProgress, DeviceStatus};
pub use error::BrokerError;
pub use import::{Expiry, Given, Imported, NewImport};
pub use metrics::Metrics;
pub use portable::{ExportSecret, ExportWanted, Exported, ImportedFile, PortableError};
pub use refresh::HandedOut;
pub use sessions::Claims;
