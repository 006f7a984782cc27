//! The operator's own clients at providers, where no configuration names one. Each change leaves a mark, which says to whoever
//! read them before that they are others now.

use tokenry_model::{ProviderId, Sealed, Timestamp, UserId};

use crate::connections::at;
use crate::database::{Store, on, peek};
use crate::error::StoreError;

/// The fact whose value is another one after each change.
const MARK: &str = "services";

/// A client at a provider.
#[derive(Debug, Clone)]
pub struct StoredClient {
    /// The provider.
    pub provider: ProviderId,
    /// The client id.
    pub client_id: String,
    /// The sealed secret. A public client has none.
    pub secret: Option<Sealed>,
    /// Since when the secret is the one it is.
    pub secret_at: Option<Timestamp>,
    /// When anything of it was last changed.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: Option<UserId>,
}

/// What becomes of the secret when a client is kept.
#[derive(Debug, Clone, Copy)]
pub enum NewSecret<'a> {
    /// The one that is there stays, if one is. It belongs to its client id: with another id it does not stay.
    Stays,
    /// There is none from now on.
    None,
    /// This one from now on.
    Sealed(&'a Sealed),
}

#[derive(sqlx::FromRow)]
struct Row {
    provider: String,
    client_id: String,
    sealed_secret: Option<Vec<u8>>,
    secret_at: Option<i64>,
    updated_at: i64,
    updated_by: Option<i64>,
}

impl TryFrom<Row> for StoredClient {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |e| StoreError::corrupt("service_clients", &row.provider, e);
        Ok(Self {
            provider: ProviderId::parse(&row.provider).map_err(corrupt)?,
            client_id: row.client_id,
            secret: row.sealed_secret.map(Sealed::new),
            secret_at: at(row.secret_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            updated_by: row.updated_by.map(UserId::new),
        })
    }
}

const TOUCH: &str = "INSERT INTO installation (name, value, written_at) VALUES ($1, $2, $3) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value, written_at = excluded.written_at";

/// $1 provider, $2 client id, $3 now, $4 by whom.
macro_rules! keep {
    ($if:literal) => {
        concat!(
            "INSERT INTO service_clients (provider, client_id, updated_at, updated_by) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (provider) DO UPDATE SET client_id = excluded.client_id, \
             updated_at = excluded.updated_at, updated_by = excluded.updated_by",
            $if
        )
    };
}

/// Whatever is there.
const KEEP: &str = keep!("");
/// Unless it has the secret of another client id.
const KEEP_OWN: &str =
    keep!(" WHERE service_clients.client_id = excluded.client_id OR service_clients.sealed_secret IS NULL");

impl Store {
    /// What the clients are marked with: another text after each change. Nothing before the first.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn find_services_mark(&self) -> Result<Option<String>, StoreError> {
        self.find_fact(MARK).await
    }

    /// All clients, by provider.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_service_clients(&self) -> Result<Vec<StoredClient>, StoreError> {
        let sql = "SELECT provider, client_id, sealed_secret, secret_at, updated_at, updated_by \
                   FROM service_clients ORDER BY provider";
        let rows: Vec<Row> = on!(self, read, |pool| sqlx::query_as(sql).fetch_all(pool).await)?;
        rows.into_iter().map(StoredClient::try_from).collect()
    }

    /// The clients of the database at `url`, which is left as it is. A database that is not there has none.
    ///
    /// # Errors
    /// [`StoreError`] when it is there and cannot be read.
    pub async fn peek_service_clients(url: &str) -> Result<Vec<StoredClient>, StoreError> {
        let Some(store) = peek(url, "service_clients").await? else { return Ok(Vec::new()) };
        let clients = store.list_service_clients().await;
        store.close().await;
        clients
    }

    /// Keeps a client in the place of the provider's one, if there is one, and marks the clients with `mark`. Returns whether
    /// it did: not when the secret that is there was to stay with another client id than its own.
    ///
    /// # Errors
    /// [`StoreError::KeyInUse`] when the key that sealed the secret is gone; [`StoreError`] when the database is away.
    pub async fn update_service_client(
        &self,
        provider: &ProviderId,
        client_id: &str,
        secret: NewSecret<'_>,
        by: Option<UserId>,
        mark: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // Whoever gives an id without its secret may have read an older id than the one that is there by now.
        let keep = match secret {
            NewSecret::Stays => KEEP_OWN,
            NewSecret::None | NewSecret::Sealed(_) => KEEP,
        };
        let seal = "UPDATE service_clients SET sealed_secret = $2, secret_at = $3 WHERE provider = $1";
        let (sealed, secret_at) = match secret {
            NewSecret::Stays | NewSecret::None => (None, None),
            NewSecret::Sealed(sealed) => (Some(sealed.as_bytes()), Some(now.micros())),
        };
        on!(self, begin, |tx| {
            // First, so that of two who change something the second waits before it does.
            sqlx::query(TOUCH).bind(MARK).bind(mark).bind(now.micros()).execute(&mut *tx).await?;
            let kept = sqlx::query(keep)
                .bind(provider.as_str())
                .bind(client_id)
                .bind(now.micros())
                .bind(by.map(UserId::get))
                .execute(&mut *tx)
                .await?;
            if kept.rows_affected() == 0 {
                return Ok(false);
            }
            if !matches!(secret, NewSecret::Stays) {
                sqlx::query(seal)
                    .bind(provider.as_str())
                    .bind(sealed)
                    .bind(secret_at)
                    .execute(&mut *tx)
                    .await
                    .map_err(StoreError::or_key_in_use)?;
            }
            tx.commit().await?;
        });
        Ok(true)
    }

    /// Forgets the client of a provider, and marks the clients with `mark`. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_service_client(
        &self,
        provider: &ProviderId,
        mark: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let delete = "DELETE FROM service_clients WHERE provider = $1";
        let gone = on!(self, begin, |tx| {
            sqlx::query(TOUCH).bind(MARK).bind(mark).bind(now.micros()).execute(&mut *tx).await?;
            let done = sqlx::query(delete).bind(provider.as_str()).execute(&mut *tx).await?;
            tx.commit().await?;
            done.rows_affected()
        });
        Ok(gone == 1)
    }
}
