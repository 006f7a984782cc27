//! How the client names itself, and what it pushes before it sends a person anywhere.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokenry_model::{ProviderId, Scopes};

use crate::data::Algorithm;
use crate::quirk_tests::{ENDS, Odd, TOKEN};
use crate::signing::SigningKey;
use crate::{Catalogue, ClientAuth, OAuthError, ProviderSettings, Readiness};

/// A fresh private key as an operator would have it: PEM with PKCS#8.
fn pem(of: Algorithm) -> String {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
    let random = SystemRandom::new();
    let der = match of {
        Algorithm::Rs256 => KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap().as_ref().to_vec(),
        Algorithm::Es256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap().as_ref().to_vec()
        }
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref().to_vec(),
    };
    let lines: Vec<String> = STANDARD
        .encode(der)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Checks the signature, as the provider would, and gives header and claims.
fn opened(jwt: &str, key: &SigningKey) -> (Value, Value) {
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = key.public();
    let checked = match key.algorithm() {
        Algorithm::Rs256 => {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(message.as_bytes(), &signature)
        }
        Algorithm::Es256 => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(message.as_bytes(), &signature)
        }
        Algorithm::EdDsa => UnparsedPublicKey::new(&ED25519, public).verify(message.as_bytes(), &signature),
    };
    checked.unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let part = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    (part(header), part(claims))
}

async fn signing(auth: &str, key: &str) -> Odd {
    let key = key.to_owned();
    Odd::start_with(&ENDS.replace("auth = \"body\"", auth), &[TOKEN], |operator| {
        operator.client_secret = None;
        operator.private_key = Some(key.into());
        operator.key_id = Some("k1".into());
        operator.team_id = Some("T34M".into());
    })
    .await
}

#[tokio::test]
async fn a_client_signs_with_any_of_three_kinds_of_keys_as_rfc_7523_says() {
    for alg in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let text = pem(alg);
        let odd = signing("auth = \"private_key_jwt\"", &text).await;
        assert_eq!(odd.provider.readiness(), Readiness::Ready);
        assert!(!odd.provider.is_public_client());
        odd.exchange().await.unwrap();
        odd.refresh().await.unwrap();
        let key = SigningKey::read(&text.as_str().into(), None).unwrap();
        let mut ids = Vec::new();
        for seen in odd.seen() {
            let form = seen.form();
            assert_eq!(
                form["client_assertion_type"],
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            assert_eq!(form["client_id"], "id");
            assert!(!form.contains_key("client_secret") && !seen.headers.contains_key("authorization"));
            let (header, claims) = opened(&form["client_assertion"], &key);
            assert_eq!((header["alg"].as_str(), header["kid"].as_str()), (Some(alg.as_str()), Some("k1")));
            assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("id"), Some("id")));
            assert_eq!(claims["aud"], format!("{}token", odd.base));
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
            ids.push(claims["jti"].as_str().unwrap().to_owned());
        }
        assert_ne!(ids[0], ids[1], "each is for one use");
    }
}

#[tokio::test]
async fn a_request_names_the_client_in_one_way() {
    let key = pem(Algorithm::EdDsa);
    for (auth, in_header, in_body) in [
        ("basic", true, &[][..]),
        ("secret_as_basic_user", true, &[]),
        ("body", false, &["client_id", "client_secret"]),
        ("none", false, &["client_id"]),
        ("private_key_jwt", false, &["client_assertion", "client_assertion_type", "client_id"]),
        ("signed_secret", false, &["client_id", "client_secret"]),
    ] {
        let key = key.clone();
        // Secret and key are both there: only the one that is meant is used.
        let odd = Odd::start_with(&ENDS.replace("\"body\"", &format!("\"{auth}\"")), &[TOKEN], |operator| {
            operator.private_key = Some(key.into());
            operator.team_id = Some("t".into());
        })
        .await;
        odd.refresh().await.unwrap();
        let seen = &odd.seen()[0];
        let form = seen.form();
        let names: Vec<&str> =
            form.keys().map(String::as_str).filter(|name| name.starts_with("client_")).collect();
        assert_eq!((seen.headers.contains_key("authorization"), &names[..]), (in_header, in_body), "{auth}");
        assert_eq!(
            seen.body.matches("client_id=").count(),
            in_body.iter().filter(|n| **n == "client_id").count()
        );
    }
}

#[tokio::test]
async fn the_data_say_for_whom_a_signature_is() {
    let key = pem(Algorithm::EdDsa);
    for (data, audience) in
        [("issuer = \"https://id.example\"\n", "https://id.example"), ("", "https://aud.example/x")]
    {
        let words = if data.is_empty() { "https://aud.example/x" } else { "issuer" };
        let auth = format!("auth = \"private_key_jwt\"\n[token.signed]\naudience = \"{words}\"");
        let key_of = key.clone();
        let data = format!("{data}{}", ENDS.replace("auth = \"body\"", &auth));
        let odd = Odd::start_with(&data, &[TOKEN], |o| o.private_key = Some(key_of.into())).await;
        odd.exchange().await.unwrap();
        let read = SigningKey::read(&key.as_str().into(), None).unwrap();
        assert_eq!(opened(&odd.seen()[0].form()["client_assertion"], &read).1["aud"], audience);
    }
}

