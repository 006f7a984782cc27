//! What tables a database has, as its own catalogue says.

use std::collections::BTreeMap;

use super::side::Side;
use crate::error::StoreError;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Integer,
    Text,
    Bytes,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    /// By name.
    pub(super) columns: BTreeMap<String, Type>,
    /// The columns of the primary key, in its order.
    pub(super) key: Vec<String>,
    /// Whether the database counts its ids.
    pub(super) counts_ids: bool,
}

/// All tables of the store, those that others refer to first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) tables: Vec<Table>,
}

/// What a catalogue says, before it is put in order.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// Table, column, type.
    pub(super) columns: Vec<(String, String, String)>,
    /// Table, column of its key.
    pub(super) keys: Vec<(String, String)>,
    /// Table, the table that it refers to.
    pub(super) references: Vec<(String, String)>,
    /// Tables whose ids are counted.
    pub(super) counted: Vec<String>,
}

impl Layout {
    pub(super) async fn read(side: &mut Side) -> Result<Self, StoreError> {
        let catalogue = side.catalogue().await?;
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        for (table, column, kind) in catalogue.columns {
            if is_the_databases_own(&table) {
                continue;
            }
            let kind = match kind.to_ascii_uppercase().as_str() {
                "INTEGER" | "BIGINT" => Type::Integer,
                "TEXT" => Type::Text,
                "BLOB" | "BYTEA" => Type::Bytes,
                other => {
                    let what = format!("{table}.{column} is of the type {other}, which cannot be moved");
                    return Err(StoreError::Copy(what));
                }
            };
            let counts_ids = catalogue.counted.contains(&table);
            let new = || Table { name: table.clone(), columns: BTreeMap::new(), key: Vec::new(), counts_ids };
            tables.entry(table.clone()).or_insert_with(new).columns.insert(column, kind);
        }
        if !tables.contains_key("connections") {
            return Err(StoreError::Copy("this is no database of Tokenry".to_owned()));
        }
        for (table, column) in catalogue.keys {
            if let Some(table) = tables.get_mut(&table) {
                table.key.push(column);
            }
        }
        if let Some(table) = tables.values().find(|table| table.key.is_empty()) {
            return Err(StoreError::Copy(format!("{} has no primary key, and cannot be moved", table.name)));
        }
        Ok(Self { tables: in_order(tables, &catalogue.references)? })
    }

    /// # Errors
    /// [`StoreError::Copy`] that names a table in which the two differ.
    pub(super) fn must_equal(&self, other: &Self) -> Result<(), StoreError> {
        let by_name = |layout: &Self| -> BTreeMap<String, Table> {
            layout.tables.iter().map(|table| (table.name.clone(), table.clone())).collect()
        };
        let (ours, theirs) = (by_name(self), by_name(other));
        let names = ours.keys().chain(theirs.keys());
        match names.into_iter().find(|name| ours.get(*name) != theirs.get(*name)) {
            None => Ok(()),
            Some(name) => Err(StoreError::Copy(format!("the two databases differ in the table {name}"))),
        }
    }
}

/// What keeps the schema in order, and is made anew with it.
fn is_the_databases_own(table: &str) -> bool {
    table.starts_with('_') || table.starts_with("sqlite_") || table == "migration_lock"
}

fn in_order(
    mut left: BTreeMap<String, Table>,
    references: &[(String, String)],
) -> Result<Vec<Table>, StoreError> {
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let refers_to_one_left = |name: &String| {
            references.iter().any(|(from, to)| from == name && to != name && left.contains_key(to))
        };
        let free: Vec<String> = left.keys().filter(|name| !refers_to_one_left(name)).cloned().collect();
        if free.is_empty() {
            return Err(StoreError::Copy("the tables refer to each other in a circle".to_owned()));
        }
        ordered.extend(free.iter().filter_map(|name| left.remove(name)));
    }
    Ok(ordered)
}
