#![doc = include_str!("../README.md")]

pub mod app;
pub mod browser;
pub mod clock;
pub mod oidc_provider;
