//! What is yet to become due, hour by hour: as quick with a million connections as with a thousand.

use std::collections::BTreeMap;
use std::time::Duration;

use tokenry_model::{ProviderId, Timestamp};

use crate::database::{Store, on};
use crate::error::StoreError;

/// An hour is looked at in so many parts, so that an estimate follows what comes in waves.
const PARTS: u32 = 4;
const PART: Duration = Duration::from_mins(15);
/// What was looked at is taken to lie over so much time at least: what lies closer together is a heap, and no measure for the
/// rest of the part.
const LEAST: Duration = Duration::from_secs(9);

/// How many connections of a provider become due within an hour that is yet to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coming {
    /// The provider.
    pub provider: ProviderId,
    /// Which hour from now on: the next one is 0.
    pub hour: u32,
    /// How many.
    pub count: i64,
    /// Whether there were too many to look at all of them: then the rest of a quarter of the hour is taken to go on as it began.
    pub is_estimate: bool,
}

/// What was looked at of a part: the provider, how many of its rows count, how many were looked at, and where the first and
/// the last of them lie.
type Looked = (String, i64, i64, i64, i64);

impl Store {
    /// How many connections become due within each of the next `hours` hours, by provider, as [`Store::list_due`] will count
    /// them; which those are that nobody reads is judged by who has read since `read_since`. Each is counted once: by its
    /// access token, if that and its refresh token are both to be renewed by then. Looks at the `most` soonest rows of each
    /// quarter of an hour, and makes an estimate of it where there are more.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_coming(
        &self,
        now: Timestamp,
        read_since: Timestamp,
        hours: u32,
        most: i64,
    ) -> Result<Vec<Coming>, StoreError> {
        // Each walks an index of its own, from where its time begins, and no further than it has to.
        let to_renew = "SELECT provider, COUNT(CASE WHEN delete_at IS NULL AND (last_used_at >= $4 \
                        OR COALESCE(connected_at, created_at) >= $4) THEN 1 END), COUNT(*), MIN(renew_at), MAX(renew_at) \
                        FROM (SELECT provider, renew_at, delete_at, last_used_at, connected_at, created_at FROM connections \
                        WHERE deleted_at IS NULL AND renew_at > $1 AND renew_at <= $2 ORDER BY renew_at LIMIT $3) AS soonest \
                        GROUP BY provider";
        let to_keep = "SELECT provider, COUNT(CASE WHEN delete_at IS NULL AND NOT (renew_at IS NOT NULL AND renew_at <= $5 \
                       AND ((last_used_at IS NOT NULL AND last_used_at >= $4) OR COALESCE(connected_at, created_at) >= $4)) \
                       THEN 1 END), COUNT(*), MIN(keep_at), MAX(keep_at) \
                       FROM (SELECT provider, keep_at, renew_at, delete_at, last_used_at, connected_at, created_at \
                       FROM connections WHERE deleted_at IS NULL AND keep_at > $1 AND keep_at <= $2 \
                       ORDER BY keep_at LIMIT $3) AS soonest GROUP BY provider";
        let until = now.plus(PART * PARTS * hours);
        let mut found: BTreeMap<(u32, String), (i64, bool)> = BTreeMap::new();
        for part in 0..hours * PARTS {
            let (from, to) = (now.plus(PART * part), now.plus(PART * (part + 1)));
            let renewed: Vec<Looked> = on!(self, read, |pool| sqlx::query_as(to_renew)
                .bind(from.micros())
                .bind(to.micros())
                .bind(most)
                .bind(read_since.micros())
                .fetch_all(pool)
                .await)?;
            let kept: Vec<Looked> = on!(self, read, |pool| sqlx::query_as(to_keep)
                .bind(from.micros())
                .bind(to.micros())
                .bind(most)
                .bind(read_since.micros())
                .bind(until.micros())
                .fetch_all(pool)
                .await)?;
            for looked in [renewed, kept] {
                for (provider, count, is_estimate) in whole_part(looked, to, most) {
                    let sum = found.entry((part / PARTS, provider)).or_default();
                    *sum = (sum.0.saturating_add(count), sum.1 || is_estimate);
                }
            }
        }
        let read = |((hour, provider), (count, is_estimate)): ((u32, String), (i64, bool))| {
            let id = ProviderId::parse(&provider)
                .map_err(|e| StoreError::corrupt("connections of", &provider, e))?;
            Ok(Coming { provider: id, hour, count, is_estimate })
        };
        found.into_iter().filter(|(_, (count, _))| *count > 0).map(read).collect()
    }
}

/// What the rows that were looked at say of a part that ends at `to`: that they are all, or how it goes on.
fn whole_part(looked: Vec<Looked>, to: Timestamp, most: i64) -> Vec<(String, i64, bool)> {
    let all: i64 = looked.iter().map(|(_, _, all, ..)| all).sum();
    let first = looked.iter().map(|(.., first, _)| *first).min().unwrap_or_default();
    let last = looked.iter().map(|(.., last)| *last).max().unwrap_or_default();
    let is_estimate = all >= most;
    let seen = i128::from(last.saturating_sub(first)).max(LEAST.as_micros().cast_signed());
    let rest = if is_estimate { i128::from(to.micros().saturating_sub(last)) } else { 0 };
    let whole = |count: i64| i64::try_from(i128::from(count) * (seen + rest) / seen).unwrap_or(i64::MAX);
    looked.into_iter().map(|(provider, count, ..)| (provider, whole(count), is_estimate)).collect()
}
