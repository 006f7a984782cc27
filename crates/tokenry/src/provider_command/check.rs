//! `tokenry provider check`: what is configured of a service, and what it still takes.

use std::process::ExitCode;
use std::sync::Arc;

use tokenry::config::{Config, Origin, variable};
use tokenry_model::{Clock as _, ExposeSecret as _, Health, ProviderId, SystemClock};
use tokenry_oauth::{
    Catalogue, Kind, OAuth, Probe, ProbeOutcome, Provider, Readiness, ServiceCheck, Verdict,
};
use tokenry_store::Store;

use super::page::Page;
use super::{CheckFlags, find, show, words};

/// Prints the findings. The status is 1 when a service is not ready or an endpoint is not there.
pub(super) async fn check(
    config: &Config,
    catalogue: &Catalogue,
    flags: &CheckFlags,
) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    if let Some(name) = &flags.name {
        match find(catalogue, name) {
            Ok(provider) => all.push(provider),
            Err(unknown) => return Ok(unknown),
        }
    } else {
        let named = |provider: &Provider| {
            config
                .providers
                .keys()
                .any(|word| catalogue.find(word.as_str()).is_some_and(|found| found.id == provider.id))
        };
        let is_wanted = |provider: &&Arc<Provider>| named(provider) || provider.client_id().is_some();
        all.extend(catalogue.iter().filter(is_wanted).cloned());
    }
    if all.is_empty() {
        println!("No service is set up yet; `tokenry provider check NAME` says what one takes.");
    }
    let oauth = OAuth::new(config.outbound.clone(), Arc::new(SystemClock))?;
    let mut good = true;
    for (at, provider) in all.iter().enumerate() {
        if at > 0 {
            println!();
        }
        let health = Store::peek_health(config.database_url.expose_secret(), &provider.id).await?;
        let found = oauth.check(provider, health).await;
        print!("{}", one(config, catalogue, &found));
        good &= found.verdict() == Verdict::Ready;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The findings on one service.
fn one(config: &Config, catalogue: &Catalogue, found: &ServiceCheck) -> String {
    let ServiceCheck { provider, readiness, probes, health } = found;
    let mut page = Page::default();
    let state = match found.verdict() {
        Verdict::Refused => "set up, and the service refuses this server",
        Verdict::NotReady => "not ready",
        Verdict::EndpointAway => "set up, and an endpoint is not there",
        Verdict::Ready => "ready",
    };
    page.title(&format!("{} ({}): {state}", provider.name, provider.id));
    page.row("described by", &words::source(provider));
    let word = configured_word(config, catalogue, provider);
    configured(&mut page, config, &word);
    if provider.client_id().is_some() && !catalogue.is_client_configured(&provider.id) {
        page.row("client", "set up on the operator's pages, in the database");
    }
    match readiness {
        Readiness::NotSupported { why, .. } => page.row("here", why),
        Readiness::NeedsSettings { names, .. } => {
            page.row("here", &format!("whoever connects says {}", names.join(", ")));
        }
        _ if provider.is_public_client() => {
            page.row("here", "without a client_secret it is a public client: PKCE stands in for the secret");
        }
        _ => {}
    }
    if matches!(provider.kind(), Kind::Oauth2 | Kind::Oauth1) {
        page.title(if found.is_set_up() {
            "Registered at the service must be"
        } else {
            "Register at the service"
        });
        show::redirect(&mut page, config, provider);
        if let Some(docs) = provider.docs_url() {
            page.row("how", docs.as_str());
        }
    }
    if let Readiness::Missing { what, .. } = readiness {
        missing(&mut page, &word, what);
    }
    endpoints(&mut page, probes);
    seen(&mut page, health);
    page.end()
}

/// What the running server has seen of the service, if not all is well.
fn seen(page: &mut Page, health: &Health) {
    let now = SystemClock.now();
    let pause = health.paused_until.filter(|until| *until > now);
    if health.fault.is_none() && health.circuit.is_none() && pause.is_none() {
        return;
    }
    page.title("Seen by the server");
    if let Some((fault, since)) = &health.fault {
        page.row("fault", &format!("{fault}; since {since}: mend client_id and client_secret, then SIGHUP"));
    }
    if let Some(circuit) = health.circuit.as_ref().filter(|_| health.fault.is_none()) {
        let (reason, since, until) = (&circuit.reason, circuit.opened_at, circuit.until);
        page.row("left alone", &format!("{reason}; since {since}, next tried after {until}"));
    }
    if let Some(until) = pause {
        page.row("paused", &format!("it asked to be left alone until {until}"));
    }
}

/// What came of looking at each endpoint. Nothing was sent there that could be spent.
fn endpoints(page: &mut Page, probes: &[Probe]) {
    if probes.is_empty() {
        return;
    }
    page.title("Endpoints");
    for Probe { what, url, outcome } in probes {
        let said = match outcome {
            ProbeOutcome::Answered { status } => format!("answers ({status})"),
            ProbeOutcome::NotFound { status } => {
                format!(
                    "answers that there is no such place ({status}); some say so to everything but a POST"
                )
            }
            ProbeOutcome::Unreachable { why } => format!("does not answer: {why}"),
            ProbeOutcome::Forbidden { why } => {
                format!("is not gone to: {why}; outbound.allow_private allows services in your own network")
            }
        };
        page.row(what, &format!("{url} {said}"));
    }
}

/// The word under which the configuration has it, or would have it.
fn configured_word(config: &Config, catalogue: &Catalogue, provider: &Provider) -> ProviderId {
    let means_it = |word: &&ProviderId| catalogue.find(word.as_str()).is_some_and(|p| p.id == provider.id);
    config.providers.keys().find(means_it).unwrap_or(&provider.id).clone()
}

/// What is set, and where. Of a secret, only that.
fn configured(page: &mut Page, config: &Config, word: &ProviderId) {
    let prefix = format!("providers.{word}.");
    let mut any = false;
    for setting in config.sources() {
        let Some(key) = setting.key.strip_prefix(&prefix) else { continue };
        any = true;
        let from = match &setting.origin {
            Origin::Variable(name) if name.ends_with("_FILE") => format!("from the file that {name} names"),
            Origin::File { key, .. } if key.ends_with("_file") => {
                format!("from the file that {} names", setting.origin)
            }
            origin => format!("from {origin}"),
        };
        let value = if setting.value == "(set)" { "set".to_owned() } else { setting.value };
        page.row(key, &format!("{value}, {from}"));
    }
    if !any {
        page.row("configured", "nothing");
    }
}

/// The very lines that are missing, for the file and for the environment.
fn missing(page: &mut Page, word: &ProviderId, what: &[&'static str]) {
    page.title("Then add to tokenry.toml");
    page.line(&format!("[providers.{word}]"));
    for key in what {
        page.line(&match secret_file(word, key) {
            Some(file) => format!("{key}_file = \"{file}\""),
            None => format!("{key} = \"…\""),
        });
    }
    page.title("or to the environment");
    for key in what {
        let key_path = format!("providers.{word}.{key}");
        page.line(&match secret_file(word, key) {
            Some(file) => format!("{}={file}", variable(&format!("{key_path}_file"))),
            None => format!("{}=…", variable(&key_path)),
        });
    }
}

/// A good place for a secret; `None` for what is none.
fn secret_file(word: &ProviderId, key: &str) -> Option<String> {
    ["client_secret", "private_key"].contains(&key).then(|| format!("/run/secrets/{word}_{key}"))
}
