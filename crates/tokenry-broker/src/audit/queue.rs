//! What is to be written into the audit log, until it is. A read costs a look into a map; what repeats itself is counted.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokenry_model::{Action, Actor, AuditEntry, AuditOutcome, ConnectionId, ProviderId, Timestamp, UserId};

/// What was written once is written again at most so often; in between it is counted.
pub(crate) const REPEAT: Duration = Duration::from_mins(1);
/// So many refusals of different kinds are told apart between two flushes. Those beyond keep who and what, and lose from
/// where and about which connection: whoever tries all ids, or comes from all addresses, does not fill the log.
const REFUSALS: usize = 128;

/// What must be the same for two events to be one row with a count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) action: Action,
    pub(crate) outcome: AuditOutcome,
    pub(crate) reason: Option<&'static str>,
    pub(crate) actor: Actor,
    pub(crate) owner: Option<UserId>,
    /// The user a request named, where it is not known who that is. It is looked up when the row is written; a name that
    /// nobody has is not kept.
    pub(crate) named: Option<Box<str>>,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) address: Option<IpAddr>,
}

/// An event, or several that are alike.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) key: Key,
    pub(crate) provider: Option<ProviderId>,
    /// What the client of the first of them called itself.
    pub(crate) agent: Option<Arc<str>>,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) count: i64,
}

impl Event {
    /// As a row says it.
    pub(crate) fn to_entry(&self) -> AuditEntry {
        let key = &self.key;
        AuditEntry {
            last_at: self.last.max(self.first),
            count: self.count,
            reason: key.reason.map(Into::into),
            address: key.address.map(|address| address.to_string()),
            agent: self.agent.as_deref().map(str::to_owned),
            ..AuditEntry::new(key.actor, key.action, key.outcome, self.first).about(
                key.owner,
                key.connection,
                self.provider.as_ref(),
            )
        }
    }
}

/// There is no room for another kind of event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Events of one kind: those that wait, or none, if it was written lately.
struct Repeated {
    provider: Option<ProviderId>,
    agent: Option<Arc<str>>,
    first: Timestamp,
    last: Timestamp,
    count: i64,
}

/// What waits to be written.
pub(crate) struct Queue {
    /// How many kinds of events there is room for.
    most: usize,
    /// Acts, each of which has a row of its own.
    acts: Vec<Event>,
    repeated: HashMap<Key, Repeated>,
    /// What is written with the next flush.
    fresh: Vec<Key>,
    /// What was written, and when it is looked at again.
    written: VecDeque<(Instant, Key)>,
    refusals: usize,
    lost: i64,
    last: Option<Event>,
    /// How many acts there were.
    acted: u64,
}

/// What is written in one go.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) events: Vec<Event>,
    /// How many lost ones it tells of.
    pub(crate) lost: i64,
    /// The number of the last act that it, or an earlier one, holds.
    pub(crate) through: u64,
}

