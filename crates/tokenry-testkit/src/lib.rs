#![doc = include_str!("../README.md")]

pub mod app;
pub mod better_auth;
pub mod browser;
pub mod clock;
pub mod django_oauth;
pub mod oidc_provider;
mod packages;
pub mod pages;
pub mod schemathesis;
mod server_process;
