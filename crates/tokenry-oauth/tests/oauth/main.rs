//! The room against real sockets: every server here is a small one on loopback that the test itself made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod authorize;
mod catalogue;
mod discovery;
mod endless;
mod fake;
mod identity;
mod outbound;
mod provider_files;
mod refusals;
mod revoke;
mod tokens;
