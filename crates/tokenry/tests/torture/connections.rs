//! What clients do with the connections that they have.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Outcome};
use crate::model::{Conn, Maybe, What};
use crate::net::{Ask, Checked, Reply, Said};
use crate::world::OWN_CLIENT;

impl Client {
    pub(crate) fn asked(&mut self, u: usize, rest: &str) -> Ask {
        let token = self.session(u);
        Ask::get(self.users[u].path(rest)).with(&token)
    }

    /// The whole list, checked; it decides what is open.
    pub(crate) async fn list(&mut self, u: usize) -> Checked {
        let ask = self.asked(u, "get/connections");
        let said = self.read(ask).await?;
        let list = said.json().as_array().cloned().filter(|_| said.status() == 200);
        let list = list.ok_or_else(|| format!("a list: {}", said.shown()))?;
        let new = self.users[u].check(&list).map_err(|wrong| format!("replica {}: {wrong}", said.replica))?;
        for id in new {
            self.world.register(id)?;
        }
        self.done("list");
        Ok(())
    }

    /// The list tells what nobody has told.
    pub(crate) async fn decide(&mut self, u: usize) -> Checked {
        self.world.counts.event("unknown outcomes that a read decided");
        self.list(u).await
    }

    /// The list of details: the same connections, in the same order.
    pub(crate) async fn details(&mut self, u: usize) -> Checked {
        let ask = self.asked(u, "connections?limit=1000");
        let said = self.read(ask).await?;
        let json = said.json();
        let ids: Option<Vec<i64>> = json["connections"]
            .as_array()
            .map(|all| all.iter().filter_map(|one| one["id"].as_i64()).collect());
        let known: Vec<i64> = self.users[u].conns.keys().copied().collect();
        let open = !self.users[u].added.is_empty() || self.users[u].conns.values().any(|c| c.maybe.is_some());
        self.done("list details");
        if ids.as_ref() == Some(&known) || open {
            Ok(())
        } else {
            Err(format!("the details list {ids:?}, where {known:?} are: {}", said.shown()))
        }
    }

    pub(crate) async fn token(&mut self, u: usize, id: i64) -> Checked {
        let ask = self.asked(u, &format!("get/connection/{id}"));
        let said = self.read(ask).await?;
        self.done("get the token");
        self.check_hand_out(u, id, &said)
    }

    pub(crate) async fn token_for_calls(&mut self, u: usize, id: i64) -> Checked {
        let ask = self.asked(u, &format!("connections/{id}/token"));
        let said = self.read(ask).await?;
        self.done("get the token for calls");
        self.check_hand_out(u, id, &said)
    }

    /// The header for one call.
    pub(crate) async fn authorization(&mut self, u: usize, id: i64) -> Checked {
        if !matches!(self.conn(u, id).what, What::Grant { .. } | What::Client) {
            return Ok(());
        }
        let token = self.session(u);
        let body = json!({"method": "GET", "url": "https://api.example.org/me"});
        let path = self.users[u].path(&format!("connections/{id}/authorization"));
        let mut said = self.read(Ask::post(path, body).with(&token)).await?;
        self.done("get the header of a call");
        if said.status() == 200 {
            let header = said.answer.text("value");
            let token = header.strip_prefix("Bearer ").unwrap_or(&header);
            said.answer.body = json!({"token": token}).to_string();
        }
        self.check_hand_out(u, id, &said)
    }

    /// The same token from all replicas at once: one of them may refresh it.
    pub(crate) async fn burst(&mut self, u: usize, id: i64) -> Checked {
        let ask = self.asked(u, &format!("get/connection/{id}"));
        let (world, address) = (std::sync::Arc::clone(&self.world), self.address());
        let asked = (0..world.net.replicas()).map(|replica| {
            let (world, ask, address) = (std::sync::Arc::clone(&world), ask.clone(), address.clone());
            tokio::spawn(async move { world.net.send(replica, &address, &ask).await })
        });
        for reply in asked.collect::<Vec<_>>() {
            if let Reply::Said(said) = reply.await.unwrap()? {
                self.note(format!("burst {}: {}", ask.path, said.shown()));
                if !said.is(503, "database_unavailable") {
                    self.check_hand_out(u, id, &said)?;
                }
            }
        }
        self.done("get the token at all replicas at once");
        Ok(())
    }

