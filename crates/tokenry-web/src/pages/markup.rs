//! Text that is HTML already, told apart from text that is not.

use std::fmt::{self, Display};

use askama::filters::{Escaper as _, Html, HtmlSafe};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokenry_model::Timestamp;

/// A piece of HTML. Templates put it out as it is; all that was not written by us in it is escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Markup(String);

impl Markup {
    /// HTML of ours.
    pub(super) const fn trusted(html: String) -> Self {
        Self(html)
    }

    /// Any text, escaped.
    pub(crate) fn text(text: impl Display) -> Self {
        let mut html = String::new();
        let _ = Html.write_escaped_str(&mut html, &text.to_string());
        Self(html)
    }

    /// A name that somebody gave: of a person, an account, a service. It stands apart from the text around it, whichever way
    /// that is written, and no machine translates it.
    pub(crate) fn name(name: impl Display) -> Self {
        Self(format!("<bdi translate=\"no\">{}</bdi>", Self::text(name)))
    }

    /// A name that a whole line is about.
    pub(crate) fn strong(name: impl Display) -> Self {
        Self(format!("<strong>{}</strong>", Self::name(name)))
    }

    /// A time: in UTC until a script puts it into the reader's zone and words.
    pub(crate) fn time(at: Timestamp) -> Self {
        let text = at.to_string();
        let (date, time) = text.split_once('T').unwrap_or((&text, ""));
        let minutes = time.get(..5).unwrap_or_default();
        Self(format!(r#"<time class="when" datetime="{text}">{date} {minutes} UTC</time>"#))
    }

    /// A sentence that is English whatever the page's language, as it stands in the log and in the API's answers. Times in it are
    /// for people too.
    pub(crate) fn quote(text: &str) -> Self {
        let word = |word: &str| {
            let end = word.trim_end_matches([',', ';', '.', ')', ':']).len();
            let (word, rest) = word.split_at(end);
            match OffsetDateTime::parse(word, &Rfc3339).ok().and_then(timestamp) {
                Some(at) => format!("{}{}", Self::time(at), Self::text(rest)),
                None => format!("{}{}", Self::text(word), Self::text(rest)),
            }
        };
        let words: Vec<String> = text.split(' ').map(word).collect();
        Self(format!("<span lang=\"en\" dir=\"ltr\" translate=\"no\">{}</span>", words.join(" ")))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn timestamp(at: OffsetDateTime) -> Option<Timestamp> {
    i64::try_from(at.unix_timestamp_nanos() / 1000).ok().map(Timestamp::from_micros)
}

impl Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Markup {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_escaped() {
        assert_eq!(
            Markup::name("<script>\"&'").to_string(),
            "<bdi translate=\"no\">&#60;script&#62;&#34;&#38;&#39;</bdi>"
        );
    }

    #[test]
    fn times_in_a_sentence_of_the_log_are_for_people() {
        let said =
            Markup::quote("it <b> was revoked at 2026-11-28T12:30:05.000001Z; 3 times, at noon").to_string();
        assert!(
            said.contains(
                "it &#60;b&#62; was revoked at <time class=\"when\" datetime=\"2026-11-28T12:30:05"
            ),
            "{said}"
        );
        assert!(said.contains(">2026-11-28 12:30 UTC</time>; 3 times, at noon</span>"), "{said}");
    }
}
