//! Cookies, as a browser keeps them (RFC 6265), as far as tests on loopback need it.

use url::Url;

/// Where a cookie goes along when the request comes from another site (RFC 6265bis §5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Only with requests from the same site.
    Strict,
    /// Also when a person follows a link or a redirect here. What a cookie gets that says nothing.
    Lax,
    /// Always.
    None,
}

/// One cookie of a [`Browser`](super::Browser).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value, as it was sent.
    pub value: String,
    /// The host that set it. `127.0.0.1` and `localhost` are two hosts; ports make no difference.
    pub host: String,
    /// The path below which it is sent.
    pub path: String,
    /// Whether it is hidden from scripts.
    pub http_only: bool,
    /// Whether it may only travel over TLS. Browsers make an exception for loopback, and so does this one.
    pub secure: bool,
    /// Whether it goes along from other sites.
    pub same_site: SameSite,
    /// The life it asked for, in seconds. Not acted upon, but for zero and less, which deletes it.
    pub max_age_s: Option<i64>,
}

/// All cookies of one browser.
#[derive(Clone, Debug, Default)]
pub(super) struct Jar {
    cookies: Vec<Cookie>,
}

impl Jar {
    pub(super) fn all(&self) -> &[Cookie] {
        &self.cookies
    }

    pub(super) fn remove_if(&mut self, unwanted: impl Fn(&Cookie) -> bool) {
        self.cookies.retain(|cookie| !unwanted(cookie));
    }

    /// Takes one `Set-Cookie` line that came from `url`. A browser drops a line it does not like without a word,
    /// so this does too.
    pub(super) fn store(&mut self, url: &Url, line: &str) {
        let Some((cookie, gone)) = parse(url, line) else { return };
        self.cookies
            .retain(|old| (&old.name, &old.host, &old.path) != (&cookie.name, &cookie.host, &cookie.path));
        if !gone {
            self.cookies.push(cookie);
        }
    }

    /// The `Cookie` header for a request to `url`. `from_other_site`: whether a page of another site caused it;
    /// `posts`: whether it is a POST.
    pub(super) fn header(&self, url: &Url, from_other_site: bool, posts: bool) -> Option<String> {
        let mut fitting: Vec<&Cookie> = self
            .cookies
            .iter()
            .filter(|cookie| Some(cookie.host.as_str()) == url.host_str())
            .filter(|cookie| path_matches(&cookie.path, url.path()))
            .filter(|cookie| match cookie.same_site {
                SameSite::None => true,
                SameSite::Lax => !(from_other_site && posts),
                SameSite::Strict => !from_other_site,
            })
            .collect();
        // RFC 6265 §5.4: the longest path first. The sort keeps the older of equals first.
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> =
            fitting.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// The cookie in a `Set-Cookie` line, and whether the line takes it away.
fn parse(url: &Url, line: &str) -> Option<(Cookie, bool)> {
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        host: url.host_str()?.to_owned(),
        path: default_path(url),
        http_only: false,
        secure: false,
        same_site: SameSite::Lax,
        max_age_s: None,
    };
    let mut expired = false;
    let mut has_domain = false;
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "httponly" => cookie.http_only = true,
            "secure" => cookie.secure = true,
            "domain" => has_domain = true,
            "max-age" => cookie.max_age_s = value.parse().ok(),
            "expires" => expired = is_long_ago(value),
            "samesite" => cookie.same_site = same_site(value),
            _ => {}
        }
    }
    let host_prefix_holds = cookie.secure && cookie.path == "/" && !has_domain;
    let refused = (cookie.name.starts_with("__Host-") && !host_prefix_holds)
        || (cookie.name.starts_with("__Secure-") && !cookie.secure)
        || (cookie.same_site == SameSite::None && !cookie.secure);
    // RFC 6265 §5.3: Max-Age wins over Expires.
    let gone = cookie.max_age_s.map_or(expired, |age| age <= 0);
    (!refused).then_some((cookie, gone))
}

