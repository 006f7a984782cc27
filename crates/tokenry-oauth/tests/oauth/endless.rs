//! Providers that never come to an end: everything that is asked of them does, within the policy's time and size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokenry_model::Scopes;
use tokenry_oauth::{AuthorizeRequest, Grant, Issuer, OAuth, OAuthError, Provider, ProviderSettings, Values};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::fake::{
    ACCESS, Fake, REFRESH, client, exchange, impatient, provider, refresh, reply, scopes, verifier,
};

/// In which way a provider does not come to an end.
#[derive(Debug, Clone, Copy)]
enum Endless {
    /// One header after the other, as fast as they are taken.
    Headers,
    /// A header now and then.
    SlowHeaders,
    /// A body without a length, as fast as it is taken.
    Body,
    /// A byte of a body now and then.
    SlowBody,
    /// A body of a length that nobody has.
    HugeBody,
    /// The way back to the same place.
    Redirects,
    /// Nothing at all.
    Silence,
}

const ALL: [Endless; 7] = [
    Endless::Headers,
    Endless::SlowHeaders,
    Endless::Body,
    Endless::SlowBody,
    Endless::HugeBody,
    Endless::Redirects,
    Endless::Silence,
];

/// A server that answers in an endless way, and counts who came and how much they took.
struct Server {
    url: Url,
    came: Arc<AtomicUsize>,
    took: Arc<AtomicUsize>,
}

impl Server {
    async fn start(way: Endless) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let (came, took) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (counts, bytes) = (Arc::clone(&came), Arc::clone(&took));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counts.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(stream, way, Arc::clone(&bytes)));
            }
        });
        Self { url, came, took }
    }
}

