//! Every row of the contract over HTTP, against the running app. A module per resource, filed by URL.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a failed step is a failed test")]

mod auth;
mod openapi;
mod operations;
mod operator;
mod pages;
mod request_ids;
mod signing_in;
mod support;
mod sweep;
mod user;
mod users;
