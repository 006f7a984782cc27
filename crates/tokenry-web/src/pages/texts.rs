//! What the pages say, in every language there is. A language is a file: `texts/<language>.ftl` here is in the binary, and an
//! operator's own files add languages and change words ([Fluent](https://projectfluent.org)).

mod check;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::types::FluentNumber;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use fluent_langneg::{NegotiationStrategy, negotiate_languages};
use include_dir::{Dir, include_dir};
use unic_langid::{CharacterDirection, LanguageIdentifier};

pub use self::check::TextsError;
use super::markup::Markup;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/texts");
/// What everything is said in that another language lacks.
const FALLBACK: &str = "en";
/// A letter that is in no text: it keeps the place of what is marked up (Unicode's private use area).
const PLACE: u32 = 0xf0000;

/// A file of texts, as an operator gives it.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// What errors call it.
    pub name: String,
    /// The language, as a tag (BCP 47): `de`, `pt-BR`.
    pub language: String,
    /// What is in it.
    pub text: String,
}

/// All languages. English is the first.
pub struct Texts(Vec<Language>);

impl Texts {
    /// The languages in the binary.
    pub fn built_in() -> Arc<Self> {
        static ALONE: LazyLock<Arc<Texts>> = LazyLock::new(|| {
            // What a broken line would leave out, a test of this crate finds.
            Arc::new(Texts(Texts::languages(HashMap::new())))
        });
        Arc::clone(&ALONE)
    }

    /// The languages in the binary, with an operator's files: each adds a language, or changes words of one. Gives besides what
    /// cannot be said as it stands in a file, and is said in English: a text that no page says (any more), or with a variable
    /// that it is not given. A translation does not keep a newer version from its start.
    ///
    /// # Errors
    /// [`TextsError`], for the operator, which names the file: when it is not called after a language, or is no Fluent.
    pub fn with(files: &[TextFile]) -> Result<(Arc<Self>, Vec<TextsError>), TextsError> {
        let mut own: HashMap<LanguageIdentifier, Vec<FluentResource>> = HashMap::new();
        let mut unsaid = Vec::new();
        for file in files {
            let (language, resource) = check::read(file)?;
            unsaid.extend(check::compare(file, &resource));
            own.entry(language).or_default().push(resource);
        }
        Ok((Arc::new(Self(Self::languages(own))), unsaid))
    }

    fn languages(own: HashMap<LanguageIdentifier, Vec<FluentResource>>) -> Vec<Language> {
        let mut all: BTreeMap<String, (LanguageIdentifier, Vec<FluentResource>)> = BTreeMap::new();
        for file in BUILT_IN.files() {
            let name = file.path().file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if let (Ok(id), Some(text)) = (name.parse::<LanguageIdentifier>(), file.contents_utf8()) {
                all.insert(id.to_string(), (id, vec![parsed(text)]));
            }
        }
        // Ours alone: what an operator's words cannot say, in English too.
        let plain = all.remove(FALLBACK).map(|(id, resources)| Language::new(id, resources, None));
        for (id, resources) in own {
            all.entry(id.to_string()).or_insert_with(|| (id, Vec::new())).1.extend(resources);
        }
        let english = match all.remove(FALLBACK) {
            Some((id, words)) => Some(Language::new(id, words, plain)),
            None => plain,
        };
        let fallback = english.clone();
        let others = all.into_values().map(|(id, own)| Language::new(id, own, fallback.clone()));
        english.into_iter().chain(others).collect()
    }

    /// How many texts each language but English lacks, by its tag: they are said in English.
    pub fn lacking(&self) -> Vec<(&str, usize)> {
        let lacking = |language: &Language| {
            let bundle = &language.0.bundle;
            check::english_keys().filter(|key| bundle.get_message(key).is_none()).count()
        };
        let all = self.0.iter().skip(1).map(|language| (language.tag(), lacking(language)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// The language that a browser's `Accept-Language` (RFC 9110 §12.5.4) asks for and that there is; else English.
    pub(crate) fn choose(&self, accepted: Option<&str>) -> Language {
        let asked = asked_for(accepted.unwrap_or_default());
        let there: Vec<&LanguageIdentifier> = self.0.iter().map(|language| &language.0.id).collect();
        let found = negotiate_languages(&asked, &there, None, NegotiationStrategy::Lookup);
        let chosen = found.first().and_then(|id| self.0.iter().find(|language| language.0.id == ***id));
        chosen.or(self.0.first()).cloned().unwrap_or_else(Language::nothing)
    }
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|language| &language.0.tag)).finish()
    }
}

/// The file of English texts: what a translation begins with.
pub fn english_texts() -> &'static str {
    BUILT_IN.get_file(concat!("en", ".ftl")).and_then(include_dir::File::contents_utf8).unwrap_or_default()
}

