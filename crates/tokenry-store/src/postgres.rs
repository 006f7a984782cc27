//! PostgreSQL 15 or newer, or what speaks its protocol: one server, any number of replicas.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::database::{Database, Pool, refuse_url};
use crate::error::StoreError;

/// A connection that nobody used for so long is asked whether it still lives before it is used. One that is in constant
/// use says so itself.
const DOUBT_AFTER: Duration = Duration::from_secs(1);
/// How many statements a connection keeps prepared: more than there are.
const STATEMENTS: usize = 256;
/// How long a migration may wait for another process that migrates.
const MIGRATION_TIMEOUT: &str = "10min";

/// Opens the database and brings its schema to this version.
pub(crate) async fn open(url: &str, settings: &Pool) -> Result<Database, StoreError> {
    let options = options(url)?;
    migrate(options.clone().options([("statement_timeout", MIGRATION_TIMEOUT)])).await?;
    let millis = settings.statement_timeout.as_millis().to_string();
    let pool = pool(settings).connect_with(options.options([
        ("statement_timeout", millis.as_str()),
        // A transaction whose process hangs would hold its rows for ever.
        ("idle_in_transaction_session_timeout", millis.as_str()),
        ("lock_timeout", millis.as_str()),
    ]));
    Ok(Database::Postgres { pool: pool.await? })
}

/// The database as it is, if it has this table. Nothing is written.
pub(crate) async fn look(url: &str, table: &str) -> Result<Option<Database>, StoreError> {
    let options = options(url)?.options([("default_transaction_read_only", "on")]);
    let pool: PgPool = pool(&Pool { connections: 1, ..Pool::default() }).connect_with(options).await?;
    let find = "SELECT table_name FROM information_schema.tables \
                WHERE table_schema = current_schema() AND table_name = $1";
    let found = sqlx::query(find).bind(table).fetch_optional(&pool).await?;
    Ok(found.map(|_| Database::Postgres { pool }))
}

/// What the URL says, `sslmode`, `sslrootcert` and the rest of libpq's words included.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    // The cause may quote the URL, which may hold a password.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        refuse_url(url, "write postgres://user:password@host:port/database, with % escapes in the password")
    })?;
    Ok(options.application_name("tokenry").statement_cache_capacity(STATEMENTS).disable_statement_logging())
}

fn pool(settings: &Pool) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(u32::try_from(settings.connections).unwrap_or(u32::MAX))
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(Duration::from_mins(10))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < DOUBT_AFTER || connection.ping().await.is_ok()) })
        })
}

/// Brings the schema to this version. A row is the lock that replicas which start at once wait for: it is given back with
/// the connection, and needs nothing that only PostgreSQL has.
async fn migrate(options: PgConnectOptions) -> Result<(), StoreError> {
    let mut connection = options.connect().await?;
    make_lock(&mut connection).await?;
    let mut tx = connection.begin().await?;
    sqlx::query("UPDATE migration_lock SET taken = taken + 1 WHERE id = 1").execute(&mut *tx).await?;
    let mut migrator: Migrator = sqlx::migrate!("./migrations/postgres");
    // sqlx's own lock is an advisory one.
    migrator.set_locking(false).run_direct(None, &mut *tx, false).await?;
    tx.commit().await?;
    connection.close().await?;
    Ok(())
}

async fn make_lock(connection: &mut PgConnection) -> Result<(), StoreError> {
    let make = "CREATE TABLE IF NOT EXISTS migration_lock (id BIGINT PRIMARY KEY, taken BIGINT NOT NULL)";
    let fill = "INSERT INTO migration_lock (id, taken) VALUES (1, 0) ON CONFLICT (id) DO NOTHING";
    // Two that make one table at the same moment: the catalogue lets one of them fail. The table is there then.
    if let Err(error) = sqlx::query(make).execute(&mut *connection).await {
        if error.as_database_error().is_none() {
            return Err(error.into());
        }
        sqlx::query(make).execute(&mut *connection).await?;
    }
    sqlx::query(fill).execute(&mut *connection).await?;
    Ok(())
}
