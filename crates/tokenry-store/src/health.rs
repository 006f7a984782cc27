//! How providers are doing, over all processes.

use tokenry_model::{Circuit, Health, ProviderId, Timestamp};

use crate::connections::at;
use crate::database::{Store, on, peek, retried};
use crate::error::StoreError;

#[derive(sqlx::FromRow)]
struct HealthRow {
    provider: String,
    paused_until: Option<i64>,
    circuit_reason: Option<String>,
    circuit_opened_at: Option<i64>,
    circuit_until: Option<i64>,
    circuit_tries: i64,
    fault: Option<String>,
    fault_at: Option<i64>,
}

impl HealthRow {
    fn into_parts(self) -> Result<(ProviderId, Health), StoreError> {
        let corrupt =
            |why: &dyn std::fmt::Display| StoreError::corrupt("provider_health", &self.provider, why);
        let circuit = match (self.circuit_reason, at(self.circuit_opened_at), at(self.circuit_until)) {
            (None, None, None) => None,
            (Some(reason), Some(opened_at), Some(until)) => Some(Circuit {
                reason,
                opened_at,
                until,
                tries: u32::try_from(self.circuit_tries).map_err(|_| corrupt(&"a count is below zero"))?,
            }),
            _ => return Err(corrupt(&"a circuit is only half there")),
        };
        let health =
            Health { paused_until: at(self.paused_until), circuit, fault: self.fault.zip(at(self.fault_at)) };
        Ok((ProviderId::parse(&self.provider).map_err(|e| corrupt(&e))?, health))
    }
}

macro_rules! columns {
    () => {
        "provider, paused_until, circuit_reason, circuit_opened_at, circuit_until, circuit_tries, fault, fault_at"
    };
}

