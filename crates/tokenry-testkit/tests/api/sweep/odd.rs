//! Words that no client in its right mind sends: in paths, in queries, in times. What is said to them is in the document, and
//! what is stored can be read afterwards.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokenry_testkit::app::Answer;

use super::table::{ROUTES, Route, World, document};

/// That the document knows this answer of the route.
#[track_caller]
fn assert_documented(document: &Value, route: &Route, answer: &Answer) {
    let answers = &document["paths"][route.path][route.method.to_lowercase()]["responses"];
    let status = answer.status.as_u16();
    assert!(status < 500 && answers[status.to_string()].is_object(), "{} {answer:?}", route.path);
}

const IMPORTS: &str = "/api/users/ada/connections";

#[tokio::test]
async fn every_part_of_a_path_may_be_any_bytes() {
    let world = World::new().await;
    let document = document(&world.app).await;
    let long = "x".repeat(6000);
    let mut tried = 0;
    for route in ROUTES.iter().filter(|route| route.path.contains('{') && route.method == "GET") {
        let parts = ["{username}", "{id}", "{service}", "{flow}", "{link}"];
        for part in parts.into_iter().filter(|part| route.path.contains(part)) {
            for odd in [
                "%FF",
                "%00",
                "a%00b",
                "%C0%80",
                "%ED%A0%80",
                "%F4%90%80%80",
                "%2F",
                "%5C",
                "%0D%0A",
                "%E2%80%AE",
                "%25",
                "%",
                "9223372036854775808",
                &long,
            ] {
                let path = world.path(&Route { path: route.path.replace(part, odd).leak(), ..*route }, "ada");
                let answer = world.ada.api.send(Method::GET, &path, &[], Vec::new()).await;
                assert_documented(&document, route, &answer);
                assert!(answer.status != StatusCode::OK, "{path} {answer:?}");
                if odd == "%FF" {
                    answer.expect_error(400, "invalid_path");
                }
                tried += 1;
            }
        }
    }
    assert!(tried >= 13 * 14, "{tried}");
    world.assert_unchanged().await;
}

#[tokio::test]
async fn every_parameter_of_a_query_may_be_any_bytes() {
    let world = World::new().await;
    let document = document(&world.app).await;
    let digits = "9".repeat(400);
    for route in &ROUTES {
        let parameters = &document["paths"][route.path][route.method.to_lowercase()]["parameters"];
        for parameter in parameters.as_array().into_iter().flatten().filter(|p| p["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            for odd in [
                "",
                "%00",
                "a%00",
                "%FF",
                "%ED%A0%80",
                "-1",
                "-0",
                "+1",
                "%201",
                "1.0",
                "1e3",
                "1e999",
                "NaN",
                "0x1",
                "9223372036854775808",
                &digits,
                "%D9%A1",
                "null",
                "[]",
                "%27%20or%201%3D1--",
                "%25",
                "%",
            ] {
                let path = format!("{}?{name}={odd}", world.path(route, "ada"));
                let answer = world.ada.api.get(&path).await;
                assert_documented(&document, route, &answer);
                // PostgreSQL has no text with NUL in it, so it is never asked for one.
                if odd.contains("%00") {
                    let answer = answer.expect_error(422, "invalid_field");
                    assert!(answer.text("message").contains(&format!("`{name}`")), "{answer:?}");
                }
            }
        }
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn texts_in_lists_and_objects_have_no_null_bytes_either() {
    let world = World::new().await;
    for (name, value) in
        [("scopes", json!(["a\0"])), ("settings", json!({"a\0": "b"})), ("settings", json!({"a": "b\0"}))]
    {
        for path in ["/authorize", "/device", "/1/authorize"] {
            let mut body = json!({"service": "sandbox"});
            body[name] = value.clone();
            let answer = world.ada.api.post(&format!("{IMPORTS}{path}"), &body).await;
            answer.expect_error(422, "invalid_field");
        }
    }
    world.assert_unchanged().await;
}

async fn import(world: &World, at: &str) -> Answer {
    let body = json!({"kind": "oauth2", "service": "sandbox", "access_token": "t", "expires_at": at});
    world.ada.api.post(IMPORTS, &body).await
}

#[tokio::test]
async fn a_time_at_the_end_of_the_calendar_can_be_stored_and_read_and_one_beyond_it_is_refused() {
    let world = World::new().await;
    // Beyond the year 9999 in UTC, and no time at all.
    for at in [
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:59-23:59",
        "+10000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "2030-02-30T00:00:00Z",
        "",
    ] {
        import(&world, at).await.expect_error(422, "invalid_field");
    }
    for (at, shown) in [
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59."),
        ("9999-12-31T23:59:59+23:59", "9999-12-31T00:00:59."),
    ] {
        let stored = import(&world, at).await.expect(StatusCode::CREATED).json();
        assert!(stored["expires_at"].as_str().unwrap().starts_with(shown), "{stored}");
    }
    for at in ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00+23:59"] {
        import(&world, at).await.expect(StatusCode::CREATED);
    }
    world.ada.api.get(IMPORTS).await.expect(StatusCode::OK);
    world.ada.list().await;
}
