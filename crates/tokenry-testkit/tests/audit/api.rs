//! `GET /api/users/{username}/audit` and `…/connections/{id}/audit`

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokenry_testkit::app::{TestApp, TestUser};

use crate::support::{BOTH, start};

async fn events(user: &TestUser, rest: &str) -> Vec<Value> {
    let answer = user.api.get(&user.path(rest)).await.expect(StatusCode::OK);
    answer.json()["events"].as_array().unwrap().clone()
}

/// What happened and how, the newest first.
fn told(events: &[Value]) -> Vec<String> {
    let word = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    events
        .iter()
        .map(|e| format!("{} {} {}", word(e, "actor"), word(e, "action"), word(e, "outcome")))
        .collect()
}

async fn read(user: &TestUser, id: i64, agent: &str) {
    let path = user.path(&format!("get/connection/{id}"));
    let headers = [("user-agent", agent)];
    user.api.send(reqwest::Method::GET, &path, &headers, Vec::new()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn an_owner_sees_who_used_a_connection() {
    for on in BOTH {
        let app = start(on, |config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        let (first, second) = (ada.add("", "spotify", "t").await, ada.add("", "spotify", "t").await);
        read(&ada, first, "backup-job/2").await;
        read(&ada, first, "backup-job/2").await;
        read(&ada, second, "other/1").await;
        ada.list().await;
        let stranger = [("x-forwarded-for", "203.0.113.9")];
        let path = ada.path(&format!("get/connection/{first}"));
        bob.api.send(reqwest::Method::GET, &path, &stranger, Vec::new()).await.expect_error(403, "forbidden");
        let found = events(&ada, &format!("connections/{first}/audit")).await;
        let mut words = told(&found);
        words.sort();
        let expected = [
            "other_user token.read refused",
            "user connection.add ok",
            "user token.list ok",
            "user token.read ok",
        ];
        assert_eq!(words, expected, "{on:?}");
        let read = found.iter().find(|e| e["action"] == "token.read" && e["outcome"] == "ok").unwrap();
        assert_eq!(
            (&read["count"], &read["agent"], &read["address"]),
            (&json!(2), &json!("backup-job/2"), &json!("127.0.0.1"))
        );
        assert_eq!((&read["connection"], &read["service"]), (&json!(first), &json!("spotify")));
        // That somebody tried is hers to know, who and from where is not.
        let tried = found.iter().find(|e| e["actor"] == "other_user").unwrap();
        assert_eq!(
            (&tried["reason"], &tried["address"], &tried["agent"]),
            (&json!("forbidden"), &Value::Null, &Value::Null)
        );
        // A list from before the connection was there did not hold it.
        let third = ada.add("", "spotify", "t").await;
        let found = events(&ada, &format!("connections/{third}/audit")).await;
        assert_eq!(told(&found), ["user connection.add ok"], "{on:?}");
    }
}

#[tokio::test]
async fn everybody_sees_their_own_and_nobody_elses() {
    for on in BOTH {
        let app = start(on, |_| {}).await;
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        let id = ada.add("", "spotify", "t").await;
        ada.api.delete(&ada.path(&format!("connection/delete/{id}"))).await.expect(StatusCode::OK);
        let of_ada = events(&ada, "audit").await;
        let expected = [
            "user connection.delete ok",
            "user connection.add ok",
            "user user.log_in ok",
            "user user.sign_up ok",
        ];
        assert_eq!(told(&of_ada), expected, "{on:?}");
        assert_eq!(told(&events(&bob, "audit").await), ["user user.log_in ok", "user user.sign_up ok"]);
        // What is deleted is looked at here: at its own address there is nothing any more.
        ada.api
            .get(&ada.path(&format!("connections/{id}/audit")))
            .await
            .expect_error(404, "no_such_connection");
        let of_deleted = told(&events(&ada, &format!("audit?connection={id}")).await);
        assert_eq!(of_deleted, ["user connection.view refused", expected[0], expected[1]], "{on:?}");
        assert_eq!(events(&bob, &format!("audit?connection={id}")).await, [] as [Value; 0]);
        bob.api.get("/api/users/ada/audit").await.expect_error(403, "forbidden");
    }
}

#[tokio::test]
async fn a_page_ends_at_the_limit_and_says_where_the_next_is() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for _ in 0..5 {
        ada.add("", "spotify", "t").await;
    }
    let all: Vec<i64> = events(&ada, "audit").await.iter().map(|e| e["id"].as_i64().unwrap()).collect();
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted_by(|a, b| a > b), "{all:?}");
    let (mut path, mut seen, mut pages) = ("/api/users/ada/audit?limit=3".to_owned(), Vec::new(), 0);
    loop {
        let answer = ada.api.get(&path).await.expect(StatusCode::OK);
        let page = answer.json()["events"].as_array().unwrap().clone();
        seen.extend(page.iter().map(|e| e["id"].as_i64().unwrap()));
        pages += 1;
        let link = answer.header("link");
        let Some((next, rest)) = link.strip_prefix('<').and_then(|link| link.split_once('>')) else { break };
        assert_eq!(rest, "; rel=\"next\"");
        path = next.to_owned();
    }
    assert_eq!((seen, pages), (all, 3));
    let link = ada.api.get("/api/users/ada/audit?connection=1&limit=1&x=y").await;
    assert_eq!(link.header("link"), "", "it has one");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=1", "limit"),
        ("before=0", "before"),
        ("before=-1", "before"),
        ("before=9223372036854775808", "before"),
        ("connection=0", "connection"),
        ("connection=", "connection"),
    ] {
        let answer = ada.api.get(&format!("/api/users/ada/audit?{query}")).await;
        let answer = answer.expect_error(422, "invalid_field");
        assert!(answer.text("message").contains(&format!("`{field}`")), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn times_and_words_are_those_of_the_contract() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let event = &events(&ada, "audit?limit=1").await[0];
    let at = event["at"].as_str().unwrap();
    let shape: String = at.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
    assert_eq!(event["at"], event["last_at"]);
    let mut names: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "action",
        "actor",
        "address",
        "agent",
        "at",
        "connection",
        "count",
        "id",
        "last_at",
        "outcome",
        "reason",
        "service",
    ];
    assert_eq!(names, expected);
    assert_eq!(event["action"], "user.log_in");
}
