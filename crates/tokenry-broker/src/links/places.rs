//! Where a connect link may lead in the end, and who may open one: what the operator allows.

use url::{Host, Url};

use crate::error::BrokerError;

/// The longest return address, in bytes.
const MAX_RETURN: usize = 2048;
/// What is added to a return address. It must not have them already: two answers to one question are none.
const ADDED: [&str; 3] = ["connection", "service", "status"];

/// What pages of other sites may do here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Embedding {
    /// Where people may be sent in the end.
    pub return_to: Vec<ReturnPlace>,
    /// Whose pages may open a link in a window, frame it, and ask.
    pub origins: Vec<WebOrigin>,
}

/// An origin (RFC 6454): https, or http on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// Reads `https://app.example.org`, exactly: no path, no wildcard.
    pub fn parse(text: &str) -> Option<Self> {
        let url = web(text)?;
        (url.path() == "/" && url.query().is_none()).then(|| Self(url.origin().ascii_serialization()))
    }

    /// As browsers write it in `Origin`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place that people may be sent back to: an origin, and a path with all that lies below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnPlace(Url);

impl ReturnPlace {
    /// Reads `https://app.example.org/connected`, without query and fragment.
    pub fn parse(text: &str) -> Option<Self> {
        let url = web(text)?;
        (url.query().is_none() && !hides_a_path(&url)).then_some(Self(url))
    }

    fn holds(&self, url: &Url) -> bool {
        if self.0.origin() != url.origin() {
            return false;
        }
        let (whole, path) = (self.0.path().trim_end_matches('/'), url.path());
        // `/connected` holds `/connected/ada`, and not `/connected-by-somebody-else`.
        path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl std::fmt::Display for ReturnPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Embedding {
    /// A return address that the operator allows.
    pub(super) fn allowed_return(&self, text: &str) -> Result<Url, BrokerError> {
        let wrong = |problem: &str| BrokerError::field("return_to", problem);
        if text.len() > MAX_RETURN {
            return Err(wrong("must be at most 2048 bytes long"));
        }
        let Some(url) = web(text) else {
            return Err(wrong(
                "must be an https address (or http on this machine) without user name and fragment",
            ));
        };
        if hides_a_path(&url) || !self.return_to.iter().any(|place| place.holds(&url)) {
            return Err(wrong(
                "is not below one of the places that this server's operator allows in `return_to`",
            ));
        }
        if url.query_pairs().any(|(name, _)| ADDED.contains(&&*name)) {
            return Err(wrong("must not have the parameters connection, service and status: they are added"));
        }
        Ok(url)
    }

    /// An origin that the operator allows.
    pub(super) fn allowed_origin(&self, text: &str) -> Result<WebOrigin, BrokerError> {
        let named = WebOrigin::parse(text).filter(|origin| self.origins.contains(origin));
        named.ok_or_else(|| {
            let problem = "is not one of the origins that this server's operator allows in `embed_origins`";
            BrokerError::field("origin", problem)
        })
    }
}

/// An address on the web that cannot be read on the way: https, or http on this machine.
fn web(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    let is_loopback = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    // It becomes a part of headers, where other letters have a meaning.
    let plain = url.host_str()?.bytes().all(|b| b.is_ascii_alphanumeric() || b".-[]:".contains(&b));
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (safe && plain && bare).then_some(url)
}

/// A slash in disguise: some servers see through it, and then the path is another one.
fn hides_a_path(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    path.contains("%2f") || path.contains("%5c") || path.contains("%2e") || path.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowing(places: &[&str]) -> Embedding {
        Embedding {
            return_to: places.iter().map(|place| ReturnPlace::parse(place).unwrap()).collect(),
            origins: vec![WebOrigin::parse("https://app.example.org").unwrap()],
        }
    }

    #[test]
    fn a_person_is_sent_below_an_allowed_place_and_nowhere_else() {
        let embedding =
            allowing(&["https://app.example.org/done", "http://localhost:3000", "https://b.example/x/"]);
        for good in [
            "https://app.example.org/done",
            "https://app.example.org/done/",
            "https://app.example.org/done/ada?tab=2",
            "https://APP.example.org:443/done",
            "https://app.example.org/other/../done",
            "http://localhost:3000/anything?a=b",
            "https://b.example/x",
            "https://b.example/x/y",
        ] {
            assert!(embedding.allowed_return(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/done",
            "//app.example.org/done",
            "https://app.example.org/",
            "https://app.example.org/donegal",
            "https://app.example.org/done/../admin",
            "https://app.example.org/done/%2e%2e/admin",
            "https://app.example.org/done/%2e%2e%2fadmin",
            "https://app.example.org/done/..%5cadmin",
            "https://app.example.org/done//evil.example",
            "https://app.example.org/done#fragment",
            "https://app.example.org/done?status=connected",
            "https://app.example.org/done?a=b&connection=7",
            "https://app.example.org/DONE",
            "http://app.example.org/done",
            "https://app.example.org:8443/done",
            "https://user@app.example.org/done",
            "https://app.example.org@evil.example/done",
            "https://app.example.org.evil.example/done",
            "https://evil.example/https://app.example.org/done",
            "javascript:alert(1)",
            "http://localhost:3001/",
            "data:text/html,x",
        ] {
            assert!(embedding.allowed_return(bad).is_err(), "{bad}");
        }
        let long = format!("https://app.example.org/done?{}", "x".repeat(2048));
        assert!(embedding.allowed_return(&long).is_err());
        assert!(Embedding::default().allowed_return("https://app.example.org/done").is_err());
    }

    #[test]
    fn an_origin_is_named_exactly() {
        let embedding = allowing(&[]);
        for good in ["https://app.example.org", "https://app.example.org/", "HTTPS://App.Example.org:443"] {
            assert_eq!(embedding.allowed_origin(good).unwrap().as_str(), "https://app.example.org", "{good}");
        }
        for bad in ["null", "*", "", "https://example.org", "https://app.example.org.evil.example"] {
            assert!(embedding.allowed_origin(bad).is_err(), "{bad}");
        }
        for good in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080", "http://a.localhost"] {
            assert!(WebOrigin::parse(good).is_some(), "{good}");
        }
        for bad in [
            "http://app.example.org",
            "https://*.example.org",
            "https://app.example.org/path",
            "https://app.example.org?q",
            "https://app.example.org#f",
            "https://a;b.example",
            "https://a,b.example",
            "https://a'b.example",
            "app.example.org",
            "ftp://app.example.org",
        ] {
            assert!(WebOrigin::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_place_with_a_query_or_in_the_clear_is_none() {
        for bad in
            ["https://a.example/?x", "https://a.example/#x", "http://a.example/", "https://a.example/a%2fb"]
        {
            assert!(ReturnPlace::parse(bad).is_none(), "{bad}");
        }
    }
}
