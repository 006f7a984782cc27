//! Giving tokens back.

use tokenry_oauth::{ClientAuth, Grant, OAuthError, Provider, ProviderSettings};

use crate::fake::{ACCESS, Fake, REFRESH, SECRET, client, engine, provider, reply};

fn grant() -> Grant {
    Grant { access: ACCESS.into(), refresh: Some(REFRESH.into()) }
}

async fn revoke(provider: &Provider) -> Result<(), OAuthError> {
    engine().revoke(provider, &grant()).await
}

fn sent(fake: &Fake) -> Vec<(String, String)> {
    fake.seen().iter().map(|s| (s.form()["token"].clone(), s.form()["token_type_hint"].clone())).collect()
}

#[tokio::test]
async fn the_refresh_token_goes_first_then_the_access_token() {
    let fake = Fake::answering(200, "text/plain", "").await;
    revoke(&fake.provider()).await.unwrap();
    let expected = [(REFRESH, "refresh_token"), (ACCESS, "access_token")];
    assert_eq!(sent(&fake), expected.map(|(t, h)| (t.to_owned(), h.to_owned())));
    assert!(fake.seen().iter().all(|s| s.method == "POST" && s.header("authorization").is_some()));
}

#[tokio::test]
async fn a_grant_without_a_refresh_token_is_its_access_token() {
    let fake = Fake::answering(200, "text/plain", "").await;
    let grant = Grant { access: ACCESS.into(), refresh: None };
    engine().revoke(&fake.provider(), &grant).await.unwrap();
    assert_eq!(sent(&fake), [(ACCESS.to_owned(), "access_token".to_owned())]);
}

#[tokio::test]
async fn one_token_ends_the_whole_grant_where_the_data_say_so() {
    for (word, names_client) in [("google", false), ("discord", true)] {
        let fake = Fake::answering(200, "application/json", "{}").await;
        revoke(&provider(word, fake.settings())).await.unwrap();
        let seen = fake.only();
        assert_eq!(seen.form()["token"], REFRESH);
        assert_eq!(seen.header("authorization").is_some(), names_client, "{word}");
        assert!(!seen.form().contains_key("client_id"));
    }
}

#[tokio::test]
async fn github_wants_a_delete_with_basic_and_json() {
    let fake = Fake::answering(204, "text/plain", "").await;
    let revoke_url = Some(fake.url.join("applications/{client_id}/token").unwrap());
    let github = provider("git", ProviderSettings { revoke_url, ..fake.settings() });
    revoke(&github).await.unwrap();
    let seen = fake.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("DELETE", "/applications/client%3Aid/token"));
    assert_eq!(seen.body, format!(r#"{{"access_token":"{ACCESS}"}}"#));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(seen.header("authorization").is_some_and(|a| a.starts_with("Basic ")));
}

#[tokio::test]
async fn a_token_that_is_dead_already_is_done() {
    for body in [r#"{"error":"invalid_token"}"#, r#"{"error":"invalid_request"}"#] {
        let fake = Fake::answering(400, "application/json", body).await;
        assert_eq!(revoke(&fake.provider()).await, Ok(()));
        assert_eq!(fake.seen().len(), 2);
    }
    for status in [404, 422] {
        let fake = Fake::answering(status, "application/json", r#"{"message":"Not Found"}"#).await;
        assert_eq!(revoke(&provider("git", fake.settings())).await, Ok(()));
        assert!(revoke(&fake.provider()).await.is_err(), "only GitHub's data say that {status} means gone");
    }
}

#[tokio::test]
async fn a_server_that_keeps_access_tokens_is_done_once_the_refresh_token_is_gone() {
    let fake = Fake::start(|seen| match seen.form()["token_type_hint"].as_str() {
        "refresh_token" => reply(200, "text/plain", ""),
        _ => reply(400, "application/json", r#"{"error":"unsupported_token_type"}"#),
    })
    .await;
    assert_eq!(revoke(&fake.provider()).await, Ok(()));
    let grant = Grant { access: ACCESS.into(), refresh: None };
    assert!(engine().revoke(&fake.provider(), &grant).await.is_err());
}

#[tokio::test]
async fn a_refusal_of_the_client_and_a_server_that_is_away_are_errors() {
    let refused = Fake::answering(401, "application/json", r#"{"error":"invalid_client"}"#).await;
    assert!(revoke(&refused.provider()).await.unwrap_err().is_operators_fault());
    let away = Fake::answering(503, "text/plain", "").await;
    assert!(matches!(revoke(&away.provider()).await, Err(OAuthError::Unavailable { .. })));
    assert_eq!(away.seen().len(), 1);
}

#[tokio::test]
async fn without_a_way_to_revoke_nothing_is_sent() {
    let fake = Fake::answering(500, "text/plain", "").await;
    let settings = ProviderSettings { revoke_url: None, ..fake.settings() };
    for word in ["spotify", "own"] {
        let provider = provider(word, settings.clone());
        assert!(!provider.revokes());
        assert_eq!(revoke(&provider).await, Ok(()));
    }
    let public = ProviderSettings { client_secret: None, token_auth: Some(ClientAuth::None), ..client() };
    assert!(!provider("git", public).revokes(), "GitHub revokes only for a client with a secret");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn no_error_tells_the_token_that_was_given_back() {
    for status in [400, 403] {
        let fake = Fake::start(move |seen| {
            reply(status, "text/plain", &format!("no: {} {SECRET} {ACCESS} {REFRESH}", seen.body))
        })
        .await;
        for provider in [fake.provider(), provider("git", fake.settings())] {
            let error = revoke(&provider).await.unwrap_err();
            let shown = format!("{error} {error:?}");
            let sent = if provider.is_custom() { REFRESH } else { ACCESS };
            assert!(!shown.contains(sent) && !shown.contains(SECRET), "{shown}");
        }
    }
}
