#![doc = include_str!("../README.md")]

mod audit;
mod connection;
mod deadlines;
mod flow;
mod health;
mod ids;
mod link;
mod random;
mod scopes;
mod time;
mod user;

pub use audit::{Action, Actor, AuditEntry, AuditOutcome, Origin};
pub use connection::{
    Account, Connection, ConnectionName, ConnectionState, CredentialKind, InvalidName, RefreshIntent, Sealed,
    UnknownState, Values, WARN_AHEAD,
};
pub use deadlines::Deadlines;
pub use flow::{Flow, FlowKind, FlowStage, StateHash};
pub use health::{Circuit, Health};
pub use ids::{ConnectionId, InvalidId, InvalidProviderId, ProviderId, UserId};
pub use link::{Link, LinkId, LinkStage};
pub use random::{EntropyError, Random};
pub use scopes::Scopes;
pub use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
pub use user::{Email, InvalidEmail, InvalidPassword, InvalidUsername, User, Username, check_password};
