//! Connecting an account: the link, the way back, and the browser it must come back in.

mod callback;
mod give_back;
mod keep;
mod link;
mod parked;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokenry_model::{
    Action, AuditOutcome, ConnectionId, CredentialKind, ExposeSecret as _, Flow, Origin, ProviderId, Scopes,
    SecretString, StateHash, Timestamp, UserId,
};
use tokenry_oauth::OAuthError;
use tokenry_store::StoreError;
use tokenry_vault::{Context, FlowField};
use tracing::Instrument as _;
use url::Url;
use zeroize::Zeroizing;

pub(crate) use self::callback::oauth1_credential;
pub(crate) use self::keep::Place;
pub(crate) use self::link::Beginning;
pub use self::link::{AuthorizeConnection, AuthorizeNew};
use crate::audit::{Note, reason_of_connect};
use crate::boot::Broker;
use crate::error::{BrokerError, is_passing};
use crate::links::LinkEnd;

/// How long a link is good, and how long a grant waits for its owner to sign in.
pub(crate) const FLOW_TTL: Duration = Duration::from_mins(10);

/// A link at which a person connects an account.
#[derive(Debug)]
pub struct ConnectLink {
    /// The service, as it was asked for.
    pub service: String,
    /// Where to send the person.
    pub url: Url,
    /// The cookie that marks the browser which asked.
    pub browser: SecretString,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// What a browser brings back from a provider.
#[derive(Debug, Default)]
pub struct Callback {
    /// The `state` parameter.
    pub state: Option<String>,
    /// The `code` parameter.
    pub code: Option<SecretString>,
    /// The `error` parameter (RFC 6749 §4.1.2.1).
    pub error: Option<String>,
    /// The `iss` parameter (RFC 9207).
    pub issuer: Option<String>,
    /// The provider named by the callback's own path; `None` on the shared one.
    pub provider: Option<String>,
    /// What else came, each at most once. Some providers send the code under another name.
    pub others: BTreeMap<String, SecretString>,
}

/// Who the browser is that comes back.
#[derive(Debug, Default)]
pub struct Claimant {
    /// The cookie that marks the browser.
    pub browser: Option<SecretString>,
    /// The cookie of the session it is signed in with.
    pub session: Option<SecretString>,
    /// Where it came from.
    pub from: Origin,
}

/// A connect that ended well.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// The service, by its id.
    pub provider: ProviderId,
    /// The service's name.
    pub service: String,
    /// The account at the service, in a word the person knows.
    pub account: Option<String>,
    /// What kind of credential it has.
    pub kind: CredentialKind,
    /// What was granted.
    pub granted: Scopes,
    /// What was asked for and not granted.
    pub missing: Scopes,
    /// When it must be connected again if nothing happens meanwhile.
    pub reconnect_by: Option<Timestamp>,
    /// Whose connection it is.
    pub username: String,
    /// Whether an existing connection was renewed.
    pub renewed: bool,
    /// How that ended the connect link that it was begun with.
    pub link: Option<Box<LinkEnd>>,
}

/// A grant that waits for its owner to sign in.
#[derive(Debug)]
pub struct ParkedConnect {
    /// The service's name.
    pub service: String,
    /// The account at the service that would be connected.
    pub account: Option<String>,
    /// The Tokenry user that would get it.
    pub username: String,
    /// Names the grant in the form.
    pub handle: SecretString,
    /// The cookie that ties the form to this browser.
    pub browser: SecretString,
}

/// How a callback ended.
#[derive(Debug)]
pub struct Completed {
    /// What came of it.
    pub outcome: Result<CallbackOutcome, ConnectError>,
    /// How that ended the connect link that it was begun with.
    pub link: Option<LinkEnd>,
}

/// How a callback ended that did not fail.
#[derive(Debug)]
pub enum CallbackOutcome {
    /// The connection is stored.
    Connected(Box<Connected>),
    /// Another browser asked: the owner must sign in here first.
    Confirm(ParkedConnect),
}

