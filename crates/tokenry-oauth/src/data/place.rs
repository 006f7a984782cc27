//! URLs with places in them that differ from connection to connection, and what may be put there.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

/// A URL, or the template of one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Place {
    Url(Url),
    /// Holds `{names}`.
    Template(String),
}

impl Place {
    /// The URL, once nothing is left to be filled in.
    pub(crate) const fn url(&self) -> Option<&Url> {
        match self {
            Self::Url(url) => Some(url),
            Self::Template(_) => None,
        }
    }

    /// The names that are still to be filled in.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Url(_) => Vec::new(),
            Self::Template(text) => names(text),
        }
    }

    /// Fills in. What the values may be is for [`Pattern`] to say; here, only that they move no host: a template
    /// whose literal end of the host is not the end of the new host stays a template.
    pub(crate) fn fill(&mut self, values: &BTreeMap<String, String>) {
        let Self::Template(template) = self else { return };
        let mut text = template.clone();
        for (name, value) in values {
            let name = format!("{{{name}}}");
            // A whole URL may end with a slash; what follows it here begins with one.
            let value = if template.starts_with(&name) { value.trim_end_matches('/') } else { value };
            text = text.replace(&name, value);
        }
        if !names(&text).is_empty() {
            *self = Self::Template(text);
        } else if let (Ok(url), Ok(meant)) = (Url::parse(&text), Url::parse(&probe(template)))
            && url.host_str().is_some_and(|host| host.ends_with(&literal_end_of_host(template)))
            && url.username().is_empty()
            && url.password().is_none()
            && (url.scheme(), url.port()) == (meant.scheme(), meant.port())
        {
            *self = Self::Url(url);
        }
    }

    /// The names whose values say whose host it is: those in a host that does not end with a name of the provider's own,
    /// such as `.example.com`.
    pub(crate) fn names_that_decide_the_host(&self) -> Vec<&str> {
        match self {
            Self::Template(template) if literal_end_of_host(template).matches('.').count() < 2 => {
                names_in_host(template)
            }
            _ => Vec::new(),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let probe = probe(&text);
        if probe.contains(['{', '}']) {
            return Err(format!("{text:?} has a brace that belongs to no name"));
        }
        let url = Url::parse(&probe).map_err(|e| format!("{text:?} is no URL: {e}"))?;
        Ok(if probe == text { Self::Url(url) } else { Self::Template(text) })
    }
}

/// The URL with something harmless for each name: `x` is a good host, label and path segment alike. A name at the very
/// beginning stands for a whole URL.
fn probe(text: &str) -> String {
    let mut probe = text.to_owned();
    for name in names(text) {
        let name = format!("{{{name}}}");
        if let Some(rest) = probe.strip_prefix(&name) {
            probe = format!("https://x{rest}");
        }
        probe = probe.replace(&name, "x");
    }
    probe
}

pub(crate) fn names(text: &str) -> Vec<&str> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .filter(|n| is_name(n))
        .collect()
}

/// The names within the host.
pub(crate) fn names_in_host(template: &str) -> Vec<&str> {
    let after_scheme = template.split_once("://").map_or(template, |(_, rest)| rest);
    names(after_scheme.split(['/', '?', '#']).next().unwrap_or_default())
}

/// What follows the last name within the host; empty when the host ends with a name.
fn literal_end_of_host(template: &str) -> String {
    let after_scheme = template.split_once("://").map_or(template, |(_, rest)| rest);
    let host = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    host.rsplit('}').next().unwrap_or_default().to_ascii_lowercase()
}

/// What a setting or a captured value may look like. Named, because a list of names can be checked by eye and by test;
/// a regular expression cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pattern {
    /// One part of a host name: letters, digits and hyphens, at most 63.
    Label,
    /// A host name with a dot in it, and without a port.
    Host,
    /// The end of a host name: `com`, `co.uk`.
    Domain,
    /// 1 to 20 digits.
    Digits,
    /// 1 to 128 letters, digits, `_` and `-`.
    Word,
    /// One part of a path: letters, digits, `.`, `_` and `-`, and no two dots in a row. Not for hosts.
    Segment,
    /// An `https` URL, without user name, query and fragment.
    Url,
}

impl Pattern {
    /// Whether the text looks like that.
    pub(crate) fn fits(self, text: &str) -> bool {
        match self {
            Self::Label => is_label(text),
            Self::Host => text.len() <= 253 && text.contains('.') && is_domain(text),
            Self::Domain => text.len() <= 253 && is_domain(text),
            Self::Digits => (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()),
            Self::Word => {
                (1..=128).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            }
            Self::Segment => {
                (1..=128).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                    && !text.contains("..")
                    && text != "."
            }
            Self::Url => {
                Url::parse(text).is_ok_and(|url| {
                    url.scheme() == "https" && url.username().is_empty() && url.password().is_none()
                }) && !text.contains(['?', '#', '\\'])
            }
        }
    }
}

impl Pattern {
    /// What fits, in words for the person who has to write it.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Label => "letters, digits and hyphens, without dots",
            Self::Host => "a host name, without https:// and without a path",
            Self::Domain => "the end of a host name",
            Self::Digits => "digits only",
            Self::Word => "letters, digits, _ and - only",
            Self::Segment => "letters, digits, dots, _ and - only",
            Self::Url => "a URL that begins with https:// and has no ? and no #",
        }
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Labels with dots between them, and not an address in disguise.
fn is_domain(text: &str) -> bool {
    text.split('.').all(is_label)
        && !text.rsplit('.').next().is_some_and(|l| l.starts_with(|c: char| c.is_ascii_digit()))
}

