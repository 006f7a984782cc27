//! Users and what their names, addresses and passwords may look like.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::{Timestamp, UserId};

/// A username: 1–64 of letters, digits, `.`, `_` and `-` (ASCII). Unique without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

/// The text is not a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 of the letters a-z and A-Z, digits, '.', '_' and '-'")]
pub struct InvalidUsername;

impl Username {
    /// Reads a username.
    ///
    /// # Errors
    /// [`InvalidUsername`] when it is too long, empty, or has a character outside the set.
    /// `.` and `..` are refused as well: they cannot be said in a URL path.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            && text != "."
            && text != "..";
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidUsername) }
    }

    /// The name as it was written at sign-up.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which two names are the same user: lower case.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An e-mail address, checked only for what cannot be one. Nothing is ever sent to it unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

/// The text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, such as ada@example.org")]
pub struct InvalidEmail;

impl Email {
    /// Reads an address: something, an `@`, something; no white space or control characters; at most 254 bytes.
    ///
    /// # Errors
    /// [`InvalidEmail`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let fits = text.len() <= 254
            && !text.chars().any(|c| c.is_control() || c.is_whitespace())
            && text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidEmail) }
    }

    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The password is too short or too long to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be at least 8 characters and at most 1024 bytes long")]
pub struct InvalidPassword;

/// Whether this may become a password: at least 8 characters (ASVS 5.0, 6.2.1) and at most 1024 bytes, any of them.
///
/// # Errors
/// [`InvalidPassword`] when it is shorter or longer.
pub fn check_password(password: &SecretString) -> Result<(), InvalidPassword> {
    let text = password.expose_secret();
    if text.chars().count() >= 8 && text.len() <= 1024 { Ok(()) } else { Err(InvalidPassword) }
}

/// A user, without the password's hash.
#[derive(Debug, Clone)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name as written at sign-up.
    pub username: Username,
    /// The address as given.
    pub email: Email,
    /// Tokens issued under another epoch are void: log-out and a new password move it.
    pub session_epoch: i64,
    /// Whether the user may change what is everybody's: services, keys, other users' roles.
    pub is_operator: bool,
    /// When the user signed up.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_fold_to_one_user() {
        let name = Username::parse("Ada.L-1_x").unwrap();
        assert_eq!(name.as_str(), "Ada.L-1_x");
        assert_eq!(name.folded(), "ada.l-1_x");
        for text in ["", ".", "..", "a b", "a/b", "ä", "a\0", "a@b", &"x".repeat(65)] {
            assert_eq!(Username::parse(text), Err(InvalidUsername), "{text:?}");
        }
    }

    #[test]
    fn an_address_has_two_sides_and_no_white_space() {
        assert!(Email::parse("ada@example.org").is_ok());
        for text in ["", "ada", "@example.org", "ada@", "a da@example.org", "ada@example.org\n"] {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }

    #[test]
    fn eight_characters_make_a_password_and_seven_do_not() {
        assert!(check_password(&"ääääääää".into()).is_ok());
        assert_eq!(check_password(&"ääääääa".into()), Err(InvalidPassword));
        assert_eq!(check_password(&"x".repeat(1025).into()), Err(InvalidPassword));
    }
}
