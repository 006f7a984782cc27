//! One service of the catalogue: the way to the consent, or a form for what a person brings.

use askama::Template;
use axum::response::Response;
use tokenry_broker::{
    AuthorizeNew, BeginDevice, BrokerError, Given, NewImport, Offer, ScopeOffer, SettingOffer, Way,
};
use tokenry_model::{ExposeSecret as _, SecretString, Values};

use super::error::PageError;
use super::extract::{Form, Path};
use super::frame::{Frame, Section};
use super::gate::{Visit, Who};
use super::markup::Markup;
use super::routes::Page;
use super::texts::Language;
use super::words::Said;
use super::{catalogue, device, leave};
use crate::logos::Sheet;

/// What the names of settings begin with in the form.
const SETTING: &str = "settings.";

pub(super) fn routes() -> Vec<Page> {
    vec![
        Page::get("/connect/{service}", Who::Person, look),
        Page::post("/connect/{service}", Who::Person, connect),
    ]
}

/// What a form sent, in its order. Some of it is secret, so all of it is kept as that.
#[derive(Default)]
pub(super) struct Sent(pub(super) Vec<(String, SecretString)>);

impl Sent {
    fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.expose_secret().trim())
    }

    /// As it was typed: a space may belong to it.
    fn secret(&self, name: &str) -> SecretString {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The name, if one was given.
    fn name(&self) -> Option<String> {
        Some(self.text("name").to_owned()).filter(|name| !name.is_empty())
    }

    /// The settings that were filled in.
    pub(super) fn settings(&self) -> Values {
        let filled = self.0.iter().filter_map(|(name, value)| {
            let value = value.expose_secret().trim();
            Some((name.strip_prefix(SETTING)?.to_owned(), value.to_owned())).filter(|_| !value.is_empty())
        });
        filled.collect()
    }

    /// The scopes that were chosen, if there was a choice.
    fn scopes(&self) -> Option<Vec<String>> {
        if self.text("chooses").is_empty() {
            return None;
        }
        let chosen = self.0.iter().filter(|(name, _)| name == "scope");
        let scopes = chosen.flat_map(|(_, value)| value.expose_secret().split_whitespace());
        Some(scopes.map(str::to_owned).collect())
    }
}

#[derive(Template)]
#[template(path = "service.html")]
struct ServicePage {
    frame: Frame,
    sheet: String,
    logo: String,
    id: String,
    name: String,
    /// The text of how it is connected, and the class of its badge.
    way: (&'static str, &'static str),
    is_consent: bool,
    /// Whether the operator has something to do first.
    is_closed: bool,
    /// Why no link leads there as things are, if none does.
    why: Option<String>,
    has_device_flow: bool,
    scopes: Vec<ScopeTick>,
    /// Scopes that were asked for and are none of those. `None`: nothing was chosen yet.
    other: Option<String>,
    bring: Bring,
    given_name: String,
    problem: Option<Markup>,
}

/// What the form asks a person for: `_bring.html` and `_bring_fields.html` show it.
pub(super) struct Bring {
    /// The service's name.
    pub(super) service: String,
    pub(super) settings: Vec<SettingField>,
    pub(super) secrets: Vec<SecretField>,
    pub(super) credential: Markup,
    pub(super) credential_url: Option<String>,
    pub(super) docs_url: Option<String>,
}

impl Bring {
    /// With the settings that were typed before. What is secret is typed again.
    pub(super) fn of(language: &Language, offer: &Offer, sent: &Sent) -> Self {
        let typed = |setting: &SettingOffer| SettingField {
            value: match sent.text(&format!("{SETTING}{}", setting.name)) {
                "" => setting.default.clone().unwrap_or_default(),
                typed => typed.to_owned(),
            },
            setting: setting.clone(),
        };
        // A pasted token has none.
        let settings = if is_closed(offer) { &[][..] } else { &offer.settings };
        Self {
            service: offer.name.clone(),
            settings: settings.iter().map(typed).collect(),
            secrets: secrets(language, offer),
            credential: language.foreign("credential", &offer.credential),
            credential_url: offer.credential_url.as_ref().and_then(outward),
            docs_url: offer.docs_url.as_ref().and_then(outward),
        }
    }
}

