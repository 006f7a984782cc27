//! The link by which somebody becomes the first operator. To look at it changes nothing; the form on it spends it.

use askama::Template;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use serde::Deserialize;
use tokenry_broker::BrokerError;
use tokenry_model::{ExposeSecret as _, SecretString};

use super::error::PageError;
use super::frame::Frame;
use super::gate::{Visit, Who};
use super::markup::Markup;
use super::routes::Page;
use super::words::Said;
use super::{message, page};
use crate::browser;

pub(super) fn routes() -> Vec<Page> {
    vec![Page::get("/setup/{token}", Who::Anyone, look), Page::post("/setup/{token}", Who::Anyone, claim)]
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage<'a> {
    frame: Frame,
    token: &'a str,
    /// Who is signed in, and takes the role.
    person: Option<String>,
    username: String,
    email: String,
    problem: Option<Markup>,
}

#[derive(Deserialize, Default)]
struct SignUp {
    #[serde(default)]
    username: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: SecretString,
}

fn show(visit: &Visit, token: &SecretString, form: SignUp, problem: Option<Said>) -> Response {
    let (status, problem) = match problem {
        Some(said) => (said.status, Some(said.text)),
        None => (StatusCode::OK, None),
    };
    let template = SetupPage {
        frame: visit.frame("setup-title"),
        token: token.expose_secret(),
        person: visit.person.as_ref().map(|person| person.user.username.to_string()),
        username: form.username,
        email: form.email,
        problem,
    };
    page(status, &template)
}

/// The link is of no use any more.
fn ended(visit: &Visit) -> Response {
    message(visit, StatusCode::GONE, "setup-ended")
}

async fn look(visit: Visit, token: Result<Path<SecretString>, PathRejection>) -> Result<Response, PageError> {
    let Ok(Path(token)) = token else { return Err(PageError::NotFound) };
    match visit.app.broker.check_setup_link(&token).await {
        Ok(()) => Ok(show(&visit, &token, SignUp::default(), None)),
        Err(BrokerError::SetupLinkEnded) => Ok(ended(&visit)),
        Err(error) => Err(error.into()),
    }
}

async fn claim(
    visit: Visit,
    token: Result<Path<SecretString>, PathRejection>,
    form: Result<Form<SignUp>, FormRejection>,
) -> Result<Response, PageError> {
    let Ok(Path(token)) = token else { return Err(PageError::NotFound) };
    let broker = &visit.app.broker;
    if visit.person.is_some() {
        return match broker.claim_setup_link(visit.claims()?, &token).await {
            Ok(()) => Ok(visit.go("/operator/services?done=operator")),
            Err(BrokerError::SetupLinkEnded) => Ok(ended(&visit)),
            Err(error) => Err(error.into()),
        };
    }
    let Ok(Form(form)) = form else { return Ok(show(&visit, &token, SignUp::default(), None)) };
    let from = visit.from.clone();
    match broker.sign_up_operator(&token, &form.username, &form.email, &form.password, from).await {
        Ok(cookie) => {
            let jar = browser::sign_in(&visit.app, CookieJar::new(), &cookie);
            Ok((jar, visit.go("/operator/services?done=operator")).into_response())
        }
        Err(BrokerError::SetupLinkEnded) => Ok(ended(&visit)),
        Err(error @ (BrokerError::Field { .. } | BrokerError::UsernameTaken | BrokerError::Busy)) => {
            Ok(show(&visit, &token, form, Some(Said::of(&visit.language, &error))))
        }
        Err(error) => Err(error.into()),
    }
}
