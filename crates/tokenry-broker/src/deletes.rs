//! Deletes that their owner may take back for a while. The connection is out of service at once; what the API's delete does
//! at once, the background of any replica does when the while is over, whatever became of the process that was asked.

use std::time::Duration;

use tokenry_model::{Action, Connection, ConnectionId, Health, Timestamp};

use crate::audit::Note;
use crate::boot::Broker;
use crate::connections::there;
use crate::details::ConnectionDetail;
use crate::error::BrokerError;
use crate::sessions::{Claims, ENDED};

/// How long a delete can be taken back.
pub const UNDO_FOR: Duration = Duration::from_secs(30);
/// How many are carried out at once.
const BATCH: i64 = 20;

/// A connection that waits to be deleted.
#[derive(Debug)]
pub struct Leaving {
    /// What there is to say about it.
    pub detail: ConnectionDetail,
    /// From when on it is deleted. Until it is, it can be taken back.
    pub delete_at: Timestamp,
}

impl Broker {
    /// Takes a connection out of service, and has it deleted in [`UNDO_FOR`]. Returns when. One that waits already goes on
    /// waiting: asking twice puts nothing off.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchConnection`], and those of a caller who may not.
    pub async fn delete_later(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
    ) -> Result<Timestamp, BrokerError> {
        let mut note = Note::at(claims, Action::DeleteLater, owner).on(id);
        let asked = async {
            let (connection, waits) = self.own_kept(claims, owner, id).await?;
            note.saw(&connection);
            if let Some(delete_at) = waits {
                return Ok(delete_at);
            }
            let delete_at = self.clock.now().plus(UNDO_FOR);
            there(self.store.update_to_delete(connection.user_id, id, delete_at).await?)?;
            Ok(delete_at)
        };
        let asked = asked.await;
        self.noted(note, asked).await
    }

    /// Takes a delete back: the connection is in service again.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchConnection`] when it does not wait to be deleted, or is by now; those of a caller who may not.
    pub async fn undo_delete(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
    ) -> Result<(), BrokerError> {
        let mut note = Note::at(claims, Action::DeleteUndo, owner).on(id);
        let undone = async {
            let (connection, _) = self.own_kept(claims, owner, id).await?;
            note.saw(&connection);
            there(self.store.update_undeleted(connection.user_id, id).await?)
        };
        let undone = undone.await;
        self.noted(note, undone).await
    }

    /// What there is to say about a connection for its owner's pages, and when it is deleted if it waits for that.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchConnection`], and those of a caller who may not.
    pub async fn find_kept(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
    ) -> Result<(ConnectionDetail, Option<Timestamp>), BrokerError> {
        let found = self.own_kept(claims, owner, id).await;
        let (connection, delete_at) = self.noted(Note::at(claims, Action::View, owner).on(id), found).await?;
        let health = self.store.find_health(&connection.provider).await?;
        Ok((self.detail(connection, &health), delete_at))
    }

    /// The caller's connections that wait to be deleted; those that are deleted first come first.
    ///
    /// # Errors
    /// Those of a caller who may not.
    pub async fn list_leaving(&self, claims: &Claims, owner: &str) -> Result<Vec<Leaving>, BrokerError> {
        let listed = async {
            let user = claims.own(owner)?;
            self.user(claims).await?;
            Ok(self.store.list_leaving(user).await?)
        };
        let listed = listed.await;
        let listed = self.noted(Note::at(claims, Action::View, owner), listed).await?;
        let well = Health::default();
        let leaving = |(connection, delete_at)| Leaving { detail: self.detail(connection, &well), delete_at };
        Ok(listed.into_iter().map(leaving).collect())
    }

    /// The caller's connection, and when it is deleted if it waits for that.
    async fn own_kept(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
    ) -> Result<(Connection, Option<Timestamp>), BrokerError> {
        let user = claims.own(owner)?;
        let owned = self.store.find_connection(user, id).await?.ok_or(ENDED)?;
        claims.check_epoch(Some(owned.session_epoch))?;
        let connection = owned.connection.ok_or(BrokerError::NoSuchConnection)?;
        Ok((connection, owned.delete_at))
    }

    /// Carries out the deletes that are due. Their revocations are in the queue then.
    pub(crate) async fn run_deletes(&self) {
        let now = self.clock.now();
        // What cannot be carried out stays where it is: each run goes by it to the others.
        let mut after = None;
        loop {
            let due = match self.store.list_to_delete(now, after, BATCH).await {
                Ok(due) => due,
                Err(error) => return tracing::error!(%error, "deletes could not be read"),
            };
            for connection in &due.connections {
                let (user, id) = (connection.user_id, connection.id);
                let revoke = self.wants_revocation(connection);
                match self.store.claim_delete(user, id, revoke, now).await {
                    // Another replica was faster, or its owner was.
                    Ok(false) => {}
                    Ok(true) => {
                        tracing::info!(connection = %id, provider = %connection.provider, "deleted");
                        self.note_act(Note::background(Action::Delete, connection)).await;
                    }
                    // One that fails must not hold back the others.
                    Err(error) => tracing::error!(connection = %id, %error, "a delete waits"),
                }
            }
            if due.last.is_none() {
                return;
            }
            after = due.last;
        }
    }
}
