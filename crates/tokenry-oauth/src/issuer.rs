//! An issuer's name. It is compared as text, so it is kept as text.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

/// The URL by which an OpenID Connect provider or an authorization server calls itself (RFC 8414 §2).
///
/// Kept as it was written: `https://id.example` and `https://id.example/` are two issuers, and a [`Url`]
/// would make them one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Issuer(String);

/// The text is not an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an issuer is a URL such as https://id.example.org, without user name, query or fragment")]
pub struct InvalidIssuer;

impl Issuer {
    /// Reads an issuer.
    ///
    /// # Errors
    /// [`InvalidIssuer`] when it is not an `http` or `https` URL, or has a user name, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        let url = Url::parse(text).map_err(|_| InvalidIssuer)?;
        let fits = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && text == text.trim();
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidIssuer) }
    }

    /// The issuer as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where its description may be: OpenID Connect Discovery 1.0 §4 first, then RFC 8414 §3.1.
    pub(crate) fn well_known(&self) -> Result<[Url; 2], InvalidIssuer> {
        let base = self.0.trim_end_matches('/');
        let openid =
            Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(|_| InvalidIssuer)?;
        let mut oauth = Url::parse(base).map_err(|_| InvalidIssuer)?;
        let path = oauth.path().trim_end_matches('/').to_owned();
        oauth.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
        Ok([openid, oauth])
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Issuer {
    type Error = InvalidIssuer;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Issuer> for String {
    fn from(issuer: Issuer) -> Self {
        issuer.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_keeps_its_last_slash_and_is_described_at_two_places() {
        for (text, openid, oauth) in [
            (
                "https://id.example",
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.example/realms/a/",
                "https://id.example/realms/a/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server/realms/a",
            ),
        ] {
            let issuer = Issuer::parse(text).unwrap();
            assert_eq!(issuer.as_str(), text);
            let urls = issuer.well_known().unwrap();
            assert_eq!([urls[0].as_str(), urls[1].as_str()], [openid, oauth]);
        }
    }

    #[test]
    fn what_is_no_plain_url_is_no_issuer() {
        for text in [
            "",
            "id.example",
            "ftp://id.example",
            "https://u:p@id.example",
            "https://id.example?a",
            "https://id.example#a",
        ] {
            assert_eq!(Issuer::parse(text), Err(InvalidIssuer), "{text}");
        }
    }
}
