//! What a page says of an error, in the reader's language. The API's sentences are English and stay what they are.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokenry_broker::{BrokerError, ConnectError, LinkError, Problem};

use super::page;
use super::texts::Language;
use crate::error::ApiError;

/// What a page says of an error, and with which status.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) text: String,
    /// `Retry-After`.
    wait: Option<(HeaderName, HeaderValue)>,
}

impl Said {
    /// An error of a verb. What is ours to mend is logged here, as it is for the API.
    pub(super) fn of(language: &Language, error: &BrokerError) -> Self {
        let mut told = ApiError::from(error);
        let wait = told.take_header().filter(|(name, _)| *name == header::RETRY_AFTER);
        // A page has no access token to ask for.
        let status = match told.status() {
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            other => other,
        };
        Self { status, text: of_broker(language, error), wait }
    }

    /// Tells the browser how long to wait, if that was said.
    pub(super) fn wait(&self, mut response: Response) -> Response {
        if let Some((name, value)) = &self.wait {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    /// The page of a form, or the same again with what was wrong.
    pub(super) fn page(said: Option<&Self>, template: &impl Template) -> Response {
        match said {
            Some(said) => said.wait(page(said.status, template)),
            None => page(StatusCode::OK, template),
        }
    }
}

/// The words for a verb that was not done.
pub(super) fn of_broker(language: &Language, error: &BrokerError) -> String {
    let say = |key: &str| language.say(key, &[]);
    let of_service = |key: &str, service: &str| language.say(key, &[("service", &service)]);
    match error.root() {
        BrokerError::Unauthenticated(_) => say("error-signed-out"),
        BrokerError::WrongLogin => say("error-wrong-login"),
        BrokerError::Forbidden | BrokerError::NoSuchConnection => say("error-no-such-connection"),
        BrokerError::SignupClosed => say("error-signup-closed"),
        BrokerError::Field { name, problem } => of_field(language, name, problem),
        BrokerError::Setting { name, problem } => {
            language.say("error-setting", &[("name", name), ("problem", problem)])
        }
        BrokerError::CredentialRefused { service, cause } => {
            language.say("error-credential-refused", &[("service", service), ("cause", cause)])
        }
        BrokerError::SettingsRequired { service, settings } => {
            language.say("error-settings-required", &[("service", service), ("settings", &settings.join(", "))])
        }
        BrokerError::DeviceFlowNotSupported { service } => of_service("error-no-device-flow", service),
        BrokerError::NoSuchDeviceFlow => say("error-no-such-device-flow"),
        BrokerError::NoSuchLink => say("error-no-such-link"),
        BrokerError::NoHeader { service, what } => {
            language.say("error-no-header", &[("service", service), ("what", what)])
        }
        BrokerError::UnknownService { word, .. } => of_service("error-unknown-service", word),
        BrokerError::UsernameTaken => say("error-username-taken"),
        BrokerError::TooManyAttempts { retry_after } => {
            language.say("error-too-many-attempts", &[("seconds", &retry_after.as_secs().max(1))])
        }
        BrokerError::TooManyConnections { most } => {
            language.say("error-too-many-connections", &[("most", most)])
        }
        BrokerError::Busy => say("error-busy"),
        BrokerError::AuditBehind => say("error-audit-behind"),
        BrokerError::ReconnectRequired { reason } => {
            language.say("error-reconnect-required", &[("reason", reason)])
        }
        BrokerError::HandedOver { reason } => language.say("error-handed-over", &[("reason", reason)]),
        BrokerError::ProviderNotConfigured { service, .. } => of_service("error-not-set-up", service),
        BrokerError::ProviderNotSupported { service, why } => {
            language.say("error-not-supported", &[("service", service), ("why", why)])
        }
        BrokerError::ProviderGone { service } => of_service("error-service-gone", service),
        BrokerError::ProviderRefused { service, cause } => {
            language.say("error-provider-refused", &[("service", service), ("cause", cause)])
        }
        BrokerError::ProviderAway { service, retry_after, .. } => language.say(
            "error-provider-away",
            &[("service", service), ("seconds", &retry_after.as_secs().max(1))],
        ),
        BrokerError::OperatorOnly => say("error-operator-only"),
        BrokerError::NoSuchUser => say("error-no-such-user"),
        BrokerError::SetupLinkEnded => say("setup-ended"),
        BrokerError::Keys { why } => language.say("error-keys", &[("why", why)]),
        BrokerError::Store(_) if error.is_database_away() => say("error-database-away"),
        BrokerError::Store(_)
        | BrokerError::Vault(_)
        | BrokerError::Internal(_)
        // `root` has taken the wrapping off.
        | BrokerError::Shared(_) => say("error-internal"),
    }
}

/// The words for a connect that did not end well.
pub(super) fn of_connect(language: &Language, error: &ConnectError) -> String {
    let say = |key: &str| language.say(key, &[]);
    match error {
        ConnectError::UnknownState => say("link-unknown"),
        ConnectError::UsedState => say("link-used"),
        ConnectError::ExpiredState => say("link-expired"),
        ConnectError::LinkEnded => say("link-ended"),
        ConnectError::WrongCallback => say("wrong-callback"),
        ConnectError::Declined { service } => language.say("declined", &[("service", service)]),
        ConnectError::Provider { service, error: cause } if error.is_provider_away() => {
            language.say("provider-away", &[("service", service), ("cause", cause)])
        }
        ConnectError::Exchange { service, cause } if error.is_provider_away() => {
            language.say("provider-away", &[("service", service), ("cause", cause)])
        }
        ConnectError::Provider { service, error } => {
            language.say("not-completed-error", &[("service", service), ("error", error)])
        }
        ConnectError::Exchange { service, cause } => {
            language.say("not-completed", &[("service", service), ("cause", cause)])
        }
        ConnectError::WrongAccount { service, expected, got: Some(got) } => {
            language.say("wrong-account", &[("service", service), ("expected", expected), ("got", got)])
        }
        ConnectError::WrongAccount { service, expected, got: None } => {
            language.say("wrong-account-unsaid", &[("service", service), ("expected", expected)])
        }
        ConnectError::ConnectedElsewhere { service, account, connection } => language.say(
            "wrong-account-connected",
            &[("service", service), ("account", account), ("connection", connection)],
        ),
        ConnectError::Broker(error) => of_broker(language, error),
    }
}

/// The words for a connect link that cannot be used.
pub(super) fn of_link(language: &Language, error: &LinkError) -> String {
    let key = match error {
        LinkError::Unknown => "link-unknown",
        LinkError::Expired => "link-expired",
        LinkError::Used => "link-used",
        LinkError::Finishing => "link-finishing",
        LinkError::Ended => "link-ended",
        LinkError::Elsewhere => "link-elsewhere",
        LinkError::OtherService => "link-other-service",
        LinkError::Stranger => "link-anothers",
        LinkError::Broker(error) => return of_broker(language, error),
    };
    language.say(key, &[])
}

/// The words for a field that is not as it must be.
fn of_field(language: &Language, name: &str, problem: &Problem) -> String {
    let field = match name {
        "username" => "field-username",
        "email" => "field-email",
        "password" => "field-password",
        "new_password" => "account-new",
        "current_password" => "account-current",
        "passphrase" => "account-passphrase",
        "name" => "connection-name",
        "client_id" => "field-client-id",
        "client_secret" => "field-client-secret",
        "token" => "field-token",
        "api_key" => "field-api-key",
        "scopes" => "scopes-other",
        "user" => "events-user",
        "role" => "field-role",
        _ => "",
    };
    let field = if field.is_empty() { name.to_owned() } else { language.say(field, &[]) };
    let say = |key: &str| language.say(key, &[("field", &field)]);
    match problem {
        Problem::Empty => say("problem-empty"),
        Problem::TooLong(most) => language.say("problem-too-long", &[("field", &field), ("most", most)]),
        Problem::Nul => say("problem-nul"),
        Problem::NotVisible => say("problem-not-visible"),
        Problem::Scopes => say("problem-scopes"),
        Problem::Name(_) => say("problem-name"),
        Problem::Username(_) => say("problem-username"),
        Problem::Reserved => say("problem-reserved"),
        Problem::Email(_) => say("problem-email"),
        Problem::Password(_) => say("problem-password"),
        Problem::NotYourPassword => say("problem-not-your-password"),
        Problem::ShortPassphrase(least) => {
            language.say("problem-short-passphrase", &[("field", &field), ("least", least)])
        }
        Problem::NothingAtAll => say("problem-nothing-at-all"),
        Problem::Colon => say("problem-colon"),
        Problem::OwnClient => say("problem-own-client"),
        Problem::ClientId => say("problem-client-id"),
        Problem::ClientSecret => say("problem-client-secret"),
        Problem::OtherSecret => say("problem-other-secret"),
        Problem::NoClient => say("problem-no-client"),
        Problem::Configured => say("problem-configured"),
        Problem::Nobody => say("problem-nobody"),
        Problem::LastOperator => say("problem-last-operator"),
        // No form of ours can be filled in like that.
        Problem::Said(said) => language.say("problem-said", &[("field", &field), ("said", said)]),
    }
}
