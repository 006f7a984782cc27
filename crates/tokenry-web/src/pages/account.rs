//! A person's own account: the password, what happened, the sessions, and a file to take away.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use serde::Deserialize;
use tokenry_broker::{BrokerError, PortableError};
use tokenry_model::SecretString;

use super::connection::Older;
use super::doings::Doing;
use super::error::PageError;
use super::extract::Form;
use super::frame::{Frame, Section};
use super::gate::{Visit, Who};
use super::markup::Markup;
use super::page;
use super::routes::Page;
use super::words::Said;
use crate::browser;

/// How many rows of the audit log one page shows.
const ROWS: i64 = 20;

pub(super) fn routes() -> Vec<Page> {
    vec![
        Page::get("/account", Who::Person, account),
        Page::post("/account/password", Who::Person, change_password),
        Page::post("/account/sign-out-everywhere", Who::Person, sign_out_everywhere),
        Page::post("/account/export", Who::Person, export),
    ]
}

/// Which of the forms did not go well, and why.
#[derive(Default)]
struct Problems {
    password: Option<Markup>,
    export: Option<Markup>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    username: String,
    email: String,
    opened_at: tokenry_model::Timestamp,
    ends_at: tokenry_model::Timestamp,
    doings: Vec<Doing>,
    older: Option<i64>,
    problems: Problems,
}

#[derive(Deserialize)]
struct NewPassword {
    #[serde(default)]
    current_password: SecretString,
    #[serde(default)]
    new_password: SecretString,
}

#[derive(Deserialize)]
struct Export {
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    passphrase: SecretString,
}

async fn account(visit: Visit, older: Result<Query<Older>, QueryRejection>) -> Result<Response, PageError> {
    let before = older.ok().and_then(|Query(older)| older.before);
    show(&visit, before, StatusCode::OK, Problems::default()).await
}

async fn show(
    visit: &Visit,
    before: Option<i64>,
    status: StatusCode,
    problems: Problems,
) -> Result<Response, PageError> {
    let session = visit.person()?;
    let claims = &session.claims;
    let before = before.unwrap_or(i64::MAX);
    let broker = &visit.app.broker;
    let audit = broker.list_own_audit(claims, claims.username(), None, before, ROWS + 1).await?;
    let mut doings: Vec<Doing> = audit.lines.iter().map(|line| Doing::of(&visit.language, line)).collect();
    let shown = usize::try_from(ROWS).unwrap_or_default();
    let older = (doings.len() > shown).then(|| doings[shown - 1].place);
    doings.truncate(shown);
    let template = AccountPage {
        username: session.user.username.to_string(),
        email: session.user.email.as_str().to_owned(),
        opened_at: session.opened_at,
        ends_at: session.ends_at,
        doings,
        older,
        problems,
        frame: visit.frame("account-title").at(Section::Account),
    };
    Ok(page(status, &template))
}

/// What a form is told that a person can mend. Everything else is a page of its own.
fn mendable(visit: &Visit, error: BrokerError) -> Result<Said, PageError> {
    match error {
        BrokerError::Field { .. } | BrokerError::TooManyAttempts { .. } | BrokerError::Busy => {
            Ok(Said::of(&visit.language, &error))
        }
        other => Err(other.into()),
    }
}

async fn change_password(visit: Visit, Form(form): Form<NewPassword>) -> Result<Response, PageError> {
    let claims = visit.claims()?;
    let broker = &visit.app.broker;
    match broker.change_password_here(claims, &form.current_password, &form.new_password).await {
        Ok(cookie) => {
            let jar = browser::sign_in(&visit.app, CookieJar::new(), &cookie);
            Ok((jar, visit.go("/account?done=password-changed")).into_response())
        }
        Err(error) => {
            let said = mendable(&visit, error)?;
            let problems = Problems { password: Some(said.text.clone()), ..Problems::default() };
            Ok(said.wait(show(&visit, None, said.status, problems).await?))
        }
    }
}

async fn sign_out_everywhere(visit: Visit) -> Result<Response, PageError> {
    visit.app.broker.log_out(visit.claims()?).await?;
    let jar = browser::sign_out(&visit.app, CookieJar::new());
    Ok((jar, visit.go("/sign-in?done=signed-out-everywhere")).into_response())
}

async fn export(visit: Visit, Form(form): Form<Export>) -> Result<Response, PageError> {
    let claims = visit.claims()?;
    match visit.app.broker.export_own(claims, &form.password, form.passphrase).await {
        Ok(export) => {
            let name = format!("attachment; filename=\"tokenry-{}.export\"", claims.username());
            let name = HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("attachment"));
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
                (header::CONTENT_DISPOSITION, name),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            Ok((headers, export.bytes).into_response())
        }
        Err(PortableError::Broker(error)) => {
            let said = mendable(&visit, error)?;
            let problems = Problems { export: Some(said.text.clone()), ..Problems::default() };
            Ok(said.wait(show(&visit, None, said.status, problems).await?))
        }
        Err(error) => {
            tracing::error!(%error, "an export could not be made");
            Err(BrokerError::Internal("an export could not be made").into())
        }
    }
}
