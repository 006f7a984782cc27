//! Connect links: who has one, and how far it has come. Whatever must happen once is a compare-and-set.

use tokenry_model::{ConnectionId, Link, LinkId, LinkStage, ProviderId, Timestamp, UserId};

use crate::database::{Store, on};
use crate::error::StoreError;

/// So many spent links are kept for each that may be open: they say how it ended, and that they were used before.
const SPENT: i64 = 10;

/// Spends a link, in the browser that has it, while its owner's sessions are those that it was made in.
pub(crate) const SPEND: &str = "UPDATE connect_links SET stage = 'connected', service = $3, connection_id = $4 \
                                WHERE token_hash = $1 AND browser_hash = $2 AND stage IN ('open', 'declined', 'failed') \
                                AND session_epoch = (SELECT session_epoch FROM users WHERE users.id = connect_links.user_id)";

/// A link in the browser that says it has it.
#[derive(Debug, Clone, Copy)]
pub struct HeldLink {
    /// The link.
    pub id: LinkId,
    /// The SHA-256 of the browser's cookie.
    pub browser_hash: [u8; 32],
}

#[derive(sqlx::FromRow)]
struct LinkRow {
    token_hash: Vec<u8>,
    user_id: i64,
    session_epoch: i64,
    services: String,
    return_to: Option<String>,
    origin: Option<String>,
    stage: String,
    browser_hash: Option<Vec<u8>>,
    nonce: Option<String>,
    service: Option<String>,
    connection_id: Option<i64>,
    expires_at: i64,
    ends_at: i64,
}

impl LinkRow {
    fn into_link(self) -> Result<Link, StoreError> {
        let of = "connect_links of user";
        let corrupt = |why: &dyn std::fmt::Display| StoreError::corrupt(of, self.user_id, why);
        let hash = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| corrupt(&"a hash is not 32 bytes"));
        let provider = |word: &str| ProviderId::parse(word).map_err(|e| corrupt(&e));
        Ok(Link {
            id: LinkId::new(hash(&self.token_hash)?),
            user_id: UserId::new(StoreError::check_id(of, self.user_id, self.user_id)?),
            session_epoch: self.session_epoch,
            services: self.services.split_whitespace().map(provider).collect::<Result<_, _>>()?,
            stage: LinkStage::parse(&self.stage)
                .map_err(|e| StoreError::unknown_state(of, self.user_id, &e))?,
            browser_hash: self.browser_hash.as_deref().map(hash).transpose()?,
            service: self.service.as_deref().map(provider).transpose()?,
            connection: self
                .connection_id
                .map(|id| StoreError::check_id(of, self.user_id, id).map(ConnectionId::new))
                .transpose()?,
            return_to: self.return_to,
            origin: self.origin,
            nonce: self.nonce,
            expires_at: Timestamp::from_micros(self.expires_at),
            ends_at: Timestamp::from_micros(self.ends_at),
        })
    }
}

