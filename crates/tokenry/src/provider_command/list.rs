//! `tokenry provider list`

use std::fmt::Write as _;

use serde_json::json;
use tokenry::config::Config;
use tokenry_oauth::{Catalogue, Provider, Readiness, Source};

use super::{ListFlags, words};

/// A table, or JSON.
pub(super) fn list(config: &Config, catalogue: &Catalogue, flags: &ListFlags) -> anyhow::Result<String> {
    let found: Vec<&Provider> =
        catalogue.iter().map(AsRef::as_ref).filter(|provider| fits(provider, flags)).collect();
    if flags.json {
        let all: Vec<_> = found.iter().map(|provider| as_json(config, provider)).collect();
        return Ok(serde_json::to_string_pretty(&all)? + "\n");
    }
    let mut rows = vec![["ID", "NAME", "KIND", "HERE"].map(str::to_owned)];
    rows.extend(found.iter().map(|provider| {
        [
            provider.id.to_string(),
            provider.name.clone(),
            provider.kind().word().to_owned(),
            words::here(provider),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (id, name, kind) = (width(0), width(1), width(2));
    let mut text: String = rows
        .iter()
        .flat_map(|row| {
            [format!("{:id$}  {:name$}  {:kind$}  {}", row[0], row[1], row[2], row[3]), "\n".into()]
        })
        .collect();
    let ready = found.iter().filter(|provider| provider.readiness() == Readiness::Ready).count();
    let services = if found.len() == 1 { "service" } else { "services" };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} {services}, {ready} ready to connect", found.len());
    Ok(text)
}

fn fits(provider: &Provider, flags: &ListFlags) -> bool {
    let has = |text: &str, word: &str| text.to_lowercase().contains(&word.to_lowercase());
    let named = |word: &String| {
        has(provider.id.as_str(), word)
            || has(&provider.name, word)
            || provider.aliases.iter().chain(provider.categories()).any(|known| has(known, word))
    };
    flags.kind.is_none_or(|kind| provider.kind() == kind)
        && flags.category.as_ref().is_none_or(|c| provider.categories().iter().any(|known| known == c))
        && flags.word.as_ref().is_none_or(named)
}

fn as_json(config: &Config, provider: &Provider) -> serde_json::Value {
    let (status, missing) = match provider.readiness() {
        Readiness::Ready => ("ready", Vec::new()),
        Readiness::Missing { what, .. } => ("needs_configuration", what),
        Readiness::NeedsSettings { .. } => ("needs_settings", Vec::new()),
        Readiness::NotSupported { .. } => ("paste_only", Vec::new()),
    };
    let (source, file) = match provider.source() {
        Source::BuiltIn => ("built_in", None),
        Source::File(file) | Source::Replacement(file) => ("file", Some(file)),
        Source::Configuration => ("configuration", None),
    };
    json!({
        "id": provider.id.as_str(),
        "name": provider.name,
        "kind": provider.kind().word(),
        "aliases": provider.aliases,
        "categories": provider.categories(),
        "docs_url": provider.docs_url(),
        "redirect_uri": provider.redirect_uri(&config.public_url),
        "settings": provider.settings().keys().collect::<Vec<_>>(),
        "status": status,
        "missing": missing,
        "here": words::here(provider),
        "source": source,
        "file": file,
    })
}
