//! What the fuzz targets see of this crate: what a request brings.
#![allow(missing_docs, clippy::missing_errors_doc, reason = "nobody else sees it")]

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use ipnet::IpNet;
use tokenry_broker::{Callback, NewImport};
use tokenry_model::SecretString;

use crate::accounts::{ChangePassword, LogIn, SignUp};
use crate::begin::{AgainBody, BeginBody};
use crate::calls::CallBody;
use crate::connections::{AddBody, NameBody, TokenBody, min_valid_for, paging};
use crate::details::Asked;
use crate::error::ApiError;
use crate::imports::ImportBody;
use crate::links::LinkBody;
use crate::{address, extract, pages};

/// A status, and the words that go with it.
pub type Refusal = (u16, String);

fn refusal(error: &ApiError) -> Refusal {
    (error.status().as_u16(), error.message().to_owned())
}

/// The parameters of a callback, if they are worth anything.
pub fn callback(query: &str) -> Option<Callback> {
    pages::read_callback(query, None)
}

pub fn import(body: &[u8]) -> Result<NewImport, Refusal> {
    let body = extract::parse::<ImportBody>(body).and_then(ImportBody::into_import);
    body.map_err(|error| refusal(&error))
}

/// What each body of the API makes of the same bytes.
pub fn bodies(body: &[u8]) -> Vec<Result<(), Refusal>> {
    fn as_a<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<(), Refusal> {
        extract::parse::<T>(body).map(drop).map_err(|error| refusal(&error))
    }
    vec![
        as_a::<SignUp>(body),
        as_a::<LogIn>(body),
        as_a::<ChangePassword>(body),
        as_a::<AddBody>(body),
        as_a::<NameBody>(body),
        as_a::<TokenBody>(body),
        as_a::<BeginBody>(body),
        as_a::<AgainBody>(body),
        as_a::<CallBody>(body),
        as_a::<LinkBody>(body),
    ]
}

/// What the lists and the hand-out make of the same query.
pub fn queries(query: &str) -> [Result<(), Refusal>; 3] {
    [Asked::read(query).map(drop), paging(query).map(drop), min_valid_for(query).map(drop)]
        .map(|read| read.map_err(|error| refusal(&error)))
}

/// The access token that a header carries. `None`, too, for what is no header.
pub fn authorization(value: &[u8]) -> Option<SecretString> {
    let value = HeaderValue::from_bytes(value).ok()?;
    extract::access_token(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
}

/// Whether a content type is JSON.
pub fn is_json(value: &[u8]) -> bool {
    let value = HeaderValue::from_bytes(value).ok();
    value.is_some_and(|value| extract::is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)])))
}

/// Who the client is by what proxies wrote, line by line.
pub fn client(peer: IpAddr, lines: &[&[u8]], trusted: &[IpNet]) -> IpAddr {
    let mut headers = HeaderMap::new();
    for value in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append("x-forwarded-for", value);
    }
    address::client_of(peer, &headers, trusted)
}
