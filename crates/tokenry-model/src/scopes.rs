//! Scopes: what a grant allows (RFC 6749 §3.3).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A list of scopes without doubles, in the order first said. None has white space or control characters in it: what is
/// separated by white space are several, and a word with NUL or the like is no scope (RFC 6749 §3.3) and is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Reads scopes that are separated by white space, and by `separator` as well.
    ///
    /// Providers that separate by comma when asked often answer with spaces, and the other way round;
    /// a caller that knows only one of them reads both.
    pub fn split(text: &str, separator: &str) -> Self {
        if separator.trim().is_empty() {
            text.split_whitespace().collect()
        } else {
            text.split(separator).flat_map(str::split_whitespace).collect()
        }
    }

    /// The scopes as one text.
    pub fn join(&self, separator: &str) -> String {
        self.0.join(separator)
    }

    /// Whether no scope is in the list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this scope is in the list.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|s| s == scope)
    }

    /// Those that are not in the other list.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        self.iter().filter(|scope| !others.contains(scope)).collect()
    }

    /// The scopes one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'a> FromIterator<&'a str> for Scopes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(iter: I) -> Self {
        let mut list: Vec<String> = Vec::new();
        for scope in iter.into_iter().flat_map(str::split_whitespace) {
            if !scope.chars().any(char::is_control) && !list.iter().any(|s| s == scope) {
                list.push(scope.to_owned());
            }
        }
        Self(list)
    }
}

impl From<Vec<String>> for Scopes {
    fn from(list: Vec<String>) -> Self {
        list.iter().map(String::as_str).collect()
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.0
    }
}

/// With single spaces, as RFC 6749 writes them.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_in_every_separation() {
        let both: Scopes = ["a", "b"].into_iter().collect();
        assert_eq!(Scopes::split("a b", " "), both);
        assert_eq!(Scopes::split("a,b", ","), both);
        assert_eq!(Scopes::split(" a , b ,a", ","), both);
        assert_eq!(Scopes::split("a,b", " ").iter().count(), 1);
        assert!(Scopes::split("", ",").is_empty());
    }

    #[test]
    fn what_is_no_scope_is_left_out() {
        let list =
            Scopes::from(vec!["a b".to_owned(), "nul\0".to_owned(), "\u{9b}31m".to_owned(), "b".to_owned()]);
        assert_eq!(list.to_string(), "a b");
        assert_eq!(Scopes::split("a\0 b", " ").to_string(), "b");
        assert_eq!(Scopes::split(&list.to_string(), " "), list);
    }
}