impl Pattern {
    /// Whether what fits may stand in a host.
    pub(crate) const fn is_for_hosts(self) -> bool {
        matches!(self, Self::Label | Self::Host | Self::Domain)
    }
}

/// A setting that differs from connection to connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What to ask the person for.
    pub title: String,
    pub(crate) pattern: Pattern,
    /// The only values there are.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// What a value looks like.
    pub example: String,
    /// What is used when nobody says.
    pub default: Option<String>,
}

impl Setting {
    /// Whether the value may be used.
    pub fn accepts(&self, value: &str) -> bool {
        self.pattern.fits(value) && (self.one_of.is_empty() || self.one_of.iter().any(|v| v == value))
    }

    /// What a value must be, as the end of a sentence, with the example.
    pub fn in_words(&self) -> String {
        if self.one_of.is_empty() {
            format!("it must be {}, such as {}", self.pattern.in_words(), self.example)
        } else {
            format!("it must be one of {}", self.one_of.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::try_from(text.to_owned()).unwrap()
    }

    fn fill(template: &str, value: &str) -> Option<String> {
        let mut place = place(template);
        place.fill(&BTreeMap::from([("name".to_owned(), value.to_owned())]));
        place.url().map(ToString::to_string)
    }

    #[test]
    fn a_template_becomes_a_url_when_all_is_filled_in() {
        assert_eq!(fill("https://{name}.p.example/a", "acme").as_deref(), Some("https://acme.p.example/a"));
        assert_eq!(fill("https://p.example/{name}/a", "acme").as_deref(), Some("https://p.example/acme/a"));
        assert_eq!(fill("https://{name}/a", "p.example").as_deref(), Some("https://p.example/a"));
        assert_eq!(fill("https://{name}.{other}/a", "acme"), None);
        assert_eq!(place("https://{a}.p.example/{b}").names(), ["a", "b"]);
        assert!(place("https://p.example/a").url().is_some());
        assert_eq!(fill("{name}/api", "https://p.example/").as_deref(), Some("https://p.example/api"));
        assert_eq!(fill("{name}/api", "p.example"), None);
    }

    #[test]
    fn a_value_cannot_move_the_host() {
        for value in
            ["evil.example/", "evil.example#", "evil.example?", "a@evil.example/", "evil.example:80/"]
        {
            assert_eq!(fill("https://{name}.p.example/a", value), None, "{value}");
        }
    }

    #[test]
    fn a_value_moves_neither_scheme_nor_port() {
        for (template, value) in [
            ("{name}/a", "http://p.example"),
            ("{name}/a", "https://p.example:8443"),
            ("{name}/a", "https://u:p@p.example"),
            ("https://p.example{name}/a", ":8443"),
            ("https://p.example{name}/a", "@evil.example"),
        ] {
            assert_eq!(fill(template, value), None, "{template} {value}");
        }
    }

    #[test]
    fn a_name_decides_the_host_unless_the_host_ends_with_a_name_of_the_provider() {
        for (template, decides) in [
            ("https://{name}/a", true),
            ("https://{name}.example/a", true),
            ("https://api.{name}/a", true),
            ("https://x-{name}.com/a", true),
            ("{name}/a", true),
            ("https://{name}.p.example/a", false),
            ("https://p.example/{name}", false),
            ("https://p.example/a?b={name}", false),
        ] {
            assert_eq!(place(template).names_that_decide_the_host().contains(&"name"), decides, "{template}");
        }
    }

    #[test]
    fn a_text_that_is_no_url_is_an_error() {
        for text in [
            "p.example",
            "https://",
            "https://{Name}.p.example/",
            "https://{a.example/",
            "https://a}.example/",
        ] {
            assert!(Place::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_let_through_what_they_say() {
        use Pattern::{Digits, Domain, Host, Label, Segment, Url, Word};
        for (pattern, good, bad) in [
            (Label, vec!["acme", "a-1", "A"], vec!["", "-a", "a-", "a.b", "a/b", "a b", "ä", "a@b"]),
            (
                Host,
                vec!["p.example", "a.b.c"],
                vec!["localhost", "127.0.0.1", "a..b", "a.b:80", "a.b/c", "1.2"],
            ),
            (Domain, vec!["com", "co.uk"], vec!["", ".com", "com.", "1"]),
            (Digits, vec!["1", "0123"], vec!["", "1a", "-1", "123456789012345678901"]),
            (
                Segment,
                vec!["common", "acme.example", "7f-1"],
                vec!["", "..", ".", "a/b", "a?b", "a%2fb", "a..b"],
            ),
            (Word, vec!["a_B-1"], vec!["", "a b", "a/b"]),
            (
                Url,
                vec!["https://p.example", "https://p.example/a/b"],
                vec![
                    "http://p.example",
                    "p.example",
                    "https://u@p.example",
                    "https://p.example/?a",
                    "https://p.example#a",
                ],
            ),
        ] {
            for text in good {
                assert!(pattern.fits(text), "{pattern:?} {text:?}");
            }
            for text in bad {
                assert!(!pattern.fits(text), "{pattern:?} {text:?}");
            }
        }
        assert!(!Label.fits(&"a".repeat(64)));
    }
}
