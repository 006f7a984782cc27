//! Reading an operator's file of texts: what is wrong with it is said at once, and not on a page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use fluent_bundle::FluentResource;
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
use unic_langid::LanguageIdentifier;

use super::{TextFile, english_texts, parsed};

/// What is wrong with a file of texts. The display text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextsError {
    /// It is not called after a language.
    #[error("{file}: {tag:?} is no language; name the file after its tag, such as de.ftl or pt-BR.ftl")]
    NoLanguage {
        /// The file.
        file: String,
        /// What it is called.
        tag: String,
    },
    /// It is no Fluent.
    #[error(
        "{file}, line {line}: this is no Fluent text ({what}); see https://projectfluent.org/fluent/guide"
    )]
    Broken {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What the parser says.
        what: String,
    },
    /// No page says that.
    #[error("{file}: no page says {key:?}{}", close.as_ref().map(|close| format!("; did you mean {close}?")).unwrap_or_default())]
    UnknownText {
        /// The file.
        file: String,
        /// The key of the text.
        key: String,
        /// One that is much like it.
        close: Option<String>,
    },
    /// A variable that the text is not given.
    #[error("{file}: the text {key:?} is given {}, and not {name}", if given.is_empty() { "nothing".to_owned() } else { given.join(", ") })]
    UnknownVariable {
        /// The file.
        file: String,
        /// The key of the text.
        key: String,
        /// The variable.
        name: String,
        /// Those that it is given.
        given: Vec<String>,
    },
    /// A text says what is not there, or nothing.
    #[error("{file}: the text {key:?} lacks {what}")]
    Lacks {
        /// The file.
        file: String,
        /// The key of the text.
        key: String,
        /// What it lacks: a term, a function, another text, or a text at all.
        what: String,
    },
}

/// What words of lists that may grow are called by: a language may have a text for more of them than English.
pub(super) const LISTS: [&str; 8] =
    ["actor-", "category-", "credential-", "kept-", "outcome-", "scope-", "setting-title-", "why-not-"];

/// The texts of English, each with the variables that it is given.
static ENGLISH: LazyLock<BTreeMap<String, Found>> = LazyLock::new(|| texts_of(&parsed(english_texts())));

/// The keys of all texts there are.
pub(super) fn english_keys() -> impl Iterator<Item = &'static str> {
    ENGLISH.keys().map(String::as_str)
}

/// Reads a file.
pub(super) fn read(file: &TextFile) -> Result<(LanguageIdentifier, FluentResource), TextsError> {
    let name = || file.name.clone();
    let language = file.language.parse().ok().filter(|id: &LanguageIdentifier| !id.language.is_empty());
    let language =
        language.ok_or_else(|| TextsError::NoLanguage { file: name(), tag: file.language.clone() })?;
    let resource = FluentResource::try_new(file.text.clone()).map_err(|(_, errors)| {
        let first = errors.into_iter().next();
        let (at, what) = first.map_or((0, String::new()), |error| (error.pos.start, error.kind.to_string()));
        let line = file.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        TextsError::Broken { file: name(), line, what }
    })?;
    Ok((language, resource))
}

/// What cannot be said as it stands in a file.
pub(super) fn compare(file: &TextFile, resource: &FluentResource) -> Vec<TextsError> {
    let (texts, terms) = (texts_of(resource), terms_of(resource));
    let name = || file.name.clone();
    let mut found = Vec::new();
    for (key, text) in &texts {
        let Some(given) = ENGLISH.get(key) else {
            if !LISTS.iter().any(|list| key.starts_with(list)) {
                let close = ENGLISH.keys().max_by(|one, other| {
                    strsim::jaro_winkler(one, key).total_cmp(&strsim::jaro_winkler(other, key))
                });
                let close = close.filter(|close| strsim::jaro_winkler(close, key) > 0.85).cloned();
                found.push(TextsError::UnknownText { file: name(), key: key.clone(), close });
            }
            continue;
        };
        if let Some(unknown) = text.variables.difference(&given.variables).next() {
            let given = given.variables.iter().map(|name| format!("${name}")).collect();
            let name = format!("${unknown}");
            found.push(TextsError::UnknownVariable {
                file: file.name.clone(),
                key: key.clone(),
                name,
                given,
            });
        }
        let is_there = |reference: &&String| match reference.strip_prefix('-') {
            Some(term) => terms.contains(term),
            None => {
                texts.contains_key(*reference) || ENGLISH.contains_key(*reference) || *reference == "NUMBER()"
            }
        };
        let missing = text.references.iter().find(|reference| !is_there(reference));
        let missing = if text.is_empty { Some("a text") } else { missing.map(String::as_str) };
        if let Some(what) = missing {
            found.push(TextsError::Lacks { file: name(), key: key.clone(), what: what.to_owned() });
        }
    }
    found
}

