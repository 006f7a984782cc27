//! `DELETE /api/users/{username}/connection/delete/{id}`

use reqwest::StatusCode;
use tokenry_testkit::app::TestApp;

#[tokio::test]
async fn a_connection_is_deleted_as_printed_and_no_endpoint_shows_it_any_more() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.add("git1", "git", "t").await;
    let answer = ada.api.delete("/api/users/ada/connection/delete/1").await.expect(StatusCode::OK);
    assert_eq!(answer.body, r#"{"message":"deleted connection successfully"}"#);
    assert!(ada.list().await.is_empty());
    ada.get_token(1).await.expect_error(404, "no_such_connection");
    ada.api.get("/api/users/ada/check/connection/1").await.expect_error(404, "no_such_connection");
    ada.api.delete("/api/users/ada/connection/delete/1").await.expect_error(404, "no_such_connection");
}

#[tokio::test]
async fn an_id_is_never_given_out_again() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    assert_eq!(ada.add("a", "git", "t").await, 1);
    ada.api.delete("/api/users/ada/connection/delete/1").await.expect(StatusCode::OK);
    let app = {
        let mut app = app;
        app.stop().await;
        app.restart_with(|_| {}).await
    };
    assert_eq!(ada.add("b", "git", "t").await, 2);
    drop(app);
}

#[tokio::test]
async fn others_stay() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    ada.add("a", "git", "t1").await;
    bob.add("b", "git", "t2").await;
    ada.add("c", "git", "t3").await;
    ada.api.delete("/api/users/ada/connection/delete/1").await.expect(StatusCode::OK);
    assert_eq!(bob.token_of(2).await, "t2");
    assert_eq!(ada.token_of(3).await, "t3");
}
