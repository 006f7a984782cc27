//! What every page is set into: the header, the navigation, the texts, and the token of its forms.

use std::borrow::Borrow;
use std::fmt::Display;

use tokenry_model::{ExposeSecret as _, SecretString, Timestamp};

use super::{assets, texts};

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
        title: String,
        who: Option<(String, bool)>,
        [form_token, open_form_token]: [SecretString; 2],
    ) -> Self {
        let (username, operator) = who.map_or((None, false), |(name, operator)| (Some(name), operator));
        Self {
            base: base.to_owned(),
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

    /// A text.
    #[allow(
        clippy::unused_self,
        reason = "templates say it through the frame, and another language would be the frame's"
    )]
    pub(crate) fn t(&self, key: &str) -> String {
        texts::say(key, &[])
    }

    /// A text that names something.
    #[allow(clippy::unused_self, reason = "as for `t`")]
    pub(crate) fn t1(&self, key: &str, name: &str, value: impl Display) -> String {
        texts::say(key, &[(name, &value)])
    }

    /// A text that names two things.
    #[allow(clippy::unused_self, reason = "as for `t`")]
    pub(crate) fn t2(
        &self,
        key: &str,
        name: &str,
        value: impl Display,
        second: &str,
        other: impl Display,
    ) -> String {
        texts::say(key, &[(name, &value), (second, &other)])
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

    /// A time, for people: in UTC until a script puts it into the reader's zone and words.
    #[allow(clippy::unused_self, reason = "as for `t`")]
    pub(crate) fn time(&self, at: impl Borrow<Timestamp>) -> String {
        let text = at.borrow().to_string();
        let (date, time) = text.split_once('T').unwrap_or((&text, ""));
        let minutes = time.get(..5).unwrap_or_default();
        format!(r#"<time class="when" datetime="{text}">{date} {minutes} UTC</time>"#)
    }
}

fn hidden(token: &SecretString) -> String {
    // Base64url: nothing in it needs to be escaped.
    format!(r#"<input type="hidden" name="form_token" value="{}">"#, token.expose_secret())
}