/// What is in a text besides its words.
#[derive(Debug, Default)]
pub(super) struct Found {
    variables: BTreeSet<String>,
    /// Terms with a dash before them, functions with parentheses behind them, other texts as they are called.
    references: BTreeSet<String>,
    is_empty: bool,
}

/// The texts of a resource.
fn texts_of(resource: &FluentResource) -> BTreeMap<String, Found> {
    let texts = resource.entries().filter_map(|entry| match entry {
        Entry::Message(message) => {
            let mut found = Found { is_empty: message.value.is_none(), ..Found::default() };
            if let Some(pattern) = &message.value {
                in_pattern(pattern, &mut found);
            }
            Some((message.id.name.to_owned(), found))
        }
        _ => None,
    });
    texts.collect()
}

fn terms_of(resource: &FluentResource) -> BTreeSet<String> {
    let terms = resource.entries().filter_map(|entry| match entry {
        Entry::Term(term) => Some(term.id.name.to_owned()),
        _ => None,
    });
    terms.collect()
}

fn in_pattern(pattern: &Pattern<&str>, found: &mut Found) {
    for element in &pattern.elements {
        if let PatternElement::Placeable { expression } = element {
            in_expression(expression, found);
        }
    }
}

fn in_expression(expression: &Expression<&str>, found: &mut Found) {
    match expression {
        Expression::Inline(inline) => in_inline(inline, found),
        Expression::Select { selector, variants } => {
            in_inline(selector, found);
            for variant in variants {
                in_pattern(&variant.value, found);
            }
        }
    }
}

