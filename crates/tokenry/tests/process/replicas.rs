//! Two servers on one database file.

use std::collections::BTreeSet;

use serde_json::json;

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
