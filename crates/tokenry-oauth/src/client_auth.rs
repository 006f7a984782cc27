//! How Tokenry names itself to a provider (RFC 6749 §2.3). One way per request, never two.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokenry_model::Timestamp;
use url::Url;

use crate::data::SignedData;
use crate::signing::{SigningKey, once};
use crate::{OAuthError, Provider};

/// What kind of assertion a signed JWT is (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How the client authenticates at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Id and secret in an `Authorization: Basic` header (`client_secret_basic`).
    Basic,
    /// Id and secret among the fields of the body (`client_secret_post`).
    Body,
    /// Only the id, among the fields: a public client.
    None,
    /// The secret alone as the user of an `Authorization: Basic` header, without a password and as it is.
    SecretAsBasicUser,
    /// A JWT that the client signs with its private key (`private_key_jwt`, RFC 7523 §2.2).
    PrivateKeyJwt,
    /// Id and secret among the fields of the body, where the secret is a JWT that the client signs for each request.
    SignedSecret,
}

/// The operator's key and what is said with it.
#[derive(Debug, Clone)]
pub(crate) struct ClientKey {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) key_id: Option<String>,
}

/// A request that names the client: what that adds to it besides its fields.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) header: Option<HeaderValue>,
    /// What was added and must not show in an error.
    pub(crate) secrets: Vec<String>,
}

impl ClientAuth {
    /// Picks from what a server's metadata offer (RFC 8414 §2, `token_endpoint_auth_methods_supported`;
    /// when the list is missing, Basic is meant).
    ///
    /// `None` when the server offers no way that we know and can go.
    pub(crate) fn pick(offered: Option<&[String]>, has_secret: bool, has_key: bool) -> Option<Self> {
        if !has_secret {
            return Some(if has_key { Self::PrivateKeyJwt } else { Self::None });
        }
        let Some(offered) = offered else { return Some(Self::Basic) };
        let has = |word: &str| offered.iter().any(|o| o == word);
        [
            ("client_secret_basic", Self::Basic),
            ("client_secret_post", Self::Body),
            ("private_key_jwt", Self::PrivateKeyJwt),
            ("none", Self::None),
        ]
        .into_iter()
        .find_map(|(word, auth)| (has(word) && (auth != Self::PrivateKeyJwt || has_key)).then_some(auth))
    }

    /// Whether it takes the operator's private key, and not a secret.
    pub(crate) const fn takes_key(self) -> bool {
        matches!(self, Self::PrivateKeyJwt | Self::SignedSecret)
    }

    /// Adds the client's name to a request: to its fields, or as the header that is returned. `to` is the token endpoint,
    /// for which a signature is made unless the data say otherwise.
    pub(crate) fn apply(
        self,
        provider: &Provider,
        to: &Url,
        now: Timestamp,
        fields: &mut Vec<(String, String)>,
    ) -> Result<Named, OAuthError> {
        let id = provider.require_client_id()?;
        let mut named = Named::default();
        let mut add = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
        match self {
            Self::None => add("client_id", id),
            Self::Body => {
                let secret = provider.require_client_secret()?.expose_secret();
                add("client_id", id);
                add("client_secret", secret);
            }
            Self::Basic => {
                let basic = basic(id, provider.require_client_secret()?);
                named.header = Some(basic_header(&basic)?);
                named.secrets.push(basic);
            }
            Self::SecretAsBasicUser => {
                let secret = provider.require_client_secret()?.expose_secret();
                let basic = STANDARD.encode(format!("{secret}:"));
                named.header = Some(basic_header(&basic)?);
                named.secrets.push(basic);
            }
            Self::PrivateKeyJwt => {
                let key = provider.require_key()?;
                let (issued, expires) = span(now, &provider.data.token.signed);
                let claims = json!({
                    "iss": id, "sub": id, "aud": audience(provider, to), "jti": once()?, "iat": issued, "exp": expires,
                });
                let assertion = key.key.sign(key.key_id.as_deref(), &claims)?;
                add("client_id", id);
                add("client_assertion_type", ASSERTION_TYPE);
                add("client_assertion", &assertion);
                named.secrets.push(assertion);
            }
            Self::SignedSecret => {
                let key = provider.require_key()?;
                let team = provider.team_id.as_deref().ok_or_else(|| provider.missing("team_id"))?;
                let (issued, expires) = span(now, &provider.data.token.signed);
                let claims = json!({
                    "iss": team, "sub": id, "aud": audience(provider, to), "iat": issued, "exp": expires,
                });
                let secret = key.key.sign(key.key_id.as_deref(), &claims)?;
                add("client_id", id);
                add("client_secret", &secret);
                named.secrets.push(secret);
            }
        }
        if let Some(secret) = &provider.client_secret {
            named.secrets.push(secret.expose_secret().to_owned());
        }
        Ok(named)
    }
}