fn in_inline(inline: &InlineExpression<&str>, found: &mut Found) {
    match inline {
        InlineExpression::VariableReference { id } => {
            found.variables.insert(id.name.to_owned());
        }
        InlineExpression::Placeable { expression } => in_expression(expression, found),
        InlineExpression::FunctionReference { id, arguments } => {
            found.references.insert(format!("{}()", id.name));
            arguments.positional.iter().for_each(|argument| in_inline(argument, found));
            arguments.named.iter().for_each(|argument| in_inline(&argument.value, found));
        }
        InlineExpression::TermReference { id, .. } => {
            found.references.insert(format!("-{}", id.name));
        }
        InlineExpression::MessageReference { id, .. } => {
            found.references.insert(id.name.to_owned());
        }
        InlineExpression::StringLiteral { .. } | InlineExpression::NumberLiteral { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::BUILT_IN;
    use super::*;

    fn problem(name: &str, text: &str) -> String {
        let file =
            TextFile { name: format!("texts/{name}.ftl"), language: name.to_owned(), text: text.to_owned() };
        match read(&file) {
            Ok((_, resource)) => compare(&file, &resource).first().unwrap().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_place() {
        assert!(
            problem("my words", "").starts_with(r#"texts/my words.ftl: "my words" is no language; name the"#)
        );
        let broken = problem("de", "nav-sign-in = Anmelden\nnav-sign-out Abmelden\n");
        assert!(broken.starts_with("texts/de.ftl, line 2: this is no Fluent text"), "{broken}");
        let unknown = problem("de", "nav-signin = Anmelden");
        assert_eq!(unknown, r#"texts/de.ftl: no page says "nav-signin"; did you mean nav-sign-in?"#);
        assert_eq!(problem("de", "zzz = x"), r#"texts/de.ftl: no page says "zzz""#);
        let variable = problem("de", "notice-signed-in = Angemeldet als { $name }.");
        assert_eq!(
            variable,
            r#"texts/de.ftl: the text "notice-signed-in" is given $username, and not $name"#
        );
    }

    #[test]
    fn a_language_may_have_words_for_what_english_says_as_it_is() {
        let file = TextFile {
            name: "de.ftl".to_owned(),
            language: "de".to_owned(),
            text: "scope-read-all = alles lesen\n-brand = Tokenry\nhome-lead = { -brand } hält sie frisch."
                .to_owned(),
        };
        let (_, resource) = read(&file).unwrap();
        assert_eq!(compare(&file, &resource), []);
        assert!(problem("und", "").starts_with("texts/und.ftl: \"und\" is no language"));
        assert_eq!(
            problem("de", "home-lead = { -brand }"),
            "texts/de.ftl: the text \"home-lead\" lacks -brand"
        );
    }

    #[test]
    fn every_language_in_the_binary_fits_english() {
        assert!(BUILT_IN.files().any(|file| file.path() == Path::new("en.ftl")));
        for file in BUILT_IN.files() {
            let language = file.path().file_stem().unwrap().to_str().unwrap().to_owned();
            let text = file.contents_utf8().unwrap().to_owned();
            let name = language.clone();
            let file = TextFile { name, language, text };
            let (_, resource) = read(&file).unwrap();
            assert_eq!(compare(&file, &resource), []);
        }
    }

    /// Everything in quotes, anywhere in the code and the templates of this crate, that looks like a key.
    fn quoted(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "texts") {
                quoted(&path, found);
            } else if path.is_file() && path.file_name().is_some_and(|name| name != "texts.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let words = text.split('"').filter(|word| {
                    !word.is_empty()
                        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                });
                found.extend(words.map(str::to_owned));
            }
        }
    }

    /// The keys that templates say: `t("…")`, `t1("…"`, `m1("…"` and so on.
    fn said(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for call in [".t(\"", ".t1(\"", ".t2(\"", ".m1(\"", ".m2(\"", ".m3(\""] {
                found.extend(
                    text.split(call).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())),
                );
            }
        }
    }

    /// The keys that code says: `say("…")`, `mark("…"` and so on.
    fn called(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "texts") {
                called(&path, found);
            } else if path.is_file() && path.file_name().is_some_and(|name| name != "texts.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for call in
                    ["say(\"", "mark(\"", "number(\"", "because(\"", "at(\"", "frame(\"", "message(visit, \""]
                {
                    let keys = text.split(call).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
                    found.extend(
                        keys.filter(|key| key.contains('-') && !key.starts_with('-')).map(str::to_owned),
                    );
                }
            }
        }
    }

    #[test]
    fn every_text_that_is_said_is_there_and_every_one_that_is_there_is_said() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let english = english_texts();
        let lines = english
            .lines()
            .filter(|line| line.contains(" =") && line.starts_with(|c: char| c.is_ascii_lowercase()));
        assert_eq!(lines.count(), ENGLISH.len(), "a text is there twice, or it has no value");
        let keys: BTreeSet<String> = ENGLISH.keys().cloned().collect();
        let mut used = BTreeSet::new();
        quoted(&root.join("src"), &mut used);
        quoted(&root.join("templates"), &mut used);
        // The title of a message, what to do next, and the button for it go by the message's own name.
        let said_by_name = |key: &str| {
            let of = ["-title", "-next", "-button"].iter().find_map(|part| key.strip_suffix(part));
            used.contains(key)
                || of.is_some_and(|name| used.contains(name))
                || LISTS.iter().any(|list| key.starts_with(list))
        };
        let unused: Vec<_> = keys.iter().filter(|key| !said_by_name(key)).collect();
        assert!(unused.is_empty(), "nobody says {unused:?}");
        let mut in_templates = BTreeSet::new();
        said(&root.join("templates"), &mut in_templates);
        assert!(in_templates.len() > 10, "the templates are looked for at the wrong place");
        let missing: Vec<_> = in_templates.difference(&keys).collect();
        assert!(missing.is_empty(), "en.ftl lacks {missing:?}");
        let mut in_code = BTreeSet::new();
        called(&root.join("src"), &mut in_code);
        assert!(in_code.len() > 100, "the code is looked for at the wrong place");
        let missing: Vec<_> = in_code.difference(&keys).collect();
        assert!(missing.is_empty(), "en.ftl lacks {missing:?}");
    }
}