impl Queue {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            acts: Vec::new(),
            repeated: HashMap::new(),
            fresh: Vec::new(),
            written: VecDeque::new(),
            refusals: 0,
            lost: 0,
            last: None,
            acted: 0,
        }
    }

    /// Notes an act. Gives its number.
    pub(crate) fn act(&mut self, event: Event) -> u64 {
        if self.acts.len() < self.most {
            self.acts.push(event);
        } else {
            self.lost += 1;
        }
        self.acted += 1;
        self.acted
    }

    /// Notes what is written last of all, behind everything that waits.
    pub(crate) fn stop(&mut self, event: Event) {
        self.last = Some(event);
    }

    /// Notes something that may happen often.
    pub(crate) fn note(&mut self, mut event: Event) -> Result<(), Full> {
        if self.count(&event) {
            return Ok(());
        }
        if event.key.outcome != AuditOutcome::Ok {
            if self.refusals >= REFUSALS {
                event.key = Key { named: None, connection: None, address: None, ..event.key };
                (event.provider, event.agent) = (None, None);
                if self.count(&event) {
                    return Ok(());
                }
            }
            self.refusals += 1;
        }
        if self.repeated.len() >= self.most && !self.make_room() {
            return Err(Full);
        }
        let Event { key, provider, agent, first, last, count } = event;
        self.fresh.push(key.clone());
        self.repeated.insert(key, Repeated { provider, agent, first, last, count });
        Ok(())
    }

    /// Counts an event of a kind that is known.
    fn count(&mut self, event: &Event) -> bool {
        let Some(known) = self.repeated.get_mut(&event.key) else { return false };
        if known.count == 0 {
            known.first = event.first;
        }
        known.count += event.count;
        known.last = event.last;
        true
    }

    /// Forgets what was written lately and has not come again.
    fn make_room(&mut self) -> bool {
        while let Some((_, key)) = self.written.pop_front() {
            if self.repeated.get(&key).is_some_and(|known| known.count > 0) {
                self.fresh.push(key);
            } else {
                self.repeated.remove(&key);
                return true;
            }
        }
        false
    }

    /// Something went unwritten.
    pub(crate) const fn lose(&mut self) {
        self.lost += 1;
    }

    /// How much waits.
    pub(crate) fn waiting(&self) -> usize {
        self.acts.len() + self.fresh.len()
    }

    /// Takes what is to be written now, at most `limit` rows; with `all`, also what would be counted for longer.
    pub(crate) fn take(&mut self, limit: usize, now: Instant, all: bool) -> Taken {
        let mut events: Vec<Event> = self.acts.drain(..self.acts.len().min(limit)).collect();
        let through = self.acted - self.acts.len() as u64;
        self.refusals = 0;
        while events.len() < limit
            && let Some(key) = self.fresh.pop()
        {
            events.extend(self.write(key, now));
        }
        // Once around: what is put back stands behind.
        for _ in 0..self.written.len() {
            if events.len() >= limit || self.written.front().is_none_or(|(due, _)| !all && *due > now) {
                break;
            }
            let Some((due, key)) = self.written.pop_front() else { break };
            if self.repeated.get(&key).is_some_and(|known| known.count > 0) {
                events.extend(self.write(key, now));
            } else if due > now {
                self.written.push_back((due, key));
            } else {
                self.repeated.remove(&key);
            }
        }
        if events.len() < limit {
            events.extend(self.last.take());
        }
        Taken { events, lost: std::mem::take(&mut self.lost), through }
    }

    /// Takes what waits under a key. From now on it is counted for a while.
    fn write(&mut self, key: Key, now: Instant) -> Option<Event> {
        let known = self.repeated.get_mut(&key)?;
        let event = Event {
            key: key.clone(),
            provider: known.provider.clone(),
            agent: known.agent.clone(),
            first: known.first,
            last: known.last,
            count: known.count,
        };
        known.count = 0;
        self.written.push_back((now + REPEAT, key));
        (event.count > 0).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).plus(Duration::from_secs(seconds))
    }

    fn event(connection: i64, seconds: u64) -> Event {
        let user = UserId::new(1);
        Event {
            key: Key {
                action: Action::TokenRead,
                outcome: AuditOutcome::Ok,
                reason: None,
                actor: Actor::User(user),
                owner: Some(user),
                named: None,
                connection: Some(ConnectionId::new(connection)),
                address: None,
            },
            provider: None,
            agent: None,
            first: at(seconds),
            last: at(seconds),
            count: 1,
        }
    }

    fn refusal(address: u32) -> Event {
        let mut event = event(1, 0);
        event.key.outcome = AuditOutcome::Refused;
        event.key.actor = Actor::Anonymous;
        event.key.address = Some(IpAddr::V4(address.into()));
        event
    }

    fn seen(taken: &Taken) -> Vec<(i64, i64)> {
        let mut all: Vec<_> =
            taken.events.iter().map(|e| (e.key.connection.map_or(0, ConnectionId::get), e.count)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn the_first_of_a_kind_is_written_at_once_and_its_repeats_once_a_minute() {
        let (mut queue, begun) = (Queue::new(100), Instant::now());
        for second in 0..3 {
            queue.note(event(7, second)).unwrap();
        }
        let first = queue.take(10, begun, false);
        assert_eq!(seen(&first), [(7, 3)]);
        assert_eq!((first.events[0].first, first.events[0].last), (at(0), at(2)));
        for second in 10..50 {
            queue.note(event(7, second)).unwrap();
        }
        assert_eq!(seen(&queue.take(10, begun + REPEAT / 2, false)), []);
        let second = queue.take(10, begun + REPEAT, false);
        assert_eq!(seen(&second), [(7, 40)]);
        assert_eq!((second.events[0].first, second.events[0].last), (at(10), at(49)));
        // Nothing came: it is forgotten, and the next is a first one again.
        assert_eq!(seen(&queue.take(10, begun + REPEAT * 2, false)), []);
        assert!(queue.repeated.is_empty() && queue.written.is_empty());
        queue.note(event(7, 300)).unwrap();
        assert_eq!(seen(&queue.take(10, begun + REPEAT * 2, false)), [(7, 1)]);
    }

    #[test]
    fn a_stop_takes_what_would_be_counted_for_longer() {
        let (mut queue, begun) = (Queue::new(100), Instant::now());
        for connection in [1, 2] {
            queue.note(event(connection, 0)).unwrap();
        }
        queue.take(10, begun, false);
        queue.note(event(2, 1)).unwrap();
        assert_eq!(seen(&queue.take(10, begun, true)), [(2, 1)]);
        assert_eq!(seen(&queue.take(10, begun, true)), []);
    }

    #[test]
    fn what_was_written_makes_room_and_what_waits_does_not() {
        let (mut queue, begun) = (Queue::new(3), Instant::now());
        for connection in 1..=3 {
            queue.note(event(connection, 0)).unwrap();
        }
        assert_eq!(queue.note(event(4, 0)), Err(Full));
        assert_eq!(queue.note(event(3, 0)), Ok(()), "of a known kind there can be more");
        queue.take(10, begun, false);
        queue.note(event(1, 1)).unwrap();
        queue.note(event(4, 1)).unwrap();
        queue.note(event(5, 1)).unwrap();
        assert_eq!(queue.note(event(6, 1)), Err(Full));
        assert_eq!(seen(&queue.take(10, begun, false)), [(1, 1), (4, 1), (5, 1)], "the early one goes along");
    }

    #[test]
    fn more_than_fits_into_one_go_is_taken_with_the_next() {
        let (mut queue, begun) = (Queue::new(100), Instant::now());
        for connection in 1..=5 {
            queue.note(event(connection, 0)).unwrap();
        }
        let acts: Vec<u64> = (10..13).map(|connection| queue.act(event(connection, 0))).collect();
        assert_eq!(acts, [1, 2, 3]);
        let first = queue.take(2, begun, false);
        assert_eq!((seen(&first), first.through), (vec![(10, 1), (11, 1)], 2));
        let second = queue.take(4, begun, false);
        assert_eq!((second.events.len(), second.through), (4, 3));
        assert_eq!(queue.take(4, begun, false).events.len(), 2);
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn refusals_from_everywhere_become_one_and_leave_room_for_hand_outs() {
        let (mut queue, begun) = (Queue::new(10_000), Instant::now());
        for address in 0..100_000 {
            queue.note(refusal(address)).unwrap();
        }
        assert_eq!(queue.repeated.len(), REFUSALS + 1);
        let taken = queue.take(1000, begun, false);
        assert_eq!(taken.events.iter().map(|event| event.count).sum::<i64>(), 100_000);
        let rest = taken.events.iter().find(|event| event.key.address.is_none()).unwrap();
        assert_eq!(rest.count, 100_000 - i64::try_from(REFUSALS).unwrap());
    }

    #[test]
    fn what_is_lost_is_counted_and_told_once() {
        let mut queue = Queue::new(1);
        queue.act(event(1, 0));
        queue.act(event(2, 0));
        queue.lose();
        let taken = queue.take(10, Instant::now(), false);
        assert_eq!((taken.events.len(), taken.lost, taken.through), (1, 2, 2));
        assert_eq!(queue.take(10, Instant::now(), false).lost, 0);
    }
}
