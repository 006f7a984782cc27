//! The sandbox as a client meets it: over real HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails the test")]

mod api;
mod authorize;
mod client_jwt;
mod control;
mod device;
mod faults;
mod fixture;
mod load;
mod oauth1;
mod odd_answers;
mod odd_authorize;
mod odd_refresh;
mod odd_requests;
mod odd_revoke;
mod refresh;
mod tenants;
mod token;
mod trip;
