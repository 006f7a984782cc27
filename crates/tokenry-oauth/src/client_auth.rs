//! How Tokenry names itself to a provider (RFC 6749 §2.3). One way per request, never two.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::OAuthError;

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
}

impl ClientAuth {
    /// Picks from what a server's metadata offer (RFC 8414 §2, `token_endpoint_auth_methods_supported`;
    /// when the list is missing, Basic is meant).
    ///
    /// `None` when the server offers no way that we know.
    pub(crate) fn pick(offered: Option<&[String]>, has_secret: bool) -> Option<Self> {
        if !has_secret {
            return Some(Self::None);
        }
        let Some(offered) = offered else { return Some(Self::Basic) };
        let has = |word: &str| offered.iter().any(|o| o == word);
        [("client_secret_basic", Self::Basic), ("client_secret_post", Self::Body), ("none", Self::None)]
            .into_iter()
            .find_map(|(word, auth)| has(word).then_some(auth))
    }

    /// Adds the client's name to a request: to its fields, or as the header that is returned.
    pub(crate) fn apply(
        self,
        provider: &str,
        id: &str,
        secret: Option<&SecretString>,
        fields: &mut Vec<(String, String)>,
    ) -> Result<Option<HeaderValue>, OAuthError> {
        if self == Self::None {
            fields.push(("client_id".to_owned(), id.to_owned()));
            return Ok(None);
        }
        let Some(secret) = secret else {
            return Err(OAuthError::NotConfigured {
                provider: provider.to_owned(),
                what: vec!["client_secret"],
            });
        };
        if self == Self::Body {
            fields.push(("client_id".to_owned(), id.to_owned()));
            fields.push(("client_secret".to_owned(), secret.expose_secret().to_owned()));
            return Ok(None);
        }
        let mut header = HeaderValue::try_from(format!("Basic {}", basic(id, secret)))
            .map_err(|_| OAuthError::nonsense("the client id or secret does not fit in a header"))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
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
        assert_eq!(ClientAuth::pick(Some(&both), true), Some(ClientAuth::Basic));
        assert_eq!(ClientAuth::pick(Some(&both), false), Some(ClientAuth::None));
        assert_eq!(ClientAuth::pick(Some(&words(&["client_secret_post"])), true), Some(ClientAuth::Body));
        assert_eq!(ClientAuth::pick(Some(&words(&["none"])), true), Some(ClientAuth::None));
        assert_eq!(ClientAuth::pick(None, true), Some(ClientAuth::Basic));
        assert_eq!(ClientAuth::pick(Some(&words(&["tls_client_auth"])), true), None);
    }

    #[test]
    fn id_and_secret_are_form_encoded_before_basic() {
        assert_eq!(STANDARD.decode(basic("a:b c", &"p%&ü+".into())).unwrap(), b"a%3Ab+c:p%25%26%C3%BC%2B");
    }

    #[test]
    fn a_request_names_the_client_in_one_way() {
        let secret = SecretString::from("s3cret");
        for (auth, header, names) in [
            (ClientAuth::Basic, true, vec![]),
            (ClientAuth::Body, false, vec!["client_id", "client_secret"]),
            (ClientAuth::None, false, vec!["client_id"]),
        ] {
            let mut fields = Vec::new();
            let got = auth.apply("p", "id", Some(&secret), &mut fields).unwrap();
            assert_eq!(got.is_some(), header);
            assert_eq!(fields.iter().map(|f| f.0.as_str()).collect::<Vec<_>>(), names);
        }
        assert!(ClientAuth::Basic.apply("p", "id", None, &mut Vec::new()).is_err());
    }
}
