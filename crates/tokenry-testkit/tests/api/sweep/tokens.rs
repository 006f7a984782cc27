//! Who may call.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokenry_testkit::app::{ApiClient, PASSWORD, TestApp};

use super::table::{ROUTES, World};
use crate::support::assert_alike;

/// That this token, or none, is refused by every route that needs one.
async fn assert_refused_everywhere(app: &TestApp, authorization: Option<&str>) {
    let mut api: ApiClient = app.anonymous();
    api.token = authorization.map(str::to_owned);
    for route in ROUTES.iter().filter(|route| route.needs_token) {
        let answer = route.call(&api, &route.path("ada", "1"), &[]).await;
        let answer = answer.expect_error(401, "unauthenticated");
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    }
}

#[tokio::test]
async fn no_token_is_refused_everywhere() {
    let world = World::new().await;
    assert_refused_everywhere(&world.app, None).await;
    world.assert_unchanged().await;
}

#[tokio::test]
async fn garbage_is_refused_everywhere() {
    let world = World::new().await;
    let good = world.ada.api.token.clone().unwrap();
    let mut forged = good.clone().into_bytes();
    let last = forged.len() - 5;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let (head, tail) = good.split_at(good.rfind('.').unwrap());
    for garbage in [
        "garbage",
        "Bearer",
        "Bearer ",
        "a.b.c",
        &forged,
        head,
        tail,
        &format!("{good}{good}"),
        &format!("{good} {good}"),
        &format!("{good},"),
        &"x".repeat(8000),
    ] {
        assert_refused_everywhere(&world.app, Some(garbage)).await;
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn a_good_token_under_another_scheme_is_refused_everywhere() {
    let world = World::new().await;
    let good = world.ada.api.token.clone().unwrap();
    for scheme in ["Basic", "Digest", "DPoP", "Token", "Bearer Bearer"] {
        assert_refused_everywhere(&world.app, Some(&format!("{scheme} {good}"))).await;
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn a_token_in_the_query_or_in_a_cookie_is_no_token() {
    let world = World::new().await;
    let good = world.ada.api.token.clone().unwrap();
    let api = world.app.anonymous();
    for route in ROUTES.iter().filter(|route| route.needs_token) {
        let path = format!("{}?access_token={good}&Authorization={good}", route.path("ada", "1"));
        let cookie = format!("tokenry_session={good}; access_token={good}; Authorization={good}");
        route.call(&api, &path, &[("cookie", &cookie)]).await.expect_error(401, "unauthenticated");
    }
}

#[tokio::test]
async fn another_servers_token_is_refused_everywhere() {
    let world = World::new().await;
    let elsewhere = TestApp::start().await;
    let ada = elsewhere.user("ada").await;
    assert_refused_everywhere(&world.app, ada.api.token.as_deref()).await;
}

#[tokio::test]
async fn an_expired_token_is_refused_everywhere() {
    let world = World::new().await;
    let token = world.ada.api.token.clone();
    world.app.clock.advance(Duration::from_hours(24) - Duration::from_mins(1));
    world.ada.api.get("/api/auth/user").await.expect(StatusCode::OK);
    world.app.clock.advance(Duration::from_mins(1));
    assert_refused_everywhere(&world.app, token.as_deref()).await;
}

#[tokio::test]
async fn after_a_log_out_the_token_is_refused_everywhere() {
    let world = World::new().await;
    let token = world.ada.api.token.clone();
    world.ada.api.post("/api/auth/logout", &json!({})).await.expect(StatusCode::OK);
    assert_refused_everywhere(&world.app, token.as_deref()).await;
}

#[tokio::test]
async fn after_a_new_password_the_token_is_refused_everywhere() {
    let world = World::new().await;
    let token = world.ada.api.token.clone();
    let body = json!({"current_password": PASSWORD, "new_password": "staple and stapler"});
    world.ada.api.put("/api/auth/password", &body).await.expect(StatusCode::OK);
    assert_refused_everywhere(&world.app, token.as_deref()).await;
}

#[tokio::test]
async fn bearer_before_the_token_means_the_same_as_the_token_alone() {
    let world = World::new().await;
    let good = world.ada.api.token.clone().unwrap();
    for authorization in
        [good.clone(), format!("Bearer {good}"), format!("bearer {good}"), format!("BEARER  {good}")]
    {
        let mut api = world.app.anonymous();
        api.token = Some(authorization);
        for route in ROUTES.iter().filter(|route| route.needs_token && route.method == "GET") {
            let answer = route.call(&api, &world.path(route, "ada"), &[]).await;
            assert_eq!(answer.status, StatusCode::OK, "{} {answer:?}", route.path);
        }
    }
}

#[tokio::test]
async fn another_users_token_is_forbidden_everywhere_and_does_not_tell_who_exists() {
    let world = World::new().await;
    for route in ROUTES.iter().filter(|route| route.names_user()) {
        let there = route.call(&world.bob.api, &route.path("ada", "1"), &[]).await;
        let there = there.expect_error(403, "forbidden");
        let nobody = route.call(&world.bob.api, &route.path("nobody", "1"), &[]).await;
        assert_alike(&there, &nobody);
        let own_id = route.call(&world.bob.api, &route.path("ada", "3"), &[]).await;
        if route.names_connection() {
            assert_alike(&there, &own_id);
        }
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn the_username_in_a_path_has_no_case() {
    let world = World::new().await;
    for route in ROUTES.iter().filter(|route| route.names_user()) {
        let answer = route.call(&world.ada.api, &world.path(route, "aDA"), &[]).await;
        assert_eq!(answer.status, route.success(), "{} {answer:?}", route.path);
    }
}

#[tokio::test]
async fn a_username_that_only_looks_alike_is_another() {
    let world = World::new().await;
    for route in ROUTES.iter().filter(|route| route.names_user()) {
        for name in ["ad%D0%B0", "ada%20", "ada%00", "ada.", "%20ada", "a%CC%80da", "ada%2F", "*"] {
            let answer = route.call(&world.ada.api, &route.path(name, "1"), &[]).await;
            answer.expect_error(403, "forbidden");
        }
        let answer = route.call(&world.ada.api, &route.path("ada%FF", "1"), &[]).await;
        answer.expect_error(400, "invalid_path");
    }
    world.assert_unchanged().await;
}
