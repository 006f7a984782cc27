//! What the operator reads when the server has started.

use std::fmt::Write as _;

use tokenry_oauth::Readiness;

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
    for provider in server.broker().catalogue().iter() {
        match provider.readiness() {
            Readiness::Ready => ready.push(provider),
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
    for (provider, what) in missing {
        let redirect = provider.redirect_uri(&config.public_url);
        let keys: Vec<String> = what.iter().map(|key| format!("providers.{}.{key}", provider.id)).collect();
        let _ = writeln!(
            text,
            "  not set up  {}: register {redirect} there, then set {}",
            provider.id,
            keys.join(" and ")
        );
    }
    text
}
