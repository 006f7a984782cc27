//! The fields of bodies, as the document lists them.

use serde_json::{Value, json};
use tokenry_testkit::app::{Answer, TestApp};

use super::table::{Route, World, document, with_a_body};

/// Where credentials of every kind are taken.
const CREDENTIALS: &str = "/api/users/{username}/connections";

struct Field {
    route: &'static Route,
    name: String,
    required: bool,
}

impl Field {
    fn sample(&self) -> Value {
        serde_json::from_str(self.route.body.unwrap()).unwrap()
    }

    /// Calls the route with another value in the field.
    async fn call_with(&self, world: &World, value: Value) -> Answer {
        let mut body = self.sample();
        body[&self.name] = value;
        self.call(world, &body).await
    }

    /// Whether it is of a body in which what is not required may be left out as one likes.
    fn may_be_missing(&self) -> bool {
        self.route.path.contains("/connections") || self.route.path.ends_with("/connect/links")
    }

    /// What the field holds in the sample.
    fn value(&self) -> Value {
        self.sample()[&self.name].clone()
    }

    async fn call(&self, world: &World, body: &Value) -> Answer {
        let body = body.to_string();
        self.route.call_with(&world.ada.api, Some("application/json"), body.as_bytes()).await
    }

    #[track_caller]
    fn assert_named(&self, answer: &Answer) {
        assert!(answer.text("message").contains(&format!("`{}`", self.name)), "{answer:?}");
    }
}

async fn fields(app: &TestApp) -> Vec<Field> {
    let document = document(app).await;
    let mut fields = Vec::new();
    for route in with_a_body() {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        let reference =
            operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
        let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let sample: Value = serde_json::from_str(route.body.unwrap()).unwrap();
        for name in schema["properties"].as_object().unwrap().keys() {
            let required = required.contains(&json!(name));
            // Which fields a credential has goes by its kind: no sample has them all.
            if route.path == CREDENTIALS && sample.get(name).is_none() {
                assert!(!required);
                continue;
            }
            fields.push(Field { route, name: name.clone(), required });
        }
    }
    assert_eq!(fields.len(), 31, "as many as the samples have");
    fields
}

#[tokio::test]
async fn the_samples_have_all_fields() {
    let world = World::new().await;
    for field in fields(&world.app).await {
        let value = field.value();
        let is_right = value.is_string() || value.is_array() || value.is_object();
        assert!(is_right, "{} {}", field.route.path, field.name);
    }
}

#[tokio::test]
async fn a_field_that_is_missing_is_named_unless_it_may_be() {
    let world = World::new().await;
    let mut optional = Vec::new();
    for field in fields(&world.app).await {
        if !field.required {
            if !field.may_be_missing() {
                optional.push((field.route.path, field.name));
            }
            continue;
        }
        let mut body = field.sample();
        body.as_object_mut().unwrap().remove(&field.name);
        let answer = field.call(&world, &body).await.expect_error(422, "invalid_field");
        field.assert_named(&answer);
        assert!(answer.text("message").contains("missing"), "{answer:?}");
        // A key is what it is, to the letter.
        body[field.name.to_uppercase()] = json!("sentinel");
        let answer = field.call(&world, &body).await.expect_error(422, "invalid_field");
        field.assert_named(&answer);
    }
    assert_eq!(optional, [("/api/users/{username}/add/connection", "name".to_owned())]);
    world.assert_unchanged().await;
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named_and_its_value_is_not_repeated() {
    let world = World::new().await;
    for field in fields(&world.app).await {
        let right = field.value();
        let may_be_null = !field.required && field.may_be_missing();
        for value in [
            json!(73_918_462),
            json!(-7.391_846_2),
            json!(true),
            json!("sentinel"),
            Value::Null,
            json!(["sentinel"]),
            json!([73_918_462, "sentinel"]),
            json!({"sentinel": "sentinel"}),
            json!({"sentinel": 73_918_462}),
            json!({}),
        ] {
            let is_right = (right.is_string() && value.is_string())
                || (right.is_array() && value == json!(["sentinel"]))
                || (right.is_object() && (value == json!({}) || value["sentinel"] == "sentinel"));
            if is_right || (value.is_null() && may_be_null) {
                continue;
            }
            let answer = field.call_with(&world, value).await.expect_error(422, "invalid_field");
            field.assert_named(&answer);
            for leak in ["sentinel", "73918462", "7.39"] {
                assert!(!answer.body.contains(leak), "{answer:?}");
            }
        }
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn an_empty_field_is_named_unless_it_may_be_empty() {
    let world = World::new().await;
    for field in fields(&world.app).await.into_iter().filter(|field| field.value().is_string()) {
        let answer = field.call_with(&world, json!("")).await;
        match (field.route.path, field.name.as_str()) {
            (_, "name") => assert_eq!(answer.status, field.route.success(), "{answer:?}"),
            ("/api/auth/login", _) => drop(answer.expect_error(401, "wrong_login")),
            (_, "token_type" | "service") => field.assert_named(&answer.expect_error(422, "unknown_service")),
            _ => field.assert_named(&answer.expect_error(422, "invalid_field")),
        }
    }
}

#[tokio::test]
async fn a_field_with_a_null_byte_is_named_and_its_value_is_not_repeated() {
    let world = World::new().await;
    for field in fields(&world.app).await {
        // A password is hashed, never stored or shown: any character will do.
        if field.name.contains("password") || !field.value().is_string() {
            continue;
        }
        let answer = field.call_with(&world, json!("sentinel\0")).await;
        let answer = match (field.route.path, field.name.as_str()) {
            ("/api/auth/login", _) => answer.expect_error(401, "wrong_login"),
            (_, "token_type" | "service") => {
                field.assert_named(&answer.expect_error(422, "unknown_service"));
                continue;
            }
            _ => {
                let answer = answer.expect_error(422, "invalid_field");
                field.assert_named(&answer);
                answer
            }
        };
        assert!(!answer.body.contains("sentinel"), "{answer:?}");
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_passed_over() {
    let world = World::new().await;
    // As deep as it may be: it must not be the reader's stack that is used up.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for route in with_a_body() {
        let body = format!(r#"{{"id": 7, "is_admin": true, "deep": {deep}, {}"#, &route.body.unwrap()[1..]);
        let answer = route.call_with(&world.ada.api, Some("application/json"), body.as_bytes()).await;
        assert_eq!(answer.status, route.success(), "{} {answer:?}", route.path);
    }
}
