//! A name that changes its answer between two look-ups. Real name servers do not do it on demand, so the look-up is one of
//! ours; the sockets are real.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method};
use tokenry_model::SystemClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use crate::policy::{Found, Names};
use crate::wire::{Answer, Call, Wire};
use crate::{OAuthError, OutboundPolicy};

/// Gives one list of addresses after the other, and the last one from then on.
#[derive(Debug)]
struct Fickle {
    answers: Mutex<Vec<Vec<SocketAddr>>>,
    asked: AtomicUsize,
}

impl Fickle {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let list =
            |texts: &&[&str]| texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect();
        Arc::new(Self { answers: Mutex::new(answers.iter().map(list).collect()), asked: AtomicUsize::new(0) })
    }
}

impl Names for Fickle {
    fn look_up(&self, _: String) -> Found {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let found = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok::<_, io::Error>(found) })
    }
}

/// A server that answers each connection once, and counts them.
async fn server() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let seen = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")
                .await;
        }
    });
    (port, count)
}

async fn get(wire: &Wire, url: &str) -> Result<Answer, OAuthError> {
    let url = Url::parse(url).unwrap();
    let (headers, fields) = (HeaderMap::new(), None);
    wire.send(Call { method: Method::GET, url: &url, authorization: None, headers, fields, secrets: &[] })
        .await
}

fn wire(allow_private: bool, names: &Arc<Fickle>) -> Wire {
    let policy = OutboundPolicy { allow_private, ..OutboundPolicy::default() };
    let names: Arc<dyn Names> = Arc::clone(names) as _;
    Wire::with_names(policy, Arc::new(SystemClock), &names).unwrap()
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_the_address_that_was_checked_is_the_one_connected_to() {
    let (port, count) = server().await;
    // Whoever looked it up a second time, to connect, would be at the metadata service of a cloud.
    let names = Fickle::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let wire = wire(true, &names);
    let url = format!("http://id.example:{port}/token");
    get(&wire, &url).await.unwrap();
    assert_eq!((names.asked.load(Ordering::SeqCst), count.load(Ordering::SeqCst)), (1, 1));

    // The next connection is judged by what the name says then.
    let Err(error) = get(&wire, &url).await else { panic!("it went to the metadata service") };
    assert!(matches!(error, OAuthError::Forbidden { .. }), "{error:?}");
    assert_eq!((names.asked.load(Ordering::SeqCst), count.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test]
async fn a_name_that_comes_to_lead_to_this_machine_is_not_followed() {
    let (port, count) = server().await;
    for inside in
        ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "10.0.0.1", "100.64.0.1", "0.0.0.0"]
    {
        let names = Fickle::new(&[&[inside]]);
        let Err(error) = get(&wire(false, &names), &format!("https://id.example:{port}/token")).await else {
            panic!("{inside} was asked")
        };
        assert!(matches!(error, OAuthError::Forbidden { .. }), "{inside}: {error:?}");
    }
    // One bad address is enough, wherever it stands.
    for mixed in [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"]] {
        let names = Fickle::new(&[&mixed]);
        let refused = get(&wire(false, &names), &format!("https://id.example:{port}/token")).await;
        assert!(matches!(refused, Err(OAuthError::Forbidden { .. })), "{mixed:?}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}
