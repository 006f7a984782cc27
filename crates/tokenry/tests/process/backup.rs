//! `tokenry backup` and `tokenry restore`, with servers that run meanwhile and a provider that notices reuse.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;
use serde_json::json;
use tokenry_testkit::app::PASSWORD;

use crate::process::Home;
use crate::server::{SandboxProcess, Server, borrowed, free_port};

fn lose_the_database(home: &Home) {
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{ending}", home.database().display()));
    }
}

fn file_names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_made_while_people_wrote_brings_all_back_that_was_acknowledged_before_it() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let ada = server.user("ada").await;
    let mut before = Vec::new();
    for number in 0..20 {
        before.push(ada.add(&number.to_string(), "spotify", &format!("token {number}")).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (ada, stop) = (ada.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                ada.add("meanwhile", "spotify", "a token").await;
                written += 1;
            }
            written
        })
    };
    let said = home.run(&["backup", "--to", "night.backup"], &[]).ok();
    stop.store(true, Ordering::Relaxed);
    let written: usize = writing.await.unwrap();
    assert!(written > 0 && said.contains("read back") && said.contains("master key is not in it"), "{said}");
    let backup = home.path().join("night.backup");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&backup).unwrap();
    let error = home.run(&["backup", "--to", "night.backup"], &[]).refused();
    assert!(error.contains("is there already"), "{error}");
    assert!(fs::read(&backup).unwrap() == bytes, "a backup was written over");
    assert_eq!(file_names(home.path()), ["data", "night.backup"], "something was left behind");

    // Not where a database is, running or not.
    let error = home.run(&["restore", "--from", "night.backup"], &[]).refused();
    assert!(error.contains("is there already"), "{error}");
    server.process.kill();
    lose_the_database(&home);
    // Not with another master key, and then nothing is left behind either.
    let key = home.data().join("master.key");
    fs::rename(&key, home.path().join("key")).unwrap();
    let error = home.run(&["restore", "--from", "night.backup"], &[]).refused();
    assert!(error.contains("master key file") && error.contains("missing"), "{error}");
    fs::write(&key, home.run(&["key", "generate"], &[]).ok()).unwrap();
    let error = home.run(&["restore", "--from", "night.backup"], &[]).refused();
    assert!(error.contains("does not open the stored data keys"), "{error}");
    assert!(!home.database().exists());
    fs::rename(home.path().join("key"), &key).unwrap();

    let said = home.run(&["restore", "--from", "night.backup"], &[]).ok();
    assert!(said.contains("is put back") && said.contains("All sign-ins have ended"), "{said}");
    assert_eq!(fs::metadata(home.database()).unwrap().permissions().mode() & 0o777, 0o600);
    let left = file_names(&home.data());
    assert!(left.iter().all(|name| !name.contains("restore")), "{left:?}");
    let server = Server::start(&home, &[]);
    // Whoever was signed in is not: the ids of later users are given out again.
    server.again(&ada).api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    let ada = server.log_in("ada").await;
    for (number, id) in before.iter().enumerate() {
        assert_eq!(ada.token_of(*id).await, format!("token {number}"));
    }
    println!("a backup under load: {written} writes meanwhile, {} of before are back", before.len());
}

