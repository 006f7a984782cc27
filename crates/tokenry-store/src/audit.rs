//! The audit log. The store keeps rows and the head of their chain; what a hash must be, its caller knows.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use sqlx::FromRow;
use tokenry_model::{AuditEntry, Timestamp, UserId};

use crate::database::{Database, Store, on};
use crate::error::StoreError;

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place, counted from 1 without gaps.
    pub seq: i64,
    /// What it says.
    pub entry: AuditEntry,
    /// The hash that ties it to the row before.
    pub hash: Vec<u8>,
}

/// Where the audit log ends, and where what is kept of it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The place of the last row; 0 when there is none yet.
    pub seq: i64,
    /// Its hash; empty when there is none yet.
    pub hash: Vec<u8>,
    /// The place of the first row that is kept.
    pub kept_seq: i64,
    /// The hash of the row before that; empty when that is the first of all.
    pub kept_before: Vec<u8>,
    /// What vouches for all of the above; empty when the log has not begun.
    pub mac: Vec<u8>,
}

impl AuditHead {
    const NONE: Self =
        Self { seq: 0, hash: Vec::new(), kept_seq: 1, kept_before: Vec::new(), mac: Vec::new() };
}

/// Which rows of the audit log are wanted. What is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct AuditWanted {
    /// Whose.
    pub owner: Option<UserId>,
    /// About which connection. Lists that were handed out since `listed_since` hold all of an owner's connections, and
    /// count for each.
    pub connection: Option<i64>,
    /// From when on a list held the connection; `None` when lists do not matter.
    pub listed_since: Option<Timestamp>,
    /// By which actors, with an id of theirs: whoever did it, or whose it is.
    pub either: Option<UserId>,
    /// Only what happened at this time or later.
    pub since: Option<Timestamp>,
}

#[derive(FromRow)]
pub(crate) struct Row {
    seq: i64,
    at: i64,
    last_at: i64,
    times: i64,
    actor: String,
    actor_id: Option<i64>,
    action: String,
    outcome: String,
    reason: Option<String>,
    owner_id: Option<i64>,
    connection_id: Option<i64>,
    provider: Option<String>,
    address: Option<String>,
    agent: Option<String>,
    hash: Vec<u8>,
}

impl From<Row> for AuditRow {
    fn from(row: Row) -> Self {
        let entry = AuditEntry {
            at: Timestamp::from_micros(row.at),
            last_at: Timestamp::from_micros(row.last_at),
            count: row.times,
            actor: Cow::Owned(row.actor),
            actor_id: row.actor_id,
            action: Cow::Owned(row.action),
            outcome: Cow::Owned(row.outcome),
            reason: row.reason.map(Cow::Owned),
            owner: row.owner_id,
            connection: row.connection_id,
            provider: row.provider,
            address: row.address,
            agent: row.agent,
        };
        Self { seq: row.seq, entry, hash: row.hash }
    }
}

#[derive(FromRow)]
struct HeadRow {
    seq: i64,
    hash: Vec<u8>,
    kept_seq: i64,
    kept_before: Vec<u8>,
    mac: Vec<u8>,
}

impl From<HeadRow> for AuditHead {
    fn from(row: HeadRow) -> Self {
        let HeadRow { seq, hash, kept_seq, kept_before, mac } = row;
        Self { seq, hash, kept_seq, kept_before, mac }
    }
}

/// How many rows a statement inserts, or asks for: when inserting, the largest that fits is taken each time, so that few texts serve any number.
const SIZES: [usize; 3] = [64, 8, 1];
const COLUMNS: usize = 15;

/// The same words for each kind of database. SQLite looks up a place that has a number among all that have one, each time
/// one is bound: of nine hundred, that took longer than to insert the rows. Places without are counted.
struct Inserts {
    numbered: String,
    counted: String,
}

static INSERTS: LazyLock<[Inserts; 3]> = LazyLock::new(|| {
    SIZES.map(|rows| {
        let text = |place: &dyn Fn(usize) -> String| {
            let row = |n: usize| {
                let values: Vec<_> = (1..=COLUMNS).map(|column| place(n * COLUMNS + column)).collect();
                format!("({})", values.join(", "))
            };
            format!(
                "INSERT INTO audit_log (seq, at, last_at, times, actor, actor_id, action, outcome, reason, owner_id, \
                 connection_id, provider, address, agent, hash) VALUES {}",
                (0..rows).map(row).collect::<Vec<_>>().join(", ")
            )
        };
        Inserts { numbered: text(&|n| format!("${n}")), counted: text(&|_| "?".to_owned()) }
    })
});

/// As many as the larger sizes at a time: each query is a round trip, and every read of another connection needs its provider.
static PROVIDERS: LazyLock<[String; 2]> = LazyLock::new(|| {
    [SIZES[0], SIZES[1]].map(|size| {
        let places: Vec<_> = (1..=size).map(|place| format!("${place}")).collect();
        format!("SELECT id, user_id, provider FROM connections WHERE id IN ({})", places.join(", "))
    })
});

