//! What clients do with accounts and sessions.

use serde_json::json;

use crate::client::{Client, Outcome};
use crate::model::User;
use crate::net::{Ask, Checked, Said};

impl Client {
    pub(crate) async fn sign_up(&mut self) -> Checked {
        let (name, password) = (self.world.unique("user"), self.world.unique("password "));
        let body = json!({"username": name, "email": format!("{name}@example.org"), "password": password});
        let outcome = self.change(Ask::post("/api/auth/signup", body)).await?;
        let user = User::new(name, password);
        match outcome {
            Outcome::Said(said) if said.status() == 200 => {
                self.done("sign up");
                self.users.push(user);
                self.log_in(self.users.len() - 1).await
            }
            Outcome::Said(said) => Err(format!("a sign-up: {}", said.shown())),
            Outcome::Unknown => {
                // The user is there, or is not.
                let said = self.try_log_in(&user.name, &user.password).await?;
                self.world.counts.event("unknown outcomes that a read decided");
                match said.status() {
                    200 => self.users.push(user),
                    401 => {}
                    _ => return Err(format!("a log-in after an unknown sign-up: {}", said.shown())),
                }
                Ok(())
            }
        }
    }

    async fn try_log_in(&mut self, name: &str, password: &str) -> Checked<Said> {
        // Guesses are counted by address: each try comes from one of its own.
        self.new_address();
        let body = json!({"username": name, "password": password});
        self.read(Ask::post("/api/auth/login", body)).await
    }

    pub(crate) async fn log_in(&mut self, u: usize) -> Checked {
        let (name, password) = (self.users[u].name.clone(), self.users[u].password.clone());
        let said = self.try_log_in(&name, &password).await?;
        if said.status() != 200 {
            return Err(format!("{name} cannot log in: {}", said.shown()));
        }
        let token = said.answer.text("access_token");
        self.users[u].sessions.push(token);
        self.done("log in");
        Ok(())
    }

    pub(crate) async fn log_in_wrongly(&mut self, u: usize) -> Checked {
        let user = &self.users[u];
        let (name, old) = (user.name.clone(), user.old_passwords.last().cloned());
        let said = self.try_log_in(&name, old.as_deref().unwrap_or("not the password")).await?;
        self.done("log in with an old or wrong password");
        if said.is(401, "wrong_login") { Ok(()) } else { Err(format!("a wrong password: {}", said.shown())) }
    }

    /// Whether a session is good.
    async fn is_good(&mut self, token: &str) -> Checked<bool> {
        let said = self.read(Ask::get("/api/auth/user").with(token)).await?;
        match said.status() {
            200 => Ok(true),
            401 if said.code() == "unauthenticated" => Ok(false),
            _ => Err(format!("who am I: {}", said.shown())),
        }
    }

    pub(crate) async fn who_am_i(&mut self, u: usize) -> Checked {
        let (name, token) = (self.users[u].name.clone(), self.session(u));
        let said = self.read(Ask::get("/api/auth/user").with(&token)).await?;
        self.done("who am I");
        if said.status() == 200 && said.json()["user"]["username"] == name.as_str() {
            Ok(())
        } else {
            Err(format!("{name} asked who they are: {}", said.shown()))
        }
    }

    pub(crate) async fn use_ended_session(&mut self, u: usize) -> Checked {
        let ended = &self.users[u].ended;
        if ended.is_empty() {
            return Ok(());
        }
        let token = ended[self.random.usize(0..ended.len())].clone();
        let path = self.users[u].path("get/connections");
        let said = self.read(Ask::get(path).with(&token)).await?;
        self.done("use an ended session");
        if said.is(401, "unauthenticated") {
            Ok(())
        } else {
            Err(format!("an ended session: {}", said.shown()))
        }
    }

    pub(crate) async fn log_out(&mut self, u: usize) -> Checked {
        let token = self.session(u);
        let outcome = self.change(Ask::post("/api/auth/logout", json!({})).with(&token)).await?;
        match outcome {
            Outcome::Said(said) if said.status() == 200 => {
                self.users[u].end_sessions();
                self.done("log out");
                self.use_ended_session(u).await
            }
            Outcome::Said(said) => Err(format!("a log-out: {}", said.shown())),
            Outcome::Unknown => self.learn_of_sessions(u, &token).await,
        }
    }

    async fn learn_of_sessions(&mut self, u: usize, token: &str) -> Checked {
        if !self.is_good(token).await? {
            self.users[u].end_sessions();
        }
        self.world.counts.event("unknown outcomes that a read decided");
        Ok(())
    }

    pub(crate) async fn renew_session(&mut self, u: usize) -> Checked {
        let token = self.session(u);
        let said = self.read(Ask::post("/api/auth/refresh", json!({})).with(&token)).await?;
        if said.status() != 200 {
            return Err(format!("a session could not be renewed: {}", said.shown()));
        }
        let sessions = &mut self.users[u].sessions;
        sessions.push(said.answer.text("refresh_token"));
        let old = sessions.len().saturating_sub(4);
        sessions.drain(..old);
        self.done("renew a session");
        Ok(())
    }

    pub(crate) async fn change_password(&mut self, u: usize) -> Checked {
        let (token, new) = (self.session(u), self.world.unique("password "));
        let body = json!({"current_password": self.users[u].password, "new_password": new});
        let outcome = self.change(Ask::put("/api/auth/password", body).with(&token)).await?;
        let changed = match outcome {
            Outcome::Said(said) if said.status() == 200 => true,
            Outcome::Said(said) => return Err(format!("a change of password: {}", said.shown())),
            Outcome::Unknown => {
                let name = self.users[u].name.clone();
                let said = self.try_log_in(&name, &new).await?;
                match said.status() {
                    200 => {
                        self.world.counts.event("unknown outcomes that a read decided");
                        true
                    }
                    401 => false,
                    _ => return Err(format!("a log-in after an unknown change: {}", said.shown())),
                }
            }
        };
        if !changed {
            return self.learn_of_sessions(u, &token).await;
        }
        let user = &mut self.users[u];
        let old = std::mem::replace(&mut user.password, new);
        user.old_passwords.push(old);
        user.end_sessions();
        self.done("change the password");
        self.use_ended_session(u).await?;
        self.log_in(u).await?;
        self.log_in_wrongly(u).await
    }

    pub(crate) async fn ask_for_another(&mut self, u: usize) -> Checked {
        let token = self.session(u);
        let said = self.read(Ask::get("/api/users/somebody-else/get/connections").with(&token)).await?;
        self.done("ask for what is another's");
        if said.is(403, "forbidden") { Ok(()) } else { Err(format!("another's list: {}", said.shown())) }
    }
}
