//! The eight endpoints, as a program outside calls them.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::process::Home;
use crate::server::Server;

const ENV: [(&str, &str); 2] = [
    ("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_ID", "a-client-id"),
    ("TOKENRY_PROVIDERS__SPOTIFY__CLIENT_SECRET", "a-client-secret"),
];

#[tokio::test]
async fn the_eight_endpoints_answer_as_the_contract_prints_them() {
    let home = Home::new();
    let server = Server::start(&home, &ENV);
    let user = server.user("legato").await;
    let ok = |answer: tokenry_testkit::app::Answer| answer.expect(StatusCode::OK).json();
    let updated = json!({"message": "updated connection successfully"});

    let body =
        json!({"name": "spotify3", "token_type": "spotify", "token": "1afcd222222sdcfaxfdfa52aafkkkbvdj"});
    let added = user.api.post(&user.path("add/connection"), &body).await.expect(StatusCode::OK);
    assert_eq!(added.json(), json!({"message": "connection added"}));
    let id: i64 = added.header("location").rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(added.header("location"), user.path(&format!("get/connection/{id}")));

    let path = |verb: &str| user.path(&format!("{verb}/{id}"));
    let token = ok(user.api.get(&path("get/connection")).await);
    assert_eq!(token, json!({"token": "1afcd222222sdcfaxfdfa52aafkkkbvdj"}));
    assert_eq!(ok(user.api.get(&path("check/connection")).await), json!({"message": "correct connection"}));

    let link = ok(user.api.get("/api/user/connection/access/token/spotify").await);
    assert_eq!(link["spotify_url"], link["url"]);
    let link = link["url"].as_str().unwrap();
    assert!(link.starts_with("https://accounts.spotify.com/authorize?"), "{link}");
    assert!(link.contains("client_id=a-client-id") && link.contains("code_challenge_method=S256"), "{link}");
    let missing = user.api.get("/api/user/connection/access/token/git").await;
    missing.expect_error(409, "provider_not_configured");

    let name = json!({"name": "git1"});
    assert_eq!(ok(user.api.put(&path("update/connection/name"), &name).await), updated);
    let token = json!({"token": "asdpjbfipdsafhbcop;bfdhsbocp;x"});
    assert_eq!(ok(user.api.put(&path("update/connection/token"), &token).await), updated);

    let answer = user.api.get(&user.path("get/connections")).await.expect(StatusCode::OK);
    let list: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!((&list[0]["Name"], &list[0]["Token"]), (&json!("git1"), &token["token"]));
    assert_eq!((&list[0]["ID"], &list[0]["DeletedAt"]), (&json!(id), &Value::Null));
    let keys = ["ID", "CreatedAt", "UpdatedAt", "DeletedAt", "Token", "Token_type", "UserID", "Name"];
    let places: Vec<_> =
        keys.iter().map(|key| answer.body.find(&format!("\"{key}\":")).expect(key)).collect();
    assert!(places.is_sorted(), "{}", answer.body);

    let deleted = ok(user.api.delete(&path("connection/delete")).await);
    assert_eq!(deleted, json!({"message": "deleted connection successfully"}));
    user.get_token(id).await.expect_error(404, "no_such_connection");
    assert!(user.list().await.is_empty());
}
