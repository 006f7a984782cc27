//! Credentials of connections: what replaces them, what takes them away, and what is known of them in between.

use tokenry_model::{Account, ConnectionId, CredentialKind, Sealed, Timestamp, UserId};

use crate::connections::{NewCredential, SealedCredential, write_values};
use crate::database::{Store, on};
use crate::error::StoreError;
use crate::revocations::{HOLD_GRANT, QUEUE_GRANT};

/// Marks a live connection as deleted and wipes its credential. $1 user, $2 connection, $3 now, $4 no bytes.
pub(crate) const DELETE: &str = "UPDATE connections SET deleted_at = $3, updated_at = $3, sealed_access = $4, \
    sealed_refresh = NULL, due_at = NULL, renew_at = NULL, keep_at = NULL, generation = generation + 1, \
    lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
    WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL";

impl Store {
    /// Writes what a refresh brought, if the connection still has the credential of `generation`. A refresh token that
    /// did not come leaves the old one (RFC 6749 §6). Returns whether it was written.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_refreshed(
        &self,
        id: ConnectionId,
        generation: i64,
        sealed: &SealedCredential,
        credential: &NewCredential,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET sealed_access = $3, sealed_refresh = COALESCE($4, sealed_refresh), \
                   scopes = $5, settings = $6, expires_at = $7, due_at = $8, renew_at = $9, keep_at = $10, ends_at = $11, \
                   idle_ends_at = $12, last_refreshed_at = $13, updated_at = $13, generation = generation + 1, \
                   state = 'ok', state_reason = NULL, failures = 0, retry_at = NULL, refused_at = NULL, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $1 AND generation = $2 AND deleted_at IS NULL";
        let [expires, due, renew, keep, ends, idle] = credential.times.to_micros();
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(generation)
            .bind(sealed.access.as_bytes())
            .bind(sealed.refresh.as_ref().map(Sealed::as_bytes))
            .bind(credential.scopes.to_string())
            .bind(write_values(&credential.values))
            .bind(expires)
            .bind(due)
            .bind(renew)
            .bind(keep)
            .bind(ends)
            .bind(idle)
            .bind(now.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// A refresh comes too late for its row, and has spent the refresh token that the row still holds: the next one is put in
    /// its place. Returns whether the row held it.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_spent(
        &self,
        id: ConnectionId,
        spent: &Sealed,
        next: &Sealed,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET sealed_refresh = $3, generation = generation + 1 \
                   WHERE id = $1 AND sealed_refresh = $2 AND deleted_at IS NULL";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(spent.as_bytes())
            .bind(next.as_bytes())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Marks a connection as to be connected again, if it still has the credential of `generation`. The credential is
    /// kept, and no longer renewed. Returns whether it was written.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_reconnect_required(
        &self,
        id: ConnectionId,
        generation: i64,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET state = 'reconnect_required', state_reason = $3, \
                   renew_at = NULL, keep_at = NULL, failures = 0, retry_at = NULL, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $1 AND generation = $2 AND deleted_at IS NULL AND state IN ('ok', 'quarantined')";
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(generation)
            .bind(reason)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Gives a connection a new grant for the same account, whatever it held before: a person's consent wins over a
    /// refresh in flight. When no refresh token came, one that was still good stays: many providers give one at the first
    /// consent only. One that waited to be deleted stays. Returns whether the connection is still there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_reconnected(
        &self,
        user: UserId,
        id: ConnectionId,
        account: Option<&Account>,
        sealed: &SealedCredential,
        credential: &NewCredential,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET kind = $2, state = 'ok', state_reason = NULL, \
                   account_id = COALESCE(account_id, $18), account_label = COALESCE($3, account_label), sealed_access = $4, \
                   sealed_refresh = CASE WHEN $5 = 1 AND kind = 'oauth2' AND state = 'ok' \
                   THEN sealed_refresh ELSE $6 END, \
                   requested_scopes = $7, scopes = $8, settings = $9, expires_at = $10, due_at = $11, renew_at = $12, \
                   keep_at = $13, ends_at = $14, idle_ends_at = $15, connected_at = $16, updated_at = $16, delete_at = NULL, \
                   failures = 0, retry_at = NULL, refused_at = NULL, generation = generation + 1, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $1 AND user_id = $17 AND deleted_at IS NULL";
        let [expires, due, renew, keep, ends, idle] = credential.times.to_micros();
        // Never a refresh token that belongs to a credential of another kind.
        let keeps_refresh = sealed.refresh.is_none() && credential.kind == CredentialKind::OAuth2;
        let rows = on!(self, write, |pool| sqlx::query(sql)
            .bind(id.get())
            .bind(credential.kind.as_str())
            .bind(account.and_then(|account| account.label.as_deref()))
            .bind(sealed.access.as_bytes())
            .bind(i64::from(keeps_refresh))
            .bind(sealed.refresh.as_ref().map(Sealed::as_bytes))
            .bind(credential.requested.to_string())
            .bind(credential.scopes.to_string())
            .bind(write_values(&credential.values))
            .bind(expires)
            .bind(due)
            .bind(renew)
            .bind(keep)
            .bind(ends)
            .bind(idle)
            .bind(now.micros())
            .bind(user.get())
            .bind(account.map(|account| account.id.as_str()))
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
            .map_err(StoreError::or_conflict))?;
        Ok(rows == 1)
    }

