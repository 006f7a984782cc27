//! Providers that are known by their issuer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokenry_model::Scopes;
use tokenry_oauth::{
    AuthorizeRequest, Grant, Issuer, OAuth, OAuthError, OutboundPolicy, ProbeOutcome, Provider,
    ProviderSettings, Readiness,
};
use url::Url;

use crate::fake::{Fake, Seen, client, clock, engine, exchange, provider, refresh, reply, verifier};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

fn metadata(seen: &Seen) -> Value {
    let base = format!("http://{}", seen.header("host").unwrap());
    json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "revocation_endpoint": format!("{base}/revoke"),
        "userinfo_endpoint": format!("{base}/me"),
    })
}

/// An issuer that describes itself at `place`, with the changes that `change` makes.
async fn issuer(place: &'static str, change: impl Fn(&mut Value) + Clone + Send + Sync + 'static) -> Fake {
    Fake::start(move |seen| {
        if seen.path == place {
            let mut metadata = metadata(seen);
            change(&mut metadata);
            reply(200, "application/json", &metadata.to_string())
        } else if seen.path == "/token" {
            reply(200, "application/json", r#"{"access_token":"a"}"#)
        } else {
            reply(404, "text/html", "<html>")
        }
    })
    .await
}

fn settings(fake: &Fake) -> ProviderSettings {
    let issuer = Issuer::parse(fake.url.as_str().trim_end_matches('/')).unwrap();
    ProviderSettings { issuer: Some(issuer), ..client() }
}

fn by_issuer(fake: &Fake) -> Arc<Provider> {
    provider("own", settings(fake))
}

async fn authorize(engine: &OAuth, provider: &Provider) -> Result<Url, OAuthError> {
    let redirect_uri = Url::parse("https://t.example/callback").unwrap();
    let scopes = Scopes::default();
    let request = AuthorizeRequest {
        redirect_uri: &redirect_uri,
        state: "s",
        verifier: &verifier(),
        nonce: None,
        scopes: &scopes,
    };
    engine.authorize(provider, request).await.map(|a| a.url)
}

#[tokio::test]
async fn an_issuer_is_enough_and_is_asked_in_the_two_places() {
    for place in [OPENID, OAUTH] {
        let fake = issuer(place, |_| ()).await;
        let own = by_issuer(&fake);
        assert_eq!(own.readiness(), Readiness::Ready);
        assert!(own.revokes() && own.default_scopes().contains("openid"));
        let url = authorize(&engine(), &own).await.unwrap();
        assert_eq!(url.path(), "/authorize");
        let asked: Vec<_> = fake.seen().into_iter().map(|s| s.path).collect();
        assert_eq!(asked, [OPENID, OAUTH][..if place == OPENID { 1 } else { 2 }]);
    }
}

/// An issuer that names its revocation endpoint in the place of RFC 8414 only, as `named` there.
async fn revoked_at(named: impl Fn(&str) -> String + Clone + Send + Sync + 'static) -> Vec<String> {
    let fake = Fake::start(move |seen| {
        let mut said = metadata(seen);
        let base = said["issuer"].as_str().unwrap().to_owned();
        match seen.path.as_str() {
            OPENID => said.as_object_mut().unwrap().retain(|name, _| name != "revocation_endpoint"),
            OAUTH => {
                said["issuer"] = json!(named(&base));
                // What both places say counts as the first says it.
                said["token_endpoint"] = json!(format!("{base}/elsewhere"));
            }
            "/revoke" => return reply(200, "application/json", "{}"),
            _ => return reply(404, "text/html", "<html>"),
        }
        reply(200, "application/json", &said.to_string())
    })
    .await;
    let own = by_issuer(&fake);
    let engine = engine();
    let grant = Grant { access: "a".into(), refresh: None };
    engine.revoke(&own, &grant).await.unwrap();
    fake.seen().into_iter().map(|seen| seen.path).collect()
}

#[tokio::test]
async fn a_revocation_endpoint_that_openid_leaves_out_is_found_in_the_place_of_rfc_8414() {
    assert_eq!(revoked_at(str::to_owned).await, [OPENID, OAUTH, "/revoke"]);
    // Of another issuer's description nothing is taken.
    assert_eq!(revoked_at(|base| format!("{base}/other")).await, [OPENID, OAUTH]);
}

#[tokio::test]
async fn an_issuer_that_calls_itself_otherwise_is_refused() {
    let fake = issuer(OPENID, |m| m["issuer"] = json!(format!("{}/", m["issuer"].as_str().unwrap()))).await;
    let error = authorize(&engine(), &by_issuer(&fake)).await.unwrap_err();
    assert!(matches!(error, OAuthError::WrongIssuer { .. }), "{error:?}");
}

#[tokio::test]
async fn what_an_issuer_says_is_kept_for_ten_minutes() {
    let fake = issuer(OPENID, |_| ()).await;
    let (own, clock) = (by_issuer(&fake), clock());
    let policy = OutboundPolicy { allow_private: true, ..OutboundPolicy::default() };
    let engine = OAuth::new(policy, clock.clone()).unwrap();
    for (advance_s, asked) in [(0, 1), (599, 1), (1, 2)] {
        clock.advance(Duration::from_secs(advance_s));
        authorize(&engine, &own).await.unwrap();
        assert_eq!(fake.seen().len(), asked);
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_is_asked_again_next_time() {
    let status = Arc::new(AtomicU16::new(503));
    let shared = Arc::clone(&status);
    let fake = Fake::start(move |seen| {
        reply(shared.load(Ordering::SeqCst), "application/json", &metadata(seen).to_string())
    })
    .await;
    let (engine, own) = (engine(), by_issuer(&fake));
    let error = authorize(&engine, &own).await.unwrap_err();
    assert!(matches!(error, OAuthError::Unavailable { .. }), "{error:?}");
    assert_eq!(fake.seen().len(), 1, "the second place is not asked while the first is away");
    status.store(200, Ordering::SeqCst);
    assert!(authorize(&engine, &own).await.is_ok());
}

#[tokio::test]
async fn an_issuer_without_a_description_makes_no_sense() {
    for body in ["<html>", "[]", "{}", r#"{"issuer":7}"#] {
        let fake = Fake::answering(200, "text/html", body).await;
        let error = authorize(&engine(), &by_issuer(&fake)).await.unwrap_err();
        assert!(error.to_string().contains("no description of the issuer"), "{error}");
        assert_eq!(fake.seen().len(), 2);
    }
}

#[tokio::test]
async fn an_endpoint_outside_the_policy_is_refused() {
    for (member, url) in [
        ("token_endpoint", "http://8.8.8.8/token"),
        ("userinfo_endpoint", "https://169.254.169.254/latest"),
        ("revocation_endpoint", "https://u:p@id.example/"),
        ("authorization_endpoint", "javascript:alert(1)"),
    ] {
        let fake = issuer(OPENID, move |m| m[member] = json!(url)).await;
        let error = authorize(&engine(), &by_issuer(&fake)).await.unwrap_err();
        assert!(matches!(error, OAuthError::Forbidden { .. }), "{member}: {error:?}");
    }
}

#[tokio::test]
async fn a_configured_endpoint_wins_over_a_discovered_one() {
    let fake = issuer(OPENID, |_| ()).await;
    let authorize_url = Some(Url::parse("https://id.example/mine").unwrap());
    let own = provider("own", ProviderSettings { authorize_url, ..settings(&fake) });
    assert_eq!(authorize(&engine(), &own).await.unwrap().host_str(), Some("id.example"));
}

#[tokio::test]
async fn the_client_authenticates_as_the_issuer_offers() {
    for (offered, in_header, in_body) in [
        (json!(["client_secret_post", "client_secret_basic"]), true, false),
        (json!(["client_secret_post"]), false, true),
        (json!(["none"]), false, false),
        (Value::Null, true, false),
    ] {
        let fake =
            issuer(OPENID, move |m| m["token_endpoint_auth_methods_supported"] = offered.clone()).await;
        refresh(&engine(), &by_issuer(&fake)).await.unwrap();
        let seen = fake.seen().pop().unwrap();
        assert_eq!(seen.header("authorization").is_some(), in_header);
        assert_eq!(seen.form().contains_key("client_secret"), in_body);
    }
}

#[tokio::test]
async fn a_code_does_not_follow_an_issuer_that_moved_its_token_endpoint() {
    let moved = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&moved);
    let fake = issuer(OPENID, move |m| {
        if shared.load(Ordering::SeqCst) {
            m["token_endpoint"] = json!(format!("{}/elsewhere", m["issuer"].as_str().unwrap()));
        }
    })
    .await;
    let (own, token_url) = (by_issuer(&fake), fake.url.join("token").unwrap());
    exchange(&engine(), &own, &token_url).await.unwrap();
    moved.store(true, Ordering::SeqCst);
    assert_eq!(exchange(&engine(), &own, &token_url).await.unwrap_err(), OAuthError::Changed);
}

#[tokio::test]
async fn the_issuer_in_the_response_must_be_the_one_that_was_asked() {
    let google = provider("google", client());
    let engine = engine();
    assert!(engine.check_issuer(&google, Some("https://accounts.google.com")).await.is_ok());
    assert!(engine.check_issuer(&google, None).await.is_ok());
    for iss in ["https://accounts.google.com/", "https://evil.example", "", "HTTPS://accounts.google.com"] {
        let error = engine.check_issuer(&google, Some(iss)).await.unwrap_err();
        assert!(matches!(error, OAuthError::WrongIssuer { .. }), "{iss}");
    }
    assert!(engine.check_issuer(&provider("discord", client()), Some("https://any.example")).await.is_ok());
}

#[tokio::test]
async fn an_issuer_that_promises_its_name_must_keep_the_promise() {
    for (promised, fits) in [(json!(true), false), (json!(false), true), (Value::Null, true)] {
        let fake = issuer(OPENID, move |m| {
            m["authorization_response_iss_parameter_supported"] = promised.clone();
        })
        .await;
        assert_eq!(engine().check_issuer(&by_issuer(&fake), None).await.is_ok(), fits);
    }
}

#[tokio::test]
async fn an_issuer_that_wants_pushed_requests_gets_them() {
    for wants in [true, false] {
        let fake = Fake::start(move |seen| match seen.path.as_str() {
            OPENID => {
                let mut metadata = metadata(seen);
                let par = format!("{}/par", metadata["issuer"].as_str().unwrap());
                metadata["pushed_authorization_request_endpoint"] = json!(par);
                metadata["require_pushed_authorization_requests"] = json!(wants);
                reply(200, "application/json", &metadata.to_string())
            }
            _ => reply(201, "application/json", r#"{"request_uri":"urn:x:1"}"#),
        })
        .await;
        let url = authorize(&engine(), &by_issuer(&fake)).await.unwrap();
        assert_eq!(url.query_pairs().any(|(name, _)| name == "request_uri"), wants, "{url}");
        assert_eq!(url.query_pairs().any(|(name, _)| name == "state"), !wants, "{url}");
        let pushed = fake.seen().into_iter().find(|seen| seen.path == "/par");
        assert_eq!(pushed.map(|seen| seen.form()["state"].clone()).as_deref(), wants.then_some("s"));
    }
    let silent = issuer(OPENID, |m| m["require_pushed_authorization_requests"] = json!(true)).await;
    let error = authorize(&engine(), &by_issuer(&silent)).await.unwrap_err();
    assert!(error.to_string().contains("does not say where"), "{error}");
}

#[tokio::test]
async fn an_issuer_says_where_devices_ask() {
    let fake = Fake::start(|seen| match seen.path.as_str() {
        OPENID => {
            let mut metadata = metadata(seen);
            let place = format!("{}/device", metadata["issuer"].as_str().unwrap());
            metadata["device_authorization_endpoint"] = json!(place);
            reply(200, "application/json", &metadata.to_string())
        }
        _ => reply(
            200,
            "application/json",
            r#"{"device_code":"d","user_code":"u","verification_uri":"https://id.example/d"}"#,
        ),
    })
    .await;
    let own = by_issuer(&fake);
    assert!(own.has_device_flow());
    let begun = engine().device_begin(&own, &Scopes::default()).await.unwrap();
    assert_eq!(begun.user_code, "u");
    assert_eq!(fake.seen().pop().unwrap().path, "/device");
    let none = issuer(OPENID, |_| ()).await;
    let error = engine().device_begin(&by_issuer(&none), &Scopes::default()).await.unwrap_err();
    assert!(matches!(error, OAuthError::NotSupported { .. }), "{error:?}");
}

#[tokio::test]
async fn a_probe_begins_with_what_the_issuer_says() {
    let fake = issuer(OPENID, |_| ()).await;
    let probes = engine().probe(&by_issuer(&fake)).await;
    let seen: Vec<_> = probes.iter().map(|p| (p.what, p.outcome.clone())).collect();
    assert_eq!(seen[0], ("discovery", ProbeOutcome::Answered { status: 200 }));
    assert_eq!(seen[1], ("authorize", ProbeOutcome::NotFound { status: 404 }));
    assert_eq!(seen[2], ("token", ProbeOutcome::Answered { status: 200 }));
    let silent = Fake::answering(404, "text/html", "<html>").await;
    let probes = engine().probe(&by_issuer(&silent)).await;
    let [probe] = &probes[..] else { panic!("{probes:?}") };
    assert!(matches!(&probe.outcome, ProbeOutcome::Unreachable { why } if why.contains("no description")));
}