fn same_site(value: &str) -> SameSite {
    match value.to_ascii_lowercase().as_str() {
        "strict" => SameSite::Strict,
        "none" => SameSite::None,
        _ => SameSite::Lax,
    }
}

/// Servers delete a cookie with a date in 1970 or thereabouts. Other dates are in the future for a test.
fn is_long_ago(date: &str) -> bool {
    date.split([' ', '-'])
        .filter_map(|word| word.parse::<u16>().ok())
        .any(|year| (1900..2000).contains(&year))
}

/// RFC 6265 §5.1.4: the folder of the page that set the cookie.
fn default_path(url: &Url) -> String {
    match url.path().rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((folder, _)) => folder.to_owned(),
    }
}

/// RFC 6265 §5.1.4: `/a` is for `/a` and `/a/b`, but not for `/ab`.
fn path_matches(cookie_path: &str, request_path: &str) -> bool {
    request_path
        .strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(url: &str, lines: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for line in lines {
            jar.store(&url.parse().unwrap(), line);
        }
        jar
    }

    fn sent(jar: &Jar, url: &str) -> String {
        jar.header(&url.parse().unwrap(), false, false).unwrap_or_default()
    }

    #[test]
    fn a_cookie_goes_to_its_host_on_any_port_and_to_no_other_host() {
        let jar = jar("http://127.0.0.1:1/x", &["a=1; Path=/"]);
        assert_eq!(sent(&jar, "http://127.0.0.1:2/y"), "a=1");
        assert_eq!(sent(&jar, "http://localhost:1/x"), "");
    }

    #[test]
    fn a_cookie_goes_to_its_path_and_below() {
        let jar = jar("http://127.0.0.1/in/page", &["a=1", "b=2; Path=/in/deep"]);
        assert_eq!(sent(&jar, "http://127.0.0.1/in/deep/er"), "b=2; a=1");
        assert_eq!(sent(&jar, "http://127.0.0.1/in/deeper"), "a=1");
        assert_eq!(sent(&jar, "http://127.0.0.1/inside"), "");
    }

    #[test]
    fn a_cookie_is_replaced_and_deleted() {
        let url = "http://127.0.0.1/";
        assert_eq!(sent(&jar(url, &["a=1", "a=2"]), url), "a=2");
        assert_eq!(sent(&jar(url, &["a=1", "a=; Max-Age=0"]), url), "");
        assert_eq!(sent(&jar(url, &["a=1", "a=; expires=Thu, 01 Jan 1970 00:00:00 GMT"]), url), "");
        assert_eq!(sent(&jar(url, &["a=1; expires=Thu, 01 Jan 2037 00:00:00 GMT"]), url), "a=1");
    }

    #[test]
    fn a_request_from_another_site_takes_only_what_same_site_allows() {
        let lines = ["s=1; SameSite=Strict", "l=1; SameSite=Lax", "d=1", "n=1; SameSite=None; Secure"];
        let jar = jar("http://127.0.0.1/", &lines);
        let url = "http://127.0.0.1/".parse().unwrap();
        assert_eq!(jar.header(&url, false, true).unwrap(), "s=1; l=1; d=1; n=1");
        assert_eq!(jar.header(&url, true, false).unwrap(), "l=1; d=1; n=1");
        assert_eq!(jar.header(&url, true, true).unwrap(), "n=1");
    }

    #[test]
    fn a_name_prefix_that_is_not_honoured_drops_the_cookie() {
        let url = "http://127.0.0.1/";
        assert_eq!(sent(&jar(url, &["__Host-a=1; Secure; Path=/"]), url), "__Host-a=1");
        assert_eq!(sent(&jar(url, &["__Host-a=1; Path=/"]), url), "");
        assert_eq!(sent(&jar(url, &["__Host-a=1; Secure; Path=/; Domain=127.0.0.1"]), url), "");
        assert_eq!(sent(&jar(url, &["__Secure-a=1"]), url), "");
    }
}
