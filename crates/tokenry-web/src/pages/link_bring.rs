//! The page of a connect link for a service that a person brings something along for: a key, a user name and a password, a
//! client of their own.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tokenry_broker::{Completed, LinkError, LinkPage, LinkVisit, NewImport, Offer, Opener};
use tokenry_model::SecretString;

use super::extract::{Form, Path};
use super::frame::Frame;
use super::gate::Visit;
use super::link_end::{self, embeddable, openable};
use super::links::{refused, visitor};
use super::markup::Markup;
use super::service::{Bring, Sent, given, is_about_what_was_sent};
use super::words::Said;
use super::{connecting, links};

#[derive(Template)]
#[template(path = "link_bring.html")]
struct BringPage<'a> {
    frame: Frame,
    link: &'a LinkPage,
    opener: Option<&'a Opener>,
    id: String,
    bring: Bring,
    problem: Option<Markup>,
}

/// The form. It asks for a secret, so it stands in no frame. Whoever is signed in as somebody else signs out first.
pub(super) fn show(
    visit: &Visit,
    link: &LinkPage,
    offer: &Offer,
    sent: &Sent,
    problem: Option<&Said>,
) -> Response {
    if visit.person.as_ref().is_some_and(|person| person.user.username.as_str() != link.username) {
        let out = format!("{}/sign-out", visit.app.base_path());
        let mut response = links::gate(visit, link, "link-not-owner", "post", out);
        *response.status_mut() = StatusCode::FORBIDDEN;
        return openable(visit, response);
    }
    let template = BringPage {
        frame: visit.titled(visit.language.say("link-service-title", &[("service", &offer.name)])),
        opener: link.opener.as_ref(),
        link,
        id: offer.id.to_string(),
        bring: Bring::of(&visit.language, offer, sent),
        problem: problem.map(|said| said.text.clone()),
    };
    openable(visit, Said::page(problem, &template))
}

/// Connects the service by what was brought, or shows the form again.
pub(super) async fn bring(
    visit: Visit,
    Path((token, service)): Path<(String, String)>,
    Form(fields): Form<Vec<(String, SecretString)>>,
) -> Response {
    let (broker, sent) = (&visit.app.broker, Sent(fields));
    let offer = match broker.link_offer(&[], &service).await {
        Ok(Some(offer)) => offer,
        // There is nothing to bring: its page says what there is to do.
        Ok(None) => return links::ask(visit, Path((token, service))).await,
        Err(error) => return embeddable(&visit, refused(&visit, error.into())),
    };
    let new = NewImport {
        service: offer.id.to_string(),
        name: None,
        settings: sent.settings(),
        given: given(&offer, &sent),
    };
    let problem: Option<Said> = match broker.bring_with_link(&token, visitor(&visit), new).await {
        Ok(completed) => return ended(&visit, &completed),
        Err(LinkError::Broker(error)) if is_about_what_was_sent(&error) => {
            Some(Said::at(&visit.language, &error, &offer))
        }
        Err(LinkError::Stranger) => None,
        Err(error) => return embeddable(&visit, refused(&visit, error)),
    };
    match broker.visit_link(&token, &visitor(&visit), false, None).await {
        Ok(LinkVisit::Here(link)) => show(&visit, &link, &offer, &sent, problem.as_ref()),
        Ok(_) => embeddable(&visit, refused(&visit, LinkError::Elsewhere)),
        Err(error) => embeddable(&visit, refused(&visit, error)),
    }
}

/// It came to an end, as a consent does.
fn ended(visit: &Visit, completed: &Completed) -> Response {
    let shown = completed.link.as_ref().and_then(|end| link_end::show(visit, end, &completed.outcome));
    match (shown, &completed.outcome) {
        (Some(shown), _) => shown,
        // Another end of the same link was faster, and has told its own.
        (None, Err(error)) => connecting::failed(visit, error),
        (None, Ok(_)) => embeddable(visit, refused(visit, LinkError::Used)),
    }
}
