//! The services: which are set up, and the form that sets one up. A secret goes in here and never comes out.

use askama::Template;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Form, Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokenry_broker::{
    BrokerError, Kind, ProbeOutcome, Readiness, ServiceCheck, ServiceDetail, ServiceLine, SetClient, SetUp,
    Verdict,
};
use tokenry_model::{SecretString, Timestamp};

use super::settings::{Row, row};
use super::{frame, query, read};
use crate::logos::Sheet;
use crate::pages::catalogue::categories;
use crate::pages::error::PageError;
use crate::pages::frame::{Frame, Section};
use crate::pages::gate::{Visit, Who};
use crate::pages::markup::Markup;
use crate::pages::page;
use crate::pages::routes::Page;
use crate::pages::texts::Language;
use crate::pages::words::Said;

/// How many services a page lists.
const PAGE: usize = 48;

pub(super) fn routes() -> Vec<Page> {
    vec![
        Page::get("/operator/services", Who::Operator, list),
        Page::get("/operator/services/{id}", Who::Operator, look),
        Page::post("/operator/services/{id}", Who::Operator, save),
        Page::post("/operator/services/{id}/test", Who::Operator, test),
        Page::post("/operator/services/{id}/remove", Who::Operator, remove),
    ]
}

#[derive(Template)]
#[template(path = "operator_services.html")]
struct ServicesPage {
    frame: Frame,
    tab: &'static str,
    q: String,
    show: String,
    services: Vec<Line>,
    /// The drawings of the logos.
    sheet: String,
    next: Option<String>,
    /// How many there are of each sort, whatever was searched for.
    set_up: usize,
    all: usize,
}

/// A service in the list.
struct Line {
    id: String,
    name: String,
    logo: String,
    about: String,
    /// The key of its state, and how it looks.
    state: &'static str,
    look: &'static str,
}

/// What cannot be read asks for nothing.
type Asking = Result<Query<Asked>, QueryRejection>;

#[derive(Deserialize, Default)]
struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    show: String,
    #[serde(default)]
    page: usize,
}

async fn list(visit: Visit, asked: Asking) -> Result<Response, PageError> {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let lines = visit.app.broker.list_services(visit.claims()?).await?;
    let q: String = asked.q.trim().chars().take(64).collect();
    let (all, set_up) = (lines.len(), lines.iter().filter(|line| line.set_up != SetUp::Nobody).count());
    let wanted = |line: &ServiceLine| {
        let word = q.to_lowercase();
        let words = [line.provider.id.as_str(), &line.provider.name.to_lowercase()].concat();
        let aliases = line.provider.aliases.iter().chain(line.provider.categories());
        let is_named = words.contains(&word) || aliases.into_iter().any(|alias| alias.contains(&word));
        let can_be_set_up = matches!(line.provider.kind(), Kind::Oauth2 | Kind::Oauth1);
        let is_shown = match asked.show.as_str() {
            "set-up" => line.set_up != SetUp::Nobody,
            "not-set-up" => line.set_up == SetUp::Nobody && can_be_set_up,
            _ => true,
        };
        is_named && is_shown
    };
    let mut services: Vec<_> = lines.iter().filter(|line| wanted(line)).collect();
    // What is set up comes first.
    services.sort_by_key(|line| line.set_up == SetUp::Nobody);
    let first = asked.page.saturating_mul(PAGE);
    let next = (services.len() > first.saturating_add(PAGE)).then(|| {
        let number = asked.page.saturating_add(1).to_string();
        query(&[("q", &q), ("show", &asked.show), ("page", &number)])
    });
    let mut sheet = Sheet::within(usize::MAX);
    let services = services.into_iter().skip(first).take(PAGE);
    let services: Vec<_> = services.map(|line| line_of(&visit.language, line, &mut sheet)).collect();
    let template = ServicesPage {
        frame: frame(&visit, "services-title"),
        tab: "services",
        q,
        show: asked.show,
        services,
        sheet: sheet.html(),
        next,
        set_up,
        all,
    };
    Ok(page(StatusCode::OK, &template))
}

fn line_of(language: &Language, line: &ServiceLine, sheet: &mut Sheet) -> Line {
    let (state, look) = state_of(&line.set_up, &line.readiness, line.provider.kind());
    Line {
        id: line.provider.id.to_string(),
        name: line.provider.name.clone(),
        logo: sheet.logo(line.provider.id.as_str(), &line.provider.name).html(),
        about: categories(language, line.provider.categories()),
        state,
        look,
    }
}

