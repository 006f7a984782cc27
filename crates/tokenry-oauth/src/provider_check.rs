//! What a provider file may not say: what would send tokens to the wrong place, unguard the flow, or break later.
//!
//! The built-in files are held to the same rules by a test, the operator's when they are read.

use http::{HeaderName, HeaderValue};
use tokenry_model::ProviderId;
use toml::{Table, Value};
use url::Url;

use crate::OutboundPolicy;
use crate::data::{Kind, PkceMode, Place, ProviderData, RotationMode, names, names_in_host};

const DAY_S: u64 = 86_400;
/// Fields that the flow itself says: data that said them could unguard it or name another client.
const OF_THE_FLOW: [&str; 12] = [
    "client_assertion",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "nonce",
    "redirect_uri",
    "refresh_token",
    "response_type",
    "state",
];
/// Tables whose words are the provider's own, so that a `url` in there is no address.
const FREE: [&str; 7] = ["params", "rename", "headers", "common", "config", "capture", "fields"];
/// Links for people: no program goes there, so the policy has no say.
const LINKS: [&str; 2] = ["docs_url", "credential.url"];
/// Addresses that may hold `{names}`.
const TEMPLATES: [&str; 7] =
    ["authorize.url", "token.url", "refresh.url", "device.url", "identity.url", "api.base_url", "revoke.url"];

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    at: Vec<String>,
    /// What is wrong, and what to write in its place.
    pub(crate) what: String,
}

impl Fault {
    /// `at`: the words that lead to the place.
    pub(crate) fn new(at: &[&str], what: String) -> Self {
        Self { at: at.iter().map(|&word| word.to_owned()).collect(), what }
    }

    pub(crate) fn path(&self) -> Vec<&str> {
        self.at.iter().map(String::as_str).collect()
    }
}

/// All that is wrong. `table` is what the data were read from.
pub(crate) fn faults(table: &Table, data: &ProviderData, policy: &OutboundPolicy) -> Vec<Fault> {
    let mut found = Vec::new();
    words(data, &mut found);
    urls(table, data, policy, &mut found);
    hosts(data, policy, &mut found);
    settings(data, &mut found);
    scopes(data, &mut found);
    lifetimes(data, &mut found);
    flow(data, &mut found);
    headers(data, &mut found);
    if found.is_empty()
        && let Some(name) = data.unknown_name()
    {
        found.push(Fault::new(&[], format!("{{{name}}} is in a URL, and [config.{name}] is not there")));
    }
    found
}

fn words(data: &ProviderData, found: &mut Vec<Fault>) {
    if data.name.trim().is_empty() || data.name.chars().any(char::is_control) {
        found.push(Fault::new(&["name"], "`name` must be what people call the service, on one line".into()));
    }
    for alias in data.aliases.iter().filter(|alias| ProviderId::parse(alias).is_err()) {
        found.push(Fault::new(
            &["aliases"],
            format!("the alias {alias:?} must be of a-z, 0-9 and '-', and begin with a letter or a digit"),
        ));
    }
}

/// Every address of the tables, wherever it stands.
fn urls(table: &Table, data: &ProviderData, policy: &OutboundPolicy, found: &mut Vec<Fault>) {
    let mut all = Vec::new();
    collect_urls(table, &mut Vec::new(), &mut all);
    for (path, text) in all {
        if let Err(what) = check_url(&path.join("."), text, data, policy) {
            found.push(Fault { at: path, what });
        }
    }
    let discovered = data.kind == Kind::Oauth2 && data.authorize.url.is_none();
    if let Some(issuer) = data.issuer.as_ref().filter(|_| discovered)
        && let Err(what) = check_url("issuer", issuer.as_str(), data, policy)
    {
        found.push(Fault::new(&["issuer"], what));
    }
}

fn collect_urls<'a>(table: &'a Table, path: &mut Vec<String>, all: &mut Vec<(Vec<String>, &'a str)>) {
    for (word, value) in table {
        path.push(word.clone());
        match value {
            Value::String(text) if word == "url" || word.ends_with("_url") => all.push((path.clone(), text)),
            Value::Table(inner) if !FREE.contains(&word.as_str()) => collect_urls(inner, path, all),
            _ => {}
        }
        path.pop();
    }
}