/// Takes the head for as long as the transaction lasts: of several that write, the others wait here.
const TAKE_HEAD: &str = "INSERT INTO audit_head (id, seq, hash, kept_seq, kept_before, mac) \
                         VALUES (1, 0, $1, 1, $1, $1) ON CONFLICT (id) DO UPDATE SET seq = audit_head.seq \
                         RETURNING seq, hash, kept_seq, kept_before, mac";
const SET_HEAD: &str =
    "UPDATE audit_head SET seq = $1, hash = $2, kept_seq = $3, kept_before = $4, mac = $5 WHERE id = 1";

macro_rules! set_head {
    ($tx:ident, $head:expr) => {
        sqlx::query(SET_HEAD)
            .bind($head.seq)
            .bind(&$head.hash[..])
            .bind($head.kept_seq)
            .bind(&$head.kept_before[..])
            .bind(&$head.mac[..])
            .execute(&mut *$tx)
            .await?
    };
}

macro_rules! columns {
    () => {
        "a.seq, a.at, a.last_at, a.times, a.actor, a.actor_id, a.action, a.outcome, a.reason, a.owner_id, \
         a.connection_id, a.provider, a.address, a.agent, a.hash"
    };
}
pub(crate) use columns;

impl Store {
    /// Appends to the audit log, in one transaction. `chain` is called while nobody else can append, with the head and with
    /// the place and hash of the last row that is there; it gives the rows and the new head, and must not wait for
    /// anything. Without rows nothing is changed.
    ///
    /// # Errors
    /// What `chain` says; [`StoreError`] when the database is away.
    pub async fn append_audit<E: From<StoreError>>(
        &self,
        chain: impl FnOnce(&AuditHead, Option<(i64, Vec<u8>)>) -> Result<(Vec<AuditRow>, AuditHead), E> + Send,
    ) -> Result<(), E> {
        let newest = "SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1";
        let counted = matches!(self.db, Database::Sqlite { .. });
        let run = async {
            on!(self, begin, |tx| {
                let head: HeadRow = sqlx::query_as(TAKE_HEAD).bind(&b""[..]).fetch_one(&mut *tx).await?;
                let last: Option<(i64, Vec<u8>)> = sqlx::query_as(newest).fetch_optional(&mut *tx).await?;
                let (rows, head) = match chain(&head.into(), last) {
                    Ok(chained) => chained,
                    Err(error) => return Ok(Err(error)),
                };
                let mut left = &rows[..];
                for (size, texts) in SIZES.iter().zip(INSERTS.iter()) {
                    let sql = if counted { &texts.counted } else { &texts.numbered };
                    while left.len() >= *size {
                        let (now, later) = left.split_at(*size);
                        left = later;
                        let mut insert = sqlx::query(sql.as_str());
                        for AuditRow { seq, entry, hash } in now {
                            insert = insert
                                .bind(*seq)
                                .bind(entry.at.micros())
                                .bind(entry.last_at.micros())
                                .bind(entry.count)
                                .bind(entry.actor.as_ref())
                                .bind(entry.actor_id)
                                .bind(entry.action.as_ref())
                                .bind(entry.outcome.as_ref())
                                .bind(entry.reason.as_deref())
                                .bind(entry.owner)
                                .bind(entry.connection)
                                .bind(entry.provider.as_deref())
                                .bind(entry.address.as_deref())
                                .bind(entry.agent.as_deref())
                                .bind(&hash[..]);
                        }
                        insert.execute(&mut *tx).await?;
                    }
                }
                if !rows.is_empty() {
                    set_head!(tx, head);
                }
                tx.commit().await?;
                Ok::<_, StoreError>(Ok(()))
            })
        };
        run.await?
    }

