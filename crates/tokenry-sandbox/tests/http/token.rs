use std::time::Duration;

use reqwest::header;
use serde_json::Value;
use tokenry_sandbox::SandboxOptions;

use crate::fixture::{
    Form, code_form, invalid_grant, options, refresh_form, refusal, start, start_with, tokens,
};

#[tokio::test]
async fn a_wrong_verifier_is_refused_and_spends_the_code() {
    let fx = start().await;
    let code = fx.allow("ada").await;
    let mut form = code_form(&code);
    form.retain(|(name, _)| *name != "code_verifier");
    form.push(("code_verifier", "wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong"));
    assert_eq!(refusal(fx.post("/token", &form).await).await, invalid_grant());
    assert_eq!(refusal(fx.exchange(&code).await).await, invalid_grant());
    assert_eq!(fx.sandbox.seen().live_families, 0);
}

#[tokio::test]
async fn the_redirect_uri_must_be_the_same_again() {
    let fx = start().await;
    for other in [None, Some("http://127.0.0.1:50000/callback?kept=1")] {
        let code = fx.allow("ada").await;
        let mut form = code_form(&code);
        form.retain(|(name, _)| *name != "redirect_uri");
        form.extend(other.map(|uri| ("redirect_uri", uri)));
        assert_eq!(refusal(fx.post("/token", &form).await).await, invalid_grant());
    }
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_the_family() {
    let fx = start().await;
    let code = fx.allow("ada").await;
    let first = tokens(fx.exchange(&code).await).await;
    let bystander = fx.connect("ada").await;
    assert_eq!(refusal(fx.exchange(&code).await).await, invalid_grant());
    assert!(!fx.accepts(&first.access).await);
    assert_eq!(refusal(fx.refresh(&first.refresh).await).await, invalid_grant());
    assert!(fx.accepts(&bystander.access).await, "another grant of the same person lives on");
    assert_eq!(fx.sandbox.seen().live_families, 1);
}

#[tokio::test]
async fn a_code_can_be_too_old() {
    let fx = start_with(SandboxOptions { code_ttl: Duration::ZERO, ..options() }).await;
    let code = fx.allow("ada").await;
    assert_eq!(refusal(fx.exchange(&code).await).await, invalid_grant());
}

#[tokio::test]
async fn one_authentication_method_works_and_two_are_an_invalid_request() {
    let fx = start().await;
    let issued = fx.connect("ada").await;
    let mut form = refresh_form(&issued.refresh);
    form.extend([("client_id", "app"), ("client_secret", "s3cret")]);
    assert_eq!(refusal(fx.post("/token", &form).await).await, (400, "invalid_request".to_owned()));
    let body_only = fx.http.post(fx.url("/token")).form(&form).send().await.unwrap();
    assert_eq!(body_only.status(), 200);
}

#[tokio::test]
async fn an_unknown_client_or_a_wrong_secret_is_a_401_with_a_challenge() {
    let fx = start().await;
    let issued = fx.connect("ada").await;
    for (id, secret) in [("app", "wrong"), ("nobody", "s3cret"), ("app", "")] {
        let request = fx.http.post(fx.url("/token")).basic_auth(id, Some(secret));
        let response = request.form(&refresh_form(&issued.refresh)).send().await.unwrap();
        assert!(response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic "));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(refusal(response).await, (401, "invalid_client".to_owned()));
    }
    assert_eq!(fx.refresh(&issued.refresh).await.status(), 200, "nothing was spent");
}

#[tokio::test]
async fn malformed_requests_get_the_right_error() {
    let fx = start().await;
    let cases: [(Form, &str); 5] = [
        (vec![], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "authorization_code")], "invalid_request"),
        (
            vec![("grant_type", "refresh_token"), ("refresh_token", "a"), ("refresh_token", "b")],
            "invalid_request",
        ),
    ];
    for (form, error) in cases {
        assert_eq!(refusal(fx.post("/token", &form).await).await, (400, error.to_owned()), "{form:?}");
    }
    let json = serde_json::json!({ "grant_type": "refresh_token", "refresh_token": "a" });
    let request = fx.http.post(fx.url("/token")).basic_auth("app", Some("s3cret")).json(&json);
    assert_eq!(refusal(request.send().await.unwrap()).await, (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_the_family_and_an_access_token_goes_alone() {
    let fx = start().await;
    let issued = fx.connect("ada").await;
    assert_eq!(fx.post("/revoke", &[("token", &issued.access)]).await.status(), 200);
    assert!(!fx.accepts(&issued.access).await);
    let next = tokens(fx.refresh(&issued.refresh).await).await;

    let hinted = [("token", next.refresh.as_str()), ("token_type_hint", "refresh_token")];
    assert_eq!(fx.post("/revoke", &hinted).await.status(), 200);
    assert!(!fx.accepts(&next.access).await);
    assert_eq!(refusal(fx.refresh(&next.refresh).await).await, invalid_grant());

    assert_eq!(fx.post("/revoke", &[("token", "never-seen")]).await.status(), 200);
    assert_eq!(refusal(fx.post("/revoke", &[]).await).await, (400, "invalid_request".to_owned()));
    let nobody = fx.http.post(fx.url("/revoke")).form(&[("token", "x")]).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    let seen = fx.sandbox.seen();
    assert_eq!((seen.revocations, seen.reuses_detected), (2, 0));
}

#[tokio::test]
async fn another_client_cannot_revoke_a_token() {
    let fx = start().await;
    let issued = fx.connect("ada").await;
    let request = fx.http.post(fx.url("/revoke")).basic_auth("other", Some("hush"));
    let response = request.form(&[("token", &issued.refresh)]).send().await.unwrap();
    assert_eq!(refusal(response).await, (400, "unauthorized_client".to_owned()));
    assert!(fx.accepts(&issued.access).await);
}

#[tokio::test]
async fn introspection_tells_the_living_from_the_dead() {
    let fx = start().await;
    let issued = fx.connect("grace").await;
    let about = async |token: &str| -> Value {
        fx.post("/introspect", &[("token", token)]).await.json().await.unwrap()
    };
    let access = about(&issued.access).await;
    assert_eq!(access["active"], true);
    assert_eq!((&access["sub"], &access["client_id"]), (&"grace".into(), &"app".into()));
    assert_eq!((&access["scope"], &access["token_type"]), (&"read write".into(), &"Bearer".into()));
    assert!(access["exp"].as_u64().is_some());
    let refresh = about(&issued.refresh).await;
    assert!(refresh["active"] == true && refresh.get("exp").is_none());

    fx.refresh(&issued.refresh).await;
    let inactive = serde_json::json!({ "active": false });
    assert_eq!(about(&issued.refresh).await, inactive, "a spent refresh token");
    assert_eq!(about("never-seen").await, inactive);
    let nobody = fx.http.post(fx.url("/introspect")).form(&[("token", &issued.access)]).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    assert_eq!(fx.sandbox.seen().introspections, 4);
}