/// The key of what is said of a service, and how it looks.
fn state_of(set_up: &SetUp, readiness: &Readiness, kind: Kind) -> (&'static str, &'static str) {
    match (set_up, readiness) {
        _ if !matches!(kind, Kind::Oauth2 | Kind::Oauth1) => ("operated-state-pasted", ""),
        (_, Readiness::NotSupported { .. }) => ("operated-state-unsupported", "warn"),
        (SetUp::Nobody, _) => ("operated-state-none", ""),
        (_, Readiness::Missing { .. }) => ("operated-state-incomplete", "warn"),
        (SetUp::Configuration, _) => ("operated-state-configured", "good"),
        (SetUp::Page, _) => ("operated-state-page", "good"),
    }
}

#[derive(Template)]
#[template(path = "operator_service.html")]
struct ServicePage {
    frame: Frame,
    tab: &'static str,
    id: String,
    name: String,
    state: &'static str,
    look: &'static str,
    /// Whether there is a client to be set up.
    takes_client: bool,
    /// The configuration has a client, and wins.
    is_configured: bool,
    is_kept: bool,
    redirect_uri: String,
    /// What is to be known about the redirect URI.
    redirect_notes: Vec<String>,
    docs_url: Option<String>,
    client_id: String,
    secret_at: Option<Timestamp>,
    changed: Option<(Timestamp, Option<String>)>,
    people: i64,
    /// What is missing besides, and only the configuration can say.
    missing: Vec<String>,
    why_not: Option<Markup>,
    configured: Vec<Row>,
    fault: Option<(String, Timestamp)>,
    check: Option<Check>,
    problem: Option<Markup>,
    problem_at: &'static str,
}

/// What a check found.
struct Check {
    verdict: &'static str,
    look: &'static str,
    lines: Vec<CheckLine>,
}

struct CheckLine {
    what: &'static str,
    url: String,
    look: &'static str,
    said: Markup,
}

/// What a form that was refused held, without its secret.
struct Refused {
    client_id: String,
    at: &'static str,
    said: Said,
}

fn show(
    visit: &Visit,
    detail: &ServiceDetail,
    check: Option<&ServiceCheck>,
    refused: Option<Refused>,
) -> Response {
    let provider = &detail.provider;
    let (state, look) = state_of(&detail.set_up, &detail.readiness, provider.kind());
    let of_page = ["client_id", "client_secret"];
    let (missing, why_not) = match &detail.readiness {
        Readiness::Missing { what, .. } => {
            let besides = what.iter().filter(|what| !of_page.contains(what));
            (besides.map(|what| format!("providers.{}.{what}", provider.id)).collect(), None)
        }
        Readiness::NotSupported { why, .. } => (Vec::new(), Some(Markup::quote(why))),
        _ => (Vec::new(), None),
    };
    let status = refused.as_ref().map_or(StatusCode::OK, |refused| refused.said.status);
    let (client_id, problem_at, problem) = match refused {
        Some(Refused { client_id, at, said }) => (client_id, at, Some(said.text)),
        None => (detail.client_id.clone().unwrap_or_default(), "", None),
    };
    let name = provider.name.clone();
    let template = ServicePage {
        frame: visit
            .titled(visit.language.say("operated-title", &[("service", &name)]))
            .at(Section::Operator),
        tab: "services",
        id: provider.id.to_string(),
        state,
        look,
        takes_client: matches!(provider.kind(), Kind::Oauth2 | Kind::Oauth1),
        is_configured: detail.set_up == SetUp::Configuration,
        is_kept: detail.client_id.is_some(),
        redirect_uri: detail.redirect_uri.to_string(),
        redirect_notes: redirect_notes(&visit.language, detail),
        docs_url: provider.docs_url().map(ToString::to_string),
        client_id,
        secret_at: detail.secret_at,
        changed: detail.changed.clone(),
        people: detail.people,
        missing,
        why_not,
        configured: detail.configured.iter().map(|configured| row(&visit.language, configured)).collect(),
        fault: detail.health.fault.clone(),
        check: check.map(|check| checked(&visit.language, check)),
        problem,
        problem_at,
        name,
    };
    page(status, &template)
}

