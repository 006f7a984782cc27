//! The users, and who of them operates.

use askama::Template;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Form, Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokenry_broker::{BrokerError, Person};
use tokenry_model::UserId;

use super::{frame, query, read};
use crate::pages::error::PageError;
use crate::pages::frame::Frame;
use crate::pages::gate::{Visit, Who};
use crate::pages::markup::Markup;
use crate::pages::page;
use crate::pages::routes::Page;
use crate::pages::words::Said;

/// How many users a page lists.
const PAGE: usize = 50;

pub(super) fn routes() -> Vec<Page> {
    vec![
        Page::get("/operator/users", Who::Operator, list),
        Page::post("/operator/users/{id}/role", Who::Operator, role),
        Page::post("/operator/users/{id}/sessions", Who::Operator, sessions),
    ]
}

#[derive(Template)]
#[template(path = "operator_users.html")]
struct UsersPage {
    frame: Frame,
    tab: &'static str,
    people: Vec<Person>,
    /// Who looks at it.
    own_id: i64,
    q: String,
    next: Option<String>,
    problem: Option<Markup>,
}

/// What cannot be read asks for nothing.
type Asking = Result<Query<Asked>, QueryRejection>;

#[derive(Deserialize, Default)]
struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    after: i64,
}

async fn list(visit: Visit, asked: Asking) -> Result<Response, PageError> {
    show(&visit, asked.map(|Query(asked)| asked).unwrap_or_default(), None).await
}

async fn show(visit: &Visit, asked: Asked, problem: Option<Said>) -> Result<Response, PageError> {
    let q: String = asked.q.trim().chars().take(64).collect();
    let most = i64::try_from(PAGE).unwrap_or(i64::MAX) + 1;
    let mut people = visit.app.broker.list_people(visit.claims()?, &q, asked.after, most).await?;
    let next = (people.len() > PAGE).then(|| {
        people.truncate(PAGE);
        let last = people.last().map_or(0, |person| person.user.id.get()).to_string();
        query(&[("q", &q), ("after", &last)])
    });
    let (status, problem) = match problem {
        Some(said) => (said.status, Some(said.text)),
        None => (StatusCode::OK, None),
    };
    let own_id = visit.person()?.user.id.get();
    let frame = frame(visit, "users-title");
    let template = UsersPage { frame, tab: "users", people, own_id, q, next, problem };
    Ok(page(status, &template))
}

#[derive(Deserialize)]
struct NewRole {
    role: String,
}

fn user_of(id: Result<Path<i64>, PathRejection>) -> Result<UserId, PageError> {
    id.map(|Path(id)| UserId::new(id)).map_err(|_| PageError::NotFound)
}

async fn role(
    visit: Visit,
    id: Result<Path<i64>, PathRejection>,
    form: Result<Form<NewRole>, FormRejection>,
) -> Result<Response, PageError> {
    let (user, form) = (user_of(id)?, read(form)?);
    let is_operator = match form.role.as_str() {
        "operator" => true,
        "person" => false,
        _ => return Err(PageError::ForeignForm),
    };
    match visit.app.broker.change_role(visit.claims()?, user, is_operator).await {
        // Whoever gave up their own role sees nothing here any more.
        Ok(()) if !is_operator && visit.person()?.user.id == user => {
            Ok(visit.go("/account?done=role-changed"))
        }
        Ok(()) => Ok(visit.go("/operator/users?done=role-changed")),
        Err(error @ BrokerError::Field { .. }) => {
            show(&visit, Asked::default(), Some(Said::of(&visit.language, &error))).await
        }
        Err(BrokerError::NoSuchUser) => Err(PageError::NotFound),
        Err(error) => Err(error.into()),
    }
}

async fn sessions(visit: Visit, id: Result<Path<i64>, PathRejection>) -> Result<Response, PageError> {
    match visit.app.broker.end_sessions_of(visit.claims()?, user_of(id)?).await {
        Ok(()) => Ok(visit.go("/operator/users?done=sessions-ended")),
        Err(BrokerError::NoSuchUser) => Err(PageError::NotFound),
        Err(error) => Err(error.into()),
    }
}
