//! Every place where sealed bytes lie: to be counted by their key, and to be sealed again with another. A place that is not
//! in this table would keep its key from ever being retired, because the schema knows of it.

use tokenry_model::{ConnectionId, Sealed, StateHash, UserId};

use crate::database::{Store, on, retried};
use crate::error::StoreError;
use crate::keys::{header, id_of_header};

/// Where a sealed value lies, with all that its seal is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedPlace {
    /// The access token of a connection.
    Access {
        /// The owner.
        user: UserId,
        /// The connection.
        connection: ConnectionId,
    },
    /// The refresh token of a connection.
    Refresh {
        /// The owner.
        user: UserId,
        /// The connection.
        connection: ConnectionId,
    },
    /// The secrets of a flow.
    FlowSecrets {
        /// Who began it.
        user: UserId,
        /// Which flow it is.
        state: StateHash,
    },
    /// A grant that waits for its owner.
    FlowGrant {
        /// Who began the flow.
        user: UserId,
        /// Which flow it is.
        state: StateHash,
    },
    /// A signing key.
    SigningKey {
        /// Its row.
        id: i64,
    },
    /// A secret of the installation.
    Installation {
        /// Its name.
        name: String,
    },
    /// The secret of the operator's own client.
    Client {
        /// The provider.
        provider: String,
    },
}

/// By what the row of a sealed value is found.
#[derive(Debug, Clone)]
enum RowKey {
    Id(i64),
    State(Vec<u8>),
    Name(String),
}

/// A sealed value, and where it lies.
#[derive(Debug, Clone)]
pub struct SealedValue {
    /// What it is.
    pub place: SealedPlace,
    /// The bytes.
    pub sealed: Sealed,
    column: usize,
    row: RowKey,
}

/// How many values of one kind were sealed with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCount {
    /// What they are, in words.
    pub what: &'static str,
    /// The key, if the bytes name one.
    pub key: Option<u32>,
    /// How many.
    pub count: i64,
}

/// What identifies a row, and what its values are bound to.
#[derive(Clone, Copy)]
enum Shape {
    Connection(fn(UserId, ConnectionId) -> SealedPlace),
    Flow(fn(UserId, StateHash) -> SealedPlace),
    SigningKey,
    Installation,
    Client,
}

/// A column with sealed bytes, and its statements.
struct Column {
    what: &'static str,
    shape: Shape,
    count: &'static str,
    count_of: &'static str,
    ends: Option<&'static str>,
    list: &'static str,
    update: &'static str,
}

macro_rules! column {
    ($what:literal, $shape:expr, by_id $table:literal, $user:literal, $connection:literal, $column:literal, $key:literal) => {
        Column {
            what: $what,
            shape: $shape,
            count: concat!(
                "SELECT ",
                $key,
                ", COUNT(*) FROM ",
                $table,
                " WHERE ",
                $key,
                " IS NOT NULL GROUP BY ",
                $key
            ),
            count_of: concat!("SELECT COUNT(*) FROM ", $table, " WHERE ", $key, " = $1"),
            ends: Some(concat!("SELECT MAX(id) FROM ", $table, " WHERE ", $key, " = $1")),
            list: concat!(
                "SELECT id, ",
                $user,
                ", ",
                $connection,
                ", ",
                $column,
                " FROM ",
                $table,
                " WHERE ",
                $key,
                " = $1 AND id >= $2 ORDER BY id LIMIT $3"
            ),
            update: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = $3 WHERE id = $1 AND ",
                $column,
                " = $2"
            ),
        }
    };
    ($what:literal, $shape:expr, by $row:literal $table:literal, $user:literal, $column:literal, $key:literal) => {
        Column {
            what: $what,
            shape: $shape,
            count: concat!(
                "SELECT ",
                $key,
                ", COUNT(*) FROM ",
                $table,
                " WHERE ",
                $key,
                " IS NOT NULL GROUP BY ",
                $key
            ),
            count_of: concat!("SELECT COUNT(*) FROM ", $table, " WHERE ", $key, " = $1"),
            ends: None,
            list: concat!(
                "SELECT ",
                $row,
                ", ",
                $user,
                ", ",
                $column,
                " FROM ",
                $table,
                " WHERE ",
                $key,
                " = $1 ORDER BY ",
                $row,
                " LIMIT $2"
            ),
            update: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = $3 WHERE ",
                $row,
                " = $1 AND ",
                $column,
                " = $2"
            ),
        }
    };
}