    /// Of which provider these connections are, where they are, or were, of these users.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn list_providers_of(
        &self,
        connections: &[(UserId, i64)],
    ) -> Result<HashMap<(UserId, i64), String>, StoreError> {
        let mut found = HashMap::new();
        for some in connections.chunks(SIZES[0]) {
            let (size, sql) = if some.len() > SIZES[1] {
                (SIZES[0], PROVIDERS[0].as_str())
            } else {
                (SIZES[1], PROVIDERS[1].as_str())
            };
            let last = some.last().map_or(0, |(_, id)| *id);
            let ids = some.iter().map(|(_, id)| *id).chain(std::iter::repeat(last)).take(size);
            let rows: Vec<(i64, i64, String)> = on!(self, read, |pool| {
                let mut query = sqlx::query_as(sql);
                for id in ids {
                    query = query.bind(id);
                }
                query.fetch_all(pool).await
            })?;
            for (id, user, provider) in rows {
                let key = (UserId::new(user), id);
                if some.contains(&key) {
                    found.insert(key, provider);
                }
            }
        }
        Ok(found)
    }

    /// Where the audit log ends and begins.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_audit_head(&self) -> Result<AuditHead, StoreError> {
        let sql = "SELECT seq, hash, kept_seq, kept_before, mac FROM audit_head WHERE id = 1";
        let row: Option<HeadRow> = on!(self, read, |pool| sqlx::query_as(sql).fetch_optional(pool).await)?;
        Ok(row.map_or(AuditHead::NONE, AuditHead::from))
    }

    /// A row of the audit log, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it holds what cannot be in it; [`StoreError`] when the database is away.
    pub async fn find_audit(&self, seq: i64) -> Result<Option<AuditRow>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM audit_log a WHERE a.seq = $1");
        let row: Option<Row> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(seq).fetch_optional(pool).await)?;
        Ok(row.map(AuditRow::from))
    }

    /// The rows after the place `after`, in their order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when one of them holds what cannot be in it; [`StoreError`] when the database is away.
    pub async fn list_audit(&self, after: i64, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
        let sql =
            concat!("SELECT ", columns!(), " FROM audit_log a WHERE a.seq > $1 ORDER BY a.seq LIMIT $2");
        let rows: Vec<Row> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(after).bind(limit).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(AuditRow::from).collect())
    }

    /// The places of the rows after `after`, at most `limit`: what can be read even where a row cannot.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn list_audit_places(&self, after: i64, limit: i64) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT seq FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2";
        let rows: Vec<(i64,)> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(after).bind(limit).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|(seq,)| seq).collect())
    }

    /// The rows before the place `before` that are wanted, the newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_audit_wanted(
        &self,
        wanted: &AuditWanted,
        before: i64,
        limit: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        // With an owner, an index of its own is walked.
        let of_owner = concat!(
            "SELECT ",
            columns!(),
            " FROM audit_log a WHERE a.owner_id = $1 AND a.seq < $2 AND a.last_at >= $3 \
             AND ($4 = 0 OR a.connection_id = $4 \
             OR (a.action = 'token.list' AND a.outcome = 'ok' AND a.last_at >= $5)) ORDER BY a.seq DESC LIMIT $6"
        );
        let of_all = concat!(
            "SELECT ",
            columns!(),
            " FROM audit_log a WHERE a.seq < $2 AND a.last_at >= $3 AND ($4 = 0 OR a.connection_id = $4 \
             OR (a.action = 'token.list' AND a.outcome = 'ok' AND a.last_at >= $5)) \
             AND ($1 = 0 OR a.owner_id = $1 OR a.actor_id = $1) ORDER BY a.seq DESC LIMIT $6"
        );
        let (sql, user) = match (wanted.owner, wanted.either) {
            (Some(owner), _) => (of_owner, owner.get()),
            (None, either) => (of_all, either.map_or(0, UserId::get)),
        };
        let rows: Vec<Row> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(user)
            .bind(before)
            .bind(wanted.since.map_or(i64::MIN, Timestamp::micros))
            .bind(wanted.connection.unwrap_or(0))
            .bind(wanted.listed_since.map_or(i64::MAX, Timestamp::micros))
            .bind(limit)
            .fetch_all(pool)
            .await)?;
        Ok(rows.into_iter().map(AuditRow::from).collect())
    }

    /// Takes the oldest rows out, up to the first that is no older than `before`, at most `most`, and never the last of all.
    /// `anchor` is called with the head as it is and, with the new beginning filled in, as it is to be; it vouches for the
    /// latter, or says nothing to leave all as it is. Returns how many rows are gone.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn delete_old_audit(
        &self,
        before: Timestamp,
        most: i64,
        anchor: impl FnOnce(&AuditHead, AuditHead) -> Option<AuditHead> + Send,
    ) -> Result<u64, StoreError> {
        let young =
            "SELECT seq FROM audit_log WHERE seq >= $1 AND seq < $2 AND last_at >= $3 ORDER BY seq LIMIT 1";
        let hash_of = "SELECT hash FROM audit_log WHERE seq = $1";
        let delete = "DELETE FROM audit_log WHERE seq < $1";
        on!(self, begin, |tx| {
            let head: HeadRow = sqlx::query_as(TAKE_HEAD).bind(&b""[..]).fetch_one(&mut *tx).await?;
            let head = AuditHead::from(head);
            let end = head.kept_seq.saturating_add(most).min(head.seq);
            let first: Option<(i64,)> = sqlx::query_as(young)
                .bind(head.kept_seq)
                .bind(end)
                .bind(before.micros())
                .fetch_optional(&mut *tx)
                .await?;
            let keep = first.map_or(end, |(seq,)| seq);
            if keep <= head.kept_seq {
                return Ok(0);
            }
            let last_gone: Option<(Vec<u8>,)> =
                sqlx::query_as(hash_of).bind(keep - 1).fetch_optional(&mut *tx).await?;
            let Some((kept_before,)) = last_gone else { return Ok(0) };
            let next = AuditHead { kept_seq: keep, kept_before, ..head.clone() };
            let Some(next) = anchor(&head, next) else { return Ok(0) };
            let gone = sqlx::query(delete).bind(keep).execute(&mut *tx).await?.rows_affected();
            set_head!(tx, next);
            tx.commit().await?;
            Ok(gone)
        })
    }
}
