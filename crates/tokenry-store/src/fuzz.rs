//! What the fuzz targets see of this crate.
#![allow(missing_docs, reason = "nobody else sees it")]

use std::io;

use crate::Spooled;
use crate::spool::{read_bytes, to_bytes};

pub fn read_spooled(bytes: &[u8]) -> Result<Spooled, String> {
    read_bytes(bytes)
}

/// # Errors
/// Never, but for what the serialiser may say.
pub fn write_spooled(spooled: &Spooled) -> io::Result<Vec<u8>> {
    to_bytes(spooled)
}
