//! `tokenry provider show`: everything about a service that a person can act on.

use std::time::Duration;

use tokenry::config::Config;
use tokenry_oauth::{CountedFrom, Kind, Provider, Readiness, RotationMode};

use super::page::Page;
use super::words;

/// The whole page.
pub(super) fn show(config: &Config, provider: &Provider) -> String {
    let mut page = Page::default();
    page.title(&format!("{} ({})", provider.name, provider.id));
    page.row("kind", words::kind(provider.kind()));
    if !provider.categories().is_empty() {
        page.row("for", &provider.categories().join(", "));
    }
    if !provider.aliases.is_empty() {
        page.row("also called", &provider.aliases.join(", "));
    }
    if let Some(docs) = provider.docs_url() {
        page.row("docs", docs.as_str());
    }
    page.row("described by", &words::source(provider));
    page.row("here", &words::here(provider));
    if let Readiness::NotSupported { why, .. } = provider.readiness() {
        page.row("here", &why);
    }
    if let Some(url) = provider.credential_url() {
        page.row("made at", url.as_str());
    }
    if matches!(provider.kind(), Kind::Oauth2 | Kind::Oauth1) {
        register(&mut page, config, provider);
    }
    scopes(&mut page, provider);
    settings(&mut page, provider);
    if provider.kind() == Kind::Oauth2 {
        tokens(&mut page, provider);
        end_of_life(&mut page, provider);
        ending(&mut page, provider);
    }
    page.end()
}

/// The redirect URI to register, and what the service thinks of such.
pub(super) fn redirect(page: &mut Page, config: &Config, provider: &Provider) {
    let uri = provider.redirect_uri(&config.public_url);
    page.row("redirect URI", uri.as_str());
    if provider.redirect_refuses_localhost() {
        let said = match config.public_url.host_str() {
            Some("localhost") => {
                "the service refuses localhost, so 127.0.0.1 stands here: register it as it is printed"
            }
            _ => {
                "the service refuses localhost: with a public_url on localhost, 127.0.0.1 stands in its place"
            }
        };
        page.row("redirect URI", said);
    }
    if provider.redirect_must_be_https() {
        let said = if uri.scheme() == "https" {
            "the service takes https only"
        } else {
            "the service takes https only, also on this machine: set public_url to an https address first"
        };
        page.row("redirect URI", said);
    }
    if provider.redirect_has_a_name() {
        page.row("redirect URI", "the service gives it a name of its own: set that as redirect_name");
    }
    if provider.has_own_callback() && !provider.is_custom() {
        page.row(
            "redirect URI",
            "it ends in the id, because the service's endpoints are not the built-in ones",
        );
    }
}

fn register(page: &mut Page, config: &Config, provider: &Provider) {
    page.title("To register");
    redirect(page, config, provider);
    for (word, url) in provider.endpoints() {
        page.row(word, &url);
    }
    if let Some(issuer) = provider.issuer().filter(|_| provider.is_discovered()) {
        page.row("endpoints", &format!("{issuer} names them"));
    }
}

fn scopes(page: &mut Page, provider: &Provider) {
    let (asked, offline) = (provider.default_scopes(), provider.offline_scopes());
    if asked.is_empty() && offline.is_empty() && provider.common_scopes().is_empty() {
        return;
    }
    page.title("Scopes");
    page.row("asked for", &if asked.is_empty() { "none".to_owned() } else { asked.to_string() });
    if !offline.is_empty() {
        page.row("asked for", &format!("and always {offline}, without which no refresh token comes"));
    }
    for (scope, what) in provider.common_scopes() {
        page.row(scope, what);
    }
}

fn settings(page: &mut Page, provider: &Provider) {
    if provider.settings().is_empty() {
        return;
    }
    page.title("Settings of each connection");
    for (name, setting) in provider.settings() {
        let default = match &setting.default {
            Some(default) => format!("; {default} when nobody says"),
            None => String::new(),
        };
        page.row(name, &format!("{}, such as {}{default}", setting.title, setting.example));
        if !setting.one_of.is_empty() {
            page.row(name, &format!("one of {}", setting.one_of.join(", ")));
        }
    }
}

fn tokens(page: &mut Page, provider: &Provider) {
    page.title("Tokens");
    let life = match (provider.access_token_never_expires(), provider.access_token_life()) {
        (true, _) => "does not expire; nothing is refreshed".to_owned(),
        (false, Some(life)) => {
            format!("lives for {}, unless the service says otherwise with it", words::time(life))
        }
        (false, None) => {
            "lives as long as the service says with it; does not expire when it says nothing".to_owned()
        }
    };
    page.row("access token", &life);
    if provider.access_token_never_expires() {
        return;
    }
    let rotation = provider.rotation();
    page.row(
        "refresh token",
        match rotation.mode {
            RotationMode::Keep => "stays the same at each refresh",
            RotationMode::Optional => "a refresh may bring a new one; else the old one goes on",
            RotationMode::Always => {
                "each refresh brings a new one and spends the old one: nobody else may refresh it"
            }
        },
    );
    if rotation.grace_s > 0 {
        let grace = words::time(Duration::from_secs(rotation.grace_s));
        page.row("refresh token", &format!("a spent one still gives the same answer for {grace}"));
    }
    if rotation.reuse_revokes {
        page.row("refresh token", "a spent one that is used again ends the connection");
    }
    let age = provider.min_refresh_age();
    if !age.is_zero() {
        page.row(
            "refresh token",
            &format!("an access token younger than {} is not refreshed", words::time(age)),
        );
    }
}

fn end_of_life(page: &mut Page, provider: &Provider) {
    let rotation = provider.rotation();
    if let Some(absolute) = rotation.absolute_ttl_s {
        let absolute = words::time(Duration::from_secs(absolute));
        let said = match rotation.absolute_ttl_from {
            CountedFrom::Consent => format!(
                "must be connected again {absolute} after the person said yes; refreshing does not extend it"
            ),
            CountedFrom::Issue => format!(
                "must be connected again {absolute} after the last new refresh token; each new one extends it"
            ),
        };
        page.row("end of life", &said);
    }
    if let Some(idle) = rotation.idle_ttl_s {
        let idle = words::time(Duration::from_secs(idle));
        page.row("end of life", &format!("must be connected again when it is not refreshed for {idle}"));
    }
    if rotation.absolute_ttl_s.is_none() && rotation.idle_ttl_s.is_none() {
        page.row("end of life", "none is known: it goes on until somebody ends it");
    }
}

fn ending(page: &mut Page, provider: &Provider) {
    page.title("Ending it");
    let said = match (provider.has_revocation_endpoint(), provider.is_discovered()) {
        (true, true) => "deleting a connection revokes it, if the service says where",
        (true, false) => "deleting a connection revokes it at the service",
        (false, _) => {
            "deleting a connection removes it here only: the service has no way to revoke; the person removes the app \
             in the settings of their account there"
        }
    };
    page.row("delete", said);
    if provider.has_revocation_endpoint() && provider.revocation_is_shared() {
        page.row(
            "delete",
            "revoking ends every connection of the same account, so it is done with the last one only",
        );
    }
}