async fn answer(mut stream: TcpStream, way: Endless, took: Arc<AtomicUsize>) {
    let _ = stream.read(&mut [0; 8192]).await;
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let slowly = Some(Duration::from_millis(20));
    let (head, part, pause) = match way {
        Endless::Headers => (ok.to_owned(), format!("x-filler: {}\r\n", "x".repeat(1000)), None),
        Endless::SlowHeaders => (ok.to_owned(), "x: y\r\n".to_owned(), slowly),
        Endless::Body => {
            let part = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
            (format!("{ok}transfer-encoding: chunked\r\n\r\n"), part, None)
        }
        Endless::SlowBody => {
            (format!("{ok}transfer-encoding: chunked\r\n\r\n"), "1\r\n \r\n".to_owned(), slowly)
        }
        Endless::HugeBody => (format!("{ok}content-length: 999999999999999\r\n\r\n"), " ".to_owned(), slowly),
        Endless::Redirects => {
            let _ = stream
                .write_all(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /\r\ncontent-length: 0\r\n\r\n")
                .await;
            return;
        }
        Endless::Silence => {
            // Until the other side has had enough.
            let _ = stream.read(&mut [0; 1]).await;
            return;
        }
    };
    let mut text = head;
    loop {
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
        took.fetch_add(text.len(), Ordering::SeqCst);
        text.clone_from(&part);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

/// A provider whose issuer is well and whose endpoints are all at `endless`.
async fn described(endless: &Url) -> Arc<Provider> {
    let at = endless.clone();
    let issuer = Fake::start(move |seen| {
        let host = seen.header("host").unwrap();
        let metadata = format!(
            r#"{{"issuer":"http://{host}","authorization_endpoint":"{at}a","token_endpoint":"{at}t",
               "revocation_endpoint":"{at}r","userinfo_endpoint":"{at}u","device_authorization_endpoint":"{at}d",
               "pushed_authorization_request_endpoint":"{at}p","require_pushed_authorization_requests":true,
               "token_endpoint_auth_methods_supported":["client_secret_basic"]}}"#
        );
        reply(200, "application/json", &metadata)
    })
    .await;
    by_issuer(&issuer.url)
}

fn by_issuer(url: &Url) -> Arc<Provider> {
    let issuer = Issuer::parse(url.as_str().trim_end_matches('/')).unwrap();
    provider("own", ProviderSettings { issuer: Some(issuer), ..client() })
}

async fn authorize(engine: &OAuth, provider: &Provider) -> Result<(), OAuthError> {
    let request = AuthorizeRequest {
        redirect_uri: &Url::parse("https://t.example/callback").unwrap(),
        state: "state",
        verifier: &verifier(),
        nonce: None,
        scopes: &scopes("openid"),
    };
    engine.authorize(provider, request).await.map(drop)
}

/// Everything that is ever asked of a provider, by name, and how it ended.
async fn everything(
    engine: &OAuth,
    provider: &Provider,
    at: &Url,
) -> Vec<(&'static str, Result<(), OAuthError>)> {
    let grant = Grant { access: ACCESS.into(), refresh: Some(REFRESH.into()) };
    let none = Scopes::default();
    vec![
        ("exchange", exchange(engine, provider, &at.join("t").unwrap()).await.map(drop)),
        ("refresh", refresh(engine, provider).await.map(drop)),
        ("revoke", engine.revoke(provider, &grant).await),
        ("identify", engine.identify_with(provider, &ACCESS.into()).await.map(drop)),
        ("pushed request", authorize(engine, provider).await),
        ("device", engine.device_begin(provider, &none).await.map(drop)),
        ("device poll", engine.device_poll(provider, &"code".into(), &none).await.map(drop)),
        ("client credentials", engine.client_credentials(provider, &none).await.map(drop)),
    ]
}

#[tokio::test]
async fn whatever_is_asked_of_a_provider_that_never_ends_comes_to_an_end() {
    for way in ALL {
        let endless = Server::start(way).await;
        let provider = described(&endless.url).await;
        let outcomes = everything(&impatient(), &provider, &endless.url).await;
        for (what, outcome) in &outcomes {
            let error = outcome.as_ref().expect_err(what);
            let bounded = matches!(error, OAuthError::Unavailable { .. } | OAuthError::Nonsense { .. });
            assert!(bounded, "{what} of {way:?}: {error:?}");
        }
        // One request each: neither a redirect is followed nor anything tried twice.
        assert_eq!(endless.came.load(Ordering::SeqCst), outcomes.len(), "{way:?}");
        // 1 MiB is read at most; what else left the server lies in the buffers of two sockets.
        let took = endless.took.load(Ordering::SeqCst) / outcomes.len();
        assert!(took < 16 << 20, "{way:?}: {took} bytes for each");
    }
}

#[tokio::test]
async fn an_issuer_that_never_ends_is_away() {
    for way in ALL {
        let endless = Server::start(way).await;
        let provider = by_issuer(&endless.url);
        let error = authorize(&impatient(), &provider).await.unwrap_err();
        let bounded = matches!(error, OAuthError::Unavailable { .. } | OAuthError::Nonsense { .. });
        assert!(bounded, "{way:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_address_that_never_ends_is_looked_at_and_left() {
    for way in ALL {
        let endless = Server::start(way).await;
        let provider = described(&endless.url).await;
        let probes = impatient().probe(&provider).await;
        assert!(probes.len() >= 5, "{probes:?}");
        assert!(endless.came.load(Ordering::SeqCst) <= probes.len(), "{way:?}");
    }
}

#[tokio::test]
async fn a_refresh_at_a_huge_body_is_no_success() {
    let endless = Server::start(Endless::HugeBody).await;
    let settings = ProviderSettings {
        authorize_url: Some(endless.url.clone()),
        token_url: Some(endless.url.clone()),
        ..client()
    };
    let engine = impatient();
    let error = engine
        .refresh(&provider("own", settings), &REFRESH.into(), &Scopes::default(), &Values::new())
        .await
        .unwrap_err();
    assert!(matches!(&error, OAuthError::Nonsense { what } if what.contains("longer than")), "{error:?}");
}
