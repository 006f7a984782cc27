use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::fixture::{Form, code_form, refresh_form, refusal, start_odd};

fn with_client(mut form: Form<'_>) -> Form<'_> {
    form.extend([("client_id", "app"), ("client_secret", "s3cret")]);
    form
}

#[tokio::test]
async fn renamed_fields_go_by_their_new_names_only() {
    let fx = start_odd(
        json!({ "token": { "rename": { "client_id": "client_key", "refresh_token": "renewal" } } }),
    )
    .await;
    let code = fx.allow("ada").await;
    let post = |form: Form<'_>| fx.http.post(fx.url("/token")).form(&form).send();
    let standard = post(with_client(code_form(&code))).await.unwrap();
    assert_eq!(refusal(standard).await, (400, "invalid_request".to_owned()));
    let mut form = code_form(&code);
    form.extend([("client_key", "app"), ("client_secret", "s3cret")]);
    let issued: Value = post(form).await.unwrap().json().await.unwrap();
    let refresh = issued["refresh_token"].as_str().unwrap();
    let own = vec![
        ("grant_type", "refresh_token"),
        ("renewal", refresh),
        ("client_key", "app"),
        ("client_secret", "s3cret"),
    ];
    assert_eq!(post(own).await.unwrap().status(), 200);
    let revoked = [("token", refresh), ("client_key", "app"), ("client_secret", "s3cret")];
    assert_eq!(fx.http.post(fx.url("/revoke")).form(&revoked).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn dropped_fields_are_refused_and_fixed_ones_insisted_on() {
    let quirks = json!({ "token": {
        "drop": ["redirect_uri"], "require": { "audience": "api" }, "headers": { "x-version": "2" },
    } });
    let fx = start_odd(quirks).await;
    let code = fx.allow("ada").await;
    let mut form = code_form(&code);
    form.push(("audience", "api"));
    let post = |form: Form<'static>, version: &'static str| {
        let request = fx.http.post(fx.url("/token")).header("x-version", version);
        request.basic_auth("app", Some("s3cret")).form(&form).send()
    };
    let leak = |form: &Form<'_>, without: &str| -> Form<'static> {
        let kept = form.iter().filter(|(name, _)| *name != without);
        kept.map(|(name, value)| (&*String::leak((*name).to_owned()), &*String::leak((*value).to_owned())))
            .collect()
    };
    for (form, version) in [
        (leak(&form, ""), "2"),
        (leak(&code_form(&code), "redirect_uri"), "2"),
        (leak(&form, "redirect_uri"), "1"),
    ] {
        assert_eq!(refusal(post(form, version).await.unwrap()).await.1, "invalid_request");
    }
    assert_eq!(post(leak(&form, "redirect_uri"), "2").await.unwrap().status(), 200);
}

#[tokio::test]
async fn bodies_can_have_to_be_json() {
    let fx = start_odd(json!({ "token": { "encoding": "json" } })).await;
    let code = fx.allow("ada").await;
    assert_eq!(refusal(fx.exchange(&code).await).await, (400, "invalid_request".to_owned()));
    let body: serde_json::Map<String, Value> =
        code_form(&code).into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let request = fx.http.post(fx.url("/token")).basic_auth("app", Some("s3cret")).json(&body);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_secret_can_have_one_place_only() {
    for (auth, basic, body) in [("basic", 200, 401), ("body", 401, 200), ("none", 401, 401)] {
        let fx = start_odd(json!({ "token": { "auth": auth } })).await;
        let (first, second) = (fx.allow("ada").await, fx.allow("ada").await);
        let in_body = fx.http.post(fx.url("/token")).form(&with_client(code_form(&second)));
        let got = (fx.exchange(&first).await.status(), in_body.send().await.unwrap().status());
        assert_eq!((got.0.as_u16(), got.1.as_u16()), (basic, body), "{auth}");
    }
    let fx = start_odd(json!({ "token": { "auth": "none" } })).await;
    let mut form = code_form("x");
    form.push(("client_id", "app"));
    let response = fx.http.post(fx.url("/token")).form(&form).send().await.unwrap();
    assert_eq!(refusal(response).await.1, "invalid_grant", "the id alone is enough");
}

#[tokio::test]
async fn the_secret_can_be_the_user_of_basic_without_a_password() {
    let fx = start_odd(json!({ "token": { "auth": "secret_as_basic_user" } })).await;
    let token = fx.sandbox.issue_grants("app", "g", 1, "read").unwrap().remove(0).refresh_token.unwrap();
    let form = refresh_form(secrecy::ExposeSecret::expose_secret(&token));
    let ask = |user: &'static str, password: Option<&'static str>| {
        fx.http.post(fx.url("/token")).basic_auth(user, password).form(&form).send()
    };
    assert_eq!(ask("app", Some("s3cret")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask("s3cret", Some("app")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask("s3cret", None).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_token_endpoint_can_be_asked_by_get_only() {
    let fx = start_odd(json!({ "token": { "method": "get" }, "refresh": { "method": "get" } })).await;
    let code = fx.allow("ada").await;
    assert_eq!(fx.exchange(&code).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let get = |form: Form<'_>| {
        fx.http.get(url::Url::parse_with_params(&fx.url("/token"), with_client(form)).unwrap()).send()
    };
    let issued: Value = get(code_form(&code)).await.unwrap().json().await.unwrap();
    let refresh = issued["refresh_token"].as_str().unwrap();
    assert_eq!(get(refresh_form(refresh)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn without_the_quirk_a_get_is_refused() {
    let fx = crate::fixture::start().await;
    let url = url::Url::parse_with_params(&fx.url("/token"), with_client(code_form("x"))).unwrap();
    assert_eq!(fx.http.get(url).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}
