//! Commits that are shared. A commit on SQLite waits for the disk, and that is nearly all that a write costs: writes that come
//! while one is under way go into the next transaction together, and each is acknowledged when that is on disk.
//!
//! Each write still stands alone: one that fails undoes itself and nothing else, and one whose caller hangs up undoes
//! itself or stays, as it would have in a transaction of its own. When the commit fails, all are told.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Sqlite, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::error::StoreError;

/// How many writes share a commit at most: the first of them waits for all of the others.
const MOST: usize = 64;
/// How long a write waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The one writer of a SQLite database. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    pool: SqlitePool,
    group: Arc<Mutex<Option<Group>>>,
    waiting: Arc<AtomicUsize>,
}

/// Writes that will be committed together.
struct Group {
    tx: Transaction<'static, Sqlite>,
    writes: usize,
    /// A savepoint may have been left open: its write was given up in the middle, and is undone before anything else.
    unclean: bool,
    /// How it ended. Nothing: it has not yet.
    done: watch::Sender<Option<Result<(), String>>>,
}

impl Writer {
    /// `pool` has one connection.
    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self { pool, group: Arc::default(), waiting: Arc::default() }
    }

    pub(crate) const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits until nobody else writes. The write lock is held from now on.
    pub(crate) async fn turn(&self) -> Result<Turn, StoreError> {
        let mut waiting = Waiting::new(self);
        let lock = Arc::clone(&self.group).lock_owned();
        let group = tokio::time::timeout(PATIENCE, lock).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        // From here on the turn commits what is open, if nobody else comes.
        waiting.arrived = true;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let mut turn = Turn { group: Some(group), waiting: Arc::clone(&self.waiting) };
        if let Some(slot) = &mut turn.group
            && slot.is_none()
        {
            let tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            **slot = Some(Group { tx, writes: 0, unclean: false, done: watch::Sender::new(None) });
        }
        turn.group()?.clean().await;
        Ok(turn)
    }
}

/// One who waits for a turn, and is counted: whoever has the turn leaves the commit to those who wait.
struct Waiting<'a> {
    writer: &'a Writer,
    arrived: bool,
}

impl<'a> Waiting<'a> {
    fn new(writer: &'a Writer) -> Self {
        writer.waiting.fetch_add(1, Ordering::SeqCst);
        Self { writer, arrived: false }
    }
}

impl Drop for Waiting<'_> {
    /// Whoever gives up waiting may be the one that the commit was left to.
    fn drop(&mut self) {
        if self.arrived || self.writer.waiting.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        let (group, waiting) = (Arc::clone(&self.writer.group), Arc::clone(&self.writer.waiting));
        tokio::spawn(async move {
            drop(Turn { group: Some(group.lock_owned().await), waiting });
        });
    }
}

impl Group {
    /// Undoes a write that was given up in the middle. What it had asked for last is done before this is.
    async fn clean(&mut self) {
        if self.unclean {
            // Neither is there if it was given up before its savepoint was made, or after it was released.
            let _ = sqlx::query("ROLLBACK TO one_write").execute(&mut *self.tx).await;
            let _ = sqlx::query("RELEASE one_write").execute(&mut *self.tx).await;
            self.unclean = false;
        }
    }
}

/// A write of several statements, inside the shared transaction: all of them, or none.
///
/// It is not sqlx's transaction inside a transaction: when that is given up while it begins or ends, the one around it, with
/// everybody's writes, is rolled back unseen.
pub(crate) struct Savepoint<'a>(&'a mut Group);

impl Savepoint<'_> {
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        sqlx::query("RELEASE one_write").execute(&mut *self.0.tx).await?;
        self.0.unclean = false;
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "as a transaction's")]
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        self.0.clean().await;
        Ok(())
    }
}

impl Deref for Savepoint<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0.tx
    }
}

impl DerefMut for Savepoint<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0.tx
    }
}

/// The right to write, until it is [left](Turn::leave).
pub(crate) struct Turn {
    group: Option<OwnedMutexGuard<Option<Group>>>,
    waiting: Arc<AtomicUsize>,
}

impl Turn {
    fn group(&mut self) -> Result<&mut Group, StoreError> {
        let group = self.group.as_mut().and_then(|slot| slot.as_mut());
        group.ok_or(StoreError::Unavailable(sqlx::Error::WorkerCrashed))
    }

    /// The connection, inside the shared transaction, for one statement.
    ///
    /// # Errors
    /// None that a turn which was given can have.
    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let group = self.group()?;
        group.writes += 1;
        Ok(&mut *group.tx)
    }

    /// Begins a write of several statements.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not take it.
    pub(crate) async fn begin(&mut self) -> Result<Savepoint<'_>, StoreError> {
        let group = self.group()?;
        group.writes += 1;
        group.unclean = true;
        sqlx::query("SAVEPOINT one_write").execute(&mut *group.tx).await?;
        Ok(Savepoint(group))
    }

    /// Lets the next one write, and waits until this write is on disk.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be committed: then it is undone.
    pub(crate) async fn leave(self) -> Result<(), StoreError> {
        let group = self.group.as_ref().and_then(|slot| slot.as_ref());
        let Some(mut done) = group.map(|group| group.done.subscribe()) else { return Ok(()) };
        drop(self);
        let done = done.wait_for(Option::is_some).await.map_err(|_| sqlx::Error::WorkerCrashed)?;
        match &*done {
            Some(Err(why)) => Err(StoreError::shared(why)),
            _ => Ok(()),
        }
    }
}

impl Drop for Turn {
    /// The last one commits, in a task of its own: whoever hangs up now takes nobody's write along.
    fn drop(&mut self) {
        let Some(group) = self.group.take() else { return };
        let is_full = group.as_ref().is_some_and(|group| group.writes >= MOST);
        if is_full || self.waiting.load(Ordering::SeqCst) == 0 {
            tokio::spawn(commit(group));
        }
    }
}

async fn commit(mut group: OwnedMutexGuard<Option<Group>>) {
    if let Some(mut all) = group.take() {
        all.clean().await;
        let ended = all.tx.commit().await.map_err(|error| error.to_string());
        all.done.send_replace(Some(ended));
    }
}
