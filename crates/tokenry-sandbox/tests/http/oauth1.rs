//! OAuth 1.0a, from a client that signs by RFC 5849 §3.4 on its own.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response};
use serde_json::Value;
use url::Url;

use crate::fixture::{Fixture, REDIRECT_URI, start};

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A token and its secret.
#[derive(Clone, Default)]
struct Pair {
    token: String,
    secret: String,
}

struct Call<'a> {
    method: Method,
    url: String,
    pair: Pair,
    extra: Vec<(&'a str, &'a str)>,
    nonce: &'a str,
    timestamp: u64,
    client_secret: &'a str,
}

impl<'a> Call<'a> {
    fn new(fx: &Fixture, method: Method, path: &str, nonce: &'a str) -> Self {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (pair, extra) = (Pair::default(), vec![]);
        Self { method, url: fx.url(path), pair, extra, nonce, timestamp, client_secret: "s3cret" }
    }

    async fn send(&self, fx: &Fixture) -> Response {
        let timestamp = self.timestamp.to_string();
        let mut oauth = vec![
            ("oauth_consumer_key", "app"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", &timestamp),
            ("oauth_nonce", self.nonce),
            ("oauth_version", "1.0"),
        ];
        if !self.pair.token.is_empty() {
            oauth.push(("oauth_token", &self.pair.token));
        }
        oauth.extend(&self.extra);
        let url = Url::parse(&self.url).unwrap();
        let mut signed: Vec<_> = oauth.iter().map(|(n, v)| (escape(n), escape(v))).collect();
        signed.extend(url.query_pairs().map(|(n, v)| (escape(&n), escape(&v))));
        signed.sort();
        let signed: Vec<_> = signed.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let bare = self.url.split('?').next().unwrap();
        let base = format!("{}&{}&{}", self.method, escape(bare), escape(&signed.join("&")));
        let key = format!("{}&{}", escape(self.client_secret), escape(&self.pair.secret));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, base.as_bytes()));
        oauth.push(("oauth_signature", &signature));
        let header: Vec<_> = oauth.iter().map(|(n, v)| format!("{}=\"{}\"", escape(n), escape(v))).collect();
        let request = fx.http.request(self.method.clone(), url);
        request.header("authorization", format!("OAuth {}", header.join(", "))).send().await.unwrap()
    }
}

async fn form(response: Response) -> HashMap<String, String> {
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn pair(form: &HashMap<String, String>) -> Pair {
    Pair { token: form["oauth_token"].clone(), secret: form["oauth_token_secret"].clone() }
}

async fn request_token(fx: &Fixture, nonce: &str) -> Pair {
    let mut call = Call::new(fx, Method::POST, "/oauth1/request_token", nonce);
    call.extra.push(("oauth_callback", REDIRECT_URI));
    let answer = form(call.send(fx).await).await;
    assert_eq!(answer["oauth_callback_confirmed"], "true");
    pair(&answer)
}

/// The verifier that comes back with the person.
async fn allow(fx: &Fixture, token: &str) -> String {
    let url = Url::parse_with_params(&fx.url("/oauth1/authorize"), [("oauth_token", token)]).unwrap();
    let page = fx.http.get(url.clone()).send().await.unwrap();
    assert!(page.text().await.unwrap().contains(r#"name="decision""#));
    let back = crate::fixture::callback(&fx.decide(url, &[("decision", "allow"), ("account", "ada")]).await);
    assert_eq!(back["oauth_token"], token);
    back["oauth_verifier"].clone()
}

#[tokio::test]
async fn the_whole_trip_ends_in_a_signed_request_for_the_account() {
    let fx = start().await;
    let temporary = request_token(&fx, "n1").await;
    let mut early = Call::new(&fx, Method::POST, "/oauth1/access_token", "n2");
    early.pair = temporary.clone();
    early.extra.push(("oauth_verifier", "guessed"));
    assert_eq!(early.send(&fx).await.status(), 401, "nobody consented");
    let verifier = allow(&fx, &temporary.token).await;
    let mut call = Call::new(&fx, Method::POST, "/oauth1/access_token", "n3");
    call.pair = temporary;
    call.extra.push(("oauth_verifier", &verifier));
    let answer = form(call.send(&fx).await).await;
    assert_eq!((answer["user_id"].as_str(), answer["screen_name"].as_str()), ("ada", "Ada"));
    call.nonce = "n4";
    assert_eq!(call.send(&fx).await.status(), 401, "temporary credentials work once");

    let mut me = Call::new(&fx, Method::GET, "/oauth1/me?b=2%20x&a=1", "n5");
    me.pair = pair(&answer);
    let who: Value = me.send(&fx).await.json().await.unwrap();
    assert_eq!(who["sub"], "ada");
    assert_eq!(me.send(&fx).await.status(), 401, "the nonce was used");
    me.nonce = "n6";
    assert_eq!(me.send(&fx).await.status(), 200);
    assert_eq!((fx.sandbox.seen().oauth1_tokens, fx.sandbox.seen().api_calls), (1, 3));
    assert_eq!(fx.sandbox.forget_grants_of("ada"), 1);
    me.nonce = "n7";
    assert_eq!(me.send(&fx).await.status(), 401);
}

#[tokio::test]
async fn a_wrong_secret_an_old_timestamp_and_a_strange_callback_are_refused() {
    let fx = start().await;
    let call = || {
        let mut call = Call::new(&fx, Method::POST, "/oauth1/request_token", "n");
        call.extra.push(("oauth_callback", REDIRECT_URI));
        call
    };
    let wrong_secret = Call { client_secret: "wrong", ..call() };
    let old = Call { timestamp: call().timestamp - 301, ..call() };
    let strange = Call { extra: vec![("oauth_callback", "https://evil.example/")], nonce: "m", ..call() };
    let no_callback = Call { extra: vec![], nonce: "o", ..call() };
    for wrong in [wrong_secret, old, strange, no_callback] {
        assert_eq!(wrong.send(&fx).await.status(), 401);
    }
    assert_eq!(call().send(&fx).await.status(), 200, "what was refused has used up no nonce");
}

#[tokio::test]
async fn a_denial_goes_back_and_ends_the_credentials() {
    let fx = start().await;
    let temporary = request_token(&fx, "n1").await;
    let url =
        Url::parse_with_params(&fx.url("/oauth1/authorize"), [("oauth_token", &temporary.token)]).unwrap();
    let back = crate::fixture::callback(&fx.decide(url.clone(), &[("decision", "deny")]).await);
    assert_eq!(back["denied"], temporary.token);
    assert_eq!(fx.http.get(url).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn temporary_credentials_expire() {
    let fx = start().await;
    let temporary = request_token(&fx, "n1").await;
    fx.sandbox.advance(Duration::from_mins(10));
    let url =
        Url::parse_with_params(&fx.url("/oauth1/authorize"), [("oauth_token", &temporary.token)]).unwrap();
    assert_eq!(fx.http.get(url).send().await.unwrap().status(), 400);
}
