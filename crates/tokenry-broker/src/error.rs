//! Why a verb was not done.

use std::sync::Arc;
use std::time::Duration;

use tokenry_model::EntropyError;
use tokenry_oauth::OAuthError;
use tokenry_store::StoreError;
use tokenry_vault::VaultError;

use crate::problem::Problem;

/// Why a verb was not done. The display text is for the person who asked, but for the last three, which are for the log.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// There is no token, or it is not (or no longer) good.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The name or the password is wrong. Does not say which.
    #[error("the username or the password is wrong")]
    WrongLogin,
    /// The token is another user's.
    #[error("this token belongs to another user; use a path with the username it was issued to")]
    Forbidden,
    /// Nobody can sign up here.
    #[error("signing up is closed on this server; ask its operator for an account")]
    SignupClosed,
    /// This user has no connection of that id.
    #[error("you have no connection with this id; list yours to see their ids")]
    NoSuchConnection,
    /// A field is not allowed to be what it is.
    #[error("the field `{name}` {problem}")]
    Field {
        /// The field.
        name: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A setting of a connection is not allowed to be what it is, or is missing.
    #[error("the field `settings.{name}` is not allowed: {problem}")]
    Setting {
        /// The setting.
        name: String,
        /// What is wrong with it, and what to write.
        problem: String,
    },
    /// The provider does not take what somebody gave us for it.
    #[error("{service} does not take these credentials: {cause}")]
    CredentialRefused {
        /// The service's name.
        service: String,
        /// What it said.
        cause: OAuthError,
    },
    /// The service's addresses differ from connection to connection.
    #[error(
        "{service} needs to know more before it can be connected: {}; send it in `settings` to \
         POST /api/users/<your username>/connections/authorize",
        settings.join(", ")
    )]
    SettingsRequired {
        /// The service's name.
        service: String,
        /// What is needed, in words.
        settings: Vec<String>,
    },
    /// Nobody can say yes there on another device.
    #[error("{service} has no way to say yes on another device; ask for a link instead")]
    DeviceFlowNotSupported {
        /// The service's name.
        service: String,
    },
    /// This user has begun no device flow of that id.
    #[error("you have begun no connect on a device under this id, or it is so old that it is forgotten")]
    NoSuchDeviceFlow,
    /// There is no link of that id.
    #[error("there is no connect link with this id, or it is so old that it is forgotten")]
    NoSuchLink,
    /// No header carries the credential.
    #[error("{service} reads no header: {what}")]
    NoHeader {
        /// The service's name.
        service: String,
        /// What to do instead.
        what: String,
    },
    /// The catalogue has no such service.
    #[error("{}there is no service {word:?} in the catalogue{}", in_field(*field), suggest(close))]
    UnknownService {
        /// The field of the body that held the word, if it came in one.
        field: Option<&'static str>,
        /// The word that was asked for.
        word: String,
        /// Services with similar names.
        close: Vec<String>,
    },
    /// The username is taken, in whatever case.
    #[error("the username is taken; choose another")]
    UsernameTaken,
    /// Too many failed logins.
    #[error("too many failed logins; try again in {} s", retry_after.as_secs())]
    TooManyAttempts {
        /// When to try again.
        retry_after: Duration,
    },
    /// The user has as many connections as they may.
    #[error(
        "you have as many connections as this server keeps for one user ({most}); delete one that you no longer need"
    )]
    TooManyConnections {
        /// As many as that.
        most: i64,
    },
    /// More passwords are being checked than the machine can do at once.
    #[error("the server is checking too many passwords at once; try again in a moment")]
    Busy,
    /// The audit log cannot be written, and what is not written down is not handed out.
    #[error("the audit log cannot be written at the moment, and nothing is handed out unrecorded; try again")]
    AuditBehind,
    /// The connection must be connected again.
    #[error("this connection must be connected again: {reason}")]
    ReconnectRequired {
        /// Why, in words, with the provider's own error.
        reason: String,
    },
    /// Another installation keeps the connection fresh, and the last token that was had here is of no more use.
    #[error(
        "{reason}; its last token here has ended: ask the other installation, or connect the account again here"
    )]
    HandedOver {
        /// To whom or from where, in words.
        reason: String,
    },
    /// The operator has not set the service up.
    #[error(
        "{service} is not set up on this server: its operator must register an application there with the redirect \
         URI {redirect_uri} and configure {}{}",
        missing.join(" and "),
        docs.as_ref().map(|url| format!(" (see {url})")).unwrap_or_default()
    )]
    ProviderNotConfigured {
        /// The service's name.
        service: String,
        /// The redirect URI to register.
        redirect_uri: String,
        /// What is missing, as configuration keys.
        missing: Vec<String>,
        /// Where to register.
        docs: Option<String>,
    },
    /// The service cannot be connected by a link, whatever the operator configures; a pasted token works.
    #[error("{service} cannot be connected by a link: {why}")]
    ProviderNotSupported {
        /// The service's name.
        service: String,
        /// Why, and what to do instead.
        why: String,
    },
    /// A stored connection's service is no longer in the configuration.
    #[error(
        "the service {service} is no longer set up on this server; its operator must bring providers.{service} back"
    )]
    ProviderGone {
        /// The service's id.
        service: String,
    },
    /// The provider refused us or answered nonsense, and no connection is to blame.
    #[error("the call to {service} failed: {cause}")]
    ProviderRefused {
        /// The service's name.
        service: String,
        /// What it said.
        cause: OAuthError,
    },
    /// The provider is away, or told us to come back later.
    #[error("{service} is not answering at the moment; try again in {} s", retry_after.as_secs().max(1))]
    ProviderAway {
        /// The service's name.
        service: String,
        /// What happened.
        cause: OAuthError,
        /// When to try again.
        retry_after: Duration,
    },
    /// The caller has no operator's role.
    #[error("only an operator of this server may do this")]
    OperatorOnly,
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// The link that makes the first operator was used, has ended, or never was one.
    #[error("this link is of no use any more: it was used, it has ended, or there is an operator already")]
    SetupLinkEnded,
    /// It cannot be done with the keys as they are.
    #[error("{why}")]
    Keys {
        /// Why, in words.
        why: String,
    },
    /// The answer of a refresh that several callers waited for.
    #[error("{0}")]
    Shared(Arc<BrokerError>),
    /// The database is away, or a row in it cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed value does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Something that cannot happen did.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl BrokerError {
    /// The error itself, also when several callers share it.
    pub fn root(&self) -> &Self {
        match self {
            Self::Shared(error) => error.root(),
            other => other,
        }
    }

    /// Whether the database did not answer, in contrast to holding something that cannot be read.
    pub fn is_database_away(&self) -> bool {
        matches!(self.root(), Self::Store(StoreError::Unavailable(_)))
    }

    /// A field that is not allowed to be what it is.
    pub(crate) fn field(name: &'static str, problem: impl Into<Problem>) -> Self {
        Self::Field { name, problem: problem.into() }
    }

    /// What a failed call to a provider means when no connection is to blame.
    pub(crate) fn provider(service: &str, cause: OAuthError) -> Self {
        let service = service.to_owned();
        if is_passing(&cause) {
            let retry_after = cause.retry_after().unwrap_or(Duration::from_secs(5));
            Self::ProviderAway { service, cause, retry_after }
        } else {
            Self::ProviderRefused { service, cause }
        }
    }
}

impl From<EntropyError> for BrokerError {
    fn from(_: EntropyError) -> Self {
        Self::Internal("no random bytes")
    }
}

/// Whether the provider may well answer the next time.
pub(crate) const fn is_passing(error: &OAuthError) -> bool {
    matches!(error, OAuthError::RateLimited { .. } | OAuthError::Unavailable { .. })
}

fn in_field(field: Option<&'static str>) -> String {
    field.map(|name| format!("the field `{name}` is not allowed: ")).unwrap_or_default()
}

fn suggest(close: &[String]) -> String {
    if close.is_empty() { String::new() } else { format!("; did you mean {}?", close.join(", ")) }
}
