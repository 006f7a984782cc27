//! The binary as an operator runs it: a process of its own, a directory of its own, spoken to over HTTP and signals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "in a test a failed step is a failed test"
)]

mod audit;
mod backup;
mod commands;
mod demo;
mod keys;
mod kill;
mod leaks;
mod log_lines;
mod master_key;
mod migrate;
mod operator;
mod portable;
mod process;
mod provider;
mod provider_command;
mod provider_files;
mod replicas;
mod server;
mod start;
mod stop;
mod texts;
mod trip;
mod walk;