#[tokio::test]
async fn a_secret_may_be_signed_anew_for_each_request() {
    let text = pem(Algorithm::Es256);
    let auth = "auth = \"signed_secret\"\n[token.signed]\naudience = \"https://aud.example\"\nttl_s = 300\nalg = \"ES256\"";
    let odd = signing(auth, &text).await;
    assert_eq!(odd.provider.readiness(), Readiness::Ready);
    odd.refresh().await.unwrap();
    let form = odd.seen()[0].form();
    let (header, claims) =
        opened(&form["client_secret"], &SigningKey::read(&text.as_str().into(), None).unwrap());
    assert_eq!((header["alg"].as_str(), header["kid"].as_str()), (Some("ES256"), Some("k1")));
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("T34M"), Some("id")));
    assert_eq!(claims["aud"], "https://aud.example");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
}

#[tokio::test]
async fn a_secret_may_be_the_user_of_a_basic_header() {
    let odd = Odd::start(&ENDS.replace("\"body\"", "\"secret_as_basic_user\""), &[TOKEN]).await;
    odd.refresh().await.unwrap();
    let seen = &odd.seen()[0];
    assert_eq!(seen.headers["authorization"], format!("Basic {}", STANDARD.encode("secret:")));
    assert!(!seen.form().contains_key("client_secret"));
}

