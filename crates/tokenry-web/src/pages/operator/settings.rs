//! What the configuration says, and where each setting comes from. Nothing is changed here.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tokenry_broker::{Configured, ConfiguredBy, ConfiguredValue};

use super::frame;
use crate::pages::error::PageError;
use crate::pages::frame::Frame;
use crate::pages::gate::{Visit, Who};
use crate::pages::page;
use crate::pages::routes::Page;
use crate::pages::texts::Language;

pub(super) fn routes() -> Vec<Page> {
    vec![Page::get("/operator/settings", Who::Operator, look)]
}

#[derive(Template)]
#[template(path = "operator_settings.html")]
struct SettingsPage {
    frame: Frame,
    tab: &'static str,
    /// By their table; those of none first.
    groups: Vec<(String, Vec<Row>)>,
}

/// A setting in words.
pub(super) struct Row {
    pub(super) key: String,
    pub(super) value: String,
    /// Whether the value is what it says, and no word of ours.
    pub(super) is_said: bool,
    pub(super) from: String,
    pub(super) is_default: bool,
}

pub(super) fn row(language: &Language, configured: &Configured) -> Row {
    let (value, is_said) = match &configured.value {
        ConfiguredValue::Nothing => (language.say("settings-nothing", &[]), false),
        ConfiguredValue::Secret => (language.say("settings-secret", &[]), false),
        ConfiguredValue::Text(text) => (text.clone(), true),
    };
    let from = match &configured.by {
        ConfiguredBy::Default => language.say("settings-from-default", &[]),
        ConfiguredBy::File(path) => language.say("settings-from-file", &[("path", path)]),
        ConfiguredBy::Variable(name) => language.say("settings-from-variable", &[("name", name)]),
        ConfiguredBy::Flag(flag) => language.say("settings-from-flag", &[("flag", flag)]),
    };
    let is_default = configured.by == ConfiguredBy::Default;
    Row { key: configured.key.clone(), value, is_said, from, is_default }
}

async fn look(visit: Visit) -> Result<Response, PageError> {
    let all = visit.app.broker.configuration(visit.claims()?).await?;
    let mut groups: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for configured in all.iter() {
        let table = configured.key.rsplit_once('.').map_or("", |(table, _)| table);
        groups.entry(table.to_owned()).or_default().push(row(&visit.language, configured));
    }
    let groups = groups.into_iter().collect();
    let template = SettingsPage { frame: frame(&visit, "settings-title"), tab: "settings", groups };
    Ok(page(StatusCode::OK, &template))
}