fn check_url(path: &str, text: &str, data: &ProviderData, policy: &OutboundPolicy) -> Result<(), String> {
    let mut probe = text.to_owned();
    for name in names(text) {
        let stands_for = match data.config.get(name) {
            _ if !TEMPLATES.contains(&path) => {
                return Err(format!(
                    "`{path}` can hold no placeholder such as {{{name}}}; write the address out"
                ));
            }
            Some(setting) => setting.example.as_str(),
            None if path == "revoke.url" && name == "client_id" => "x",
            // What is captured names the API's own host only where `api.hosts` has it.
            None if path == "api.base_url" && is_captured(data, name) => {
                if text.starts_with('{') {
                    "https://x.example"
                } else {
                    "x"
                }
            }
            None => return Err(format!("{{{name}}} is in `{path}`, and [config.{name}] is not there")),
        };
        probe = probe.replace(&format!("{{{name}}}"), stands_for);
    }
    let url = Url::parse(&probe).map_err(|error| format!("`{path}` is no URL: {error}"))?;
    if url.fragment().is_some() {
        return Err(format!("`{path}` has a '#' in it; leave that out and what follows"));
    }
    if LINKS.contains(&path) {
        return if matches!(url.scheme(), "https" | "http") && url.has_host() {
            Ok(())
        } else {
            Err(format!("`{path}` must be a link that begins with https://"))
        };
    }
    policy.check(&url).map_err(|refused| {
        let way = if policy.allow_private {
            "write an https address; plain http is for private networks only"
        } else {
            "write an https address with a name, or set outbound.allow_private for a service in your own network"
        };
        format!("`{path}`: {refused}; {way}")
    })?;
    if let Some((kept, _)) = url.query_pairs().find(|(name, _)| OF_THE_FLOW.contains(&name.as_ref())) {
        return Err(format!("`{path}` has {kept} in its query, which the flow itself says; leave it out"));
    }
    Ok(())
}

fn is_captured(data: &ProviderData, name: &str) -> bool {
    data.token.capture.contains_key(name) || data.callback.capture.contains_key(name)
}

/// The hosts that may see the token.
fn hosts(data: &ProviderData, policy: &OutboundPolicy, found: &mut Vec<Fault>) {
    for host in &data.api.hosts {
        let name = host.strip_prefix("*.").unwrap_or(host);
        let whole =
            names(name).iter().fold(name.to_owned(), |text, n| text.replace(&format!("{{{n}}}"), "x"));
        let is_host = Url::parse(&format!("https://{whole}/")).is_ok_and(|u| u.host_str() == Some(&*whole));
        if !is_host || !(whole.contains('.') || policy.allow_private && name == host) {
            found.push(Fault::new(
                &["api", "hosts"],
                format!(
                    "`api.hosts`: {host:?} is no host; write one such as api.example.org or *.example.org"
                ),
            ));
        }
    }
    let Some(host) = data.api.base_url.as_ref().and_then(Place::url).and_then(Url::host_str) else { return };
    let covers = |h: &String| h == host || h.strip_prefix('*').is_some_and(|end| host.ends_with(end));
    if !data.api.hosts.iter().any(covers) {
        found.push(Fault::new(
            &["api", "base_url"],
            format!("`api.base_url` leads to {host}, which may not see the token; add it to `api.hosts`"),
        ));
    }
}

fn settings(data: &ProviderData, found: &mut Vec<Fault>) {
    for (name, setting) in &data.config {
        if setting.title.trim().is_empty() {
            found.push(Fault::new(
                &["config", name],
                format!("`config.{name}.title` must say what to ask for"),
            ));
        }
        for value in [&setting.example].into_iter().chain(&setting.default).chain(&setting.one_of) {
            if !setting.accepts(value) {
                let what = format!("`config.{name}`: {value:?} does not fit its own pattern and `one_of`");
                found.push(Fault::new(&["config", name], what));
            }
        }
    }
    for place in data.places() {
        let Place::Template(template) = place else { continue };
        for name in names_in_host(template) {
            if data.config.get(name).is_some_and(|setting| !setting.pattern.is_for_hosts()) {
                let what = format!(
                    "{{{name}}} stands in a host, so `config.{name}.pattern` must be \"label\", \"host\" or \"domain\""
                );
                found.push(Fault::new(&["config", name, "pattern"], what));
            }
        }
    }
    let defaults = data.defaults();
    let mut filled = data.clone();
    filled.fill(&defaults, &defaults);
    for place in filled.places() {
        let Place::Template(template) = place else { continue };
        let settings: Vec<_> =
            place.names().into_iter().filter(|name| data.config.contains_key(*name)).collect();
        if !settings.is_empty() && settings.iter().all(|name| defaults.contains_key(*name)) {
            found
                .push(Fault::new(&["config"], format!("{template} comes to no URL with the defaults in it")));
        }
    }
}

