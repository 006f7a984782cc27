//! The audit log: each act has its row, nothing can be changed in it unseen, and a read that cannot be written down is not
//! made. On both databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "in a test a failed step is a failed test"
)]

mod acts;
mod api;
mod chain;
mod queue;
mod support;
