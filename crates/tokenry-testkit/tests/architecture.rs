//! The documents and the code say the same: rooms, arrows and libraries as in ARCHITECTURE.md, tests as in SECURITY.md.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// The room that may use everything and that nobody may use.
const TESTKIT: &str = "tokenry-testkit";

/// A page that is longer than this is not read.
const MOST_LINES: usize = 150;

/// A crate of the workspace, as Cargo sees it.
#[derive(Debug, Default)]
struct Crate {
    name: String,
    /// What is built into it: the names of its dependencies, those of its build script too, those of its tests not.
    uses: BTreeSet<String>,
    takes_the_lints: bool,
}

/// What ARCHITECTURE.md lets a room use of ours.
#[derive(Debug, PartialEq, Eq)]
enum MayUse {
    All,
    These(BTreeSet<String>),
}

/// ARCHITECTURE.md taken apart.
#[derive(Debug)]
struct Page {
    lines: usize,
    rooms: BTreeMap<String, MayUse>,
    /// Libraries, and the rooms that alone may use them.
    libraries: BTreeMap<String, BTreeSet<String>>,
}

impl Page {
    fn read(text: &str) -> Result<Self, String> {
        let mut rooms = BTreeMap::new();
        for row in table(text, "crate", "may use")? {
            let [name, may_use] = row;
            let may_use = match may_use.as_str() {
                "" => return Err(format!("the row of {name} does not say what it may use")),
                "all" => MayUse::All,
                "nothing of ours" => MayUse::These(BTreeSet::new()),
                names => MayUse::These(list(names)),
            };
            if rooms.insert(name.clone(), may_use).is_some() {
                return Err(format!("{name} has two rows"));
            }
        }
        let libraries = table(text, "library", "only in")?;
        let libraries = libraries.into_iter().map(|[name, only_in]| (name, list(&only_in))).collect();
        Ok(Self { lines: text.lines().count(), rooms, libraries })
    }

    /// Everything in which the page and the crates differ.
    fn differences(&self, crates: &[Crate]) -> Vec<String> {
        let mut found = Vec::new();
        if self.lines > MOST_LINES {
            found.push(format!("ARCHITECTURE.md has {} lines, and {MOST_LINES} are the limit", self.lines));
        }
        let ours: BTreeSet<&str> = crates.iter().map(|c| c.name.as_str()).collect();
        for name in self.rooms.keys().filter(|name| !ours.contains(name.as_str())) {
            found.push(format!("the table has a row for {name}, and there is no such crate"));
        }
        for one in crates {
            if !one.takes_the_lints {
                found.push(format!("{} lacks `[lints] workspace = true` in its Cargo.toml", one.name));
            }
            let used: BTreeSet<&str> = ours.iter().copied().filter(|name| one.uses.contains(*name)).collect();
            match self.rooms.get(&one.name) {
                None => found.push(format!("{} has no row in the table", one.name)),
                Some(may_use) => found.extend(arrow_differences(&one.name, may_use, &used)),
            }
        }
        for (library, rooms) in &self.libraries {
            found.extend(library_differences(library, rooms, crates));
        }
        found
    }
}

fn arrow_differences(from: &str, may_use: &MayUse, used: &BTreeSet<&str>) -> Vec<String> {
    let mut found = Vec::new();
    for to in used {
        let allowed = match may_use {
            MayUse::All => *to != TESTKIT,
            MayUse::These(names) => names.contains(*to),
        };
        if !allowed {
            found.push(format!("{from} uses {to}, and the table does not allow it"));
        }
    }
    if let MayUse::These(names) = may_use {
        for to in names.iter().filter(|to| !used.contains(to.as_str())) {
            found.push(format!("{from} may use {to} by the table, and does not: take it out of the table"));
        }
    }
    found
}

fn library_differences(library: &str, rooms: &BTreeSet<String>, crates: &[Crate]) -> Vec<String> {
    let users = crates.iter().filter(|c| c.uses.contains(library)).map(|c| c.name.clone());
    let users: BTreeSet<String> = users.filter(|name| name != TESTKIT).collect();
    let strangers = users.difference(rooms);
    let strangers = strangers.map(|name| format!("{name} uses {library}, which has no place there"));
    let leavers = rooms.difference(&users);
    let leavers = leavers.map(|name| format!("{name} may use {library} by the table, and does not"));
    strangers.chain(leavers).collect()
}