const ACCESS: Shape = Shape::Connection(|user, connection| SealedPlace::Access { user, connection });
const REFRESH: Shape = Shape::Connection(|user, connection| SealedPlace::Refresh { user, connection });

/// Each column with sealed bytes. The few before the many: a key that signs is not to wait for a million tokens.
#[rustfmt::skip]
static COLUMNS: [Column; 9] = [
    column!("signing keys", Shape::SigningKey, by_id "signing_keys", "CAST(0 AS BIGINT)", "CAST(0 AS BIGINT)", "sealed", "sealed_key"),
    column!("secrets of the installation", Shape::Installation, by "name" "installation_secrets", "CAST(0 AS BIGINT)", "sealed", "sealed_key"),
    column!("secrets of services", Shape::Client, by "provider" "service_clients", "CAST(0 AS BIGINT)", "sealed_secret", "secret_key"),
    column!("secrets of flows", Shape::Flow(|user, state| SealedPlace::FlowSecrets { user, state }), by "state_hash" "flows", "user_id", "sealed_secrets", "secrets_key"),
    column!("grants that wait for their owner", Shape::Flow(|user, state| SealedPlace::FlowGrant { user, state }), by "state_hash" "flows", "user_id", "sealed_grant", "grant_key"),
    column!("access tokens to revoke", ACCESS, by_id "revocations", "user_id", "connection_id", "sealed_access", "access_key"),
    column!("refresh tokens to revoke", REFRESH, by_id "revocations", "user_id", "connection_id", "sealed_refresh", "refresh_key"),
    column!("refresh tokens", REFRESH, by_id "connections", "user_id", "id", "sealed_refresh", "refresh_key"),
    column!("access tokens", ACCESS, by_id "connections", "user_id", "id", "sealed_access", "access_key"),
];

