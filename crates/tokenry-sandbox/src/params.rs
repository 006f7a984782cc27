//! Request parameters, read the way RFC 6749 §3.1 and §3.2 want it.

use axum::http::{HeaderMap, header};
use serde_json::Value;

use crate::refused::Refused;

/// The decoded parameters of a query or a form. No `Debug`: there are secrets among them.
#[derive(Clone, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// A parameter without a value counts as absent (RFC 6749 §3.1).
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(encoded);
        Self(pairs.into_owned().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// A JSON object whose members are texts or numbers. `None`: it is none.
    pub(crate) fn parse_json(text: &[u8]) -> Option<Self> {
        let members: serde_json::Map<String, Value> = serde_json::from_slice(text).ok()?;
        let pairs = members.into_iter().map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            Value::Number(number) => Some((name, number.to_string())),
            _ => None,
        });
        let pairs: Option<Vec<_>> = pairs.collect();
        Some(Self(pairs?.into_iter().filter(|(_, value)| !value.is_empty()).collect()))
    }

    /// Gives parameters another name, where there is one for them.
    pub(crate) fn rename(&mut self, other: impl Fn(&str) -> Option<String>) {
        for (name, _) in &mut self.0 {
            if let Some(other) = other(name) {
                *name = other;
            }
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The one value of a parameter. Repeated, it is an error (RFC 6749 §3.1).
    pub(crate) fn one<'p>(&'p self, name: &str) -> Result<Option<&'p str>, Refused> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Refused::InvalidRequest("a parameter is repeated"));
        }
        Ok(value)
    }

    /// Like [`Self::one`], for a parameter that must be there.
    pub(crate) fn required<'p>(&'p self, name: &str, missing: &'static str) -> Result<&'p str, Refused> {
        self.one(name)?.ok_or(Refused::InvalidRequest(missing))
    }

    pub(crate) fn all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The parameters as a query again.
    pub(crate) fn to_query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

/// The token endpoint and its neighbours take forms only (RFC 6749 §3.2 and appendix B).
pub(crate) fn require_form(headers: &HeaderMap) -> Result<(), Refused> {
    if is_content_type(headers, "application/x-www-form-urlencoded") {
        Ok(())
    } else {
        Err(Refused::InvalidRequest("the body must be application/x-www-form-urlencoded"))
    }
}

/// For the quirk of an endpoint that takes JSON only.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Refused> {
    if is_content_type(headers, "application/json") {
        Ok(())
    } else {
        Err(Refused::InvalidRequest("the body must be application/json"))
    }
}

pub(crate) fn is_content_type(headers: &HeaderMap, wanted: &str) -> bool {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_parameter_is_absent_and_a_repeated_one_is_an_error() {
        let params = Params::parse(b"a=1&b=&c=1&c=2");
        assert_eq!(params.one("a"), Ok(Some("1")));
        assert_eq!(params.one("b"), Ok(None));
        assert!(params.one("c").is_err());
        assert_eq!(params.all("c").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_query_written_again_means_the_same() {
        let params = Params::parse(b"a=x+y%26z&scope=r%20w&c=%22%3C");
        assert_eq!(params.to_query(), "a=x+y%26z&scope=r+w&c=%22%3C");
    }
}
