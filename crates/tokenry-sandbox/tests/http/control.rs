use serde_json::{Value, json};

use crate::fixture::{invalid_grant, refusal, start};

#[tokio::test]
async fn control_sets_forgets_and_injects_in_one_request() {
    let fx = start().await;
    let ada = fx.connect("ada").await;
    let fault = json!({
        "endpoint": "token",
        "grant": "refresh_token",
        "times": 2,
        "kind": { "status": { "code": 503, "retry_after_s": 1 } },
    });
    let response = fx.control(json!({ "access_ttl_s": 3, "forget": "ada", "faults": [fault] })).await;
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer, json!({ "access_ttl_s": 3, "families_forgotten": 1, "faults_waiting": 2 }));

    assert_eq!(fx.refresh(&ada.refresh).await.status(), 503);
    fx.control(json!({ "clear_faults": true })).await;
    assert_eq!(refusal(fx.refresh(&ada.refresh).await).await, invalid_grant());
    let code = fx.allow("ada").await;
    let issued: Value = fx.exchange(&code).await.json().await.unwrap();
    assert_eq!(issued["expires_in"], 3);
}

#[tokio::test]
async fn a_fault_without_a_grant_or_a_number_hits_the_next_request() {
    let fx = start().await;
    let fault = json!({ "endpoint": "userinfo", "grant": null, "kind": "malformed" });
    assert_eq!(fx.control(json!({ "faults": [fault] })).await.status(), 200);
    assert_eq!(fx.userinfo("x").await.status(), 200);
    assert_eq!(fx.userinfo("x").await.status(), 401);
}

#[tokio::test]
async fn control_refuses_what_it_does_not_understand_and_changes_nothing() {
    let fx = start().await;
    let ada = fx.connect("ada").await;
    for (wrong, status) in [
        (json!({ "forget": "nobody", "access_ttl_s": 1 }), 404),
        (json!({ "forgot": "ada" }), 422),
        (json!({ "forget": "ada", "faults": [{ "endpoint": "token", "kind": "explode" }] }), 422),
        (json!({ "forget": "ada", "faults": [{ "endpoint": "moon", "kind": "drop" }] }), 422),
    ] {
        assert_eq!(fx.control(wrong.clone()).await.status(), status, "{wrong}");
    }
    // A form of another site cannot send JSON.
    let form =
        fx.http.post(fx.url("/control")).body(r#"{"forget":"ada"}"#).header("content-type", "text/plain");
    assert_eq!(form.send().await.unwrap().status(), 415);
    assert_eq!(fx.refresh(&ada.refresh).await.status(), 200);
}
