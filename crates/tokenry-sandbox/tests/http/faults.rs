use std::time::{Duration, Instant};

use reqwest::{Response, header};
use serde_json::Value;
use tokenry_sandbox::{Endpoint, Fault, FaultKind};

use crate::fixture::{Fixture, invalid_grant, refresh_form, refusal, start, tokens};

/// A refresh that meets `kind`.
async fn refresh_with(fx: &Fixture, token: &str, kind: FaultKind) -> reqwest::Result<Response> {
    fx.sandbox.inject(Fault::on_refresh(kind));
    let request = fx.http.post(fx.url("/token")).basic_auth("app", Some("s3cret"));
    request.form(&refresh_form(token)).send().await
}

/// That the fault was served, and that `token` was not spent by it.
async fn assert_untouched(fx: &Fixture, token: &str) {
    let seen = fx.sandbox.seen();
    assert_eq!((seen.faults_served, seen.refreshes, seen.refresh_attempts), (1, 0, 1));
    assert_eq!(fx.refresh(token).await.status(), 200);
}

#[tokio::test]
async fn a_status_is_served_with_its_retry_after() {
    let fx = start().await;
    let token = fx.connect("ada").await.refresh;
    let kind = FaultKind::Status { code: 429, retry_after_s: Some(7) };
    let response = refresh_with(&fx, &token, kind).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
        (429, &"7".parse().unwrap())
    );
    assert_untouched(&fx, &token).await;
}

#[tokio::test]
async fn an_oauth_error_is_served_without_touching_the_grant() {
    let fx = start().await;
    let token = fx.connect("ada").await.refresh;
    let kind = FaultKind::OAuthError { code: "invalid_grant".to_owned(), status: 400 };
    assert_eq!(refusal(refresh_with(&fx, &token, kind).await.unwrap()).await, invalid_grant());
    assert_untouched(&fx, &token).await;
}

#[tokio::test]
async fn a_delay_delays_and_then_the_work_is_done() {
    let fx = start().await;
    let token = fx.connect("ada").await.refresh;
    let start = Instant::now();
    let response = refresh_with(&fx, &token, FaultKind::Delay { ms: 150 }).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert_eq!(fx.sandbox.seen().refreshes, 1);
}

#[tokio::test]
async fn a_drop_tears_the_connection_before_anything_is_done() {
    let fx = start().await;
    let token = fx.connect("ada").await.refresh;
    let error = refresh_with(&fx, &token, FaultKind::Drop).await.unwrap_err();
    assert!(error.is_request() && !error.is_connect(), "{error:?}");
    assert_untouched(&fx, &token).await;
}

#[tokio::test]
async fn a_drop_after_spends_the_token_and_loses_the_answer() {
    let fx = start().await;
    let issued = fx.connect("ada").await;
    let error = refresh_with(&fx, &issued.refresh, FaultKind::DropAfter).await.unwrap_err();
    assert!(error.is_request() && !error.is_connect(), "{error:?}");
    assert_eq!(fx.sandbox.seen().refreshes, 1);
    assert_eq!(refusal(fx.refresh(&issued.refresh).await).await, invalid_grant());
    assert_eq!(fx.sandbox.seen().reuses_detected, 1);
}

#[tokio::test]
async fn a_malformed_answer_is_a_200_that_does_not_parse() {
    let fx = start().await;
    let token = fx.connect("ada").await.refresh;
    let response = refresh_with(&fx, &token, FaultKind::Malformed).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()[header::CONTENT_TYPE]), (200, &json_type()));
    assert!(serde_json::from_slice::<Value>(&response.bytes().await.unwrap()).is_err());
    assert_untouched(&fx, &token).await;
}

#[tokio::test]
async fn an_error_can_come_as_a_200() {
    let fx = start().await;
    let token = fx.connect("ada").await.refresh;
    let kind = FaultKind::ErrorInOk { code: "bad_refresh_token".to_owned() };
    let answer = refusal(refresh_with(&fx, &token, kind).await.unwrap()).await;
    assert_eq!(answer, (200, "bad_refresh_token".to_owned()));
    assert_untouched(&fx, &token).await;
}

