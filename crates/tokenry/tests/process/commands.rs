//! `tokenry config …` and `tokenry user …`.

use reqwest::StatusCode;
use serde_json::json;
use tokenry_testkit::app::PASSWORD;

use crate::process::Home;
use crate::server::Server;

#[test]
fn a_check_prints_what_the_configuration_comes_to_and_where_it_is_from_and_no_secret() {
    let home = Home::new();
    std::fs::write(home.path().join("tokenry.toml"), "session_ttl = \"2h\"\n[log]\nformat = \"json\"\n")
        .unwrap();
    let env = [
        ("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_ID", "the-id"),
        ("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_SECRET", "the-secret"),
        ("TOKENRY_METRICS_TOKEN", "the-metrics-token"),
        ("TOKENRY_MASTER_KEY", "the-master-key"),
    ];
    let said = home.run(&["config", "check", "--listen", "127.0.0.1:9999"], &env).ok();
    let line = |key: &str| {
        let found = said.lines().find(|line| line.split_whitespace().next() == Some(key));
        found.unwrap_or_else(|| panic!("no {key} in {said}")).to_owned()
    };
    assert!(line("listen").contains("127.0.0.1:9999") && line("listen").contains("--listen"), "{said}");
    assert!(line("public_url").contains("http://localhost:9999"), "{said}");
    assert!(line("log.format").contains("json") && line("log.format").contains("tokenry.toml"), "{said}");
    assert!(line("providers.spotify.client_id").contains("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_ID"), "{said}");
    for secret in ["the-secret", "the-metrics-token", "the-master-key"] {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(!home.data().exists(), "a check made the data directory");
}

#[test]
fn the_example_is_a_configuration_and_changes_nothing_until_somebody_edits_it() {
    let home = Home::new();
    let plain = home.run(&["config", "check"], &[]).ok();
    let example = home.run(&["config", "example"], &[]).ok();
    std::fs::write(home.path().join("tokenry.toml"), &example).unwrap();
    let with_example = home.run(&["config", "check"], &[]).ok();
    assert_eq!(plain, with_example);
    assert!(example.lines().count() > 50, "{example}");
}

#[test]
fn an_unknown_key_or_variable_is_an_error_that_names_the_nearest() {
    let home = Home::new();
    for command in [&["config", "check"][..], &["serve"], &["user", "list"]] {
        let error = home.run(command, &[("TOKENRY_LISTENN", "127.0.0.1:0")]).refused();
        assert!(error.contains("TOKENRY_LISTENN; did you mean TOKENRY_LISTEN?"), "{error}");
    }
    let error = home.run(&["serve"], &[("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_SECRT", "hush-hush")]).refused();
    assert!(error.contains("did you mean TOKENRY_PROVIDERS__SPOTIFY__CLIENT_SECRET?"), "{error}");
    assert!(!error.contains("hush-hush"), "{error}");
    std::fs::write(home.path().join("tokenry.toml"), "datadir = \"hush-hush\"\n").unwrap();
    let error = home.run(&["serve"], &[]).refused();
    assert!(error.contains("`datadir`") && error.contains("did you mean"), "{error}");
    assert!(error.contains("data_dir") && !error.contains("hush-hush"), "{error}");
    let error = home.run(&["serve", "--config", "other.toml"], &[]).refused();
    assert!(error.contains("other.toml"), "{error}");
    let usage = home.run(&["serv"], &[]);
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
}

#[tokio::test]
async fn the_operator_adds_users_lists_them_and_sets_passwords() {
    let home = Home::new();
    let add = |name: &str, password: &str| {
        home.run_with(&["user", "add", name, "--email", &format!("{name}@example.org")], &[], password)
    };
    assert_eq!(add("ada", &format!("{PASSWORD}\n")).ok(), "ada has the id 1.\n");
    assert!(add("bob", PASSWORD).ok().contains("id 2"), "a last line without an end is a line");
    let error = add("Ada", &format!("{PASSWORD}\n")).refused();
    assert!(error.contains("taken") && !error.contains(PASSWORD), "{error}");
    let error = add("carl", "short\n").refused();
    assert!(error.contains("password") && error.contains("8 characters"), "{error}");
    assert!(add("no name", "long enough, surely\n").refused().contains("username"));
    let list = home.run(&["user", "list"], &[]).ok();
    let names: Vec<_> = list.lines().map(|line| line.split('\t').nth(1).unwrap()).collect();
    assert_eq!(names, ["ada", "bob"], "{list}");

    // While the server runs: who is signed in is signed out at once.
    let server = Server::start(&home, &[]);
    let (ada, bob) = (server.log_in("ada").await, server.log_in("bob").await);
    let said = home.run_with(&["user", "password", "ADA"], &[], "a new and better one\n").ok();
    assert!(said.contains("is set, and their sessions have ended"), "{said}");
    ada.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    ada.api.get(&ada.path("get/connections")).await.expect_error(401, "unauthenticated");
    bob.api.get("/api/auth/user").await.expect(StatusCode::OK);
    let log_in = async |password: &str| {
        server.api().post("/api/auth/login", &json!({"username": "ada", "password": password})).await
    };
    log_in(PASSWORD).await.expect_error(401, "wrong_login");
    log_in("a new and better one").await.expect(StatusCode::OK);
    let error = home.run_with(&["user", "password", "nobody"], &[], "a new and better one\n").refused();
    assert!(error.contains("there is no user \"nobody\""), "{error}");
}

#[tokio::test]
async fn a_closed_door_lets_only_the_operator_add_users() {
    let home = Home::new();
    let env = [("TOKENRY_SIGNUP", "closed")];
    let server = Server::start(&home, &env);
    let body = json!({"username": "ada", "email": "ada@example.org", "password": PASSWORD});
    server.api().post("/api/auth/signup", &body).await.expect_error(403, "signup_closed");
    home.run_with(&["user", "add", "ada", "--email", "ada@example.org"], &env, PASSWORD).ok();
    server.log_in("ada").await;
}
