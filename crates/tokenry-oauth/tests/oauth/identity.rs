//! Whose account it is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokenry_model::{Account, Scopes, SecretString};
use tokenry_oauth::{Exchange, IdClaims, Issuer, OAuthError, ProviderSettings, TokenSet, Values};
use url::Url;

use crate::fake::{ACCESS, Fake, NOW_S, client, engine, provider, reply, scopes, verifier};

fn tokens(id_claims: Option<IdClaims>) -> TokenSet {
    TokenSet {
        access_token: ACCESS.into(),
        refresh_token: None,
        expires_in: None,
        refresh_expires_in: None,
        scopes: None,
        id_claims,
        account: None,
        captured: Values::new(),
    }
}

fn claims(subject: &str) -> IdClaims {
    IdClaims {
        issuer: "https://id.example".into(),
        subject: subject.into(),
        label: Some("from token".into()),
    }
}

fn account(id: &str, label: Option<&str>) -> Account {
    Account { id: id.into(), label: label.map(str::to_owned) }
}

#[tokio::test]
async fn each_of_the_four_names_its_account_in_its_own_way() {
    for (word, body, expected) in [
        ("spotify", r#"{"id":"ada","display_name":"Ada L"}"#, account("ada", Some("Ada L"))),
        ("spotify", r#"{"id":"ada","display_name":null}"#, account("ada", Some("ada"))),
        ("google", r#"{"sub":"107","email":"ada@example.org"}"#, account("107", Some("ada@example.org"))),
        ("git", r#"{"id":583231,"login":"ada"}"#, account("583231", Some("ada"))),
        (
            "discord",
            r#"{"id":"80351110224678912","username":"ada"}"#,
            account("80351110224678912", Some("ada")),
        ),
        ("own", r#"{"id":7,"name":"Ada"}"#, account("7", Some("Ada"))),
        ("own", r#"{"sub":"s","id":7}"#, account("s", None)),
    ] {
        let fake = Fake::json(body).await;
        let got = engine().identify(&provider(word, fake.settings()), &tokens(None)).await;
        assert_eq!(got, Ok(Some(expected)), "{word}");
        let seen = fake.only();
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/me"));
        assert_eq!(seen.header("authorization"), Some("Bearer acc3ss-sentinel"));
    }
}

#[tokio::test]
async fn the_operator_may_say_where_the_account_is_named() {
    let fake = Fake::json(r#"{"data":{"user":[{"key":42,"nick":"ad\u0007a"}]}}"#).await;
    let settings = ProviderSettings {
        account_id: Some("data.user.0.key".into()),
        account_label: Some("data.user.0.nick".into()),
        ..fake.settings()
    };
    let got = engine().identify(&provider("own", settings), &tokens(None)).await;
    assert_eq!(got, Ok(Some(account("42", Some("ada")))));
}

#[tokio::test]
async fn an_account_without_an_id_is_none() {
    for body in ["{}", r#"{"id":""}"#, r#"{"id":{}}"#, r#"{"id":"a\nb"}"#] {
        let error = engine().identify(&Fake::json(body).await.provider(), &tokens(None)).await.unwrap_err();
        assert!(matches!(error, OAuthError::Nonsense { .. }), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn a_refusal_tells_the_person_why_but_not_the_token() {
    for (content_type, body) in [
        ("text/plain", format!("User not registered ({ACCESS})")),
        ("application/json", format!(r#"{{"message":"User not registered ({ACCESS})"}}"#)),
    ] {
        let fake = Fake::answering(403, content_type, body).await;
        let error = engine().identify(&fake.provider(), &tokens(None)).await.unwrap_err();
        assert_eq!(error.to_string(), "the provider refused: status_403 (User not registered ([secret]))");
    }
    let fake = Fake::answering(401, "text/html", "<html>").await;
    let error = engine().identify(&fake.provider(), &tokens(None)).await.unwrap_err();
    assert_eq!(error.to_string(), "the provider refused: status_401");
}

#[tokio::test]
async fn the_id_token_decides_and_userinfo_must_agree() {
    let fake = Fake::json(r#"{"sub":"s","preferred_username":"ada"}"#).await;
    let own = fake.provider();
    assert_eq!(
        engine().identify(&own, &tokens(Some(claims("s")))).await,
        Ok(Some(account("s", Some("ada"))))
    );
    let error = engine().identify(&own, &tokens(Some(claims("other")))).await.unwrap_err();
    assert!(matches!(error, OAuthError::WrongIdToken { .. }), "{error:?}");
    let nobody = Fake::json(r#"{"email":"ada@example.org"}"#).await.provider();
    assert!(engine().identify(&nobody, &tokens(Some(claims("s")))).await.is_err());
}

#[tokio::test]
async fn the_id_token_is_enough_where_userinfo_is_away_or_not_there() {
    let away = Fake::answering(503, "text/plain", "").await;
    let expected = Ok(Some(account("s", Some("from token"))));
    assert_eq!(engine().identify(&away.provider(), &tokens(Some(claims("s")))).await, expected);
    let error = engine().identify(&away.provider(), &tokens(None)).await.unwrap_err();
    assert!(matches!(error, OAuthError::Unavailable { .. }));

    let none = ProviderSettings { userinfo_url: None, ..away.settings() };
    assert_eq!(engine().identify(&provider("own", none.clone()), &tokens(Some(claims("s")))).await, expected);
    assert_eq!(engine().identify(&provider("own", none), &tokens(None)).await, Ok(None));
}

/// Exchanges a code at an issuer whose id token says `claims`, with `iss` filled in unless it is there.
async fn exchange(claims: Value, nonce: Option<&str>, asked: &str) -> Result<TokenSet, OAuthError> {
    let fake = Fake::start(move |seen| {
        let base = format!("http://{}", seen.header("host").unwrap());
        if seen.path != "/token" {
            let metadata = json!({
                "issuer": base,
                "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"),
            });
            return reply(200, "application/json", &metadata.to_string());
        }
        let mut claims = claims.clone();
        if claims.get("iss").is_none() {
            claims["iss"] = json!(base);
        }
        let id_token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()));
        reply(200, "application/json", &json!({"access_token": "a", "id_token": id_token}).to_string())
    })
    .await;
    let issuer = Issuer::parse(fake.url.as_str().trim_end_matches('/')).unwrap();
    let own = provider("own", ProviderSettings { issuer: Some(issuer), ..client() });
    let exchange = Exchange {
        code: &SecretString::from("c"),
        redirect_uri: &Url::parse("https://t.example/callback").unwrap(),
        verifier: &verifier(),
        nonce,
        token_url: &fake.url.join("token").unwrap(),
        scopes: &scopes(asked),
        captured: &Values::new(),
    };
    engine().exchange(&own, exchange).await
}

fn good() -> Value {
    json!({"aud": "client:id", "exp": NOW_S + 300, "nonce": "n", "sub": "s", "name": "Ada"})
}

#[tokio::test]
async fn an_id_token_that_fits_says_who_it_is() {
    let id_claims = exchange(good(), Some("n"), "openid").await.unwrap().id_claims.unwrap();
    assert!(id_claims.issuer.starts_with("http://127.0.0.1:"));
    assert_eq!((id_claims.subject.as_str(), id_claims.label.as_deref()), ("s", Some("Ada")));
    // Not asked for, not looked at.
    assert!(exchange(json!({}), None, "profile").await.unwrap().id_claims.is_none());
    assert_eq!(Scopes::default(), scopes(""));
}

#[tokio::test]
async fn an_id_token_that_does_not_fit_ends_the_exchange() {
    for (claim, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("somebody-else")),
        ("exp", json!(NOW_S - 300)),
        ("nonce", json!("replayed")),
        ("sub", Value::Null),
    ] {
        let mut claims = good();
        claims[claim] = value;
        let error = exchange(claims, Some("n"), "openid email").await.unwrap_err();
        assert!(matches!(error, OAuthError::WrongIdToken { .. }), "{claim}: {error:?}");
    }
}
