//! The embedded data files.

use std::collections::HashMap;
use std::sync::OnceLock;

use include_dir::{Dir, include_dir};
use toml::{Table, Value};

use crate::CatalogueError;
use crate::data::{Kind, ProviderData};

pub(crate) static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/providers");

/// What is a file's own and is not taken over from the one it extends.
const OWN: [&str; 6] = ["id", "name", "aliases", "categories", "docs_url", "extends"];

/// The data of every built-in provider. Read once per process.
pub(crate) fn built_in() -> Result<Vec<ProviderData>, CatalogueError> {
    static READ: OnceLock<Result<Vec<ProviderData>, (String, String)>> = OnceLock::new();
    let read = READ.get_or_init(read_all);
    read.clone().map_err(|(file, cause)| CatalogueError::File { file, cause })
}

fn read_all() -> Result<Vec<ProviderData>, (String, String)> {
    let mut files: Vec<(String, &str)> = Vec::new();
    for file in FILES.files().filter(|file| file.path().extension().is_some_and(|e| e == "toml")) {
        let name = file.path().display().to_string();
        let text = file.contents_utf8().ok_or_else(|| (name.clone(), "it is not UTF-8".to_owned()))?;
        files.push((name, text));
    }
    read(&files)
}

/// Reads files, and puts under each one that extends another what that other says.
fn read(files: &[(String, &str)]) -> Result<Vec<ProviderData>, (String, String)> {
    let mut tables: HashMap<&str, Table> = HashMap::new();
    let mut children = Vec::new();
    let mut all = Vec::new();
    for (name, text) in files {
        let broken = |cause: String| (name.clone(), cause);
        let table: Table = text.parse().map_err(|e: toml::de::Error| broken(e.to_string()))?;
        if table.contains_key("extends") {
            children.push((name, table));
            continue;
        }
        // From the text, so that an error names the line.
        all.push(finish(toml::from_str(text).map_err(|e| broken(e.to_string()))?).map_err(broken)?);
        tables.insert(name.trim_end_matches(".toml"), table);
    }
    for (name, mut table) in children {
        let broken = |cause: String| (name.clone(), cause);
        let parent = table.remove("extends").and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        let Some(base) = tables.get(parent.as_str()) else {
            return Err(broken(format!("it extends {parent:?}, which is no file or extends another itself")));
        };
        let base = base.iter().filter(|(word, _)| !OWN.contains(&word.as_str()));
        put_under(&mut table, base);
        all.push(
            finish(table.try_into().map_err(|e: toml::de::Error| broken(e.to_string()))?).map_err(broken)?,
        );
    }
    Ok(all)
}

/// Lays the table over the base: what both have is merged if it is a table, and the table's otherwise.
fn put_under<'a>(table: &mut Table, base: impl Iterator<Item = (&'a String, &'a Value)>) {
    for (word, value) in base {
        match (table.get_mut(word), value) {
            (None, value) => {
                table.insert(word.clone(), value.clone());
            }
            (Some(Value::Table(own)), Value::Table(inherited)) => put_under(own, inherited.iter()),
            (Some(_), _) => {}
        }
    }
}