#[tokio::test]
async fn what_names_the_client_is_in_no_error_that_echoes_it() {
    let key = pem(Algorithm::EdDsa);
    for (auth, field) in [
        ("private_key_jwt", Some("client_assertion")),
        ("signed_secret", Some("client_secret")),
        ("secret_as_basic_user", None),
    ] {
        let key = key.clone();
        let data = ENDS.replace("auth = \"body\"", &format!("auth = \"{auth}\""));
        let echo = r#"400 {"error":"invalid_client","error_description":"no: ECHO"}"#;
        let odd = Odd::start_with(&data, &[echo], |o| {
            o.private_key = Some(key.into());
            o.key_id = Some("k".into());
            o.team_id = Some("t".into());
        })
        .await;
        let error = format!("{:?}", odd.refresh().await.unwrap_err());
        let seen = &odd.seen()[0];
        let sent = match field {
            Some(field) => seen.form()[field].clone(),
            None => seen.headers["authorization"].replace("Basic ", ""),
        };
        // An error is cut off after 200 characters, in the midst of a signature.
        let signed = sent.get(..16).unwrap_or(&sent);
        assert!(!error.contains(signed), "{signed} in {error}");
        assert!(error.contains("no: "), "{error}");
        let named = format!("{:?}", odd.provider);
        assert!(named.contains("SigningKey(EdDSA)") && !named.contains("BEGIN"), "{named}");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_found_at_load_and_not_shown() {
    let load = |word: &str, key: &str| {
        let settings = ProviderSettings { private_key: Some(key.into()), ..ProviderSettings::default() };
        let shown = format!("{settings:?}");
        assert!(!shown.contains("s3ntinel") && !shown.contains("BEGIN"), "{shown}");
        Catalogue::load(&[(ProviderId::parse(word).unwrap(), settings)].into_iter().collect())
    };
    assert!(load("apple", &pem(Algorithm::Es256)).is_ok());
    let pkcs1 = "-----BEGIN RSA PRIVATE KEY-----\ns3ntinel\n-----END RSA PRIVATE KEY-----\n";
    let empty = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    for (word, key, why) in [
        ("apple", "s3ntinel", "private_key is not PEM"),
        ("apple", pkcs1, "private_key is not PEM with a PKCS#8 key"),
        ("apple", empty, "is neither an RSA key"),
        ("apple", &pem(Algorithm::Rs256), "private_key cannot sign with ES256"),
    ] {
        let error = load(word, key).unwrap_err().to_string();
        assert!(
            error.starts_with("apple: ") && error.contains(why) && !error.contains("s3ntinel"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_a_signing_client_lacks_is_named() {
    let lacks = async |auth: &str, change: fn(&mut ProviderSettings)| {
        let odd = Odd::start_with(&ENDS.replace("auth = \"body\"", auth), &[TOKEN], change).await;
        match odd.provider.readiness() {
            Readiness::Missing { what, .. } => (what, odd.refresh().await.unwrap_err()),
            other => panic!("{other:?}"),
        }
    };
    let (what, error) = lacks("auth = \"private_key_jwt\"", |s| s.client_secret = None).await;
    assert_eq!(what, ["private_key"]);
    assert_eq!(error.to_string(), "odd is not set up here: private_key missing");
    let (what, _) = lacks("auth = \"signed_secret\"", |_| ()).await;
    assert_eq!(what, ["private_key", "key_id", "team_id"]);
}

#[tokio::test]
async fn a_name_may_stand_in_place_of_the_redirect_uri() {
    let data = format!("{ENDS}[redirect]\nnamed = true\n");
    let odd = Odd::start(&data, &[TOKEN]).await;
    assert!(matches!(odd.provider.readiness(), Readiness::Missing { what, .. } if what == ["redirect_name"]));
    assert!(matches!(odd.authorize().await.unwrap_err(), OAuthError::NotConfigured { .. }));

    let odd = Odd::start_with(&data, &[TOKEN], |o| o.redirect_name = Some("Acme-App-1".into())).await;
    let url = odd.authorize().await.unwrap().url;
    assert!(url.query_pairs().any(|(name, value)| name == "redirect_uri" && value == "Acme-App-1"), "{url}");
    odd.exchange().await.unwrap();
    assert_eq!(odd.seen()[0].form()["redirect_uri"], "Acme-App-1");
}

#[tokio::test]
async fn a_request_may_be_pushed_first_and_the_person_takes_only_its_name() {
    let data = ENDS.replace("[token]", "pushed_url = \"BASE/par\"\n[token]");
    let answer = r#"201 {"request_uri":"urn:example:1","expires_in":90}"#;
    let odd = Odd::start(&data, &[answer]).await;
    let begun = odd.authorize().await.unwrap();
    assert_eq!(begun.url.query(), Some("client_id=id&request_uri=urn%3Aexample%3A1"));
    assert_eq!(begun.good_for.unwrap().as_secs(), 90);
    let [seen] = &odd.seen()[..] else { panic!() };
    let form = seen.form();
    assert_eq!(seen.line, "POST /par");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "id"),
        ("client_secret", "secret"),
        ("redirect_uri", "https://t.example/callback"),
        ("state", "s"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(form[name], value, "{name}");
    }
    assert_eq!(seen.body.matches("client_id=").count(), 1);

    let refused =
        Odd::start(&data, &[r#"400 {"error":"invalid_request","error_description":"secret no"}"#]).await;
    let error = refused.authorize().await.unwrap_err();
    assert!(
        matches!(error, OAuthError::Refused { .. }) && !error.to_string().contains("secret no"),
        "{error}"
    );
}

#[tokio::test]
async fn a_program_signs_in_by_itself_with_the_operator_s_client_or_one_of_its_own() {
    let data = "kind = \"client_credentials\"\n[token]\nurl = \"BASE/token\"\nauth = \"basic\"\nparams = { a = \"1\" }\n";
    let odd = Odd::start_with(data, &[r#"{"access_token":"a","expires_in":60}"#], |o| {
        *o = ProviderSettings::default();
    })
    .await;
    let scopes = Scopes::split("x y", " ");
    let error = odd.engine.client_credentials(&odd.provider, &scopes).await.unwrap_err();
    assert!(matches!(error, OAuthError::NotConfigured { .. }), "{error:?}");
    assert!(odd.seen().is_empty());

    let own = odd.provider.with_client("mine", &"my own".into());
    let tokens = odd.engine.client_credentials(&own, &scopes).await.unwrap();
    assert_eq!(tokens.expires_in.unwrap().as_secs(), 60);
    let [seen] = &odd.seen()[..] else { panic!() };
    let form: Vec<_> = seen.form().into_iter().collect();
    let expected = [("a", "1"), ("grant_type", "client_credentials"), ("scope", "x y")];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(seen.headers["authorization"], format!("Basic {}", STANDARD.encode("mine:my+own")));

    let refused = Odd::start(
        ENDS,
        &[r#"401 {"error":"invalid_client","error_description":"mine my own bWluZTpteStvd24="}"#],
    )
    .await;
    let own = refused.provider.with_client("mine", &"my own".into());
    let error = refused.engine.client_credentials(&own, &scopes).await.unwrap_err().to_string();
    assert!(!error.contains("my own"), "{error}");
}

#[tokio::test]
async fn a_public_client_is_no_program_that_signs_in_by_itself() {
    let odd = Odd::start_with(ENDS, &[TOKEN], |o| o.client_secret = None).await;
    assert_eq!(odd.provider.data.token.auth, Some(ClientAuth::None));
    let error = odd.engine.client_credentials(&odd.provider, &Scopes::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "odd is not set up here: client_secret missing");
    assert!(odd.seen().is_empty());
    let own = odd.provider.with_client("mine", &"s".into());
    let tokens = odd.engine.client_credentials(&own, &Scopes::default()).await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "a");
}
