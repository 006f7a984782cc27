//! The audit log: who did what with which connection, from where, and how it ended.
//!
//! A verb notes how it ended. What changes something is in the log before it is acknowledged; what only reads is parked in
//! memory and written within a second, and a hand-out that cannot be noted is not made.

mod chain;
mod queue;
mod read;
mod reasons;
mod verify;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokenry_model::{
    Action, Actor, AuditOutcome, Connection, ConnectionId, Origin, ProviderId, Timestamp, UserId,
};
use tokio::sync::Notify;

use self::chain::{Flush, Writer};
use self::queue::{Event, Full, Key, Queue};
pub use self::read::{AuditFilter, AuditLine, AuditPage};
pub(crate) use self::reasons::{reason_of, reason_of_connect};
pub use self::verify::{AuditFault, AuditReport};
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::sessions::Claims;

/// How long what was read waits at most before it is written.
const EVERY: Duration = Duration::from_secs(1);
/// How many rows may wait before they are written sooner.
const SOON: usize = 1000;
/// How long an act waits for its row. It is done by then, and its row is written as soon as it can be.
const ACT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a hand-out waits for room.
const READ_PATIENCE: Duration = Duration::from_secs(1);
/// How seldom the log says that the audit log cannot be written.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

/// What the broker keeps of the audit log.
pub(crate) struct Audit {
    queue: Mutex<Queue>,
    writer: tokio::sync::Mutex<Writer>,
    wake: Notify,
    /// Whether this process serves, and says so when it stops to.
    serves: AtomicBool,
}

impl Audit {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            queue: Mutex::new(Queue::new(most)),
            writer: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            serves: AtomicBool::new(false),
        }
    }
}

/// How an action is written down when it went well.
#[derive(PartialEq, Eq)]
enum Weight {
    /// Before it is acknowledged, in a row of its own.
    Act,
    /// Within a second, and not made if it cannot be noted.
    HandOut,
    /// Within a second, if there is room.
    Passing,
    /// Not at all: only refusals are.
    Look,
}

const fn weight(action: Action) -> Weight {
    match action {
        Action::TokenRead
        | Action::TokenList
        | Action::CallAuthorize
        | Action::CallProxy
        | Action::RenewSession => Weight::HandOut,
        Action::ConnectBegin
        | Action::ConnectPark
        | Action::ConnectAbandon
        | Action::LinkOpen
        | Action::LinkUse
        | Action::Refresh
        | Action::GrantRevoke => Weight::Passing,
        Action::View | Action::Access => Weight::Look,
        _ => Weight::Act,
    }
}

/// What there is to say of an act before it is known how it ends.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) action: Action,
    pub(crate) actor: Actor,
    pub(crate) owner: Option<UserId>,
    /// The name of the owner, where that is all that is known of them.
    pub(crate) named: Option<Box<str>>,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) provider: Option<ProviderId>,
    pub(crate) from: Origin,
}

impl Note {
    pub(crate) fn new(actor: Actor, action: Action) -> Self {
        let owner = match actor {
            Actor::User(user) => Some(user),
            _ => None,
        };
        Self { action, actor, owner, named: None, connection: None, provider: None, from: Origin::default() }
    }

    /// What the bearer of a token does with what is theirs.
    pub(crate) fn by(claims: &Claims, action: Action) -> Self {
        Self { from: claims.from.clone(), ..Self::new(Actor::User(claims.user), action) }
    }

    /// What the bearer of a token does at the path of a user.
    pub(crate) fn at(claims: &Claims, action: Action, path_username: &str) -> Self {
        let note = Self::by(claims, action);
        if claims.own(path_username).is_ok() { note } else { note.of_name(path_username) }
    }

    /// Whose it is, if there is somebody of that name.
    pub(crate) fn of_name(self, name: &str) -> Self {
        // No name is longer, and none has a case.
        let named = (name.len() <= 64).then(|| name.to_ascii_lowercase().into());
        Self { owner: None, named, ..self }
    }

    pub(crate) fn on(self, connection: ConnectionId) -> Self {
        Self { connection: Some(connection), ..self }
    }

    pub(crate) fn from(self, from: Origin) -> Self {
        Self { from, ..self }
    }

    /// What the server does with a connection.
    pub(crate) fn background(action: Action, connection: &Connection) -> Self {
        let mut note = Self::new(Actor::Background, action);
        note.saw(connection);
        note
    }

    /// Which connection it is about.
    pub(crate) fn saw(&mut self, connection: &Connection) {
        self.owner = Some(connection.user_id);
        self.connection = Some(connection.id);
        self.provider = Some(connection.provider.clone());
    }

    fn into_event(self, outcome: AuditOutcome, reason: Option<&'static str>, now: Timestamp) -> Event {
        let Self { action, actor, owner, named, connection, provider, from } = self;
        let key = Key { action, outcome, reason, actor, owner, named, connection, address: from.address };
        Event { key, provider, agent: from.agent, first: now, last: now, count: 1 }
    }
}