/// The texts of a server that runs: an operator's files can be read anew.
#[derive(Debug, Clone)]
pub struct LiveTexts(Arc<RwLock<Arc<Texts>>>);

impl LiveTexts {
    /// These texts.
    pub fn new(texts: Arc<Texts>) -> Self {
        Self(Arc::new(RwLock::new(texts)))
    }

    /// Says everything with these from now on.
    pub fn replace(&self, texts: Arc<Texts>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = texts;
    }

    pub(crate) fn now(&self) -> Arc<Texts> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The languages of an `Accept-Language`, the most wanted first. What weighs nothing is not wanted.
fn asked_for(accepted: &str) -> Vec<LanguageIdentifier> {
    let read = |entry: &str| {
        let (tag, rest) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = rest.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse().ok());
        Some((tag.trim().parse().ok()?, weight.filter(|weight: &f32| *weight > 0.0)?))
    };
    let mut all: Vec<(LanguageIdentifier, f32)> = accepted.split(',').take(20).filter_map(read).collect();
    all.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    all.into_iter().map(|(id, _)| id).collect()
}

/// What stands between the thousands of a number for people: a narrow space that does not break.
pub(crate) const THOUSANDS: char = '\u{202f}';

/// A number that chooses the plural. A name may look like one: it is said as it is written, as is what no number holds.
fn number_of(text: &str) -> Option<FluentValue<'static>> {
    let digits = text.replace(THOUSANDS, "");
    let number: i32 = digits.parse().ok().filter(|number: &i32| number.to_string() == digits)?;
    let is_grouped = digits.len() != text.len();
    let mut number = FluentNumber::from(number);
    // Small ones are as a literal number in a text is: `[0]` has to find them.
    number.options.use_grouping = is_grouped || digits.len() < 4;
    Some(FluentValue::Number(number))
}

/// Writes a number as it came: with its thousands apart, if they were.
fn format_number<M>(value: &FluentValue<'_>, _: &M) -> Option<String> {
    let FluentValue::Number(number) = value else { return None };
    let digits = number.as_string();
    if !number.options.use_grouping || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(digits.into_owned());
    }
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(THOUSANDS);
        }
        text.push(digit);
    }
    Some(text)
}

/// Whether a letter keeps the place of something that is marked up.
fn is_place(letter: char) -> bool {
    (PLACE..PLACE + 16).contains(&u32::from(letter))
}

fn parsed(text: &str) -> FluentResource {
    FluentResource::try_new(text.to_owned()).unwrap_or_else(|(parsed, _)| parsed)
}

/// One language. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Language(Arc<Words>);

struct Words {
    id: LanguageIdentifier,
    tag: String,
    bundle: FluentBundle<FluentResource>,
    /// What says what this one lacks.
    fallback: Option<Language>,
}

impl Language {
    fn new(id: LanguageIdentifier, resources: Vec<FluentResource>, fallback: Option<Self>) -> Self {
        let mut bundle = FluentBundle::new_concurrent(vec![id.clone()]);
        // Where texts run from right to left, a name in one would turn it over.
        bundle.set_use_isolating(id.character_direction() == CharacterDirection::RTL);
        bundle.set_formatter(Some(format_number));
        // Cannot fail: nothing else is called that.
        let _ = bundle.add_builtins();
        for resource in resources {
            bundle.add_resource_overriding(resource);
        }
        Self(Arc::new(Words { tag: id.to_string(), id, bundle, fallback }))
    }

    fn nothing() -> Self {
        Self::new(LanguageIdentifier::default(), Vec::new(), None)
    }

    /// Its tag (BCP 47).
    pub(crate) fn tag(&self) -> &str {
        &self.0.tag
    }

