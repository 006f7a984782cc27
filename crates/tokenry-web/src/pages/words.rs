//! What a page says of an error, in the reader's language. The API's sentences are English and stay what they are; where one of
//! them, or a provider's own words, say more than we do, they stand in it marked as that.

use std::fmt::Display;

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokenry_broker::{BrokerError, ConnectError, LinkError, Offer, Problem};

use super::markup::Markup;
use super::page;
use super::texts::Language;
use crate::error::ApiError;

/// What a page says of an error, and with which status.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) text: Markup,
    /// `Retry-After`.
    wait: Option<(HeaderName, HeaderValue)>,
}

impl Said {
    /// An error of a verb. What is ours to mend is logged here, as it is for the API.
    pub(super) fn of(language: &Language, error: &BrokerError) -> Self {
        Self::with(error, of_broker(language, error))
    }

    /// The same, of a form for a service: its fields are called what the service calls them.
    pub(super) fn at(language: &Language, error: &BrokerError, offer: &Offer) -> Self {
        let text = match error {
            BrokerError::Field { name, problem } => {
                let label = super::service::label_of(language, offer, name);
                of_field(language, &label.unwrap_or_else(|| label_of(language, name)), problem)
            }
            BrokerError::Setting { name, problem } => {
                let setting = offer.settings.iter().find(|setting| setting.name == *name);
                let title = setting.map(|setting| language.foreign("setting-title", &setting.title));
                of_setting(language, &title.unwrap_or_else(|| Markup::name(name)), problem)
            }
            other => of_broker(language, other),
        };
        Self::with(error, text)
    }

