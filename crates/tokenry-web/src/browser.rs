//! The two cookies a browser may carry. The API takes neither: they are for the pages.

use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use tokenry_model::{ExposeSecret as _, SecretString};

use crate::router::App;

/// Marks the browser that asked for a link.
const BROWSER: &str = "tokenry_browser";
/// Signs a browser in.
const SESSION: &str = "tokenry_session";

/// Over https the name itself forbids every other host, and every script, to set the cookie (RFC 6265bis §4.1.3.2).
fn name_of(app: &App, name: &str) -> String {
    if app.is_https() { format!("__Host-{name}") } else { name.to_owned() }
}

fn make(app: &App, name: &str, value: &SecretString, max_age_s: i64) -> Cookie<'static> {
    let mut cookie = Cookie::new(name_of(app, name), value.expose_secret().to_owned());
    cookie.set_http_only(true);
    cookie.set_secure(app.is_https());
    // Lax: the way back from a provider is a navigation from another site.
    cookie.set_same_site(SameSite::Lax);
    cookie.set_path("/");
    cookie.set_max_age(Some(time::Duration::seconds(max_age_s)));
    cookie
}

/// The cookie that marks a browser, if it has one.
pub(crate) fn browser_of(app: &App, jar: &CookieJar) -> Option<SecretString> {
    jar.get(&name_of(app, BROWSER)).map(|cookie| cookie.value().into())
}

/// The cookie of the session that a browser is, or was, signed in with.
pub(crate) fn session_of(app: &App, jar: &CookieJar) -> Option<SecretString> {
    let cookie = jar.get(&name_of(app, SESSION))?;
    (cookie.value().len() == 43).then(|| cookie.value().into())
}

/// Marks a browser, for a day: several connects may be under way, and each ends by itself after ten minutes.
pub(crate) fn mark(app: &App, jar: CookieJar, browser: &SecretString) -> CookieJar {
    jar.add(make(app, BROWSER, browser, 24 * 60 * 60))
}

/// Signs a browser in. The session says itself when it ends; the cookie lasts until the browser forgets it.
pub(crate) fn sign_in(app: &App, jar: CookieJar, session: &SecretString) -> CookieJar {
    jar.add(make(app, SESSION, session, 7 * 24 * 60 * 60))
}

/// Signs a browser out.
pub(crate) fn sign_out(app: &App, jar: CookieJar) -> CookieJar {
    jar.add(make(app, SESSION, &SecretString::default(), 0))
}
