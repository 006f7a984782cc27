//! Reading what a provider answered: JSON, a form, or either under another name.

use serde_json::Value;

use crate::data::ErrorData;
use crate::sanitise::sanitise;
use crate::wire::Answer;
use crate::{OAuthError, Refusal};

/// The members of an answer.
pub(crate) type Members = serde_json::Map<String, Value>;

/// Reads an answer's members. An `error` among them is an error, whatever the status (GitHub sends it with
/// 200).
pub(crate) fn read(answer: &Answer, errors: &ErrorData, secrets: &[&str]) -> Result<Members, OAuthError> {
    let members = members(&answer.body);
    if let Some(refusal) = members.as_ref().and_then(|m| refusal(m, errors, secrets)) {
        return Err(refusal);
    }
    match members {
        Some(members) if answer.status.is_success() => Ok(members),
        Some(_) | None if !answer.status.is_success() => {
            Err(OAuthError::nonsense(format!("status {} without an OAuth error", answer.status.as_u16())))
        }
        _ => Err(OAuthError::nonsense("it is neither a JSON object nor a form")),
    }
}

/// Reads the answer of an API that does not speak OAuth's errors: its own words, often plain text, tell the
/// person more than a status does.
pub(crate) fn read_api(answer: &Answer, errors: &ErrorData, secrets: &[&str]) -> Result<Members, OAuthError> {
    match read(answer, errors, secrets) {
        Err(OAuthError::Nonsense { .. }) if !answer.status.is_success() => {
            let message = members(&answer.body).and_then(|m| m.get("message").and_then(text));
            let words = message
                .or_else(|| std::str::from_utf8(&answer.body).ok().map(str::to_owned))
                .filter(|words| !words.trim_start().starts_with(['<', '{', '[']))
                .map(|words| sanitise(&words, secrets))
                .filter(|words| !words.is_empty());
            let code = format!("status_{}", answer.status.as_u16());
            Err(OAuthError::Refused { code, description: words, meaning: Refusal::Other })
        }
        other => other,
    }
}

/// Takes a body apart by its looks: the content type is wrong too often.
pub(crate) fn members(body: &[u8]) -> Option<Members> {
    let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim();
    match text.chars().next()? {
        '{' => serde_json::from_str(text).ok(),
        '[' | '<' | '"' => None,
        _ if text.contains('=') => Some(
            url::form_urlencoded::parse(text.as_bytes()).map(|(k, v)| (k.into_owned(), v.into())).collect(),
        ),
        _ => None,
    }
}

