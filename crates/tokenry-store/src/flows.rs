//! Flows: connects that have begun.

use tokenry_model::{
    ConnectionId, ConnectionName, Flow, FlowKind, FlowStage, LinkId, ProviderId, Scopes, Sealed, StateHash,
    Timestamp, UserId,
};

use crate::connections::{read_values, write_values};
use crate::database::{Store, on};
use crate::error::StoreError;

/// A flow to insert is the flow itself.
pub type NewFlow = Flow;

/// What became of trying to spend a state.
#[derive(Debug)]
pub enum FlowClaim {
    /// It was pending and is now this caller's, who alone goes on with it.
    Claimed(Box<Flow>),
    /// It was spent before.
    Used,
    /// It is too old.
    Expired,
    /// No flow has this state.
    Unknown,
}

/// A grant that came back in another browser than the one that asked, and waits for its owner to sign in.
#[derive(Debug, Clone)]
pub struct Parked {
    /// The flow it belongs to. `browser_hash` is of the browser that came back.
    pub flow: Flow,
    /// The sealed grant.
    pub grant: Sealed,
    /// When the flow began.
    pub began_at: Timestamp,
}

#[derive(sqlx::FromRow)]
pub(crate) struct FlowRow {
    state_hash: Vec<u8>,
    user_id: i64,
    token_type: String,
    provider: String,
    redirect_uri: String,
    token_url: String,
    scopes: String,
    sealed_secrets: Vec<u8>,
    browser_hash: Vec<u8>,
    sealed_grant: Option<Vec<u8>>,
    expires_at: i64,
    created_at: i64,
    kind: String,
    settings: String,
    name: Option<String>,
    connection_id: Option<i64>,
    link_hash: Option<Vec<u8>>,
}

macro_rules! columns {
    () => {
        "state_hash, user_id, token_type, provider, redirect_uri, token_url, scopes, sealed_secrets, browser_hash, \
         sealed_grant, expires_at, created_at, kind, settings, name, connection_id, link_hash"
    };
}

pub(crate) use columns;

impl FlowRow {
    pub(crate) fn into_parts(self) -> Result<(Flow, Option<Sealed>), StoreError> {
        let corrupt = |why: &dyn std::fmt::Display| StoreError::corrupt("flows of user", self.user_id, why);
        let hash = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| corrupt(&"a hash is not 32 bytes"));
        let flow = Flow {
            state_hash: StateHash::new(hash(&self.state_hash)?),
            user_id: UserId::new(StoreError::check_id("flows of user", self.user_id, self.user_id)?),
            provider: ProviderId::parse(&self.provider).map_err(|e| corrupt(&e))?,
            browser_hash: hash(&self.browser_hash)?,
            token_type: self.token_type,
            redirect_uri: self.redirect_uri,
            token_url: self.token_url,
            scopes: Scopes::split(&self.scopes, " "),
            secrets: Sealed::new(self.sealed_secrets),
            expires_at: Timestamp::from_micros(self.expires_at),
            kind: FlowKind::parse(&self.kind)
                .map_err(|e| StoreError::unknown_state("flows of user", self.user_id, &e))?,
            values: read_values(&self.settings).map_err(|e| corrupt(&e))?,
            name: self.name.as_deref().map(ConnectionName::parse).transpose().map_err(|e| corrupt(&e))?,
            connection: self
                .connection_id
                .map(|id| StoreError::check_id("flows of user", self.user_id, id).map(ConnectionId::new))
                .transpose()?,
            link: self.link_hash.as_deref().map(hash).transpose()?.map(LinkId::new),
        };
        Ok((flow, self.sealed_grant.map(Sealed::new)))
    }

    fn into_parked(self) -> Result<Parked, StoreError> {
        let (user, began_at) = (self.user_id, Timestamp::from_micros(self.created_at));
        match self.into_parts()? {
            (flow, Some(grant)) => Ok(Parked { flow, grant, began_at }),
            (_, None) => {
                Err(StoreError::corrupt("flows of user", user, "it is unconfirmed and holds no grant"))
            }
        }
    }
}

