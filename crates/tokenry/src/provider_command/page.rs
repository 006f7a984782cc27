//! Text in rows, for a person at a terminal.

use std::fmt::Write as _;

/// Sections with a title, and rows of a word and what is to be said to it.
#[derive(Default)]
pub(super) struct Page(Vec<Section>);

struct Section {
    title: String,
    rows: Vec<(String, String)>,
}

impl Page {
    pub(super) fn title(&mut self, title: &str) {
        self.0.push(Section { title: title.to_owned(), rows: Vec::new() });
    }

    /// A word and what is to be said to it. When the last row had the same word, it is not said again.
    pub(super) fn row(&mut self, word: &str, text: &str) {
        if let Some(section) = self.0.last_mut() {
            section.rows.push((word.to_owned(), text.to_owned()));
        }
    }

    /// A line without a word.
    pub(super) fn line(&mut self, line: &str) {
        self.row("", line);
    }

    pub(super) fn end(self) -> String {
        self.0.into_iter().map(Section::text).collect::<Vec<_>>().join("\n")
    }
}

impl Section {
    fn text(self) -> String {
        let width = self.rows.iter().map(|(word, _)| word.chars().count()).max().unwrap_or_default();
        let gap = if width == 0 { "" } else { "  " };
        let mut text = self.title + "\n";
        let mut last = "";
        for (word, said) in &self.rows {
            let shown = if word == last { "" } else { word };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {shown:width$}{gap}{said}");
            last = word;
        }
        text
    }
}
