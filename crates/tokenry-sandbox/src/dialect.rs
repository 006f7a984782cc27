//! Reads requests in a provider's own words and turns them into the standard's.

use axum::http::{HeaderMap, Method as HttpMethod};

use crate::{
    incoming::Incoming,
    params::{Params, require_form, require_json},
    quirks::{Encoding, Method, Names, Quirks},
    refused::Refused,
};

/// How one endpoint is asked.
pub(crate) struct Dialect<'q> {
    pub(crate) method: Method,
    pub(crate) encoding: Encoding,
    pub(crate) rename: &'q Names,
    pub(crate) drop: Vec<&'q str>,
    pub(crate) require: Vec<&'q Names>,
}

impl<'q> Dialect<'q> {
    /// The exchange of a code, and the grants that are no refresh.
    pub(crate) fn of_token(quirks: &'q Quirks) -> Self {
        let token = &quirks.token;
        Self {
            method: token.method,
            encoding: token.encoding,
            rename: &token.rename,
            drop: token.drop.iter().map(String::as_str).collect(),
            require: vec![&token.require],
        }
    }

    pub(crate) fn of_refresh(quirks: &'q Quirks) -> Self {
        let mut dialect = Self { method: quirks.refresh.method, ..Self::of_token(quirks) };
        dialect.drop.extend(quirks.refresh.drop.iter().map(String::as_str));
        dialect.require = vec![&quirks.refresh.require];
        dialect
    }

    pub(crate) fn of_revoke(quirks: &'q Quirks) -> Self {
        Self {
            method: quirks.revoke.method,
            encoding: quirks.revoke.encoding,
            rename: &quirks.token.rename,
            drop: Vec::new(),
            require: vec![&quirks.revoke.require],
        }
    }

    /// The request's fields under the standard's names.
    pub(crate) fn read(&self, incoming: &Incoming) -> Result<Params, Refused> {
        let wanted = match self.method {
            Method::Get => HttpMethod::GET,
            Method::Post => HttpMethod::POST,
            Method::Delete => HttpMethod::DELETE,
        };
        if incoming.method != wanted {
            return Err(Refused::WrongMethod);
        }
        let params = match self.method {
            Method::Get => Params::parse(incoming.uri.query().unwrap_or_default().as_bytes()),
            _ if incoming.body.is_empty() => Params::default(),
            _ => read_body(&incoming.headers, self.encoding, &incoming.body)?,
        };
        self.translate(params).map_err(Refused::InvalidRequest)
    }

    fn translate(&self, params: Params) -> Result<Params, &'static str> {
        for (name, value) in self.require.iter().copied().flatten() {
            if params.all(name).next() != Some(value) {
                return Err("a fixed field is missing or has another value");
            }
        }
        translate(params, self.rename, self.drop.iter().copied())
    }
}

/// The authorization request under the standard's names.
pub(crate) fn authorize(quirks: &Quirks, params: Params) -> Result<Params, &'static str> {
    let words = &quirks.authorize;
    for (name, value) in &words.require {
        if params.all(name).next() != Some(value) {
            return Err("a fixed parameter is missing or has another value");
        }
    }
    translate(params, &words.rename, words.drop.iter().map(String::as_str))
}

fn translate<'d>(
    mut params: Params,
    rename: &Names,
    drop: impl IntoIterator<Item = &'d str>,
) -> Result<Params, &'static str> {
    if drop.into_iter().any(|name| params.has(name)) {
        return Err("a parameter is not taken here");
    }
    // A name that is given to another parameter at the same time is no mistake.
    let taken = |name: &str| rename.values().any(|own| own == name);
    if rename.keys().any(|standard| params.has(standard) && !taken(standard)) {
        return Err("a parameter has another name here");
    }
    params.rename(|name| rename.iter().find(|(_, own)| *own == name).map(|(standard, _)| standard.clone()));
    Ok(params)
}

fn read_body(headers: &HeaderMap, encoding: Encoding, body: &[u8]) -> Result<Params, Refused> {
    match encoding {
        Encoding::Form => {
            require_form(headers)?;
            Ok(Params::parse(body))
        }
        Encoding::Json => {
            require_json(headers)?;
            Params::parse_json(body).ok_or(Refused::InvalidRequest("the body is no JSON object of texts"))
        }
    }
}

/// Whether every header is there with its value.
pub(crate) fn has_headers(incoming: &Incoming, wanted: &Names) -> bool {
    wanted.iter().all(|(name, value)| incoming.header(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_is_taken_for_the_standard_s_and_the_standard_s_is_refused() {
        let rename = Names::from([("client_id".to_owned(), "client_key".to_owned())]);
        let read = |text: &[u8]| translate(Params::parse(text), &rename, ["nonce"]);
        assert_eq!(read(b"client_key=a").unwrap().one("client_id"), Ok(Some("a")));
        assert!(read(b"client_id=a").is_err());
        assert!(read(b"client_key=a&nonce=1").is_err());
    }

    #[test]
    fn two_names_may_be_swapped() {
        let rename = Names::from([("a".to_owned(), "b".to_owned()), ("b".to_owned(), "a".to_owned())]);
        let params = translate(Params::parse(b"a=1&b=2"), &rename, []).unwrap();
        assert_eq!((params.one("a"), params.one("b")), (Ok(Some("2")), Ok(Some("1"))));
    }
}
