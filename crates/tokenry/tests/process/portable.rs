//! `tokenry export` and `tokenry import`: two installations, one provider that notices reuse, and kills in between.

use std::fs;
use std::time::Duration;

use reqwest::StatusCode;
use tokenry_testkit::app::TestUser;

use crate::process::Home;
use crate::server::{SandboxProcess, Server, borrowed, free_port};

const PASSPHRASE: &str = "five words that nobody guesses";
const EXPORT: [&str; 5] = ["export", "--all", "--hand-over", "--to", "out.export"];

/// An installation with a server that renews ahead of time.
struct Place {
    home: Home,
    env: Vec<(&'static str, String)>,
    server: Option<Server>,
}

impl Place {
    fn new(sandbox: &SandboxProcess) -> Self {
        let mut env = sandbox.env(free_port());
        env.push(("TOKENRY_REFRESH_AHEAD", "true".to_owned()));
        let home = Home::new();
        let server = Some(Server::start(&home, &borrowed(&env)));
        Self { home, env, server }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    async fn user(&self, name: &str) -> TestUser {
        self.server().user(name).await
    }

    fn run(&self, args: &[&str]) -> crate::process::Done {
        self.home.run_with(args, &borrowed(&self.env), PASSPHRASE)
    }

    /// Runs a command that is killed at this step.
    fn killed_at(&self, args: &[&str], step: &str) {
        let mut env = borrowed(&self.env);
        env.push(("CRASH_TOKENRY_AT", step));
        let done = self.home.run_with(args, &env, PASSPHRASE);
        assert_eq!(done.status.code(), None, "{step}: it was not killed: {done:?}");
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }
}

fn carry(from: &Place, to: &Place, name: &str) {
    fs::copy(from.file(name), to.file(name)).unwrap();
}

async fn states(user: &TestUser) -> Vec<String> {
    let mut states = Vec::new();
    for each in user.list().await {
        let detail = user.detail(each["ID"].as_i64().unwrap()).await;
        states.push(detail["state"].as_str().unwrap().to_owned());
    }
    states
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_that_are_handed_over_are_refreshed_by_the_other_alone_while_both_run() {
    // So short that both backgrounds are busy all the time.
    let sandbox = SandboxProcess::start(2);
    let (here, there) = (Place::new(&sandbox), Place::new(&sandbox));
    let (ada, bob) = (here.user("ada").await, here.user("bob").await);
    let grants = sandbox.bring_grants(&ada, "ada", 12).await;
    sandbox.bring_grants(&bob, "bob", 4).await;
    ada.add("mine", "spotify", "a pasted token").await;
    sandbox.until("refreshes", 16).await;

    let said = here.run(&EXPORT).ok();
    assert!(
        said.contains("17 connections are in out.export") && said.contains("16 grants were handed"),
        "{said}"
    );
    let bytes = fs::read(here.file("out.export")).unwrap();
    assert!(!bytes.windows(9).any(|part| part == b"a pasted " || part == b"sandbox\","), "it is not sealed");
    carry(&here, &there, "out.export");
    // Not to somebody who is not there, and then nothing at all.
    let (there_ada, error) = (there.user("ada").await, there.run(&["import", "out.export"]).refused());
    assert!(error.contains("bob") && error.contains("nothing was brought in"), "{error}");
    assert!(there_ada.list().await.is_empty());
    let there_bob = there.user("bob").await;
    let said = there.run(&["import", "out.export"]).ok();
    assert!(
        said.contains("17 connections are new here; 0 were") && said.contains("16 grants were"),
        "{said}"
    );
    let said = there.run(&["import", "out.export"]).ok();
    assert!(said.contains("0 connections are new here; 17 were"), "{said}");

    let before = sandbox.seen("refreshes").await;
    sandbox.until("refreshes", before + 48).await;
    assert_eq!(sandbox.seen("reuses_detected").await, 0);
    assert_eq!((there_ada.list().await.len(), there_bob.list().await.len()), (13, 4));
    for each in there_ada.list().await {
        let token = there_ada.token_of(each["ID"].as_i64().unwrap()).await;
        if each["TokenType"] == "sandbox" {
            assert_eq!(sandbox.userinfo(&token).await, StatusCode::OK);
        }
    }
    // Here the last token has ended, and it says where to go.
    for id in grants {
        let why = ada.get_token(id).await.expect_error(409, "handed_over").text("message");
        assert!(why.contains("handed over to another installation"), "{why}");
    }
    assert_eq!(states(&ada).await.iter().filter(|state| *state == "handed_over").count(), 12);
    println!(
        "16 grants handed over while both refresh: {} refreshes, 0 reuses",
        sandbox.seen("refreshes").await
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_a_hand_over_leaves_every_grant_with_one_installation() {
    for step in ["export-written", "export-marked-one", "export-marked"] {
        let sandbox = SandboxProcess::start(2);
        let (here, there) = (Place::new(&sandbox), Place::new(&sandbox));
        let ada = here.user("ada").await;
        let there_ada = there.user("ada").await;
        sandbox.bring_grants(&ada, "ada", 5).await;
        sandbox.until("refreshes", 5).await;
        here.killed_at(&EXPORT, step);
        assert!(!here.file("out.export").exists(), "{step}: it looks whole");
        carry(&here, &there, "out.export.unfinished");
        let error = there.run(&["import", "out.export.unfinished"]).refused();
        assert!(error.contains("never came to its end"), "{step}: {error}");
        let marked = states(&ada).await.iter().filter(|state| *state == "handed_over").count();
        let expected = match step {
            "export-written" => 0,
            "export-marked-one" => 1,
            _ => 5,
        };
        assert_eq!(marked, expected, "{step}");

        // Those that were not marked go on being refreshed; the next run has what they are then.
        let before = sandbox.seen("refreshes").await;
        if marked < 5 {
            sandbox.until("refreshes", before + 4).await;
        }
        let said = here.run(&EXPORT).ok();
        assert!(
            said.contains("went on with an export") && said.contains("5 grants were handed"),
            "{step}: {said}"
        );
        assert!(!here.file("out.export.unfinished").exists(), "{step}");
        carry(&here, &there, "out.export");
        let said = there.run(&["import", "out.export"]).ok();
        assert!(said.contains("5 connections are new here"), "{step}: {said}");
        let before = sandbox.seen("refreshes").await;
        sandbox.until("refreshes", before + 10).await;
        for each in there_ada.list().await {
            let token = there_ada.token_of(each["ID"].as_i64().unwrap()).await;
            assert_eq!(sandbox.userinfo(&token).await, StatusCode::OK, "{step}");
        }
        assert_eq!(sandbox.seen("reuses_detected").await, 0, "{step}");
        assert_eq!(states(&there_ada).await, ["ok"; 5], "{step}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_end_with_their_token_and_become_grants_when_those_are_handed_over() {
    let sandbox = SandboxProcess::start(3);
    let (here, there) = (Place::new(&sandbox), Place::new(&sandbox));
    let (ada, there_ada) = (here.user("ada").await, there.user("ada").await);
    sandbox.bring_grants(&ada, "ada", 3).await;
    ada.add("mine", "spotify", "a pasted token").await;
    sandbox.until("refreshes", 3).await;
    let key = here.home.run(&["key", "generate"], &[]).ok();
    for place in [&here, &there] {
        fs::write(place.file("export.key"), &key).unwrap();
    }
    let said = here.run(&["export", "--user", "ada", "--to", "copies", "--key-file", "export.key"]).ok();
    assert!(said.contains("4 connections") && said.contains("3 grants are copies"), "{said}");
    carry(&here, &there, "copies");
    let error = there.run(&["import", "copies"]).refused();
    assert!(error.contains("--key-file"), "{error}");
    let said = there.run(&["import", "copies", "--key-file", "export.key"]).ok();
    assert!(said.contains("4 connections are new here") && said.contains("3 are copies"), "{said}");
    assert!(said.contains("0 grants were handed over"), "{said}");
    let ids: Vec<i64> = there_ada.list().await.iter().map(|each| each["ID"].as_i64().unwrap()).collect();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut ended = 0;
    for id in &ids {
        let answer = there_ada.get_token(*id).await;
        if answer.status != StatusCode::OK {
            answer.expect_error(409, "handed_over");
            ended += 1;
        }
    }
    assert_eq!(ended, 3);
    // Here nothing has changed.
    for each in ada.list().await {
        ada.token_of(each["ID"].as_i64().unwrap()).await;
    }

    here.run(&["export", "--user", "ada", "--hand-over", "--to", "grants"]).ok();
    carry(&here, &there, "grants");
    let said = there.run(&["import", "grants"]).ok();
    assert!(
        said.contains("0 connections are new here") && said.contains("3 grants were handed over"),
        "{said}"
    );
    for id in &ids {
        there_ada.token_of(*id).await;
    }
    assert_eq!(there_ada.list().await.len(), 4, "the ids stay");
    assert_eq!(sandbox.seen("reuses_detected").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handed_over_and_imported_nowhere_can_be_taken_back() {
    let sandbox = SandboxProcess::start(2);
    let here = Place::new(&sandbox);
    let ada = here.user("ada").await;
    sandbox.bring_grants(&ada, "ada", 3).await;
    let said = here.run(&EXPORT).ok();
    let line = said.lines().find(|line| line.contains("--take-back")).unwrap();
    let export = line.split_whitespace().skip_while(|word| *word != "--take-back").nth(1).unwrap();
    let error = here.run(&["import", "out.export"]).refused();
    assert!(error.contains("made by this installation") && error.contains(export), "{error}");
    let error = here.run(&["export", "--take-back", export]).refused();
    assert!(error.contains("the providers end them for both") && error.contains("--yes"), "{error}");
    assert_eq!(states(&ada).await, ["handed_over"; 3]);
    let said = here.run(&["export", "--take-back", export, "--yes"]).ok();
    assert!(said.contains("3 grants are refreshed here again"), "{said}");
    let before = sandbox.seen("refreshes").await;
    sandbox.until("refreshes", before + 3).await;
    assert_eq!((states(&ada).await, sandbox.seen("reuses_detected").await), (vec!["ok".to_owned(); 3], 0));
    here.run(&["export", "--take-back", export, "--yes"]).refused();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_changed_cut_or_sealed_for_somebody_else_brings_nothing() {
    let sandbox = SandboxProcess::start(3600);
    let (here, there) = (Place::new(&sandbox), Place::new(&sandbox));
    let (ada, there_ada) = (here.user("ada").await, there.user("ada").await);
    for number in 0..4 {
        ada.add(&number.to_string(), "spotify", "a pasted token").await;
    }
    let error = here.home.run_with(&EXPORT, &borrowed(&here.env), "short").refused();
    assert!(error.contains("at least 12 characters"), "{error}");
    here.run(&EXPORT).ok();
    let whole = fs::read(here.file("out.export")).unwrap();
    let import = |bytes: &[u8]| {
        fs::write(there.file("in"), bytes).unwrap();
        there.run(&["import", "in"]).refused()
    };
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for at in [header + 5, header + 60, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(import(&changed).contains("does not open"), "byte {at}");
    }
    for end in [header, whole.len() / 2, whole.len() - 1] {
        assert!(import(&whole[..end]).contains("never came to its end"), "cut at {end}");
    }
    assert!(import(&[&whole[..], b"x"].concat()).contains("does not open"), "something behind the end");
    assert!(import(b"my notes").contains("no export of Tokenry"));
    // A made-up cost takes no machine down.
    let greedy = String::from_utf8(whole[..header].to_vec()).unwrap().replace("m=65536", "m=4294967295");
    assert!(import(&[greedy.as_bytes(), &whole[header..]].concat()).contains("no export of Tokenry"));
    fs::write(there.file("in"), &whole).unwrap();
    let error = there.home.run_with(&["import", "in"], &borrowed(&there.env), "another passphrase").refused();
    assert!(error.contains("does not open"), "{error}");
    assert!(there_ada.list().await.is_empty());
    there.run(&["import", "in"]).ok();
    assert_eq!(there_ada.list().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_this_server_could_not_refresh_is_left_out_and_comes_when_that_is_mended() {
    let sandbox = SandboxProcess::start(3600);
    let here = Place::new(&sandbox);
    let ada = here.user("ada").await;
    sandbox.bring_grants(&ada, "ada", 2).await;
    here.run(&EXPORT).ok();
    let mut there = Place::new(&sandbox);
    there.env.retain(|(name, _)| !name.ends_with("CLIENT_ID"));
    there.env.push(("TOKENRY_PROVIDERS__SANDBOX__CLIENT_ID", "another".to_owned()));
    let owner = there.user("carl").await;
    carry(&here, &there, "out.export");
    let done = there.run(&["import", "out.export", "--user", "carl"]);
    assert!(done.out.contains("belongs to another client"), "{done:?}");
    assert!(done.refused().contains("2 connections did not come"));
    assert!(owner.list().await.is_empty());
    there.env.pop();
    there.env.push(("TOKENRY_PROVIDERS__SANDBOX__CLIENT_ID", crate::server::CLIENT_ID.to_owned()));
    there.run(&["import", "out.export", "--user", "carl"]).ok();
    assert_eq!(owner.list().await.len(), 2);
}