/// From when to when a signature holds, in seconds since 1970.
fn span(now: Timestamp, signed: &SignedData) -> (i64, i64) {
    (now.seconds(), now.seconds().saturating_add(signed.ttl_s.into()))
}

fn audience(provider: &Provider, to: &Url) -> String {
    match (provider.data.token.signed.audience.as_deref(), provider.issuer()) {
        (Some("issuer"), Some(issuer)) => issuer.to_string(),
        (None | Some("issuer"), _) => to.to_string(),
        (Some(words), _) => words.to_owned(),
    }
}

/// An `Authorization: Basic` header.
pub(crate) fn basic_header(encoded: &str) -> Result<HeaderValue, OAuthError> {
    let mut header = HeaderValue::try_from(format!("Basic {encoded}"))
        .map_err(|_| OAuthError::nonsense("the client id or secret does not fit in a header"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// Form-encoded first, then Base64 (RFC 6749 §2.3.1): a colon or a letter outside ASCII would be misread
/// otherwise.
pub(crate) fn basic(id: &str, secret: &SecretString) -> String {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    STANDARD.encode(format!("{}:{}", encode(id), encode(secret.expose_secret())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&w| w.to_owned()).collect()
    }

    #[test]
    fn basic_comes_first_then_post_and_a_client_without_a_secret_is_public() {
        let both = words(&["client_secret_post", "client_secret_basic"]);
        let pick = |offered: &[String], has_secret| ClientAuth::pick(Some(offered), has_secret, false);
        assert_eq!(pick(&both, true), Some(ClientAuth::Basic));
        assert_eq!(pick(&both, false), Some(ClientAuth::None));
        assert_eq!(pick(&words(&["client_secret_post"]), true), Some(ClientAuth::Body));
        assert_eq!(pick(&words(&["none"]), true), Some(ClientAuth::None));
        assert_eq!(ClientAuth::pick(None, true, false), Some(ClientAuth::Basic));
        assert_eq!(pick(&words(&["tls_client_auth"]), true), None);
    }

    #[test]
    fn a_key_is_used_where_nothing_else_will_do() {
        let signed = words(&["private_key_jwt"]);
        let either = words(&["private_key_jwt", "client_secret_post"]);
        assert_eq!(ClientAuth::pick(Some(&signed), true, true), Some(ClientAuth::PrivateKeyJwt));
        assert_eq!(ClientAuth::pick(Some(&signed), true, false), None);
        assert_eq!(ClientAuth::pick(Some(&either), true, true), Some(ClientAuth::Body));
        assert_eq!(ClientAuth::pick(Some(&either), false, true), Some(ClientAuth::PrivateKeyJwt));
        assert_eq!(ClientAuth::pick(None, false, true), Some(ClientAuth::PrivateKeyJwt));
    }

    #[test]
    fn id_and_secret_are_form_encoded_before_basic() {
        assert_eq!(STANDARD.decode(basic("a:b c", &"p%&ü+".into())).unwrap(), b"a%3Ab+c:p%25%26%C3%BC%2B");
    }
}
