//! What an operator looks at: how refreshes go by provider, what is about to break, what happened, and how the keys stand. All of
//! it from the database, so that every process shows the same.

use std::collections::{BTreeMap, BTreeSet};

use tokenry_model::{Action, Health, Timestamp, UserId, Username, WARN_AHEAD};
use tokenry_store::EventsWanted;

use crate::audit::{AuditLine, Note};
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::hours::{HOUR, hour_of};
use crate::key_admin::{KeyAdmin, KeyError, KeyStatus};
use crate::problem::Problem;
use crate::renewals::UNREAD;
use crate::sessions::Claims;

/// How many hours the figures look back, with the one that has begun; and ahead.
const HOURS: u32 = 24;
/// How many of the connections that become due within a quarter of an hour are looked at.
const MOST_A_QUARTER: i64 = 500;
/// How many rows of the audit log are looked at for one page of events.
const LOOKED_AT: i64 = 200_000;

/// How things stand.
#[derive(Debug)]
pub struct Overview {
    /// How many connections there are.
    pub connections: i64,
    /// Providers that something is to be said of, by their names.
    pub providers: Vec<ProviderOverview>,
    /// From when on refreshes are counted here: when the first hour began.
    pub counted_since: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// How refreshes went at one provider within an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HourOverview {
    /// How many went well.
    pub done: i64,
    /// How many did not.
    pub failed: i64,
    /// Whether they were held back at any time in it: by a circuit, a fault of the registration, or a pause.
    pub held: bool,
}

/// How things stand at one provider.
#[derive(Debug, Default)]
pub struct ProviderOverview {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// How many connections are due for a refresh.
    pub due: i64,
    /// How many of them have a dead token already.
    pub overdue: i64,
    /// How many refreshes went well, and how many did not, within the day.
    pub done: i64,
    /// See there.
    pub failed: i64,
    /// The same by the hour, the oldest first: 24 of them, the last of which has begun.
    pub hours: Vec<HourOverview>,
    /// How many connections become due within each of the next 24 hours from now.
    pub coming: Vec<i64>,
    /// Whether those are too many to look at all of them: then it is about so many.
    pub coming_is_estimate: bool,
    /// How many connections must be connected again.
    pub reconnect: i64,
    /// How many are set aside.
    pub quarantined: i64,
    /// How many must be connected again within two weeks.
    pub ending: i64,
    /// Pause, circuit and fault.
    pub health: Health,
}

/// Which events an operator wants. What is empty does not matter.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this user, by name.
    pub user: String,
    /// About this connection.
    pub connection: Option<i64>,
    /// What was done: the word, or its beginning.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// At which service, by its id.
    pub service: String,
    /// Before this place.
    pub before: Option<i64>,
}

/// Events, the newest first.
#[derive(Debug)]
pub struct EventsPage {
    /// The rows.
    pub lines: Vec<AuditLine>,
    /// Before which place to go on, if there may be more.
    pub next: Option<i64>,
}

