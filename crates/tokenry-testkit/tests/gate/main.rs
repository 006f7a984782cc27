//! A page that is asked for by somebody who may not see it gives nothing away, and a form that is not theirs changes
//! nothing. Tried for every entry of the table of page routes: `table.rs` has a row for each, and a test compares the two.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a failed step is a failed test")]

mod dump;
mod refused;
mod scene;
mod table;
