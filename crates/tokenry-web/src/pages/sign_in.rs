//! Signing in, up and out.

use askama::Template;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use serde::Deserialize;
use tokenry_broker::BrokerError;
use tokenry_model::SecretString;

use super::error::PageError;
use super::extract::{Form, Query};
use super::frame::Frame;
use super::gate::{Visit, Who};
use super::markup::Markup;
use super::routes::Page;
use super::words::Said;
use crate::browser;

/// The longest address that one is led back to after signing in, in bytes.
const MAX_NEXT: usize = 1024;

pub(super) fn routes() -> Vec<Page> {
    vec![
        Page::get("/sign-in", Who::Anyone, sign_in_page),
        Page::post("/sign-in", Who::Anyone, sign_in),
        Page::get("/sign-up", Who::Anyone, sign_up_page),
        Page::post("/sign-up", Who::Anyone, sign_up),
        Page::post("/sign-out", Who::Person, sign_out),
    ]
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    username: String,
    next: String,
    problem: Option<Markup>,
    signup_open: bool,
}

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUpPage {
    frame: Frame,
    username: String,
    email: String,
    next: String,
    problem: Option<Markup>,
}

/// Where to go after signing in.
#[derive(Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct SignUp {
    #[serde(default)]
    username: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// A page of ours, or the front page. Nobody is led elsewhere by a link that begins here.
fn inside(next: &str) -> &str {
    let plain = next.len() <= MAX_NEXT && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let ours = next.starts_with('/') && !next.starts_with("//");
    if plain && ours { next } else { "/" }
}

fn show_sign_in(visit: &Visit, username: &str, next: &str, problem: Option<&BrokerError>) -> Response {
    let signup_open = visit.app.broker.settings().signup_open;
    let said = problem.map(|error| Said::of(&visit.language, error));
    let template = SignInPage {
        frame: visit.frame("sign-in-title"),
        username: username.to_owned(),
        next: inside(next).to_owned(),
        problem: said.as_ref().map(|said| said.text.clone()),
        signup_open,
    };
    Said::page(said.as_ref(), &template)
}

fn show_sign_up(visit: &Visit, form: SignUp, problem: Option<&BrokerError>) -> Response {
    let said = problem.map(|error| Said::of(&visit.language, error));
    let template = SignUpPage {
        frame: visit.frame("sign-up-title"),
        username: form.username,
        email: form.email,
        next: inside(&form.next).to_owned(),
        problem: said.as_ref().map(|said| said.text.clone()),
    };
    Said::page(said.as_ref(), &template)
}

async fn sign_in_page(visit: Visit, Query(query): Query<Next>) -> Response {
    match visit.person {
        Some(_) => visit.go(inside(&query.next)),
        None => show_sign_in(&visit, "", &query.next, None),
    }
}

async fn sign_in(visit: Visit, Form(form): Form<SignIn>) -> Response {
    open(&visit, &form.username, &form.password, &form.next).await
}

/// Opens a session, in the place of the one that was open in this browser. Where that fails, the form to try again.
async fn open(visit: &Visit, username: &str, password: &SecretString, next: &str) -> Response {
    let broker = &visit.app.broker;
    match broker.sign_in(username, password, visit.from.clone(), visit.session.as_ref()).await {
        Ok(cookie) => {
            let jar = browser::sign_in(&visit.app, CookieJar::new(), &cookie);
            (jar, visit.go(inside(next))).into_response()
        }
        Err(error) => show_sign_in(visit, username, next, Some(&error)),
    }
}

async fn sign_up_page(visit: Visit, Query(query): Query<Next>) -> Response {
    if visit.person.is_some() {
        return visit.go(inside(&query.next));
    }
    if !visit.app.broker.settings().signup_open {
        return show_sign_in(&visit, "", &query.next, Some(&BrokerError::SignupClosed));
    }
    let form = SignUp {
        username: String::new(),
        email: String::new(),
        password: SecretString::default(),
        next: query.next,
    };
    show_sign_up(&visit, form, None)
}

async fn sign_up(visit: Visit, Form(form): Form<SignUp>) -> Response {
    let broker = &visit.app.broker;
    match broker.sign_up(&form.username, &form.email, &form.password, visit.from.clone()).await {
        // The account is there from now on, also if nobody can be signed in just now.
        Ok(_) => open(&visit, &form.username, &form.password, &form.next).await,
        Err(error) => show_sign_up(&visit, form, Some(&error)),
    }
}

async fn sign_out(visit: Visit) -> Result<Response, PageError> {
    if let Some(cookie) = &visit.session {
        visit.app.broker.sign_out(cookie, visit.claims()?).await?;
    }
    let jar = browser::sign_out(&visit.app, CookieJar::new());
    Ok((jar, visit.go("/sign-in?done=signed-out")).into_response())
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn nobody_is_led_to_another_site() {
        for good in ["/connections/7?done=renamed", "/"] {
            assert_eq!(inside(good), good);
        }
        let long = format!("/{}", "x".repeat(2000));
        for bad in [
            "",
            "https://example.org/",
            "//example.org",
            "/\\example.org",
            "\\\\x",
            "/\t/x",
            "/a b",
            "x",
            &long,
        ] {
            assert_eq!(inside(bad), "/", "{bad}");
        }
    }
}
