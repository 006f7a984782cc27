#![doc = include_str!("../README.md")]

mod accounts;
mod address;
mod browser;
mod connect;
mod connections;
mod docs;
mod error;
mod extract;
mod health;
mod openapi;
mod pages;
mod requests;
mod router;

pub use openapi::openapi_json;
pub use router::{WebParts, router};
