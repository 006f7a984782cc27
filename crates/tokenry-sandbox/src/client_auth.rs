//! Who is calling the token endpoint: HTTP Basic or the body, one of them (RFC 6749 §2.3.1).

use std::{collections::HashMap, sync::Arc};

use aws_lc_rs::constant_time;
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;

use crate::{fresh::Key, options::Client, params::Params, refused::Refused};

/// The clients of this sandbox, by id.
pub(crate) struct Clients(HashMap<String, Known>);

struct Known {
    id: Arc<str>,
    client: Client,
    secret: Key,
}

impl Clients {
    pub(crate) fn new(clients: Vec<Client>) -> Self {
        let known = clients.into_iter().map(|client| {
            let secret = Key::of(client.secret.expose_secret());
            // Only the digest stays.
            let client = Client { secret: String::new().into(), ..client };
            (client.id.clone(), Known { id: Arc::from(client.id.as_str()), client, secret })
        });
        Self(known.collect())
    }

    pub(crate) fn find(&self, id: &str) -> Option<(&Arc<str>, &Client)> {
        self.0.get(id).map(|known| (&known.id, &known.client))
    }

    /// Names the caller, or refuses it. Two methods in one request are an `invalid_request`.
    pub(crate) fn authenticate(&self, headers: &HeaderMap, params: &Params) -> Result<&Arc<str>, Refused> {
        let body_id = params.one("client_id")?;
        let body_secret = params.one("client_secret")?;
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
                (Some(id), Some(secret)) => (id.to_owned(), Key::of(secret)),
                _ => return Err(Refused::InvalidClient),
            },
        };
        let known = self.0.get(&id).ok_or(Refused::InvalidClient)?;
        constant_time::verify_slices_are_equal(known.secret.as_bytes(), secret.as_bytes())
            .map_err(|_| Refused::InvalidClient)?;
        Ok(&known.id)
    }
}

/// Id and digest of the secret. Both are form-encoded inside Basic, which many clients forget.
fn parse_basic(value: &str) -> Option<(String, Key)> {
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decode(id)?, Key::of(&form_decode(secret)?)))
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

    fn basic(text: &str) -> HeaderMap {
        let value = format!("basic {}", STANDARD.encode(text));
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap())])
    }

    #[test]
    fn basic_credentials_are_form_decoded_first() {
        let none = Params::parse(b"");
        assert_eq!(**clients().authenticate(&basic("a%3Ab+c:p%2B%C3%A4%25"), &none).unwrap(), *"a:b c");
        assert_eq!(clients().authenticate(&basic("a%3Ab+c:p+ä%"), &none), Err(Refused::InvalidClient));
    }

    #[test]
    fn the_body_works_alone_and_never_beside_basic() {
        let body = Params::parse("client_id=a:b+c&client_secret=p%2Bä%25".as_bytes());
        assert!(clients().authenticate(&HeaderMap::new(), &body).is_ok());
        let both = clients().authenticate(&basic("a%3Ab+c:p%2B%C3%A4%25"), &body).err();
        assert!(matches!(both, Some(Refused::InvalidRequest(_))));
    }

    #[test]
    fn an_id_in_the_body_must_be_the_one_in_the_header() {
        let header = basic("a%3Ab+c:p%2B%C3%A4%25");
        assert!(clients().authenticate(&header, &Params::parse(b"client_id=a:b+c")).is_ok());
        assert!(clients().authenticate(&header, &Params::parse(b"client_id=other")).is_err());
    }

    #[test]
    fn nobody_and_a_wrong_secret_are_refused() {
        let wrong = Params::parse(b"client_id=a:b+c&client_secret=x");
        assert_eq!(clients().authenticate(&HeaderMap::new(), &wrong), Err(Refused::InvalidClient));
        let nobody = Params::parse(b"client_id=a:b+c");
        assert_eq!(clients().authenticate(&HeaderMap::new(), &nobody), Err(Refused::InvalidClient));
    }
}
