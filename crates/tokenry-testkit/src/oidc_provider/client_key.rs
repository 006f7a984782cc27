//! A private key for a client that signs instead of sending a secret (RFC 7523 §2.2). Made for one server, kept nowhere.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde_json::{Value, json};

/// By what the server knows the key.
pub(super) const KEY_ID: &str = "made for this test";

/// What a client signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with 2048 bits: RS256.
    Rsa,
    /// The curve P-256: ES256.
    P256,
    /// Ed25519: `EdDSA`.
    Ed25519,
}

/// A fresh key pair.
pub(super) struct ClientKey {
    kind: KeyKind,
    pkcs8: Vec<u8>,
    public: Value,
}

/// What kind it is, and nothing of what is in it.
impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientKey").field(&self.kind).finish()
    }
}

impl ClientKey {
    pub(super) fn generate(kind: KeyKind) -> Self {
        let made = match kind {
            KeyKind::Rsa => rsa(),
            KeyKind::P256 => p256(),
            KeyKind::Ed25519 => ed25519(),
        };
        let (pkcs8, public) = made.unwrap_or_else(|_| panic!("no {kind:?} key could be made"));
        Self { kind, pkcs8, public }
    }

    /// The algorithm's name in a JWT (RFC 7518 §3.1, RFC 8037 §3.1).
    pub(super) fn algorithm(&self) -> &'static str {
        match self.kind {
            KeyKind::Rsa => "RS256",
            KeyKind::P256 => "ES256",
            KeyKind::Ed25519 => "EdDSA",
        }
    }

    /// The private key as an operator has it: PEM with PKCS#8 (RFC 7468 §10).
    pub(super) fn pem(&self) -> SecretString {
        let text = STANDARD.encode(&self.pkcs8);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")).into()
    }

    /// The public key as the server has it (RFC 7517).
    pub(super) fn public_jwk(&self) -> Value {
        let mut jwk = self.public.clone();
        jwk["kid"] = KEY_ID.into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm().into();
        jwk
    }
}

type Made = Result<(Vec<u8>, Value), aws_lc_rs::error::Unspecified>;

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> Made {
    let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let pkcs8 = AsDer::<Pkcs8V1Der>::as_der(&key)?.as_ref().to_vec();
    let public = key.public_key();
    let (n, e) = (public.modulus(), public.exponent());
    let n = encoded(n.big_endian_without_leading_zero());
    let e = encoded(e.big_endian_without_leading_zero());
    Ok((pkcs8, json!({"kty": "RSA", "n": n, "e": e})))
}

fn p256() -> Made {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?.as_ref().to_vec();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
        .map_err(|_| aws_lc_rs::error::Unspecified)?;
    // An uncompressed point: 4, x, y (SEC 1 §2.3.3).
    let point = key.public_key().as_ref();
    let (x, y) = (encoded(&point[1..33]), encoded(&point[33..65]));
    Ok((pkcs8, json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})))
}

fn ed25519() -> Made {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new())?.as_ref().to_vec();
    let key = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| aws_lc_rs::error::Unspecified)?;
    Ok((pkcs8, json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_key().as_ref())})))
}
