//! The HTML. No script, no inline style; everything that came from outside goes through [`escape`]. Links are
//! relative, so a proxy may put a path in front.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use url::Url;

use crate::{app::App, options::Account};

const STYLE: &str = include_str!("style.css");

/// The consent page. No `form-action`: browsers apply it to the redirect after the form as well, and the client may
/// send the person on to anywhere.
const CSP_CONSENT: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Every other page; none of them has a form.
const CSP: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// What the consent page shows.
pub(crate) struct Consent<'a> {
    pub(crate) client: &'a str,
    /// `None`: nowhere, what asked is another device.
    pub(crate) returns_to: Option<&'a str>,
    pub(crate) action: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) accounts: &'a [Arc<Account>],
    pub(crate) chosen: Option<&'a Account>,
}

pub(crate) fn consent(page: &Consent<'_>) -> Response {
    let mut accounts = String::new();
    for (i, account) in page.accounts.iter().enumerate() {
        let checked = if page.chosen.is_some_and(|chosen| chosen.id == account.id) { " checked" } else { "" };
        let [id, name, email] = [&account.id, &account.name, &account.email].map(|text| escape(text));
        let _ = write!(
            accounts,
            r#"<label class="row" for="account-{i}"><input type="radio" id="account-{i}" name="account" value="{id}" required{checked}>
<span><strong>{name}</strong><small>{email}</small></span></label>
"#
        );
    }
    let mut scopes = String::new();
    for (i, scope) in page.scopes.iter().enumerate() {
        let scope = escape(scope);
        let _ = write!(
            scopes,
            r#"<label class="row" for="scope-{i}"><input type="checkbox" id="scope-{i}" name="scope" value="{scope}" checked>
<span><code>{scope}</code></span></label>
"#
        );
    }
    let client = escape(page.client);
    let body = format!(
        r#"<p class="tag">Sandbox</p>
<h1><span class="client">{client}</span> asks for access</h1>
<p>It wants to act for you on this sandbox. Nothing here is real: choose anybody.</p>
<form method="post" action="{action}">
<fieldset><legend>Who are you?</legend>
{accounts}</fieldset>
<fieldset><legend>What may it do?</legend>
{scopes}</fieldset>
<div class="buttons">
<button class="allow" type="submit" name="decision" value="allow">Allow</button>
<button class="deny" type="submit" name="decision" value="deny" formnovalidate>Deny</button>
</div>
</form>
<p class="note">{note}</p>"#,
        action = escape(page.action),
        note = page.returns_to.map_or_else(
            || "The device that asked goes on by itself.".to_owned(),
            |place| format!("Either way you go back to <strong>{}</strong>.", escape(place)),
        ),
    );
    respond(StatusCode::OK, CSP_CONSENT, &format!("{client} asks for access"), &body)
}

/// Asks for the code that a device shows (RFC 8628 §3.3).
pub(crate) fn ask_user_code() -> Response {
    let body = r#"<p class="tag">Sandbox</p>
<h1>Connect a device</h1>
<form method="get" action="device">
<label for="user_code">The code that the device shows</label>
<input id="user_code" name="user_code" required autocomplete="off" autocapitalize="characters">
<div class="buttons"><button class="allow" type="submit">Go on</button></div>
</form>"#;
    respond(StatusCode::OK, CSP_CONSENT, "Connect a device", body)
}

/// The person can close the page.
pub(crate) fn done(what: &str) -> Response {
    let body =
        format!(r#"<p class="tag">Sandbox</p><h1>{}</h1><p>You may close this page.</p>"#, escape(what));
    respond(StatusCode::OK, CSP, "Done", &body)
}

/// An answer to the person alone: it is not certain whom else to tell.
pub(crate) fn error(why: &str) -> Response {
    let body = format!(
        r#"<p class="tag">Sandbox</p>
<h1>This request cannot be answered</h1>
<p role="alert">{}</p>
<p class="note">You were not sent back to the application, because this may not be the one that asked.</p>"#,
        escape(why)
    );
    respond(StatusCode::BAD_REQUEST, CSP, "Request refused", &body)
}

pub(crate) async fn home(State(app): State<App>) -> Response {
    let mut accounts = String::new();
    for account in &app.accounts {
        let _ =
            write!(accounts, "<li>{} <small>{}</small></li>", escape(&account.name), escape(&account.email));
    }
    let issuer = escape(&app.issuer);
    let body = format!(
        r#"<p class="tag">Sandbox</p>
<h1>A provider to try things on</h1>
<p>This is a small OAuth 2.0 provider. It rotates refresh tokens, notices their reuse, and fails when told to.
It has no passwords and keeps everything in memory: use it for nothing real.</p>
<dl>
<dt>Issuer</dt><dd><code>{issuer}</code></dd>
<dt>Metadata</dt><dd><a href=".well-known/oauth-authorization-server">/.well-known/oauth-authorization-server</a></dd>
<dt>What it saw</dt><dd><a href="seen">/seen</a></dd>
<dt>Faults and settings</dt><dd><code>POST /control</code></dd>
</dl>
<h2>Accounts</h2>
<ul>{accounts}</ul>"#
    );
    respond(StatusCode::OK, CSP, "Sandbox provider", &body)
}

pub(crate) async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, STYLE).into_response()
}

/// `title` and `body` are HTML already.
fn respond(status: StatusCode, csp: &'static str, title: &str, body: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, csp),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let html = format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"#
    );
    (status, headers, html).into_response()
}

/// Where a URL leads, without its path and query: the part that a person can judge.
pub(crate) fn place(url: &Url) -> String {
    let origin = url.origin();
    if origin.is_tuple() { origin.ascii_serialization() } else { format!("{}:", url.scheme()) }
}

/// Makes a text safe in HTML, between tags and inside quoted attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_html_understands_survives_escaping() {
        assert_eq!(escape(r#"<a b="c" d='e'>&"#), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }

    #[test]
    fn a_place_is_an_origin_or_an_apps_scheme() {
        let place = |text| place(&Url::parse(text).unwrap());
        assert_eq!(place("http://127.0.0.1:8080/cb?x=1"), "http://127.0.0.1:8080");
        assert_eq!(place("org.example.app:/cb"), "org.example.app:");
    }
}
