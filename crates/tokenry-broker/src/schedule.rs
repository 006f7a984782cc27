//! When what ends, and when the background does something about it.

use std::time::Duration;

use tokenry_model::{Deadlines, EntropyError, Random, Timestamp};
use tokenry_oauth::{CountedFrom, Provider, RotationMode, TokenSet};

/// How long before an access token is due the background may begin to ask for the next: time enough for ten thousand at a
/// provider that bears few at once, or for one that is away for a while. At most a third of the token's life.
const AHEAD: Duration = Duration::from_mins(10);

/// What a token answer means for the deadlines of a connection.
pub(crate) struct Renewal<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) tokens: &'a TokenSet,
    /// Whether there is something to ask for the next access token with.
    pub(crate) renewable: bool,
    /// When a person consented.
    pub(crate) consented_at: Timestamp,
    /// The deadlines so far, when a refresh goes on with the grant it had.
    pub(crate) before: Option<Deadlines>,
    pub(crate) now: Timestamp,
}

impl Renewal<'_> {
    /// The deadlines from now on, spread so that connections made together are not renewed together.
    pub(crate) fn deadlines(&self, random: &dyn Random) -> Result<Deadlines, EntropyError> {
        let now = self.now;
        let life = self.provider.lifetime(self.tokens);
        let expires_at = life.map(|life| now.plus(life.expires_in));
        let mut times = Deadlines {
            expires_at,
            due_at: life.map(|life| now.plus(life.expires_in.saturating_sub(life.leeway))),
            ..Deadlines::default()
        };
        if !self.renewable {
            // Nothing puts this end off but a person.
            times.ends_at = expires_at;
            return Ok(times);
        }
        if let Some(life) = life {
            let ahead = spread(AHEAD.min(life.expires_in / 3), random)?;
            let soonest = now.plus(self.provider.min_refresh_age());
            times.renew_at = times.due_at.map(|due| due.minus(ahead).max(soonest));
        }
        times.ends_at = self.absolute_end();
        if let Some(idle) = self.idle_life() {
            times.idle_ends_at = Some(now.plus(idle));
            let kept = idle.saturating_sub(spread(idle / 5, random)?);
            times.keep_at = Some(now.plus(kept.max(self.provider.min_refresh_age())));
        }
        Ok(times)
    }

    /// When the grant dies, used or not.
    fn absolute_end(&self) -> Option<Timestamp> {
        let rotation = self.provider.rotation();
        let by_data = rotation.absolute_ttl_s.map(Duration::from_secs).and_then(|ttl| {
            match rotation.absolute_ttl_from {
                CountedFrom::Consent => Some(self.consented_at.plus(ttl)),
                // The old refresh token goes on when none came, and so does its end.
                CountedFrom::Issue if self.tokens.refresh_token.is_some() || self.before.is_none() => {
                    Some(self.now.plus(ttl))
                }
                CountedFrom::Issue => self.before.and_then(|before| before.ends_at),
            }
        });
        // A refresh token that is never replaced ends when it said it would.
        let by_answer = (rotation.mode == RotationMode::Keep)
            .then(|| match (self.tokens.refresh_expires_in, self.before) {
                (Some(life), _) => Some(self.now.plus(life)),
                (None, before) => before.and_then(|before| before.ends_at),
            })
            .flatten();
        by_data.into_iter().chain(by_answer).min()
    }

    /// How long the refresh token lives if nobody uses it.
    fn idle_life(&self) -> Option<Duration> {
        let rotation = self.provider.rotation();
        let by_answer = self.tokens.refresh_expires_in.filter(|_| rotation.mode != RotationMode::Keep);
        rotation.idle_ttl_s.map(Duration::from_secs).into_iter().chain(by_answer).min()
    }
}

/// What was computed for a grant without a refresh token, when the connection's own is still good and goes on.
pub(crate) fn with_kept_refresh(times: Deadlines, before: Deadlines) -> Deadlines {
    Deadlines {
        renew_at: times.due_at,
        keep_at: before.keep_at,
        ends_at: before.ends_at,
        idle_ends_at: before.idle_ends_at,
        ..times
    }
}

/// Between half of `most` and all of it, by chance.
pub(crate) fn spread(most: Duration, random: &dyn Random) -> Result<Duration, EntropyError> {
    let mut bytes = [0; 4];
    random.fill(&mut bytes)?;
    let share = f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX);
    Ok(most.mul_f64(0.5 + share / 2.0))
}

/// How long to wait after so many failures in a row: one more is twice as long, from `first` to `last`, spread.
pub(crate) fn pause_after(
    failures: u32,
    first: Duration,
    last: Duration,
    random: &dyn Random,
) -> Result<Duration, EntropyError> {
    let doublings = failures.saturating_sub(1).min(16);
    spread(first.saturating_mul(1 << doublings).min(last), random)
}
