//! Bodies that are not what they should be.

use serde_json::Value;

use super::table::{Route, World, with_a_body};

const JSON: Option<&str> = Some("application/json");
/// The largest body there may be.
const MAX_BODY: usize = 512 * 1024;

fn sample(route: &Route) -> &'static str {
    route.body.unwrap()
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_refused() {
    let world = World::new().await;
    for route in with_a_body() {
        for kind in [
            None,
            Some(""),
            Some("text/plain"),
            Some("text/json"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/jsonx"),
            Some("application/xml; charset=application/json"),
        ] {
            let answer = route.call_with(&world.ada.api, kind, sample(route).as_bytes()).await;
            answer.expect_error(415, "unsupported_media_type");
        }
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn json_may_be_declared_with_parameters_in_any_case_or_as_a_kind_of_json() {
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"] {
        let world = World::new().await;
        for route in with_a_body() {
            let answer = route.call_with(&world.ada.api, Some(kind), sample(route).as_bytes()).await;
            assert_eq!(answer.status, route.success(), "{kind} {} {answer:?}", route.path);
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
    let world = World::new().await;
    for route in with_a_body() {
        let mut body = sample(route).as_bytes().to_vec();
        body.resize(MAX_BODY + 1, b' ');
        let answer = route.call_with(&world.ada.api, JSON, &body).await;
        let answer = answer.expect_error(413, "body_too_large");
        assert!(answer.text("message").contains(&MAX_BODY.to_string()), "says how much may be: {answer:?}");
    }
    world.assert_unchanged().await;
    for route in with_a_body() {
        let mut body = sample(route).as_bytes().to_vec();
        body.resize(MAX_BODY, b' ');
        let answer = route.call_with(&world.ada.api, JSON, &body).await;
        assert_eq!(answer.status, route.success(), "{} {answer:?}", route.path);
    }
}

#[tokio::test]
async fn what_is_not_one_json_value_is_refused() {
    let world = World::new().await;
    for route in with_a_body() {
        let good = sample(route);
        let object: Value = serde_json::from_str(good).unwrap();
        let field = object.as_object().unwrap().keys().next().unwrap();
        let mut bodies: Vec<Vec<u8>> = [
            "",
            " ",
            "{",
            "}",
            "sentinel",
            "{'sentinel': 1}",
            &good[..good.len() / 2],
            &good[..good.len() - 1],
            &format!("{good} sentinel"),
            &format!("{good}{good}"),
            &format!("{good},"),
            &format!("{good}\0"),
            &format!("\u{feff}{good}"),
            &format!(r#"{{"sentinel": NaN, {}"#, &good[1..]),
            &format!(r#"{{"{field}": "\ud800", {}"#, &good[1..]),
            &format!("{{\"{field}\": \"sentinel\n\"}}"),
            &format!("{{\"{field}\": \"sentinel\0\"}}"),
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec();
        for bad in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"sentinel\xf8"] {
            bodies.push([format!(r#"{{"{field}": ""#).as_bytes(), bad, br#""}"#].concat());
        }
        bodies.push(good.encode_utf16().flat_map(u16::to_le_bytes).collect());
        for body in bodies {
            let answer = route.call_with(&world.ada.api, JSON, &body).await;
            assert_eq!(answer.status.as_u16(), 400, "{} {:?}", route.path, String::from_utf8_lossy(&body));
            let answer = answer.expect_error(400, "invalid_json");
            assert!(!answer.body.contains("sentinel"), "{answer:?}");
        }
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn a_key_that_comes_twice_is_refused_by_its_name() {
    let world = World::new().await;
    for route in with_a_body() {
        let good = sample(route);
        let object: Value = serde_json::from_str(good).unwrap();
        for (field, value) in object.as_object().unwrap() {
            for second in [value.to_string(), r#""sentinel""#.to_owned(), "73918462".to_owned()] {
                let body = format!(r#"{}, "{field}": {second}}}"#, &good[..good.len() - 1]);
                let answer = route.call_with(&world.ada.api, JSON, body.as_bytes()).await;
                let answer = answer.expect_error(400, "invalid_json");
                assert!(answer.text("message").contains(&format!("`{field}`")), "{answer:?}");
                assert!(!answer.body.contains("sentinel") && !answer.body.contains("73918462"), "{answer:?}");
            }
        }
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn json_that_is_no_object_is_refused() {
    let world = World::new().await;
    for route in with_a_body() {
        let object: Value = serde_json::from_str(sample(route)).unwrap();
        // A list of the right values in the right order is none the less a list.
        let list: Vec<&Value> = object.as_object().unwrap().values().collect();
        let list = serde_json::to_string(&list).unwrap();
        let by_name = r#"["mallory", "mallory@example.org", "sentinel sentinel"]"#;
        for body in [&list, by_name, "[]", r#""sentinel""#, "73918462", "true", "null"] {
            let answer = route.call_with(&world.ada.api, JSON, body.as_bytes()).await;
            let answer = answer.expect_error(422, "invalid_field");
            assert!(answer.text("message").contains("object"), "{} {body}: {answer:?}", route.path);
            assert!(!answer.body.contains("sentinel") && !answer.body.contains("73918462"), "{answer:?}");
        }
        let half = route.call_with(&world.ada.api, JSON, &list.as_bytes()[..list.len() - 1]).await;
        half.expect_error(400, "invalid_json");
    }
    world.assert_unchanged().await;
}
