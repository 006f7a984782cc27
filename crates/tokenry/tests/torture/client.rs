//! A client: some users of its own, one thing after another by chance, and everything checked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::{Conn, User};
use crate::net::{Ask, Checked, PATIENCE, Reply, Said};
use crate::world::World;

/// How many users a client has at most.
const USERS: usize = 3;
/// How many connections a user has at most.
pub(crate) const CONNECTIONS: usize = 10;
/// How long what was cut off may still be under way: a database goes on with what it was told.
const SETTLE: Duration = Duration::from_secs(1);
/// How much of its doings a client can tell afterwards.
const HISTORY: usize = 25;

/// What came of a change.
pub(crate) enum Outcome {
    /// It was answered.
    Said(Said),
    /// It may have been done or not. What was under way is over.
    Unknown,
}

pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) world: Arc<World>,
    pub(crate) random: fastrand::Rng,
    pub(crate) users: Vec<User>,
    next: usize,
    address: u32,
    history: VecDeque<String>,
}

impl Client {
    pub(crate) fn new(number: usize, seed: u64, world: Arc<World>) -> Self {
        let random = fastrand::Rng::with_seed(seed.wrapping_mul(31).wrapping_add(number as u64));
        Self { number, world, random, users: Vec::new(), next: number, address: 0, history: VecDeque::new() }
    }

    /// Does one thing after another until the run is over. Nothing comes back from one that found something wrong.
    pub(crate) async fn run(mut self) -> Option<Self> {
        while !self.world.stopped() {
            if let Err(violation) = self.act().await {
                self.complain(&violation);
                return None;
            }
        }
        Some(self)
    }

    fn complain(&self, violation: &str) {
        let history: Vec<_> = self.history.iter().cloned().collect();
        let text = format!("client {}: {violation}\n    {}", self.number, history.join("\n    "));
        self.world.counts.violation(text);
    }

    /// At the end: everything that was acknowledged is there, at every replica.
    pub(crate) async fn end(mut self) {
        for u in 0..self.users.len() {
            for _ in 0..self.world.net.replicas() {
                if let Err(violation) = self.look_at_everything(u).await {
                    self.complain(&format!("at the end: {violation}"));
                    return;
                }
            }
        }
    }

    async fn look_at_everything(&mut self, u: usize) -> Checked {
        self.log_in(u).await?;
        self.list(u).await?;
        let ids: Vec<i64> = self.users[u].conns.keys().copied().collect();
        for id in ids {
            self.token(u, id).await?;
            self.detail(u, id).await?;
            self.world.counts.event("connections looked at in the end");
        }
        Ok(())
    }

