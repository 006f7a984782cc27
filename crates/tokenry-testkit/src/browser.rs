//! A scripted person at a browser: follows redirects, keeps cookies, fills in forms.
//!
//! It behaves like a browser where an application's safety hangs on it: cookies go by host and path and not by
//! port, `SameSite` is kept, and POSTs carry `Origin` and `Sec-Fetch-Site`. It runs no scripts and does not look at
//! `Content-Security-Policy`.
//!
//! Everything here panics instead of returning errors, because a test cannot go on without an answer.

mod cookies;
mod html;

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, StatusCode, redirect};
use url::Url;

pub use self::cookies::{Cookie, SameSite};
pub use self::html::{Field, FieldKind, Form};

/// How many redirects in a row are followed.
const MOST_REDIRECTS: usize = 20;

/// How many pages a person at a provider goes through before giving up. Two are usual: sign in, consent.
const MOST_PAGES: usize = 6;

/// A page, or the address where the browser was told to stop.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its address, after all redirects.
    pub url: Url,
    /// The status it came with. For a stop before a redirect: the redirect's own.
    pub status: StatusCode,
    /// The headers it came with. For a stop before a redirect: the redirect's own.
    pub headers: HeaderMap,
    /// Its text. Empty for a stop before a redirect.
    pub body: String,
}

impl Page {
    /// What a person reads: the text of the page, without its markup.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (at, part) in self.body.split('<').enumerate() {
            text.push_str(if at == 0 { part } else { part.split_once('>').map_or("", |(_, words)| words) });
        }
        text
    }

    /// The forms on the page, in order.
    pub fn forms(&self) -> Vec<Form> {
        html::forms(&self.url, &self.body)
    }

    /// The first form that has a field or button with this name.
    pub fn form_with(&self, field: &str) -> Option<Form> {
        self.forms().into_iter().find(|form| form.fields.iter().any(|known| known.name == field))
    }

    /// Where the links on the page lead, in order.
    pub fn links(&self) -> Vec<Url> {
        html::links(&self.url, &self.body)
    }

    /// A parameter of the page's address, decoded: the `code` of a callback, for example.
    pub fn query(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

/// What the person does at a consent page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    Allow,
    Deny,
}

/// One browser with its own cookies. Two people are two browsers.
#[derive(Debug)]
pub struct Browser {
    http: Client,
    jar: cookies::Jar,
    stop_before: Option<String>,
    /// Who is signed in at oidc-provider servers.
    account: Option<String>,
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    /// A browser without cookies.
    ///
    /// # Panics
    ///
    /// When the HTTP client cannot be made.
    pub fn new() -> Self {
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap_or_else(|error| panic!("no HTTP client: {error}"));
        Self { http, jar: cookies::Jar::default(), stop_before: None, account: None }
    }

    /// From now on a redirect to an address that starts with `prefix` is not followed: the [`Page`] returned has
    /// that address, and no body. For a callback that nobody answers, or that the test delivers itself.
    pub fn stop_before(&mut self, prefix: impl Into<String>) -> &mut Self {
        self.stop_before = Some(prefix.into());
        self
    }

    /// Follows every redirect again.
    pub fn stop_nowhere(&mut self) -> &mut Self {
        self.stop_before = None;
        self
    }

    /// All cookies.
    pub fn cookies(&self) -> &[Cookie] {
        self.jar.all()
    }

    /// Takes a cookie as if `url` had sent it: `set_cookie` is a `Set-Cookie` header, at least `name=value`.
    ///
    /// # Panics
    ///
    /// When `url` is not an absolute URL.
    pub fn set_cookie(&mut self, url: impl AsRef<str>, set_cookie: &str) {
        self.jar.store(&parse(url.as_ref()), set_cookie);
    }

    /// Goes to an address as if it had been typed in, and follows redirects.
    ///
    /// # Panics
    ///
    /// When `url` is not an absolute URL, when nobody answers, and after 20 redirects.
    pub async fn get(&mut self, url: impl AsRef<str>) -> Page {
        self.visit(Request { method: Method::GET, url: parse(url.as_ref()), form: None, from: None }).await
    }

