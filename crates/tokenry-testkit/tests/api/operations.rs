//! `/healthz`, `/readyz`, `/metrics`

use reqwest::{Method, StatusCode};
use tokenry_testkit::app::{ApiClient, TestApp};

#[tokio::test]
async fn a_server_that_runs_is_alive_and_ready_for_everybody() {
    let app = TestApp::start().await;
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = app.anonymous().get(path).await.expect(StatusCode::OK);
        assert_eq!(answer.body, body);
        assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
    }
}

#[tokio::test]
async fn without_its_database_a_server_is_alive_and_not_ready_and_keeps_its_internals_to_itself() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let id = ada.add("", "spotify", "t").await;
    app.server().broker().close().await;
    app.anonymous().get("/healthz").await.expect(StatusCode::OK);
    let page =
        app.anonymous().get("/callback?state=any&code=any").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{page:?}");
    let answers = [
        app.anonymous().get("/readyz").await,
        ada.get_token(id).await,
        ada.api.get("/api/auth/user").await,
        ada.api.get("/api/users/ada/get/connections").await,
        ada.api.delete("/api/users/ada/connection/delete/1").await,
        ada.api.put("/api/users/ada/update/connection/name/1", &serde_json::json!({"name": "n"})).await,
    ];
    for answer in answers {
        let answer = answer.expect_error(503, "database_unavailable");
        for internal in ["sql", "pool", "closed", "SELECT", "connections", "tokenry.db"] {
            assert!(!answer.body.to_lowercase().contains(&internal.to_lowercase()), "{answer:?}");
        }
    }
}

async fn metrics(api: &ApiClient, headers: &[(&str, &str)]) -> tokenry_testkit::app::Answer {
    api.send(Method::GET, "/metrics", headers, Vec::new()).await
}

#[tokio::test]
async fn the_metrics_count_by_route_and_name_nobody() {
    let app = TestApp::start().await;
    let ada = app.user("ada-sentinel").await;
    let id = ada.add("name-sentinel", "spotify", "token-sentinel").await;
    for _ in 0..3 {
        ada.token_of(id).await;
    }
    app.anonymous().get("/api/no-such-sentinel").await;
    let answer = metrics(&app.anonymous(), &[]).await.expect(StatusCode::OK);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"), "{answer:?}");
    let counted = answer
        .body
        .lines()
        .find(|line| {
            line.contains(r#"route="/api/users/{username}/get/connection/{id}""#) && line.contains(r#""200""#)
        })
        .unwrap_or_else(|| panic!("{}", answer.body));
    assert!(counted.starts_with("tokenry_requests_total{") && counted.ends_with(" 3"), "{counted}");
    assert!(!answer.body.contains("sentinel"), "{}", answer.body);
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_metrics_are_for_this_machine_and_a_request_that_was_passed_on_is_not_from_it() {
    let app =
        TestApp::start_with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    metrics(&app.anonymous(), &[]).await.expect(StatusCode::OK);
    for headers in [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", ""),
        ("forwarded", "for=203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("via", "1.1 proxy"),
    ] {
        metrics(&app.anonymous(), &[headers]).await.expect_error(403, "forbidden");
    }
    // Nor does an access token open them.
    let ada = app.user("ada").await;
    metrics(&ada.api, &[("x-forwarded-for", "203.0.113.9")]).await.expect_error(403, "forbidden");
}

#[tokio::test]
async fn with_a_metrics_token_the_metrics_are_for_its_bearer_from_wherever() {
    let app = TestApp::start_with(|config| config.metrics_token = Some("the metrics token".into())).await;
    let ada = app.user("ada").await;
    let api = app.anonymous();
    metrics(&api, &[]).await.expect_error(403, "forbidden");
    metrics(&ada.api, &[]).await.expect_error(403, "forbidden");
    for wrong in ["the metrics toke", "the metrics token.", "Bearer", "THE METRICS TOKEN"] {
        metrics(&api, &[("authorization", wrong)]).await.expect_error(403, "forbidden");
    }
    for elsewhere in [None, Some(("x-forwarded-for", "203.0.113.9"))] {
        let mut headers = vec![("authorization", "Bearer the metrics token")];
        headers.extend(elsewhere);
        metrics(&api, &headers).await.expect(StatusCode::OK);
    }
}
