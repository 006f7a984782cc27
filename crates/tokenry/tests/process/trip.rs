//! The whole trip, the server one process and the provider another.

use reqwest::StatusCode;
use tokenry_testkit::app::TestUser;

use crate::process::Home;
use crate::server::{CLIENT_ID, CLIENT_SECRET, SandboxProcess, Server, borrowed, connect, free_port};

/// From a link to a revoked grant.
async fn walk(server: &Server, sandbox: &SandboxProcess) {
    let user: TestUser = server.user("ada").await;
    let id = connect(&user, &server.base, "ada").await;
    assert_eq!(sandbox.seen("codes_exchanged").await, 1);
    let expired = user.list().await[0]["Token"].as_str().unwrap().to_owned();
    assert_eq!(sandbox.userinfo(&expired).await, StatusCode::UNAUTHORIZED, "it was to be expired");

    sandbox.give_long_tokens().await;
    let fresh = user.token_of(id).await;
    assert_ne!(fresh, expired);
    assert_eq!(sandbox.userinfo(&fresh).await, StatusCode::OK);
    assert_eq!(user.token_of(id).await, fresh);
    assert_eq!((sandbox.seen("refreshes").await, sandbox.seen("reuses_detected").await), (1, 0));

    let path = user.path(&format!("connection/delete/{id}"));
    user.api.delete(&path).await.expect(StatusCode::OK);
    assert_eq!(sandbox.userinfo(&fresh).await, StatusCode::UNAUTHORIZED);
    assert_eq!(sandbox.seen("live_families").await, 0);
}

#[tokio::test]
async fn a_server_configured_by_variables_walks_the_whole_trip() {
    let sandbox = SandboxProcess::start(0);
    let (home, port) = (Home::new(), free_port());
    let env = sandbox.env(port);
    let mut server = Server::start(&home, &borrowed(&env));
    let line = server.process.line_with("ready       sandbox");
    assert!(line.contains(&format!("http://127.0.0.1:{port}/callback/sandbox")), "{line}");
    walk(&server, &sandbox).await;
}

#[tokio::test]
async fn a_server_configured_by_its_file_walks_the_whole_trip() {
    let sandbox = SandboxProcess::start(0);
    let (home, port) = (Home::new(), free_port());
    std::fs::write(home.path().join("client.secret"), format!("{CLIENT_SECRET}\n")).unwrap();
    let file = format!(
        r#"
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
data_dir = "elsewhere"

[outbound]
allow_private = true

[providers.sandbox]
issuer = "{issuer}"
client_id = "{CLIENT_ID}"
client_secret_file = "client.secret"
"#,
        issuer = sandbox.base
    );
    std::fs::write(home.path().join("tokenry.toml"), file).unwrap();
    let server = Server::of(home.spawn(&["serve"], &[]));
    walk(&server, &sandbox).await;
    assert!(home.path().join("elsewhere/tokenry.db").exists());
    assert!(!home.data().exists());
}
