//! `tokenry serve` with no configuration at all.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reqwest::StatusCode;

use crate::process::Home;
use crate::server::{Server, free_port};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn without_any_configuration_it_starts_and_says_what_it_chose() {
    let home = Home::new();
    let mut server = Server::start(&home, &[]);
    server.process.line_with("spotify");
    let (base, said) = (server.base.clone(), server.process.out.text());
    let port = base.rsplit(':').next().unwrap();
    assert!(said.contains("data        data\n"), "{said}");
    assert!(said.contains("generated into data/master.key"), "{said}");
    assert!(said.contains(&format!("public URL  http://localhost:{port}/\n")), "{said}");
    // Spotify does not take the name localhost.
    for (service, host) in
        [("spotify", "127.0.0.1"), ("google", "localhost"), ("github", "localhost"), ("discord", "localhost")]
    {
        let redirect = format!("register http://{host}:{port}/callback there");
        let line = server.process.line_with(&redirect);
        let listed = line.split(": ").last().unwrap().split(", ").any(|listed| listed == service);
        assert!(line.contains("not set up") && listed, "{line} does not list {service}");
        assert!(line.contains("client_id and client_secret of providers.<service>"), "{line}");
    }
    assert_eq!(mode(&home.data()), 0o700);
    assert_eq!(mode(&home.data().join("master.key")), 0o600);
    assert_eq!(mode(&home.database()), 0o600);
    for (path, answer) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        assert_eq!(server.api().get(path).await.expect(StatusCode::OK).body, answer);
    }
    let (status, _, log) = server.stop();
    assert!(status.success(), "{status} {log}");
    assert!(
        log.contains("stopped") && !log.contains('\u{1b}'),
        "colours in a log that no terminal shows: {log}"
    );

    let key = std::fs::read(home.data().join("master.key")).unwrap();
    let mut again = Server::start(&home, &[]);
    again.process.line_with("not set up");
    assert!(!again.process.out.text().contains("generated"), "{}", again.process.out.text());
    assert_eq!(std::fs::read(home.data().join("master.key")).unwrap(), key);
    again.api().get("/readyz").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_redirect_uri_of_a_provider_that_is_ready_is_named_too() {
    let (home, port) = (Home::new(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let mut server = Server::start(
        &home,
        &[
            ("TOKENRY_LISTEN", &listen),
            ("TOKENRY_PUBLIC_URL", "https://tokens.example.org/base"),
            ("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_ID", "the-id"),
            ("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_SECRET", "the-secret"),
            ("TOKENRY_PROVIDERS__GOOGLE__SCOPES", "openid"),
        ],
    );
    assert_eq!(server.base, format!("http://{listen}"));
    let line = server.process.line_with("ready       spotify");
    assert!(line.contains("https://tokens.example.org/base/callback"), "{line}");
    let line = server.process.line_with(", discord,");
    assert!(line.contains("register https://tokens.example.org/base/callback there"), "{line}");
    assert!(
        line.contains("not set up") && line.contains(", discord,") && !line.contains(", spotify,"),
        "{line}"
    );
    let line = server.process.line_with("not set up  google");
    assert!(
        line.ends_with("then set providers.google.client_id and providers.google.client_secret"),
        "{line}"
    );
    assert!(!server.process.out.text().contains("the-secret"));
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = Home::new().run(&["serve"], &[("TOKENRY_LISTEN", &address)]).refused();
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
}