/// The value at a path of member names: `data.user.id`. A member whose own name has dots in it is found as
/// well.
pub(crate) fn at<'a>(members: &'a Members, path: &str) -> Option<&'a Value> {
    if let Some(value) = members.get(path) {
        return Some(value);
    }
    let mut names = path.split('.');
    let first = members.get(names.next()?)?;
    names.try_fold(first, |value, name| match value {
        Value::Object(inner) => inner.get(name),
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A text, or a number as text. Nothing for an empty one.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number, or a text that is one.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn refusal(members: &Members, errors: &ErrorData, secrets: &[&str]) -> Option<OAuthError> {
    let first = |of: &Members, names: &[&str]| names.iter().find_map(|&name| of.get(name).and_then(text));
    let error = match &errors.code_at {
        None => members.get("error")?,
        Some(path) => at(members, path).or_else(|| members.get("error"))?,
    };
    let (code, description) = match error {
        Value::String(code) if !code.trim().is_empty() => (code.clone(), None),
        Value::Number(code) if code.as_f64() != Some(0.0) => (code.to_string(), None),
        Value::Bool(true) => ("error".to_owned(), None),
        // As the big APIs do: {"error": {"status": 400, "message": "…"}}.
        Value::Object(inner) => (
            first(inner, &["error", "type", "status", "code"]).unwrap_or_else(|| "error".to_owned()),
            first(inner, &["message", "error_description"]),
        ),
        _ => return None,
    };
    if errors.none.contains(&code) {
        return None;
    }
    let description =
        description.or_else(|| errors.message_at.as_ref().and_then(|path| at(members, path)).and_then(text));
    let description =
        description.or_else(|| first(members, &["error_description", "error_message", "message"]));
    let code = sanitise(code.trim(), secrets);
    let among = |list: &[String], known: &[&str]| known.contains(&code.as_str()) || list.contains(&code);
    let description = description.map(|d| sanitise(&d, secrets)).filter(|d| !d.is_empty());
    if among(&errors.passing, &["temporarily_unavailable", "server_error"]) {
        return Some(OAuthError::away(format!("it says {code}")));
    }
    let meaning = if among(&errors.final_, &["invalid_grant"]) {
        Refusal::Final
    } else if among(&errors.operator, &["invalid_client", "unauthorized_client"]) {
        Refusal::Operator
    } else {
        Refusal::Other
    };
    Some(OAuthError::Refused { code, description, meaning })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Option<String> {
        members(body.as_bytes()).map(|m| Value::Object(m).to_string())
    }

    #[test]
    fn json_and_forms_are_told_apart_by_their_looks() {
        assert_eq!(parse(r#" {"a":1} "#).as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(parse("\u{feff}{}").as_deref(), Some("{}"));
        assert_eq!(parse("a=1&b=x%20y+z").as_deref(), Some(r#"{"a":"1","b":"x y z"}"#));
        for body in ["", "hello", "<html a=b>", "[1]", "\"a=b\"", "{\"a\":1", "null"] {
            assert_eq!(parse(body), None, "{body}");
        }
        assert_eq!(members(&[0xff, b'=']), None);
        assert_eq!(parse(&format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000))), None);
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let members = members(br#"{"a":{"b":[{"c":7}]},"x.y":"dots","n":null}"#).unwrap();
        assert_eq!(at(&members, "a.b.0.c").and_then(text).as_deref(), Some("7"));
        assert_eq!(at(&members, "x.y").and_then(text).as_deref(), Some("dots"));
        for path in ["a.b.1.c", "a.z", "n.a", "", "n"] {
            assert_eq!(at(&members, path).and_then(text), None, "{path}");
        }
    }

    #[test]
    fn an_error_is_found_in_every_form_and_an_empty_one_is_none() {
        let errors = ErrorData {
            final_: vec!["bad_refresh_token".into()],
            operator: vec!["redirect_uri_mismatch".into()],
            passing: vec!["busy".into()],
            ..ErrorData::default()
        };
        let read = |body: &str| refusal(&members(body.as_bytes()).unwrap(), &errors, &[]);
        for (body, code, meaning) in [
            (r#"{"error":"invalid_grant"}"#, "invalid_grant", Refusal::Final),
            (r#"{"error":"bad_refresh_token"}"#, "bad_refresh_token", Refusal::Final),
            (r#"{"error":"invalid_client"}"#, "invalid_client", Refusal::Operator),
            ("error=redirect_uri_mismatch&error_description=no", "redirect_uri_mismatch", Refusal::Operator),
            (r#"{"error":{"status":403,"message":"no"}}"#, "403", Refusal::Other),
            (r#"{"error":{}}"#, "error", Refusal::Other),
            (r#"{"error":true}"#, "error", Refusal::Other),
            (r#"{"error":190}"#, "190", Refusal::Other),
        ] {
            match read(body) {
                Some(OAuthError::Refused { code: c, meaning: m, .. }) => {
                    assert_eq!((c.as_str(), m), (code, meaning));
                }
                other => panic!("{body}: {other:?}"),
            }
        }
        assert!(matches!(read(r#"{"error":"busy"}"#), Some(OAuthError::Unavailable { .. })));
        for body in [r#"{"error":""}"#, r#"{"error":null}"#, r#"{"error":false}"#, r#"{"error":0}"#, "{}"] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
