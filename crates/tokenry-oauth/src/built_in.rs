//! The embedded data files.

use std::sync::OnceLock;

use include_dir::{Dir, include_dir};

use crate::CatalogueError;
use crate::data::ProviderData;
use crate::provider_file::{FileProblem, Files, ProviderFile};

pub(crate) static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/providers");

/// The data of every built-in provider. Read once per process.
pub(crate) fn built_in() -> Result<Vec<ProviderData>, CatalogueError> {
    static READ: OnceLock<Result<Vec<ProviderData>, Vec<FileProblem>>> = OnceLock::new();
    READ.get_or_init(|| read(&embedded())).clone().map_err(CatalogueError::Files)
}

/// The text of the built-in file of that id.
pub(crate) fn built_in_text(id: &str) -> Option<&'static str> {
    FILES.get_file(format!("{id}.toml"))?.contents_utf8()
}

fn embedded() -> Vec<ProviderFile> {
    FILES
        .files()
        .filter(|file| file.path().extension().is_some_and(|e| e == "toml"))
        .map(|file| ProviderFile {
            name: file.path().display().to_string(),
            // One that is not UTF-8 would be empty, and fail for want of an id.
            text: file.contents_utf8().unwrap_or_default().to_owned(),
        })
        .collect()
}

fn read(files: &[ProviderFile]) -> Result<Vec<ProviderData>, Vec<FileProblem>> {
    let mut problems = Vec::new();
    let read = Files::parse(files, &mut problems).finish(None, &mut problems);
    if problems.is_empty() { Ok(read.into_iter().map(|(_, data)| data).collect()) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Instant;

    use tokenry_model::ProviderId;
    use url::Url;

    use super::*;
    use crate::OutboundPolicy;
    use crate::data::Place;

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

    #[test]
    fn every_file_passes_the_check_that_the_operator_s_own_have_to_pass() {
        let (files, mut problems) = (embedded(), Vec::new());
        let parsed = Files::parse(&files, &mut problems);
        parsed.finish(Some(&OutboundPolicy::default()), &mut problems);
        assert_eq!(problems, []);
    }

    #[test]
    fn there_are_at_least_250_services_and_they_are_read_fast() {
        let start = Instant::now();
        let read = read(&embedded()).unwrap();
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
    fn every_service_is_of_a_known_category() {
        for data in &built_in().unwrap() {
            assert!(!data.categories.is_empty(), "{}", data.id);
            for category in &data.categories {
                assert!(CATEGORIES.contains(&category.as_str()), "{}: {category}", data.id);
            }
        }
    }
}
