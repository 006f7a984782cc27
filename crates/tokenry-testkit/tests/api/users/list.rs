//! `GET /api/users/{username}/get/connections`

use reqwest::StatusCode;
use serde_json::Value;
use tokenry_testkit::app::TestApp;

use crate::support::{assert_time, user_id_of};

#[tokio::test]
async fn the_list_is_as_printed_to_the_order_of_its_keys() {
    let app = TestApp::start().await;
    app.user("somebody_first").await;
    let ada = app.user("ada").await;
    ada.add("spotify4", "spotify", "1afcd222222sdcfaxsdfsaz").await;
    ada.add("", "spotify", "1afcd222222sdcfaxsdfsaz").await;
    ada.add("git1", "git", "dpsfihio514356dfsc5sdf5c1252dcsx52").await;
    let answer = ada.api.get("/api/users/ada/get/connections").await.expect(StatusCode::OK);

    let user = user_id_of(ada.api.token.as_deref().unwrap());
    let printed = [
        (1, "1afcd222222sdcfaxsdfsaz", "spotify", "spotify4"),
        (2, "1afcd222222sdcfaxsdfsaz", "spotify", ""),
        (3, "dpsfihio514356dfsc5sdf5c1252dcsx52", "git", "git1"),
    ];
    let listed = answer.json();
    let expected: Vec<String> = printed
        .iter()
        .zip(listed.as_array().unwrap())
        .map(|((id, token, service, name), listed)| {
            let (created, updated) = (listed["CreatedAt"].as_str().unwrap(), listed["UpdatedAt"].as_str().unwrap());
            assert_time(created);
            assert_time(updated);
            format!(
                r#"{{"ID":{id},"CreatedAt":"{created}","UpdatedAt":"{updated}","DeletedAt":null,"Token":"{token}","Token_type":"{service}","UserID":{user},"Name":"{name}"}}"#
            )
        })
        .collect();
    assert_eq!(answer.body, format!("[{}]", expected.join(",")));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("link"), "", "all of them are here");
}

#[tokio::test]
async fn nobody_has_an_empty_list_and_nobody_elses_connections_are_in_it() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    bob.add("b", "spotify", "t").await;
    let answer = ada.api.get("/api/users/ada/get/connections").await.expect(StatusCode::OK);
    assert_eq!(answer.body, "[]");
    assert_eq!(bob.list().await.len(), 1);
}

#[tokio::test]
async fn the_times_are_those_of_the_clock() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("a", "spotify", "t").await;
    app.clock.advance(std::time::Duration::from_hours(3));
    ada.add("b", "spotify", "t").await;
    let list = ada.list().await;
    let at = |index: usize| list[index]["CreatedAt"].as_str().unwrap().to_owned();
    assert!(at(0) < at(1), "{list:?}");
    assert_ne!(at(0)[..13], at(1)[..13], "three hours lie between");
    assert_eq!(list[0]["CreatedAt"], list[0]["UpdatedAt"]);
}

async fn ids(ada: &tokenry_testkit::app::TestUser, query: &str) -> Vec<i64> {
    let answer = ada.api.get(&ada.path(&format!("get/connections{query}"))).await.expect(StatusCode::OK);
    answer.json().as_array().unwrap().iter().map(|c| c["ID"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_page_begins_after_an_id_and_ends_at_the_limit() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for _ in 0..5 {
        ada.add("", "spotify", "t").await;
    }
    assert_eq!(ids(&ada, "?limit=2").await, [1, 2]);
    assert_eq!(ids(&ada, "?limit=2&after=2").await, [3, 4]);
    assert_eq!(ids(&ada, "?after=3").await, [4, 5]);
    assert_eq!(ids(&ada, "?after=0").await, [1, 2, 3, 4, 5]);
    assert_eq!(ids(&ada, "?after=5").await, [] as [i64; 0]);
    assert_eq!(ids(&ada, "?after=9223372036854775807&limit=1000").await, [] as [i64; 0]);
    assert_eq!(ids(&ada, "?limit=%31&unknown=x").await, [1]);
}

#[tokio::test]
async fn a_link_says_where_the_next_page_is_and_the_last_page_has_none() {
    let app = TestApp::start().await;
    let ada = app.user("Ada").await;
    for _ in 0..4 {
        ada.add("", "spotify", "t").await;
    }
    let first = ada.api.get("/api/users/ada/get/connections?limit=2").await;
    assert_eq!(first.header("link"), "</api/users/Ada/get/connections?limit=2&after=2>; rel=\"next\"");
    let last = ada.api.get("/api/users/Ada/get/connections?limit=2&after=2").await;
    assert_eq!(last.json().as_array().unwrap().len(), 2);
    assert_eq!(last.header("link"), "", "a full page that is the last one has no next");
}

#[tokio::test]
async fn a_bad_limit_or_after_is_refused_by_its_name() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1001", "limit"),
        ("limit=", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=%00", "limit"),
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=9223372036854775808", "after"),
        ("after=1&after=1", "after"),
    ] {
        let answer = ada.api.get(&format!("/api/users/ada/get/connections?{query}")).await;
        let answer = answer.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains(&format!("`{field}`")), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn a_deleted_connection_is_listed_no_more() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for name in ["a", "b", "c"] {
        ada.add(name, "spotify", "t").await;
    }
    ada.api.delete("/api/users/ada/connection/delete/2").await.expect(StatusCode::OK);
    let list = ada.list().await;
    let names: Vec<&Value> = list.iter().map(|c| &c["Name"]).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(ids(&ada, "?limit=1&after=1").await, [3], "nor does it take up a place on a page");
}