/// The rows of the table whose first column is called `first`: that column and the one called `second`.
fn table(text: &str, first: &str, second: &str) -> Result<Vec<[String; 2]>, String> {
    let mut lines = text.lines().skip_while(|line| cells(line).first().is_none_or(|cell| cell != first));
    let header = cells(lines.next().ok_or_else(|| format!("there is no table of each {first}"))?);
    let column = header.iter().position(|cell| cell == second);
    let column = column.ok_or_else(|| format!("the table of each {first} has no column {second:?}"))?;
    let mut rows = Vec::new();
    // The line after the header is the ruler.
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let mut cells = cells(line);
        if cells.len() != header.len() {
            return Err(format!("this row has {} cells and not {}: {line}", cells.len(), header.len()));
        }
        let value = cells.swap_remove(column);
        rows.push([cells.swap_remove(0), value]);
    }
    Ok(rows)
}

/// The cells of a table's line, without the back-ticks. None for any other line.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    let cells = inner.into_iter().flat_map(|inner| inner.split('|'));
    cells.map(|cell| cell.replace('`', "").trim().to_owned()).collect()
}

fn list(names: &str) -> BTreeSet<String> {
    names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The names in a column `test` that are no test, in the table whose first column is `first`: the document promises what is not there.
fn missing_tests(document: &str, first: &str, sources: &str) -> Result<Vec<String>, String> {
    let promised = table(document, first, "test")?;
    let promised = promised.iter().flat_map(|[_, tests]| list(tests));
    Ok(promised.filter(|test| !sources.contains(&format!("fn {test}("))).collect())
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn crates() -> Result<Vec<Crate>, Box<dyn Error>> {
    let mut command = MetadataCommand::new();
    command.manifest_path(workspace().join("Cargo.toml")).no_deps().other_options(["--offline".to_owned()]);
    let mut crates = Vec::new();
    for package in command.exec()?.packages {
        let manifest: toml::Table = toml::from_str(&fs::read_to_string(&package.manifest_path)?)?;
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        let built_in = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
        crates.push(Crate {
            name: package.name.to_string(),
            uses: built_in.map(|dependency| dependency.name.clone()).collect(),
            takes_the_lints: lints.and_then(toml::Value::as_bool) == Some(true),
        });
    }
    Ok(crates)
}

/// All Rust source under a folder, in one text.
fn sources(folder: &Path) -> Result<String, std::io::Error> {
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
fn the_rooms_are_as_architecture_md_says() {
    let page = Page::read(&fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap()).unwrap();
    let crates = crates().unwrap();
    assert!(crates.iter().any(|c| c.name == TESTKIT), "Cargo shows the wrong workspace: {crates:?}");
    let differences = page.differences(&crates);
    assert!(
        differences.is_empty(),
        "ARCHITECTURE.md and the code differ. Change the one that is wrong; a new arrow is an architecture change.\n- {}",
        differences.join("\n- ")
    );
}

#[test]
fn every_test_that_security_md_names_is_there() {
    let document = fs::read_to_string(workspace().join("SECURITY.md")).unwrap();
    let missing =
        missing_tests(&document, "standard", &sources(&workspace().join("crates")).unwrap()).unwrap();
    assert!(missing.is_empty(), "SECURITY.md names tests that are not there: {}", missing.join(", "));
}

#[test]
fn every_test_that_architecture_md_names_is_there() {
    let document = fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let missing = missing_tests(&document, "what", &sources(&workspace().join("crates")).unwrap()).unwrap();
    assert!(missing.is_empty(), "ARCHITECTURE.md names tests that are not there: {}", missing.join(", "));
}

mod the_check_itself {
    use super::*;

    const PAGE: &str = "\
# A house

| crate | what it is | may use | must never see |
|---|---|---|---|
| `nouns` | words | nothing of ours | any I/O |
| `verbs` | deeds | `nouns` | HTTP |
| `shop` | all of it | all | |
| `tokenry-testkit` | trials | all | |

| library | only in |
|---|---|
| `sqlx` | `verbs` |
";

    fn house() -> Vec<Crate> {
        let one = |name: &str, uses: &[&str]| Crate {
            name: name.to_owned(),
            uses: uses.iter().map(|&name| name.to_owned()).collect(),
            takes_the_lints: true,
        };
        vec![
            one("nouns", &["serde"]),
            one("verbs", &["nouns", "serde", "sqlx"]),
            one("shop", &["nouns", "verbs"]),
            one(TESTKIT, &["nouns", "shop", "sqlx"]),
        ]
    }

    /// What is found in the house after `change`, with every mention of `from` in the page replaced.
    #[allow(clippy::unwrap_used, reason = "a page that cannot be read fails the test")]
    fn found(from: &str, to: &str, change: impl FnOnce(&mut Vec<Crate>)) -> Vec<String> {
        let mut crates = house();
        change(&mut crates);
        Page::read(&PAGE.replace(from, to)).unwrap().differences(&crates)
    }

    fn uses(name: &str) -> impl FnOnce(&mut Vec<Crate>) {
        move |crates| {
            crates[0].uses.insert(name.to_owned());
        }
    }

    #[test]
    fn a_house_that_is_as_drawn_has_no_differences() {
        assert_eq!(found("", "", |_| ()), [""; 0]);
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found() {
        assert_eq!(found("", "", uses("verbs")), ["nouns uses verbs, and the table does not allow it"]);
    }

    #[test]
    fn an_arrow_that_is_only_drawn_is_found() {
        let gone = found("", "", |crates| _ = crates[1].uses.remove("nouns"));
        assert_eq!(gone, ["verbs may use nouns by the table, and does not: take it out of the table"]);
        let unknown = found("| `nouns` | HTTP", "| `nouns`, `novns` | HTTP", |_| ());
        assert_eq!(unknown, ["verbs may use novns by the table, and does not: take it out of the table"]);
    }

    #[test]
    fn all_is_all_but_the_testkit() {
        let found = found("", "", |crates| _ = crates[2].uses.insert(TESTKIT.to_owned()));
        assert_eq!(found, ["shop uses tokenry-testkit, and the table does not allow it"]);
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        let attic = || Crate { name: "attic".to_owned(), takes_the_lints: true, ..Crate::default() };
        assert_eq!(found("", "", |crates| crates.push(attic())), ["attic has no row in the table"]);
        let gone = found("", "", |crates| _ = crates.remove(2));
        assert_eq!(gone, ["the table has a row for shop, and there is no such crate"]);
    }

    #[test]
    fn a_library_outside_its_rooms_is_found_except_in_the_testkit() {
        assert_eq!(found("", "", uses("sqlx")), ["nouns uses sqlx, which has no place there"]);
        let gone = found("", "", |crates| _ = crates[1].uses.remove("sqlx"));
        assert_eq!(gone, ["verbs may use sqlx by the table, and does not"]);
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        let found = found("", "", |crates| crates[3].takes_the_lints = false);
        assert_eq!(found, ["tokenry-testkit lacks `[lints] workspace = true` in its Cargo.toml"]);
    }

    #[test]
    fn a_page_that_is_too_long_is_found() {
        let of_length = |lines: usize| {
            let page = format!("{PAGE}{}", "\n".repeat(lines - PAGE.lines().count()));
            Page::read(&page).unwrap().differences(&house())
        };
        assert_eq!(of_length(150), [""; 0]);
        assert_eq!(of_length(151), ["ARCHITECTURE.md has 151 lines, and 150 are the limit"]);
    }

    #[test]
    fn a_page_that_cannot_be_read_is_an_error_and_not_an_empty_house() {
        for (from, to) in [
            ("| crate |", "| room |"),
            ("| may use |", "| uses |"),
            ("| library |", "| thing |"),
            ("| nothing of ours |", "| |"),
            ("| nothing of ours |", "| nothing of ours | and more |"),
            ("| `verbs` | deeds", "| `nouns` | deeds"),
        ] {
            assert!(Page::read(&PAGE.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn a_promised_test_that_is_not_there_is_found() {
        let document = "| standard | test |\n|---|---|\n| one | `it_holds`, `it_stays` |\n| two | |\n";
        let missing = missing_tests(document, "standard", "fn it_holds() {}\nfn it_stays_put() {}");
        assert_eq!(missing, Ok(vec!["it_stays".to_owned()]));
    }
}
