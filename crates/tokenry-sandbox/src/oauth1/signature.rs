//! Requests that are signed (RFC 5849 §3): what is signed, and whether the signature is good.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use axum::http::{Method, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::{incoming::Incoming, params::is_content_type};

/// RFC 5849 §3.6: everything but letters, digits and these four is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The `oauth_` parameters of a request, and all that is signed with them.
pub(super) struct Signed {
    oauth: BTreeMap<String, String>,
    base_string: Vec<u8>,
}

impl Signed {
    /// Reads them from the `Authorization` header (§3.5.1); query and form are signed with it. `None` where one comes
    /// twice or there is none.
    pub(super) fn read(issuer: &str, incoming: &Incoming) -> Option<Self> {
        let value = incoming.header(header::AUTHORIZATION.as_str())?;
        let (scheme, list) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("oauth") {
            return None;
        }
        let mut oauth = BTreeMap::new();
        for item in list.split(',') {
            let (name, value) = item.trim().split_once('=')?;
            let value = value.strip_prefix('"')?.strip_suffix('"')?;
            if oauth.insert(unescape(name)?, unescape(value)?).is_some() {
                return None;
            }
        }
        let mut pairs: Vec<(String, String)> = oauth
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "realm" | "oauth_signature"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let query = incoming.uri.query().unwrap_or_default();
        pairs.extend(url::form_urlencoded::parse(query.as_bytes()).into_owned());
        if is_content_type(&incoming.headers, "application/x-www-form-urlencoded") {
            pairs.extend(url::form_urlencoded::parse(&incoming.body).into_owned());
        }
        let url = Url::parse(&format!("{issuer}{}", incoming.uri.path())).ok()?;
        let base_string = base_string(&incoming.method, &url, &pairs).into_bytes();
        Some(Self { oauth, base_string })
    }

    /// A parameter; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.oauth.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether it is signed with these two secrets (§3.4.2).
    pub(super) fn is_signed_with(&self, client_secret: &str, token_secret: &str) -> bool {
        let key = format!("{}&{}", escape(client_secret), escape(token_secret));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
        let tag = self.get("oauth_signature").and_then(|text| STANDARD.decode(text).ok());
        self.get("oauth_signature_method") == Some("HMAC-SHA1")
            && tag.is_some_and(|tag| hmac::verify(&key, &self.base_string, &tag).is_ok())
    }
}

/// RFC 5849 §3.4.1.
fn base_string(method: &Method, url: &Url, pairs: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (escape(name), escape(value))).collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    format!("{method}&{}&{}", escape(bare.as_str()), escape(&pairs.join("&")))
}

pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn unescape(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_string_of_rfc_5849_section_3_4_1_1_comes_out() {
        let url = Url::parse("http://EXAMPLE.COM:80/request").unwrap();
        let pairs = [
            ("b5", "=%3D"),
            ("a3", "a"),
            ("c@", ""),
            ("a2", "r b"),
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
            ("c2", ""),
            ("a3", "2 q"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let expected = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D\
                        %26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a\
                        %26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7";
        assert_eq!(base_string(&Method::POST, &url, &pairs), expected);
    }
}
