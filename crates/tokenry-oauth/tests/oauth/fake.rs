//! A provider that answers what it is told to, and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use tokenry_model::{EntropyError, ManualClock, ProviderId, Random, Scopes, SecretString, Timestamp};
use tokenry_oauth::{
    Catalogue, Exchange, OAuth, OAuthError, OutboundPolicy, PkceVerifier, Provider, ProviderSettings,
    TokenSet, Values,
};
use url::Url;

/// 2023-11-14T22:13:20Z.
pub(crate) const NOW_S: i64 = 1_700_000_000;
pub(crate) const SECRET: &str = "cl1ent/s3cret";
pub(crate) const CODE: &str = "c0de-sentinel";
pub(crate) const REFRESH: &str = "r3fresh+sentinel";
pub(crate) const ACCESS: &str = "acc3ss-sentinel";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    /// The fields of a form body.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

pub(crate) struct Fake {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// Answers each request with what `answer` makes of it.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let router = axum::Router::new().fallback(async move |request: Request<Body>| {
            let (head, body) = request.into_parts();
            let headers = head.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()));
            let request = Seen {
                method: head.method.to_string(),
                path: head.uri.to_string(),
                headers: headers.collect(),
                body: String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap(),
            };
            log.lock().unwrap().push(request.clone());
            answer(&request)
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    /// Answers every request with the same.
    pub(crate) async fn answering(status: u16, content_type: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |_| reply(status, content_type, &body)).await
    }

    /// Answers every request with this JSON text and status 200.
    pub(crate) async fn json(body: impl Into<String>) -> Self {
        Self::answering(200, "application/json", body).await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The one request that came.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }

    /// Settings that put every endpoint here.
    pub(crate) fn settings(&self) -> ProviderSettings {
        ProviderSettings {
            authorize_url: Some(self.url.join("authorize").unwrap()),
            token_url: Some(self.url.join("token").unwrap()),
            revoke_url: Some(self.url.join("revoke").unwrap()),
            userinfo_url: Some(self.url.join("me").unwrap()),
            ..client()
        }
    }

    /// A provider of the operator's own with every endpoint here.
    pub(crate) fn provider(&self) -> Arc<Provider> {
        provider("own", self.settings())
    }
}

pub(crate) fn reply(status: u16, content_type: &'static str, body: &str) -> Response {
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    (status, [("content-type", content_type)], body.to_owned()).into_response()
}

/// Client id and secret, and nothing else.
pub(crate) fn client() -> ProviderSettings {
    ProviderSettings {
        client_id: Some("client:id".into()),
        client_secret: Some(SECRET.into()),
        ..ProviderSettings::default()
    }
}

pub(crate) fn provider(word: &str, settings: ProviderSettings) -> Arc<Provider> {
    let configured = BTreeMap::from([(ProviderId::parse(word).unwrap(), settings)]);
    Arc::clone(Catalogue::load(&configured).unwrap().find(word).unwrap())
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_micros(NOW_S * 1_000_000)))
}

/// An engine that may talk to loopback.
pub(crate) fn engine() -> OAuth {
    engine_with(OutboundPolicy { allow_private: true, ..OutboundPolicy::default() })
}

pub(crate) fn engine_with(policy: OutboundPolicy) -> OAuth {
    OAuth::new(policy, clock()).unwrap()
}

pub(crate) fn impatient() -> OAuth {
    let limit = Duration::from_millis(300);
    engine_with(OutboundPolicy {
        allow_private: true,
        timeout: limit,
        connect_timeout: limit,
        ..OutboundPolicy::default()
    })
}

pub(crate) fn verifier() -> PkceVerifier {
    PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into())
}

pub(crate) fn scopes(text: &str) -> Scopes {
    Scopes::split(text, " ")
}

/// Exchanges [`CODE`] at the provider's own token endpoint, without OpenID Connect.
pub(crate) async fn exchange(
    engine: &OAuth,
    provider: &Provider,
    token_url: &Url,
) -> Result<TokenSet, OAuthError> {
    let exchange = Exchange {
        code: &SecretString::from(CODE),
        redirect_uri: &Url::parse("https://t.example/callback").unwrap(),
        verifier: &verifier(),
        nonce: None,
        token_url,
        scopes: &Scopes::default(),
        captured: &Values::new(),
    };
    engine.exchange(provider, exchange).await
}

pub(crate) async fn refresh(engine: &OAuth, provider: &Provider) -> Result<TokenSet, OAuthError> {
    engine.refresh(provider, &SecretString::from(REFRESH), &Scopes::default(), &Values::new()).await
}

/// Refreshes at a fake that gives this one answer.
pub(crate) async fn refresh_at(fake: &Fake) -> Result<TokenSet, OAuthError> {
    refresh(&engine(), &fake.provider()).await
}

/// Random bytes that a test can foresee: 0, 1, 2, …
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        dest.fill_with(|| self.0.fetch_add(1, Ordering::SeqCst));
        Ok(())
    }
}
