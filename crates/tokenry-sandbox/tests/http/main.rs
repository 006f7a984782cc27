//! The sandbox as a client meets it: over real HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails the test")]

mod authorize;
mod control;
mod faults;
mod fixture;
mod refresh;
mod token;
mod trip;