impl Store {
    /// Keeps a link that was made.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn insert_link(&self, link: &Link, now: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO connect_links (token_hash, user_id, session_epoch, services, return_to, origin, stage, \
                   browser_hash, nonce, service, connection_id, expires_at, ends_at, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let services: Vec<&str> = link.services.iter().map(ProviderId::as_str).collect();
        on!(self, write, |pool| sqlx::query(sql)
            .bind(&link.id.as_bytes()[..])
            .bind(link.user_id.get())
            .bind(link.session_epoch)
            .bind(services.join(" "))
            .bind(link.return_to.as_deref())
            .bind(link.origin.as_deref())
            .bind(link.stage.as_str())
            .bind(link.browser_hash.as_ref().map(|hash| &hash[..]))
            .bind(link.nonce.as_deref())
            .bind(link.service.as_ref().map(ProviderId::as_str))
            .bind(link.connection.map(ConnectionId::get))
            .bind(link.expires_at.micros())
            .bind(link.ends_at.micros())
            .bind(now.micros())
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// A link by its id.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away or the row cannot be read.
    pub async fn find_link(&self, id: &LinkId) -> Result<Option<Link>, StoreError> {
        let sql = "SELECT token_hash, user_id, session_epoch, services, return_to, origin, stage, browser_hash, nonce, \
                   service, connection_id, expires_at, ends_at FROM connect_links WHERE token_hash = $1";
        let row: Option<LinkRow> =
            on!(self, read, |pool| sqlx::query_as(sql).bind(&id.as_bytes()[..]).fetch_optional(pool).await)?;
        row.map(LinkRow::into_link).transpose()
    }

    /// Gives a link to a browser, unless another has it: of all that come at once, one gets it. `nonce` replaces the one that
    /// is there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn claim_link_browser(
        &self,
        id: &LinkId,
        browser_hash: &[u8; 32],
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connect_links SET browser_hash = $2, nonce = COALESCE($3, nonce) WHERE token_hash = $1 \
                   AND (browser_hash IS NULL OR browser_hash = $2) AND expires_at > $4 \
                   AND stage IN ('open', 'declined', 'failed')";
        let done = on!(self, write, |pool| sqlx::query(sql)
            .bind(&id.as_bytes()[..])
            .bind(&browser_hash[..])
            .bind(nonce)
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(done > 0)
    }

    /// Takes a link from the browser that has it to another.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_link_browser(
        &self,
        id: &LinkId,
        from: &[u8; 32],
        to: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connect_links SET browser_hash = $3 WHERE token_hash = $1 AND browser_hash = $2 \
                   AND expires_at > $4 AND stage IN ('open', 'declined', 'failed')";
        let done = on!(self, write, |pool| sqlx::query(sql)
            .bind(&id.as_bytes()[..])
            .bind(&from[..])
            .bind(&to[..])
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(done > 0)
    }

    /// A connect begins in the browser that has the link; it may take until `ends_at`.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_link_begun(
        &self,
        id: &LinkId,
        browser_hash: &[u8; 32],
        service: &ProviderId,
        ends_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connect_links SET stage = 'open', service = $3, ends_at = $4 WHERE token_hash = $1 \
                   AND browser_hash = $2 AND expires_at > $5 AND stage IN ('open', 'declined', 'failed')";
        let done = on!(self, write, |pool| sqlx::query(sql)
            .bind(&id.as_bytes()[..])
            .bind(&browser_hash[..])
            .bind(service.as_str())
            .bind(ends_at.micros())
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(done > 0)
    }

    /// Somebody came back from a provider. Of all callers one goes on, and must say how it ended; a process that dies in
    /// between leaves a link that nobody can use again.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn claim_link(&self, id: &LinkId, browser_hash: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "UPDATE connect_links SET stage = 'ending' WHERE token_hash = $1 AND browser_hash = $2 \
                   AND stage IN ('open', 'declined', 'failed')";
        let done = on!(self, write, |pool| sqlx::query(sql)
            .bind(&id.as_bytes()[..])
            .bind(&browser_hash[..])
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(done > 0)
    }

    /// Says how a connect ended. `claimed`: for the caller that got [`Store::claim_link`], and else only while no other has it.
    /// A link that was spent stays so.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_link_ended(
        &self,
        id: &LinkId,
        claimed: bool,
        stage: LinkStage,
        service: &ProviderId,
        connection: Option<ConnectionId>,
    ) -> Result<bool, StoreError> {
        let sql = if claimed {
            "UPDATE connect_links SET stage = $2, service = $3, connection_id = $4 \
             WHERE token_hash = $1 AND stage = 'ending'"
        } else {
            "UPDATE connect_links SET stage = $2, service = $3, connection_id = $4 \
             WHERE token_hash = $1 AND stage IN ('open', 'declined', 'failed')"
        };
        let done = on!(self, write, |pool| sqlx::query(sql)
            .bind(&id.as_bytes()[..])
            .bind(stage.as_str())
            .bind(service.as_str())
            .bind(connection.map(ConnectionId::get))
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(done > 0)
    }

    /// Forgets a user's oldest links: those that are not spent beyond the `most` newest, and spent ones beyond ten times as
    /// many. `newest` stays. Returns how many were forgotten.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_oldest_links(
        &self,
        user: UserId,
        newest: &LinkId,
        most: i64,
    ) -> Result<u64, StoreError> {
        let unspent = "DELETE FROM connect_links WHERE user_id = $1 AND stage <> 'connected' AND token_hash <> $2 \
                       AND token_hash NOT IN (SELECT token_hash FROM connect_links WHERE user_id = $1 \
                       AND stage <> 'connected' AND token_hash <> $2 ORDER BY created_at DESC, token_hash LIMIT $3)";
        let spent = "DELETE FROM connect_links WHERE user_id = $1 AND stage = 'connected' AND token_hash <> $2 \
                     AND token_hash NOT IN (SELECT token_hash FROM connect_links WHERE user_id = $1 \
                     AND stage = 'connected' AND token_hash <> $2 ORDER BY created_at DESC, token_hash LIMIT $3)";
        let mut forgotten = 0;
        for (sql, most) in [(unspent, most - 1), (spent, most.saturating_mul(SPENT))] {
            forgotten += on!(self, write, |pool| sqlx::query(sql)
                .bind(user.get())
                .bind(&newest.as_bytes()[..])
                .bind(most)
                .execute(pool)
                .await
                .map(|done| done.rows_affected()))?;
        }
        Ok(forgotten)
    }

    /// Forgets links that came to their end before `before`.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_ended_links(&self, before: Timestamp) -> Result<(), StoreError> {
        let sql = "DELETE FROM connect_links WHERE ends_at < $1";
        on!(self, write, |pool| sqlx::query(sql).bind(before.micros()).execute(pool).await.map(drop))?;
        Ok(())
    }
}