impl Store {
    /// How a provider is doing. One that nothing is known of does well.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_health(&self, provider: &ProviderId) -> Result<Health, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM provider_health WHERE provider = $1");
        let row: Option<HealthRow> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(provider.as_str()).fetch_optional(pool).await)?;
        Ok(row.map(HealthRow::into_parts).transpose()?.map(|(_, health)| health).unwrap_or_default())
    }

    /// What the database at `url` knows of a provider, which is left as it is. A database that is not there knows nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the file is there and cannot be read.
    pub async fn peek_health(url: &str, provider: &ProviderId) -> Result<Health, StoreError> {
        let Some(store) = peek(url, "provider_health").await? else { return Ok(Health::default()) };
        let health = store.find_health(provider).await;
        store.close().await;
        health
    }

    /// Every provider that something is known of.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_health(&self) -> Result<Vec<(ProviderId, Health)>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM provider_health ORDER BY provider");
        let rows: Vec<HealthRow> = on!(self, read, |pool| sqlx::query_as(sql).fetch_all(pool).await)?;
        rows.into_iter().map(HealthRow::into_parts).collect()
    }

    /// The provider asked to be left alone. An earlier, longer wish stands.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_pause(&self, provider: &ProviderId, until: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO provider_health (provider, paused_until) VALUES ($1, $2) \
                   ON CONFLICT (provider) DO UPDATE SET paused_until = excluded.paused_until \
                   WHERE provider_health.paused_until IS NULL OR provider_health.paused_until < excluded.paused_until";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(provider.as_str())
            .bind(until.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Opens a provider's circuit until `until`. Returns whether it was closed before.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn open_circuit(
        &self,
        provider: &ProviderId,
        reason: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO provider_health (provider, circuit_reason, circuit_opened_at, circuit_until) \
                   VALUES ($1, $2, $3, $4) ON CONFLICT (provider) DO UPDATE SET \
                   circuit_reason = excluded.circuit_reason, circuit_opened_at = excluded.circuit_opened_at, \
                   circuit_until = excluded.circuit_until, circuit_tries = 0 \
                   WHERE provider_health.circuit_until IS NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(provider.as_str())
            .bind(reason)
            .bind(now.micros())
            .bind(until.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Takes the one refresh that an open circuit lets through when its time has come, and puts the next to `next`. Of all
    /// who try, one gets it.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn claim_probe(
        &self,
        provider: &ProviderId,
        now: Timestamp,
        next: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE provider_health SET circuit_until = $3, circuit_tries = circuit_tries + 1 \
                   WHERE provider = $1 AND circuit_until <= $2";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(provider.as_str())
            .bind(now.micros())
            .bind(next.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Closes a provider's circuit and forgets what was wrong with its app: it gave somebody a token. Returns whether there
    /// was something to close or to forget.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn close_circuit(&self, provider: &ProviderId) -> Result<bool, StoreError> {
        let sql = "UPDATE provider_health SET circuit_reason = NULL, circuit_opened_at = NULL, circuit_until = NULL, \
                   circuit_tries = 0, fault = NULL, fault_at = NULL \
                   WHERE provider = $1 AND (circuit_until IS NOT NULL OR fault IS NOT NULL)";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(provider.as_str())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Writes down what is wrong with this server's registration at a provider. The time of the first sight stays.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_fault(
        &self,
        provider: &ProviderId,
        fault: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO provider_health (provider, fault, fault_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (provider) DO UPDATE SET fault = excluded.fault, \
                   fault_at = COALESCE(provider_health.fault_at, excluded.fault_at)";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(provider.as_str())
            .bind(fault)
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// How many connections of a provider were refused since `since`, and of how many people.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn count_refused(
        &self,
        provider: &ProviderId,
        since: Timestamp,
    ) -> Result<(i64, i64), StoreError> {
        let sql = "SELECT COUNT(*), COUNT(DISTINCT user_id) FROM connections \
                   WHERE provider = $1 AND refused_at >= $2 AND deleted_at IS NULL";
        Ok(on!(self, read, |pool| sqlx::query_as(sql)
            .bind(provider.as_str())
            .bind(since.micros())
            .fetch_one(pool)
            .await)?)
    }

    /// How many people have a connection at a provider that is renewed; `most`, if there are more.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn count_people(&self, provider: &ProviderId, most: i64) -> Result<i64, StoreError> {
        let sql = "SELECT COUNT(*) FROM (SELECT DISTINCT user_id FROM connections WHERE provider = $1 \
                   AND deleted_at IS NULL AND kind IN ('oauth2', 'client_credentials') LIMIT $2) AS people";
        let (count,): (i64,) = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(provider.as_str())
            .bind(most)
            .fetch_one(pool)
            .await)?;
        Ok(count)
    }

    /// Takes back every mark that a refusal since `since` has left at a provider: it refused everybody. They are tried
    /// again from `retry_at` on. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn release_refused(
        &self,
        provider: &ProviderId,
        since: Timestamp,
        retry_at: Timestamp,
    ) -> Result<u64, StoreError> {
        let sql = "UPDATE connections SET state = 'ok', state_reason = NULL, refused_at = NULL, \
                   renew_at = CASE WHEN due_at IS NULL THEN NULL ELSE $3 END, \
                   keep_at = CASE WHEN idle_ends_at IS NULL THEN NULL ELSE $3 END, retry_at = NULL \
                   WHERE provider = $1 AND refused_at >= $2 AND deleted_at IS NULL";
        retried!({
            Ok(on!(self, write, |pool| sqlx::query(sql)
                .bind(provider.as_str())
                .bind(since.micros())
                .bind(retry_at.micros())
                .execute(pool)
                .await
                .map(|done| done.rows_affected()))?)
        })
    }

    /// A refusal that is not believed yet: it is counted, and the connection stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_refused(
        &self,
        id: tokenry_model::ConnectionId,
        generation: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql =
            "UPDATE connections SET refused_at = $3 WHERE id = $1 AND generation = $2 AND deleted_at IS NULL";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(generation)
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }
}
