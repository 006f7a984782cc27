//! What a client knows of its users: what was acknowledged, and what may or may not have been done.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::net::Checked;

/// An addition that nobody acknowledged may still be under way for so long.
const LATE: Duration = Duration::from_mins(1);

/// What a connection holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A pasted token.
    Plain(String),
    /// A grant of this account at the sandbox.
    Grant { account: String },
    /// Tokens of the client itself.
    Client,
    /// Nothing any more: it says that it must be connected again.
    Lost { account: String },
    /// Nothing: its owner had it revoked.
    Revoked { account: Option<String> },
}

impl What {
    pub(crate) fn account(&self) -> Option<&str> {
        match self {
            Self::Grant { account } | Self::Lost { account } => Some(account),
            Self::Revoked { account } => account.as_deref(),
            Self::Plain(_) | Self::Client => None,
        }
    }
}

/// A change whose outcome nobody has told.
#[derive(Clone, Debug)]
pub(crate) enum Maybe {
    Gone,
    Name(String),
    Plain(String),
    Revoked,
    Back,
}

/// A connection.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) what: What,
    pub(crate) since: Instant,
    pub(crate) maybe: Option<Maybe>,
}

impl Conn {
    pub(crate) fn new(name: &str, service: &str, what: What) -> Self {
        let (name, service) = (name.to_owned(), service.to_owned());
        Self { name, service, what, since: Instant::now(), maybe: None }
    }
}

/// A connection that may have been added.
pub(crate) struct Added {
    pub(crate) conn: Conn,
    pub(crate) at: Instant,
}

/// A connect on another device that is under way.
pub(crate) struct Device {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) next: Instant,
    pub(crate) polls: u32,
}

/// A user.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    /// What no longer opens anything.
    pub(crate) old_passwords: Vec<String>,
    /// Sessions that are good.
    pub(crate) sessions: Vec<String>,
    /// Sessions that were ended.
    pub(crate) ended: Vec<String>,
    pub(crate) id: Option<i64>,
    pub(crate) conns: BTreeMap<i64, Conn>,
    /// Ids of connections that were deleted.
    pub(crate) deleted: Vec<i64>,
    pub(crate) added: Vec<Added>,
    pub(crate) devices: Vec<Device>,
}

impl User {
    pub(crate) fn new(name: String, password: String) -> Self {
        Self {
            name,
            password,
            old_passwords: Vec::new(),
            sessions: Vec::new(),
            ended: Vec::new(),
            id: None,
            conns: BTreeMap::new(),
            deleted: Vec::new(),
            added: Vec::new(),
            devices: Vec::new(),
        }
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/users/{}/{rest}", self.name)
    }

    /// Every session so far is over.
    pub(crate) fn end_sessions(&mut self) {
        self.ended.append(&mut self.sessions);
        let old = self.ended.len().saturating_sub(6);
        self.ended.drain(..old);
    }

    /// Somebody may have added this.
    pub(crate) fn expect(&mut self, conn: Conn) {
        self.added.push(Added { conn, at: Instant::now() });
    }

    /// Checks a list against what is known, and learns from it what nobody has told. Gives the ids that are new.
    pub(crate) fn check(&mut self, list: &[Value]) -> Checked<Vec<i64>> {
        let mut new = Vec::new();
        let mut seen: Vec<i64> = Vec::new();
        for row in list {
            let id = row["ID"].as_i64().ok_or_else(|| format!("a row without an id: {row}"))?;
            if seen.last().is_some_and(|last| *last >= id) {
                return Err(format!("the list is not in order: {id} comes after {seen:?}"));
            }
            seen.push(id);
            let user = row["UserID"].as_i64();
            if *self.id.get_or_insert(user.unwrap_or_default()) != user.unwrap_or_default() {
                return Err(format!("connection {id} is of another user: {row}"));
            }
            if !self.conns.contains_key(&id) {
                self.adopt(id, row)?;
                new.push(id);
            }
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.settle(row);
                conn.check(id, row)?;
            }
        }
        let missing: Vec<i64> = self.conns.keys().filter(|id| !seen.contains(id)).copied().collect();
        for id in missing {
            match self.conns.get(&id).and_then(|conn| conn.maybe.clone()) {
                Some(Maybe::Gone) => {
                    self.conns.remove(&id);
                    self.deleted.push(id);
                }
                _ => return Err(format!("{} has lost connection {id}: {:?}", self.name, self.conns[&id])),
            }
        }
        self.added.retain(|added| added.at.elapsed() < LATE);
        Ok(new)
    }

    /// A row that nobody acknowledged: it must be one that may have been added.
    fn adopt(&mut self, id: i64, row: &Value) -> Checked {
        if self.deleted.contains(&id) {
            return Err(format!("{} sees connection {id} again, which was deleted: {row}", self.name));
        }
        let at = self.added.iter().position(|added| row["Name"] == added.conn.name.as_str());
        let Some(at) = at else {
            return Err(format!("{} has a connection that nobody added: {row}", self.name));
        };
        let added = self.added.remove(at);
        self.conns.insert(id, added.conn);
        Ok(())
    }
}

impl Conn {
    /// Takes from a row of the list what nobody has told.
    fn settle(&mut self, row: &Value) {
        let Some(maybe) = self.maybe.take() else { return };
        let token = row["Token"].as_str().unwrap_or_default();
        match maybe {
            Maybe::Name(new) if row["Name"] == new.as_str() => self.name = new,
            Maybe::Plain(new) if token == new => self.what = What::Plain(new),
            Maybe::Revoked if token.is_empty() => {
                self.what = What::Revoked { account: self.what.account().map(str::to_owned) };
            }
            Maybe::Back if !token.is_empty() => {
                if let Some(account) = self.what.account().map(str::to_owned) {
                    self.what = What::Grant { account };
                }
            }
            // It was not done.
            Maybe::Gone | Maybe::Name(_) | Maybe::Plain(_) | Maybe::Revoked | Maybe::Back => {}
        }
    }

    /// Checks a row of the list.
    fn check(&self, id: i64, row: &Value) -> Checked {
        let token = row["Token"].as_str().unwrap_or_default();
        let token_fits = match &self.what {
            What::Plain(known) => token == known,
            What::Grant { .. } | What::Client | What::Lost { .. } => token.starts_with("sbx_at_"),
            What::Revoked { .. } => token.is_empty(),
        };
        if row["Name"] == self.name.as_str() && row["Token_type"] == self.service.as_str() && token_fits {
            return Ok(());
        }
        Err(format!("connection {id} should be {self:?}, and the list says {row}"))
    }
}
