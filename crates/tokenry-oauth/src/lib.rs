#![doc = include_str!("../README.md")]

mod address;
mod answer;
mod built_in;
mod catalogue;
mod client_auth;
mod data;
mod discovery;
mod engine;
mod error;
mod facts;
mod id_token;
mod identity;
mod issuer;
mod pkce;
mod policy;
mod provider;
mod provider_check;
mod provider_file;
#[cfg(test)]
mod quirk_tests;
mod readiness;
mod revoke;
mod sanitise;
mod token_set;
mod wire;

pub use catalogue::{Catalogue, CatalogueError, Changes};
pub use client_auth::ClientAuth;
pub use data::{Capture, CountedFrom, Kind, Rotation, RotationMode, Setting};
pub use engine::{Authorization, AuthorizeRequest, Exchange, OAuth};
pub use error::{OAuthError, Refusal};
pub use facts::PROVIDER_SCHEMA;
pub use issuer::{InvalidIssuer, Issuer};
pub use pkce::PkceVerifier;
pub use policy::OutboundPolicy;
pub use provider::{Provider, ProviderSettings, Source};
pub use provider_file::{FileProblem, ProviderFile};
pub use readiness::Readiness;
pub use revoke::Grant;
pub use token_set::{IdClaims, Lifetime, TokenSet};