    /// What was handed out is what the connection holds, and good.
    fn check_hand_out(&mut self, u: usize, id: i64, said: &Said) -> Checked {
        let conn = self.conn(u, id).clone();
        let wrong = || Err(format!("connection {id} is {conn:?}; {}", said.shown()));
        let token = said.json()["token"].as_str().map(str::to_owned).filter(|_| said.status() == 200);
        match (&conn.what, token) {
            (What::Plain(known), Some(token)) if token == *known => Ok(()),
            (What::Grant { account }, Some(token)) => self.world.judge(&token, account, said.began),
            (What::Client, Some(token)) => self.world.judge(&token, OWN_CLIENT, said.began),
            (What::Grant { .. } | What::Client, None) if said.is(503, "provider_unavailable") => Ok(()),
            (What::Grant { account }, None) if said.is(409, "reconnect_required") => {
                let explained = self.world.explains_loss(account, Some(conn.since));
                if !explained || !said.answer.body.contains("never got its answer") {
                    return Err(format!(
                        "connection {id} was lost, and nothing explains it: {}",
                        said.shown()
                    ));
                }
                self.conn(u, id).what = What::Lost { account: account.clone() };
                self.world.counts.event("connections that say that their answer was lost");
                Ok(())
            }
            (What::Lost { .. } | What::Revoked { .. }, None) if said.is(409, "reconnect_required") => Ok(()),
            _ => wrong(),
        }
    }

    pub(crate) async fn detail(&mut self, u: usize, id: i64) -> Checked {
        let ask = self.asked(u, &format!("connections/{id}"));
        let said = self.read(ask).await?;
        self.done("get the details");
        let (conn, json) = (self.conn(u, id).clone(), said.json());
        let state = json["state"].as_str().unwrap_or_default();
        let state_fits = match &conn.what {
            What::Plain(_) => state == "ok",
            What::Client => matches!(state, "ok" | "quarantined"),
            What::Grant { account } => {
                matches!(state, "ok" | "quarantined")
                    || (state == "reconnect_required" && self.world.explains_loss(account, Some(conn.since)))
            }
            What::Lost { .. } => state == "reconnect_required",
            What::Revoked { .. } => state == "revoked",
        };
        let account = conn.what.account().map_or(Value::Null, Value::from);
        let account_fits = conn.what == What::Client || json["account"]["id"] == account;
        if said.status() == 200 && json["name"] == conn.name.as_str() && state_fits && account_fits {
            return Ok(());
        }
        Err(format!("connection {id} is {conn:?}; {}", said.shown()))
    }

    pub(crate) async fn exists(&mut self, u: usize, id: i64) -> Checked {
        let ask = self.asked(u, &format!("check/connection/{id}"));
        let said = self.read(ask).await?;
        self.done("check that it is there");
        if said.status() == 200 { Ok(()) } else { Err(format!("connection {id}: {}", said.shown())) }
    }

    pub(crate) async fn look_for_deleted(&mut self, u: usize) -> Checked {
        let deleted = &self.users[u].deleted;
        if deleted.is_empty() {
            return Ok(());
        }
        let id = deleted[self.random.usize(0..deleted.len())];
        self.is_gone(u, id).await
    }

    async fn is_gone(&mut self, u: usize, id: i64) -> Checked {
        let ways = ["get/connection/", "connections/", "check/connection/"];
        let way = ways[self.random.usize(0..ways.len())];
        let ask = self.asked(u, &format!("{way}{id}"));
        let said = self.read(ask).await?;
        self.done("look for a deleted one");
        if said.is(404, "no_such_connection") {
            Ok(())
        } else {
            Err(format!("connection {id} was deleted; {}", said.shown()))
        }
    }

