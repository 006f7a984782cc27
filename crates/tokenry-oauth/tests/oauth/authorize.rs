//! Authorize URLs.

use std::collections::BTreeMap;

use tokenry_model::Scopes;
use tokenry_oauth::{
    Authorization, AuthorizeRequest, OAuth, OAuthError, OutboundPolicy, Provider, ProviderSettings,
};
use url::Url;

use crate::fake::{Counting, client, engine, engine_with, provider, scopes, verifier};

async fn authorize(
    engine: &OAuth,
    provider: &Provider,
    scopes: &Scopes,
) -> Result<Authorization, OAuthError> {
    let redirect_uri = provider.redirect_uri(&Url::parse("http://localhost:8080").unwrap());
    let request = AuthorizeRequest {
        redirect_uri: &redirect_uri,
        state: "st4te",
        verifier: &verifier(),
        nonce: Some("n0nce"),
        scopes,
    };
    engine.authorize(provider, request).await
}

fn params(url: &Url) -> BTreeMap<String, String> {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let count = pairs.len();
    let params: BTreeMap<_, _> = pairs.into_iter().collect();
    assert_eq!(params.len(), count, "a parameter came twice (RFC 6749 §3.1): {url}");
    params
}

#[tokio::test]
async fn each_of_the_four_gets_its_own_authorize_url() {
    // Strict: these go to the internet by their own data.
    let engine = engine_with(OutboundPolicy::default());
    for (word, place, scope, redirect_uri, token_url, extra) in [
        (
            "spotify",
            "https://accounts.spotify.com/authorize",
            "user-read-email user-read-private",
            "http://127.0.0.1:8080/callback",
            "https://accounts.spotify.com/api/token",
            vec![],
        ),
        (
            "google",
            "https://accounts.google.com/o/oauth2/v2/auth",
            "openid email profile",
            "http://localhost:8080/callback",
            "https://oauth2.googleapis.com/token",
            vec![("access_type", "offline"), ("prompt", "consent"), ("nonce", "n0nce")],
        ),
        (
            "git",
            "https://github.com/login/oauth/authorize",
            "read:user",
            "http://localhost:8080/callback",
            "https://github.com/login/oauth/access_token",
            vec![],
        ),
        (
            "discord",
            "https://discord.com/api/oauth2/authorize",
            "identify email",
            "http://localhost:8080/callback",
            "https://discord.com/api/oauth2/token",
            vec![],
        ),
    ] {
        let provider = provider(word, client());
        let made = authorize(&engine, &provider, provider.default_scopes()).await.unwrap();
        let mut expected = vec![
            ("response_type", "code"),
            ("client_id", "client:id"),
            ("redirect_uri", redirect_uri),
            ("scope", scope),
            ("state", "st4te"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        expected.extend(extra);
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        assert_eq!(params(&made.url), expected, "{word}");
        assert_eq!(made.url.as_str().split('?').next(), Some(place));
        assert_eq!(made.token_url.as_str(), token_url);
    }
}

#[tokio::test]
async fn spaces_between_scopes_are_written_as_in_the_contract() {
    let provider = provider("discord", client());
    let made = authorize(&engine(), &provider, provider.default_scopes()).await.unwrap();
    assert!(made.url.as_str().contains("scope=identify+email"), "{}", made.url);
}

#[tokio::test]
async fn an_own_provider_is_asked_as_it_is_configured() {
    let settings = ProviderSettings {
        authorize_url: Some(Url::parse("https://id.example/a?tenant=t&client_id=old").unwrap()),
        token_url: Some(Url::parse("https://id.example/t").unwrap()),
        scope_separator: Some(",".into()),
        pkce: Some(false),
        ..client()
    };
    let own = provider("own", settings);
    let made = authorize(&engine(), &own, &scopes("a b")).await.unwrap();
    let params = params(&made.url);
    assert_eq!((params["tenant"].as_str(), params["client_id"].as_str()), ("t", "client:id"));
    assert_eq!(params["scope"], "a,b");
    assert_eq!(params["redirect_uri"], "http://localhost:8080/callback/own");
    assert!(!params.contains_key("code_challenge") && !params.contains_key("nonce"));
    let bare = authorize(&engine(), &own, &Scopes::default()).await.unwrap();
    assert!(!bare.url.as_str().contains("scope="), "{}", bare.url);
}

#[tokio::test]
async fn without_a_client_id_there_is_no_url() {
    let spotify = provider("spotify", ProviderSettings::default());
    let error = authorize(&engine(), &spotify, &Scopes::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "spotify is not set up here: client_id missing");
    assert!(error.is_operators_fault());
}

#[tokio::test]
async fn an_endpoint_that_the_policy_forbids_makes_no_url() {
    for (authorize_url, token_url) in
        [("http://id.example/a", "https://id.example/t"), ("https://id.example/a", "https://127.0.0.1/t")]
    {
        let settings = ProviderSettings {
            authorize_url: Some(Url::parse(authorize_url).unwrap()),
            token_url: Some(Url::parse(token_url).unwrap()),
            ..client()
        };
        let engine = engine_with(OutboundPolicy::default());
        let error = authorize(&engine, &provider("own", settings), &Scopes::default()).await.unwrap_err();
        assert!(matches!(error, OAuthError::Forbidden { .. }), "{error:?}");
    }
}

#[test]
fn random_values_are_fresh_and_long_enough() {
    let random = Counting::default();
    let state = OAuth::make_state(&random).unwrap();
    assert_eq!(state.len(), 86);
    assert!(state.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    assert_ne!(state, OAuth::make_state(&random).unwrap());
    assert_eq!(OAuth::make_nonce(&random).unwrap().len(), 43);
    let shown = format!("{:?}", OAuth::make_verifier(&random).unwrap());
    assert_eq!(shown, "PkceVerifier(..)");
}
