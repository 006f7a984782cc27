//! How the server does, provider by provider.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tokenry_broker::{HourOverview, Overview, ProviderOverview};
use tokenry_model::Timestamp;

use super::{frame, grouped, share};
use crate::pages::error::PageError;
use crate::pages::frame::Frame;
use crate::pages::gate::{Visit, Who};
use crate::pages::page;
use crate::pages::routes::Page;

/// How high and wide a chart is, and the room of one of its 24 bars.
const HEIGHT: i64 = 28;
const STEP: i64 = 5;
const BAR: i64 = 4;

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
    bars: Vec<Bar>,
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

/// One hour of a chart, from the top of the drawing.
struct Bar {
    x: i64,
    width: i64,
    /// What went well: where it begins, and how high it is.
    good: (i64, i64),
    /// What did not, above that.
    bad: (i64, i64),
}

/// Something that a person has to look at.
struct Attention {
    id: String,
    name: String,
    key: &'static str,
    look: &'static str,
    /// What was said, or how many.
    what: String,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
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
        attention: found.providers.iter().flat_map(|it| attention(it, found.now)).collect(),
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
        Row {
            id: it.id.clone(),
            name: it.name.clone(),
            bars: bars(&it.hours),
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

/// The hours as bars, the highest as high as the chart. What happened at all can be seen.
fn bars(hours: &[HourOverview]) -> Vec<Bar> {
    let most = hours.iter().map(|hour| hour.done + hour.failed).max().unwrap_or_default().max(1);
    let high = |count: i64| match count {
        0 => 0,
        count => (count.saturating_mul(HEIGHT) / most).max(2),
    };
    let bar = |(at, hour): (i64, &HourOverview)| {
        let bad = high(hour.failed);
        let good = high(hour.done).min(HEIGHT - bad);
        let top = HEIGHT - good;
        Bar { x: at * STEP, width: BAR, good: (top, good), bad: (top - bad, bad) }
    };
    (0..).zip(hours).map(bar).collect()
}

/// What is about to break at a provider, or has.
fn attention(it: &ProviderOverview, now: Timestamp) -> Vec<Attention> {
    let mut found = Vec::new();
    let mut say = |key, look, what: String, since, until| {
        let (id, name) = (it.id.clone(), it.name.clone());
        found.push(Attention { id, name, key, look, what, since, until });
    };
    if let Some((fault, since)) = &it.health.fault {
        say("operator-attention-fault", "bad", fault.clone(), Some(*since), None);
    }
    if let Some(circuit) = it.health.circuit.as_ref().filter(|_| it.health.fault.is_none()) {
        let (since, until) = (Some(circuit.opened_at), Some(circuit.until));
        say("operator-attention-circuit", "bad", circuit.reason.clone(), since, until);
    }
    if let Some(until) = it.health.paused_until.filter(|until| *until > now) {
        say("operator-attention-paused", "warn", String::new(), None, Some(until));
    }
    for (key, count) in [
        ("operator-attention-reconnect", it.reconnect),
        ("operator-attention-quarantined", it.quarantined),
        ("operator-attention-ending", it.ending),
    ] {
        if count > 0 {
            say(key, "warn", grouped(count), None, None);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_inside_the_chart_and_a_single_failure_can_be_seen() {
        let hour = |(done, failed)| HourOverview { done, failed, held: false };
        let bars = bars(&[(0, 0), (1000, 1), (500, 500), (3, 0)].map(hour));
        assert_eq!((bars[0].good.1, bars[0].bad.1), (0, 0));
        assert_eq!(bars[1].bad.1, 2);
        assert!(bars[3].good.1 >= 2);
        for bar in bars {
            assert!(bar.bad.0 >= 0 && bar.bad.0 + bar.bad.1 == bar.good.0, "bad stands on good");
            assert_eq!(bar.good.0 + bar.good.1, HEIGHT, "good stands on the ground");
        }
    }
}
