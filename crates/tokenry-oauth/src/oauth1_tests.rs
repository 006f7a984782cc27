//! A trip by OAuth 1.0a against a server on loopback.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::quirk_tests::Odd;
use crate::{OAuthError, Readiness};

const DATA: &str = r#"
    kind = "oauth1"
    [authorize]
    url = "BASE/authorize"
    params = { expiration = "never" }
    [token]
    url = "BASE/access"
    [token.capture.shard]
    at = "edam_shard"
    pattern = "word"
    [identity]
    url = "BASE/me?format=json"
    account_id = ["id"]
    [oauth1]
    request_url = "BASE/request"
"#;
const TEMPORARY: &str = "oauth_token=temp&oauth_token_secret=t3mp&oauth_callback_confirmed=true";
const LASTING: &str = "oauth_token=t0ken&oauth_token_secret=s3cret&edam_shard=s1&user_id=7&user=ada";

/// The parts of an `Authorization: OAuth` header.
fn parts(header: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let parts = header.strip_prefix("OAuth ").unwrap().split(", ");
    parts
        .map(|part| part.split_once('=').unwrap())
        .map(|(name, value)| (decode(name), decode(value.trim_matches('"'))))
        .collect()
}

fn callback() -> Url {
    Url::parse("https://t.example/callback?x=1").unwrap()
}

#[tokio::test]
async fn a_token_is_had_in_three_steps_and_signs_what_follows() {
    let odd = Odd::start(DATA, &[TEMPORARY, LASTING, r#"{"id":7,"name":"ada"}"#]).await;
    assert_eq!(odd.provider.readiness(), Readiness::Ready);
    let begun = odd.engine.oauth1_begin(&odd.provider, &callback()).await.unwrap();
    assert_eq!(begun.url.query(), Some("expiration=never&oauth_token=temp"));
    assert_eq!((begun.token.as_str(), begun.secret.expose_secret()), ("temp", "t3mp"));
    let credential = odd
        .engine
        .oauth1_finish(&odd.provider, &begun.token, &begun.secret, &"v3rifier".into())
        .await
        .unwrap();
    assert_eq!(credential.token.expose_secret(), "t0ken");
    assert_eq!(credential.captured["shard"], "s1");
    assert!(credential.account.is_none());
    let account = odd
        .engine
        .oauth1_identify(&odd.provider, &credential.token, &credential.secret)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((account.id.as_str(), account.label.as_deref()), ("7", Some("ada")));

    let seen = odd.seen();
    let lines: Vec<&str> = seen.iter().map(|seen| seen.line.as_str()).collect();
    assert_eq!(lines, ["POST /request", "POST /access", "GET /me?format=json"]);
    let headers: Vec<_> = seen.iter().map(|seen| parts(&seen.headers["authorization"])).collect();
    assert_eq!(headers[0]["oauth_callback"], callback().as_str());
    assert!(!headers[0].contains_key("oauth_token"));
    assert_eq!(
        (headers[1]["oauth_token"].as_str(), headers[1]["oauth_verifier"].as_str()),
        ("temp", "v3rifier")
    );
    assert_eq!(headers[2]["oauth_token"], "t0ken");
    for header in &headers {
        assert_eq!((header["oauth_consumer_key"].as_str(), header["oauth_version"].as_str()), ("id", "1.0"));
        assert_eq!(header["oauth_signature_method"], "HMAC-SHA1");
    }
    assert_ne!(headers[0]["oauth_nonce"], headers[1]["oauth_nonce"]);
    for secret in ["secret", "t3mp", "s3cret"] {
        assert!(
            seen.iter().all(|seen| !format!("{seen:?}").contains(&format!("\"{secret}\""))),
            "{secret} was sent"
        );
    }
}

#[tokio::test]
async fn an_api_call_is_signed_for_its_method_and_address_alone() {
    let odd = Odd::start(DATA, &[TEMPORARY]).await;
    let (token, secret) = (SecretString::from("t0ken"), SecretString::from("s3cret"));
    let sign = |method: &str, url: &str| {
        odd.engine.oauth1_sign(&odd.provider, &token, &secret, method, &Url::parse(url).unwrap()).unwrap()
    };
    let one = parts(sign("GET", "https://api.p.example/1/boards?fields=name").expose_secret());
    assert_eq!(one["oauth_token"], "t0ken");
    assert_eq!(base64_len(&one["oauth_signature"]), 20);
    let other = parts(sign("POST", "https://api.p.example/1/boards?fields=name").expose_secret());
    assert_ne!(one["oauth_signature"], other["oauth_signature"]);
}

fn base64_len(text: &str) -> usize {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap().len()
}

#[tokio::test]
async fn a_server_that_does_not_confirm_the_callback_is_not_followed() {
    for answer in [
        TEMPORARY.replace("&oauth_callback_confirmed=true", ""),
        TEMPORARY.replace("confirmed=true", "confirmed=false"),
        "oauth_callback_confirmed=true&oauth_token=t".to_owned(),
        "oauth_callback_confirmed=true&oauth_token=&oauth_token_secret=s".to_owned(),
    ] {
        let odd = Odd::start(DATA, &[&answer]).await;
        let error = odd.engine.oauth1_begin(&odd.provider, &callback()).await.unwrap_err();
        assert!(matches!(error, OAuthError::Nonsense { .. }), "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn an_account_may_be_named_with_the_token() {
    let data = DATA
        .replace("url = \"BASE/me?format=json\"", "from = \"token\"")
        .replace("\"id\"]", "\"user_id\"]\naccount_label = [\"user\"]");
    let odd = Odd::start(&data, &[LASTING]).await;
    let credential = odd.engine.oauth1_finish(&odd.provider, "temp", &"t".into(), &"v".into()).await.unwrap();
    let account = credential.account.unwrap();
    assert_eq!((account.id.as_str(), account.label.as_deref()), ("7", Some("ada")));
}

#[tokio::test]
async fn no_error_tells_a_secret_or_a_verifier() {
    let odd = Odd::start(DATA, &["401 oauth problem: secret t3mp v3rifier tempt0ken"]).await;
    let error = odd
        .engine
        .oauth1_finish(&odd.provider, "tempt0ken", &"t3mp".into(), &"v3rifier".into())
        .await
        .unwrap_err();
    let shown = format!("{error} {error:?}");
    for secret in ["t3mp", "v3rifier", "tempt0ken", " secret "] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("oauth problem"), "{shown}");
}

#[tokio::test]
async fn a_client_without_a_secret_signs_nothing_and_no_link_of_oauth_2_leads_there() {
    let odd = Odd::start_with(DATA, &[TEMPORARY], |operator| operator.client_secret = None).await;
    assert!(matches!(odd.provider.readiness(), Readiness::Missing { what, .. } if what == ["client_secret"]));
    let error = odd.engine.oauth1_begin(&odd.provider, &callback()).await.unwrap_err();
    assert!(matches!(error, OAuthError::NotConfigured { .. }), "{error:?}");
    assert!(matches!(odd.authorize().await.unwrap_err(), OAuthError::NotSupported { .. }));
    let two = Odd::start(crate::quirk_tests::ENDS, &[TEMPORARY]).await;
    let error = two.engine.oauth1_begin(&two.provider, &callback()).await.unwrap_err();
    assert!(matches!(error, OAuthError::NotSupported { .. }), "{error:?}");
    assert!(odd.seen().is_empty() && two.seen().is_empty());
}
