//! Connections in great number: sealed as a server would, and put in by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, QueryBuilder, SqliteConnection};
use tokenry_model::{ConnectionId, SecretString, UserId};
use tokenry_store::Store;
use tokenry_vault::{ConnectionField, Context, KeyId, MasterKey, SystemRandom, Vault, WrappedKey};

use crate::load::Load;
use crate::servers::{Installation, TOKEN_BYTES};

/// The one user of an installation.
const USER: i64 = 1;
const AT_ONCE: i64 = 500;

macro_rules! insert {
    ($vault:expr, $db:expr, $ids:expr) => {{
        let ids: Vec<i64> = $ids.collect();
        let token = "x".repeat(TOKEN_BYTES);
        let mut insert = QueryBuilder::new(
            "INSERT INTO connections (id, user_id, name, token_type, provider, kind, state, scopes, sealed_access, \
             created_at, updated_at, connected_at) ",
        );
        insert.push_values(&ids, |mut row, id| {
            let context = Context::Connection {
                user: UserId::new(USER),
                connection: ConnectionId::new(*id),
                field: ConnectionField::AccessToken,
            };
            let sealed = $vault.seal(&context, token.as_bytes()).unwrap().as_bytes().to_vec();
            row.push_bind(id).push_bind(USER).push_bind("mine").push_bind("spotify").push_bind("spotify");
            row.push_bind("plain").push_bind("ok").push_bind("").push_bind(sealed);
            row.push_bind(1_i64).push_bind(1_i64).push_bind(1_i64);
        });
        insert.build().execute($db).await.unwrap();
    }};
}

impl Installation {
    /// From now on there are so many connections, with the ids from 1 on.
    pub(crate) fn seed(&self, count: i64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let vault = self.vault().await;
            if self.url.starts_with("sqlite:") {
                let mut db = SqliteConnection::connect(&self.url).await.unwrap();
                let (there,): (i64,) = sqlx::query_as("SELECT COALESCE(MAX(id), 0) FROM connections")
                    .fetch_one(&mut db)
                    .await
                    .unwrap();
                let mut tx = db.begin().await.unwrap();
                for first in (there + 1..=count).step_by(usize::try_from(AT_ONCE).unwrap()) {
                    insert!(vault, &mut *tx, first..(first + AT_ONCE).min(count + 1));
                }
                tx.commit().await.unwrap();
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut db).await.unwrap();
            } else {
                let mut db = PgConnection::connect(&self.url).await.unwrap();
                let (there,): (i64,) = sqlx::query_as("SELECT COALESCE(MAX(id), 0) FROM connections")
                    .fetch_one(&mut db)
                    .await
                    .unwrap();
                for first in (there + 1..=count).step_by(usize::try_from(AT_ONCE).unwrap()) {
                    insert!(vault, &mut db, first..(first + AT_ONCE).min(count + 1));
                }
                let next =
                    "SELECT setval(pg_get_serial_sequence('connections', 'id'), MAX(id)) FROM connections";
                sqlx::query(next).execute(&mut db).await.unwrap();
                sqlx::query("VACUUM ANALYZE").execute(&mut db).await.unwrap();
            }
        });
    }

    async fn vault(&self) -> Vault {
        let text = std::fs::read_to_string(self.folder().join("master.key")).unwrap();
        let master = MasterKey::from_base64(&SecretString::from(text.trim().to_owned())).unwrap();
        let ring = Store::peek_keys(&self.url).await.unwrap();
        let ring: Vec<_> = ring
            .into_iter()
            .map(|key| WrappedKey { id: KeyId::new(key.id).unwrap(), wrapped: key.wrapped })
            .collect();
        Vault::unlock(&master, &ring, ring[0].id, Arc::new(SystemRandom)).unwrap()
    }

    /// What SQLite does when each insert is a transaction of its own, with no other process beside it: as an add writes it,
    /// and as durable.
    #[allow(clippy::unused_self, reason = "it is this installation's kind of database")]
    pub(crate) fn one_fsync_per_insert(&self) -> Load {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}?mode=rwc", folder.path().join("other.db").display());
            let mut db = SqliteConnection::connect(&url).await.unwrap();
            for sql in [
                "PRAGMA journal_mode = WAL",
                "PRAGMA synchronous = FULL",
                "CREATE TABLE connections (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, sealed BLOB)",
            ] {
                sqlx::query(sql).execute(&mut db).await.unwrap();
            }
            let (began, mut done) = (Instant::now(), 0_u32);
            while began.elapsed() < Duration::from_secs(2) {
                sqlx::query("INSERT INTO connections (name, sealed) VALUES ('mine', $1)")
                    .bind(vec![7_u8; TOKEN_BYTES])
                    .execute(&mut db)
                    .await
                    .unwrap();
                done += 1;
            }
            Load { rate: f64::from(done) / began.elapsed().as_secs_f64(), ..Load::default() }
        })
    }
}

/// What an add writes, for pgbench.
pub(crate) fn pgbench_insert() -> String {
    let sealed = "78".repeat(TOKEN_BYTES);
    format!(
        "INSERT INTO connections (user_id, name, token_type, provider, kind, state, scopes, sealed_access, created_at, \
         updated_at, connected_at, deleted_at) VALUES (1, 'mine', 'spotify', 'spotify', 'plain', 'ok', '', \
         '\\x{sealed}', 1, 1, 1, 1);\n"
    )
}
