//! How many wrong passwords are too many.
//!
//! A limit must slow a guesser and must not let them lock a person out. So failures are counted four ways, and what the
//! person has and the guesser has not (a token once issued to them, an address they have logged in from) frees
//! them from the counts that a guesser can drive up:
//!
//! | counted by | limit | who is freed from it |
//! |---|---|---|
//! | device: a token we once issued to this user, sent along; its renewals count with it | 10 | – |
//! | username and address | 10 | a known device |
//! | address | 50 | a known device |
//! | username, over all addresses | 100 | a known device, a known address |
//!
//! A window is 15 minutes. An IPv6 address counts by its /64. A name nobody has is counted like any other.

use std::net::IpAddr;
use std::time::Duration;

use tokenry_model::{Timestamp, UserId, Username};
use tokenry_store::Bucket;

use crate::boot::Broker;
use crate::error::BrokerError;
use crate::sessions::Claims;

pub(crate) const WINDOW: Duration = Duration::from_mins(15);
const PER_DEVICE: i64 = 10;
const PER_NAME_AND_ADDRESS: i64 = 10;
const PER_ADDRESS: i64 = 50;
const PER_NAME: i64 = 100;
/// A known address is written down again only after this long: a program that logs in every minute costs no writes.
const REMEMBER_EVERY: Duration = Duration::from_hours(24);

/// One try to log in.
pub(crate) struct Attempt {
    buckets: Vec<Bucket>,
    own: Bucket,
    own_failures: i64,
    address: [u8; 32],
    address_seen: Option<Timestamp>,
}

impl Broker {
    /// Looks up whether this try may go ahead. Must be called, and the outcome recorded, while the turn at
    /// hashing is held: then no more tries slip through than there are turns.
    pub(crate) async fn begin_attempt(
        &self,
        username: &Username,
        user: Option<UserId>,
        address: IpAddr,
        device: Option<&Claims>,
        now: Timestamp,
    ) -> Result<Attempt, BrokerError> {
        let name = username.folded();
        let address = network(address);
        let bucket =
            |purpose: &str, parts: &[&str]| self.vault.fingerprint(purpose, parts.join("\0").as_bytes());
        let by_address = bucket("login address", &[&address]);
        // Nobody has the id 0: a name that is not there costs the same look-up.
        let of = user.unwrap_or(UserId::new(0));
        let address_seen = self.store.find_known_address(of, &by_address).await?;

        let mut checks = Vec::with_capacity(3);
        if let Some(claims) = device {
            checks.push((bucket("login device", &[&name, &claims.device]), PER_DEVICE));
        } else {
            checks.push((bucket("login name and address", &[&name, &address]), PER_NAME_AND_ADDRESS));
            checks.push((by_address, PER_ADDRESS));
            if address_seen.is_none() {
                checks.push((bucket("login name", &[&name]), PER_NAME));
            }
        }
        let mut own_failures = 0;
        for (index, (bucket, limit)) in checks.iter().enumerate() {
            let Some((failures, since)) = self.store.find_login_failures(bucket).await? else { continue };
            let ends = since.plus(WINDOW);
            // A window that has not begun was counted while the clock was wrong.
            if ends <= now || since > now {
                continue;
            }
            if failures >= *limit {
                self.metrics.logged_in("throttled");
                return Err(BrokerError::TooManyAttempts { retry_after: ends.since(now) });
            }
            if index == 0 {
                own_failures = failures;
            }
        }
        let own = checks[0].0;
        let buckets = checks.into_iter().map(|(bucket, _)| bucket).collect();
        Ok(Attempt { buckets, own, own_failures, address: by_address, address_seen })
    }

    /// The password was wrong.
    pub(crate) async fn attempt_failed(&self, attempt: &Attempt, now: Timestamp) -> Result<(), BrokerError> {
        self.metrics.logged_in("refused");
        Ok(self.store.insert_login_failures(&attempt.buckets, WINDOW, now).await?)
    }

    /// The password was right. Only the person's own count is forgotten: the others are not theirs alone.
    pub(crate) async fn attempt_succeeded(
        &self,
        attempt: &Attempt,
        user: UserId,
        now: Timestamp,
    ) -> Result<(), BrokerError> {
        self.metrics.logged_in("ok");
        if attempt.own_failures > 0 {
            self.store.delete_login_failures(&attempt.own).await?;
        }
        if attempt.address_seen.is_none_or(|seen| seen.plus(REMEMBER_EVERY) <= now) {
            self.store.insert_known_address(user, &attempt.address, now).await?;
        }
        Ok(())
    }
}

/// What counts as one address: all of an IPv4 address, the first half of an IPv6 one (a household has a /64).
pub(crate) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
