#![doc = include_str!("../README.md")]

mod address;
mod answer;
mod ask;
mod authorize;
mod built_in;
mod capture;
mod catalogue;
mod check;
mod client_auth;
mod client_credentials;
#[cfg(test)]
mod client_tests;
mod data;
mod device;
#[cfg(test)]
mod device_tests;
mod discovery;
mod endpoints;
mod engine;
mod error;
mod facts;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod id_token;
mod identity;
mod issuer;
mod oauth1;
#[cfg(test)]
mod oauth1_tests;
mod operator;
mod pkce;
mod policy;
mod probe;
mod provider;
mod provider_check;
mod provider_file;
#[cfg(test)]
mod quirk_tests;
mod readiness;
#[cfg(test)]
mod rebinding_tests;
mod revoke;
mod sanitise;
mod settings;
#[cfg(test)]
mod settings_tests;
mod signing;
mod token_set;
mod wire;

pub use authorize::{Authorization, AuthorizeRequest};
pub use catalogue::{Catalogue, CatalogueError, Changes, ServiceClient};
pub use check::{ServiceCheck, Verdict};
pub use client_auth::ClientAuth;
pub use data::{Capture, CountedFrom, Kind, Rotation, RotationMode, Setting};
pub use device::{DeviceAuthorization, DevicePoll};
pub use engine::{Exchange, OAuth};
pub use error::{OAuthError, Refusal};
pub use facts::PROVIDER_SCHEMA;
pub use issuer::{InvalidIssuer, Issuer};
pub use oauth1::{Oauth1Begun, Oauth1Credential};
pub use operator::ProviderSettings;
pub use pkce::PkceVerifier;
pub use policy::OutboundPolicy;
pub use probe::{Probe, ProbeOutcome};
pub use provider::{Provider, Source};
pub use provider_file::{FileProblem, ProviderFile};
pub use readiness::Readiness;
pub use revoke::Grant;
pub use settings::{SettingError, Values};
pub use token_set::{IdClaims, Lifetime, TokenSet};
