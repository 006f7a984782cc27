//! What the pages say. All of it is in `texts/en.ftl` (Fluent), so that a second language is a file.

use std::fmt::Display;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

const ENGLISH: &str = include_str!("../../texts/en.ftl");

static TEXTS: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| {
    let mut bundle = FluentBundle::new_concurrent(vec!["en".parse().unwrap_or_default()]);
    // Names of people and accounts stand in elements of their own.
    bundle.set_use_isolating(false);
    // What a broken line would leave out, the test below finds.
    let resource = FluentResource::try_new(ENGLISH.to_owned()).unwrap_or_else(|(parsed, _)| parsed);
    let _ = bundle.add_resource(resource);
    bundle
});

/// A text, with what it names filled in. A key that is not there is said as it is: a test keeps that from happening.
pub(crate) fn say(key: &str, arguments: &[(&str, &dyn Display)]) -> String {
    let Some(pattern) = TEXTS.get_message(key).and_then(|message| message.value()) else {
        return key.to_owned();
    };
    let mut filled = FluentArgs::new();
    for (name, value) in arguments {
        let text = value.to_string();
        // A number chooses the plural. A name may look like one: it is said as it is written.
        let number = text.parse::<i32>().ok().filter(|number| number.to_string() == text);
        let value = number.map_or(FluentValue::from(text), FluentValue::from);
        filled.set((*name).to_owned(), value);
    }
    TEXTS.format_pattern(pattern, Some(&filled), &mut Vec::new()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_texts_can_be_read_and_a_number_chooses_the_plural() {
        assert!(FluentResource::try_new(ENGLISH.to_owned()).is_ok(), "a line of en.ftl is broken");
        assert_eq!(say("nothing-has-this-key", &[]), "nothing-has-this-key");
        for name in ["ada", "007", "1e3", "9007199254740993", "12"] {
            let expected = format!("You are signed in as {name}.");
            assert_eq!(say("notice-signed-in", &[("username", &name)]), expected);
        }
    }

    /// Everything in quotes, anywhere in the code and the templates of this crate, that looks like a key.
    fn quoted(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                quoted(&path, found);
            } else if path.file_name().is_some_and(|name| name != "texts.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let words = text.split('"').filter(|word| {
                    !word.is_empty()
                        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                });
                found.extend(words.map(str::to_owned));
            }
        }
    }

    /// The keys said by templates: `t("…")`, `t1("…"`, `t2("…"`.
    fn said(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for call in [".t(\"", ".t1(\"", ".t2(\""] {
                found.extend(
                    text.split(call).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())),
                );
            }
        }
    }

    #[test]
    fn every_text_that_is_said_is_there_and_every_one_that_is_there_is_said() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut keys = BTreeSet::new();
        for line in ENGLISH.lines() {
            if let Some((key, _)) = line.split_once(" =")
                && key.starts_with(|c: char| c.is_ascii_lowercase())
            {
                assert!(keys.insert(key.to_owned()), "{key} is there twice");
            }
        }
        let mut used = BTreeSet::new();
        quoted(&root.join("src"), &mut used);
        quoted(&root.join("templates"), &mut used);
        // The title of a message, what to do next, and the button for it go by the message's own name.
        let said_by_name = |key: &str| {
            let of = ["-title", "-next", "-button"].iter().find_map(|part| key.strip_suffix(part));
            used.contains(key) || of.is_some_and(|name| used.contains(name))
        };
        let unused: Vec<_> = keys.iter().filter(|key| !said_by_name(key)).collect();
        assert!(unused.is_empty(), "nobody says {unused:?}");
        let mut in_templates = BTreeSet::new();
        said(&root.join("templates"), &mut in_templates);
        assert!(in_templates.len() > 10, "the templates are looked for at the wrong place");
        let missing: Vec<_> = in_templates.difference(&keys).collect();
        assert!(missing.is_empty(), "en.ftl lacks {missing:?}");
    }
}
