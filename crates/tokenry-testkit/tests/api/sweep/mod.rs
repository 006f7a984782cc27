//! What holds for all routes alike, tried on each of them.

mod addresses;
mod bodies;
mod fields;
mod ids;
mod methods;
mod odd;
mod table;
mod tokens;

pub(crate) use table::ROUTES;
