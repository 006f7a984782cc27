//! Who may see a page, and whose form it is. Every entry of the table of routes goes through here; no handler decides it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use subtle::ConstantTimeEq as _;
use tokenry_broker::{BrokerError, BrowserSession, Claims};
use tokenry_model::{ExposeSecret as _, Origin, SecretString};

use super::error::PageError;
use super::frame::Frame;
use super::not_found;
use super::texts::Language;
use crate::address::origin_of;
use crate::browser;
use crate::error::ApiError;
use crate::router::{App, MAX_BODY};

/// Who a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Whoever comes.
    Anyone,
    /// Somebody who is signed in.
    Person,
    /// Somebody with the operator's role.
    Operator,
}

/// What a route's gate works with.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) app: App,
    pub(super) who: Who,
}

/// One request of a browser for a page: who it is, and what forms of it carry.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) app: App,
    /// What the browser's reader reads.
    pub(crate) language: Language,
    /// Who is signed in.
    pub(crate) person: Option<Arc<BrowserSession>>,
    /// The session's cookie, if the browser has one, whether it holds or not.
    pub(crate) session: Option<SecretString>,
    /// What marks this browser.
    pub(crate) browser: SecretString,
    /// Where the request came from.
    pub(crate) from: Origin,
    /// What was done, by the word of the address (`?done=renamed`).
    done: Option<String>,
}

impl Visit {
    /// Reads who comes.
    async fn of(app: &App, parts: &Parts) -> Result<Self, BrokerError> {
        let language = language_of(app, &parts.headers);
        let jar = CookieJar::from_headers(&parts.headers);
        let from = origin_of(parts, app);
        let session = browser::session_of(app, &jar);
        let person = match &session {
            Some(cookie) => app.broker.browser_session(cookie, from.clone()).await?,
            None => None,
        };
        let known = browser::browser_of(app, &jar).filter(|mark| mark.expose_secret().len() == 43);
        let browser = match known {
            Some(mark) => mark,
            None => app.broker.new_browser()?,
        };
        let done = parts.uri.query().and_then(done_of);
        let (app, person) = (app.clone(), person.map(Arc::new));
        Ok(Self { app, language, person, session, browser, from, done })
    }

    /// The same visit, now that its browser was signed in.
    ///
    /// # Errors
    /// [`PageError`] when the database is away.
    pub(crate) async fn signed_in(&self, session: &SecretString) -> Result<Self, PageError> {
        let person = self.app.broker.browser_session(session, self.from.clone()).await?;
        Ok(Self { person: person.map(Arc::new), session: Some(session.clone()), ..self.clone() })
    }

    /// Who is signed in, as the verbs take it.
    ///
    /// # Errors
    /// [`PageError`] that leads to the sign-in, on a page that is for anyone.
    pub(crate) fn claims(&self) -> Result<&Claims, PageError> {
        Ok(&self.person()?.claims)
    }

    /// Who is signed in.
    ///
    /// # Errors
    /// As [`Visit::claims`].
    pub(crate) fn person(&self) -> Result<&BrowserSession, PageError> {
        self.person.as_deref().ok_or(PageError::SignIn)
    }

    /// What the forms of this visit carry: it follows from the session, or else from the browser's mark; and what those carry
    /// that are for anyone, from the mark alone.
    fn form_tokens(&self) -> [SecretString; 2] {
        let secret = match (&self.person, &self.session) {
            (Some(_), Some(session)) => session,
            _ => &self.browser,
        };
        [secret, &self.browser].map(|secret| self.app.broker.form_token(secret))
    }

    /// Whether a form carries what it must. In one that is for anyone, somebody else may be signed in by now.
    fn is_ours(&self, token: &str, who: Who) -> bool {
        let is = |expected: SecretString| -> bool {
            token.as_bytes().ct_eq(expected.expose_secret().as_bytes()).into()
        };
        let [own, open] = self.form_tokens();
        is(own) || who == Who::Anyone && is(open)
    }

    /// A text, in the reader's language.
    pub(crate) fn say(&self, key: &str) -> String {
        self.language.say(key, &[])
    }

    /// What a page is set into. `title` is the key of its title.
    pub(crate) fn frame(&self, title: &str) -> Frame {
        self.titled(self.say(title))
    }

    /// As [`Visit::frame`], with a title that is a text already.
    pub(crate) fn titled(&self, title: String) -> Frame {
        let who =
            self.person.as_ref().map(|person| (person.user.username.to_string(), person.user.is_operator));
        let notice = self.done.as_deref().and_then(|word| {
            let username = who.as_ref().map_or("", |(name, _)| name);
            super::notice(&self.language, word, username)
        });
        Frame::new(self.app.base_path(), self.language.clone(), title, who, self.form_tokens())
            .noticing(notice)
    }