    /// Makes a change to a connection. Returns whether it was acknowledged; when nobody knows, the list decides.
    async fn alter(&mut self, u: usize, id: i64, ask: Ask, maybe: Maybe) -> Checked<bool> {
        let token = self.session(u);
        match self.change(ask.with(&token)).await? {
            Outcome::Said(said) if said.status() == 200 => Ok(true),
            Outcome::Said(said) => Err(format!("{maybe:?} of connection {id}: {}", said.shown())),
            Outcome::Unknown => {
                self.conn(u, id).maybe = Some(maybe);
                self.decide(u).await?;
                Ok(false)
            }
        }
    }

    pub(crate) async fn rename(&mut self, u: usize, id: i64) -> Checked {
        let name = self.world.unique("renamed ");
        let path = self.users[u].path(&format!("update/connection/name/{id}"));
        let ask = Ask::put(path, json!({"name": name}));
        if self.alter(u, id, ask, Maybe::Name(name.clone())).await? {
            self.conn(u, id).name = name;
            self.done("rename");
            return self.detail(u, id).await;
        }
        Ok(())
    }

    pub(crate) async fn replace(&mut self, u: usize, id: i64) -> Checked {
        let token = self.world.unique("pasted-again-");
        let path = self.users[u].path(&format!("update/connection/token/{id}"));
        let ask = Ask::put(path, json!({"token": token}));
        if self.alter(u, id, ask, Maybe::Plain(token.clone())).await? {
            self.conn(u, id).what = What::Plain(token);
            self.done("replace the token");
            return self.token(u, id).await;
        }
        Ok(())
    }

    pub(crate) async fn revoke(&mut self, u: usize, id: i64) -> Checked {
        let account = match &self.conn(u, id).what {
            What::Revoked { .. } | What::Client => return Ok(()),
            what => what.account().map(str::to_owned),
        };
        let ask = Ask::post(self.users[u].path(&format!("connections/{id}/revoke")), json!({}));
        if self.alter(u, id, ask, Maybe::Revoked).await? {
            self.conn(u, id).what = What::Revoked { account };
            self.done("revoke");
            return self.token(u, id).await;
        }
        Ok(())
    }

    pub(crate) async fn delete(&mut self, u: usize, id: i64) -> Checked {
        let ask = Ask::new(Method::DELETE, self.users[u].path(&format!("connection/delete/{id}")));
        if self.alter(u, id, ask, Maybe::Gone).await? {
            self.users[u].conns.remove(&id);
            self.users[u].deleted.push(id);
            self.done("delete");
            self.is_gone(u, id).await?;
            return self.list(u).await;
        }
        Ok(())
    }

    /// Adds a connection by a request whose answer names it. When nobody knows, the list decides.
    pub(crate) async fn create(&mut self, u: usize, kind: &'static str, ask: Ask, conn: Conn) -> Checked {
        let token = self.session(u);
        match self.change(ask.with(&token)).await? {
            Outcome::Said(said) if matches!(said.status(), 200 | 201) => {
                let id = said.answer.header("location").rsplit('/').next().and_then(|id| id.parse().ok());
                let id = id.ok_or_else(|| format!("{kind}: no id in {}", said.shown()))?;
                self.world.register(id)?;
                self.users[u].conns.insert(id, conn);
                self.done(kind);
                self.list(u).await
            }
            Outcome::Said(said) => Err(format!("{kind}: {}", said.shown())),
            Outcome::Unknown => {
                self.users[u].expect(conn);
                self.decide(u).await
            }
        }
    }

    pub(crate) async fn add(&mut self, u: usize) -> Checked {
        let (name, token) = (self.world.unique("added "), self.world.unique("pasted-"));
        let body = json!({"name": name, "token_type": "spotify", "token": token});
        let ask = Ask::post(self.users[u].path("add/connection"), body);
        self.create(u, "add a pasted token", ask, Conn::new(&name, "spotify", What::Plain(token))).await
    }
}
