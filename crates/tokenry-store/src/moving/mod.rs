//! Moving a whole store from one database to another: every table that the schema has, whoever added it.
//!
//! The one place where each database has statements of its own: what they ask is what the catalogue of each says of its
//! tables, and how its counters are set.

mod layout;
mod rows;
mod side;

use tokenry_model::Timestamp;

use crate::database::{Pool, Store};
use crate::error::StoreError;
use crate::installation::MOVED;
use layout::Layout;
use side::{Side, Use};

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedStore {
    /// How many rows each table had.
    pub tables: Vec<(String, u64)>,
}

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Which program in which version it is.
    pub version: String,
    /// The newest migration that it has.
    pub schema: i64,
    /// How many rows each table has.
    pub tables: Vec<(String, u64)>,
}

/// Looks at the database at `url` as it is.
///
/// # Errors
/// [`StoreError`] when it cannot be opened, or has no schema of ours.
pub async fn describe(url: &str) -> Result<Described, StoreError> {
    let mut side = Side::open(url, Use::Look).await?;
    let layout = Layout::read(&mut side).await?;
    let mut tables = Vec::new();
    for table in &layout.tables {
        tables.push((table.name.clone(), side.count(table).await?));
    }
    let described = Described { version: side.version().await?, schema: side.schema().await?, tables };
    side.close().await?;
    Ok(described)
}

/// Moves everything from one database to the other: ids and times stay, and new ids go on where the old ones ended. The
/// target must hold nothing; it is filled in one transaction, so that a move that failed leaves it empty and can be made
/// again. The source is marked as moved before the target can be seen: no two servers ever spend one refresh token.
///
/// # Errors
/// [`StoreError::Copy`] when the source is in use, the target holds anything, the two schemas differ, or what arrived is not
/// what was sent; [`StoreError`] when either is away.
pub async fn move_store(from: &str, to: &str, now: Timestamp) -> Result<MovedStore, StoreError> {
    if from == to {
        return Err(StoreError::Copy("the database cannot be moved to where it is".to_owned()));
    }
    // Both at this version's schema. The source first for itself: nobody else may have it open.
    Side::open(from, Use::Alone).await?.close().await?;
    Store::open_whatever_it_is(from, &Pool::default()).await?.close().await;
    Store::open_with(to, &Pool::default()).await?.close().await;

    let mut source = Side::open(from, Use::Alone).await?;
    let mut target = Side::open(to, Use::Fill).await?;
    let tables = copy_all(&mut source, &mut target).await?;
    let place = place_of(to);
    source.mark_moved(&format!("to {place} at {now}"), now).await?;
    let written = match must_be_unchanged(&mut source, &tables).await {
        Ok(()) => target.commit().await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        // Nothing arrived: the source is what there is. If this fails as well, the next try finds it marked and goes on.
        source.unmark().await?;
        return Err(error);
    }
    target.close().await?;
    source.close().await?;
    Ok(MovedStore { tables })
}

/// Makes a database that was moved away the one in use again. Whatever it was moved to must not run any more, and may have
/// spent its refresh tokens. Returns whether it was marked as moved.
///
/// # Errors
/// [`StoreError`] when the database is away.
pub async fn take_back_store(url: &str, doubt: &str) -> Result<bool, StoreError> {
    let store = Store::open_whatever_it_is(url, &Pool::default()).await?;
    let was_moved = store.find_fact(MOVED).await?.is_some();
    if was_moved {
        // In this order: whoever starts on it finds the doubts.
        store.update_restored(doubt, false).await?;
        store.delete_fact(MOVED).await?;
    }
    store.close().await;
    Ok(was_moved)
}

async fn copy_all(source: &mut Side, target: &mut Side) -> Result<Vec<(String, u64)>, StoreError> {
    let layout = Layout::read(source).await?;
    layout.must_equal(&Layout::read(target).await?)?;
    for table in &layout.tables {
        let count = target.count(table).await?;
        if count > 0 {
            return Err(StoreError::Copy(format!(
                "the target is not empty: {count} rows in {}. A move goes into a database that holds nothing",
                table.name
            )));
        }
    }
    let mut tables = Vec::new();
    for table in &layout.tables {
        let sent = rows::copy(source, target, table).await?;
        let arrived = rows::digest(target, table).await?;
        if sent != arrived {
            return Err(StoreError::Copy(format!(
                "{} did not arrive as it was sent: {} rows and not {}, or another content",
                table.name, arrived.rows, sent.rows
            )));
        }
        tables.push((table.name.clone(), sent.rows));
    }
    for table in layout.tables.iter().filter(|table| table.counts_ids) {
        let last = source.last_id(table).await?;
        target.set_last_id(table, last).await?;
    }
    Ok(tables)
}

/// Nobody may have written while it was read: a server that came in spite of all, or another program.
async fn must_be_unchanged(source: &mut Side, tables: &[(String, u64)]) -> Result<(), StoreError> {
    let layout = Layout::read(source).await?;
    for (table, (name, sent)) in layout.tables.iter().zip(tables) {
        let marks = u64::from(name == "installation");
        if source.count(table).await? != sent + marks {
            return Err(StoreError::Copy(format!(
                "{name} was changed while it was copied: stop every server on it first"
            )));
        }
    }
    Ok(())
}

/// Where a database is, without the name and the password of whoever reaches it.
fn place_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = before.rsplit_once('@').map_or(before, |(_, place)| place);
    // Everything a query says may be a secret.
    let more = if query.is_empty() { "" } else { "?…" };
    format!("{scheme}://{place}{more}")
}
