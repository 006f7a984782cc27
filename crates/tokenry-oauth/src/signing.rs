//! The operator's private key, and the JWTs that it signs (RFC 7515, RFC 7523).

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::OAuthError;
use crate::data::Algorithm;

/// A private key that can sign.
pub(crate) enum SigningKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// The private key cannot be used. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadKey {
    NoPem,
    UnknownKind,
    WrongKind(Algorithm),
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPem => f.write_str("is not PEM with a PKCS#8 key (-----BEGIN PRIVATE KEY-----)"),
            Self::UnknownKind => {
                f.write_str("is neither an RSA key, nor one of the curve P-256, nor Ed25519")
            }
            Self::WrongKind(alg) => {
                write!(f, "cannot sign with {}, which the service asks for", alg.as_str())
            }
        }
    }
}

impl SigningKey {
    /// Reads PEM with a PKCS#8 key (RFC 7468 §10). `only`: the one algorithm that will do.
    pub(crate) fn read(pem: &SecretString, only: Option<Algorithm>) -> Result<Self, BadKey> {
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes()).map_err(|_| BadKey::NoPem)?;
        let der = der.secret_pkcs8_der();
        let key = RsaKeyPair::from_pkcs8(der)
            .map(Self::Rsa)
            .or_else(|_| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self::Ec))
            .or_else(|_| Ed25519KeyPair::from_pkcs8(der).map(Self::Ed))
            .map_err(|_| BadKey::UnknownKind)?;
        match only {
            Some(alg) if alg != key.algorithm() => Err(BadKey::WrongKind(alg)),
            _ => Ok(key),
        }
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::Ec(_) => Algorithm::Es256,
            Self::Ed(_) => Algorithm::EdDsa,
        }
    }

    /// A signed JWT in its compact form (RFC 7515 §7.1).
    pub(crate) fn sign(&self, key_id: Option<&str>, claims: &Value) -> Result<String, OAuthError> {
        let mut header = json!({ "alg": self.algorithm().as_str(), "typ": "JWT" });
        if let Some(id) = key_id {
            header["kid"] = id.into();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = self
            .signature(message.as_bytes())
            .ok_or_else(|| OAuthError::Setup { what: "the private key did not sign".to_owned() })?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Ed(key) => Some(key.sign(message).as_ref().to_vec()),
        }
    }

    /// The public key, as the other side would know it.
    #[cfg(test)]
    pub(crate) fn public(&self) -> Vec<u8> {
        use aws_lc_rs::signature::KeyPair as _;
        match self {
            Self::Rsa(key) => key.public_key().as_ref().to_vec(),
            Self::Ec(key) => key.public_key().as_ref().to_vec(),
            Self::Ed(key) => key.public_key().as_ref().to_vec(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm().as_str())
    }
}

/// 16 random bytes as text: for a `jti` (RFC 7519 §4.1.7) or a nonce (RFC 5849 §3.3).
pub(crate) fn once() -> Result<String, OAuthError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| OAuthError::Setup { what: "the operating system gave no random bytes".to_owned() })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
