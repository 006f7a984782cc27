//! docs/standards.md and the tests say the same: every demand has a test that is there, or an exception in words.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every standard that makes demands of us. None may lose its rows.
const STANDARDS: [&str; 44] = [
    "RFC 5849",
    "RFC 6749",
    "RFC 6750",
    "RFC 7009",
    "RFC 7523",
    "RFC 7591",
    "RFC 7636",
    "RFC 7662",
    "RFC 8252",
    "RFC 8414",
    "RFC 8628",
    "RFC 8693",
    "RFC 8705",
    "RFC 8707",
    "RFC 9101",
    "RFC 9126",
    "RFC 9207",
    "RFC 9396",
    "RFC 9449",
    "RFC 9470",
    "RFC 9700",
    "RFC 9728",
    "BCP 240 update",
    "OAuth 2.1",
    "OpenID Connect Core",
    "OpenID Connect Discovery",
    "SSF",
    "RISC",
    "CAEP",
    "Standard Webhooks",
    "10.1.1",
    "10.1.2",
    "10.2.1",
    "10.2.2",
    "10.2.3",
    "10.5.1",
    "10.5.2",
    "10.5.3",
    "10.5.4",
    "11.1.1",
    "11.2.2",
    "11.5.1",
    "13.1.3",
    "13.4.5",
];

/// A demand.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    standard: String,
    demand: String,
    tests: BTreeSet<String>,
    exception: String,
}

/// The rows of the document's tables. Nothing may look like a row and be none.
fn rows(document: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for line in document.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [standard, demand, tests, exception] = cells[..] else {
            return Err(format!("this row has {} cells and not 4: {line}", cells.len()));
        };
        if standard == "standard" || standard.starts_with("--") {
            continue;
        }
        let tests = tests.split(',').map(|name| name.trim().replace('`', "")).filter(|name| !name.is_empty());
        rows.push(Row {
            standard: standard.to_owned(),
            demand: demand.to_owned(),
            tests: tests.collect(),
            exception: exception.to_owned(),
        });
    }
    Ok(rows)
}

/// Everything that is wrong with the rows. `sources` is all the Rust there is.
fn faults(rows: &[Row], standards: &[&str], sources: &str) -> Vec<String> {
    let mut found = Vec::new();
    for row in rows {
        let what = format!("{}: {}", row.standard, row.demand);
        if row.demand.is_empty() {
            found.push(format!("{what}: nothing is demanded"));
        }
        if row.tests.is_empty() && row.exception.split_whitespace().count() < 3 {
            found.push(format!("{what}: neither a test nor an exception with its reason"));
        }
        for test in &row.tests {
            if !is_test(test, sources) {
                found.push(format!("{what}: there is no test {test}"));
            }
        }
    }
    for standard in standards {
        if !rows.iter().any(|row| row.standard.contains(standard)) {
            found.push(format!("{standard} has no row"));
        }
    }
    found
}

/// Whether the sources have a function of this name with the attribute of a test right above it.
fn is_test(name: &str, sources: &str) -> bool {
    sources.match_indices(&format!("fn {name}()")).any(|(at, _)| {
        let line = sources[..at].rfind('\n').unwrap_or(0);
        let above = sources[..line].lines().rev().map(str::trim_start);
        let mut attributes = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        attributes.any(|line| line.starts_with("#[") && line.contains("test"))
    })
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// All Rust source under a folder, in one text.
fn sources(folder: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
            text.push_str(&sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(text)
}

#[test]
fn every_demand_of_the_standards_has_a_test_that_is_there_or_an_exception() {
    let document = fs::read_to_string(workspace().join("docs/standards.md")).unwrap();
    let rows = rows(&document).unwrap();
    assert!(rows.len() > 60, "the tables were not found: {rows:?}");
    let faults = faults(&rows, &STANDARDS, &sources(&workspace().join("crates")).unwrap());
    assert!(faults.is_empty(), "docs/standards.md:\n- {}", faults.join("\n- "));
}

mod the_check_itself {
    use super::*;

    const SOURCES: &str =
        "#[test]\nfn it_holds() {}\n#[tokio::test]\nasync fn it_stays() {}\nfn helper() {}\n";

    #[allow(clippy::unwrap_used, reason = "a row that cannot be read fails the test")]
    fn of(row: &str) -> Vec<String> {
        let document =
            format!("# A page\n\n| standard | demand | test | exception |\n|---|---|---|---|\n{row}\n");
        faults(&rows(&document).unwrap(), &[], SOURCES)
    }

    #[test]
    fn a_test_or_an_exception_is_enough() {
        assert_eq!(of("| RFC 1 §2 | it holds | `it_holds`, `it_stays` | |"), [""; 0]);
        assert_eq!(of("| RFC 1 | it holds | | not yet; nobody needs it |"), [""; 0]);
    }

    #[test]
    fn a_row_with_neither_and_one_with_a_word_for_a_reason_are_found() {
        let fault = "RFC 1: it holds: neither a test nor an exception with its reason";
        assert_eq!(of("| RFC 1 | it holds | | |"), [fault]);
        assert_eq!(of("| RFC 1 | it holds | | no |"), [fault]);
    }

    #[test]
    fn a_test_that_is_not_there_or_is_none_is_found() {
        assert_eq!(of("| RFC 1 | it holds | `it_fell` | |"), ["RFC 1: it holds: there is no test it_fell"]);
        assert_eq!(of("| RFC 1 | it holds | `helper` | |"), ["RFC 1: it holds: there is no test helper"]);
    }

    #[test]
    fn a_standard_that_lost_its_rows_and_a_row_that_is_none_are_found() {
        let document = "| RFC 1 | it holds | `it_holds` | |";
        assert_eq!(faults(&rows(document).unwrap(), &["RFC 2"], SOURCES), ["RFC 2 has no row"]);
        assert!(rows("| RFC 1 | it holds | `it_holds` |").is_err());
    }
}
