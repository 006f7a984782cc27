#![doc = include_str!("../README.md")]

mod accounts;
mod audit;
mod background;
mod boot;
mod browsers;
mod calls;
mod connect;
mod connections;
mod crash;
mod deletes;
mod details;
mod devices;
mod error;
mod fields;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod grants;
mod hours;
mod import;
mod key_admin;
mod keys;
mod links;
mod metrics;
mod offers;
mod overview;
mod passwords;
mod pauses;
mod portable;
mod problem;
mod refresh;
mod refusals;
mod renewals;
mod revoke;
mod roles;
mod schedule;
mod services;
mod sessions;
mod signing;
mod spool;
mod throttle;
mod upkeep;

pub use audit::{AuditFault, AuditFilter, AuditLine, AuditPage, AuditReport};
pub use boot::{Broker, BrokerParts, OpenError, Quotas, Settings, check_master_key};
pub use browsers::BrowserSession;
pub use calls::{CallToken, Carrier};
pub use connect::{
    AuthorizeConnection, AuthorizeNew, Callback, CallbackOutcome, Claimant, Completed, ConnectError,
    ConnectLink, Connected, ParkedConnect,
};
pub use connections::{AddConnection, ConnectionView};
pub use deletes::{Leaving, UNDO_FOR};
pub use details::{ConnectionDetail, ConnectionFilter};
pub use devices::{BeginDevice, DeviceBegun, DeviceProgress, DeviceStatus};
pub use error::BrokerError;
pub use import::{Expiry, Given, Imported, NewImport};
pub use key_admin::{KeyAdmin, KeyError, KeyStatus};
pub use links::{
    Embedding, LinkAsk, LinkEnd, LinkError, LinkPage, LinkService, LinkStatus, LinkVisit, MadeLink, NewLink,
    Opener, ReturnPlace, Visitor, WebOrigin,
};
pub use metrics::Metrics;
pub use offers::{Offer, ScopeOffer, SettingOffer, Way};
pub use overview::{EventFilter, EventsPage, HourOverview, Overview, ProviderOverview};
pub use portable::{ExportSecret, ExportWanted, Exported, ImportedFile, OwnExport, PortableError};
pub use problem::Problem;
pub use refresh::HandedOut;
pub use roles::{Person, SetupLink};
pub use services::{Configured, ConfiguredBy, ConfiguredValue, ServiceDetail, ServiceLine, SetClient, SetUp};
pub use sessions::Claims;
pub use tokenry_oauth::{Kind, ProbeOutcome, Readiness, ServiceCheck, Verdict};
