//! Several servers on one database: what one does, the others know.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_testkit::app::{PASSWORD, TestUser};

use crate::process::Home;
use crate::server::{SandboxProcess, Server, borrowed, connect, free_port};

/// How many connections each server adds.
const EACH: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_add_in_parallel_and_both_show_all() {
    let home = Home::new();
    let servers = [Server::start(&home, &[]), Server::start(&home, &[])];
    let ada = servers[0].user("ada").await;
    let users = [ada.clone(), servers[1].again(&ada)];
    let adding = (0..EACH * 2).map(|number| {
        let user = users[number % 2].clone();
        tokio::spawn(
            async move { user.add(&number.to_string(), "spotify", &format!("token {number}")).await },
        )
    });
    let mut ids = BTreeSet::new();
    for each in adding.collect::<Vec<_>>() {
        assert!(ids.insert(each.await.unwrap()), "an id was given twice");
    }
    for user in &users {
        let list = user.list().await;
        let tokens: BTreeSet<_> =
            list.iter().map(|each| each["Token"].as_str().unwrap().to_owned()).collect();
        assert_eq!((list.len(), tokens.len()), (EACH * 2, EACH * 2));
        assert_eq!(list.iter().map(|each| each["ID"].as_i64().unwrap()).collect::<BTreeSet<_>>(), ids);
    }
    println!("2 servers, {} adds in parallel, {} connections in both lists", EACH * 2, ids.len());
    // A session that one ends has ended at the other.
    users[0].api.post("/api/auth/logout", &json!({})).await.expect(reqwest::StatusCode::OK);
    users[1].api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    for server in servers {
        let (status, _, log) = server.stop();
        assert!(status.success(), "{log}");
    }
}

#[tokio::test]
async fn servers_that_start_at_once_on_nothing_agree_on_one_key() {
    for round in 0..3 {
        let home = Home::new();
        let env = [("TOKENRY_LISTEN", "127.0.0.1:0")];
        let processes = [0, 1, 2].map(|_| home.spawn(&["serve"], &env));
        let mut servers = processes.map(Server::of);
        for server in &mut servers {
            server.process.line_with("not set up");
        }
        let ada = servers[0].user("ada").await;
        let id = ada.add("mine", "spotify", "a pasted token").await;
        for server in &servers {
            assert_eq!(server.again(&ada).token_of(id).await, "a pasted token", "round {round}");
        }
        let made = servers.iter().filter(|it| it.process.out.text().contains("generated")).count();
        assert_eq!(made, 1, "round {round}: {made} say that they generated the key");
    }
}

#[tokio::test]
async fn a_link_asked_for_at_one_ends_at_the_other() {
    let sandbox = SandboxProcess::start(3600);
    let home = Home::new();
    let ports = [free_port(), free_port()];
    let env = sandbox.env(ports[0]);
    let first = Server::start(&home, &borrowed(&env));
    let mut env = sandbox.env(ports[1]);
    // Both are one service: people reach it at one address, here the first's.
    env[1].1 = first.base.clone();
    let second = Server::start(&home, &borrowed(&env));
    let ada = first.user("ada").await;
    let at_second = second.again(&ada);
    let id = connect(&at_second, &first.base, "ada").await;
    let token = at_second.token_of(id).await;
    assert_eq!(ada.token_of(id).await, token);
    assert_eq!(sandbox.userinfo(&token).await, reqwest::StatusCode::OK);
}

/// Two servers that know a sandbox whose tokens live so long. People reach both at the first's address.
fn two_with_sandbox(access_ttl_s: u64) -> (SandboxProcess, Home, [Server; 2]) {
    let sandbox = SandboxProcess::start(access_ttl_s);
    let home = Home::new();
    let env = sandbox.env(free_port());
    let first = Server::start(&home, &borrowed(&env));
    let mut env = sandbox.env(free_port());
    env[1].1.clone_from(&first.base);
    let second = Server::start(&home, &borrowed(&env));
    (sandbox, home, [first, second])
}

