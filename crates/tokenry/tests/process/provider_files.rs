//! Provider files, and SIGHUP, which reads them again.

use std::path::PathBuf;

use reqwest::StatusCode;
use tokenry_testkit::app::TestUser;

use crate::process::Home;
use crate::server::{SandboxProcess, Server, borrowed, connect, free_port};

const CLIENT: [(&str, &str); 2] = [
    ("TOKENRY_PROVIDERS__ACME__CLIENT_ID", "acme-id"),
    ("TOKENRY_PROVIDERS__ACME__CLIENT_SECRET", "acme-s3cret"),
];

fn acme(id: &str) -> String {
    format!(
        "id = \"{id}\"\nname = \"Acme\"\n[authorize]\nurl = \"https://login.acme.example/authorize\"\n\
         [token]\nurl = \"https://login.acme.example/token\"\n"
    )
}

/// Puts a file into the default providers directory.
fn put(home: &Home, name: &str, text: &str) -> PathBuf {
    let dir = home.data().join("providers");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// The status of asking for a link to connect a service.
async fn asked(user: &TestUser, service: &str) -> StatusCode {
    user.api.get(&format!("/api/user/connection/access/token/{service}")).await.status
}

#[tokio::test]
async fn a_new_provider_file_is_live_after_sighup_and_a_broken_one_changes_nothing() {
    let home = Home::new();
    // Its client is configured by the file, so that the services can be configured while it runs.
    let config = home.path().join("tokenry.toml");
    std::fs::write(&config, "").unwrap();
    let server = Server::start(&home, &[]);
    let user = server.user("ada").await;
    assert_eq!(asked(&user, "acme").await, StatusCode::UNPROCESSABLE_ENTITY);

    let file = put(&home, "acme.toml", &acme("acme"));
    std::fs::write(home.path().join("secret"), "acme-s3cret\n").unwrap();
    std::fs::write(&config, "[providers.acme]\nclient_id = \"acme-id\"\nclient_secret_file = \"secret\"\n")
        .unwrap();
    server.process.hang_up();
    let line = server.process.err.line_with("the services were read again").unwrap();
    assert!(line.contains("added=\"acme\"") && line.contains("changed=\"\""), "{line}");
    assert!(line.contains("removed=\"\""), "{line}");
    let (link, _) = user.link("acme").await;
    assert!(link.starts_with("https://login.acme.example/authorize?"), "{link}");
    assert!(link.contains("callback%2Facme") && link.contains("acme-id"), "{link}");

    std::fs::write(&file, acme("acme").replace("https", "ftp")).unwrap();
    server.process.hang_up();
    let line = server.process.err.line_with("the services stay as they were").unwrap();
    assert!(line.contains("ERROR") && line.contains("provider files are refused, for 2 reasons"), "{line}");
    server.process.err.line_with("acme.toml, line 4").unwrap();
    assert_eq!(asked(&user, "acme").await, StatusCode::OK);

    std::fs::write(&file, acme("acme").replace("login.acme", "id.acme")).unwrap();
    std::fs::write(&config, "[providers.acme]\nclient_idd = \"hush\"\n").unwrap();
    server.process.hang_up();
    let line = server.process.err.line_with("client_idd").unwrap();
    assert!(line.contains("the services stay as they were") && !line.contains("hush"), "{line}");
    assert!(user.link("acme").await.0.starts_with("https://login.acme.example/"));

    std::fs::write(&config, "[providers.acme]\nclient_id = \"acme-id\"\nclient_secret_file = \"secret\"\n")
        .unwrap();
    server.process.hang_up();
    server.process.err.line_with("changed=\"acme\"").unwrap();
    assert!(user.link("acme").await.0.starts_with("https://id.acme.example/"));

    std::fs::remove_file(&file).unwrap();
    std::fs::write(&config, "").unwrap();
    server.process.hang_up();
    server.process.err.line_with("removed=\"acme\"").unwrap();
    assert_eq!(asked(&user, "acme").await, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _, err) = server.stop();
    assert!(status.success(), "{err}");
    assert!(!err.contains("acme-s3cret"), "{err}");
}

#[tokio::test]
async fn a_service_described_by_a_file_alone_is_connected() {
    let sandbox = SandboxProcess::start(3600);
    let (home, port) = (Home::new(), free_port());
    put(
        &home,
        "sandbox.toml",
        &format!("id = \"sandbox\"\nname = \"Sandbox\"\nissuer = \"{}\"\n", sandbox.base),
    );
    let env: Vec<_> = sandbox.env(port).into_iter().filter(|(name, _)| !name.ends_with("ISSUER")).collect();
    assert_eq!(env.len(), sandbox.env(port).len() - 1);
    let server = Server::of(home.spawn(&["serve"], &borrowed(&env)));
    let user = server.user("ada").await;
    connect(&user, &server.base, "ada").await;
    assert_eq!(sandbox.seen("codes_exchanged").await, 1);
}

#[test]
fn a_providers_directory_that_is_named_must_be_there() {
    let home = Home::new();
    home.run(&["config", "check"], &[]).ok();
    let env = [("TOKENRY_PROVIDERS_DIR", "nowhere")];
    for command in [&["config", "check"][..], &["serve"], &["user", "list"]] {
        let error = home.run(command, &env).refused();
        assert!(
            error.contains("TOKENRY_PROVIDERS_DIR names the directory nowhere, which is not there"),
            "{error}"
        );
    }
    assert!(!home.data().exists());
    std::fs::create_dir(home.path().join("nowhere")).unwrap();
    let said = home.run(&["config", "check"], &env).ok();
    assert!(said.contains("providers_dir"), "{said}");
}

#[test]
fn a_broken_provider_file_stops_the_start_and_the_check_and_is_named() {
    let home = Home::new();
    put(&home, "acme.toml", &acme("acme").replace("[token]", "[tokens]"));
    // What an editor leaves behind is not read.
    put(&home, ".acme.toml.swp", "junk");
    put(&home, ".#acme.toml", "junk");
    put(&home, "README", "junk");
    for command in [&["config", "check"][..], &["serve"]] {
        let error = home.run(command, &CLIENT).refused();
        assert!(error.contains("data/providers/acme.toml, line 5: unknown field `tokens`"), "{error}");
    }
    put(&home, "acme.toml", &acme("acme"));
    home.run(&["config", "check"], &CLIENT).ok();
}

#[tokio::test]
async fn many_hang_ups_do_not_end_the_server() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    for _ in 0..20 {
        server.process.hang_up();
    }
    server.process.err.line_with("the services were read again").unwrap();
    assert_eq!(server.api().get("/healthz").await.status, StatusCode::OK);
}
