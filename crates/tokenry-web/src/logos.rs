//! The logos of services: shapes in one colour, which the page gives them.
//!
//! A page holds the shape of each service that it shows, once. A logo asked for by an address of its own would come after
//! the text, and a sheet of all of them is larger than any page.

mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The shapes of one page, each once.
#[derive(Debug)]
pub(crate) struct Sheet {
    shapes: BTreeMap<&'static str, &'static str>,
    /// How many bytes of shapes there may still be.
    room: usize,
}

/// What a service is shown by: a reference into the page's sheet, or the first letter of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Logo {
    /// The service, by its id, whose shape is in the sheet.
    Shape(&'static str),
    /// A letter or a digit.
    Letter(String),
}

impl Sheet {
    /// A sheet of so many bytes at most. Whose shape has no room is shown by its letter.
    pub(crate) const fn within(room: usize) -> Self {
        Self { shapes: BTreeMap::new(), room }
    }

    /// The logo of a service, whose shape the sheet holds from now on.
    pub(crate) fn logo(&mut self, service: &str, name: &str) -> Logo {
        let found = table::LOGOS.binary_search_by_key(&service, |(id, _)| id);
        let found = found.ok().map(|at| table::LOGOS[at]);
        match found.and_then(|(id, svg)| Some((id, shape(svg)?))) {
            Some((id, _)) if self.shapes.contains_key(id) => Logo::Shape(id),
            Some((id, shape)) if shape.len() <= self.room => {
                self.room -= shape.len();
                self.shapes.insert(id, shape);
                Logo::Shape(id)
            }
            _ => Logo::Letter(letter(name)),
        }
    }

    /// The sheet as markup, which shows nothing by itself. It comes from the package and from nobody else.
    pub(crate) fn html(&self) -> String {
        let mut html = String::new();
        for (id, shape) in &self.shapes {
            // Cannot fail: it is a text.
            let _ = write!(html, "<symbol id=\"logo-{id}\" viewBox=\"0 0 24 24\">{shape}</symbol>");
        }
        if html.is_empty() {
            return html;
        }
        format!(
            "<svg class=\"sheet\" width=\"0\" height=\"0\" aria-hidden=\"true\" focusable=\"false\">{html}</svg>"
        )
    }
}

impl Logo {
    /// The logo as markup. The name stands beside it, so it says nothing to those who listen.
    pub(crate) fn html(&self) -> String {
        match self {
            Self::Shape(id) => format!(
                "<span class=\"logo\" aria-hidden=\"true\"><svg width=\"24\" height=\"24\" focusable=\"false\">\
                 <use href=\"#logo-{id}\"></use></svg></span>"
            ),
            // Letters and digits need no escape.
            Self::Letter(letter) => {
                format!("<span class=\"logo letter\" aria-hidden=\"true\">{letter}</span>")
            }
        }
    }
}

/// What stands behind the title, which the page says in words of its own.
fn shape(svg: &'static str) -> Option<&'static str> {
    let (_, shape) = svg.split_once("</title>")?;
    shape.trim_end().strip_suffix("</svg>")
}

fn letter(name: &str) -> String {
    let first = name.chars().find(|c| c.is_alphanumeric());
    first.map_or_else(|| "·".to_owned(), |c| c.to_uppercase().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_logo_is_one_shape_and_can_be_found() {
        for (id, svg) in table::LOGOS {
            assert!(svg.contains("viewBox=\"0 0 24 24\""), "{id}");
            let mut sheet = Sheet::within(usize::MAX);
            assert_eq!(sheet.logo(id, "x"), Logo::Shape(id), "{id} is in the table and is not found");
            let shape = sheet.shapes[id];
            assert!(shape.starts_with("<path d=\"") && shape.ends_with("/>"), "{id}: {shape}");
            assert_eq!(shape.matches('<').count(), 1, "{id} is more than a path");
        }
    }

    #[test]
    fn a_service_without_a_logo_has_its_letter_and_no_markup_of_its_name() {
        let mut sheet = Sheet::within(usize::MAX);
        for (name, letter) in [("éclair", "É"), ("<b>", "B"), ("…", "·"), ("\"7", "7")] {
            assert_eq!(sheet.logo("nobody", name), Logo::Letter(letter.to_owned()));
        }
        assert_eq!(sheet.html(), "");
    }

    #[test]
    fn a_sheet_holds_each_shape_once() {
        let mut sheet = Sheet::within(usize::MAX);
        let logos = [sheet.logo("github", "GitHub"), sheet.logo("github", "GitHub")];
        assert_eq!(logos[0], logos[1]);
        assert_eq!(sheet.html().matches("<symbol").count(), 1);
        assert!(logos[0].html().contains("href=\"#logo-github\""));
    }

    #[test]
    fn what_has_no_room_is_shown_by_its_letter() {
        let mut sheet = Sheet::within(1500);
        assert_eq!(sheet.logo("github", "GitHub"), Logo::Shape("github"));
        assert_eq!(sheet.logo("shikimori", "Shikimori"), Logo::Letter("S".to_owned()));
        assert_eq!(sheet.logo("github", "GitHub"), Logo::Shape("github"));
        assert!(sheet.html().len() < 1700);
    }

    #[test]
    fn the_files_are_those_of_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/logos");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let svgs: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "svg")).collect();
        for path in &svgs {
            let svg = std::fs::read_to_string(path).unwrap();
            assert!(table::LOGOS.iter().any(|(_, used)| *used == svg), "{} is of no use", path.display());
        }
        let used: std::collections::BTreeSet<_> = table::LOGOS.iter().map(|(_, svg)| svg).collect();
        assert_eq!(used.len(), svgs.len());
    }
}