/// A setting, and what was typed for it before.
pub(super) struct SettingField {
    pub(super) setting: SettingOffer,
    pub(super) value: String,
}

/// A scope, and whether it is ticked.
struct ScopeTick {
    scope: ScopeOffer,
    is_ticked: bool,
}

/// What a person types or pastes.
pub(super) struct SecretField {
    pub(super) name: &'static str,
    pub(super) label: Markup,
    pub(super) is_needed: bool,
    pub(super) is_hidden: bool,
}

async fn offer_of(visit: &Visit, word: &str) -> Result<Offer, PageError> {
    visit.app.broker.find_offer(word).await?.ok_or(PageError::NotFound)
}

async fn look(visit: Visit, Path(word): Path<String>) -> Result<Response, PageError> {
    Ok(show(&visit, offer_of(&visit, &word).await?, &Sent::default(), None))
}

/// Whether the operator has something to do before a service can be connected.
const fn is_closed(offer: &Offer) -> bool {
    matches!(offer.way, Way::NotSetUp { .. } | Way::PasteOnly { .. })
}

fn show(visit: &Visit, offer: Offer, sent: &Sent, problem: Option<&Said>) -> Response {
    let mut sheet = Sheet::within(usize::MAX);
    let logo = sheet.logo(offer.id.as_str(), &offer.name).html();
    let why = match &offer.way {
        Way::PasteOnly { why } => Some(why.clone()),
        _ => None,
    };
    let bring = Bring::of(&visit.language, &offer, sent);
    let chosen = sent.scopes();
    let is_offered = |wanted: &String| offer.scopes.iter().any(|known| known.scope == *wanted);
    let other = chosen.as_ref().map(|chosen| {
        let other: Vec<&str> =
            chosen.iter().filter(|wanted| !is_offered(wanted)).map(String::as_str).collect();
        other.join(" ")
    });
    let tick = |scope: ScopeOffer| ScopeTick {
        is_ticked: chosen.as_ref().map_or(scope.is_default, |chosen| chosen.contains(&scope.scope)),
        scope,
    };
    let title = visit.language.say("connect-service-title", &[("service", &offer.name)]);
    let template = ServicePage {
        frame: visit.titled(title).at(Section::Connect),
        sheet: sheet.html(),
        logo,
        way: catalogue::way(&offer),
        is_consent: offer.way == Way::Consent,
        is_closed: is_closed(&offer),
        why,
        other,
        has_device_flow: offer.has_device_flow,
        id: offer.id.to_string(),
        name: offer.name,
        scopes: offer.scopes.into_iter().map(tick).collect(),
        bring,
        given_name: sent.text("name").to_owned(),
        problem: problem.map(|said| said.text.clone()),
    };
    Said::page(problem, &template)
}

/// An address that a page may lead to.
pub(super) fn outward(url: &url::Url) -> Option<String> {
    matches!(url.scheme(), "http" | "https").then(|| url.to_string())
}

/// The fields for what a person brings. What the service has a word of its own for is called by that.
fn secrets(language: &Language, offer: &Offer) -> Vec<SecretField> {
    let say = |key: &str| language.mark(key, &[]);
    let own = |word: &Option<String>, key: &str| match word {
        Some(word) => language.foreign("credential", word),
        None => say(key),
    };
    let field = |name, label, is_hidden| SecretField { name, label, is_needed: true, is_hidden };
    match &offer.way {
        Way::Consent => Vec::new(),
        Way::ApiKey => vec![field("api_key", language.foreign("credential", &offer.credential), true)],
        Way::Basic { user, password } => vec![
            field("username", own(user, "field-username"), false),
            // Some services have the key as the user, and no password.
            SecretField { is_needed: false, ..field("password", own(password, "field-password"), true) },
        ],
        Way::Client { has_operators } => vec![
            SecretField { is_needed: !has_operators, ..field("client_id", say("field-client-id"), false) },
            SecretField {
                is_needed: !has_operators,
                ..field("client_secret", say("field-client-secret"), true)
            },
        ],
        Way::NotSetUp { .. } | Way::PasteOnly { .. } => {
            vec![field("token", say("field-token"), true)]
        }
    }
}

