#![doc = include_str!("../README.md")]

pub mod browser;
pub mod oidc_provider;
