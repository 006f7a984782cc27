//! Ids. They come from the database and are counted over all users.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of a user: a positive integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(i64);

/// The id of a connection: a positive integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(i64);

/// The text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a positive whole number, such as 17")]
pub struct InvalidId;

macro_rules! id {
    ($name:ident) => {
        impl $name {
            /// Wraps a number that the database gave out.
            pub const fn new(value: i64) -> Self {
                Self(value)
            }

            /// The number itself.
            pub const fn get(self) -> i64 {
                self.0
            }

            /// Reads an id from text: decimal digits only, greater than zero, at most `i64::MAX`.
            ///
            /// # Errors
            /// [`InvalidId`] for anything else, a sign or a space included.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(InvalidId);
                }
                match text.parse::<i64>() {
                    Ok(value) if value > 0 => Ok(Self(value)),
                    _ => Err(InvalidId),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(UserId);
id!(ConnectionId);

/// The name a provider goes by in URLs, files and configuration: `spotify`, `google-drive`.
///
/// 1–64 of `a`–`z`, `0`–`9` and `-`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderId(String);

/// The text is not a provider id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a provider id is 1 to 64 of a-z, 0-9 and '-', and begins with a letter or a digit")]
pub struct InvalidProviderId;

impl ProviderId {
    /// Reads a provider id.
    ///
    /// # Errors
    /// [`InvalidProviderId`] when the text is not of the form above.
    pub fn parse(text: &str) -> Result<Self, InvalidProviderId> {
        let fits = (1..=64).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidProviderId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ProviderId {
    type Error = InvalidProviderId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ProviderId> for String {
    fn from(id: ProviderId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_positive_whole_number_and_nothing_else() {
        assert_eq!(ConnectionId::parse("17").map(ConnectionId::get), Ok(17));
        assert_eq!(ConnectionId::parse("9223372036854775807").map(ConnectionId::get), Ok(i64::MAX));
        for text in ["", "0", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "٣", "9223372036854775808", "abc"]
        {
            assert_eq!(ConnectionId::parse(text), Err(InvalidId), "{text:?}");
        }
    }

    #[test]
    fn a_provider_id_is_safe_in_a_path() {
        assert!(ProviderId::parse("google-drive").is_ok());
        for text in ["", "-a", "A", "a/b", "a.b", "a_b", "ä", &"x".repeat(65)] {
            assert_eq!(ProviderId::parse(text), Err(InvalidProviderId), "{text:?}");
        }
    }
}