#[test]
fn what_is_no_backup_is_not_put_back() {
    let home = Home::new();
    home.run_with(&["user", "add", "ada", "--email", "ada@example.org"], &[], PASSWORD).ok();
    fs::copy(home.database(), home.path().join("copied.db")).unwrap();
    home.run(&["backup", "--to", "whole"], &[]).ok();
    let whole = fs::read(home.path().join("whole")).unwrap();
    fs::write(home.path().join("half"), &whole[..whole.len() / 2]).unwrap();
    fs::write(home.path().join("empty"), "").unwrap();
    lose_the_database(&home);
    for file in ["copied.db", "half", "empty", "nowhere"] {
        let error = home.run(&["restore", "--from", file], &[]).refused();
        assert!(!error.is_empty() && !home.database().exists(), "{file}: {error}");
    }
    home.run(&["restore", "--from", "whole"], &[]).ok();
    assert!(home.run(&["user", "list"], &[]).ok().contains("ada"));
    let error = home.run(&["backup", "--to", "no/such/directory/file"], &[]).refused();
    assert!(!error.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_was_spent_since_the_backup_is_tried_once_and_what_came_of_it_is_said() {
    let sandbox = SandboxProcess::start(3600);
    let env = sandbox.env(free_port());
    let home = Home::new();
    let server = Server::start(&home, &borrowed(&env));
    // Of three people: enough for the provider to look as if it refused everybody.
    let mut spent = Vec::new();
    let mut unspent = Vec::new();
    for name in ["ada", "bob", "cyd"] {
        let user = server.user(name).await;
        spent.push((name, sandbox.bring_grants(&user, &format!("{name}-spent"), 2).await));
        unspent.push((name, sandbox.bring_grants(&user, &format!("{name}-unspent"), 1).await));
    }
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    home.run(&["backup", "--to", "night.backup"], &borrowed(&env)).ok();
    for (name, ids) in &spent {
        let user = server.log_in(name).await;
        for id in ids {
            user.token_of(*id).await;
        }
    }
    assert_eq!(sandbox.seen("refreshes").await, 6);
    server.process.kill();
    lose_the_database(&home);
    let said = home.run(&["restore", "--from", "night.backup"], &borrowed(&env)).ok();
    assert!(said.contains("9 grants may have been refreshed since the backup"), "{said}");

    let server = Server::start(&home, &borrowed(&env));
    let began = std::time::Instant::now();
    for (name, ids) in &spent {
        let user = server.log_in(name).await;
        for id in ids {
            let refused = user.get_token(*id).await.expect_error(409, "reconnect_required");
            let why = refused.text("message");
            assert!(why.contains("put back from a backup of"), "{why}");
            // It was tried once, and is not tried again.
            user.get_token(*id).await.expect_error(409, "reconnect_required");
            assert_eq!(user.detail(*id).await["state"], "reconnect_required");
        }
    }
    assert_eq!((sandbox.seen("reuses_detected").await, sandbox.seen("refresh_attempts").await), (6, 12));
    // The provider was as well as ever: nobody else waits for it.
    for (name, ids) in &unspent {
        let user = server.log_in(name).await;
        for id in ids {
            let token = user.token_of(*id).await;
            assert_eq!(sandbox.userinfo(&token).await, StatusCode::OK);
            assert_eq!(user.detail(*id).await["state"], "ok");
        }
    }
    println!("after a restore: 6 spent tokens named, 3 others good, in {:.1?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_beside_the_original_that_lives_on_costs_it_nothing() {
    let sandbox = SandboxProcess::start(3600);
    let mut env = sandbox.env(free_port());
    let home = Home::new();
    let server = Server::start(&home, &borrowed(&env));
    let ada = server.user("ada").await;
    let ids = sandbox.bring_grants(&ada, "ada", 3).await;
    let plain = ada.add("mine", "spotify", "a pasted token").await;
    home.run(&["backup", "--to", "night.backup"], &borrowed(&env)).ok();

    let other = Home::new();
    fs::create_dir(other.data()).unwrap();
    fs::copy(home.data().join("master.key"), other.data().join("master.key")).unwrap();
    fs::copy(home.path().join("night.backup"), other.path().join("night.backup")).unwrap();
    env.retain(|(name, _)| *name != "TOKENRY_LISTEN" && *name != "TOKENRY_PUBLIC_URL");
    env.push(("TOKENRY_REFRESH_AHEAD", "true".to_owned()));
    let said = other.run(&["restore", "--from", "night.backup", "--copy"], &borrowed(&env)).ok();
    assert!(said.contains("3 grants stay with the original"), "{said}");
    let copy = Server::start(&other, &borrowed(&env));
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;

    let visitor = copy.log_in("ada").await;
    for id in &ids {
        // It has ended by now, and nobody here gets the next.
        let why = visitor.get_token(*id).await.expect_error(409, "handed_over").text("message");
        assert!(why.contains("the original keeps it fresh"), "{why}");
        assert_eq!(visitor.detail(*id).await["state"], "handed_over");
    }
    assert_eq!(visitor.token_of(plain).await, "a pasted token");
    // To delete it in the copy ends nothing at the provider.
    visitor.api.delete(&visitor.path(&format!("connection/delete/{}", ids[0]))).await.expect(StatusCode::OK);
    for id in &ids {
        let token = ada.token_of(*id).await;
        assert_eq!(sandbox.userinfo(&token).await, StatusCode::OK);
    }
    assert_eq!((sandbox.seen("reuses_detected").await, sandbox.seen("revocations").await), (0, 0));
    // And a session of one is none of the other.
    visitor.api.get("/api/auth/user").await.expect(StatusCode::OK);
    let mut stranger = server.api();
    stranger.token.clone_from(&visitor.api.token);
    stranger.get("/api/auth/user").await.expect_error(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_looked_at_and_its_own_tools_are_named_and_what_they_put_back_is_in_doubt() {
    let url = tokio::task::spawn_blocking(|| tokenry_postgres::Server::shared().database()).await.unwrap();
    let home = Home::new();
    let env = [("TOKENRY_DATABASE_URL", url.as_str())];
    home.run_with(&["user", "add", "ada", "--email", "ada@example.org"], &env, PASSWORD).ok();
    let said = home.run(&["backup", "--to", "night.dump"], &env).ok();
    for part in ["PostgreSQL", "pg_dump", "pg_basebackup", "1  users", "restore --already-there"] {
        assert!(said.contains(part), "no {part}: {said}");
    }
    assert!(!home.path().join("night.dump").exists());
    let error = home.run(&["restore", "--from", "night.dump"], &env).refused();
    assert!(error.contains("pg_restore"), "{error}");

    let server = Server::start(&home, &env);
    let ada = server.log_in("ada").await;
    ada.add("mine", "spotify", "a pasted token").await;
    let (status, _, log) = server.stop();
    assert!(status.success(), "{log}");
    let said = home.run(&["restore", "--already-there"], &env).ok();
    assert!(said.contains("0 grants may have been refreshed"), "{said}");
    let server = Server::start(&home, &env);
    server.again(&ada).api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    let body = json!({"username": "ada", "password": PASSWORD});
    server.api().post("/api/auth/login", &body).await.expect(StatusCode::OK);
}
