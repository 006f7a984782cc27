//! Ten thousand connections of one user.

use reqwest::StatusCode;
use serde_json::Value;
use tokenry_broker::AddConnection;
use tokenry_testkit::app::{TestApp, TestUser};

const MANY: usize = 10_000;

/// Adds them by the broker's verb: over HTTP it takes twice as long and shows no more.
async fn add_many(app: &TestApp, user: &TestUser) {
    let broker = app.server().broker();
    let claims = broker.read_token(user.api.token.as_deref().unwrap()).await.unwrap();
    for number in 1..=MANY {
        let name = format!("number {number}");
        let token = format!("token {number}").into();
        let add = AddConnection { name, token_type: "spotify".to_owned(), token };
        broker.add_connection(&claims, &user.name, add).await.unwrap();
    }
}

#[track_caller]
fn assert_is_number(connection: &Value, number: usize) {
    assert_eq!(connection["ID"], number);
    assert_eq!(connection["Name"], format!("number {number}"));
    assert_eq!(connection["Token"], format!("token {number}"));
}

#[tokio::test]
async fn ten_thousand_connections_come_in_one_list_and_page_by_page_all_there_and_in_order() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    add_many(&app, &ada).await;

    let list = ada.list().await;
    assert_eq!(list.len(), MANY);
    for (index, connection) in list.iter().enumerate() {
        assert_is_number(connection, index + 1);
    }

    let (mut path, mut seen, mut pages) = (ada.path("get/connections?limit=999"), 0, 0);
    loop {
        let page = ada.api.get(&path).await.expect(StatusCode::OK);
        assert!(page.json().as_array().unwrap().len() <= 999);
        for connection in page.json().as_array().unwrap() {
            seen += 1;
            assert_is_number(connection, seen);
        }
        pages += 1;
        let link = page.header("link").to_owned();
        if link.is_empty() {
            break;
        }
        let next = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(r#">; rel="next""#));
        path = next.unwrap_or_else(|| panic!("{link}")).to_owned();
    }
    assert_eq!((seen, pages), (MANY, 11));
}
