//! What a provider says about an account.

use tokenry_model::Account;
use tokenry_oauth::fuzz;

use super::answers::{PROVIDERS, assert_error};
use super::{SENTINEL, choice};

pub fn run(data: &[u8]) {
    let (what, body) = choice(data);
    let status = if what & 0x80 == 0 { 200 } else { 400 };
    let provider = &PROVIDERS[usize::from(what) % PROVIDERS.len()];
    match fuzz::account_answer(provider, status, body, &[SENTINEL]) {
        Ok(account) => {
            assert_eq!(status, 200, "an error status gave an account");
            assert_account(&account);
        }
        Err(error) => assert_error(&error),
    }
}

/// That an account can be stored and shown.
pub(crate) fn assert_account(account: &Account) {
    assert!(
        (1..=255).contains(&account.id.len()) && !account.id.chars().any(char::is_control),
        "{account:?}"
    );
    if let Some(label) = &account.label {
        assert!(label.chars().count() <= 200 && !label.chars().any(char::is_control), "{account:?}");
    }
}
