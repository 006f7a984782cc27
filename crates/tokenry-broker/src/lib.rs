#![doc = include_str!("../README.md")]

mod accounts;
mod background;
mod boot;
mod connect;
mod connections;
mod crash;
mod error;
mod grants;
mod metrics;
mod passwords;
mod refresh;
mod refusals;
mod renewals;
mod revoke;
mod schedule;
mod sessions;
mod spool;
mod throttle;

pub use boot::{Broker, BrokerParts, OpenError, Settings, check_master_key};
pub use connect::{Callback, CallbackOutcome, Claimant, ConnectError, ConnectLink, Connected, ParkedConnect};
pub use connections::{AddConnection, ConnectionView};
pub use error::BrokerError;
pub use metrics::Metrics;
pub use refresh::HandedOut;
pub use sessions::Claims;