fn finish(data: ProviderData) -> Result<ProviderData, String> {
    let (authorize, token) = (data.authorize.url.is_some(), data.token.url.is_some());
    let complete = match data.kind {
        Kind::Oauth2 => authorize && token,
        Kind::Oauth1 => authorize && token && data.oauth1.request_url.is_some(),
        Kind::ClientCredentials => token,
        Kind::ApiKey | Kind::Basic => true,
    };
    if !complete {
        let needs = match data.kind {
            Kind::Oauth1 => "oauth1.request_url, authorize.url and token.url",
            Kind::ClientCredentials => "token.url",
            _ => "authorize.url and token.url",
        };
        return Err(format!("it needs {needs}"));
    }
    if let Some(name) = data.unknown_name() {
        return Err(format!("{{{name}}} is in a URL, and [config.{name}] is not there"));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Instant;

    use tokenry_model::ProviderId;
    use url::Url;

    use super::*;
    use crate::OutboundPolicy;
    use crate::data::{PkceMode, Place, RotationMode, names_in_host};

    const CATEGORIES: [&str; 32] = [
        "accounting",
        "ai",
        "analytics",
        "calendar",
        "cms",
        "communication",
        "crm",
        "data",
        "design",
        "dev-tools",
        "e-commerce",
        "education",
        "events",
        "finance",
        "fitness",
        "gaming",
        "hr",
        "identity",
        "iot",
        "legal",
        "marketing",
        "media",
        "music",
        "payment",
        "productivity",
        "research",
        "social",
        "storage",
        "support",
        "surveys",
        "travel",
        "video",
    ];
    const DAY_S: u64 = 86_400;

    fn one(text: &str) -> Result<Vec<ProviderData>, String> {
        read(&[("p.toml".to_owned(), text)]).map_err(|(_, cause)| cause)
    }

    #[test]
    fn there_are_at_least_250_services_and_they_are_read_fast() {
        let start = Instant::now();
        let read = read_all().unwrap();
        eprintln!("{} data files read in {:?}", read.len(), start.elapsed());
        let mut kinds = std::collections::BTreeMap::new();
        for data in &read {
            *kinds.entry(format!("{:?}", data.kind)).or_insert(0) += 1;
        }
        eprintln!("{kinds:?}");
        assert!(read.len() >= 250, "{}", read.len());
    }

    #[test]
    fn every_word_for_a_service_is_its_own() {
        let mut words = BTreeSet::new();
        for data in &built_in().unwrap() {
            let id = data.id.as_str();
            assert!(FILES.get_file(format!("{id}.toml")).is_some(), "{id} lies in a file of another name");
            assert!(!data.name.trim().is_empty(), "{id}");
            for word in data.aliases.iter().map(String::as_str).chain([id]) {
                assert!(ProviderId::parse(word).is_ok(), "{id}: {word}");
                assert!(words.insert(word.to_owned()), "two files claim {word}");
            }
        }
    }

    #[test]
    fn every_url_is_https_and_leads_to_a_name() {
        let policy = OutboundPolicy::default();
        for data in &built_in().unwrap() {
            let id = data.id.as_str();
            assert!(data.docs_url.is_some(), "{id}");
            let probe = |text: &str| {
                let mut text = data.config.iter().fold(text.to_owned(), |text, (name, setting)| {
                    text.replace(&format!("{{{name}}}"), &setting.example)
                });
                for name in data.token.capture.keys() {
                    text = text.replace(&format!("{{{name}}}"), "https://captured.example");
                }
                Url::parse(&text.replace("{client_id}", "x")).unwrap()
            };
            let places = data.places().into_iter().map(|place| match place {
                Place::Url(url) => url.clone(),
                Place::Template(template) => probe(template),
            });
            let plain = [
                &data.docs_url,
                &data.authorize.pushed_url,
                &data.oauth1.request_url,
                &data.credential.url,
                &data.token.upgrade.as_ref().map(|u| u.url.clone()),
            ];
            for url in places.chain(plain.into_iter().flatten().cloned()) {
                assert!(policy.check(&url).is_ok() && url.domain().is_some(), "{id}: {url}");
                assert!(url.fragment().is_none(), "{id}: {url}");
                assert!(url.domain().unwrap().contains('.') && url.port().is_none(), "{id}: {url}");
                assert!(!url.as_str().contains("%7B"), "{id}: {url}");
            }
        }
    }

    #[test]
    fn the_api_s_own_host_may_see_the_token() {
        for data in &built_in().unwrap() {
            let id = data.id.as_str();
            if let Some(Place::Url(base)) = &data.api.base_url {
                let host = base.host_str().unwrap();
                let covers =
                    |h: &String| h == host || h.strip_prefix('*').is_some_and(|end| host.ends_with(end));
                assert!(data.api.hosts.iter().any(covers), "{id}: {host} is not among the hosts");
            }
            for host in &data.api.hosts {
                let name = host.strip_prefix("*.").unwrap_or(host);
                assert!(
                    name.contains('.')
                        && Url::parse(&format!("https://{name}/")).unwrap().host_str() == Some(name),
                    "{id}: {host}"
                );
            }
        }
    }

    #[test]
    fn every_placeholder_has_a_pattern_that_its_example_and_default_fit() {
        for data in &built_in().unwrap() {
            let id = data.id.as_str();
            for (name, setting) in &data.config {
                assert!(setting.accepts(&setting.example), "{id}: {name}");
                assert!(!setting.title.is_empty(), "{id}: {name}");
                for value in setting.default.iter().chain(&setting.one_of) {
                    assert!(setting.accepts(value), "{id}: {name} = {value}");
                }
            }
            for place in data.places() {
                let Place::Template(template) = place else { continue };
                for name in names_in_host(template) {
                    let fits = match data.config.get(name) {
                        Some(setting) => setting.pattern.is_for_hosts(),
                        None => data.api.base_url.as_ref() == Some(place),
                    };
                    assert!(fits, "{id}: {name} stands in a host");
                }
            }
            if data.config.values().all(|setting| setting.default.is_some()) {
                let mut filled = data.clone();
                filled.fill(&data.defaults(), &data.defaults());
                let is_open =
                    |place: &Place| place.names().iter().any(|name| data.config.contains_key(*name));
                assert!(!filled.places().into_iter().any(is_open), "{id}: a default does not fit");
            }
        }
    }

    #[test]
    fn scopes_are_separated_and_explained_in_a_known_way() {
        for data in &built_in().unwrap() {
            let id = data.id.as_str();
            assert!([" ", ",", ";", ":"].contains(&data.scope.separator.as_str()), "{id}");
            for scope in data.scope.default.iter().chain(data.scope.offline.iter()) {
                assert!(!scope.contains([' ', ',']), "{id}: {scope:?}");
            }
            for (scope, text) in &data.scope.common {
                assert!(!scope.is_empty() && !text.is_empty() && text.len() <= 80, "{id}: {scope}");
            }
        }
    }

    #[test]
    fn lifetimes_are_those_of_tokens() {
        for data in &built_in().unwrap() {
            let (id, rotation, expiry) = (data.id.as_str(), &data.rotation, &data.expiry);
            assert!(expiry.default_s.is_none_or(|s| (60..=400 * DAY_S).contains(&s)), "{id}");
            assert!(expiry.leeway_s.is_none_or(|s| s <= 60 * DAY_S), "{id}");
            assert!(!(expiry.never && expiry.default_s.is_some()), "{id} expires and does not");
            assert!(rotation.idle_ttl_s.is_none_or(|s| (DAY_S..=400 * DAY_S).contains(&s)), "{id}");
            assert!(rotation.absolute_ttl_s.is_none_or(|s| (DAY_S..=10 * 366 * DAY_S).contains(&s)), "{id}");
            assert!(rotation.grace_s <= DAY_S, "{id}");
            assert!(rotation.grace_s == 0 || rotation.mode == RotationMode::Always, "{id}: grace for what?");
        }
    }

    #[test]
    fn data_do_not_say_what_is_the_flow_s_to_say() {
        for data in &built_in().unwrap() {
            let id = data.id.as_str();
            for kept in
                ["state", "redirect_uri", "response_type", "client_id", "code_challenge", "client_secret"]
            {
                assert!(!data.authorize.params.contains_key(kept), "{id}: {kept} is not for data to say");
                assert!(!data.token.params.contains_key(kept), "{id}: {kept} is not for data to say");
            }
            assert!(!data.authorize.drop.iter().any(|name| name == "state"), "{id}: nothing guards the flow");
            assert!(!(data.pkce.mode == PkceMode::Required && data.kind != Kind::Oauth2), "{id}");
            assert!(!data.identity.account_id.is_empty(), "{id}");
        }
    }

    #[test]
    fn every_service_is_of_a_known_category() {
        for data in &built_in().unwrap() {
            assert!(!data.categories.is_empty(), "{}", data.id);
            for category in &data.categories {
                assert!(CATEGORIES.contains(&category.as_str()), "{}: {category}", data.id);
            }
        }
    }

    #[test]
    fn headers_of_the_data_can_be_sent() {
        for data in &built_in().unwrap() {
            let all = data.api.headers.iter().chain(&data.token.headers);
            for (name, value) in all.chain([(&data.api.header, &data.api.scheme)]) {
                assert!(http::HeaderName::try_from(name.as_str()).is_ok(), "{}: {name}", data.id);
                assert!(http::HeaderValue::try_from(value.as_str()).is_ok(), "{}: {value}", data.id);
                assert!(!value.contains('{') || value.contains("{client_id}"), "{}: {value}", data.id);
            }
        }
    }

    #[test]
    fn an_unknown_word_in_a_data_file_is_an_error_that_names_it() {
        for text in [
            "id = \"p\"\nname = \"P\"\n[token]\nurl = \"https://p.example/t\"\nurk = 1\n",
            "id = \"p\"\nname = \"P\"\nkind = \"urk\"\n",
        ] {
            assert!(one(text).unwrap_err().contains("urk"), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let head = "id = \"p\"\nname = \"P\"\n";
        assert_eq!(one(head).unwrap_err(), "it needs authorize.url and token.url");
        assert!(one(&format!("{head}kind = \"api_key\"\n")).is_ok());
        assert!(one(&format!("{head}kind = \"client_credentials\"\n")).unwrap_err().contains("token.url"));
        assert!(one(&format!("{head}kind = \"oauth1\"\n")).unwrap_err().contains("oauth1.request_url"));
        let open =
            "[authorize]\nurl = \"https://{tenant}.p.example/a\"\n[token]\nurl = \"https://p.example/t\"\n";
        assert!(one(&format!("{head}{open}")).unwrap_err().contains("[config.tenant]"));
    }

    #[test]
    fn a_file_that_extends_another_changes_only_what_it_says() {
        let parent = "id = \"p\"\nname = \"P\"\naliases = [\"q\"]\n[authorize]\nurl = \"https://p.example/a\"\nparams = { a = \"1\", b = \"2\" }\n\
                      [token]\nurl = \"https://p.example/t\"\n[scope]\ndefault = [\"x\"]\nseparator = \",\"\n";
        let child = "id = \"c\"\nname = \"C\"\nextends = \"p\"\n[authorize]\nparams = { b = \"3\" }\n[scope]\ndefault = [\"y\"]\n";
        let read_both = |child: &str| {
            read(&[("p.toml".to_owned(), parent), ("c.toml".to_owned(), child)]).map(|mut all| all.remove(1))
        };
        let c = read_both(child).unwrap();
        assert_eq!((c.id.as_str(), c.name.as_str(), c.aliases.len()), ("c", "C", 0));
        assert_eq!(c.authorize.params.values().collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!((c.scope.default.to_string().as_str(), c.scope.separator.as_str()), ("y", ","));
        assert!(read_both(&child.replace("\"p\"", "\"nobody\"")).unwrap_err().1.contains("nobody"));
        assert!(read_both(&child.replace("\"p\"", "\"c\"")).is_err(), "no file extends itself");
    }
}
