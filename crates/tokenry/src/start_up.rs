//! What the operator reads when the server has started.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use tokenry_oauth::{Provider, Readiness};

use crate::config::Config;
use crate::server::{Opened, Server};

/// What it listens on, where the data lies, and which services are ready.
pub fn report(config: &Config, opened: &Opened, server: &Server) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Tokenry {} listens on http://{}", env!("CARGO_PKG_VERSION"), server.address());
    let _ = writeln!(text, "  public URL  {}", config.public_url);
    let _ = writeln!(text, "  data        {}", config.data_dir.display());
    if let Some(path) = &opened.made_key {
        let _ = writeln!(
            text,
            "  master key  generated into {}: back it up apart from the database; without it nothing in there opens again",
            path.display()
        );
    }
    let (mut ready, mut missing) = (Vec::new(), Vec::new());
    let catalogue = server.broker().catalogue();
    for provider in catalogue.iter() {
        match provider.readiness() {
            // Settings are for whoever connects to say.
            Readiness::Ready | Readiness::NeedsSettings { .. } => ready.push(provider),
            Readiness::Missing { what, .. } => missing.push((provider, what)),
            // Nothing the operator could set up; a pasted token works.
            Readiness::NotSupported { .. } => {}
        }
    }
    if ready.is_empty() {
        let _ = writeln!(text, "  services    none is set up for connecting yet; pasted tokens work for all");
    }
    for provider in ready {
        let redirect = provider.redirect_uri(&config.public_url);
        let note =
            if provider.is_public_client() { "; without a client_secret, as a public client" } else { "" };
        let _ = writeln!(text, "  ready       {} (redirect URI {redirect}{note})", provider.id);
    }
    not_set_up(&mut text, config, &missing);
    text
}

/// The services that lack something. Those that the configuration names have a line of their own; the others share one
/// for each redirect URI.
fn not_set_up(text: &mut String, config: &Config, missing: &[(&Arc<Provider>, Vec<&'static str>)]) {
    let mut others: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (provider, what) in missing {
        let redirect = provider.redirect_uri(&config.public_url);
        if config.providers.contains_key(&provider.id) {
            let keys: Vec<String> =
                what.iter().map(|key| format!("providers.{}.{key}", provider.id)).collect();
            let _ = writeln!(
                text,
                "  not set up  {}: register {redirect} there, then set {}",
                provider.id,
                keys.join(" and ")
            );
        } else {
            others.entry(redirect.into()).or_default().push(provider.id.as_str());
        }
    }
    for (redirect, services) in others {
        let (count, list) = (services.len(), services.join(", "));
        let _ = writeln!(
            text,
            "  not set up  {count}: register {redirect} there, then set client_id and client_secret of providers.<service>: {list}"
        );
    }
}