    pub(crate) fn note(&mut self, what: String) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(what);
    }

    async fn act(&mut self) -> Checked {
        if self.users.is_empty() || (self.users.len() < USERS && self.random.u8(0..60) == 0) {
            return self.sign_up().await;
        }
        let u = self.random.usize(0..self.users.len());
        if self.users[u].sessions.is_empty() {
            return self.log_in(u).await;
        }
        if self.has_device_due(u) {
            return self.poll_device(u).await;
        }
        let full = self.users[u].conns.len() >= CONNECTIONS;
        let conn = self.any_connection(u);
        match (self.random.u8(0..100), conn) {
            (0..=13, Some(id)) => self.token(u, id).await,
            (14..=19, Some(id)) => self.token_for_calls(u, id).await,
            (20..=22, Some(id)) => self.authorization(u, id).await,
            (23..=26, Some(id)) => self.burst(u, id).await,
            (27..=30, Some(id)) => self.detail(u, id).await,
            (31..=32, Some(id)) => self.exists(u, id).await,
            (33..=40, Some(id)) => self.rename(u, id).await,
            (41..=45, Some(id)) => self.replace(u, id).await,
            (46..=49, Some(id)) => self.revoke(u, id).await,
            (50..=56, Some(id)) => self.delete(u, id).await,
            (57..=61, Some(id)) => self.reconnect(u, id).await,
            (62..=68, _) if !full => self.link(u).await,
            (69..=71, _) if !full => self.begin_device(u).await,
            (72..=76, _) if !full => self.import_grant(u).await,
            (77, _) if !full => self.import_client(u).await,
            (78..=79, _) if !full => self.import_plain(u).await,
            (80..=84, _) if !full => self.add(u).await,
            (85..=87, _) => self.details(u).await,
            (88, _) => self.log_out(u).await,
            (89, _) => self.change_password(u).await,
            (90, _) => self.log_in_wrongly(u).await,
            (91, _) => self.renew_session(u).await,
            (92, _) => self.who_am_i(u).await,
            (93, _) => self.ask_for_another(u).await,
            (94..=95, _) => self.use_ended_session(u).await,
            (96, _) => self.look_for_deleted(u).await,
            _ => self.list(u).await,
        }
    }

    fn any_connection(&mut self, u: usize) -> Option<i64> {
        let ids: Vec<i64> = self.users[u].conns.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[self.random.usize(0..ids.len())])
    }

    /// A good session of the user.
    pub(crate) fn session(&mut self, u: usize) -> String {
        let sessions = &self.users[u].sessions;
        sessions[self.random.usize(0..sessions.len())].clone()
    }

    /// An address that nobody has logged in from yet.
    pub(crate) fn new_address(&mut self) {
        self.address += 1;
    }

    pub(crate) fn address(&self) -> String {
        format!("10.{}.{}.{}", self.number, self.address / 250, self.address % 250 + 1)
    }

    /// Asks the next replica that is there.
    async fn ask(&mut self, ask: &Ask) -> Checked<Reply> {
        let began = Instant::now();
        loop {
            self.next = (self.next + 1) % self.world.net.replicas();
            match self.world.net.send(self.next, &self.address(), ask).await? {
                Reply::Refused if began.elapsed() > PATIENCE => return Err("nobody is there".to_owned()),
                Reply::Refused => {
                    self.world.counts.event("requests that went to a dead replica and on to the next");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                reply => {
                    let what = match &reply {
                        Reply::Said(said) => said.shown(),
                        _ => format!("replica {} was cut off", self.next),
                    };
                    self.note(format!("{} {}: {what}", ask.method, ask.path));
                    return Ok(reply);
                }
            }
        }
    }

    /// Asks until there is an answer: for what changes nothing, or may be done twice.
    pub(crate) async fn read(&mut self, ask: Ask) -> Checked<Said> {
        let began = Instant::now();
        loop {
            match self.ask(&ask).await? {
                Reply::Said(said) if said.is(503, "database_unavailable") || said.is(503, "busy") => {
                    tokio::time::sleep(Duration::from_millis(self.random.u64(100..500))).await;
                }
                Reply::Said(said) => return Ok(said),
                Reply::Refused | Reply::Cut => {
                    self.world.counts.event("reads that were cut off and asked again");
                }
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{} was not answered within {PATIENCE:?}", ask.path));
            }
        }
    }

    /// Asks once. Without an answer it waits until what was under way is over.
    pub(crate) async fn change(&mut self, ask: Ask) -> Checked<Outcome> {
        match self.ask(&ask).await? {
            Reply::Said(said) if said.status() != 503 => return Ok(Outcome::Said(said)),
            Reply::Said(said) => drop(said),
            Reply::Refused | Reply::Cut => {}
        }
        self.world.counts.event("changes with an unknown outcome");
        tokio::time::sleep(SETTLE).await;
        Ok(Outcome::Unknown)
    }

    pub(crate) fn done(&self, kind: &'static str) {
        self.world.counts.operation(kind);
    }

    /// A connection that the model knows.
    pub(crate) fn conn(&mut self, u: usize, id: i64) -> &mut Conn {
        self.users[u].conns.get_mut(&id).unwrap()
    }
}
