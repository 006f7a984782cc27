//! `tokenry key …` while servers run, and the master key from a command.

use std::os::unix::fs::PermissionsExt as _;

use reqwest::StatusCode;
use sqlx::{Connection as _, SqliteConnection};

use crate::process::Home;
use crate::server::Server;

fn key(home: &Home, words: &[&str]) -> crate::process::Done {
    home.run(&[&["key"], words].concat(), &[])
}

#[test]
fn a_command_for_keys_makes_neither_a_database_nor_a_master_key() {
    let home = Home::new();
    for words in [&["list"][..], &["status"], &["rotate"], &["retire", "1"]] {
        let error = key(&home, words).refused();
        assert!(error.contains("has no data keys yet"), "{error}");
    }
    assert!(!home.database().exists() && !home.data().join("master.key").exists());
}

#[tokio::test]
async fn a_rotation_is_seen_by_servers_that_run_and_a_key_in_use_is_not_retired() {
    let home = Home::new();
    let servers = [Server::start(&home, &[]), Server::start(&home, &[])];
    let ada = servers[0].user("ada").await;
    let there = servers[1].again(&ada);
    let id = ada.add("mine", "spotify", "a pasted token").await;
    let list = key(&home, &["list"]).ok();
    assert!(list.contains("data key 1\tcurrent") && list.contains("signing key 1\tsigns"), "{list}");
    let error = key(&home, &["retire", "1"]).refused();
    assert!(error.contains("data key 1 is the current one"), "{error}");

    let said = key(&home, &["rotate"]).ok();
    assert!(said.contains("Data key 2 seals from now on"), "{said}");
    let error = key(&home, &["retire", "1"]).refused();
    assert!(error.contains("still needed for") || error.contains("still held by"), "{error}");
    for user in [&ada, &there] {
        assert_eq!(user.token_of(id).await, "a pasted token");
        let new = user.add("new", "spotify", "a new token").await;
        for reader in [&ada, &there] {
            assert_eq!(reader.token_of(new).await, "a new token");
        }
    }
    // Sealed again in the background, and told everywhere.
    let began = std::time::Instant::now();
    let told = loop {
        let status = key(&home, &["status"]).ok();
        if status.contains("sealed with the current key: 100.0 %") {
            break status;
        }
        assert!(began.elapsed().as_secs() < 60, "{status}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert!(told.contains("data key 1: old, 0 of "), "{told}");
    for server in &servers {
        let began = std::time::Instant::now();
        while !server.api().get("/metrics").await.body.contains("tokenry_data_key_current 2") {
            assert!(began.elapsed().as_secs() < 60, "the metrics do not know the new key");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    // Servers that ended hold nothing.
    for server in servers {
        assert!(server.stop().0.success());
    }
    let mut raw =
        SqliteConnection::connect(&format!("sqlite://{}", home.database().display())).await.unwrap();
    let sql = "SELECT wrapped FROM data_keys WHERE id = 1";
    let (wrapped,): (Vec<u8>,) = sqlx::query_as(sql).fetch_one(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let said = key(&home, &["retire", "1"]).ok();
    assert!(said.contains("Data key 1 is retired"), "{said}");
    for file in std::fs::read_dir(home.data()).unwrap().map(|file| file.unwrap().path()) {
        if file.is_file() {
            let bytes = std::fs::read(&file).unwrap();
            let found = bytes.windows(wrapped.len()).any(|window| window == wrapped);
            assert!(!found, "{} still holds the retired key", file.display());
        }
    }
    let error = key(&home, &["retire", "1"]).refused();
    assert!(error.contains("is retired already"), "{error}");
    let list = key(&home, &["list"]).ok();
    assert!(list.contains("data key 1\tretired") && list.contains("data key 2\tcurrent"), "{list}");
    let server = Server::start(&home, &[]);
    assert_eq!(server.again(&ada).token_of(id).await, "a pasted token");
}

#[tokio::test]
async fn a_server_that_was_killed_keeps_a_key_from_being_retired_until_its_spool_is_seen_to() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    server.user("ada").await.add("mine", "spotify", "a pasted token").await;
    server.process.kill();
    key(&home, &["rotate"]).ok();
    let server = Server::start(&home, &[]);
    while !key(&home, &["status"]).ok().contains("sealed with the current key: 100.0 %") {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert!(server.stop().0.success());
    let url = format!("sqlite://{}", home.database().display());
    let mut raw = SqliteConnection::connect(&url).await.unwrap();
    // It ended long ago, as far as the database can tell; and on a machine that is not this one.
    sqlx::query("UPDATE key_holds SET seen_at = 1, spool = 'elsewhere'").execute(&mut raw).await.unwrap();
    let error = key(&home, &["retire", "1"]).refused();
    assert!(error.contains("ended without a word") && error.contains("(elsewhere)"), "{error}");
    let error = key(&home, &["retire", "1", "--forget-spool", "another"]).refused();
    assert!(error.contains("ended without a word"), "{error}");
    key(&home, &["retire", "1", "--forget-spool", "elsewhere"]).ok();
}

#[tokio::test]
async fn a_signing_key_is_rotated_with_overlap_on_two_servers() {
    let home = Home::new();
    let servers = [Server::start(&home, &[]), Server::start(&home, &[])];
    let old = servers[0].user("ada").await;
    let said = key(&home, &["rotate", "--signing"]).ok();
    assert!(said.contains("Signing key 2 signs from now on"), "{said}");
    let list = key(&home, &["list"]).ok();
    assert!(
        list.contains("signing key 1\tverifies until") && list.contains("signing key 2\tsigns"),
        "{list}"
    );
    let began = std::time::Instant::now();
    // Each server signs with it within seconds; whatever either signs is good at both at any moment.
    let mut signs = std::collections::BTreeSet::new();
    while signs.len() < 2 {
        assert!(began.elapsed().as_secs() < 60, "only {signs:?} sign with the new key");
        for (number, server) in servers.iter().enumerate() {
            let new = server.log_in("ada").await;
            for reader in &servers {
                reader.again(&new).api.get("/api/auth/user").await.expect(StatusCode::OK);
                reader.again(&old).api.get("/api/auth/user").await.expect(StatusCode::OK);
            }
            // The header names the key.
            let header =
                |token: &Option<String>| token.as_deref().unwrap().split('.').next().unwrap().to_owned();
            if header(&new.api.token) != header(&old.api.token) {
                signs.insert(number);
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn a_changed_master_key_opens_everything_and_the_old_one_nothing() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let ada = server.user("ada").await;
    let id = ada.add("mine", "spotify", "a pasted token").await;
    key(&home, &["rotate"]).ok();
    let new = key(&home, &["generate"]).ok().trim().to_owned();
    std::fs::write(home.path().join("new.key"), &new).unwrap();
    let said = key(&home, &["change-master", "--new-key-file", "new.key"]).ok();
    assert!(said.contains("2 data keys are sealed with the new master key"), "{said}");
    assert!(said.contains("data/master.key") && !said.contains(&new), "{said}");
    // The server that runs goes on.
    assert_eq!(ada.token_of(id).await, "a pasted token");
    ada.add("more", "spotify", "another token").await;
    assert!(server.stop().0.success());
    let error = key(&home, &["list"]).refused();
    assert!(error.contains("this master key does not open"), "{error}");
    std::fs::copy(home.path().join("new.key"), home.data().join("master.key")).unwrap();
    let server = Server::start(&home, &[]);
    assert_eq!(server.again(&ada).token_of(id).await, "a pasted token");
    assert_eq!(server.log_in("ada").await.list().await.len(), 2);
}

/// A program that a test wrote.
fn script(home: &Home, name: &str, text: &str) -> String {
    let path = home.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_master_key_may_come_from_a_command_whose_parts_two_people_hold() {
    let home = Home::new();
    let key = key(&home, &["generate"]).ok().trim().to_owned();
    let (first, second) = key.split_at(20);
    std::fs::write(home.path().join("first"), first).unwrap();
    std::fs::write(home.path().join("second"), second).unwrap();
    let combine = script(&home, "combine", "cat \"$1\" \"$2\"; echo; echo combined >&2");
    let command = format!("{combine} first second");
    let env = [("TOKENRY_MASTER_KEY_COMMAND", command.as_str())];
    let server = Server::start(&home, &env);
    let ada = server.user("ada").await;
    let id = ada.add("mine", "spotify", "a pasted token").await;
    let (status, _, log) = server.stop();
    assert!(status.success() && !log.contains(first) && !log.contains(second), "{log}");
    assert!(!home.data().join("master.key").exists());

    // The same key from a variable; and the same command as a list, with a space in an argument.
    let server = Server::start(&home, &[("TOKENRY_MASTER_KEY", &key)]);
    assert_eq!(server.again(&ada).token_of(id).await, "a pasted token");
    assert!(server.stop().0.success());
    std::fs::rename(home.path().join("first"), home.path().join("the first")).unwrap();
    let list = format!("[\"{combine}\", \"the first\", \"second\"]");
    let said = home.run(&["key", "list"], &[("TOKENRY_MASTER_KEY_COMMAND", &list)]).ok();
    assert!(said.contains("data key 1\tcurrent"), "{said}");
    std::fs::write(home.path().join("tokenry.toml"), format!("master_key_command = {list}\n")).unwrap();
    let said = home.run(&["config", "check"], &[]).ok();
    assert!(said.contains("from a command") && !said.contains("the first"), "{said}");
    home.run(&["key", "list"], &[]).ok();

    // Two places for one key.
    let error = home.run(&["key", "list"], &[("TOKENRY_MASTER_KEY", &key)]).refused();
    assert!(error.contains("set the same thing") && !error.contains(&key), "{error}");
}

#[test]
fn a_command_that_gives_no_master_key_is_told_without_what_it_printed() {
    let home = Home::new();
    let serve = |command: &str| {
        let env = [("TOKENRY_MASTER_KEY_COMMAND", command), ("TOKENRY_LISTEN", "127.0.0.1:0")];
        home.run(&["serve"], &env)
    };
    let failing = script(&home, "failing", "echo sentinel-output; echo 'the vault is sealed' >&2; exit 7");
    let error = serve(&failing).refused();
    assert!(error.contains("the vault is sealed") && error.contains("exit status: 7"), "{error}");
    assert!(!error.contains("sentinel-output"), "{error}");
    let odd = script(&home, "odd", "echo sentinel-output");
    let error = serve(&odd).refused();
    assert!(error.contains("is not a master key") && !error.contains("sentinel-output"), "{error}");
    let error = serve("/nowhere/at-all").refused();
    assert!(error.contains("cannot be run"), "{error}");
    for bad in ["[1]", "[]", "[\"\"]"] {
        let error = serve(bad).refused();
        assert!(error.contains("TOKENRY_MASTER_KEY_COMMAND must be a program"), "{error}");
    }
    assert!(!home.database().exists());
}