#[tokio::test]
async fn a_huge_body_has_the_length_that_was_ordered_and_does_not_announce_it() {
    let fx = start().await;
    let token = fx.connect("ada").await.refresh;
    let response = refresh_with(&fx, &token, FaultKind::HugeBody { bytes: 1_000_003 }).await.unwrap();
    assert_eq!(response.content_length(), None);
    let body = response.bytes().await.unwrap();
    assert_eq!(body.len(), 1_000_003);
    assert!(serde_json::from_slice::<String>(&body).is_ok());
    assert_untouched(&fx, &token).await;
    let empty = refresh_with(&fx, &token, FaultKind::HugeBody { bytes: 0 }).await.unwrap();
    assert_eq!(empty.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_slow_body_brings_the_real_answer_byte_by_byte() {
    let fx = start().await;
    let token = fx.connect("ada").await.refresh;
    let start = Instant::now();
    let mut response = refresh_with(&fx, &token, FaultKind::SlowBody { ms_total: 300 }).await.unwrap();
    let headers_after = start.elapsed();
    let mut body = Vec::new();
    let mut pieces = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        body.extend_from_slice(&piece);
        pieces += 1;
    }
    assert!(start.elapsed() >= Duration::from_millis(300) && headers_after < start.elapsed());
    assert!(pieces > 10, "{pieces}");
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert!(fx.accepts(answer["access_token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_redirect_leads_away() {
    let fx = start().await;
    let token = fx.connect("ada").await.refresh;
    let kind = FaultKind::RedirectTo { url: "http://127.0.0.1:9/elsewhere".parse().unwrap() };
    let response = refresh_with(&fx, &token, kind).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()[header::LOCATION], "http://127.0.0.1:9/elsewhere");
    assert_untouched(&fx, &token).await;
}

#[tokio::test]
async fn a_fault_for_refreshes_spares_the_exchange_of_codes_and_runs_out() {
    let fx = start().await;
    fx.sandbox.inject(Fault::on_refresh(FaultKind::Status { code: 503, retry_after_s: None }).times(2));
    let token = fx.connect("ada").await.refresh;
    for expected in [503, 503, 200] {
        assert_eq!(fx.refresh(&token).await.status(), expected);
    }
    let seen = fx.sandbox.seen();
    assert_eq!((seen.faults_served, seen.refresh_attempts, seen.refreshes), (2, 3, 1));
}

#[tokio::test]
async fn every_endpoint_can_fail() {
    let fx = start().await;
    let issued = fx.connect("ada").await;
    let teapot = FaultKind::Status { code: 418, retry_after_s: None };
    for endpoint in [
        Endpoint::Authorize,
        Endpoint::Token,
        Endpoint::Userinfo,
        Endpoint::Revoke,
        Endpoint::Introspect,
        Endpoint::Metadata,
    ] {
        fx.sandbox.inject(Fault::once(endpoint, teapot.clone()));
    }
    let metadata = fx.url("/.well-known/oauth-authorization-server");
    for response in [
        fx.http.get(fx.authorize_url(&[])).send().await.unwrap(),
        fx.refresh(&issued.refresh).await,
        fx.userinfo(&issued.access).await,
        fx.post("/revoke", &[("token", &issued.refresh)]).await,
        fx.post("/introspect", &[("token", &issued.refresh)]).await,
        fx.http.get(metadata).send().await.unwrap(),
    ] {
        assert_eq!(response.status(), 418);
    }
    assert!(!tokens(fx.refresh(&issued.refresh).await).await.refresh.is_empty());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_long_delay() {
    let fx = start().await;
    fx.sandbox.inject(Fault::once(Endpoint::Userinfo, FaultKind::Delay { ms: 600_000 }));
    let request = fx.http.get(fx.url("/userinfo")).send();
    let waiting = tokio::spawn(request);
    while fx.sandbox.seen().faults_served == 0 {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    fx.sandbox.stop().await;
    assert!(waiting.await.unwrap().is_err(), "the request is torn");
    assert!(start.elapsed() < Duration::from_secs(2));
}

fn json_type() -> header::HeaderValue {
    header::HeaderValue::from_static("application/json")
}
