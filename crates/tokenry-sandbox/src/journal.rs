//! Which refresh tokens were spent, when and by whom; and which of them came again.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::fresh::Key;

/// So many spent refresh tokens are remembered.
const SPENT_KEPT: usize = 50_000;
/// So many reuses are remembered.
const REUSES_KEPT: usize = 1_000;

/// A spent refresh token that was presented again. The grant is over since.
#[derive(Clone, Debug)]
pub struct Reuse {
    /// Whose grant it was.
    pub account: String,
    /// When it was spent.
    pub spent_at: Instant,
    /// Over which connection, by the caller's end of it.
    pub spent_from: SocketAddr,
    /// When it came again.
    pub at: Instant,
}

/// How an access token stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It is good for so long.
    Living {
        /// Whose it is.
        account: String,
        /// For how long yet; `None` is for ever.
        left: Option<Duration>,
    },
    /// Its time was over so long ago, and its grant goes on.
    Expired {
        /// Whose it was.
        account: String,
        /// How long ago.
        since: Duration,
    },
    /// It was given out, and its grant is over: revoked, forgotten, or ended by a reuse.
    Ended,
    /// It was never given out, or so long ago that it is forgotten.
    Unknown,
}

struct Spend {
    account: String,
    at: Instant,
    from: SocketAddr,
}

#[derive(Default)]
pub(crate) struct Journal {
    spends: HashMap<Key, Spend>,
    order: VecDeque<Key>,
    reuses: VecDeque<Reuse>,
}

impl Journal {
    pub(crate) fn spent(&mut self, token: Key, account: &str, at: Instant, from: SocketAddr) {
        if self.order.len() == SPENT_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.spends.remove(&oldest);
        }
        self.order.push_back(token);
        self.spends.insert(token, Spend { account: account.to_owned(), at, from });
    }

    pub(crate) fn came_again(&mut self, token: Key, at: Instant) {
        let Some(spend) = self.spends.get(&token) else { return };
        if self.reuses.len() == REUSES_KEPT {
            self.reuses.pop_front();
        }
        let (account, spent_at, spent_from) = (spend.account.clone(), spend.at, spend.from);
        self.reuses.push_back(Reuse { account, spent_at, spent_from, at });
    }

    pub(crate) fn reuses(&self) -> Vec<Reuse> {
        self.reuses.iter().cloned().collect()
    }
}
