//! Rows of whatever table, page by page: read, written, and counted up to a digest that does not depend on their order.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::layout::{Table, Type};
use super::side::Side;
use crate::error::StoreError;

/// How many rows are read at a time.
const PAGE: usize = 1000;
/// How many parameters one statement may have on either database.
const MOST_PARAMETERS: usize = 30_000;

/// A value of whatever column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// What rows come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: u64,
}

impl Digest {
    /// The hash is not a secret one: it finds what a database or a driver changed, not what somebody forged.
    fn add(&mut self, row: &[Value]) {
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hasher.finish());
    }
}

/// Copies all rows of a table, and says what they come to.
pub(super) async fn copy(source: &mut Side, target: &mut Side, table: &Table) -> Result<Digest, StoreError> {
    let mut digest = Digest::default();
    let at_once = (MOST_PARAMETERS / table.columns.len()).clamp(1, PAGE);
    let mut after = None;
    loop {
        let rows = page(source, table, after.as_deref()).await?;
        let Some(last) = rows.last() else { return Ok(digest) };
        after = Some(key_of(table, last));
        let rows: Vec<Vec<Value>> = rows.into_iter().filter(|row| !is_the_mark(table, row)).collect();
        for row in &rows {
            digest.add(row);
        }
        for some in rows.chunks(at_once) {
            target.execute(&insert(table, some.len()), some.iter().flatten()).await?;
        }
    }
}

/// What the rows of a table come to.
pub(super) async fn digest(side: &mut Side, table: &Table) -> Result<Digest, StoreError> {
    let mut digest = Digest::default();
    let mut after: Option<Vec<Value>> = None;
    loop {
        let rows = page(side, table, after.as_deref()).await?;
        let Some(last) = rows.last() else { return Ok(digest) };
        after = Some(key_of(table, last));
        for row in &rows {
            digest.add(row);
        }
    }
}

/// The mark of an earlier try says nothing of the target.
fn is_the_mark(table: &Table, row: &[Value]) -> bool {
    table.name == "installation"
        && key_of(table, row) == [Value::Text(Some(crate::installation::MOVED.to_owned()))]
}

async fn page(
    side: &mut Side,
    table: &Table,
    after: Option<&[Value]>,
) -> Result<Vec<Vec<Value>>, StoreError> {
    let kinds: Vec<Type> = table.columns.values().copied().collect();
    side.fetch(&select(table, after.is_some()), after.unwrap_or_default(), &kinds).await
}

fn key_of(table: &Table, row: &[Value]) -> Vec<Value> {
    let at = |name: &String| table.columns.keys().position(|column| column == name);
    table.key.iter().filter_map(|name| row.get(at(name)?).cloned()).collect()
}

fn quoted<'a>(names: impl Iterator<Item = &'a String>) -> String {
    // Names come from the catalogue.
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn select(table: &Table, has_begun: bool) -> String {
    let (columns, key) = (quoted(table.columns.keys()), quoted(table.key.iter()));
    let after = if has_begun {
        let places: Vec<String> = (1..=table.key.len()).map(|n| format!("${n}")).collect();
        format!(" WHERE ({key}) > ({})", places.join(", "))
    } else {
        String::new()
    };
    format!("SELECT {columns} FROM \"{}\"{after} ORDER BY {key} LIMIT {PAGE}", table.name)
}

fn insert(table: &Table, rows: usize) -> String {
    let mut sql = format!("INSERT INTO \"{}\" ({}) VALUES ", table.name, quoted(table.columns.keys()));
    let mut next = 1;
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..table.columns.len() {
            let comma = if column == 0 { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(sql, "{comma}${next}");
            next += 1;
        }
        sql.push(')');
    }
    sql
}