impl Store {
    /// Keeps a flow that begins.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_flow(&self, flow: &NewFlow, now: Timestamp) -> Result<(), StoreError> {
        self.insert_paced_flow(flow, None, now).await
    }

    /// `pace`: how many seconds to wait between two questions, and when the first may be.
    pub(crate) async fn insert_paced_flow(
        &self,
        flow: &NewFlow,
        pace: Option<(i64, Timestamp)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO flows (state_hash, user_id, token_type, provider, redirect_uri, token_url, scopes, \
                   sealed_secrets, browser_hash, stage, expires_at, created_at, kind, settings, name, connection_id, \
                   interval_s, next_poll_at, link_hash) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(&flow.state_hash.as_bytes()[..])
            .bind(flow.user_id.get())
            .bind(&flow.token_type)
            .bind(flow.provider.as_str())
            .bind(&flow.redirect_uri)
            .bind(&flow.token_url)
            .bind(flow.scopes.to_string())
            .bind(flow.secrets.as_bytes())
            .bind(&flow.browser_hash[..])
            .bind(FlowStage::Pending.as_str())
            .bind(flow.expires_at.micros())
            .bind(now.micros())
            .bind(flow.kind.as_str())
            .bind(write_values(&flow.values))
            .bind(flow.name.as_ref().map(ConnectionName::as_str))
            .bind(flow.connection.map(ConnectionId::get))
            .bind(pace.map(|(interval_s, _)| interval_s))
            .bind(pace.map(|(_, next)| next.micros()))
            .bind(flow.link.as_ref().map(|link| &link.as_bytes()[..]))
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Spends a state: of all callers with the same one, one gets the flow.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn claim_flow(&self, state: &StateHash, now: Timestamp) -> Result<FlowClaim, StoreError> {
        let claim = concat!(
            "UPDATE flows SET stage = 'used' WHERE state_hash = $1 AND stage = 'pending' AND expires_at > $2 \
             AND kind <> 'device' RETURNING ",
            columns!()
        );
        let row: Option<FlowRow> = on!(self, write, |pool| sqlx::query_as(claim)
            .bind(&state.as_bytes()[..])
            .bind(now.micros())
            .fetch_optional(pool)
            .await)?;
        if let Some(row) = row {
            return Ok(FlowClaim::Claimed(Box::new(row.into_parts()?.0)));
        }
        let look = "SELECT stage FROM flows WHERE state_hash = $1 AND kind <> 'device'";
        let stage: Option<(String,)> = on!(self, read, |pool| sqlx::query_as(look)
            .bind(&state.as_bytes()[..])
            .fetch_optional(pool)
            .await)?;
        let Some((word,)) = stage else { return Ok(FlowClaim::Unknown) };
        let stage =
            FlowStage::parse(&word).map_err(|e| StoreError::unknown_state("flows", "of a state", &e))?;
        Ok(match stage {
            FlowStage::Pending => FlowClaim::Expired,
            FlowStage::Used | FlowStage::Unconfirmed => FlowClaim::Used,
        })
    }

    /// Keeps a grant until its owner signs in, in the browser it came back in.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_flow_parked(
        &self,
        state: &StateHash,
        confirm_hash: &[u8; 32],
        browser_hash: &[u8; 32],
        grant: &Sealed,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE flows SET stage = 'unconfirmed', confirm_hash = $2, browser_hash = $3, sealed_grant = $4, \
                   expires_at = $5 WHERE state_hash = $1 AND stage = 'used'";
        on!(self, write, |pool| sqlx::query(sql)
            .bind(&state.as_bytes()[..])
            .bind(&confirm_hash[..])
            .bind(&browser_hash[..])
            .bind(grant.as_bytes())
            .bind(expires_at.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// A grant that waits for its owner, if this browser is the one it came back in.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_parked(
        &self,
        confirm_hash: &[u8; 32],
        browser_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Parked>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM flows WHERE confirm_hash = $1 AND browser_hash = $2 AND stage = 'unconfirmed' AND expires_at > $3"
        );
        let row: Option<FlowRow> = on!(self, read, |pool| sqlx::query_as(sql)
            .bind(&confirm_hash[..])
            .bind(&browser_hash[..])
            .bind(now.micros())
            .fetch_optional(pool)
            .await)?;
        row.map(FlowRow::into_parked).transpose()
    }

    /// Takes a grant that waits for its owner: one caller gets it, and the row does not keep it.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn claim_parked(&self, state: &StateHash) -> Result<Option<Parked>, StoreError> {
        let sql = concat!(
            "UPDATE flows SET stage = 'used' WHERE state_hash = $1 AND stage = 'unconfirmed' RETURNING ",
            columns!()
        );
        // A statement of its own: `RETURNING` gives what the row holds afterwards.
        let wipe = "UPDATE flows SET sealed_grant = NULL WHERE state_hash = $1";
        let row: Option<FlowRow> = on!(self, begin, |tx| {
            let row: Option<FlowRow> =
                sqlx::query_as(sql).bind(&state.as_bytes()[..]).fetch_optional(&mut *tx).await?;
            // Only what was taken: a grant that is parked this very moment is somebody else's to take.
            if row.is_some() {
                sqlx::query(wipe).bind(&state.as_bytes()[..]).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            row
        });
        row.map(FlowRow::into_parked).transpose()
    }

    /// Grants that waited for their owner in vain, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or a row cannot be read.
    pub async fn list_expired_parked(&self, now: Timestamp, limit: i64) -> Result<Vec<Parked>, StoreError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM flows WHERE stage = 'unconfirmed' AND expires_at <= $1 ORDER BY expires_at LIMIT $2"
        );
        let rows: Vec<FlowRow> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(now.micros()).bind(limit).fetch_all(pool).await)?;
        rows.into_iter().map(FlowRow::into_parked).collect()
    }

    /// Forgets flows that ended before `before`, but for those that still hold a grant.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_ended_flows(&self, before: Timestamp) -> Result<(), StoreError> {
        let sql = "DELETE FROM flows WHERE expires_at < $1 AND stage <> 'unconfirmed'";
        on!(self, write, |pool| sqlx::query(sql).bind(before.micros()).execute(pool).await.map(drop))?;
        Ok(())
    }
}
