//! Exchange and refresh when something is wrong: each fault has one name, and no fault tells a secret.

use std::time::Duration;

use axum::response::IntoResponse;
use tokenry_oauth::{OAuthError, Refusal};

use crate::fake::{
    CODE, Fake, REFRESH, SECRET, engine, exchange, impatient, provider, refresh, refresh_at, reply,
};

async fn refusal(status: u16, body: &str) -> OAuthError {
    refresh_at(&Fake::answering(status, "application/json", body).await).await.unwrap_err()
}

#[tokio::test]
async fn an_error_is_an_error_whatever_the_status() {
    for status in [200, 400, 401, 403] {
        let error =
            refusal(status, r#"{"error":"invalid_grant","error_description":"revoked by Ada"}"#).await;
        assert_eq!(error.to_string(), "the provider refused: invalid_grant (revoked by Ada)");
        assert!(error.is_final_refusal() && !error.is_operators_fault());
    }
    let form = Fake::answering(200, "application/x-www-form-urlencoded", "error=invalid_client").await;
    let error = refresh_at(&form).await.unwrap_err();
    assert!(error.is_operators_fault() && !error.is_final_refusal(), "{error:?}");
}

#[tokio::test]
async fn a_provider_s_own_codes_are_known_from_its_data() {
    for (code, meaning) in [
        ("bad_refresh_token", Refusal::Final),
        ("incorrect_client_credentials", Refusal::Operator),
        ("bad_verification_code", Refusal::Other),
    ] {
        let fake = Fake::json(format!(r#"{{"error":"{code}"}}"#)).await;
        let error = refresh(&engine(), &provider("git", fake.settings())).await.unwrap_err();
        assert_eq!(error, OAuthError::Refused { code: code.into(), description: None, meaning });
        let elsewhere = refresh_at(&fake).await.unwrap_err();
        assert!(!elsewhere.is_final_refusal() && !elsewhere.is_operators_fault(), "{elsewhere:?}");
    }
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_from_one_that_refuses() {
    for status in [500, 502, 503, 504, 408] {
        let error = refusal(status, r#"{"error":"invalid_grant"}"#).await;
        assert!(matches!(error, OAuthError::Unavailable { .. }), "{status}: {error:?}");
    }
    let error = refusal(400, r#"{"error":"temporarily_unavailable"}"#).await;
    assert!(matches!(error, OAuthError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    for (status, header, expected_s) in [
        (429, Some("7"), Some(7)),
        (503, Some("Tue, 14 Nov 2023 22:15:20 GMT"), Some(120)),
        (429, None, None),
        (503, Some("soon"), None),
    ] {
        let fake = Fake::start(move |_| {
            let mut answer = reply(status, "text/plain", "");
            if let Some(header) = header {
                answer.headers_mut().insert("retry-after", header.parse().unwrap());
            }
            answer
        })
        .await;
        let error = refresh_at(&fake).await.unwrap_err();
        assert_eq!(matches!(error, OAuthError::RateLimited { .. }), status == 429);
        assert_eq!(error.retry_after(), expected_s.map(Duration::from_secs), "{header:?}");
    }
}

#[tokio::test]
async fn what_is_no_oauth_answer_makes_no_sense() {
    for (status, content_type, body) in [
        (200, "text/html", "<html><a href='?access_token=a'>log in</a></html>"),
        (200, "application/json", ""),
        (204, "application/json", ""),
        (200, "application/json", "{\"access_token\":\"a\""),
        (200, "application/json", "[]"),
        (200, "application/json", "{}"),
        (200, "text/plain", "hello=world"),
        (400, "text/html", "<html>"),
        (404, "application/json", "{}"),
        (403, "application/json", r#"{"access_token":"a"}"#),
    ] {
        let error = refresh_at(&Fake::answering(status, content_type, body).await).await.unwrap_err();
        assert!(matches!(error, OAuthError::Nonsense { .. }), "{status} {body}: {error:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Fake::json(r#"{"access_token":"a"}"#).await;
    let target = elsewhere.url.to_string();
    for status in [301, 302, 303, 307, 308] {
        let target = target.clone();
        let fake = Fake::start(move |_| {
            (axum::http::StatusCode::from_u16(status).unwrap(), [("location", target.clone())])
                .into_response()
        })
        .await;
        let error = refresh_at(&fake).await.unwrap_err();
        assert!(error.to_string().contains("redirect"), "{error}");
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn an_answer_of_two_mebibytes_is_not_read() {
    let huge = format!(r#"{{"access_token":"a","padding":"{}"}}"#, "x".repeat(2 << 20));
    let error = refresh_at(&Fake::json(huge.clone()).await).await.unwrap_err();
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
    // The same without a length said beforehand.
    let fake = Fake::start(move |_| {
        let parts: Vec<Result<_, std::io::Error>> = huge
            .as_bytes()
            .chunks(1 << 16)
            .map(|part| Ok(axum::body::Bytes::copy_from_slice(part)))
            .collect();
        axum::body::Body::from_stream(futures_util::stream::iter(parts)).into_response()
    })
    .await;
    let error = refresh_at(&fake).await.unwrap_err();
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut_by_the_time_out() {
    let fake = Fake::start(|_| {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>(axum::body::Bytes::from("{"))]);
        let then = futures_util::StreamExt::chain(first, futures_util::stream::pending());
        axum::body::Body::from_stream(then).into_response()
    })
    .await;
    let provider = fake.provider();
    let engine = impatient();
    let error = tokio::time::timeout(Duration::from_secs(2), refresh(&engine, &provider)).await;
    let error = error.expect("the time-out is 300 ms").unwrap_err();
    assert!(matches!(&error, OAuthError::Unavailable { what, .. } if what.contains("300ms")), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_not_tried_twice() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let count = tokio::spawn(async move {
        let mut count = 0;
        while let Ok(Ok((stream, _))) =
            tokio::time::timeout(Duration::from_millis(300), listener.accept()).await
        {
            count += 1;
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut [0; 4096]);
        }
        count
    });
    let mut settings = Fake::json("{}").await.settings();
    settings.token_url = Some(url.parse().unwrap());
    let error = refresh(&engine(), &provider("own", settings)).await.unwrap_err();
    assert!(matches!(error, OAuthError::Unavailable { .. }), "{error:?}");
    assert_eq!(count.await.unwrap(), 1);
}

#[tokio::test]
async fn a_provider_that_does_not_listen_is_away() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let mut settings = Fake::json("{}").await.settings();
    settings.token_url = Some(url.parse().unwrap());
    let error = refresh(&engine(), &provider("own", settings)).await.unwrap_err();
    assert!(error.to_string().contains("cannot connect to 127.0.0.1"), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_to_a_port_that_speaks_no_tls() {
    let fake = Fake::json(r#"{"access_token":"a"}"#).await;
    let mut settings = fake.settings();
    settings.token_url = Some(fake.url.as_str().replace("http:", "https:").parse().unwrap());
    let error = refresh(&engine(), &provider("own", settings)).await.unwrap_err();
    assert!(matches!(error, OAuthError::Unavailable { .. }), "{error:?}");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn no_error_tells_a_secret_that_the_provider_echoes() {
    let bodies = [
        |all: &str| format!(r#"{{"error":"invalid_grant","error_description":"bad: {all}"}}"#),
        |all: &str| format!(r#"{{"error":"{all}"}}"#),
        |all: &str| format!(r#"{{"error":{{"message":"{all}","code":"x {all}"}}}}"#),
        |all: &str| format!(r#"{{"access_token":"a","token_type":"{all}"}}"#),
        |all: &str| format!(r#"{{"access_token":"{all} "}}"#),
        |all: &str| format!("{all} <html>"),
    ];
    for body in bodies {
        for status in [200, 400, 500] {
            let fake = Fake::start(move |seen| {
                // Everything that was sent, raw and decoded.
                let form = seen.form().into_values().collect::<Vec<_>>().join(" ");
                let basic = seen.header("authorization").unwrap_or_default().to_owned();
                reply(status, "application/json", &body(&format!("{form} {} {basic} {SECRET}", seen.body)))
            })
            .await;
            let token_url = fake.url.join("token").unwrap();
            for provider in [fake.provider(), provider("git", fake.settings())] {
                for result in
                    [refresh(&engine(), &provider).await, exchange(&engine(), &provider, &token_url).await]
                {
                    let error = result.unwrap_err();
                    let shown = format!("{error} {error:?}");
                    for secret in [
                        REFRESH,
                        "r3fresh",
                        CODE,
                        SECRET,
                        "cl1ent",
                        "Y2xpZW50",
                        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                    ] {
                        assert!(!shown.contains(secret), "{secret} in {shown}");
                    }
                }
            }
        }
    }
}