impl Broker {
    /// How things stand. For an operator.
    ///
    /// # Errors
    /// [`BrokerError::OperatorOnly`].
    pub async fn overview(&self, claims: &Claims) -> Result<Overview, BrokerError> {
        self.operator(claims).await?;
        // In a task of its own: what was counted is not lost with a reader who goes away.
        let broker = self.clone();
        let written = self.tasks.spawn(async move { broker.write_hours().await });
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "the overview is shown without what waits to be written");
        }
        let catalogue = self.current_catalogue().await?;
        let now = self.clock.now();
        let this_hour = hour_of(now);
        let since = this_hour.minus(HOUR * (HOURS - 1));
        let mut all: BTreeMap<String, ProviderOverview> = BTreeMap::new();
        let mut at = |id: &str, change: &mut dyn FnMut(&mut ProviderOverview)| {
            let entry = all.entry(id.to_owned()).or_insert_with(|| ProviderOverview {
                id: id.to_owned(),
                name: catalogue.find(id).map_or_else(|| id.to_owned(), |known| known.name.clone()),
                hours: vec![HourOverview::default(); HOURS as usize],
                coming: vec![0; HOURS as usize],
                ..ProviderOverview::default()
            });
            change(entry);
        };
        for due in self.store.list_due(now, now.minus(UNREAD)).await? {
            at(due.provider.as_str(), &mut |it| (it.due, it.overdue) = (due.count, due.overdue));
        }
        for ending in self.store.list_ending(now, now.plus(WARN_AHEAD)).await? {
            at(ending.provider.as_str(), &mut |it| it.ending = ending.count);
        }
        for troubled in self.store.list_troubled().await? {
            at(&troubled.provider, &mut |it| match troubled.state.as_str() {
                "reconnect_required" => it.reconnect = troubled.count,
                "quarantined" => it.quarantined = troubled.count,
                _ => {}
            });
        }
        for counted in self.store.list_refresh_hours(since, this_hour).await? {
            let place = counted.hour.since(since).as_secs() / HOUR.as_secs();
            at(counted.provider.as_str(), &mut |it| {
                let Some(hour) = usize::try_from(place).ok().and_then(|at| it.hours.get_mut(at)) else {
                    return;
                };
                *hour = HourOverview { done: counted.done, failed: counted.failed, held: counted.held };
                (it.done, it.failed) = (it.done + counted.done, it.failed + counted.failed);
            });
        }
        for coming in self.store.list_coming(now, now.minus(UNREAD), HOURS, MOST_A_QUARTER).await? {
            at(coming.provider.as_str(), &mut |it| {
                if let Some(hour) = it.coming.get_mut(coming.hour as usize) {
                    *hour = coming.count;
                }
                it.coming_is_estimate |= coming.is_estimate;
            });
        }
        for (id, health) in self.store.list_health().await? {
            let says_something = health.circuit.is_some()
                || health.fault.is_some()
                || health.paused_until.is_some_and(|until| until > now);
            if says_something {
                at(id.as_str(), &mut |it| it.health = health.clone());
            }
        }
        let mut providers: Vec<_> = all.into_values().collect();
        providers.sort_by_key(|it| it.name.to_lowercase());
        Ok(Overview {
            connections: self.store.count_all_connections().await?,
            providers,
            counted_since: since,
            now,
        })
    }

    /// What happened, the newest first: at most `limit` rows. For an operator.
    ///
    /// # Errors
    /// [`BrokerError::Field`] when there is no such user; [`BrokerError::OperatorOnly`].
    pub async fn list_events(
        &self,
        claims: &Claims,
        filter: &EventFilter,
        limit: i64,
    ) -> Result<EventsPage, BrokerError> {
        self.operator(claims).await?;
        if let Err(error) = self.flush_audit().await {
            tracing::warn!(%error, "the events are shown without what waits to be written");
        }
        let user = match filter.user.trim() {
            "" => None,
            name => {
                let nobody = || BrokerError::field("user", Problem::Nobody);
                let name = Username::parse(name).map_err(|_| nobody())?;
                Some(self.store.find_login(&name).await?.ok_or_else(nobody)?.user.id)
            }
        };
        let wanted = EventsWanted {
            user,
            connection: filter.connection,
            action: filter.action.clone(),
            outcome: filter.outcome.clone(),
            provider: filter.service.clone(),
            since: None,
        };
        let head = self.store.find_audit_head().await?;
        let before = filter.before.unwrap_or(i64::MAX).min(head.seq.saturating_add(1));
        let after = before.saturating_sub(LOOKED_AT).max(head.kept_seq - 1);
        let rows = self.store.list_events(&wanted, after, before, limit).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= limit);
        let next = match rows.last() {
            Some(last) if is_full => Some(last.seq),
            _ if after >= head.kept_seq => Some(after + 1),
            _ => None,
        };
        let mut names: BTreeMap<i64, Option<String>> = BTreeMap::new();
        let ids: BTreeSet<i64> =
            rows.iter().flat_map(|row| [row.entry.actor_id, row.entry.owner]).flatten().collect();
        for id in ids {
            names.insert(id, self.name_of(Some(UserId::new(id))).await?);
        }
        let name = |id: Option<i64>| id.and_then(|id| names.get(&id).cloned().flatten());
        let line = |row: tokenry_store::AuditRow| {
            let (actor, owner) = (name(row.entry.actor_id), name(row.entry.owner));
            AuditLine { row, actor, owner }
        };
        Ok(EventsPage { lines: rows.into_iter().map(line).collect(), next })
    }

    /// How the keys stand. For an operator.
    ///
    /// # Errors
    /// [`BrokerError::OperatorOnly`], [`BrokerError::Keys`].
    pub async fn key_status(&self, claims: &Claims) -> Result<KeyStatus, BrokerError> {
        self.operator(claims).await?;
        Ok(self.key_admin().await?.status().await?)
    }

    /// Adds a data key that seals from now on; the servers seal again what the others sealed. Returns its id. For an operator.
    ///
    /// # Errors
    /// As [`Broker::key_status`].
    pub async fn rotate_key(&self, claims: &Claims) -> Result<u32, BrokerError> {
        let rotated = async {
            self.operator(claims).await?;
            let id = self.key_admin().await?.rotate().await?;
            self.read_ring().await?;
            Ok(id)
        };
        let rotated = rotated.await;
        self.noted(Note::by(claims, Action::KeyRotate), rotated).await
    }

    /// Deletes a data key that nothing needs any more. For an operator.
    ///
    /// # Errors
    /// As [`Broker::key_status`]; [`BrokerError::Keys`] says what needs it.
    pub async fn retire_key(&self, claims: &Claims, id: u32) -> Result<(), BrokerError> {
        let retired = async {
            self.operator(claims).await?;
            Ok(self.key_admin().await?.retire(id, &self.spool, None).await?)
        };
        let retired = retired.await;
        self.noted(Note::by(claims, Action::KeyRetire), retired).await
    }

    async fn key_admin(&self) -> Result<KeyAdmin, BrokerError> {
        let (clock, random) = (std::sync::Arc::clone(&self.clock), std::sync::Arc::clone(&self.random));
        Ok(KeyAdmin::open(self.store.clone(), self.vault.master(), clock, random).await?)
    }
}

impl From<KeyError> for BrokerError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => error.into(),
            error => Self::Keys { why: error.to_string() },
        }
    }
}