    /// Which way it is written: `ltr` or `rtl`.
    pub(crate) fn direction(&self) -> &'static str {
        if self.0.id.character_direction() == CharacterDirection::RTL { "rtl" } else { "ltr" }
    }

    /// A text, with what it names filled in. What a language lacks is said in English; a key that is nowhere is said as it is: a
    /// test keeps that from happening.
    pub(crate) fn say(&self, key: &str, arguments: &[(&str, &dyn Display)]) -> String {
        let mut filled = FluentArgs::new();
        for (name, value) in arguments {
            let text = value.to_string();
            filled.set((*name).to_owned(), number_of(&text).unwrap_or_else(|| FluentValue::from(text)));
        }
        self.format(key, &filled).unwrap_or_else(|| key.to_owned())
    }

    /// A text in which something is marked up: a time, a name, a link. All of it but that is escaped.
    pub(crate) fn mark(&self, key: &str, arguments: &[(&str, &Markup)]) -> Markup {
        let mut filled = FluentArgs::new();
        let places = (PLACE..).filter_map(char::from_u32);
        for ((name, markup), place) in arguments.iter().zip(places) {
            let value = number_of(markup.as_str()).unwrap_or_else(|| FluentValue::from(place.to_string()));
            filled.set((*name).to_owned(), value);
        }
        let text = self.format(key, &filled).unwrap_or_else(|| key.to_owned());
        let mut html = String::new();
        // In one go: a name that somebody gave may have such a letter in it.
        let mut rest = text.as_str();
        while let Some(at) = rest.find(is_place) {
            let place = rest[at..].chars().next().unwrap_or_default();
            html.push_str(Markup::text(&rest[..at]).as_str());
            let marked = usize::try_from(u32::from(place) - PLACE).ok().and_then(|n| arguments.get(n));
            html.push_str(marked.map_or("", |(_, markup)| markup.as_str()));
            rest = &rest[at + place.len_utf8()..];
        }
        html.push_str(Markup::text(rest).as_str());
        Markup::trusted(html)
    }

    /// The text for a word of a list that may grow without us (`kind` and the word make its key); the word itself where there is
    /// none.
    pub(crate) fn known(&self, kind: &str, word: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let key: String = format!("{kind}-{}", word.chars().map(plain).collect::<String>());
        self.format(&key, &FluentArgs::new()).unwrap_or_else(|| word.to_owned())
    }

    /// As [`Language::known`], for so many of something.
    pub(crate) fn known_count(&self, kind: &str, word: &str, count: &str) -> String {
        let key = format!("{kind}-{}", word.replace(' ', "-"));
        let mut filled = FluentArgs::new();
        filled.set("count", number_of(count).unwrap_or_else(|| FluentValue::from(count.to_owned())));
        self.format(&key, &filled).unwrap_or_else(|| format!("{count} {word}"))
    }

    /// As [`Language::known`], for words of a service's own file, which are English where this language has none.
    pub(crate) fn foreign(&self, kind: &str, words: &str) -> Markup {
        let known = self.known(kind, words);
        if known == words { Markup::quote(words) } else { Markup::text(known) }
    }

    fn format(&self, key: &str, arguments: &FluentArgs<'_>) -> Option<String> {
        let bundle = &self.0.bundle;
        match bundle.get_message(key).and_then(|message| message.value()) {
            Some(text) => {
                let mut errors = Vec::new();
                let said = bundle.format_pattern(text, Some(arguments), &mut errors).into_owned();
                // What cannot be said as it stands in an operator's file is said in our English, where all can.
                match &self.0.fallback {
                    Some(english) if !errors.is_empty() => english.format(key, arguments),
                    Some(_) => Some(said),
                    None => {
                        debug_assert!(errors.is_empty(), "{key}: {errors:?}");
                        Some(said)
                    }
                }
            }
            None => self.0.fallback.as_ref()?.format(key, arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english() -> Language {
        Texts::built_in().choose(None)
    }

    fn german(text: &str) -> Arc<Texts> {
        let file = TextFile { name: "de.ftl".to_owned(), language: "de".to_owned(), text: text.to_owned() };
        Texts::with(&[file]).unwrap().0
    }

    #[test]
    fn a_number_chooses_the_plural_and_a_name_that_looks_like_one_stays_as_it_is() {
        let english = english();
        assert_eq!(english.say("nothing-has-this-key", &[]), "nothing-has-this-key");
        for name in ["ada", "007", "1e3", "9007199254740993", "12"] {
            let expected = format!("You are signed in as {name}.");
            assert_eq!(english.say("notice-signed-in", &[("username", &name)]), expected);
        }
    }

    #[test]
    fn the_browser_chooses_among_the_languages_that_there_are() {
        let texts = german("nav-sign-in = Anmelden");
        for (accepted, tag) in [
            (None, "en"),
            (Some(""), "en"),
            (Some("de"), "de"),
            (Some("de-AT, en;q=0.5"), "de"),
            (Some("en;q=0.5, de;q=0.7"), "de"),
            (Some("de;q=0, fr"), "en"),
            (Some("fr, *;q=0.1"), "en"),
            (Some("\u{0}, ;;;q=x, -"), "en"),
        ] {
            assert_eq!(texts.choose(accepted).tag(), tag, "{accepted:?}");
        }
        assert_eq!(texts.choose(Some("de")).direction(), "ltr");
    }

    #[test]
    fn what_a_language_lacks_is_said_in_english() {
        let german = german("nav-sign-in = Anmelden").choose(Some("de"));
        assert_eq!(german.say("nav-sign-in", &[]), "Anmelden");
        assert_eq!(german.say("nav-sign-out", &[]), "Sign out");
    }

    #[test]
    fn an_operator_changes_a_word_of_english() {
        let file = TextFile {
            name: "en.ftl".to_owned(),
            language: "en".to_owned(),
            text: "nav-connect = Link an account".to_owned(),
        };
        let (texts, unsaid) = Texts::with(&[file]).unwrap();
        assert!(unsaid.is_empty(), "{unsaid:?}");
        let changed = texts.choose(None);
        assert_eq!(changed.say("nav-connect", &[]), "Link an account");
        let broken = TextFile {
            name: "en.ftl".to_owned(),
            language: "en".to_owned(),
            text: "notice-signed-in = Hello { $name }\nhome-gone =\n    .x = y".to_owned(),
        };
        let (english, unsaid) = Texts::with(&[broken]).unwrap();
        assert_eq!(unsaid.len(), 2, "{unsaid:?}");
        let english = english.choose(None);
        assert_eq!(english.say("notice-signed-in", &[("username", &"ada")]), "You are signed in as ada.");
        assert!(english.say("home-gone", &[]).starts_with("Deleting a connection"));
        assert_eq!(changed.say("nav-sign-in", &[]), "Sign in");
        let live = LiveTexts::new(texts);
        live.replace(Texts::built_in());
        assert_eq!(live.now().choose(None).say("nav-connect", &[]), "Connect");
    }

    #[test]
    fn a_number_chooses_the_plural_also_with_its_thousands_apart_and_where_it_is_marked_up() {
        let texts =
            german("catalogue-count = { $count ->\n    [one] ein Dienst\n   *[other] { $count } Dienste\n }");
        let german = texts.choose(Some("de"));
        let count = |count: &str| german.say("catalogue-count", &[("count", &count)]);
        assert_eq!(count("1"), "ein Dienst");
        let none = english().say("services-lead", &[("ready", &0), ("all", &"1\u{202f}363")]);
        assert_eq!(none, "None of 1\u{202f}363 services is set up yet.");
        assert_eq!(count("1\u{202f}234"), "1\u{202f}234 Dienste");
        assert_eq!(count("1234"), "1234 Dienste");
        let marked = german.mark("catalogue-count", &[("count", &Markup::text(1))]);
        assert_eq!(marked.as_str(), "ein Dienst");
    }

    #[test]
    fn what_cannot_be_said_as_it_stands_is_said_in_english_and_told() {
        let text = "nav-sign-in = Anmelden\nnotice-signed-in = Angemeldet als { $name }.\nnav-sing-out = Ab\n\
                    home-lead = { -brand }\nhome-fresh = { NUMBER(5) } { SHOUT(\"x\") }\nhome-gone =\n    .x = y";
        let file = TextFile { name: "de.ftl".to_owned(), language: "de".to_owned(), text: text.to_owned() };
        let (texts, unsaid) = Texts::with(&[file]).unwrap();
        let unsaid: Vec<_> = unsaid.iter().map(ToString::to_string).collect();
        assert_eq!(unsaid.len(), 5, "{unsaid:?}");
        let german = texts.choose(Some("de"));
        assert_eq!(german.say("nav-sign-in", &[]), "Anmelden");
        assert_eq!(german.say("notice-signed-in", &[("username", &"ada")]), "You are signed in as ada.");
        for key in ["home-lead", "home-fresh", "home-gone"] {
            assert_eq!(german.say(key, &[]), english().say(key, &[]));
        }
    }

    #[test]
    fn a_name_does_not_turn_over_a_text_that_runs_from_right_to_left() {
        let file = TextFile {
            name: "he.ftl".to_owned(),
            language: "he".to_owned(),
            text: "notice-signed-in = ברוך הבא { $username }!".to_owned(),
        };
        let hebrew = Texts::with(&[file]).unwrap().0.choose(Some("he"));
        assert_eq!(hebrew.direction(), "rtl");
        let said = hebrew.say("notice-signed-in", &[("username", &"ada")]);
        assert!(said.contains("\u{2068}ada\u{2069}"), "{said:?}");
    }

    #[test]
    fn what_is_marked_up_stands_in_a_text_that_is_escaped() {
        let texts = german("home-lead = <b>&\nleaving-when = Gelöscht wird es <i>um</i> { $at }.");
        let german = texts.choose(Some("de"));
        let at = Markup::trusted("<time>12:00</time>".to_owned());
        let said = german.mark("leaving-when", &[("at", &at)]);
        assert_eq!(said.as_str(), "Gelöscht wird es &#60;i&#62;um&#60;/i&#62; <time>12:00</time>.");
        let english = english();
        let (sly, other) = (Markup::name("\u{f0001}\u{f0000}"), Markup::name("other"));
        let said = english.mark("confirm-who-unnamed", &[("username", &sly), ("service", &other)]);
        assert_eq!(said.as_str().matches("other").count(), 1, "{said}");
    }

    #[test]
    fn a_word_that_has_no_text_is_said_as_it_is() {
        assert_eq!(english().known("category", "dev-tools"), "Developer tools");
        assert_eq!(english().known("category", "beekeeping"), "beekeeping");
    }
}
