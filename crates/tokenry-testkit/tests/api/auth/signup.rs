//! `POST /api/auth/signup`

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry::config::Signup;
use tokenry_testkit::app::{Answer, PASSWORD, TestApp};

async fn sign_up(app: &TestApp, username: &str, email: &str, password: &str) -> Answer {
    let body = json!({"username": username, "email": email, "password": password});
    app.anonymous().post("/api/auth/signup", &body).await
}

#[tokio::test]
async fn a_person_signs_up_as_printed() {
    let app = TestApp::start().await;
    let answer = sign_up(&app, "ada", "ada@example.org", PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(answer.body, r#"{"message":"user created successfully."}"#);
    app.anonymous().log_in("ada", PASSWORD).await;
}

#[tokio::test]
async fn a_username_is_1_to_64_of_letters_digits_dots_underscores_and_hyphens() {
    let app = TestApp::start().await;
    let longest = "x".repeat(64);
    for name in ["a", "A.b_c-9", "...", "-", "_", longest.as_str()] {
        sign_up(&app, name, "a@example.org", PASSWORD).await.expect(StatusCode::OK);
        let mut api = app.anonymous();
        api.token = Some(api.log_in(name, PASSWORD).await);
        let answer = api.get(&format!("/api/users/{name}/get/connections")).await;
        assert_eq!(answer.expect(StatusCode::OK).body, "[]", "{name} can be said in a path");
    }
    let too_long = "x".repeat(65);
    for name in
        ["", ".", "..", " ", "sentinel x", "sentinel/x", "séntinel", "sentinel@x", "sentinel\n", &too_long]
    {
        let answer = sign_up(&app, name, "a@example.org", PASSWORD).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains("`username`"), "{answer:?}");
        assert!(!answer.body.contains("ntinel"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_email_has_two_sides_and_no_white_space() {
    let app = TestApp::start().await;
    for (name, email) in [("a", "ada@example.org"), ("b", "Ada+tag@sub.example.org"), ("c", "адa@пример.рф")]
    {
        sign_up(&app, name, email, PASSWORD).await.expect(StatusCode::OK);
    }
    let long = format!("{}@example.org", "x".repeat(250));
    for email in ["", "sentinel", "@sentinel", "sentinel@", "sen tinel@x", "sentinel@x\n", long.as_str()] {
        let answer = sign_up(&app, "d", email, PASSWORD).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains("`email`"), "{answer:?}");
        assert!(!answer.body.contains("sentinel"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_password_has_8_characters_at_least_and_any_will_do() {
    let app = TestApp::start().await;
    let longest = "x".repeat(1024);
    for (name, password) in [
        ("a", "ääääääää"),
        ("b", "\0\0\0\0\0\0\0\0"),
        ("c", "        "),
        ("d", "🔑🔑🔑🔑🔑🔑🔑🔑"),
        ("e", longest.as_str()),
    ] {
        sign_up(&app, name, "a@example.org", password).await.expect(StatusCode::OK);
        app.anonymous().log_in(name, password).await;
    }
    let too_long = "x".repeat(1025);
    for password in ["", "sntnl 7", "ääääääa", too_long.as_str()] {
        let answer = sign_up(&app, "f", "a@example.org", password).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains("`password`"), "{answer:?}");
        assert!(!answer.body.contains("sntnl"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_taken_in_every_case() {
    let app = TestApp::start().await;
    let ada = app.user("Ada").await;
    for name in ["Ada", "ada", "ADA"] {
        sign_up(&app, name, "other@example.org", "another password")
            .await
            .expect_error(409, "username_taken");
    }
    let user: Value = ada.api.get("/api/auth/user").await.json();
    assert_eq!(user["user"]["email"], "Ada@example.org", "hers is as it was");
    app.anonymous().log_in("Ada", PASSWORD).await;
}

#[tokio::test]
async fn of_many_who_want_a_name_at_once_one_gets_it() {
    let app = TestApp::start().await;
    let tries = (0..8).map(|number| {
        let api = app.anonymous();
        tokio::spawn(async move {
            let name = if number % 2 == 0 { "ada" } else { "ADA" };
            let body = json!({"username": name, "email": "a@example.org", "password": PASSWORD});
            api.post("/api/auth/signup", &body).await.status.as_u16()
        })
    });
    let mut answers = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        answers.push(one.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, [200, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn a_closed_door_stays_closed_and_those_inside_still_log_in() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let app = app.restart_with(|config| config.signup = Signup::Closed).await;
    for (name, password) in [("bob", PASSWORD), ("ada", PASSWORD), ("", "")] {
        let answer = sign_up(&app, name, "b@example.org", password).await;
        answer.expect_error(403, "signup_closed");
    }
    app.anonymous().log_in("ada", PASSWORD).await;
}

#[tokio::test]
async fn the_name_that_stands_for_nobody_cannot_be_had() {
    // Log-ins with an impossible name are looked up under it. Whoever had it could be logged in to under any such name.
    let app = TestApp::start().await;
    for name in ["nobody-can-have-this-name", "Nobody-Can-Have-This-Name"] {
        let answer = sign_up(&app, name, "a@example.org", PASSWORD).await.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains("`username`"), "{answer:?}");
    }
    let body = json!({"username": "an impossible name", "password": PASSWORD});
    app.anonymous().post("/api/auth/login", &body).await.expect_error(401, "wrong_login");
}
