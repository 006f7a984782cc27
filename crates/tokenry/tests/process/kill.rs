//! kill -9 right after each kind of 200: what was acknowledged is there after a restart.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use tokenry_model::Timestamp;
use tokenry_store::Store;
use tokenry_testkit::app::{PASSWORD, TestUser};

use crate::process::Home;
use crate::server::{SandboxProcess, Server, borrowed, connect, free_port};

/// How often each kind is tried.
const ROUNDS: usize = 3;

/// A server that is killed and started again on the same data and port.
struct Life {
    home: Home,
    sandbox: SandboxProcess,
    env: Vec<(&'static str, String)>,
    server: Option<Server>,
    kills: usize,
}

impl Life {
    fn start() -> Self {
        let sandbox = SandboxProcess::start(3600);
        let env = sandbox.env(free_port());
        let home = Home::new();
        let server = Some(Server::start(&home, &borrowed(&env)));
        Self { home, sandbox, env, server, kills: 0 }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// The same user after a kill -9 and a restart.
    fn survive(&mut self, user: &TestUser) -> TestUser {
        self.server.take().unwrap().process.kill();
        self.kills += 1;
        self.server = Some(Server::start(&self.home, &borrowed(&self.env)));
        self.server().again(user)
    }

    fn report(&self, kind: &str) {
        println!("{kind}: {} kills, nothing acknowledged is missing", self.kills);
        assert!(self.kills >= ROUNDS);
    }
}

#[tokio::test]
async fn a_user_who_signed_up_is_there_and_a_token_that_was_given_is_good() {
    let mut life = Life::start();
    for round in 0..ROUNDS {
        let name = format!("user{round}");
        let nobody = TestUser { name: name.clone(), api: life.server().api() };
        let body = json!({"username": name, "email": "a@example.org", "password": PASSWORD});
        nobody.api.post("/api/auth/signup", &body).await.expect(StatusCode::OK);
        life.survive(&nobody);
        let user = life.server().log_in(&name).await;
        let user = life.survive(&user);
        let who = user.api.get("/api/auth/user").await.expect(StatusCode::OK);
        assert_eq!(who.json()["user"]["username"], name);
    }
    life.report("sign-up and log-in");
}

#[tokio::test]
async fn a_connection_that_was_added_renamed_replaced_or_deleted_is_as_it_was_acknowledged() {
    let mut life = Life::start();
    let mut user = life.server().user("ada").await;
    for round in 0..ROUNDS {
        let (first, second) = (format!("first token {round}"), format!("second token {round}"));
        let id = user.add("mine", "spotify", &first).await;
        user = life.survive(&user);
        assert_eq!(user.token_of(id).await, first);

        let name = json!({"name": format!("name {round}")});
        user.api.put(&user.path(&format!("update/connection/name/{id}")), &name).await.expect(StatusCode::OK);
        user = life.survive(&user);
        assert_eq!(user.list().await[0]["Name"], name["name"]);

        let token = json!({"token": second});
        user.api
            .put(&user.path(&format!("update/connection/token/{id}")), &token)
            .await
            .expect(StatusCode::OK);
        user = life.survive(&user);
        assert_eq!(user.token_of(id).await, second);

        user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
        user = life.survive(&user);
        user.get_token(id).await.expect_error(404, "no_such_connection");
        assert!(user.list().await.is_empty());
    }
    life.report("add, rename, replace and delete");
}

#[tokio::test]
async fn a_token_that_a_log_out_or_a_new_password_ended_stays_dead() {
    let mut life = Life::start();
    life.server().user("ada").await;
    let mut password = PASSWORD.to_owned();
    for round in 0..ROUNDS {
        let log_in = async |life: &Life, password: &str| {
            let mut api = life.server().api();
            api.token = Some(api.log_in("ada", password).await);
            TestUser { name: "ada".to_owned(), api }
        };
        let user = log_in(&life, &password).await;
        user.api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);
        let user = life.survive(&user);
        user.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");

        let user = log_in(&life, &password).await;
        let new = format!("another password {round}");
        let body = json!({"current_password": password, "new_password": new});
        user.api.put("/api/auth/password", &body).await.expect(StatusCode::OK);
        let user = life.survive(&user);
        user.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
        let old = json!({"username": "ada", "password": password});
        life.server().api().post("/api/auth/login", &old).await.expect_error(401, "wrong_login");
        password = new;
        log_in(&life, &password).await;
    }
    life.report("log-out and password change");
}

#[tokio::test]
async fn a_connect_a_refresh_and_a_delete_at_a_provider_survive_too() {
    let mut life = Life::start();
    let mut user = life.server().user("ada").await;
    for round in 0..ROUNDS {
        life.sandbox.control(json!({"access_ttl_s": 0})).await;
        let base = life.server().base.clone();
        let id = connect(&user, &base, "ada").await;
        let refreshes = life.sandbox.seen("refreshes").await;
        user = life.survive(&user);
        assert_eq!(user.list().await.len(), 1, "round {round}: the connection is lost");

        life.sandbox.give_long_tokens().await;
        let fresh = user.token_of(id).await;
        user = life.survive(&user);
        assert_eq!(user.list().await[0]["Token"], fresh, "round {round}: the refreshed token is lost");
        assert_eq!(user.token_of(id).await, fresh);
        assert_eq!(life.sandbox.userinfo(&fresh).await, StatusCode::OK);
        assert_eq!(life.sandbox.seen("refreshes").await, refreshes + 1);

        let asked = Instant::now();
        user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
        let waited_in_vain = asked.elapsed() > Duration::from_secs(4);
        user = life.survive(&user);
        assert!(user.list().await.is_empty());
        // At once; or, where the provider took longer than a delete waits, when the claim of the killed process has ended.
        let began = Instant::now();
        while life.sandbox.userinfo(&fresh).await != StatusCode::UNAUTHORIZED {
            assert!(
                waited_in_vain,
                "round {round}: the provider was not told before the delete was acknowledged"
            );
            assert!(began.elapsed() < Duration::from_secs(150), "round {round}: the provider was never told");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(life.sandbox.seen("reuses_detected").await, 0);
    life.report("connect, refresh and delete");
}

#[tokio::test]
async fn a_delete_that_the_provider_has_not_heard_of_is_told_after_the_restart() {
    let mut life = Life::start();
    let user = life.server().user("ada").await;
    let base = life.server().base.clone();
    let id = connect(&user, &base, "ada").await;
    let token = user.token_of(id).await;
    // Longer than the delete waits for the provider, and than the server lives.
    let away = json!({"faults": [{"endpoint": "revoke", "kind": {"delay": {"ms": 60_000}}}]});
    life.sandbox.control(away).await;
    user.api.delete(&user.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
    let user = life.survive(&user);
    assert!(user.list().await.is_empty());
    assert_eq!(life.sandbox.userinfo(&token).await, StatusCode::OK, "the provider has heard of it already");
    let store = Store::open(&format!("sqlite://{}", life.home.database().display())).await.unwrap();
    assert_eq!(store.count_revocations().await.unwrap(), 1, "the revocation is lost");
    // The dead process has claimed it for two minutes. As if they had passed:
    store.update_revocation_attempt(1, Timestamp::from_micros(0)).await.unwrap();
    life.sandbox.until("revocations", 1).await;
    assert_eq!(life.sandbox.userinfo(&token).await, StatusCode::UNAUTHORIZED);
    println!("delete while the provider is away: {} kill, told after it", life.kills);
}

/// How many refreshes the database knows of.
async fn counted(life: &Life) -> i64 {
    let store = Store::open(&format!("sqlite://{}", life.home.database().display())).await.unwrap();
    let hours = store.list_refresh_hours(Timestamp::FIRST, Timestamp::LAST).await.unwrap();
    store.close().await;
    hours.iter().map(|it| it.done).sum()
}

/// Waits until it knows of so many.
async fn until_counted(life: &Life, count: i64) {
    let began = Instant::now();
    while counted(life).await < count {
        assert!(began.elapsed() < Duration::from_secs(20), "what was counted is not written down");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_kill_loses_the_last_seconds_of_what_was_counted_by_the_hour_and_a_stop_loses_nothing() {
    let mut life = Life::start();
    life.sandbox.control(json!({"access_ttl_s": 0})).await;
    let mut user = life.server().user("ada").await;
    let base = life.server().base.clone();
    let id = connect(&user, &base, "ada").await;
    user.token_of(id).await;
    until_counted(&life, 1).await;
    // Now the next few seconds are in memory alone.
    user.token_of(id).await;
    user = life.survive(&user);
    let before = counted(&life).await;
    assert!((1..=2).contains(&before), "{before} of 2 refreshes are known after the kill");

    user.token_of(id).await;
    user.token_of(id).await;
    let (status, _, log) = life.server.take().unwrap().stop();
    assert!(status.success(), "{log}");
    assert_eq!(counted(&life).await, before + 2);
    assert_eq!(life.sandbox.seen("refreshes").await, 4);
}