    fn with(error: &BrokerError, text: Markup) -> Self {
        let mut told = ApiError::from(error);
        let wait = told.take_header().filter(|(name, _)| *name == header::RETRY_AFTER);
        // A page has no access token to ask for.
        let status = match told.status() {
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            other => other,
        };
        Self { status, text, wait }
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

/// What somebody else said, in their words.
fn quote(text: impl Display) -> Markup {
    Markup::quote(&text.to_string())
}

/// The words for a verb that was not done.
pub(super) fn of_broker(language: &Language, error: &BrokerError) -> Markup {
    let say = |key: &str| language.mark(key, &[]);
    let at = |key: &str, service: &str| language.mark(key, &[("service", &Markup::name(service))]);
    let because = |key: &str, service: &str, name: &str, words: Markup| {
        language.mark(key, &[("service", &Markup::name(service)), (name, &words)])
    };
    let number = |key: &str, name: &str, number: u64| language.mark(key, &[(name, &Markup::text(number))]);
    match error.root() {
        BrokerError::Unauthenticated(_) => say("error-signed-out"),
        BrokerError::WrongLogin => say("error-wrong-login"),
        BrokerError::Forbidden | BrokerError::NoSuchConnection => say("error-no-such-connection"),
        BrokerError::SignupClosed => say("error-signup-closed"),
        BrokerError::Field { name, problem } => of_field(language, &label_of(language, name), problem),
        BrokerError::Setting { name, problem } => of_setting(language, &Markup::name(name), problem),
        BrokerError::CredentialRefused { service, cause } => {
            because("error-credential-refused", service, "cause", quote(cause))
        }
        BrokerError::SettingsRequired { service, settings } => {
            because("error-settings-required", service, "settings", quote(settings.join(", ")))
        }
        BrokerError::DeviceFlowNotSupported { service } => at("error-no-device-flow", service),
        BrokerError::NoSuchDeviceFlow => say("error-no-such-device-flow"),
        BrokerError::NoSuchLink => say("error-no-such-link"),
        BrokerError::NoHeader { service, what } => because("error-no-header", service, "what", quote(what)),
        BrokerError::UnknownService { word, .. } => at("error-unknown-service", word),
        BrokerError::UsernameTaken => say("error-username-taken"),
        BrokerError::TooManyAttempts { retry_after } => {
            number("error-too-many-attempts", "seconds", retry_after.as_secs().max(1))
        }
        BrokerError::TooManyConnections { most } => {
            number("error-too-many-connections", "most", most.unsigned_abs())
        }
        BrokerError::Busy => say("error-busy"),
        BrokerError::AuditBehind => say("error-audit-behind"),
        BrokerError::ReconnectRequired { reason } => {
            language.mark("error-reconnect-required", &[("reason", &quote(reason))])
        }
        BrokerError::HandedOver { reason } => {
            language.mark("error-handed-over", &[("reason", &quote(reason))])
        }
        BrokerError::ProviderNotConfigured { service, .. } => at("error-not-set-up", service),
        BrokerError::ProviderNotSupported { service, why } => {
            because("error-not-supported", service, "why", quote(why))
        }
        BrokerError::ProviderGone { service } => at("error-service-gone", service),
        BrokerError::ProviderRefused { service, cause } => {
            because("error-provider-refused", service, "cause", quote(cause))
        }
        BrokerError::ProviderAway { service, retry_after, .. } => {
            because("error-provider-away", service, "seconds", Markup::text(retry_after.as_secs().max(1)))
        }
        BrokerError::OperatorOnly => say("error-operator-only"),
        BrokerError::NoSuchUser => say("error-no-such-user"),
        BrokerError::SetupLinkEnded => say("setup-ended"),
        BrokerError::Keys { why } => language.mark("error-keys", &[("why", &quote(why))]),
        BrokerError::Store(_) if error.is_database_away() => say("error-database-away"),
        BrokerError::Store(_)
        | BrokerError::Vault(_)
        | BrokerError::Internal(_)
        // `root` has taken the wrapping off.
        | BrokerError::Shared(_) => say("error-internal"),
    }
}

/// The key of the title for a verb that was not done, and of what to do next.
pub(super) fn title_of(error: &BrokerError, status: StatusCode) -> &'static str {
    match error.root() {
        BrokerError::ProviderAway { .. } => "provider-away",
        BrokerError::ProviderRefused { .. } => "provider-refused",
        _ if status.is_server_error() => "problem-here",
        _ => "problem",
    }
}

/// The words for a connect that did not end well.
pub(super) fn of_connect(language: &Language, error: &ConnectError) -> Markup {
    let say = |key: &str| language.mark(key, &[]);
    let mark = |key: &str, service: &str, more: &[(&str, &Markup)]| {
        language.mark(key, &[&[("service", &Markup::name(service))], more].concat())
    };
    match error {
        ConnectError::UnknownState => say("link-unknown"),
        ConnectError::UsedState => say("link-used"),
        ConnectError::ExpiredState => say("link-expired"),
        ConnectError::LinkEnded => say("link-ended"),
        ConnectError::WrongCallback => say("wrong-callback"),
        ConnectError::Declined { service } => mark("declined", service, &[]),
        ConnectError::Provider { service, error: cause } if error.is_provider_away() => {
            mark("provider-away", service, &[("cause", &quote(cause))])
        }
        ConnectError::Exchange { service, cause } if error.is_provider_away() => {
            mark("provider-away", service, &[("cause", &quote(cause))])
        }
        ConnectError::Provider { service, error } => {
            mark("not-completed-error", service, &[("error", &quote(error))])
        }
        ConnectError::Exchange { service, cause } => {
            mark("not-completed", service, &[("cause", &quote(cause))])
        }
        ConnectError::WrongAccount { service, expected, got: Some(got) } => {
            let (expected, got) = (Markup::name(expected), Markup::name(got));
            mark("wrong-account", service, &[("expected", &expected), ("got", &got)])
        }
        ConnectError::WrongAccount { service, expected, got: None } => {
            mark("wrong-account-unsaid", service, &[("expected", &Markup::name(expected))])
        }
        ConnectError::ConnectedElsewhere { service, account, connection } => {
            let (account, connection) = (Markup::name(account), Markup::name(connection));
            mark("wrong-account-connected", service, &[("account", &account), ("connection", &connection)])
        }
        ConnectError::Broker(error) => of_broker(language, error),
    }
}

/// The words for a connect link that cannot be used.
pub(super) fn of_link(language: &Language, error: &LinkError) -> Markup {
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
    language.mark(key, &[])
}

fn of_setting(language: &Language, field: &Markup, problem: &str) -> Markup {
    language.mark("error-setting", &[("field", field), ("problem", &quote(problem))])
}

/// What a field is called on our own forms.
fn label_of(language: &Language, name: &str) -> Markup {
    let key = match name {
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
        _ => return Markup::name(name),
    };
    language.mark(key, &[])
}

/// The words for a field that is not as it must be.
fn of_field(language: &Language, field: &Markup, problem: &Problem) -> Markup {
    let say = |key: &str| language.mark(key, &[("field", field)]);
    let number = |key: &str, name: &str, number: usize| {
        language.mark(key, &[("field", field), (name, &Markup::text(number))])
    };
    match problem {
        Problem::Empty => say("problem-empty"),
        Problem::TooLong(most) => number("problem-too-long", "most", *most),
        Problem::Nul => say("problem-nul"),
        Problem::NotVisible => say("problem-not-visible"),
        Problem::Scopes => say("problem-scopes"),
        Problem::Name(_) => say("problem-name"),
        Problem::Username(_) => say("problem-username"),
        Problem::Reserved => say("problem-reserved"),
        Problem::Email(_) => say("problem-email"),
        Problem::Password(_) => say("problem-password"),
        Problem::NotYourPassword => say("problem-not-your-password"),
        Problem::ShortPassphrase(least) => number("problem-short-passphrase", "least", *least),
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
        Problem::Said(said) => language.mark("problem-said", &[("field", field), ("said", &quote(said))]),
    }
}