    /// Follows a link from `page`.
    ///
    /// # Panics
    ///
    /// When nobody answers, and after 20 redirects.
    pub async fn follow(&mut self, page: &Page, link: &Url) -> Page {
        let (url, from) = (link.clone(), Some(page.url.clone()));
        self.visit(Request { method: Method::GET, url, form: None, from }).await
    }

    /// Sends a form and follows redirects. `fields` replaces what the page has under the same names; a name may
    /// come more than once, and a button that is pressed is a field too.
    ///
    /// # Panics
    ///
    /// When nobody answers, and after 20 redirects.
    pub async fn submit(&mut self, form: &Form, fields: &[(&str, &str)]) -> Page {
        let pairs = form.filled_with(fields);
        let mut request = Request {
            method: Method::GET,
            url: form.action.clone(),
            form: None,
            from: Some(form.page.clone()),
        };
        if form.posts {
            let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            request.method = Method::POST;
            request.form = Some(encoded);
        } else {
            request.url.query_pairs_mut().clear().extend_pairs(&pairs);
        }
        self.visit(request).await
    }

    /// Goes to `authorize_url` and plays `account` at the development pages of an
    /// [`OidcProvider`](crate::oidc_provider::OidcProvider): signs in with any password unless still signed in,
    /// consents, and goes on to where the provider sends the browser. A page with nothing to do for a person, such
    /// as an error page of the provider, is returned as it is.
    ///
    /// # Panics
    ///
    /// When nobody answers, after 20 redirects, and when the provider keeps asking.
    pub async fn consent_oidc(&mut self, authorize_url: impl AsRef<str>, account: &str) -> Page {
        self.answer_oidc(authorize_url.as_ref(), account, Decision::Allow).await
    }

    /// As [`consent_oidc`](Self::consent_oidc), but the person presses "Cancel" at the consent page.
    ///
    /// # Panics
    ///
    /// As for [`consent_oidc`](Self::consent_oidc).
    pub async fn deny_oidc(&mut self, authorize_url: impl AsRef<str>, account: &str) -> Page {
        self.answer_oidc(authorize_url.as_ref(), account, Decision::Deny).await
    }

    /// Goes to `authorize_url` and plays `account` at the consent page of `tokenry-sandbox`: picks the account,
    /// ticks every scope, allows, and goes on to where the provider sends the browser. A page without that form is
    /// returned as it is.
    ///
    /// # Panics
    ///
    /// When nobody answers, after 20 redirects, and when the page does not offer `account`.
    pub async fn consent_sandbox(&mut self, authorize_url: impl AsRef<str>, account: &str) -> Page {
        self.answer_sandbox(authorize_url.as_ref(), account, Decision::Allow).await
    }

    /// As [`consent_sandbox`](Self::consent_sandbox), but the person denies.
    ///
    /// # Panics
    ///
    /// As for [`consent_sandbox`](Self::consent_sandbox).
    pub async fn deny_sandbox(&mut self, authorize_url: impl AsRef<str>, account: &str) -> Page {
        self.answer_sandbox(authorize_url.as_ref(), account, Decision::Deny).await
    }

    async fn answer_oidc(&mut self, authorize_url: &str, account: &str, decision: Decision) -> Page {
        if self.account.as_deref() != Some(account) {
            // Another person: sign the last one out at the provider, or it would not ask who it is.
            self.jar.remove_if(|cookie| cookie.name.starts_with("_session"));
            self.account = Some(account.to_owned());
        }
        let mut page = self.get(authorize_url).await;
        for _ in 0..MOST_PAGES {
            if !page.url.path().starts_with("/interaction/") {
                return page;
            }
            let Some(form) = page.form_with("prompt") else { return page };
            page = if form.values("prompt") == ["login"] {
                self.submit(&form, &[("login", account), ("password", "any will do")]).await
            } else if decision == Decision::Allow {
                self.submit(&form, &[]).await
            } else {
                let links = page.links();
                let Some(cancel) = links.iter().find(|link| link.path().ends_with("/abort")) else {
                    panic!("no way to cancel at the provider's page {}", page.url.path())
                };
                self.follow(&page, cancel).await
            };
        }
        panic!("the provider asked for more than {MOST_PAGES} pages, the last is {}", page.url.path());
    }

