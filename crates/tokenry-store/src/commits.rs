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
    /// Why such a write could not be undone. Then none of them is committed.
    spoilt: Option<String>,
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
            **slot =
                Some(Group { tx, writes: 0, unclean: false, spoilt: None, done: watch::Sender::new(None) });
        }
        turn.group()?.clean().await?;
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
    /// Undoes a write that was given up in the middle. What it had asked for last is done before this is. When it cannot be
    /// undone, a half of it must not go with the others: then all are.
    async fn clean(&mut self) -> Result<(), StoreError> {
        if self.unclean {
            match sqlx::query("ROLLBACK TO one_write").execute(&mut *self.tx).await {
                Ok(_) => {
                    // What it held is undone; that it stays open hurts nobody.
                    let _ = sqlx::query("RELEASE one_write").execute(&mut *self.tx).await;
                }
                // It was given up before its savepoint was made, or after it was released.
                Err(error) if is_no_savepoint(&error) => {}
                Err(error) => self.spoilt = Some(error.to_string()),
            }
            self.unclean = false;
        }
        self.spoilt.as_deref().map_or(Ok(()), |why| Err(StoreError::shared(why)))
    }

    /// Commits, or undoes all when a half of something is in it.
    async fn end(mut self) -> (watch::Sender<Option<Result<(), String>>>, Result<(), String>) {
        // What it says is kept in `spoilt`.
        let _ = self.clean().await;
        let ended = match self.spoilt {
            None => self.tx.commit().await.map_err(|error| error.to_string()),
            Some(why) => {
                // Without an answer the connection's own end undoes it.
                let _ = self.tx.rollback().await;
                Err(why)
            }
        };
        (self.done, ended)
    }
}

/// Whether there is nothing to undo, because no savepoint is open.
fn is_no_savepoint(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|why| why.message().starts_with("no such savepoint"))
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

    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        self.0.clean().await
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
        let mut done = group.map(|group| group.done.subscribe()).ok_or(sqlx::Error::WorkerCrashed)?;
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
        let is_full = group.as_ref().is_some_and(|group| group.writes >= MOST || group.spoilt.is_some());
        if is_full || self.waiting.load(Ordering::SeqCst) == 0 {
            tokio::spawn(commit(group));
        }
    }
}

async fn commit(mut group: OwnedMutexGuard<Option<Group>>) {
    if let Some(all) = group.take() {
        let (done, ended) = all.end().await;
        done.send_replace(Some(ended));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    use super::*;

    const PUT: &str = "INSERT INTO thing (name) VALUES ($1)";

    async fn writer(dir: &tempfile::TempDir) -> Writer {
        let file = SqliteConnectOptions::new().filename(dir.path().join("it.db")).create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(file).await.unwrap();
        sqlx::query("CREATE TABLE thing (name TEXT NOT NULL)").execute(&pool).await.unwrap();
        Writer::new(pool)
    }

    /// A write of one statement. Whether it was acknowledged.
    async fn put(writer: &Writer, name: &str) -> Result<(), StoreError> {
        let mut turn = writer.turn().await?;
        sqlx::query(PUT).bind(name).execute(turn.connection()?).await?;
        turn.leave().await
    }

    /// A write of two statements.
    async fn put_two(writer: &Writer, name: &str) -> Result<(), StoreError> {
        let mut turn = writer.turn().await?;
        let mut tx = turn.begin().await?;
        for _ in 0..2 {
            sqlx::query(PUT).bind(name).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        turn.leave().await
    }

    async fn count(writer: &Writer, name: &str) -> i64 {
        let (count,) = sqlx::query_as("SELECT COUNT(*) FROM thing WHERE name = $1")
            .bind(name)
            .fetch_one(writer.pool())
            .await
            .unwrap();
        count
    }

    /// Polls it so many times, and gives it up.
    async fn for_polls(polls: usize, it: impl Future) {
        let (mut it, mut left) = (pin!(it), polls);
        poll_fn(|cx| {
            left -= 1;
            if it.as_mut().poll(cx).is_ready() || left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// One shares the transaction and is acknowledged; the other is given up at each place where it waits, one after the
    /// other: also while its savepoint is made, and while it is released.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_gives_up_at_whatever_place_takes_nobodys_write_along() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(&dir).await;
        // With its first it waits for the first one's end.
        for polls in 2..14 {
            let (patient, hasty) = (format!("patient {polls}"), format!("hasty {polls}"));
            // The first has its turn; the second waits for it, so that the commit is left to that one.
            let mut turn = writer.turn().await.unwrap();
            let (giving_up, name) = (writer.clone(), hasty.clone());
            let hasty_writes =
                tokio::spawn(async move { for_polls(polls, put_two(&giving_up, &name)).await });
            while writer.waiting.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            sqlx::query(PUT).bind(&patient).execute(turn.connection().unwrap()).await.unwrap();
            turn.leave().await.unwrap();
            hasty_writes.await.unwrap();
            put(&writer, "afterwards").await.unwrap();
            assert_eq!(count(&writer, &patient).await, 1, "given up after {polls}");
            let half = count(&writer, &hasty).await;
            assert!(half == 0 || half == 2, "{half} of 2 after {polls}");
        }
    }

    /// SQLite may refuse to undo, as when it is interrupted. Then the half of that write is not committed with the others.
    #[tokio::test]
    async fn what_cannot_be_undone_is_not_committed_and_nobody_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let writer = writer(&dir).await;
        let mut turn = writer.turn().await.unwrap();
        sqlx::query(PUT).bind("other").execute(turn.connection().unwrap()).await.unwrap();
        let waits = writer.clone();
        let torn = tokio::spawn(async move {
            let mut turn = waits.turn().await?;
            {
                let mut tx = turn.begin().await?;
                sqlx::query(PUT).bind("half").execute(&mut *tx).await?;
                let mut refusals = 1;
                tx.lock_handle().await?.set_progress_handler(1, move || {
                    refusals -= 1;
                    refusals < 0
                });
            }
            turn.leave().await
        });
        while writer.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(turn.leave().await.is_err());
        assert!(torn.await.unwrap().is_err());
        assert_eq!((count(&writer, "other").await, count(&writer, "half").await), (0, 0));
        put(&writer, "next").await.unwrap();
        assert_eq!(count(&writer, "next").await, 1);
    }
}
