//! The one read that everything else waits for: a connection's token, with its owner's session epoch.
//!
//! A round trip to a thread or to a server is what a read costs, so readers share it: those that come while a query is under
//! way are asked for together in the next one. Nothing is cached. A query begins after all of its readers have come, so each
//! sees everything that was written before it asked, by whatever process.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};

use sqlx::{AssertSqlSafe, FromRow};
use tokenry_model::{ConnectionId, Sealed, Timestamp, UserId};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::connections::at;
use crate::database::{Database, Store, on};
use crate::error::StoreError;

/// What a hand-out needs of a connection that is in order.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The owner's session epoch.
    pub session_epoch: i64,
    /// The access token.
    pub access_token: Sealed,
    /// When it dies.
    pub expires_at: Option<Timestamp>,
    /// From when on it is to be refreshed before it is handed out.
    pub due_at: Option<Timestamp>,
    /// When it came.
    pub born_at: Option<Timestamp>,
}

/// How many rows one query is asked for: the sizes that are kept prepared. The rest of the places are filled with the last
/// id once more.
const SIZES: [usize; 4] = [1, 4, 16, 64];
/// How many queries may be under way at once. With two, one is prepared while the other is answered.
const AT_ONCE: usize = 2;
/// How many readers may wait. More wait to be let in.
const QUEUE: usize = 4096;

static QUERIES: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| {
    SIZES.map(|size| {
        let places: Vec<String> = (1..=size).map(|place| format!("${place}")).collect();
        format!(
            "SELECT c.id, c.user_id, u.session_epoch, c.sealed_access, c.expires_at, c.due_at, \
             COALESCE(c.last_refreshed_at, c.connected_at) FROM connections c JOIN users u ON u.id = c.user_id \
             WHERE c.id IN ({}) AND c.deleted_at IS NULL AND c.delete_at IS NULL AND c.state = 'ok'",
            places.join(", ")
        )
    })
});

type Row = (i64, i64, i64, Vec<u8>, Option<i64>, Option<i64>, Option<i64>);

/// One who waits for a row.
struct Reader {
    user: UserId,
    id: ConnectionId,
    answer: oneshot::Sender<Result<Option<Ready>, StoreError>>,
}

/// Where readers queue. The tasks that serve them start with the first, and end with the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reads(Arc<OnceLock<mpsc::Sender<Reader>>>);

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({})", self.id)
    }
}

impl Store {
    /// A user's connection, if it is in order (its state is `ok`), with the owner's session epoch. Nothing otherwise: then
    /// [`Store::find_connection`] says why.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database is away.
    pub async fn find_ready(&self, user: UserId, id: ConnectionId) -> Result<Option<Ready>, StoreError> {
        let queue = self.reads.0.get_or_init(|| {
            let (send, receive) = mpsc::channel(QUEUE);
            let receive = Arc::new(Mutex::new(receive));
            for _ in 0..AT_ONCE {
                tokio::spawn(serve(self.db.clone(), Arc::clone(&receive)));
            }
            send
        });
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError::Unavailable(sqlx::Error::WorkerCrashed);
        queue.send(Reader { user, id, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Asks for whoever waits, again and again. One task at a time takes from the queue; meanwhile the other's query runs.
async fn serve(db: Database, queue: Arc<Mutex<mpsc::Receiver<Reader>>>) {
    let most = SIZES[SIZES.len() - 1];
    let mut readers = Vec::with_capacity(most);
    loop {
        if queue.lock().await.recv_many(&mut readers, most).await == 0 {
            return;
        }
        let asked = ask(&db, &readers).await;
        match asked {
            Ok(rows) => {
                for reader in readers.drain(..) {
                    // Whoever hung up is not told.
                    let found = find(&rows, &reader);
                    let _ = reader.answer.send(Ok(found));
                }
            }
            Err(error) => {
                let why = error.to_string();
                for reader in readers.drain(..) {
                    let error = StoreError::shared(&why);
                    let _ = reader.answer.send(Err(error));
                }
            }
        }
    }
}

/// The rows of these readers' connections, whosever they are. A row that cannot be read is left out: who asks for it by
/// itself is told what is wrong.
async fn ask(db: &Database, readers: &[Reader]) -> Result<HashMap<i64, Row>, sqlx::Error> {
    let class = SIZES.iter().position(|size| *size >= readers.len()).unwrap_or(SIZES.len() - 1);
    let last = readers.last().map_or(0, |reader| reader.id.get());
    let ids = readers.iter().map(|reader| reader.id.get()).chain(std::iter::repeat(last)).take(SIZES[class]);
    // The text is one of four, made above from nothing but numbers of places.
    let sql = || AssertSqlSafe(QUERIES[class].as_str());
    let store = Store { db: db.clone(), reads: Reads::default() };
    Ok(on!(store, read, |pool| {
        let mut query = sqlx::query(sql());
        for id in ids {
            query = query.bind(id);
        }
        let rows = query.fetch_all(pool).await?;
        rows.iter().filter_map(|row| Row::from_row(row).ok()).map(|row| (row.0, row)).collect()
    }))
}

/// What a reader gets of the rows: nothing of somebody else's.
fn find(rows: &HashMap<i64, Row>, reader: &Reader) -> Option<Ready> {
    let (_, owner, session_epoch, access, expires, due, born) = rows.get(&reader.id.get())?;
    (*owner == reader.user.get()).then(|| Ready {
        session_epoch: *session_epoch,
        access_token: Sealed::new(access.clone()),
        expires_at: at(*expires),
        due_at: at(*due),
        born_at: at(*born),
    })
}
