#![doc = include_str!("../README.md")]

pub mod config;
pub mod demo;
mod key_command;
pub mod logging;
pub mod master_key;
mod own_files;
pub mod providers;
pub mod server;
pub mod start_up;
pub mod texts;
