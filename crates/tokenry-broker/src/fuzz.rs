//! What the fuzz targets see of this crate.
#![allow(missing_docs, reason = "nobody else sees it")]

use std::time::Duration;

use tokenry_model::{Random, SecretSlice, SecretString, Timestamp, User};

use crate::sessions::Sessions;

/// Issues and reads our own access tokens.
pub struct Tokens(Sessions);

impl Tokens {
    pub fn new(keys: &[(i64, SecretSlice<u8>)], ttl: Duration) -> Option<Self> {
        Sessions::new(keys, ttl).map(Self)
    }

    pub fn issue(&self, user: &User, now: Timestamp, random: &dyn Random) -> Option<SecretString> {
        self.0.issue(user, None, now, random).ok()
    }

    /// Whom a token that is good now was issued to.
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<String> {
        self.0.verify(token, now).ok().map(|claims| claims.username)
    }

    /// Whom a token was issued to that may have expired.
    pub fn read(&self, token: &str) -> Option<String> {
        self.0.read(token).map(|claims| claims.username)
    }
}
