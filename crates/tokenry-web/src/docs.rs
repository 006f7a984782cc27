//! The OpenAPI document as a page: no script, and nothing that is not in the binary.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

use crate::pages::{self, Frame, Visit};

/// How deep an example follows schemas into one another.
const MAX_DEPTH: u8 = 6;

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    frame: Frame,
    page: Page,
}

struct Page {
    title: String,
    description: String,
    version: String,
    groups: Vec<Group>,
}

struct Group {
    name: String,
    operations: Vec<Operation>,
}

struct Operation {
    anchor: String,
    method: String,
    path: String,
    summary: String,
    description: Vec<String>,
    needs_token: bool,
    parameters: Vec<Parameter>,
    request: Option<String>,
    answers: Vec<Answer>,
}

struct Parameter {
    name: String,
    place: String,
    text: String,
}

struct Answer {
    status: String,
    class: String,
    text: String,
    example: Option<String>,
}

/// The page.
pub(crate) async fn docs(visit: Visit) -> Response {
    let document: Value = serde_json::from_str(&visit.app.openapi).unwrap_or_default();
    pages::page(StatusCode::OK, &DocsPage { frame: visit.frame("docs-title"), page: read(&document) })
}

fn word(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn read(document: &Value) -> Page {
    let mut groups: Vec<Group> = list(document, "tags")
        .iter()
        .map(|tag| Group { name: word(tag, "/name"), operations: Vec::new() })
        .collect();
    let none = Map::new();
    let paths = document.get("paths").and_then(Value::as_object).unwrap_or(&none);
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap_or(&none) {
            let tag = word(operation, "/tags/0");
            if let Some(group) = groups.iter_mut().find(|group| group.name == tag) {
                group.operations.push(read_operation(document, path, method, operation));
            }
        }
    }
    Page {
        title: word(document, "/info/title"),
        description: word(document, "/info/description"),
        version: word(document, "/info/version"),
        groups,
    }
}

fn read_operation(document: &Value, path: &str, method: &str, operation: &Value) -> Operation {
    let parameters = list(operation, "parameters")
        .iter()
        .map(|parameter| Parameter {
            name: word(parameter, "/name"),
            place: word(parameter, "/in"),
            text: word(parameter, "/description"),
        })
        .collect();
    let mut answers = Vec::new();
    for (status, answer) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
        let content = answer.pointer("/content/application~1json");
        let shown = content.filter(|_| status.starts_with('2'));
        answers.push(Answer {
            status: status.clone(),
            class: status.chars().take(1).collect(),
            text: word(answer, "/description"),
            example: shown.map(|content| example_of(document, content)),
        });
    }
    Operation {
        anchor: word(operation, "/operationId"),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: word(operation, "/summary"),
        description: word(operation, "/description").split("\n\n").map(str::to_owned).collect(),
        needs_token: !list(operation, "security").is_empty(),
        parameters,
        request: operation
            .pointer("/requestBody/content/application~1json")
            .map(|content| example_of(document, content)),
        answers,
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The example that the document gives, or one put together from the schema.
fn example_of(document: &Value, content: &Value) -> String {
    let example = content.get("example").cloned().unwrap_or_else(|| {
        content.get("schema").map_or(Value::Null, |schema| from_schema(document, schema, MAX_DEPTH))
    });
    serde_json::to_string_pretty(&example).unwrap_or_default()
}

fn from_schema(document: &Value, schema: &Value, depth: u8) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(target.trim_start_matches('#')).unwrap_or(&Value::Null);
        return from_schema(document, target, depth - 1);
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let made = properties
            .iter()
            .map(|(name, property)| (name.clone(), from_schema(document, property, depth - 1)));
        return Value::Object(made.collect());
    }
    if let Some(items) = schema.get("items") {
        return Value::Array(vec![from_schema(document, items, depth - 1)]);
    }
    let is = |kind: &str| match schema.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(many)) => many.first().and_then(Value::as_str) == Some(kind),
        _ => false,
    };
    if schema
        .get("type")
        .is_some_and(|kind| list(&serde_json::json!({ "t": kind }), "t").contains(&"null".into()))
    {
        Value::Null
    } else if is("string") {
        Value::from("…")
    } else if is("integer") {
        Value::from(1)
    } else {
        Value::Null
    }
}
