//! What is wrong with a field that a person filled in.

use tokenry_model::{InvalidEmail, InvalidName, InvalidPassword, InvalidUsername};

/// What is wrong with a field, told apart for whoever says it in another language. The display text is the rest of a sentence
/// that begins with the field, in the words of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing is in it.
    #[error("must not be empty")]
    Empty,
    /// It is longer than a credential may be, in bytes.
    #[error("must be at most {0} bytes long")]
    TooLong(usize),
    /// NUL is in it.
    #[error("must not contain NUL: no credential has one")]
    Nul,
    /// It is no token of a provider (RFC 6749 §A.12).
    #[error("must be visible ASCII without spaces, as tokens of providers are")]
    NotVisible,
    /// It is no list of scopes (RFC 6749 §3.3).
    #[error(
        "must be a list of at most 200 scopes, each of 1 to 255 visible ASCII characters without \" and \\"
    )]
    Scopes,
    /// It is no name for a connection.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// It is no username.
    #[error(transparent)]
    Username(#[from] InvalidUsername),
    /// Nobody can be called that.
    #[error("is reserved; choose another")]
    Reserved,
    /// It is no e-mail address.
    #[error(transparent)]
    Email(#[from] InvalidEmail),
    /// It cannot become a password.
    #[error(transparent)]
    Password(#[from] InvalidPassword),
    /// It is not the password of who asks.
    #[error("is not your password")]
    NotYourPassword,
    /// It is shorter than a passphrase must be, in characters.
    #[error("must be at least {0} characters long")]
    ShortPassphrase(usize),
    /// There is a password, and no user name.
    #[error("must not be empty where the password is")]
    NothingAtAll,
    /// A user name that nobody could tell from its password (RFC 7617 §2).
    #[error("must not contain a colon")]
    Colon,
    /// A client of one's own is needed, and none was given.
    #[error("must be given: this server's own client is there to connect people's accounts")]
    OwnClient,
    /// It is no client id.
    #[error("must be the client id that the service gave out")]
    ClientId,
    /// It is no client secret.
    #[error("must be the client secret that the service gave out")]
    ClientSecret,
    /// The secret that is kept is that of another client.
    #[error("belongs to the client id that was there before: give the one that belongs to this id")]
    OtherSecret,
    /// The service has no use for a client.
    #[error("is of no use here: people paste what this service gives")]
    NoClient,
    /// The configuration sets it.
    #[error("is set by the configuration, which wins")]
    Configured,
    /// Nobody is called that.
    #[error("is nobody's name here")]
    Nobody,
    /// Nobody would be left to operate the server.
    #[error("cannot be taken from the last operator: make somebody else one first")]
    LastOperator,
    /// What no page of ours asks for, in the words of the API.
    #[error("{0}")]
    Said(String),
}

impl From<&str> for Problem {
    fn from(said: &str) -> Self {
        Self::Said(said.to_owned())
    }
}

impl From<String> for Problem {
    fn from(said: String) -> Self {
        Self::Said(said)
    }
}
