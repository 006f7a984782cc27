//! Torture: clients do everything there is to do at four replicas in turn, while replicas are killed, the database is killed,
//! and the provider fails. A model of what was acknowledged checks every answer:
//!
//! - what was acknowledged is there, for the very next request, at whichever replica;
//! - what was deleted, logged out or replaced is never seen again;
//! - every token that is handed out is good at the provider;
//! - no refresh token is spent twice, but where its process was killed before the provider's answer was on disk. The
//!   provider's own journal says who spent it, and when. That connection says so, and no other is lost.
//!
//! `TOKENRY_TEST_SECONDS` sets how long it goes on (30 unless told), `TOKENRY_TEST_SEED` what is done by chance.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "in a test a failed step is a failed test"
)]

mod accounts;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod connecting;
mod connections;
mod counts;
mod model;
mod net;
mod outages;
mod replicas;
mod world;

use std::sync::Mutex;

/// One at a time: each is to have the machine for itself.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn four_replicas_on_one_file_lose_nothing() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    world::torture(replicas::Database::file());
}

#[test]
fn four_replicas_on_a_postgresql_that_is_killed_lose_nothing() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    world::torture(replicas::Database::postgres());
}