    async fn answer_sandbox(&mut self, authorize_url: &str, account: &str, decision: Decision) -> Page {
        let page = self.get(authorize_url).await;
        let Some(form) = page.form_with("decision") else { return page };
        let offered = form.values("account");
        assert!(
            offered.contains(&account),
            "the page offers the accounts {offered:?}, and {account} is not there"
        );
        let mut fields = vec![("account", account)];
        if decision == Decision::Allow {
            fields.extend(form.values("scope").into_iter().map(|scope| ("scope", scope)));
        }
        fields.push(("decision", if decision == Decision::Allow { "allow" } else { "deny" }));
        self.submit(&form, &fields).await
    }

    /// Sends a request and follows redirects until there is a page, or an address to stop before.
    async fn visit(&mut self, mut request: Request) -> Page {
        for _ in 0..=MOST_REDIRECTS {
            let (status, headers, body) = self.send(&request).await;
            let target = headers.get(LOCATION).filter(|_| status.is_redirection());
            let Some(target) = target.and_then(|value| value.to_str().ok()) else {
                return Page { url: request.url, status, headers, body };
            };
            let url = request.url.join(target);
            let url =
                url.unwrap_or_else(|error| panic!("{} redirects to no URL: {error}", bare(&request.url)));
            if self.stop_before.as_deref().is_some_and(|prefix| url.as_str().starts_with(prefix)) {
                return Page { url, status, headers, body: String::new() };
            }
            // 307 and 308 repeat the request; the others turn a POST into a GET (RFC 9110 §15.4).
            if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                request.method = Method::GET;
                request.form = None;
            }
            request.url = url;
        }
        panic!("more than {MOST_REDIRECTS} redirects, the last to {}", bare(&request.url));
    }

    async fn send(&mut self, request: &Request) -> (StatusCode, HeaderMap, String) {
        let relation = request.relation();
        let posts = request.method == Method::POST;
        let mut builder = self
            .http
            .request(request.method.clone(), request.url.clone())
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("sec-fetch-site", relation)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        if let Some(cookies) = self.jar.header(&request.url, relation == "cross-site", posts) {
            builder = builder.header(COOKIE, cookies);
        }
        if let (true, Some(from)) = (posts, &request.from) {
            builder = builder.header(ORIGIN, from.origin().ascii_serialization());
        }
        if let Some(form) = &request.form {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        }
        let answer = builder.send().await;
        let answer = answer.unwrap_or_else(|error| {
            panic!("nobody answers at {}: {}", bare(&request.url), error.without_url())
        });
        for line in answer.headers().get_all(SET_COOKIE) {
            if let Ok(line) = line.to_str() {
                self.jar.store(&request.url, line);
            }
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.text().await;
        let body = body.unwrap_or_else(|error| {
            panic!("{} broke off its answer: {}", bare(&request.url), error.without_url())
        });
        (status, headers, body)
    }
}

/// A request that is on its way through redirects.
struct Request {
    method: Method,
    url: Url,
    /// An encoded form.
    form: Option<String>,
    /// The page that caused it. `None` for an address that was typed in.
    from: Option<Url>,
}

impl Request {
    /// The value of `Sec-Fetch-Site`. A site is a scheme and a host here, without the port.
    fn relation(&self) -> &'static str {
        match &self.from {
            None => "none",
            Some(from) if from.origin() == self.url.origin() => "same-origin",
            Some(from) if (from.scheme(), from.host()) == (self.url.scheme(), self.url.host()) => "same-site",
            Some(_) => "cross-site",
        }
    }
}

fn parse(url: &str) -> Url {
    url.parse().unwrap_or_else(|error| panic!("not an absolute URL ({error}): {url}"))
}

/// An address without its query, which may hold a code or a state.
fn bare(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}