fn scopes(data: &ProviderData, found: &mut Vec<Fault>) {
    let scope = &data.scope;
    for (word, separator) in
        [("separator", Some(&scope.separator)), ("granted_separator", scope.granted_separator.as_ref())]
    {
        let fits = |s: &&String| {
            !(1..=4).contains(&s.len()) || !s.chars().all(|c| c == ' ' || c.is_ascii_punctuation())
        };
        if separator.is_some_and(|s| fits(&s)) {
            let what = format!(
                "`scope.{word}` must be one to four spaces or punctuation marks, such as \" \" or \",\""
            );
            found.push(Fault::new(&["scope", word], what));
        }
    }
    for one in scope.default.iter().chain(scope.offline.iter()).chain(scope.second.iter()) {
        // White space separates whatever the file says: two in one pair of quotes are two.
        if one.contains(&scope.separator) {
            let what =
                format!("the scope {one:?} holds the separator; write each scope in quotes of its own");
            found.push(Fault::new(&["scope"], what));
        }
    }
}

fn lifetimes(data: &ProviderData, found: &mut Vec<Fault>) {
    let (rotation, expiry) = (&data.rotation, &data.expiry);
    let mut within = |at: [&str; 2], seconds: Option<u64>, least: u64, most: u64| {
        if seconds.is_some_and(|s| !(least..=most).contains(&s)) {
            let what = format!("`{}` is in seconds, and must be from {least} to {most}", at.join("."));
            found.push(Fault::new(&at, what));
        }
    };
    within(["expiry", "default_s"], expiry.default_s, 60, 400 * DAY_S);
    within(["expiry", "leeway_s"], expiry.leeway_s, 0, 60 * DAY_S);
    within(["rotation", "idle_ttl_s"], rotation.idle_ttl_s, DAY_S, 400 * DAY_S);
    within(["rotation", "absolute_ttl_s"], rotation.absolute_ttl_s, DAY_S, 3660 * DAY_S);
    within(["rotation", "grace_s"], Some(rotation.grace_s), 0, DAY_S);
    within(["refresh", "min_age_s"], Some(data.refresh.min_age_s), 0, 60 * DAY_S);
    if expiry.never && expiry.default_s.is_some() {
        let what =
            "`expiry.never` says that the token does not expire, and `expiry.default_s` when; keep one";
        found.push(Fault::new(&["expiry", "never"], what.into()));
    }
    if rotation.grace_s > 0 && rotation.mode != RotationMode::Always {
        let what =
            "`rotation.grace_s` is about spent refresh tokens, so it needs `rotation.mode` = \"always\"";
        found.push(Fault::new(&["rotation", "grace_s"], what.into()));
    }
}

fn flow(data: &ProviderData, found: &mut Vec<Fault>) {
    let tables = [
        ("authorize", &data.authorize.params),
        ("token", &data.token.params),
        ("refresh", &data.refresh.params),
    ];
    for (table, params) in tables {
        for kept in OF_THE_FLOW.iter().filter(|name| params.contains_key(**name)) {
            let what = format!("`{table}.params` has {kept}, which the flow itself says; leave it out");
            found.push(Fault::new(&[table, "params", kept], what));
        }
    }
    let renames = [("authorize", &data.authorize.rename), ("token", &data.token.rename)];
    for (table, (standard, theirs)) in
        renames.into_iter().flat_map(|(t, map)| map.iter().map(move |r| (t, r)))
    {
        if standard != theirs && (standard == "state" || OF_THE_FLOW.contains(&theirs.as_str())) {
            let what =
                format!("`{table}.rename` turns {standard} into {theirs}, which stands for something else");
            found.push(Fault::new(&[table, "rename", standard], what));
        }
    }
    if data.authorize.drop.iter().any(|name| name == "state") {
        let what = "`authorize.drop` has state, without which nothing guards the flow; leave it out";
        found.push(Fault::new(&["authorize", "drop"], what.into()));
    }
    if data.pkce.mode == PkceMode::Required && data.kind != Kind::Oauth2 {
        found.push(Fault::new(&["pkce"], "`pkce.mode` is for kind \"oauth2\" only".into()));
    }
    if data.identity.account_id.is_empty() {
        let what = "`identity.account_id` must name a member; leave it out for `sub`, else `id`";
        found.push(Fault::new(&["identity", "account_id"], what.into()));
    }
}

fn headers(data: &ProviderData, found: &mut Vec<Fault>) {
    let api = data.api.headers.iter().map(|h| (["api", "headers"], h));
    let token = data.token.headers.iter().map(|h| (["token", "headers"], h));
    let own = (["api", "header"], (&data.api.header, &data.api.scheme));
    for (at, (name, value)) in api.chain(token).chain([own]) {
        let sent =
            HeaderName::try_from(name.as_str()).is_ok() && HeaderValue::try_from(value.as_str()).is_ok();
        if !sent || value.replace("{client_id}", "").contains('{') {
            let what = format!("`{}`: {name:?} with {value:?} cannot be sent as a header", at.join("."));
            found.push(Fault::new(&at, what));
        }
    }
}
