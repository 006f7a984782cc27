//! Clients that sign: assertions (RFC 7523) and secrets that are JWTs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::fixture::{Fixture, refusal, start_odd};

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn public_pem(&self) -> String {
        let der = self.0.public_key().as_der().unwrap();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()))
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

/// The claims, with one of them replaced.
fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

/// Whether a client that says this about itself is known. The refresh token is one that nobody knows.
async fn is_known(fx: &Fixture, more: &[(&str, &str)]) -> bool {
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", "x")];
    form.extend(more);
    let response = fx.http.post(fx.url("/token")).form(&form).send().await.unwrap();
    match refusal(response).await {
        (400, code) if code == "invalid_grant" => true,
        (401, code) if code == "invalid_client" => false,
        other => panic!("{other:?}"),
    }
}

async fn asserts(fx: &Fixture, jwt: &str) -> bool {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    is_known(fx, &[("client_assertion_type", kind), ("client_assertion", jwt)]).await
}

#[tokio::test]
async fn an_assertion_is_good_once_and_only_as_the_rfc_wants_it() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let key = json!({ "public_pem": signer.public_pem() });
    let fx = start_odd(json!({ "token": { "auth": "private_key_jwt", "keys": { "app": key } } })).await;
    let header = json!({ "alg": "ES256" });
    let claims = json!({
        "iss": "app", "sub": "app", "aud": fx.url("/token"), "exp": in_seconds(60), "jti": "1",
    });
    let good = signer.sign(&header, &claims);
    assert!(asserts(&fx, &good).await);
    assert!(!asserts(&fx, &good).await, "its jti was used");
    let issuer = with(&with(&claims, "aud", json!([fx.sandbox.base_url()])), "jti", json!("2"));
    assert!(asserts(&fx, &signer.sign(&header, &issuer)).await, "the issuer is an audience too");

    let fresh = with(&claims, "jti", json!("3"));
    for wrong in [
        with(&fresh, "iss", json!("other")),
        with(&fresh, "sub", json!("other")),
        with(&fresh, "aud", json!("https://p.example")),
        with(&fresh, "exp", json!(in_seconds(-1))),
        with(&fresh, "exp", json!(in_seconds(7200))),
        with(&fresh, "jti", Value::Null),
    ] {
        assert!(!asserts(&fx, &signer.sign(&header, &wrong)).await, "{wrong}");
    }
    assert!(!asserts(&fx, &stranger.sign(&header, &fresh)).await, "another key");
    assert!(!asserts(&fx, &signer.sign(&json!({ "alg": "none" }), &fresh)).await);
    assert!(asserts(&fx, &signer.sign(&header, &fresh)).await, "none of these was what was wrong");
    assert_eq!(refusal(fx.refresh("x").await).await.0, 401, "the secret is not taken");
}

#[tokio::test]
async fn a_signed_secret_must_be_signed_by_the_team_with_the_named_key() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let key = json!({
        "public_pem": signer.public_pem(), "kid": "K1", "team": "T1", "audience": "https://p.example",
    });
    let fx = start_odd(json!({ "token": { "auth": "signed_secret", "keys": { "app": key } } })).await;
    let header = json!({ "alg": "ES256", "kid": "K1" });
    let claims = json!({ "iss": "T1", "sub": "app", "aud": "https://p.example", "exp": in_seconds(3600) });
    let ask = async |secret: String| is_known(&fx, &[("client_id", "app"), ("client_secret", &secret)]).await;
    assert!(ask(signer.sign(&header, &claims)).await);
    assert!(ask(signer.sign(&header, &claims)).await, "it may be used again");
    assert!(!ask(stranger.sign(&header, &claims)).await);
    assert!(!ask(signer.sign(&json!({ "alg": "ES256", "kid": "K2" }), &claims)).await);
    assert!(!ask("s3cret".to_owned()).await);
    for wrong in [
        with(&claims, "iss", json!("T2")),
        with(&claims, "sub", json!("other")),
        with(&claims, "aud", json!("https://q.example")),
        with(&claims, "exp", json!(in_seconds(-1))),
        with(&claims, "exp", json!(in_seconds(20_000_000))),
    ] {
        assert!(!ask(signer.sign(&header, &wrong)).await, "{wrong}");
    }
    fx.sandbox.advance(Duration::from_secs(3601));
    assert!(!ask(signer.sign(&header, &claims)).await, "it is expired by now");
}
