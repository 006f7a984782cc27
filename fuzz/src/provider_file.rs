//! Provider files.

use tokenry_model::{ExposeSecret as _, SecretString};
use tokenry_oauth::{Values, fuzz};

/// What it reads afterwards.
const ANSWER: &[u8] =
    br#"{"access_token":"a","authed_user":{"access_token":"b","id":7},"id":7,"error":{"code":1}}"#;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match fuzz::provider(text) {
        Ok(provider) => {
            // What was taken is of use: nothing of it makes anything else fall over.
            let _ = (format!("{provider:?}"), provider.check_settings(&Values::new()));
            let _ = provider.capture_callback(&Values::from([("realmId".to_owned(), "7".to_owned())]));
            let _ = fuzz::account_answer(&provider, 200, ANSWER, &[]);
            if let Ok(tokens) = fuzz::token_answer(&provider, 200, ANSWER, &[]) {
                assert!(!tokens.access_token.expose_secret().is_empty());
            }
            if let Ok((_, value)) = provider.authorization(&SecretString::from("a-token")) {
                assert!(value.is_sensitive(), "the header would show in a log");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.what.trim().is_empty(), "{problem:?}");
                let lines = text.matches('\n').count() + 1;
                assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem:?}");
            }
        }
    }
}
