//! `X-Request-Id`

use std::collections::BTreeSet;

use reqwest::Method;
use tokenry_testkit::app::TestApp;

const PATHS: [&str; 13] = [
    "/api/auth/user",
    "/api/auth/login",
    "/api/users/ada/get/connections",
    "/api/users/ada/get/connection/1",
    "/api/nothing",
    "/",
    "/docs",
    "/openapi.json",
    "/assets/style.css",
    "/healthz",
    "/readyz",
    "/metrics",
    "/callback",
];

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_is_of_no_kind_but_its_own() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("", "spotify", "t").await;
    let mut ids = BTreeSet::new();
    let mut answers = 0;
    for path in PATHS {
        for api in [&ada.api, &app.anonymous()] {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PATCH] {
                let answer = api.send(method.clone(), path, &[], Vec::new()).await;
                ids.insert(answer.header("x-request-id").to_owned());
                assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
                answers += 1;
            }
        }
    }
    assert!(!ids.contains(""));
    assert_eq!(ids.len(), answers, "no two are alike");
}

#[tokio::test]
async fn a_sane_id_is_passed_on() {
    let app = TestApp::start().await;
    let longest = "x".repeat(64);
    for id in ["a", "7f3c9a", "2021-04-11_req.1", "ABCxyz", longest.as_str()] {
        for path in PATHS {
            let answer = app.anonymous().send(Method::GET, path, &[("x-request-id", id)], Vec::new()).await;
            assert_eq!(answer.header("x-request-id"), id, "{path}");
        }
    }
}

#[tokio::test]
async fn an_id_that_could_do_harm_in_a_log_is_replaced() {
    let app = TestApp::start().await;
    let too_long = "x".repeat(65);
    for id in ["", "a b", "a\tb", "<b>", "a;b", "a\"b", "ïd", "{}", "a/b", "a=b", too_long.as_str()] {
        let answer = app.anonymous().send(Method::GET, "/healthz", &[("x-request-id", id)], Vec::new()).await;
        let ours = answer.header("x-request-id");
        assert_ne!(ours, id);
        assert!(ours.len() >= 16 && ours.bytes().all(|b| b.is_ascii_hexdigit()), "{ours}");
    }
}