    /// Goes to another page, by a GET. `path` begins with a slash.
    pub(crate) fn go(&self, path: &str) -> Response {
        Redirect::to(&format!("{}{path}", self.app.base_path())).into_response()
    }
}

/// The language that a browser asks for.
fn language_of(app: &App, headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|accepted| accepted.to_str().ok());
    app.texts.now().choose(accepted)
}

/// The word of `done`, if it is one.
fn done_of(query: &str) -> Option<String> {
    let (_, word) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "done")?;
    let plain = word.len() <= 32 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    plain.then(|| word.into_owned())
}

impl FromRequestParts<App> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match parts.extensions.get::<Self>() {
            Some(visit) => Ok(visit.clone()),
            // Outside the table of routes: an address that is not there.
            None => Ok(Self::of(app, parts).await?),
        }
    }
}

/// Lets a request through to its page, or not.
pub(super) async fn enforce(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let Gate { app, who } = gate;
    let (parts, body) = request.into_parts();
    let visit = match Visit::of(&app, &parts).await {
        Ok(visit) => visit,
        Err(error) => return PageError::from(error).without_visit(&app, language_of(&app, &parts.headers)),
    };
    let writes = parts.method == Method::POST;
    let answer = admit(&visit, who, writes, parts, body, next).await;
    let mut response = match answer {
        Ok(response) => response,
        Err(error) => error.show(&visit),
    };
    // A handler's own error waits here to be set into the frame.
    if let Some(error) = response.extensions_mut().remove::<Arc<PageError>>() {
        response = error.show(&visit);
    }
    // The mark lasts from the last page on that was shown. One that only leads on shows no form.
    if writes || !response.status().is_redirection() {
        let jar = browser::mark(&app, CookieJar::new(), &visit.browser);
        return (jar, response).into_response();
    }
    response
}

async fn admit(
    visit: &Visit,
    who: Who,
    writes: bool,
    mut parts: Parts,
    body: Body,
    next: Next,
) -> Result<Response, PageError> {
    let role = visit.person.as_ref().map(|person| person.user.is_operator);
    match (who, role) {
        (Who::Anyone, _) | (Who::Person, Some(_)) | (Who::Operator, Some(true)) => {}
        // No word about what is there.
        (Who::Operator, Some(false)) => return Ok(not_found(visit)),
        (_, None) => return Ok(sign_in_first(visit, &parts)),
    }
    let body = if writes { check_form(visit, who, &parts.headers, body).await? } else { body };
    parts.extensions.insert(visit.clone());
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// To the sign-in, and back to where one was going. Whose session ended over a form is led back to the page that it is on.
fn sign_in_first(visit: &Visit, parts: &Parts) -> Response {
    let (next, done) = if parts.method == Method::POST {
        (page_of(parts.uri.path()), "&done=session-ended")
    } else {
        (parts.uri.path_and_query().map_or("/", |wanted| wanted.as_str()), "")
    };
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    visit.go(&format!("/sign-in?next={next}{done}"))
}

/// The page that a form is on: the nearest address above it at which there is one.
fn page_of(path: &str) -> &str {
    let mut path = path;
    loop {
        if super::routes::has_page(path) {
            return path;
        }
        match path.rfind('/') {
            Some(end) if end > 0 => path = &path[..end],
            _ => return "/",
        }
    }
}

/// Refuses a form that another site could have made: it must carry what only pages of ours, shown to this browser, carry.
async fn check_form(visit: &Visit, who: Who, headers: &HeaderMap, body: Body) -> Result<Body, PageError> {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(PageError::ForeignForm);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(PageError::ForeignForm);
    }
    let bytes = to_bytes(body, MAX_BODY).await.map_err(|_| PageError::TooLarge)?;
    let mut tokens =
        url::form_urlencoded::parse(&bytes).filter(|(name, _)| name == "form_token").map(|(_, value)| value);
    let token = tokens.next().ok_or(PageError::ForeignForm)?;
    if !visit.is_ours(&token, who) || tokens.next().is_some() {
        return Err(PageError::ForeignForm);
    }
    Ok(Body::from(bytes))
}

/// Whether whoever asks would rather read a page than JSON.
pub(crate) fn wants_page(headers: &HeaderMap, path: &str) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("text/html") && !path.starts_with("/api/")
}

/// What is said when the visit itself could not be read.
impl PageError {
    fn without_visit(self, app: &App, language: Language) -> Response {
        match self {
            Self::Broker(error) => super::bare(app, language, &error),
            _ => super::bare(app, language, &BrokerError::Internal("a visit cannot be read")),
        }
    }
}
