//! Says to Cargo that a new migration is a reason to build again: the embedding macro sees changed files, not new ones.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to Cargo")]

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
