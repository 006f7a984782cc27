//! What a person sees of a connection: where it stands, and why. Never a token.

use std::collections::HashMap;
use std::sync::PoisonError;

use tokenry_model::{
    Action, Circuit, Connection, ConnectionId, CredentialKind, Health, ProviderId, Scopes, Timestamp,
};
use tokenry_store::Wanted;

use crate::audit::Note;
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::sessions::{Claims, ENDED};

/// The words for where a connection stands.
const STANDINGS: [&str; 6] =
    ["ok", "expiring", "reconnect_required", "quarantined", "revoked", "handed_over"];
/// The most rows that are read at a time while a list is looked through.
const BATCH: i64 = 500;

/// What there is to say about a connection.
#[derive(Debug)]
pub struct ConnectionDetail {
    /// The row. Its sealed parts are nobody's to see.
    pub connection: Connection,
    /// The service's name.
    pub service_name: String,
    /// The word for where it stands.
    pub standing: &'static str,
    /// Why, and what to do, unless all is well.
    pub reason: Option<String>,
    /// What was asked for and not granted.
    pub missing: Scopes,
    /// Whether the service is told when its grant ends here, by a delete or otherwise.
    pub is_revocable: bool,
    /// When its token was last handed out.
    pub last_used_at: Option<Timestamp>,
    /// When it must be connected again if nothing happens meanwhile.
    pub reconnect_by: Option<Timestamp>,
    /// What is wrong with the provider at the moment, if anything. No connection is to blame for it.
    pub provider_trouble: Option<String>,
}

/// Which connections are wanted, in the words of the caller. What is `None` does not matter.
#[derive(Debug, Default)]
pub struct ConnectionFilter {
    /// Where it stands.
    pub state: Option<String>,
    /// The service, by its id or an alias.
    pub service: Option<String>,
    /// The kind of credential.
    pub kind: Option<String>,
    /// The account, by its id or its label.
    pub account: Option<String>,
}

impl Broker {
    /// What there is to say about a connection.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchConnection`], and those of a caller who may not.
    pub async fn find_detail(
        &self,
        claims: &Claims,
        owner: &str,
        id: ConnectionId,
    ) -> Result<ConnectionDetail, BrokerError> {
        let connection = self.own_connection(claims, owner, id).await;
        let connection = self.noted(Note::at(claims, Action::View, owner).on(id), connection).await?;
        let health = self.store.find_health(&connection.provider).await?;
        Ok(self.detail(connection, &health))
    }

    /// The caller's connections with an id above `after` that are wanted, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`BrokerError::Field`] and [`BrokerError::UnknownService`] for a word of the filter that is not understood; those of
    /// a caller who may not.
    pub async fn list_details(
        &self,
        claims: &Claims,
        owner: &str,
        filter: &ConnectionFilter,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ConnectionDetail>, BrokerError> {
        let listed = self.list_filtered(claims, owner, filter, after, limit).await;
        self.noted(Note::at(claims, Action::View, owner), listed).await
    }

    async fn list_filtered(
        &self,
        claims: &Claims,
        owner: &str,
        filter: &ConnectionFilter,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ConnectionDetail>, BrokerError> {
        let user = claims.own(owner)?;
        let standing = filter.state.as_deref().map(read_standing).transpose()?;
        let wanted = self.wanted(filter, standing)?;
        let now = self.clock.now();
        let (mut found, mut after) = (Vec::new(), after);
        // Whether a connection is expiring is for the clock to say, not for the row: some rows are read in vain.
        while found.len() < limit {
            let list = self.store.list_wanted(user, &wanted, after, BATCH).await?.ok_or(ENDED)?;
            claims.check_epoch(Some(list.session_epoch))?;
            let read = list.connections.len();
            after = list.connections.last().map_or(after, |last| last.id.get());
            let fits = list.connections.into_iter().filter(|c| standing.is_none_or(|s| c.standing(now) == s));
            found.extend(fits.take(limit - found.len()));
            if i64::try_from(read).unwrap_or(i64::MAX) < BATCH {
                break;
            }
        }
        let health: HashMap<ProviderId, Health> = self.store.list_health().await?.into_iter().collect();
        let well = Health::default();
        let detail = |connection: Connection| {
            let health = health.get(&connection.provider).unwrap_or(&well);
            self.detail(connection, health)
        };
        Ok(found.into_iter().map(detail).collect())
    }

    fn wanted(
        &self,
        filter: &ConnectionFilter,
        standing: Option<&'static str>,
    ) -> Result<Wanted, BrokerError> {
        let kind = |word: &str| {
            CredentialKind::parse(word).map_err(|_| {
                BrokerError::field(
                    "kind",
                    "must be one of plain, api_key, basic, oauth1, oauth2, client_credentials",
                )
            })
        };
        let provider = filter.service.as_deref().map(|word| self.find_provider(word, Some("service")));
        Ok(Wanted {
            provider: provider.transpose()?.map(|provider| provider.id.clone()),
            kind: filter.kind.as_deref().map(kind).transpose()?,
            // What is expiring is ok in the row.
            state: standing.map(|word| if word == "expiring" { "ok" } else { word }),
            account: filter.account.clone(),
        })
    }

    pub(crate) fn detail(&self, connection: Connection, health: &Health) -> ConnectionDetail {
        let now = self.clock.now();
        let service_name = self
            .catalogue()
            .find(connection.provider.as_str())
            .map_or_else(|| connection.provider.to_string(), |provider| provider.name.clone());
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).get(&connection.id).copied();
        let reconnect_by = connection.times.reconnect_by();
        let expiring = || {
            let end = reconnect_by.filter(|_| connection.is_expiring(now))?;
            let ends = if end > now { "ends" } else { "ended" };
            Some(format!(
                "it {ends} at {end}, and nothing but its owner can put that off: connect the account again \
                 before then; the connection keeps its id"
            ))
        };
        ConnectionDetail {
            service_name: service_name.clone(),
            standing: connection.standing(now),
            reason: connection.state.reason().map(str::to_owned).or_else(expiring),
            missing: connection.missing_scopes(),
            is_revocable: self.wants_revocation(&connection),
            last_used_at: connection.last_used_at.max(used),
            reconnect_by,
            provider_trouble: trouble(&service_name, health, now),
            connection,
        }
    }
}

fn read_standing(word: &str) -> Result<&'static str, BrokerError> {
    STANDINGS
        .into_iter()
        .find(|known| *known == word)
        .ok_or_else(|| BrokerError::field("state", format!("must be one of {}", STANDINGS.join(", "))))
}

/// What is wrong with a provider, in words.
fn trouble(service: &str, health: &Health, now: Timestamp) -> Option<String> {
    if let Some((fault, since)) = &health.fault {
        return Some(format!("{fault}; seen since {since}; the operator of this server has to mend it"));
    }
    if let Some(circuit) = &health.circuit {
        let Circuit { reason, until, .. } = circuit;
        return Some(format!("{reason}; no connection is to blame, and it is tried again from {until} on"));
    }
    let until = health.paused_until.filter(|until| *until > now)?;
    Some(format!("{service} asked to be left alone until {until}"))
}