fn redirect_notes(language: &Language, detail: &ServiceDetail) -> Vec<String> {
    let provider = &detail.provider;
    let is_https = detail.redirect_uri.scheme() == "https";
    [
        (provider.redirect_refuses_localhost(), "operated-redirect-localhost"),
        (provider.redirect_must_be_https() && !is_https, "operated-redirect-https"),
        (provider.redirect_has_a_name(), "operated-redirect-name"),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, key)| language.say(key, &[("id", &provider.id)]))
    .collect()
}

fn checked(language: &Language, check: &ServiceCheck) -> Check {
    let (verdict, look) = match check.verdict() {
        Verdict::Ready => ("check-ready", "good"),
        Verdict::NotReady => ("check-not-ready", "warn"),
        Verdict::EndpointAway => ("check-away", "bad"),
        Verdict::Refused => ("check-refused", "bad"),
    };
    let lines = check.probes.iter().map(|probe| {
        let (look, said) = match &probe.outcome {
            ProbeOutcome::Answered { status } => {
                ("good", language.mark("check-answers", &[("status", &Markup::text(status))]))
            }
            ProbeOutcome::NotFound { status } => {
                ("warn", language.mark("check-not-found", &[("status", &Markup::text(status))]))
            }
            ProbeOutcome::Unreachable { why } => {
                ("bad", language.mark("check-unreachable", &[("why", &Markup::quote(why))]))
            }
            ProbeOutcome::Forbidden { why } => {
                ("bad", language.mark("check-forbidden", &[("why", &Markup::quote(why))]))
            }
        };
        CheckLine { what: probe.what, url: probe.url.to_string(), look, said }
    });
    Check { verdict, look, lines: lines.collect() }
}

type Id = Result<Path<String>, PathRejection>;

fn id_of(id: Id) -> Result<String, PageError> {
    id.map(|Path(id)| id).map_err(|_| PageError::NotFound)
}

async fn detail_of(visit: &Visit, id: &str) -> Result<ServiceDetail, PageError> {
    match visit.app.broker.find_service(visit.claims()?, id).await {
        Err(BrokerError::UnknownService { .. }) => Err(PageError::NotFound),
        found => Ok(found?),
    }
}

async fn look(visit: Visit, id: Id) -> Result<Response, PageError> {
    let detail = detail_of(&visit, &id_of(id)?).await?;
    Ok(show(&visit, &detail, None, None))
}

#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: SecretString,
    without_secret: Option<String>,
}

async fn save(
    visit: Visit,
    id: Id,
    form: Result<Form<Registration>, FormRejection>,
) -> Result<Response, PageError> {
    let (id, form) = (id_of(id)?, read(form)?);
    let client = SetClient {
        client_id: form.client_id,
        client_secret: form.client_secret,
        without_secret: form.without_secret.is_some(),
    };
    match visit.app.broker.set_service(visit.claims()?, &id, &client).await {
        Ok(()) => Ok(visit.go(&format!("/operator/services/{id}?done=service-saved"))),
        Err(error) => refuse(&visit, &id, error, client.client_id).await,
    }
}

async fn remove(visit: Visit, id: Id) -> Result<Response, PageError> {
    let id = id_of(id)?;
    match visit.app.broker.remove_service(visit.claims()?, &id).await {
        Ok(()) => Ok(visit.go(&format!("/operator/services/{id}?done=service-removed"))),
        Err(error) => refuse(&visit, &id, error, String::new()).await,
    }
}

async fn refuse(
    visit: &Visit,
    id: &str,
    error: BrokerError,
    client_id: String,
) -> Result<Response, PageError> {
    let at = match &error {
        BrokerError::UnknownService { .. } => return Err(PageError::NotFound),
        BrokerError::Field { name, .. } => name,
        _ => return Err(error.into()),
    };
    let detail = detail_of(visit, id).await?;
    Ok(show(visit, &detail, None, Some(Refused { client_id, at, said: Said::of(&visit.language, &error) })))
}

async fn test(visit: Visit, id: Id) -> Result<Response, PageError> {
    let id = id_of(id)?;
    let detail = detail_of(&visit, &id).await?;
    let check = visit.app.broker.check_service(visit.claims()?, &id).await?;
    Ok(show(&visit, &detail, Some(&check), None))
}