    /// Makes a user's connection a plain stored token. With `revoke`, a grant it held goes to the revocations, in the
    /// same transaction. Returns whether the connection is there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_plain_token(
        &self,
        user: UserId,
        id: ConnectionId,
        sealed: &Sealed,
        revoke: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET kind = 'plain', state = 'ok', state_reason = NULL, account_id = NULL, \
                   account_label = NULL, requested_scopes = '', scopes = '', sealed_access = $3, sealed_refresh = NULL, \
                   expires_at = NULL, due_at = NULL, renew_at = NULL, keep_at = NULL, ends_at = NULL, idle_ends_at = NULL, \
                   connected_at = $4, updated_at = $4, failures = 0, retry_at = NULL, refused_at = NULL, \
                   generation = generation + 1, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL";
        let rows = on!(self, begin, |tx| {
            if revoke {
                for sql in [HOLD_GRANT, QUEUE_GRANT] {
                    let at = now.micros();
                    sqlx::query(sql).bind(user.get()).bind(id.get()).bind(at).execute(&mut *tx).await?;
                }
            }
            let done = sqlx::query(sql)
                .bind(user.get())
                .bind(id.get())
                .bind(sealed.as_bytes())
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            done.rows_affected()
        });
        Ok(rows == 1)
    }

    /// Deletes a user's connection: it is marked, and its credential is gone from the row at once. With `revoke`, a grant
    /// it held goes to the revocations, in the same transaction. Returns whether the connection was there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn delete_connection(
        &self,
        user: UserId,
        id: ConnectionId,
        revoke: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let rows = on!(self, begin, |tx| {
            if revoke {
                for sql in [HOLD_GRANT, QUEUE_GRANT] {
                    let at = now.micros();
                    sqlx::query(sql).bind(user.get()).bind(id.get()).bind(at).execute(&mut *tx).await?;
                }
            }
            let done = sqlx::query(DELETE)
                .bind(user.get())
                .bind(id.get())
                .bind(now.micros())
                .bind(&b""[..])
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            done.rows_affected()
        });
        Ok(rows == 1)
    }

    /// Takes a connection's credential away and keeps the connection, marked as revoked. A grant goes to the revocations, in
    /// the same transaction, if `revoke` is set. Returns whether the connection was there.
    ///
    /// # Errors
    /// [`StoreError`] when the database is away.
    pub async fn update_revoked(
        &self,
        user: UserId,
        id: ConnectionId,
        reason: &str,
        revoke: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE connections SET state = 'revoked', state_reason = $4, sealed_access = $5, \
                   sealed_refresh = NULL, scopes = '', expires_at = NULL, due_at = NULL, renew_at = NULL, keep_at = NULL, \
                   ends_at = NULL, idle_ends_at = NULL, failures = 0, retry_at = NULL, refused_at = NULL, \
                   updated_at = $3, generation = generation + 1, \
                   lease_owner = NULL, lease_until = NULL, intent_hash = NULL, intent_at = NULL \
                   WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL";
        let rows = on!(self, begin, |tx| {
            if revoke {
                for sql in [HOLD_GRANT, QUEUE_GRANT] {
                    let at = now.micros();
                    sqlx::query(sql).bind(user.get()).bind(id.get()).bind(at).execute(&mut *tx).await?;
                }
            }
            let done = sqlx::query(sql)
                .bind(user.get())
                .bind(id.get())
                .bind(now.micros())
                .bind(reason)
                .bind(&b""[..])
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            done.rows_affected()
        });
        Ok(rows == 1)
    }
}