impl Broker {
    /// Notes how a verb ended, and gives that on. A hand-out that cannot be noted is not made.
    pub(crate) async fn noted<T>(&self, note: Note, ended: Result<T, BrokerError>) -> Result<T, BrokerError> {
        match &ended {
            Err(error) => {
                if let Some((outcome, reason)) = reason_of(error) {
                    self.note_passing(note, outcome, Some(reason));
                }
            }
            Ok(_) => match weight(note.action) {
                Weight::Act => self.note_act(note).await,
                Weight::HandOut => self.note_hand_out(note).await?,
                Weight::Passing => self.note_passing(note, AuditOutcome::Ok, None),
                Weight::Look => {}
            },
        }
        ended
    }

    fn push(&self, event: Event) -> Result<(), Full> {
        let mut queue = self.audit.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let pushed = queue.note(event);
        let soon = queue.waiting() >= SOON;
        drop(queue);
        if soon {
            self.audit.wake.notify_one();
        }
        pushed
    }

    /// Notes what nobody waits for. What there is no room for is counted.
    pub(crate) fn note_passing(&self, note: Note, outcome: AuditOutcome, reason: Option<&'static str>) {
        if self.push(note.into_event(outcome, reason, self.clock.now())).is_err() {
            self.metrics.audit_lost();
            self.audit.queue.lock().unwrap_or_else(PoisonError::into_inner).lose();
        }
    }

    async fn note_hand_out(&self, note: Note) -> Result<(), BrokerError> {
        let event = note.into_event(AuditOutcome::Ok, None, self.clock.now());
        let Err(Full) = self.push(event.clone()) else { return Ok(()) };
        // Whoever comes when it is full helps to empty it, and waits for that.
        let flushed = tokio::time::timeout(READ_PATIENCE, self.spawn_flush(Flush::Due)).await;
        if matches!(flushed, Ok(true)) && self.push(event).is_ok() {
            return Ok(());
        }
        self.metrics.audit_refused();
        Err(BrokerError::AuditBehind)
    }

    /// Notes an act that is done, and waits until its row is written, or for a while.
    pub(crate) async fn note_act(&self, note: Note) {
        self.note_outcome(note, AuditOutcome::Ok, None).await;
    }

    /// As [`Broker::note_act`], for acts that ended in another way.
    pub(crate) async fn note_outcome(&self, note: Note, outcome: AuditOutcome, reason: Option<&'static str>) {
        let event = note.into_event(outcome, reason, self.clock.now());
        let number = self.audit.queue.lock().unwrap_or_else(PoisonError::into_inner).act(event);
        let written = tokio::time::timeout(ACT_PATIENCE, self.spawn_flush(Flush::Act(number))).await;
        if !matches!(written, Ok(true)) {
            tracing::error!("an act is done, and its row in the audit log waits for the database");
        }
    }

    /// Flushes in a task of its own: whoever hangs up does not tear it. Says whether it was written.
    async fn spawn_flush(&self, how: Flush) -> bool {
        let broker = self.clone();
        let task = self.tasks.spawn(async move { broker.flush(how).await });
        matches!(task.await, Ok(Ok(())))
    }

    /// Notes what the operator did, and waits until its row is written, or for a while.
    pub async fn note_operator(&self, action: Action) {
        self.note_act(Note::new(Actor::Operator, action)).await;
    }

    /// Notes what the operator did. Its row is written within a second.
    pub fn note_operator_soon(&self, action: Action, outcome: AuditOutcome) {
        let event = Note::new(Actor::Operator, action).into_event(outcome, None, self.clock.now());
        self.audit.queue.lock().unwrap_or_else(PoisonError::into_inner).act(event);
    }

    /// Notes that a server begins to serve. That it stopped is noted by [`Broker::close`].
    pub async fn note_start(&self) {
        self.audit.serves.store(true, Ordering::Relaxed);
        self.note_act(Note::new(Actor::Background, Action::ServerStart)).await;
    }

    /// The last that is written: nothing is under way any more.
    pub(crate) async fn end_audit(&self) {
        if self.audit.serves.swap(false, Ordering::Relaxed) {
            let event = Note::new(Actor::Background, Action::ServerStop);
            let event = event.into_event(AuditOutcome::Ok, None, self.clock.now());
            self.audit.queue.lock().unwrap_or_else(PoisonError::into_inner).stop(event);
        }
        if let Err(error) = self.flush_audit().await {
            tracing::error!(%error, "the last of the audit log could not be written");
        }
    }

    /// Writes the audit log until `stop` ends: at most a second after what was read, and sooner when much was.
    pub async fn run_audit(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let mut complained: Option<tokio::time::Instant> = None;
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = self.audit.wake.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            match self.flush(Flush::Due).await {
                Ok(()) if complained.take().is_some() => {
                    tracing::info!("the audit log is written again");
                }
                Ok(()) => {}
                Err(error) if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) => {
                    tracing::error!(%error, "the audit log cannot be written; it waits in memory");
                    complained = Some(tokio::time::Instant::now());
                }
                Err(_) => {
                    // Not again at once, however much waits.
                    tokio::time::sleep(EVERY).await;
                }
            }
            let waiting = self.audit.queue.lock().unwrap_or_else(PoisonError::into_inner).waiting();
            self.metrics.set_audit_waiting(waiting);
        }
    }
}
