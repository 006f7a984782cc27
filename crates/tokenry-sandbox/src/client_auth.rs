//! Who is calling the token endpoint: HTTP Basic or the body, one of them (RFC 6749 §2.3.1), or as the quirks say.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_lc_rs::constant_time;
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;

use crate::{
    assertion::{ASSERTION_TYPE, UsedIds, is_assertion, is_signed_secret},
    fresh::Key,
    options::Client,
    params::Params,
    quirks::{Auth, Quirks},
    refused::Refused,
};

/// The clients of this sandbox, by id.
pub(crate) struct Clients {
    known: HashMap<String, Known>,
    used: UsedIds,
}

struct Known {
    id: Arc<str>,
    client: Client,
    secret: Key,
}

/// The way in which the caller must say who it is, and what is needed to check it.
pub(crate) struct How<'a> {
    pub(crate) auth: Auth,
    pub(crate) quirks: &'a Quirks,
    pub(crate) issuer: &'a str,
    /// In Unix time.
    pub(crate) now: Duration,
}

impl Clients {
    pub(crate) fn new(clients: Vec<Client>) -> Self {
        let known = clients.into_iter().map(|client| {
            let secret = Key::of(client.secret.expose_secret());
            (client.id.clone(), Known { id: Arc::from(client.id.as_str()), client, secret })
        });
        Self { known: known.collect(), used: UsedIds::default() }
    }

    pub(crate) fn find(&self, id: &str) -> Option<(&Arc<str>, &Client)> {
        self.known.get(id).map(|known| (&known.id, &known.client))
    }

    /// Names the caller, or refuses it. Two methods in one request are an `invalid_request`.
    pub(crate) fn authenticate(
        &self,
        how: &How<'_>,
        headers: &HeaderMap,
        params: &Params,
    ) -> Result<&Arc<str>, Refused> {
        let body_id = params.one("client_id")?;
        let body_secret = params.one("client_secret")?;
        let header = headers.get(header::AUTHORIZATION);
        let allowed = match how.auth {
            Auth::Any => true,
            Auth::Basic | Auth::SecretAsBasicUser => body_secret.is_none() && header.is_some(),
            Auth::Body | Auth::SignedSecret => header.is_none() && body_secret.is_some(),
            Auth::None | Auth::PrivateKeyJwt => header.is_none() && body_secret.is_none(),
        };
        if !allowed {
            return Err(Refused::InvalidClient);
        }
        match how.auth {
            Auth::Any | Auth::Basic | Auth::Body => self.by_secret(headers, body_id, body_secret),
            Auth::None => self.public(body_id),
            Auth::SecretAsBasicUser => self.by_secret_as_user(headers, body_id),
            Auth::PrivateKeyJwt => self.by_assertion(how, params, body_id),
            Auth::SignedSecret => self.by_signed_secret(how, body_id, body_secret),
        }
    }

    fn public(&self, id: Option<&str>) -> Result<&Arc<str>, Refused> {
        let known = id.and_then(|id| self.known.get(id)).ok_or(Refused::InvalidClient)?;
        Ok(&known.id)
    }

    fn by_secret(
        &self,
        headers: &HeaderMap,
        body_id: Option<&str>,
        body_secret: Option<&str>,
    ) -> Result<&Arc<str>, Refused> {
        let (id, secret) = match headers.get(header::AUTHORIZATION) {
            Some(_) if body_secret.is_some() => {
                return Err(Refused::InvalidRequest("two client authentication methods in one request"));
            }
            Some(value) => {
                let (id, secret) = value.to_str().ok().and_then(parse_basic).ok_or(Refused::InvalidClient)?;
                if body_id.is_some_and(|body_id| body_id != id) {
                    return Err(Refused::InvalidRequest("client_id differs from the Authorization header"));
                }
                (id, secret)
            }
            None => match (body_id, body_secret) {
                (Some(id), Some(secret)) => (id.to_owned(), secret.to_owned()),
                _ => return Err(Refused::InvalidClient),
            },
        };
        self.known
            .get(&id)
            .filter(|known| known.has_secret(&secret))
            .map(|known| &known.id)
            .ok_or(Refused::InvalidClient)
    }

    /// The secret alone must say who it is, so it is looked for among all clients.
    fn by_secret_as_user(&self, headers: &HeaderMap, body_id: Option<&str>) -> Result<&Arc<str>, Refused> {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let pair = value.and_then(decode_basic).ok_or(Refused::InvalidClient)?;
        // As it is, and not form-encoded: those who want this do not know of RFC 6749 §2.3.1.
        let user = pair.strip_suffix(':').ok_or(Refused::InvalidClient)?;
        let known = self.known.values().find(|known| known.has_secret(user));
        known
            .filter(|known| body_id.is_none_or(|id| id == &*known.id))
            .map(|known| &known.id)
            .ok_or(Refused::InvalidClient)
    }

