//! What pages take from a request. What no page of ours leads to is answered with a page, not with the words of a library.

use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::PageError;
use crate::router::App;

/// What is in the path. An address that cannot be read leads to nothing.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let read = axum::extract::Path::from_request_parts(parts, app).await;
        read.map(|axum::extract::Path(value)| Self(value)).map_err(|_| PageError::NotFound)
    }
}

/// What is in the query. One that cannot be read is as none.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned + Default + Send> FromRequestParts<App> for Query<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let read = axum::extract::Query::from_request_parts(parts, app).await;
        Ok(Self(read.map(|axum::extract::Query(value)| value).unwrap_or_default()))
    }
}

/// What a form sent. One that cannot be read is none of ours.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequest<App> for Form<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &App) -> Result<Self, PageError> {
        let read = axum::extract::Form::from_request(request, app).await;
        read.map(|axum::extract::Form(value)| Self(value)).map_err(|_| PageError::ForeignForm)
    }
}
