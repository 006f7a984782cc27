//! Reads provider files: the embedded ones and the operator's, which have one form.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::DeValue;
use toml::{Spanned, Table, Value};

use crate::OutboundPolicy;
use crate::built_in::built_in_text;
use crate::data::{Kind, ProviderData};
use crate::provider_check::{Fault, faults};

/// What is a file's own and is not taken over from the one it extends, unless that is the built-in one of its own id.
const OWN: [&str; 6] = ["id", "name", "aliases", "categories", "docs_url", "extends"];
/// What people look for in a provider file, and what belongs into the configuration.
const NOT_HERE: [&str; 4] = ["client_id", "client_secret", "private_key", "redirect_uri"];

/// A provider file of the operator's, as it lies in the directory.
#[derive(Debug, Clone)]
pub struct ProviderFile {
    /// What it is called in messages: its path. The last part, without `.toml`, is the provider's id.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What is wrong with a provider file. Its `Display` is one sentence that names the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// The file.
    pub file: String,
    /// The line, counted from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong, and what to write in its place.
    pub what: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// The last part of a file's name, without `.toml`.
pub(crate) fn stem(name: &str) -> &str {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.strip_suffix(".toml").unwrap_or(file)
}

/// What each of several files says, by their stems; what they do not say may be in a built-in file.
pub(crate) struct Files<'a>(BTreeMap<&'a str, (&'a ProviderFile, Table)>);

impl<'a> Files<'a> {
    /// Takes the files in. Those that are no TOML are left out and told.
    pub(crate) fn parse(files: &'a [ProviderFile], problems: &mut Vec<FileProblem>) -> Self {
        let mut tables = BTreeMap::new();
        for file in files {
            match file.text.parse::<Table>() {
                Ok(table) => {
                    tables.insert(stem(&file.name), (file, table));
                }
                Err(error) => problems.push(file.problem_of(&error)),
            }
        }
        Self(tables)
    }

    /// What each file comes to, with what it extends under it. `check`: by the rules for files that are read at run time.
    pub(crate) fn finish(
        &self,
        check: Option<&OutboundPolicy>,
        problems: &mut Vec<FileProblem>,
    ) -> Vec<(&'a ProviderFile, ProviderData)> {
        let mut all = Vec::new();
        for (file, table) in self.0.values() {
            match self.one(file, table, check) {
                Ok(data) => all.push((*file, data)),
                Err(mut found) => problems.append(&mut found),
            }
        }
        all
    }

    fn one(
        &self,
        file: &ProviderFile,
        table: &Table,
        check: Option<&OutboundPolicy>,
    ) -> Result<ProviderData, Vec<FileProblem>> {
        let merged = match table.get("extends") {
            None => table.clone(),
            Some(_) => self
                .with_base(stem(&file.name), table, &mut Vec::new())
                .map_err(|what| vec![file.problem(&["extends"], what)])?,
        };
        let data = file.data(&merged, table.contains_key("extends")).map_err(|problem| vec![problem])?;
        let told = |fault: Fault| file.problem(&fault.path(), fault.what.clone());
        let data = finish(data).map_err(|fault| vec![told(fault)])?;
        let found = check.map(|policy| faults(&merged, &data, policy)).unwrap_or_default();
        if found.is_empty() { Ok(data) } else { Err(found.into_iter().map(told).collect()) }
    }

    /// The table with what it extends under it, and what that extends.
    fn with_base(&self, stem: &str, table: &Table, seen: &mut Vec<String>) -> Result<Table, String> {
        let mut table = table.clone();
        let Some(parent) = table.remove("extends") else { return Ok(table) };
        let Some(parent) = parent.as_str() else {
            return Err("`extends` must be the id of another service, in quotes".to_owned());
        };
        if seen.iter().any(|known| known == stem) {
            return Err(format!(
                "it extends {parent:?}, which in the end extends this file; let one of them stand alone"
            ));
        }
        seen.push(stem.to_owned());
        let base = match self.0.get(parent).filter(|_| parent != stem) {
            Some((_, base)) => self.with_base(parent, base, seen)?,
            None => built_in(parent)?.ok_or_else(|| {
                format!("it extends {parent:?}, which is neither a built-in service nor a file here")
            })?,
        };
        let same = parent == stem;
        put_under(&mut table, base.iter().filter(|(word, _)| same || !OWN.contains(&word.as_str())));
        Ok(table)
    }
}

/// What a built-in file says. It stands on built-in files only: an operator's file of the same name changes it no more.
fn built_in(id: &str) -> Result<Option<Table>, String> {
    let Some(text) = built_in_text(id) else { return Ok(None) };
    let table: Table = text.parse().map_err(|_| format!("the built-in {id} cannot be read"))?;
    Files(BTreeMap::new()).with_base(&format!("built-in {id}"), &table, &mut Vec::new()).map(Some)
}

impl ProviderFile {
    pub(crate) fn problem(&self, path: &[&str], what: String) -> FileProblem {
        FileProblem { file: self.name.clone(), line: line_of(&self.text, path), what }
    }

    /// What the parser says, without the line it quotes: somebody may have put a secret there.
    fn problem_of(&self, error: &toml::de::Error) -> FileProblem {
        let line = error.span().map(|span| line_at(&self.text, span.start));
        FileProblem { file: self.name.clone(), line, what: self.advised(error.message()) }
    }

    fn advised(&self, message: &str) -> String {
        let secret = NOT_HERE.iter().find(|word| message.contains(&format!("unknown field `{word}`")));
        match secret {
            Some(word) => format!(
                "`{word}` does not belong into a provider file, which is to be shared; the configuration has it, under \
                 [providers.{}]",
                stem(&self.name)
            ),
            None => message.trim_end().to_owned(),
        }
    }

    /// Reads the words. `merged` has what the file extends; its own text is read where that can name the line.
    fn data(&self, merged: &Table, extends: bool) -> Result<ProviderData, FileProblem> {
        if !extends {
            return toml::from_str(&self.text).map_err(|error| self.problem_of(&error));
        }
        let error = match merged.clone().try_into::<ProviderData>() {
            Ok(data) => return Ok(data),
            Err(error) => error,
        };
        // Alone it may lack what only the other file says; any other fault is the same one, with its place.
        let alone: String = self
            .text
            .split_inclusive('\n')
            .map(|line| {
                // As long as before, so that places stay what they are.
                let extends = line.trim_start().starts_with("extends");
                if extends { " ".repeat(line.len() - 1) + "\n" } else { line.to_owned() }
            })
            .collect();
        match toml::from_str::<ProviderData>(&alone) {
            Err(placed) if !placed.message().starts_with("missing field") => Err(self.problem_of(&placed)),
            _ => {
                let what = self.advised(error.message());
                Err(FileProblem { file: self.name.clone(), line: None, what })
            }
        }
    }
}

/// Lays the table over the base: what both have is merged if it is a table, and the table's otherwise.
fn put_under<'a>(table: &mut Table, base: impl Iterator<Item = (&'a String, &'a Value)>) {
    for (word, value) in base {
        match (table.get_mut(word), value) {
            (None, value) => {
                table.insert(word.clone(), value.clone());
            }
            (Some(Value::Table(own)), Value::Table(inherited)) => put_under(own, inherited.iter()),
            (Some(_), _) => {}
        }
    }
}

/// The line of the longest part of the path that the text has.
fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut line = None;
    let mut table = document.get_ref();
    for word in path {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == word) else { break };
        line = Some(line_at(text, Spanned::span(key).start));
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    line
}

/// Counted from 1.
fn line_at(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or_default().matches('\n').count() + 1
}

/// Whether the data are whole.
fn finish(data: ProviderData) -> Result<ProviderData, Fault> {
    let (authorize, token) = (data.authorize.url.is_some(), data.token.url.is_some());
    let discovered = data.issuer.is_some() && !authorize && !token;
    let (complete, needs) = match data.kind {
        Kind::Oauth2 => {
            ((authorize && token) || discovered, "authorize.url and token.url, or an issuer that names them")
        }
        Kind::Oauth1 => (
            authorize && token && data.oauth1.request_url.is_some(),
            "oauth1.request_url, authorize.url and token.url",
        ),
        Kind::ClientCredentials => (token, "token.url"),
        Kind::ApiKey | Kind::Basic => (true, ""),
    };
    if !complete {
        return Err(Fault::new(&["kind"], format!("it needs {needs}")));
    }
    Ok(data)
}