impl Store {
    /// How many values each key sealed, by what they are. What is not there is not listed.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn count_sealed(&self) -> Result<Vec<SealedCount>, StoreError> {
        let mut found = Vec::new();
        for Column { what, count, .. } in &COLUMNS {
            let rows: Vec<(Vec<u8>, i64)> =
                on!(self, read, |pool| sqlx::query_as(*count).fetch_all(pool).await)?;
            found.extend(rows.into_iter().map(|(header, count)| SealedCount {
                what,
                key: id_of_header(&header),
                count,
            }));
        }
        Ok(found)
    }

    /// How many values were sealed with this key, by what they are. What is not there is not listed.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn count_sealed_with(&self, key: u32) -> Result<Vec<SealedCount>, StoreError> {
        let mut found = Vec::new();
        for Column { what, count_of, .. } in &COLUMNS {
            let (count,): (i64,) = on!(self, read, |pool| sqlx::query_as(*count_of)
                .bind(&header(key)[..])
                .fetch_one(pool)
                .await)?;
            if count > 0 {
                found.push(SealedCount { what, key: Some(key), count });
            }
        }
        Ok(found)
    }

    /// Some values that were sealed with this key, at most `limit`, all of one kind. `dice` says where to begin: processes that
    /// throw their own seldom take the same. None when there is none left.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_sealed_with(
        &self,
        key: u32,
        dice: u64,
        limit: i64,
    ) -> Result<Vec<SealedValue>, StoreError> {
        for (number, column) in COLUMNS.iter().enumerate() {
            let found = self.list_column(number, column, &header(key), dice, limit).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    async fn list_column(
        &self,
        number: usize,
        column: &'static Column,
        header: &[u8],
        dice: u64,
        limit: i64,
    ) -> Result<Vec<SealedValue>, StoreError> {
        let value =
            |place, row, sealed| SealedValue { place, sealed: Sealed::new(sealed), column: number, row };
        if let (Some(ends), Shape::Connection(_) | Shape::SigningKey) = (column.ends, column.shape) {
            let (last,): (Option<i64>,) =
                on!(self, read, |pool| sqlx::query_as(ends).bind(header).fetch_one(pool).await)?;
            let Some(last) = last else { return Ok(Vec::new()) };
            let last = u64::try_from(last).unwrap_or_default();
            let from = i64::try_from(dice % last.saturating_add(1)).unwrap_or_default();
            for from in [from, 0] {
                let rows: Vec<(i64, i64, i64, Vec<u8>)> =
                    on!(self, read, |pool| sqlx::query_as(column.list)
                        .bind(header)
                        .bind(from)
                        .bind(limit)
                        .fetch_all(pool)
                        .await)?;
                if !rows.is_empty() {
                    let read = |(id, user, connection, sealed)| {
                        let place = match column.shape {
                            Shape::Connection(place) => {
                                place(UserId::new(user), ConnectionId::new(connection))
                            }
                            _ => SealedPlace::SigningKey { id },
                        };
                        value(place, RowKey::Id(id), sealed)
                    };
                    return Ok(rows.into_iter().map(read).collect());
                }
            }
            return Ok(Vec::new());
        }
        if let Shape::Flow(place) = column.shape {
            let rows: Vec<(Vec<u8>, i64, Vec<u8>)> = on!(self, read, |pool| sqlx::query_as(column.list)
                .bind(header)
                .bind(limit)
                .fetch_all(pool)
                .await)?;
            return rows
                .into_iter()
                .map(|(state, user, sealed)| {
                    let hash = <[u8; 32]>::try_from(state.as_slice());
                    let hash = hash
                        .map_err(|_| StoreError::corrupt("flows of user", user, "a hash is not 32 bytes"))?;
                    let place = place(UserId::new(user), StateHash::new(hash));
                    Ok(value(place, RowKey::State(state), sealed))
                })
                .collect();
        }
        let rows: Vec<(String, i64, Vec<u8>)> = on!(self, read, |pool| sqlx::query_as(column.list)
            .bind(header)
            .bind(limit)
            .fetch_all(pool)
            .await)?;
        let read = |(name, _, sealed): (String, i64, Vec<u8>)| {
            let place = match column.shape {
                Shape::Client => SealedPlace::Client { provider: name.clone() },
                _ => SealedPlace::Installation { name: name.clone() },
            };
            value(place, RowKey::Name(name), sealed)
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Puts other sealed bytes in the place of each value's, where those are still the ones that were read: whatever was written
    /// meanwhile stands. Returns how many were replaced.
    ///
    /// # Errors
    /// [`StoreError::KeyInUse`] when the key of the new bytes is gone; [`StoreError::Unavailable`] when the database is away.
    /// None is replaced then.
    pub async fn update_resealed(&self, values: &[(SealedValue, Sealed)]) -> Result<u64, StoreError> {
        retried!({
            let mut replaced = 0;
            on!(self, begin, |tx| {
                for (old, new) in values {
                    let update = sqlx::query(COLUMNS[old.column].update);
                    let update = match &old.row {
                        RowKey::Id(id) => update.bind(*id),
                        RowKey::State(state) => update.bind(state.as_slice()),
                        RowKey::Name(name) => update.bind(name.as_str()),
                    };
                    let done =
                        update.bind(old.sealed.as_bytes()).bind(new.as_bytes()).execute(&mut *tx).await;
                    replaced += done.map_err(StoreError::or_key_in_use)?.rows_affected();
                }
                tx.commit().await?;
            });
            Ok(replaced)
        })
    }
}
