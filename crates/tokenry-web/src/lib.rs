#![doc = include_str!("../README.md")]

mod accounts;
mod address;
mod admission;
mod audit;
mod begin;
mod browser;
mod calls;
mod connect;
mod connect_js;
mod connections;
mod cors;
mod details;
mod docs;
mod error;
mod extract;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod health;
mod imports;
mod links;
mod logos;
mod openapi;
mod pages;
mod requests;
mod router;
mod serve;

pub use openapi::openapi_json;
pub use pages::{LiveTexts, TextFile, Texts, TextsError, Who, english_texts, page_routes};
pub use router::{WebParts, router};
pub use serve::{Limits, Lines, serve};
