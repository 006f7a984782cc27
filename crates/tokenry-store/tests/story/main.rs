//! The store's story, told on every database it runs on: [`fixture::stores`] lists them, and each chapter loops over
//! that list. What only one of them has is in `file.rs` (SQLite) and `postgres.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "in a test a failed step is a failed test"
)]

mod audit;
mod backup;
mod browser_sessions;
mod coming;
mod connections;
mod corrupt;
mod credentials;
mod deletes;
mod devices;
mod file;
mod fixture;
mod flows;
mod handover;
mod health;
mod keys;
mod links;
mod logins;
mod moving;
mod overview;
mod postgres;
mod processes;
mod quotas;
mod refresh_hours;
mod renewals;
mod revocations;
mod rotation;
mod schema;
mod service_clients;
mod setup;
mod users;
