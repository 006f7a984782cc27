//! Answers with tokens in them: OAuth 2.0, OAuth 1.0a, and the device flow's codes.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::json;
use tokenry_model::{ProviderId, Scopes, SystemClock};
use tokenry_oauth::{OAuth, OAuthError, OutboundPolicy, Provider, TokenSet, fuzz};

use super::{SENTINEL, assert_fit, assert_fit_but_for_secrets, choice};

const PLACES: &str = r#"
[authorize]
url = "https://id.example/authorize"
[token]
url = "https://id.example/token"
"#;

/// Providers that read their answers in all the ways there are words for.
pub(crate) static PROVIDERS: LazyLock<[Provider; 5]> = LazyLock::new(|| {
    let own = |words: &str| {
        let text = format!("id = \"fuzzed\"\nname = \"Fuzzed\"\n{PLACES}{words}");
        fuzz::provider(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
    };
    [
        fuzz::standard(&ProviderId::parse("standard").unwrap()),
        own(
            "answer_at = \"authed_user\"\ntoken_types = [\"user\"]\n[token.capture.place]\npattern = \"url\"\n\
             [token.capture.realm]\nat = \"a.realm\"\npattern = \"word\"\n[expiry]\nunit = \"milliseconds\"\n",
        ),
        own(
            "[token.fields]\naccess_token = \"data.token\"\nrefresh_token = \"data.0.renewal\"\nexpires_in = \"data.life\"\n\
             [scope]\ngranted_separator = \",\"\n",
        ),
        own(
            "[errors]\ncode_at = \"status.code\"\nmessage_at = \"status.text\"\nnone = [\"0\"]\nfinal = [\"40031\"]\n\
             operator = [\"bad_client\"]\npassing = [\"busy\"]\n",
        ),
        own(
            "[identity]\nfrom = \"token\"\naccount_id = [\"me.user_id\", \"id\"]\naccount_label = [\"me.login\", \"name\"]\n",
        ),
    ]
});

pub(crate) static ENGINE: LazyLock<OAuth> =
    LazyLock::new(|| OAuth::new(OutboundPolicy::default(), Arc::new(SystemClock)).unwrap());

/// That an error may be shown.
pub(crate) fn assert_error(error: &OAuthError) {
    assert_fit(&error.to_string());
}

pub fn run(data: &[u8]) {
    let (what, body) = choice(data);
    let status = if what & 0x80 == 0 { 200 } else { 400 };
    let provider = &PROVIDERS[usize::from(what) % PROVIDERS.len()];
    let secrets = [SENTINEL];
    match fuzz::token_answer(provider, status, body, &secrets) {
        Ok(tokens) => assert_tokens(&tokens, status),
        Err(error) => assert_error(&error),
    }
    match fuzz::oauth1_answer(provider, status, body, &secrets) {
        Ok((token, secret)) => assert!(!token.is_empty() && !secret.expose_secret().is_empty()),
        Err(error) => assert_error(&error),
    }
    match fuzz::device_answer(&ENGINE, provider, status, body, &secrets) {
        Ok(device) => {
            assert!(
                (1..=64).contains(&device.user_code.len()) && !device.user_code.chars().any(char::is_control)
            );
            assert!(!device.device_code.expose_secret().is_empty());
            assert!(device.expires_in >= Duration::from_secs(1) && device.interval >= Duration::from_secs(1));
            for url in std::iter::once(&device.verification_uri).chain(&device.verification_uri_complete) {
                assert_eq!(url.scheme(), "https");
            }
        }
        // Where the person would be sent is said, and was never ours.
        Err(OAuthError::Forbidden { what }) => assert_fit_but_for_secrets(&what),
        Err(error) => assert_error(&error),
    }
}

fn assert_tokens(tokens: &TokenSet, status: u16) {
    assert_eq!(status, 200, "an error status gave tokens");
    let access = tokens.access_token.expose_secret();
    assert!(
        !access.is_empty() && access.bytes().all(|byte| byte.is_ascii_graphic()),
        "it fits into a header"
    );
    let ten_years = Duration::from_hours(24 * 3650);
    for life in tokens.expires_in.iter().chain(&tokens.refresh_expires_in) {
        assert!(*life <= ten_years);
    }
    let scopes = tokens.scopes.clone().unwrap_or_default();
    assert_eq!(Scopes::split(&scopes.to_string(), " "), scopes, "what is stored reads the same");
    assert!(!scopes.to_string().contains('\0'));
    if let Some(account) = &tokens.account {
        super::account::assert_account(account);
    }
    for value in tokens.captured.values() {
        assert!(!value.is_empty() && !value.chars().any(char::is_control), "{value:?}");
    }

    // The same in standard words reads the same.
    let seconds = tokens.expires_in.map(|life| life.as_secs());
    let refresh = tokens.refresh_token.as_ref().map(|token| token.expose_secret());
    let said = json!({"access_token": access, "refresh_token": refresh, "expires_in": seconds, "scope": scopes.to_string()});
    let again = fuzz::token_answer(&PROVIDERS[0], 200, said.to_string().as_bytes(), &[]).unwrap();
    assert_eq!(again.access_token.expose_secret(), access);
    assert_eq!(again.refresh_token.as_ref().map(|token| token.expose_secret()), refresh);
    assert_eq!(again.expires_in.map(|life| life.as_secs()), seconds);
    assert_eq!(again.scopes, Some(scopes));
}
