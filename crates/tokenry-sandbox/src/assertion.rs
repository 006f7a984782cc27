//! JWTs by which a client says who it is: assertions (RFC 7523) and secrets that are signed themselves.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::Deserialize;
use serde_json::Value;

use crate::quirks::ClientKey;

/// The one type of assertion there is (RFC 7523 §2.2).
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion that lives longer than this is refused (RFC 7523 §3, item 4).
const LONGEST_ASSERTION: u64 = 3600;
/// A signed secret that lives longer than this is refused: half a year, and a little.
const LONGEST_SECRET: u64 = 15_777_000;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: u64,
    jti: Option<String>,
}

/// The ids of the assertions that were used and could be used again.
#[derive(Default)]
pub(crate) struct UsedIds(Mutex<HashMap<[u8; 32], u64>>);

impl UsedIds {
    /// Whether it is the first time.
    fn is_new(&self, client: &str, jti: &str, exp: u64, now: u64) -> bool {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, format!("{client}\n{jti}").as_bytes()).as_ref());
        let mut used = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if used.len() >= 4096 {
            used.retain(|_, exp| *exp > now);
        }
        used.insert(key, exp).is_none()
    }
}

/// Whether `jwt` is an assertion of this client for one of these audiences, for the first time. `now` is in Unix time.
pub(crate) fn is_assertion(
    jwt: &str,
    client: &str,
    key: &ClientKey,
    audiences: &[String],
    used: &UsedIds,
    now: Duration,
) -> bool {
    let now = now.as_secs();
    let Some(claims) = verified(jwt, key, None) else { return false };
    claims.iss == client
        && claims.sub == client
        && is_for(&claims.aud, audiences)
        && claims.exp > now
        && claims.exp <= now + LONGEST_ASSERTION
        && claims.jti.is_some_and(|jti| used.is_new(client, &jti, claims.exp, now))
}

/// Whether `jwt` is a secret that this client signed. `now` is in Unix time.
pub(crate) fn is_signed_secret(
    jwt: &str,
    client: &str,
    key: &ClientKey,
    issuer: &str,
    now: Duration,
) -> bool {
    let now = now.as_secs();
    let Some(claims) = verified(jwt, key, Some("ES256")) else { return false };
    let audience = key.audience.clone().unwrap_or_else(|| issuer.to_owned());
    key.team.as_ref().is_none_or(|team| claims.iss == *team)
        && claims.sub == client
        && is_for(&claims.aud, &[audience])
        && claims.exp > now
        && claims.exp <= now + LONGEST_SECRET
}

fn is_for(aud: &Value, audiences: &[String]) -> bool {
    match aud {
        Value::String(aud) => audiences.contains(aud),
        Value::Array(list) => list.iter().any(|aud| is_for(aud, audiences)),
        _ => false,
    }
}

/// The claims, if the signature and the `kid` are the key's. `none` and HMAC are no algorithms here.
fn verified(jwt: &str, key: &ClientKey, only: Option<&str>) -> Option<Claims> {
    let (signed, signature) = jwt.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    if only.is_some_and(|only| header.alg != only) || (key.kid.is_some() && header.kid != key.kid) {
        return None;
    }
    let algorithm: &'static dyn VerificationAlgorithm = match header.alg.as_str() {
        "ES256" => &ECDSA_P256_SHA256_FIXED,
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "EdDSA" => &ED25519,
        _ => return None,
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let public = from_pem(&key.public_pem)?;
    UnparsedPublicKey::new(algorithm, public).verify(signed.as_bytes(), &signature).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn from_pem(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (text, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()
}
