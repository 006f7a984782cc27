//! The id in a path.

use super::table::{ROUTES, Route, World};
use crate::support::assert_alike;

fn routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.names_connection())
}

#[tokio::test]
async fn what_is_no_positive_whole_number_is_no_id() {
    let world = World::new().await;
    let digits = "1".repeat(1000);
    for id in [
        "abc",
        "0",
        "00",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "0x1",
        "9223372036854775808",
        "18446744073709551617",
        &digits,
        "%20",
        "%201",
        "1%20",
        "1%00",
        "%00",
        "1%0A",
        "1%2F2",
        "1%3Bdrop",
        "%D9%A1",
        "%EF%BC%91",
        "1'%20or%20'1'='1",
        "null",
        "*",
        "1,2",
    ] {
        for route in routes() {
            let answer = route.call(&world.ada.api, &route.path("ada", id), &[]).await;
            answer.expect_error(400, "invalid_id");
        }
    }
    for route in routes() {
        let answer = route.call(&world.ada.api, &route.path("ada", "%FF"), &[]).await;
        answer.expect_error(400, "invalid_path");
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn somebody_elses_a_deleted_and_an_unknown_connection_cannot_be_told_apart() {
    let world = World::new().await;
    for route in routes() {
        let unknown = route.call(&world.ada.api, &route.path("ada", "4"), &[]).await;
        let unknown = unknown.expect_error(404, "no_such_connection");
        for id in ["2", "3", "9223372036854775807"] {
            let answer = route.call(&world.ada.api, &route.path("ada", id), &[]).await;
            assert_alike(&answer, &unknown);
        }
    }
    world.assert_unchanged().await;
}

#[tokio::test]
async fn without_a_good_token_an_id_is_not_looked_at() {
    let world = World::new().await;
    for route in routes() {
        for id in ["abc", "1", "4"] {
            let answer = route.call(&world.app.anonymous(), &route.path("ada", id), &[]).await;
            answer.expect_error(401, "unauthenticated");
        }
    }
}
