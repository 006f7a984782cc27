//! The command line.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]

mod cli;
mod portable_command;
mod provider_command;
mod store_command;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli::run(cli) {
        Ok(code) => code,
        Err(error) => {
            // The chain reads as one sentence: what could not be done, and why.
            eprintln!("tokenry: {error:#}");
            ExitCode::FAILURE
        }
    }
}
