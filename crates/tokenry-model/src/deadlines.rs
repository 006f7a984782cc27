//! When a credential and its parts end, and when something is done about it.

use crate::Timestamp;

/// When a credential and its parts end, and when something is done about it. `None`: never, or nobody said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// When the access token dies.
    pub expires_at: Option<Timestamp>,
    /// From when on a reader asks for a new one: a little before it dies.
    pub due_at: Option<Timestamp>,
    /// From when on the background asks for a new one, if somebody reads the connection: before it is due.
    pub renew_at: Option<Timestamp>,
    /// From when on the background asks for a new one, read or not, so that an idle refresh token does not die.
    pub keep_at: Option<Timestamp>,
    /// When the grant dies, used or not.
    pub ends_at: Option<Timestamp>,
    /// When the refresh token dies if it is not used.
    pub idle_ends_at: Option<Timestamp>,
}

impl Deadlines {
    /// When a person has to connect again if nothing happens meanwhile.
    pub fn reconnect_by(&self) -> Option<Timestamp> {
        self.ends_at.into_iter().chain(self.idle_ends_at).min()
    }

    /// As microseconds, in the order of the fields: to be written down.
    pub fn to_micros(self) -> [Option<i64>; 6] {
        [self.expires_at, self.due_at, self.renew_at, self.keep_at, self.ends_at, self.idle_ends_at]
            .map(|at| at.map(Timestamp::micros))
    }

    /// Reads what [`Deadlines::to_micros`] gave.
    pub fn from_micros(micros: [Option<i64>; 6]) -> Self {
        let [expires_at, due_at, renew_at, keep_at, ends_at, idle_ends_at] =
            micros.map(|at| at.map(Timestamp::from_micros));
        Self { expires_at, due_at, renew_at, keep_at, ends_at, idle_ends_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_survive_being_written_down_and_the_nearest_end_counts() {
        let at = |micros| Some(Timestamp::from_micros(micros));
        let all = Deadlines {
            expires_at: at(1),
            due_at: at(2),
            renew_at: at(3),
            keep_at: at(4),
            ends_at: at(6),
            idle_ends_at: at(5),
        };
        assert_eq!(Deadlines::from_micros(all.to_micros()), all);
        assert_eq!(all.reconnect_by(), at(5));
        assert_eq!(Deadlines { idle_ends_at: None, ..all }.reconnect_by(), at(6));
        assert_eq!(Deadlines::default().reconnect_by(), None);
    }
}
