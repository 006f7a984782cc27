//! Connections: a person's account at a service, and the credential that opens it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{ConnectionId, Deadlines, ProviderId, Scopes, Timestamp, UserId};

/// What differs from connection to connection at one service: settings that a person gave (`subdomain`), values that the
/// provider sent along (`realmId`). By their names. None is a secret.
pub type Values = BTreeMap<String, String>;

/// From so long before its end on, a grant that nothing but a person can renew is said to be expiring.
pub const WARN_AHEAD: Duration = Duration::from_hours(14 * 24);

/// Bytes that the vault sealed. Everyone may carry them; only the vault opens them.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Wraps bytes that came from the vault or the database.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes as they are stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Says how long it is, not what is in it: a log is no place for cipher text either.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// What the owner calls a connection. May be empty; two may have the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionName(String);

/// The text cannot name a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be at most 255 characters long and have no control characters, such as line breaks or NUL")]
pub struct InvalidName;

impl ConnectionName {
    /// Reads a name: any script and any direction, at most 255 characters, no control characters.
    ///
    /// # Errors
    /// [`InvalidName`] when it is longer or has a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.chars().count() <= 255 && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName)
        }
    }

    /// A name made from words that came from a provider: what may not be in a name is dropped, the rest cut to fit.
    pub fn from_label(text: &str) -> Self {
        Self(text.chars().filter(|c| !c.is_control()).take(255).collect())
    }

    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which of a person's accounts at a service this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The provider's stable id for it. Never an e-mail address, where the provider has something better.
    pub id: String,
    /// A word by which the person knows it: a user name, a display name, an address.
    pub label: Option<String>,
}

/// What kind of credential a connection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// A token somebody pasted. Handed out as it is.
    Plain,
    /// A key that the service gave out. Handed out as it is.
    ApiKey,
    /// A user name and a password, as `user:password` (RFC 7617 §2). Handed out as it is.
    Basic,
    /// OAuth 1.0a token credentials (RFC 5849 §2.3): a token, and the secret to sign with. They do not expire.
    OAuth1,
    /// An OAuth 2.0 grant: an access token, and perhaps a refresh token.
    OAuth2,
    /// A client of its own at the provider (RFC 6749 §4.4): tokens are had with its id and secret.
    ClientCredentials,
}

impl CredentialKind {
    const ALL: [Self; 6] =
        [Self::Plain, Self::ApiKey, Self::Basic, Self::OAuth1, Self::OAuth2, Self::ClientCredentials];

    /// The word it is stored under.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::OAuth1 => "oauth1",
            Self::OAuth2 => "oauth2",
            Self::ClientCredentials => "client_credentials",
        }
    }

    /// Reads the stored word.
    ///
    /// # Errors
    /// [`UnknownState`] for a word that no version of Tokenry wrote.
    pub fn parse(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }

    /// Whether the provider gives new access tokens for it.
    pub const fn is_renewed(self) -> bool {
        matches!(self, Self::OAuth2 | Self::ClientCredentials)
    }

    /// Whether it came from a provider by somebody's consent, so that there is something to revoke.
    pub const fn is_grant(self) -> bool {
        matches!(self, Self::OAuth2)
    }
}

/// Where a connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// Its token can be handed out.
    Ok,
    /// The provider no longer honours the grant: a person has to connect it again. The credential is kept, and not used.
    ReconnectRequired {
        /// Why, in words, with the provider's own error. Holds no secret.
        reason: String,
    },
    /// The provider refuses it again and again, and does not say that the grant is over. It is set aside, and tried seldom.
    Quarantined {
        /// Why, in words, with the provider's own error. Holds no secret.
        reason: String,
    },
    /// Its owner had the grant revoked. The credential is gone; connecting the account again brings it back.
    Revoked {
        /// By whose hand, in words.
        reason: String,
    },
    /// Another installation keeps the grant fresh. Here its last access token is handed out while it lives, and never
    /// renewed: a refresh token is spent by one alone.
    HandedOver {
        /// To whom or from where, in words.
        reason: String,
    },
}

impl ConnectionState {
    /// The word it is stored under.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ReconnectRequired { .. } => "reconnect_required",
            Self::Quarantined { .. } => "quarantined",
            Self::Revoked { .. } => "revoked",
            Self::HandedOver { .. } => "handed_over",
        }
    }

    /// The reason that is stored beside the word.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Ok => None,
            Self::ReconnectRequired { reason }
            | Self::Quarantined { reason }
            | Self::Revoked { reason }
            | Self::HandedOver { reason } => Some(reason),
        }
    }

    /// Reads the stored word and reason.
    ///
    /// # Errors
    /// [`UnknownState`] when the two fit no state.
    pub fn parse(word: &str, reason: Option<String>) -> Result<Self, UnknownState> {
        match (word, reason) {
            ("ok", None) => Ok(Self::Ok),
            ("reconnect_required", Some(reason)) => Ok(Self::ReconnectRequired { reason }),
            ("quarantined", Some(reason)) => Ok(Self::Quarantined { reason }),
            ("revoked", Some(reason)) => Ok(Self::Revoked { reason }),
            ("handed_over", Some(reason)) => Ok(Self::HandedOver { reason }),
            (other, _) => Err(UnknownState(other.to_owned())),
        }
    }

    /// Whether no refresh of ours can make it work again: a person must, or another installation has it.
    pub const fn is_out_of_our_hands(&self) -> bool {
        matches!(self, Self::ReconnectRequired { .. } | Self::Revoked { .. } | Self::HandedOver { .. })
    }
}

