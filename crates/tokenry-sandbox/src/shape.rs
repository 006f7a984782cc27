//! Writes answers in a provider's own form.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use crate::{
    grants::Issued,
    options::Account,
    quirks::{Expiry, GrantedScope, Names, Quirks},
    refused::Refused,
};

/// A good answer of the token endpoint (RFC 6749 §5.1).
pub(crate) fn tokens(quirks: &Quirks, issued: &Issued) -> Response {
    let mut answer = json!({});
    if let Some(code) = &quirks.error.none {
        put(&mut answer, quirks.error.code_at.as_deref().unwrap_or("error"), code.clone());
    }
    for (path, value) in &quirks.answer.extra {
        put(&mut answer, path, value.clone());
    }
    if let Some(kind) = &quirks.answer.second_token
        && let Some((token, scope)) = &issued.second
    {
        let mut second = members(quirks, issued, token.expose_secret(), scope);
        second.insert("token_type".to_owned(), json!(kind));
        second.remove("refresh_token");
        for (name, value) in second {
            put(&mut answer, &name, value);
        }
    }
    let own = members(quirks, issued, issued.access.expose_secret(), &issued.scope);
    for (name, value) in own {
        let path = quirks.answer.fields.get(&name).unwrap_or(&name);
        match &quirks.answer.at {
            Some(at) => put(&mut answer, &format!("{at}.{path}"), value),
            None => put(&mut answer, path, value),
        }
    }
    if let Some(path) = &quirks.identity.in_token {
        put(&mut answer, path, account(&issued.account, &quirks.identity.rename));
    }
    if quirks.answer.numbers_as_text {
        numbers_to_text(&mut answer);
    }
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
    if quirks.answer.as_form {
        let content_type = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded")];
        return (headers, content_type, as_form(&answer)).into_response();
    }
    (headers, Json(answer)).into_response()
}

fn members(quirks: &Quirks, issued: &Issued, token: &str, scope: &str) -> Map<String, Value> {
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    set("access_token", json!(token));
    set("token_type", json!(quirks.answer.token_type));
    match quirks.answer.expiry {
        Expiry::Seconds => set("expires_in", json!(issued.expires_in)),
        Expiry::Milliseconds => set("expires_in", json!(issued.expires_in.saturating_mul(1000))),
        Expiry::Silent => None,
    };
    if let Some(refresh) = &issued.refresh {
        set("refresh_token", json!(refresh.expose_secret()));
        if quirks.answer.refresh_token_expires_in
            && let Some(seconds) = issued.refresh_expires_in
        {
            set("refresh_token_expires_in", json!(seconds));
        }
    }
    if let GrantedScope::SeparatedBy(separator) = &quirks.answer.scope {
        set("scope", json!(scope.split(' ').collect::<Vec<_>>().join(separator)));
    }
    members
}

/// An account, its members renamed.
pub(crate) fn account(account: &Account, rename: &Names) -> Value {
    let members = [
        ("sub", &account.id),
        ("name", &account.name),
        ("email", &account.email),
        ("preferred_username", &account.id),
    ];
    let renamed = members.map(|(name, value)| {
        let name = rename.get(name).map_or(name, String::as_str);
        (name.to_owned(), json!(value))
    });
    Value::Object(renamed.into_iter().collect())
}

/// An error of the token or revocation endpoint (RFC 6749 §5.2).
pub(crate) fn refusal(quirks: &Quirks, refused: Refused) -> Response {
    let words = &quirks.error;
    let standard = refused.code();
    let code = words.codes.get(standard).map_or(standard, String::as_str);
    let mut body = json!({});
    put(&mut body, words.code_at.as_deref().unwrap_or("error"), json!(code));
    put(&mut body, words.message_at.as_deref().unwrap_or("error_description"), json!(refused.description()));
    let status = if words.in_ok { StatusCode::OK } else { refused.status() };
    let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    if refused == Refused::InvalidClient && !words.in_ok {
        let challenge = axum::http::HeaderValue::from_static("Basic realm=\"sandbox\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Puts a value at a path; what is missing on the way is made. A number in the path is a position in a list.
pub(crate) fn put(at: &mut Value, path: &str, value: Value) {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let slot = if let Ok(index) = head.parse::<usize>() {
        if !at.is_array() {
            *at = json!([]);
        }
        let Value::Array(list) = at else { return };
        while list.len() <= index {
            list.push(Value::Null);
        }
        &mut list[index]
    } else {
        if !at.is_object() {
            *at = json!({});
        }
        &mut at[head]
    };
    match rest {
        Some(rest) => put(slot, rest, value),
        None => *slot = value,
    }
}

fn numbers_to_text(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::String(number.to_string()),
        Value::Array(list) => list.iter_mut().for_each(numbers_to_text),
        Value::Object(members) => members.values_mut().for_each(numbers_to_text),
        _ => {}
    }
}

/// The members at the top; a form has no others.
fn as_form(answer: &Value) -> String {
    let pairs = answer.as_object().into_iter().flatten().map(|(name, value)| {
        (name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    });
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_makes_what_is_missing_on_its_way() {
        let mut value = json!({ "data": { "kept": 1 } });
        put(&mut value, "data.user.1.id", json!("a"));
        assert_eq!(value, json!({ "data": { "kept": 1, "user": [null, { "id": "a" }] } }));
    }
}
