//! `/openapi.json`

use std::path::Path;

use reqwest::StatusCode;
use serde_json::Value;
use tokenry_testkit::app::TestApp;

use crate::sweep::ROUTES;

/// The document as it was when somebody last looked at it.
const SNAPSHOT: &str = include_str!("openapi.json");

#[test]
fn the_api_is_the_one_that_was_checked_in() {
    let now = format!("{}\n", tokenry_web::openapi_json());
    if std::env::var_os("TOKENRY_UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/openapi.json");
        std::fs::write(path, &now).unwrap();
        return;
    }
    let changed = SNAPSHOT.lines().zip(now.lines()).enumerate().find(|(_, (before, now))| before != now);
    if SNAPSHOT != now {
        let first = changed.map_or_else(
            || "one of them goes on where the other ends".to_owned(),
            |(line, (before, now))| format!("first in line {}:\n  was {before}\n  is  {now}", line + 1),
        );
        panic!(
            "the API is not the one in tests/api/openapi.json; {first}\n\
             If callers can live with the change, write the snapshot anew and look at its diff:\n  \
             TOKENRY_UPDATE_SNAPSHOTS=1 cargo test -p tokenry-testkit --test api openapi"
        );
    }
}

async fn document(app: &TestApp) -> Value {
    let answer = app.anonymous().get("/openapi.json").await.expect(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_checked_in_and_it_is_openapi_3_1() {
    let app = TestApp::start().await;
    let served = document(&app).await;
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1."), "{}", served["openapi"]);
    let made: Value = serde_json::from_str(&tokenry_web::openapi_json()).unwrap();
    assert_eq!(served, made);
}

#[tokio::test]
async fn every_route_of_the_document_is_there() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let filled = path
            .replace("{username}", "ada")
            .replace("{id}", "1")
            .replace("{service}", "spotify")
            .replace("{flow}", "x");
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            let answer = app.anonymous().send(method, &filled, &[], Vec::new()).await;
            let is_there = match answer.status.as_u16() {
                404 => answer.text("code") != "not_found",
                other => other != 405,
            };
            assert!(is_there, "{path}: {answer:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, ROUTES.len());
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let app = TestApp::start().await;
    let document = document(&app).await;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > ROUTES.len());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads away"));
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn every_route_says_what_it_answers_when_it_works_and_when_it_does_not() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    for route in &ROUTES {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        let answers = operation["responses"].as_object().unwrap();
        assert!(
            answers.contains_key("200") || answers.contains_key("201"),
            "{} {}",
            route.method,
            route.path
        );
        let mut expected = vec!["503"];
        expected.extend(route.needs_token.then_some("401"));
        expected.extend(route.names_user().then_some("403"));
        expected.extend(route.names_connection().then_some(["400", "404"]).into_iter().flatten());
        expected.extend(route.body.map(|_| ["400", "413", "415", "422"]).into_iter().flatten());
        for status in expected {
            assert!(answers.contains_key(status), "{} {} has no {status}", route.method, route.path);
        }
        for name in ["operationId", "summary"] {
            assert!(
                operation[name].as_str().is_some_and(|text| !text.is_empty()),
                "{} has no {name}",
                route.path
            );
        }
    }
}
