//! Reading the audit log: owners theirs, the operator all of it.

use std::collections::HashMap;

use tokenry_model::{Action, ConnectionId, Timestamp, Username};
use tokenry_store::{AuditRow, AuditWanted};

use super::Note;
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::problem::Problem;
use crate::sessions::Claims;

/// A row, and the names of those in it.
#[derive(Debug)]
pub struct AuditLine {
    /// The row.
    pub row: AuditRow,
    /// The name of the user who did it, where that may be told.
    pub actor: Option<String>,
    /// The name of the user whose it is.
    pub owner: Option<String>,
}

/// The newest rows that were asked for.
#[derive(Debug)]
pub struct AuditPage {
    /// The rows, the newest first.
    pub lines: Vec<AuditLine>,
}

/// Which rows the operator wants. What is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Those of this user: what they did, and what was done with what is theirs.
    pub user: Option<String>,
    /// Those about this connection.
    pub connection: Option<ConnectionId>,
    /// Those from this time on.
    pub since: Option<Timestamp>,
    /// Those before this place.
    pub before: Option<i64>,
}

impl Broker {
    /// What happened with what is the caller's, the newest first: at most `limit` rows before the place `before`. With
    /// `connection`, only what is about it, whether or not it is there still.
    ///
    /// # Errors
    /// Those of a caller who may not.
    pub async fn list_own_audit(
        &self,
        claims: &Claims,
        owner: &str,
        connection: Option<i64>,
        before: i64,
        limit: i64,
    ) -> Result<AuditPage, BrokerError> {
        let read = async {
            let user = claims.own(owner)?;
            self.user(claims).await?;
            let wanted = AuditWanted { owner: Some(user), connection, ..AuditWanted::default() };
            self.own_page(claims, &wanted, before, limit).await
        };
        let read = read.await;
        self.noted(Note::at(claims, Action::View, owner), read).await
    }

    /// Who used a connection, and what else happened with it, the newest first: at most `limit` rows before the place
    /// `before`. Lists that held it are among them.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchConnection`], and those of a caller who may not.
    pub async fn list_connection_audit(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
        before: i64,
        limit: i64,
    ) -> Result<AuditPage, BrokerError> {
        let connection = self.own_connection(claims, owner, id).await;
        let connection = self.noted(Note::at(claims, Action::View, owner).on(id), connection).await?;
        let wanted = AuditWanted {
            owner: Some(connection.user_id),
            connection: Some(id.get()),
            listed_since: Some(connection.created_at),
            ..AuditWanted::default()
        };
        self.own_page(claims, &wanted, before, limit).await
    }

    async fn own_page(
        &self,
        claims: &Claims,
        wanted: &AuditWanted,
        before: i64,
        limit: i64,
    ) -> Result<AuditPage, BrokerError> {
        // What this process still holds belongs to it. What cannot be written now is in a later page.
        if let Err(error) = self.flush_audit().await {
            tracing::warn!(%error, "the audit log is shown without what waits to be written");
        }
        let rows = self.store.list_audit_wanted(wanted, before, limit).await?;
        let line = |mut row: AuditRow| {
            let own = row.entry.actor_id == Some(claims.user.get());
            if row.entry.actor_id.is_some() && !own {
                // That it was somebody is the owner's to know; who and where is not.
                (row.entry.actor_id, row.entry.address, row.entry.agent) = (None, None, None);
                row.entry.actor = "other_user".into();
            }
            let name = || Some(claims.username().to_owned());
            AuditLine { row, actor: own.then(name).flatten(), owner: name() }
        };
        Ok(AuditPage { lines: rows.into_iter().map(line).collect() })
    }

    /// What happened, the newest first, at most `limit` rows. For the operator.
    ///
    /// # Errors
    /// [`BrokerError::Field`] when there is no such user; [`BrokerError::Store`].
    pub async fn list_audit(&self, filter: &AuditFilter, limit: i64) -> Result<AuditPage, BrokerError> {
        let either = match &filter.user {
            Some(name) => {
                let nobody = || BrokerError::field("user", Problem::Nobody);
                let username = Username::parse(name).map_err(|_| nobody())?;
                Some(self.store.find_login(&username).await?.ok_or_else(nobody)?.user.id)
            }
            None => None,
        };
        let wanted = AuditWanted {
            either,
            connection: filter.connection.map(ConnectionId::get),
            since: filter.since,
            ..AuditWanted::default()
        };
        let names: HashMap<i64, String> = self
            .store
            .list_users()
            .await?
            .into_iter()
            .map(|user| (user.id.get(), user.username.to_string()))
            .collect();
        let rows = self.store.list_audit_wanted(&wanted, filter.before.unwrap_or(i64::MAX), limit).await?;
        let name = |id: Option<i64>| id.and_then(|id| names.get(&id).cloned());
        let line = |row: AuditRow| {
            let (actor, owner) = (name(row.entry.actor_id), name(row.entry.owner));
            AuditLine { row, actor, owner }
        };
        Ok(AuditPage { lines: rows.into_iter().map(line).collect() })
    }
}
