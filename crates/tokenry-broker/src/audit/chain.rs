//! The chain: each row's hash is an HMAC over the row and the hash before it, under a key of the vault. Who can write to the
//! database and lacks the master key can take rows away or change them, but not so that it does not show.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Instant;

use tokenry_model::{Action, Actor, AuditEntry, AuditOutcome, ProviderId, Timestamp, Username};
use tokenry_store::{AuditHead, AuditRow, StoreError};

use super::queue::{Event, Taken};
use crate::boot::Broker;
use crate::error::BrokerError;

/// How many rows are written in one transaction.
const BATCH: usize = 512;
/// How many rows are taken out of the log in one transaction.
const PRUNE: i64 = 5000;

/// What is being written. It stays until it is known to be there.
#[derive(Default)]
pub(crate) struct Writer {
    taken: Taken,
    /// The number of the last act that is written.
    written: u64,
    /// The end of the chain as the last try would have left it: it may have got through, and its answer not.
    tried: Option<(i64, Vec<u8>)>,
    /// The end of the chain as this process last knew it. It never lies before.
    end: i64,
}

/// How far a flush goes.
pub(crate) enum Flush {
    /// To an act.
    Act(u64),
    /// As far as it is due.
    Due,
    /// To the end.
    All,
}

impl Broker {
    /// The HMAC of a row's bytes, or of the head's.
    pub(crate) fn audit_mac(&self, purpose: &'static str, bytes: &[u8]) -> Vec<u8> {
        self.vault.fingerprint(purpose, bytes).to_vec()
    }

    pub(crate) fn row_hash(&self, seq: i64, before: &[u8], entry: &AuditEntry) -> Vec<u8> {
        self.audit_mac("audit row", &entry.to_bytes(seq, before))
    }

    fn head_mac(&self, head: &AuditHead) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        for (number, part) in [(head.seq, &head.hash), (head.kept_seq, &head.kept_before)] {
            bytes.extend_from_slice(&number.to_be_bytes());
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        self.audit_mac("audit head", &bytes)
    }

