use reqwest::header;
use serde_json::{Value, json};
use tokenry_sandbox::Seen;

use crate::fixture::{callback, refusal, start, tokens};

#[tokio::test]
async fn the_whole_trip_works_and_is_counted() {
    let fx = start().await;
    let page = fx.http.get(fx.authorize_url(&[])).send().await.unwrap();
    assert_eq!(page.status(), 200);

    let form = [("decision", "allow"), ("account", "grace"), ("scope", "read"), ("scope", "write")];
    let back = callback(&fx.decide(fx.authorize_url(&[]), &form).await);
    assert_eq!((back["state"].as_str(), back["iss"].as_str()), ("s-1", fx.sandbox.base_url()));
    assert!(back["code"].starts_with("sbx_code_"));

    let response = fx.exchange(&back["code"]).await;
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 30);
    assert_eq!(answer["scope"], "read write");
    let access = answer["access_token"].as_str().unwrap();
    assert!(access.starts_with("sbx_at_"));

    let who: Value = fx.userinfo(access).await.json().await.unwrap();
    let grace = json!({
        "sub": "grace", "name": "Grace", "email": "grace@example.org", "preferred_username": "grace"
    });
    assert_eq!(who, grace);

    let refresh = answer["refresh_token"].as_str().unwrap();
    assert!(refresh.starts_with("sbx_rt_"));
    let next = tokens(fx.refresh(refresh).await).await;
    assert!(next.access != access && next.refresh != refresh);
    assert!(fx.accepts(&next.access).await && fx.accepts(access).await);

    let seen: Seen = fx.http.get(fx.url("/seen")).send().await.unwrap().json().await.unwrap();
    assert_eq!(seen, fx.sandbox.seen());
    let counted = Seen {
        authorizations: 1,
        consents_allowed: 1,
        codes_exchanged: 1,
        refreshes: 1,
        refresh_attempts: 1,
        grants_by_refreshes: [(1, 1)].into(),
        userinfo_calls: 3,
        live_families: 1,
        events: seen.events.clone(),
        ..Seen::default()
    };
    assert_eq!(seen, counted);
    let outcomes: Vec<&str> = seen.events.iter().map(|event| event.outcome.as_str()).collect();
    let story =
        ["consent page shown", "allowed", "code exchanged", "answered", "refreshed", "answered", "answered"];
    assert_eq!(outcomes, story);
    assert!(seen.events.iter().all(|event| event.client_id.as_deref() == Some("app")));
    assert!(!serde_json::to_string(&seen).unwrap().contains("sbx_"), "no token is in the events");
}

#[tokio::test]
async fn the_metadata_names_this_issuer_and_claims_no_openid() {
    let fx = start().await;
    let base = fx.sandbox.base_url();
    let mut documents = Vec::new();
    for name in ["oauth-authorization-server", "openid-configuration"] {
        let url = fx.url(&format!("/.well-known/{name}"));
        documents.push(fx.http.get(url).send().await.unwrap().json::<Value>().await.unwrap());
    }
    let document = &documents[0];
    assert_eq!(document, &documents[1]);
    assert_eq!(document["issuer"], base);
    for (name, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("userinfo_endpoint", "/userinfo"),
        ("revocation_endpoint", "/revoke"),
        ("introspection_endpoint", "/introspect"),
    ] {
        assert_eq!(document[name], format!("{base}{path}"));
    }
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert!(
        document.get("jwks_uri").is_none() && document.get("id_token_signing_alg_values_supported").is_none()
    );
}

#[tokio::test]
async fn an_expired_access_token_is_invalid_and_no_token_is_a_plain_401() {
    let fx = start().await;
    fx.sandbox.set_access_ttl(std::time::Duration::ZERO);
    let expired = fx.userinfo(&fx.connect("ada").await.access).await;
    assert!(expired.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().contains("invalid_token"));
    assert_eq!(refusal(expired).await, (401, "invalid_token".to_owned()));

    let bare = fx.http.get(fx.url("/userinfo")).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(bare.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"sandbox\"");
    // A refresh token is no access token.
    assert!(!fx.accepts(&fx.connect("ada").await.refresh).await);
}

#[tokio::test]
async fn a_stopped_sandbox_answers_nobody() {
    let fx = start().await;
    let url = fx.url("/");
    assert_eq!(fx.http.get(&url).send().await.unwrap().status(), 200);
    fx.sandbox.stop().await;
    assert!(fx.http.get(&url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_sandbox_ends_with_its_handle() {
    let fx = start().await;
    let url = fx.url("/");
    drop(fx.sandbox);
    let gone = async {
        while fx.http.get(&url).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.unwrap();
}
