//! A limit must slow a guesser, and must not let them lock a person out.

use std::time::Duration;

use reqwest::StatusCode;
use tokenry_testkit::app::{ApiClient, PASSWORD, TestApp};

use crate::support::try_log_in;

/// Where Ada lives, and where she has never been.
const HOME: &str = "198.51.100.7";
const AWAY: &str = "198.51.100.8";

/// An app behind a proxy on this machine.
async fn behind_a_proxy() -> TestApp {
    TestApp::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.session_ttl = Duration::from_mins(1);
    })
    .await
}

/// Guesses at a name from so many addresses, ten times each.
async fn guess_from_many(api: &ApiClient, name: &str, addresses: usize) {
    for address in 0..addresses {
        for _ in 0..10 {
            let from = format!("203.0.113.{address}");
            try_log_in(api, name, "a guess", Some(&from), None).await.expect_error(401, "wrong_login");
        }
        let from = format!("203.0.113.{address}");
        try_log_in(api, name, "a guess", Some(&from), None).await.expect_error(429, "too_many_attempts");
    }
}

#[tokio::test]
async fn a_guesser_elsewhere_cannot_lock_a_person_out() {
    let app = behind_a_proxy().await;
    let ada = app.user("ada").await;
    let api = app.anonymous();
    try_log_in(&api, "ada", PASSWORD, Some(HOME), None).await.expect(StatusCode::OK);

    guess_from_many(&api, "ada", 10).await;
    let stranger = try_log_in(&api, "ada", PASSWORD, Some(AWAY), None).await;
    stranger.expect_error(429, "too_many_attempts");
    // From where she has logged in before, and from elsewhere with a token she once had, she gets in.
    try_log_in(&api, "ada", PASSWORD, Some(HOME), None).await.expect(StatusCode::OK);
    app.clock.advance(Duration::from_mins(2));
    ada.api.get("/api/auth/user").await.expect_error(401, "unauthenticated");
    let old = ada.api.token.as_deref();
    try_log_in(&api, "ada", PASSWORD, Some(AWAY), old).await.expect(StatusCode::OK);
    // Having got in there, she is known there as well.
    try_log_in(&api, "ada", PASSWORD, Some(AWAY), None).await.expect(StatusCode::OK);
    // Her success gives the guesser nothing back.
    let elsewhere = try_log_in(&api, "ada", "a guess", Some("192.0.2.1"), None).await;
    elsewhere.expect_error(429, "too_many_attempts");
}

#[tokio::test]
async fn a_name_that_nobody_has_is_limited_over_all_addresses_like_any_other() {
    let app = behind_a_proxy().await;
    let api = app.anonymous();
    guess_from_many(&api, "nobody", 10).await;
    try_log_in(&api, "nobody", "a guess", Some(AWAY), None).await.expect_error(429, "too_many_attempts");
}

#[tokio::test]
async fn one_address_cannot_go_through_the_names() {
    let app = behind_a_proxy().await;
    app.user("mallory").await;
    app.user("ada").await;
    let api = app.anonymous();
    let from = Some("203.0.113.9");
    for name in 0..5 {
        for _ in 0..10 {
            let name = format!("name{name}");
            try_log_in(&api, &name, "a guess", from, None).await.expect_error(401, "wrong_login");
        }
        if name < 4 {
            // An account of one's own does not wash the address clean: only the own count is forgotten.
            try_log_in(&api, "mallory", PASSWORD, from, None).await.expect(StatusCode::OK);
        }
    }
    try_log_in(&api, "ada", "a guess", from, None).await.expect_error(429, "too_many_attempts");
    try_log_in(&api, "ada", PASSWORD, Some(AWAY), None).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn one_address_is_the_one_that_the_nearest_trusted_proxy_saw() {
    let app = behind_a_proxy().await;
    app.user("ada").await;
    let api = app.anonymous();
    for number in 0..10 {
        // The first entries are the client's own words.
        let from = format!("192.0.2.{number}, 203.0.113.9");
        try_log_in(&api, "ada", "a guess", Some(&from), None).await.expect_error(401, "wrong_login");
    }
    let from = Some("192.0.2.99, 203.0.113.9");
    try_log_in(&api, "ada", "a guess", from, None).await.expect_error(429, "too_many_attempts");
}

#[tokio::test]
async fn an_ipv6_address_counts_by_its_first_half() {
    let app = behind_a_proxy().await;
    app.user("ada").await;
    let api = app.anonymous();
    for number in 0..10 {
        let from = format!("2001:db8:1:2::{number:x}");
        try_log_in(&api, "ada", "a guess", Some(&from), None).await.expect_error(401, "wrong_login");
    }
    let same = Some("2001:db8:1:2:ffff::1");
    try_log_in(&api, "ada", PASSWORD, same, None).await.expect_error(429, "too_many_attempts");
    let other = Some("2001:db8:1:3::1");
    try_log_in(&api, "ada", PASSWORD, other, None).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn without_trusted_proxies_nobody_can_claim_an_address() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let api = app.anonymous();
    for number in 0..10 {
        let from = format!("203.0.113.{number}");
        try_log_in(&api, "ada", "a guess", Some(&from), None).await.expect_error(401, "wrong_login");
    }
    try_log_in(&api, "ada", "a guess", Some("192.0.2.1"), None).await.expect_error(429, "too_many_attempts");
}