/// What a field is called on the form for this service.
pub(super) fn label_of(language: &Language, offer: &Offer, name: &str) -> Option<Markup> {
    secrets(language, offer).into_iter().find(|field| field.name == name).map(|field| field.label)
}

/// Leaves for the consent, begins on another device, or stores what was brought.
async fn connect(
    visit: Visit,
    Path(word): Path<String>,
    Form(fields): Form<Vec<(String, SecretString)>>,
) -> Result<Response, PageError> {
    let offer = offer_of(&visit, &word).await?;
    let sent = Sent(fields);
    let done = match (&offer.way, sent.text("how")) {
        (Way::Consent, "device") if offer.has_device_flow => begin_device(&visit, &offer, &sent).await,
        (Way::Consent, _) => begin(&visit, &offer, &sent).await,
        _ => bring(&visit, &offer, &sent).await,
    };
    match done {
        Ok(response) => Ok(response),
        Err(error) if is_about_what_was_sent(&error) => {
            let said = Said::at(&visit.language, &error, &offer);
            Ok(show(&visit, offer, &sent, Some(&said)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the form is shown again with it.
pub(super) const fn is_about_what_was_sent(error: &BrokerError) -> bool {
    !matches!(
        error,
        BrokerError::Unauthenticated(_)
            | BrokerError::Store(_)
            | BrokerError::Vault(_)
            | BrokerError::Internal(_)
    )
}

async fn begin(visit: &Visit, offer: &Offer, sent: &Sent) -> Result<Response, BrokerError> {
    let claims = claims(visit)?;
    let new = AuthorizeNew {
        service: offer.id.to_string(),
        name: sent.name(),
        scopes: sent.scopes(),
        settings: sent.settings(),
    };
    let broker = &visit.app.broker;
    let link = broker.authorize_new(claims, claims.username(), new, Some(&visit.browser)).await?;
    Ok(leave(visit, &link.url, &offer.name))
}

async fn begin_device(visit: &Visit, offer: &Offer, sent: &Sent) -> Result<Response, BrokerError> {
    let claims = claims(visit)?;
    let new = BeginDevice {
        service: offer.id.to_string(),
        name: sent.name(),
        scopes: sent.scopes(),
        settings: sent.settings(),
    };
    let begun = visit.app.broker.begin_device(claims, claims.username(), new).await?;
    Ok(device::show_begun(visit, offer, &begun))
}

async fn bring(visit: &Visit, offer: &Offer, sent: &Sent) -> Result<Response, BrokerError> {
    let claims = claims(visit)?;
    let given = given(offer, sent);
    let new =
        NewImport { service: offer.id.to_string(), name: sent.name(), settings: sent.settings(), given };
    let imported = visit.app.broker.import_connection(claims, claims.username(), new).await?;
    Ok(visit.go(&format!("/connections/{}?done=connected", imported.detail.connection.id)))
}

/// What was brought along, of what the service takes.
pub(super) fn given(offer: &Offer, sent: &Sent) -> Given {
    match &offer.way {
        Way::ApiKey => Given::ApiKey { api_key: sent.secret("api_key") },
        Way::Basic { .. } => {
            Given::Basic { username: sent.secret("username"), password: sent.secret("password") }
        }
        Way::Client { has_operators } => {
            let id = sent.text("client_id").to_owned();
            let is_own = !id.is_empty() || !has_operators;
            Given::ClientCredentials {
                client: is_own.then(|| (id, sent.secret("client_secret"))),
                scopes: Vec::new(),
            }
        }
        Way::Consent | Way::NotSetUp { .. } | Way::PasteOnly { .. } => {
            Given::Plain { token: sent.secret("token") }
        }
    }
}

/// Who is signed in: the gate has let nobody else through.
fn claims(visit: &Visit) -> Result<&tokenry_broker::Claims, BrokerError> {
    visit.claims().map_err(|_| BrokerError::Internal("a page for people was shown to nobody"))
}
