//! Exchange and refresh when all goes well, in every form that it may go well.

use std::time::Duration;

use tokenry_model::{ExposeSecret, Scopes, SecretString};
use tokenry_oauth::{ClientAuth, OAuthError, ProviderSettings, Values};

use crate::fake::{CODE, Fake, REFRESH, SECRET, client, engine, exchange, provider, refresh, refresh_at};

const GOOD: &str =
    r#"{"access_token":"acc3ss-sentinel","token_type":"bearer","refresh_token":"next","expires_in":"3600"}"#;

#[tokio::test]
async fn a_code_is_exchanged_as_rfc_6749_and_7636_say() {
    let fake = Fake::json(GOOD).await;
    let set = exchange(&engine(), &fake.provider(), &fake.url.join("token").unwrap()).await.unwrap();
    assert_eq!(set.access_token.expose_secret(), "acc3ss-sentinel");
    assert_eq!(set.refresh_token.unwrap().expose_secret(), "next");
    assert_eq!(set.expires_in, Some(Duration::from_hours(1)));
    assert!(set.scopes.is_none() && set.id_claims.is_none());

    let seen = fake.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/token"));
    let form: Vec<_> = seen.form().into_iter().collect();
    let expected = [
        ("code", CODE),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "https://t.example/callback"),
    ];
    assert_eq!(form, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    // client%3Aid:cl1ent%2Fs3cret
    assert_eq!(seen.header("authorization"), Some("Basic Y2xpZW50JTNBaWQ6Y2wxZW50JTJGczNjcmV0"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.header("user-agent"), Some(concat!("tokenry/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn a_code_goes_to_the_endpoint_of_its_flow_or_nowhere() {
    let fake = Fake::json(GOOD).await;
    let error = exchange(&engine(), &fake.provider(), &fake.url.join("other").unwrap()).await.unwrap_err();
    assert_eq!(error, OAuthError::Changed);
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_refresh_token_is_spent_once_and_without_scopes() {
    let fake = Fake::json(GOOD).await;
    let scopes: Scopes = ["a"].into_iter().collect();
    engine().refresh(&fake.provider(), &SecretString::from(REFRESH), &scopes, &Values::new()).await.unwrap();
    let form: Vec<_> = fake.only().form().into_iter().collect();
    let expected = [("grant_type", "refresh_token"), ("refresh_token", REFRESH)];
    assert_eq!(form, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
}

#[tokio::test]
async fn the_client_names_itself_in_one_way_only() {
    for (auth, header, id, secret) in [
        (ClientAuth::Basic, true, None, None),
        (ClientAuth::Body, false, Some("client:id"), Some(SECRET)),
        (ClientAuth::None, false, Some("client:id"), None),
    ] {
        let fake = Fake::json(GOOD).await;
        let own = provider("own", ProviderSettings { token_auth: Some(auth), ..fake.settings() });
        refresh(&engine(), &own).await.unwrap();
        let seen = fake.only();
        let form = seen.form();
        assert_eq!(seen.header("authorization").is_some(), header, "{auth:?}");
        assert_eq!(form.get("client_id").map(String::as_str), id, "{auth:?}");
        assert_eq!(form.get("client_secret").map(String::as_str), secret, "{auth:?}");
    }
}

#[tokio::test]
async fn a_confidential_client_without_its_secret_sends_nothing() {
    let fake = Fake::json(GOOD).await;
    let settings =
        ProviderSettings { token_auth: Some(ClientAuth::Basic), client_secret: None, ..fake.settings() };
    let error = refresh(&engine(), &provider("own", settings)).await.unwrap_err();
    assert_eq!(error.to_string(), "own is not set up here: client_secret missing");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn an_answer_is_read_in_every_form_it_comes_in() {
    let form = "access_token=acc3ss-sentinel&token_type=bearer&expires_in=60&scope=a+b";
    let json = r#"{"access_token":"acc3ss-sentinel","expires_in":60,"scope":"a b"}"#;
    for (content_type, body) in [
        ("application/json", json),
        ("application/json; charset=utf-8", json),
        ("text/plain", json),
        ("text/html", json),
        ("application/x-www-form-urlencoded", form),
        ("text/plain", form),
        ("application/json", form),
    ] {
        let set = refresh_at(&Fake::answering(200, content_type, body).await).await.unwrap();
        assert_eq!(set.access_token.expose_secret(), "acc3ss-sentinel", "{content_type}");
        assert_eq!(set.expires_in, Some(Duration::from_mins(1)));
        assert_eq!(set.scopes.unwrap().to_string(), "a b");
        assert!(set.refresh_token.is_none(), "the old one goes on");
    }
    assert!(refresh_at(&Fake::answering(201, "application/json", json).await).await.is_ok());
}

#[tokio::test]
async fn github_answers_scopes_with_commas() {
    let fake = Fake::json(r#"{"access_token":"a","scope":"read:user,gist"}"#).await;
    let github = provider("git", fake.settings());
    let set = refresh(&engine(), &github).await.unwrap();
    assert_eq!(set.scopes.unwrap().to_string(), "read:user gist");
    assert!(set.expires_in.is_none());
    let form = fake.only().form();
    assert_eq!(form.get("client_secret").map(String::as_str), Some(SECRET), "GitHub reads the body");
}

#[tokio::test]
async fn a_provider_that_does_not_say_how_long_lives_by_its_data() {
    let fake = Fake::json(r#"{"access_token":"a"}"#).await;
    for (word, life_s) in [("spotify", Some(3600)), ("discord", Some(604_800)), ("git", None), ("own", None)]
    {
        let provider = provider(word, fake.settings());
        let set = refresh(&engine(), &provider).await.unwrap();
        assert_eq!(provider.lifetime(&set).map(|l| l.expires_in.as_secs()), life_s, "{word}");
    }
    let three_seconds = Fake::json(r#"{"access_token":"a","expires_in":3}"#).await;
    let spotify = provider("spotify", three_seconds.settings());
    let life = spotify.lifetime(&refresh(&engine(), &spotify).await.unwrap()).unwrap();
    assert!(life.leeway < life.expires_in / 2, "{life:?}");
}

#[tokio::test]
async fn an_unreadable_client_id_is_no_header_injection() {
    let fake = Fake::json(GOOD).await;
    let settings = ProviderSettings { client_id: Some("a\r\nX-Evil: 1".into()), ..fake.settings() };
    refresh(&engine(), &provider("own", settings)).await.unwrap();
    assert_eq!(fake.only().header("x-evil"), None);
    assert!(client().client_id.is_some());
}