#[tokio::test]
async fn what_is_done_at_one_is_seen_by_the_very_next_request_at_the_other() {
    let home = Home::new();
    let servers = [Server::start(&home, &[]), Server::start(&home, &[])];
    let mut password = PASSWORD.to_owned();
    servers[0].user("ada").await;
    for round in 0..6 {
        let (one, other) = (&servers[round % 2], &servers[(round + 1) % 2]);
        let mut api = one.api();
        api.token = Some(api.log_in("ada", &password).await);
        let here = TestUser { name: "ada".to_owned(), api };
        let there = other.again(&here);
        let id = here.add("first name", "spotify", "first token").await;
        assert_eq!(there.token_of(id).await, "first token");

        let path = here.path(&format!("update/connection/name/{id}"));
        here.api.put(&path, &json!({"name": "second name"})).await.expect(StatusCode::OK);
        assert_eq!(there.list().await[0]["Name"], "second name");

        let path = here.path(&format!("update/connection/token/{id}"));
        here.api.put(&path, &json!({"token": "second token"})).await.expect(StatusCode::OK);
        assert_eq!(there.token_of(id).await, "second token");

        here.api
            .post(&here.path(&format!("connections/{id}/revoke")), &json!({}))
            .await
            .expect(StatusCode::OK);
        there.get_token(id).await.expect_error(409, "reconnect_required");

        here.api.delete(&here.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
        there.get_token(id).await.expect_error(404, "no_such_connection");
        assert!(there.list().await.is_empty());

        let new = format!("password number {round}");
        let change = json!({"current_password": password, "new_password": new});
        here.api.put("/api/auth/password", &change).await.expect(StatusCode::OK);
        there.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
        let old = json!({"username": "ada", "password": password});
        other.api().post("/api/auth/login", &old).await.expect_error(401, "wrong_login");
        password = new;
        let mut api = other.api();
        api.token = Some(api.log_in("ada", &password).await);
        let at_one = one.again(&TestUser { name: "ada".to_owned(), api: api.clone() });
        api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);
        at_one.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_device_that_began_at_one_is_connected_at_the_other() {
    let (sandbox, _home, servers) = two_with_sandbox(3600);
    let ada = servers[0].user("ada").await;
    let there = servers[1].again(&ada);
    let begun = ada.api.post(&ada.path("connections/device"), &json!({"service": "sandbox"})).await;
    let begun = begun.expect(StatusCode::CREATED);
    let code = begun.text("user_code");
    sandbox.control(json!({"device": {"user_code": code, "account": "ada"}})).await;
    let mut progress = Value::Null;
    while progress["status"] != "connected" {
        assert!(progress.is_null() || progress["status"] == "pending", "{progress}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        progress = there.api.get(begun.header("location")).await.expect(StatusCode::OK).json();
    }
    let id = progress["connection"].as_i64().unwrap();
    assert_eq!(sandbox.userinfo(&ada.token_of(id).await).await, StatusCode::OK);
}

#[tokio::test]
async fn wrong_passwords_are_counted_over_all_servers() {
    let home = Home::new();
    let servers = [Server::start(&home, &[]), Server::start(&home, &[])];
    servers[0].user("ada").await;
    let wrong = json!({"username": "ada", "password": "not the password"});
    for guess in 0..10 {
        servers[guess % 2].api().post("/api/auth/login", &wrong).await.expect_error(401, "wrong_login");
    }
    for server in &servers {
        server.api().post("/api/auth/login", &wrong).await.expect_error(429, "too_many_attempts");
    }
}

#[tokio::test]
async fn when_a_provider_asks_one_to_wait_all_wait() {
    let (sandbox, _home, servers) = two_with_sandbox(1);
    let ada = servers[0].user("ada").await;
    let id = connect(&ada, &servers[0].base, "ada").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let fault = json!({"status": {"code": 429, "retry_after_s": 60}});
    let fault = json!({"endpoint": "token", "grant": "refresh_token", "kind": fault});
    sandbox.control(json!({"faults": [fault]})).await;
    ada.get_token(id).await.expect_error(503, "provider_unavailable");
    servers[1].again(&ada).get_token(id).await.expect_error(503, "provider_unavailable");
    assert_eq!(sandbox.seen("refresh_attempts").await, 1, "one did not wait");
}

#[tokio::test]
async fn when_a_token_was_handed_out_at_one_is_soon_told_by_the_other() {
    let home = Home::new();
    let servers = [Server::start(&home, &[]), Server::start(&home, &[])];
    let ada = servers[0].user("ada").await;
    let id = ada.add("mine", "spotify", "a pasted token").await;
    ada.token_of(id).await;
    assert!(ada.detail(id).await["last_used_at"].is_string(), "it does not know itself");
    let there = servers[1].again(&ada);
    while there.detail(id).await["last_used_at"].is_null() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(there.detail(id).await["last_used_at"], ada.detail(id).await["last_used_at"]);
}

#[tokio::test]
async fn three_that_work_ahead_refresh_each_due_token_once() {
    const CONNECTIONS: u64 = 20;
    let sandbox = SandboxProcess::start(3);
    let home = Home::new();
    let servers = [0, 1, 2].map(|_| {
        let mut env = sandbox.env(free_port());
        env.retain(|(name, _)| *name != "TOKENRY_REFRESH_AHEAD");
        Server::start(&home, &borrowed(&env))
    });
    let ada = servers[0].user("ada").await;
    for grant in sandbox.issue_grants(CONNECTIONS).await {
        let body = json!({
            "kind": "oauth2", "service": "sandbox", "expires_in": 3,
            "access_token": grant["access_token"], "refresh_token": grant["refresh_token"],
        });
        ada.api.post(&ada.path("connections"), &body).await.expect(StatusCode::CREATED);
    }
    sandbox.until("refreshes", CONNECTIONS * 3).await;
    for server in servers {
        let (status, _, log) = server.stop();
        assert!(status.success(), "{log}");
    }
    let (refreshes, asked) = (sandbox.seen("refreshes").await, sandbox.seen("refresh_attempts").await);
    println!("3 servers, {CONNECTIONS} connections: {refreshes} refreshes, {asked} times asked");
    assert_eq!((asked, sandbox.seen("reuses_detected").await), (refreshes, 0));
}