/// Why a connect did not end well. The display text is for the person in front of the browser.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No state, or one that is not ours.
    #[error("this link is not one of ours, or it is so old that it is forgotten")]
    UnknownState,
    /// The state was spent before.
    #[error("this link was used before, and each can be used only once")]
    UsedState,
    /// The state is too old.
    #[error("this link has expired: it was good for ten minutes")]
    ExpiredState,
    /// The answer came to the callback of another provider (RFC 9700 §4.4).
    #[error("the answer came back at the wrong address, so it was not used")]
    WrongCallback,
    /// The person said no.
    #[error("{service} was not connected, because the request was declined there")]
    Declined {
        /// The service's name.
        service: String,
    },
    /// The provider sent an error instead of a code.
    #[error("{service} answered with an error: {error}")]
    Provider {
        /// The service's name.
        service: String,
        /// Its error code, sanitised.
        error: String,
    },
    /// The code could not be exchanged.
    #[error("{service} did not complete the connection: {cause}")]
    Exchange {
        /// The service's name.
        service: String,
        /// Why.
        cause: OAuthError,
    },
    /// Another account came back than the one whose connection was to be renewed.
    #[error(
        "the wrong account: this connection is for {expected}, and {}",
        got.as_ref().map_or_else(
            || format!("{service} did not say whose account was connected"),
            |got| format!("{got} was connected at {service}")
        )
    )]
    WrongAccount {
        /// The service's name.
        service: String,
        /// The account of the connection.
        expected: String,
        /// The account that came back, if the service said.
        got: Option<String>,
    },
    /// The account that came back has a connection of its own, which is not the one that was to be renewed.
    #[error("the wrong account: {account} at {service} is connected already, as connection {connection}")]
    ConnectedElsewhere {
        /// The service's name.
        service: String,
        /// The account that came back.
        account: String,
        /// Its connection.
        connection: ConnectionId,
    },
    /// The connect link that it was begun with ended with its owner's sessions.
    #[error("whoever made this link has signed out since, and their links ended with that")]
    LinkEnded,
    /// It failed on our side, or the person may not.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl ConnectError {
    /// Whether the provider may well complete it the next time: it did not answer, or said itself that it cannot just now
    /// (RFC 6749 §4.1.2.1).
    pub fn is_provider_away(&self) -> bool {
        match self {
            Self::Provider { error, .. } => error == "temporarily_unavailable",
            Self::Exchange { cause, .. } => is_passing(cause),
            _ => false,
        }
    }
}

impl From<StoreError> for ConnectError {
    fn from(error: StoreError) -> Self {
        Self::Broker(error.into())
    }
}

/// What a flow keeps sealed: for a code, the PKCE verifier and the nonce; for OAuth 1.0a, the temporary token and its secret;
/// for a device, its code.
#[derive(Default, Serialize)]
pub(crate) struct SecretsOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verifier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_code: Option<&'a str>,
}

/// What [`SecretsOut`] wrote.
#[derive(Deserialize)]
pub(crate) struct SecretsIn {
    pub(crate) verifier: Option<SecretString>,
    pub(crate) nonce: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) token_secret: Option<SecretString>,
    pub(crate) device_code: Option<SecretString>,
}

impl Broker {
    pub(crate) fn seal_flow_secrets(
        &self,
        user: UserId,
        state: &StateHash,
        secrets: &SecretsOut<'_>,
    ) -> Result<tokenry_model::Sealed, BrokerError> {
        let secrets = Zeroizing::new(
            serde_json::to_vec(secrets)
                .map_err(|_| BrokerError::Internal("a flow could not be written down"))?,
        );
        let context = Context::Flow { user, state, field: FlowField::Secrets };
        Ok(self.vault.seal(&context, &secrets)?)
    }

    pub(crate) async fn open_flow_secrets(&self, flow: &Flow) -> Result<SecretsIn, BrokerError> {
        let context =
            Context::Flow { user: flow.user_id, state: &flow.state_hash, field: FlowField::Secrets };
        let opened = self.opened(|vault| vault.open(&context, &flow.secrets)).await?;
        serde_json::from_slice(opened.expose_secret())
            .map_err(|_| BrokerError::Internal("a flow cannot be read"))
    }

    /// Notes how a connect ended, and gives that on.
    pub(crate) async fn noted_connect(
        &self,
        mut note: Note,
        ended: Result<Connected, ConnectError>,
    ) -> Result<Connected, ConnectError> {
        match &ended {
            Ok(connected) => {
                note.connection = Some(connected.id);
                if connected.renewed {
                    note.action = Action::Reconnect;
                }
                self.note_act(note).await;
            }
            Err(error) => self.note_failed_connect(note, error),
        }
        ended
    }

    pub(crate) fn note_failed_connect(&self, note: Note, error: &ConnectError) {
        if let Some((outcome, reason)) = reason_of_connect(error) {
            self.note_passing(note, outcome, Some(reason));
        }
    }

    pub(crate) fn note_parked(&self, note: Note, action: Action) {
        self.note_passing(Note { action, ..note }, AuditOutcome::Ok, None);
    }

    /// Forgets what a user began and nobody came back from, the oldest first, beyond what a user may have.
    pub(crate) async fn forget_oldest_flows(&self, newest: &Flow) -> Result<(), BrokerError> {
        let (user, most) = (newest.user_id, self.settings.quotas.flows);
        if most > 0 {
            let forgotten = self.store.delete_oldest_flows(user, &newest.state_hash, most).await?;
            if forgotten > 0 {
                tracing::info!(%user, forgotten, "the oldest connects were forgotten: there may not be more under way");
            }
        }
        Ok(())
    }

    /// Runs to its end in a task of its own: whoever hangs up between the exchange and the row must not cost
    /// the person the grant.
    pub(crate) async fn untorn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ConnectError>> + Send + 'static,
    ) -> Result<T, ConnectError> {
        self.tasks
            .spawn(work.in_current_span())
            .await
            .map_err(|_| BrokerError::Internal("a connect ended without an outcome"))?
    }
}