/// A stored word fits no state this version knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored word {0:?} fits no state")]
pub struct UnknownState(pub String);

/// A refresh that was begun and whose outcome nobody wrote down: the refresh token may be spent already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshIntent {
    /// The keyed fingerprint of the refresh token that was to be spent.
    pub token: [u8; 32],
    /// When it began.
    pub at: Timestamp,
    /// Whether whoever began it never said how it ended: still at it, cut off from the database, or dead.
    pub held: bool,
}

/// A connection, its credential sealed.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The id.
    pub id: ConnectionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What the owner calls it.
    pub name: ConnectionName,
    /// The word the service was asked for by (`git` stays `git`).
    pub token_type: String,
    /// The provider that word means (`github`).
    pub provider: ProviderId,
    /// What kind of credential it holds.
    pub kind: CredentialKind,
    /// Where it stands.
    pub state: ConnectionState,
    /// The account at the provider, when the provider says.
    pub account: Option<Account>,
    /// What was asked for.
    pub requested: Scopes,
    /// What was granted.
    pub scopes: Scopes,
    /// What differs from connection to connection at this service.
    pub values: Values,
    /// The sealed access token, or the pasted one.
    pub access_token: Sealed,
    /// What the next access token is had with, sealed: the refresh token; with client credentials, the client; with OAuth
    /// 1.0a, the token's secret.
    pub refresh_token: Option<Sealed>,
    /// When what ends.
    pub times: Deadlines,
    /// Counts the credentials this connection has had: a write names the one it replaces.
    pub generation: i64,
    /// A refresh without a known outcome.
    pub intent: Option<RefreshIntent>,
    /// Why the refresh token may have been spent where nobody here saw it, such as after a restore. In words.
    pub doubt: Option<String>,
    /// How many refreshes in a row brought nothing.
    pub failures: u32,
    /// Before this, nobody tries again: the last tries failed.
    pub retry_at: Option<Timestamp>,
    /// When a person last consented to it, or gave it.
    pub connected_at: Option<Timestamp>,
    /// When it was last refreshed.
    pub last_refreshed_at: Option<Timestamp>,
    /// When its token was last handed out, to within some seconds.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its name or its token last changed by its owner's hand, or its token by a refresh.
    pub updated_at: Timestamp,
}

impl Connection {
    /// Whether its end is in sight and only a person can put it off: the last fifth of the grant's life, at most
    /// [`WARN_AHEAD`]; or an idle refresh token that should have been kept alive by now and was not.
    pub fn is_expiring(&self, now: Timestamp) -> bool {
        if self.state != ConnectionState::Ok {
            return false;
        }
        let begun = self.connected_at.unwrap_or(self.created_at);
        let ends =
            self.times.ends_at.is_some_and(|end| now.plus(WARN_AHEAD.min(end.since(begun) / 5)) >= end);
        let idles = self
            .times
            .idle_ends_at
            .zip(self.times.keep_at)
            .is_some_and(|(end, keep)| now >= keep.plus(end.since(keep) / 2));
        ends || idles
    }

    /// The word for where it stands: that of its state, or `expiring`.
    pub fn standing(&self, now: Timestamp) -> &'static str {
        if self.is_expiring(now) { "expiring" } else { self.state.as_str() }
    }

    /// What was asked for and not granted: a person may untick a box.
    pub fn missing_scopes(&self) -> Scopes {
        self.requested.without(&self.scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_run_right_to_left_but_not_over_lines() {
        let name = "موسيقى \u{202e}🎵";
        assert_eq!(ConnectionName::parse(name).unwrap().as_str(), name);
        assert_eq!(ConnectionName::parse(""), Ok(ConnectionName::default()));
        for text in ["a\nb", "a\0", "\u{7f}", &"x".repeat(256)] {
            assert_eq!(ConnectionName::parse(text), Err(InvalidName), "{text:?}");
        }
    }

    #[test]
    fn a_state_survives_storage_and_an_unknown_word_is_an_error() {
        for state in [
            ConnectionState::Ok,
            ConnectionState::ReconnectRequired { reason: "gone".into() },
            ConnectionState::Quarantined { reason: "odd".into() },
            ConnectionState::Revoked { reason: "by its owner".into() },
            ConnectionState::HandedOver { reason: "to the new machine".into() },
        ] {
            assert_eq!(
                ConnectionState::parse(state.as_str(), state.reason().map(str::to_owned)),
                Ok(state.clone())
            );
        }
        assert!(ConnectionState::parse("fine", None).is_err());
        assert!(ConnectionState::parse("reconnect_required", None).is_err());
        assert!(CredentialKind::parse("").is_err());
        for kind in CredentialKind::ALL {
            assert_eq!(CredentialKind::parse(kind.as_str()), Ok(kind));
        }
    }

    #[test]
    fn sealed_bytes_do_not_print() {
        assert_eq!(format!("{:?}", Sealed::new(b"abc".to_vec())), "Sealed(3 bytes)");
    }
}