    /// RFC 7523 §2.2. The client's id need not be said besides.
    fn by_assertion(
        &self,
        how: &How<'_>,
        params: &Params,
        body_id: Option<&str>,
    ) -> Result<&Arc<str>, Refused> {
        if params.one("client_assertion_type")? != Some(ASSERTION_TYPE) {
            return Err(Refused::InvalidClient);
        }
        let assertion = params.one("client_assertion")?.ok_or(Refused::InvalidClient)?;
        let audiences = [how.issuer.to_owned(), format!("{}/token", how.issuer)];
        let keys = how.quirks.token.keys.iter().filter(|(id, _)| body_id.is_none_or(|body| body == *id));
        for (id, key) in keys {
            if is_assertion(assertion, id, key, &audiences, &self.used, how.now) {
                return self.public(Some(id));
            }
        }
        Err(Refused::InvalidClient)
    }

    fn by_signed_secret(
        &self,
        how: &How<'_>,
        id: Option<&str>,
        secret: Option<&str>,
    ) -> Result<&Arc<str>, Refused> {
        let id = id.ok_or(Refused::InvalidClient)?;
        let key = how.quirks.token.keys.get(id).ok_or(Refused::InvalidClient)?;
        if !secret.is_some_and(|jwt| is_signed_secret(jwt, id, key, how.issuer, how.now)) {
            return Err(Refused::InvalidClient);
        }
        self.public(Some(id))
    }
}

impl Known {
    fn has_secret(&self, secret: &str) -> bool {
        let given = Key::of(secret);
        constant_time::verify_slices_are_equal(self.secret.as_bytes(), given.as_bytes()).is_ok()
    }
}

/// User and password. Both are form-encoded inside Basic, which many clients forget.
fn parse_basic(value: &str) -> Option<(String, String)> {
    let decoded = decode_basic(value)?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn decode_basic(value: &str) -> Option<String> {
    let (scheme, credentials) = value.split_once(' ')?;
    let decoded =
        STANDARD.decode(credentials.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    String::from_utf8(decoded).ok()
}

fn form_decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn clients() -> Clients {
        Clients::new(vec![Client { id: "a:b c".to_owned(), secret: "p+ä%".into(), redirect_uris: vec![] }])
    }

    fn ask(headers: &HeaderMap, params: &Params) -> Result<String, Refused> {
        let quirks = Quirks::default();
        let how = How { auth: Auth::Any, quirks: &quirks, issuer: "http://127.0.0.1", now: Duration::ZERO };
        clients().authenticate(&how, headers, params).map(ToString::to_string)
    }

    fn basic(text: &str) -> HeaderMap {
        let value = format!("basic {}", STANDARD.encode(text));
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap())])
    }

    #[test]
    fn basic_credentials_are_form_decoded_first() {
        let none = Params::parse(b"");
        assert_eq!(ask(&basic("a%3Ab+c:p%2B%C3%A4%25"), &none).unwrap(), "a:b c");
        assert_eq!(ask(&basic("a%3Ab+c:p+ä%"), &none), Err(Refused::InvalidClient));
    }

    #[test]
    fn a_secret_as_the_user_is_taken_as_it_is() {
        let client = Client { id: "app".to_owned(), secret: "s: %2B+".into(), redirect_uris: vec![] };
        let (clients, quirks) = (Clients::new(vec![client]), Quirks::default());
        let how = How {
            auth: Auth::SecretAsBasicUser,
            quirks: &quirks,
            issuer: "http://127.0.0.1",
            now: Duration::ZERO,
        };
        let ask = |text| clients.authenticate(&how, &basic(text), &Params::parse(b"")).is_ok();
        assert!(ask("s: %2B+:"));
        for wrong in ["s: %2B+", "s: %2B+:x", "s%3A+%252B%2B:", "app:s: %2B+"] {
            assert!(!ask(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_body_works_alone_and_never_beside_basic() {
        let body = Params::parse("client_id=a:b+c&client_secret=p%2Bä%25".as_bytes());
        assert!(ask(&HeaderMap::new(), &body).is_ok());
        let both = ask(&basic("a%3Ab+c:p%2B%C3%A4%25"), &body).err();
        assert!(matches!(both, Some(Refused::InvalidRequest(_))));
    }

    #[test]
    fn an_id_in_the_body_must_be_the_one_in_the_header() {
        let header = basic("a%3Ab+c:p%2B%C3%A4%25");
        assert!(ask(&header, &Params::parse(b"client_id=a:b+c")).is_ok());
        assert!(ask(&header, &Params::parse(b"client_id=other")).is_err());
    }

    #[test]
    fn nobody_and_a_wrong_secret_are_refused() {
        let wrong = Params::parse(b"client_id=a:b+c&client_secret=x");
        assert_eq!(ask(&HeaderMap::new(), &wrong), Err(Refused::InvalidClient));
        let nobody = Params::parse(b"client_id=a:b+c");
        assert_eq!(ask(&HeaderMap::new(), &nobody), Err(Refused::InvalidClient));
    }
}
