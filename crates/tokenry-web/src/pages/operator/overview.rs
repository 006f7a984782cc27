//! How the server does, provider by provider.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tokenry_broker::{Overview, ProviderOverview};
use tokenry_model::Timestamp;

use super::chart::Chart;
use super::{frame, grouped, share};
use crate::pages::error::PageError;
use crate::pages::frame::Frame;
use crate::pages::gate::{Visit, Who};
use crate::pages::markup::Markup;
use crate::pages::page;
use crate::pages::routes::Page;
use crate::pages::texts::Language;

pub(super) fn routes() -> Vec<Page> {
    vec![Page::get("/operator", Who::Operator, overview)]
}

#[derive(Template)]
#[template(path = "operator_overview.html")]
struct OverviewPage {
    frame: Frame,
    tab: &'static str,
    connections: String,
    due: String,
    done: String,
    failed: String,
    reconnect: String,
    /// How many refreshes of a hundred went well, if there were any.
    well: Option<String>,
    providers: Vec<Row>,
    attention: Vec<Attention>,
    since: Timestamp,
    is_new: bool,
}

/// A provider in the table.
struct Row {
    id: String,
    name: String,
    chart: Chart,
    /// How many become due within the next hour, and the next day.
    soon: String,
    coming: String,
    is_about: bool,
    done: String,
    failed: String,
    has_failed: bool,
    due: String,
    overdue: i64,
    overdue_text: String,
    /// The key of what is said of it, and how it looks.
    state: &'static str,
    look: &'static str,
}

/// Something that a person has to look at.
struct Attention {
    id: String,
    name: String,
    look: &'static str,
    text: Markup,
}

async fn overview(visit: Visit) -> Result<Response, PageError> {
    let found = visit.app.broker.overview(visit.claims()?).await?;
    let sum = |of: fn(&ProviderOverview) -> i64| found.providers.iter().map(of).sum::<i64>();
    let (done, failed) = (sum(|it| it.done), sum(|it| it.failed));
    let template = OverviewPage {
        frame: frame(&visit, "operator-title"),
        tab: "overview",
        connections: grouped(found.connections),
        due: grouped(sum(|it| it.due)),
        done: grouped(done),
        failed: grouped(failed),
        reconnect: grouped(sum(|it| it.reconnect)),
        well: (done + failed > 0).then(|| share(done, done + failed)),
        attention: found.providers.iter().flat_map(|it| attention(&visit.language, it, found.now)).collect(),
        is_new: found.connections == 0 && found.providers.is_empty(),
        since: found.counted_since,
        providers: rows(&found),
    };
    Ok(page(StatusCode::OK, &template))
}

fn rows(found: &Overview) -> Vec<Row> {
    let row = |it: &ProviderOverview| {
        let paused = it.health.paused_until.is_some_and(|until| until > found.now);
        let (state, look) = match () {
            () if it.health.fault.is_some() => ("operator-state-fault", "bad"),
            () if it.health.circuit.is_some() => ("operator-state-circuit", "bad"),
            () if paused => ("operator-state-paused", "warn"),
            () if it.failed > it.done => ("operator-state-failing", "warn"),
            () => ("operator-state-well", "good"),
        };
        let chart = Chart::of(it);
        let expected = |count| grouped(if it.coming_is_estimate { rough(count) } else { count });
        Row {
            id: it.id.clone(),
            name: it.name.clone(),
            soon: expected(chart.soon),
            coming: expected(it.coming.iter().fold(0, |sum, count| sum.saturating_add(*count))),
            is_about: it.coming_is_estimate,
            chart,
            done: grouped(it.done),
            failed: grouped(it.failed),
            has_failed: it.failed > 0,
            due: grouped(it.due),
            overdue: it.overdue,
            overdue_text: grouped(it.overdue),
            state,
            look,
        }
    };
    found.providers.iter().map(row).collect()
}

/// An estimate as far as it says anything: its first three digits.
fn rough(count: i64) -> i64 {
    let mut unit = 1;
    while count / unit >= 1000 {
        unit *= 10;
    }
    count / unit * unit
}

/// What is about to break at a provider, or has.
fn attention(language: &Language, it: &ProviderOverview, now: Timestamp) -> Vec<Attention> {
    let mut found = Vec::new();
    let mut say = |key, look, marked: &[(&str, &Markup)]| {
        let (id, name, text) = (it.id.clone(), it.name.clone(), language.mark(key, marked));
        found.push(Attention { id, name, look, text });
    };
    if let Some((fault, since)) = &it.health.fault {
        let (what, since) = (Markup::quote(fault), Markup::time(*since));
        say("operator-attention-fault", "bad", &[("what", &what), ("since", &since)]);
    }
    if let Some(circuit) = it.health.circuit.as_ref().filter(|_| it.health.fault.is_none()) {
        let what = Markup::quote(&circuit.reason);
        let [since, until] = [circuit.opened_at, circuit.until].map(Markup::time);
        say("operator-attention-circuit", "bad", &[("what", &what), ("since", &since), ("until", &until)]);
    }
    if let Some(until) = it.health.paused_until.filter(|until| *until > now) {
        say("operator-attention-paused", "warn", &[("until", &Markup::time(until))]);
    }
    for (key, count) in [
        ("operator-attention-reconnect", it.reconnect),
        ("operator-attention-quarantined", it.quarantined),
        ("operator-attention-ending", it.ending),
    ] {
        if count > 0 {
            say(key, "warn", &[("count", &Markup::text(grouped(count)))]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_as_exact_as_its_first_three_digits() {
        assert_eq!(
            [0, 999, 1009, 702_113, i64::MAX].map(rough),
            [0, 999, 1000, 702_000, 9_220_000_000_000_000_000]
        );
    }
}
