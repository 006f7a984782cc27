//! What every page is set into: the header, the navigation, the texts, and the token of its forms.

use std::borrow::Borrow;
use std::fmt::Display;

use tokenry_model::{ExposeSecret as _, SecretString, Timestamp};

use super::assets;
use super::markup::Markup;
use super::texts::Language;

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// None of them.
    None,
    /// What is connected.
    Connections,
    /// What can be connected.
    Connect,
    /// The person's own account.
    Account,
    /// What is everybody's.
    Operator,
}

/// What the layout needs. Templates have it as `frame`.
pub(crate) struct Frame {
    base: String,
    language: Language,
    title: String,
    section: Section,
    username: Option<String>,
    operator: bool,
    form_token: SecretString,
    open_form_token: SecretString,
    notice: Option<String>,
}

impl Frame {
    pub(super) fn new(
        base: &str,
        language: Language,
        title: String,
        who: Option<(String, bool)>,
        [form_token, open_form_token]: [SecretString; 2],
    ) -> Self {
        let (username, operator) = who.map_or((None, false), |(name, operator)| (Some(name), operator));
        Self {
            base: base.to_owned(),
            language,
            title,
            section: Section::None,
            username,
            operator,
            form_token,
            open_form_token,
            notice: None,
        }
    }

    /// The page belongs to this entry of the navigation.
    pub(crate) fn at(self, section: Section) -> Self {
        Self { section, ..self }
    }

    /// Says above the page what was done.
    pub(crate) fn noticing(self, notice: Option<String>) -> Self {
        Self { notice, ..self }
    }

    /// The path under which people reach us, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    pub(crate) fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    pub(crate) fn operator(&self) -> bool {
        self.operator
    }

    pub(crate) fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// Says that this entry of the navigation is where one is.
    pub(crate) fn here(&self, section: &str) -> &'static str {
        let here = match self.section {
            Section::None => "",
            Section::Connections => "connections",
            Section::Connect => "connect",
            Section::Account => "account",
            Section::Operator => "operator",
        };
        if here == section { " aria-current=\"page\"" } else { "" }
    }

    /// The language of the page.
    pub(crate) fn language(&self) -> &Language {
        &self.language
    }

    /// A text.
    pub(crate) fn t(&self, key: &str) -> String {
        self.language.say(key, &[])
    }

    /// A text that names something.
    pub(crate) fn t1(&self, key: &str, name: &str, value: impl Display) -> String {
        self.language.say(key, &[(name, &value)])
    }

    /// A text that names two things.
    pub(crate) fn t2(
        &self,
        key: &str,
        name: &str,
        value: impl Display,
        second: &str,
        other: impl Display,
    ) -> String {
        self.language.say(key, &[(name, &value), (second, &other)])
    }

    /// A text with something in it that is marked up: a name, a time.
    pub(crate) fn m1(&self, key: &str, name: &str, value: impl Borrow<Markup>) -> Markup {
        self.language.mark(key, &[(name, value.borrow())])
    }

    /// As [`Frame::m1`], with two.
    pub(crate) fn m2(
        &self,
        key: &str,
        name: &str,
        value: impl Borrow<Markup>,
        second: &str,
        other: impl Borrow<Markup>,
    ) -> Markup {
        self.language.mark(key, &[(name, value.borrow()), (second, other.borrow())])
    }

    /// As [`Frame::m1`], with three.
    #[allow(clippy::too_many_arguments, reason = "each name goes with its value")]
    pub(crate) fn m3(
        &self,
        key: &str,
        name: &str,
        value: impl Borrow<Markup>,
        second: &str,
        other: impl Borrow<Markup>,
        third: &str,
        last: impl Borrow<Markup>,
    ) -> Markup {
        let marked = [(name, value.borrow()), (second, other.borrow()), (third, last.borrow())];
        self.language.mark(key, &marked)
    }

    /// Words of a service's own file: what a scope is good for, what a setting is called.
    pub(crate) fn foreign(&self, kind: &str, words: &str) -> Markup {
        self.language.foreign(kind, words)
    }

    /// The text for a word of a list that may grow without us, such as the categories of services.
    pub(crate) fn known(&self, kind: &str, word: &str) -> String {
        self.language.known(kind, word)
    }

    /// So many of what is kept sealed.
    pub(crate) fn kept(&self, what: &str, count: &str) -> String {
        self.language.known_count("kept", what, count)
    }

    /// A name that somebody gave.
    #[allow(clippy::unused_self, reason = "templates make markup through the frame")]
    pub(crate) fn name(&self, name: impl Display) -> Markup {
        Markup::name(name)
    }

    /// As [`Frame::name`], where the line is about it.
    #[allow(clippy::unused_self, reason = "as for `name`")]
    pub(crate) fn strong(&self, name: impl Display) -> Markup {
        Markup::strong(name)
    }

    /// The address of an asset. It changes with what is in it, so that browsers keep it for a year.
    pub(crate) fn asset(&self, name: &str) -> String {
        format!("{}/assets/{name}?v={}", self.base, assets::version())
    }

    /// The field that every form begins with.
    pub(crate) fn token_field(&self) -> String {
        hidden(&self.form_token)
    }

    /// The same, for forms that are for anyone: good whoever signs in or out meanwhile in this browser.
    pub(crate) fn open_token_field(&self) -> String {
        hidden(&self.open_form_token)
    }

    /// A time, for people.
    #[allow(clippy::unused_self, reason = "as for `name`")]
    pub(crate) fn time(&self, at: impl Borrow<Timestamp>) -> Markup {
        Markup::time(*at.borrow())
    }

    /// A sentence of the API or of a service, in English whatever the page's language.
    #[allow(clippy::unused_self, reason = "as for `name`")]
    pub(crate) fn quote(&self, text: impl Display) -> Markup {
        Markup::quote(&text.to_string())
    }
}

fn hidden(token: &SecretString) -> String {
    // Base64url: nothing in it needs to be escaped.
    format!(r#"<input type="hidden" name="form_token" value="{}">"#, token.expose_secret())
}
