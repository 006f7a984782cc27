//! The random bytes of a real run.

use aws_lc_rs::rand;
use tokenry_model::{EntropyError, Random};

/// The generator of aws-lc, seeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        rand::fill(dest).map_err(|_| EntropyError)
    }
}
