use serde_json::{Value, json};
use url::Url;

use crate::fixture::{Fixture, callback, code_form, invalid_grant, refresh_form, refusal, start_odd, tokens};

/// A fixture's authorize URL at a tenant's path.
fn authorize_at(fx: &Fixture, tenant: &str) -> Url {
    let mut url = fx.authorize_url(&[]);
    url.set_path(&format!("/{tenant}/oauth/authorize"));
    url
}

const ALLOW: [(&str, &str); 3] = [("decision", "allow"), ("account", "ada"), ("scope", "read")];

#[tokio::test]
async fn a_grant_is_known_at_its_own_tenant_s_path_only() {
    let fx = start_odd(json!({ "tenants": "path" })).await;
    assert_eq!(fx.http.get(fx.authorize_url(&[])).send().await.unwrap().status(), 404);
    let code = callback(&fx.decide(authorize_at(&fx, "acme"), &ALLOW).await)["code"].clone();
    assert_eq!(refusal(fx.post("/globex/oauth/token", &code_form(&code)).await).await, invalid_grant());
    assert_eq!(fx.post("/token", &code_form(&code)).await.status(), 404);
    let issued = tokens(fx.post("/acme/oauth/token", &code_form(&code)).await).await;
    let refresh = refresh_form(&issued.refresh);
    assert_eq!(refusal(fx.post("/globex/oauth/token", &refresh).await).await, invalid_grant());
    assert_eq!(fx.post("/acme/oauth/token", &refresh).await.status(), 200);
    for (tenant, status) in [("acme", 200), ("globex", 401)] {
        let url = fx.url(&format!("/{tenant}/userinfo"));
        assert_eq!(fx.http.get(url).bearer_auth(&issued.access).send().await.unwrap().status(), status);
    }
    assert_eq!(fx.http.get(fx.url("/seen")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_tenant_can_be_a_host() {
    let fx = start_odd(json!({ "tenants": "host" })).await;
    let host = |tenant: &str| format!("{tenant}.localhost:{}", fx.sandbox.addr().port());
    let code = {
        let request = fx.http.post(fx.authorize_url(&[])).header("host", host("acme")).form(&ALLOW);
        callback(&request.send().await.unwrap())["code"].clone()
    };
    let exchange = |tenant: &str| {
        let request = fx.http.post(fx.url("/token")).header("host", host(tenant));
        request.basic_auth("app", Some("s3cret")).form(&code_form(&code)).send()
    };
    assert_eq!(fx.exchange(&code).await.status(), 404, "no tenant at all");
    assert_eq!(refusal(exchange("globex").await.unwrap()).await, invalid_grant());
    let issued: Value = exchange("acme").await.unwrap().json().await.unwrap();
    assert!(issued["access_token"].is_string());
}