    /// Whether a server wrote this head.
    pub(crate) fn is_own_head(&self, head: &AuditHead) -> bool {
        let expected = self.head_mac(head);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected, &head.mac).is_ok()
    }

    /// Writes all that waits into the audit log.
    ///
    /// # Errors
    /// [`BrokerError::Store`] when the database does not take it; it waits on.
    pub async fn flush_audit(&self) -> Result<(), BrokerError> {
        self.flush(Flush::All).await
    }

    pub(crate) async fn flush(&self, how: Flush) -> Result<(), BrokerError> {
        let mut writer = self.audit.writer.lock().await;
        let all = matches!(how, Flush::All);
        loop {
            if matches!(how, Flush::Act(number) if writer.written >= number) {
                return Ok(());
            }
            if writer.taken.events.is_empty() {
                let mut queue = self.audit.queue.lock().unwrap_or_else(PoisonError::into_inner);
                writer.taken = queue.take(BATCH, Instant::now(), all);
                writer.tried = None;
                drop(queue);
                self.tell_of_lost(&mut writer.taken);
                if writer.taken.events.is_empty() {
                    writer.written = writer.written.max(writer.taken.through);
                    return Ok(());
                }
            }
            self.write_taken(&mut writer).await?;
            self.metrics.audited(writer.taken.events.len());
            writer.written = writer.taken.through;
            writer.taken.events.clear();
        }
    }

    fn tell_of_lost(&self, taken: &mut Taken) {
        let lost = std::mem::take(&mut taken.lost);
        if lost > 0 {
            let event = super::Note::new(Actor::Background, Action::AuditLost);
            let event = event.into_event(AuditOutcome::Failed, Some("queue_full"), self.clock.now());
            taken.events.push(Event { count: lost, ..event });
        }
    }

    /// Writes what was taken, once: what an earlier try has written after all is found.
    async fn write_taken(&self, writer: &mut Writer) -> Result<(), BrokerError> {
        if let Some((seq, hash)) = &writer.tried {
            let there = match self.store.find_audit(*seq).await {
                Ok(row) => row.is_some_and(|row| row.hash == *hash),
                Err(StoreError::Corrupt { .. }) => false,
                Err(error) => return Err(error.into()),
            };
            if there {
                writer.end = writer.end.max(*seq);
                return Ok(());
            }
        }
        self.find_owners(&mut writer.taken.events).await?;
        self.find_providers(&mut writer.taken.events).await?;
        let now = self.clock.now();
        let (events, known_end) = (&writer.taken.events, writer.end);
        let (mut end, mut marked) = (0, None);
        let tried = &mut writer.tried;
        self.store
            .append_audit(|head, last| {
                let (start, marker) = self.start_of(head, last, known_end);
                marked = marker;
                let marker = marker.map(|(action, outcome, reason)| AuditEntry {
                    reason: reason.map(Into::into),
                    ..AuditEntry::new(Actor::Background, action, outcome, now)
                });
                let entries = marker.into_iter().chain(events.iter().map(Event::to_entry));
                let (rows, next) = self.chained(start, entries);
                end = next.seq;
                *tried = Some((next.seq, next.hash.clone()));
                Ok::<_, StoreError>((rows, next))
            })
            .await?;
        writer.end = end;
        if let Some((_, _, Some(reason))) = marked {
            tracing::error!(
                reason,
                "the end of the audit log was changed by somebody else; run `tokenry audit verify`"
            );
        }
        Ok(())
    }

    /// Where the next row goes, and what is to be said of that place first.
    fn start_of(
        &self,
        head: &AuditHead,
        last: Option<(i64, Vec<u8>)>,
        known_end: i64,
    ) -> (AuditHead, Option<Marker>) {
        let mut start = head.clone();
        let untouched = head.seq == 0 && head.mac.is_empty() && last.is_none();
        let last = last.unwrap_or_default();
        let broken = |reason| Some((Action::AuditBroken, AuditOutcome::Failed, Some(reason)));
        // No row may stand where the next one goes.
        if last.0 > head.seq {
            (start.seq, start.hash) = last;
            return (start, broken("head_behind"));
        }
        if untouched && known_end == 0 {
            return (start, Some((Action::AuditBegin, AuditOutcome::Ok, None)));
        }
        if head.seq < known_end {
            return (start, broken("rolled_back"));
        }
        if !self.is_own_head(head) {
            return (start, broken("head_altered"));
        }
        (start, None)
    }

    /// The rows of these entries from the place on, and the head behind them.
    fn chained(
        &self,
        mut head: AuditHead,
        entries: impl Iterator<Item = AuditEntry>,
    ) -> (Vec<AuditRow>, AuditHead) {
        let mut rows = Vec::new();
        for entry in entries {
            head.seq = head.seq.saturating_add(1);
            head.hash = self.row_hash(head.seq, &head.hash, &entry);
            rows.push(AuditRow { seq: head.seq, entry, hash: head.hash.clone() });
        }
        head.mac = self.head_mac(&head);
        (rows, head)
    }

    /// Looks up the users whom requests only named. A name that nobody has is forgotten.
    async fn find_owners(&self, events: &mut [Event]) -> Result<(), BrokerError> {
        let mut known: HashMap<Box<str>, Option<tokenry_model::UserId>> = HashMap::new();
        for event in events {
            let Some(name) = event.key.named.clone() else { continue };
            let found = match known.get(&name) {
                Some(found) => *found,
                None => match Username::parse(&name) {
                    Ok(username) => self.store.find_login(&username).await?.map(|login| login.user.id),
                    Err(_) => None,
                },
            };
            known.insert(name, found);
            (event.key.named, event.key.owner) = (None, found);
        }
        Ok(())
    }

    /// Looks up the providers of connections that were only read: the read itself does not ask for them.
    async fn find_providers(&self, events: &mut [Event]) -> Result<(), BrokerError> {
        let of = |event: &Event| {
            let known = event.key.owner.zip(event.key.connection);
            known.filter(|_| event.provider.is_none()).map(|(owner, id)| (owner, id.get()))
        };
        let mut asked: Vec<_> = events.iter().filter_map(of).collect();
        asked.sort_unstable();
        asked.dedup();
        if asked.is_empty() {
            return Ok(());
        }
        let found = self.store.list_providers_of(&asked).await?;
        for event in events {
            let provider = of(event).and_then(|key| found.get(&key));
            if let Some(provider) = provider {
                event.provider = ProviderId::parse(provider).ok();
            }
        }
        Ok(())
    }

    /// Takes out of the log what is older than the operator wants to keep it.
    pub(crate) async fn prune_audit(&self) -> Result<(), BrokerError> {
        let before: Timestamp = self.clock.now().minus(self.settings.audit_keep);
        let oldest = self.store.list_audit(0, 1).await?;
        if oldest.first().is_none_or(|row| row.entry.last_at >= before) {
            return Ok(());
        }
        let anchor = |head: &AuditHead, next: AuditHead| {
            if !self.is_own_head(head) {
                tracing::error!("the audit log is not pruned: its head was changed by somebody else");
                return None;
            }
            Some(AuditHead { mac: self.head_mac(&next), ..next })
        };
        let gone = self.store.delete_old_audit(before, PRUNE, anchor).await?;
        if gone > 0 {
            tracing::info!(rows = gone, "old rows were taken out of the audit log");
            let note = super::Note::new(Actor::Background, Action::AuditPrune);
            let event = note.into_event(AuditOutcome::Ok, None, self.clock.now());
            let count = i64::try_from(gone).unwrap_or(i64::MAX);
            self.audit.queue.lock().unwrap_or_else(PoisonError::into_inner).act(Event { count, ..event });
        }
        Ok(())
    }
}

/// A row that says something of the log itself.
type Marker = (Action, AuditOutcome, Option<&'static str>);
