//! Connect links over HTTP, on both databases: who gets one, what spends it, where it leads, and what other sites may ask.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a failed step is a failed test, also in its helpers"
)]

mod api;
mod binding;
mod brought;
mod ends;
mod kept;
mod origins;
mod replicas;
mod world;
