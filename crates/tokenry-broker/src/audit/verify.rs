//! Verifying the audit log: the whole chain is walked, and what is wrong with it is named by its place.

use std::fmt;

use tokenry_model::{Action, Timestamp};
use tokenry_store::{AuditHead, AuditRow, StoreError};

use crate::boot::Broker;
use crate::error::BrokerError;

/// How many rows are read at a time.
const PAGE: i64 = 1000;
/// So many faults are named; the rest is counted.
const NAMED: usize = 20;
/// How often it is begun again because old rows were taken out meanwhile.
const TRIES: usize = 5;

/// Something that is wrong with the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditFault {
    /// A row is not as it was written.
    Altered(i64),
    /// A row, or several in a row, are gone.
    Missing(i64, i64),
    /// A row stands where the log has its beginning or its end, outside of it.
    Stray(i64),
    /// The row that says where the log ends is not as a server wrote it.
    Head,
    /// A server found the end of the log changed before it wrote this row.
    Marked(i64, String),
    /// A row is another than the one that was expected.
    Unexpected(i64),
}

impl AuditFault {
    /// The place at which it is seen first.
    pub const fn place(&self) -> Option<i64> {
        match self {
            Self::Altered(seq)
            | Self::Missing(seq, _)
            | Self::Stray(seq)
            | Self::Marked(seq, _)
            | Self::Unexpected(seq) => Some(*seq),
            Self::Head => None,
        }
    }
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered(seq) => write!(f, "row {seq} was altered"),
            Self::Missing(first, last) if first == last => write!(f, "row {first} is missing"),
            Self::Missing(first, last) => write!(f, "rows {first} to {last} are missing"),
            Self::Stray(seq) => write!(f, "row {seq} does not belong to the log"),
            Self::Head => f.write_str("the row that says where the log begins and ends was altered"),
            Self::Marked(seq, reason) => {
                write!(
                    f,
                    "before row {seq} was written, a server found the end of the log changed ({reason})"
                )
            }
            Self::Unexpected(seq) => write!(f, "row {seq} is not the one that was expected"),
        }
    }
}

/// What a walk along the chain found.
#[derive(Debug, Clone, Default)]
pub struct AuditReport {
    /// How many rows were read.
    pub rows: u64,
    /// The first and the last place; zero when the log has not begun.
    pub from: i64,
    /// The last place.
    pub to: i64,
    /// When the first row happened, and the last.
    pub times: Option<(Timestamp, Timestamp)>,
    /// Whether rows before the first were taken out, as the operator configured.
    pub pruned: bool,
    /// How many refusals and acts of the background were never written, for lack of room.
    pub lost: i64,
    /// The hash of the last row, in hexadecimal digits: what is to be kept elsewhere.
    pub end: String,
    /// What is wrong, the first first; no more than twenty.
    pub faults: Vec<AuditFault>,
    /// How much is wrong.
    pub fault_count: u64,
}

impl AuditReport {
    fn fault(&mut self, fault: AuditFault) {
        self.fault_count += 1;
        if self.faults.len() < NAMED {
            self.faults.push(fault);
        }
    }
}

/// Where a walk is.
struct Walk {
    report: AuditReport,
    /// The place that comes next.
    next: i64,
    /// What the hash of the row before may be. None when that row is gone.
    before: Vec<Vec<u8>>,
}

impl Broker {
    /// Walks along the whole audit log. `expected` is a place and the hash of the row there in hexadecimal digits, as an
    /// earlier report gave them: without it, a log that was put back to an earlier state as a whole looks good.
    ///
    /// # Errors
    /// [`BrokerError::Store`] when the database is away.
    pub async fn verify_audit(&self, expected: Option<(i64, &str)>) -> Result<AuditReport, BrokerError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let head = self.store.find_audit_head().await?;
            let report = self.walk_audit(&head, expected).await?;
            // Old rows may have been taken out under our feet.
            if report.faults.is_empty()
                || tries >= TRIES
                || self.store.find_audit_head().await?.kept_seq == head.kept_seq
            {
                return Ok(report);
            }
        }
    }

    async fn walk_audit(
        &self,
        head: &AuditHead,
        expected: Option<(i64, &str)>,
    ) -> Result<AuditReport, BrokerError> {
        let begun = head.seq != 0 || !head.mac.is_empty();
        let mut walk = Walk {
            report: AuditReport {
                to: head.seq,
                from: if begun { head.kept_seq } else { 0 },
                pruned: head.kept_seq > 1,
                end: hex(&head.hash),
                ..AuditReport::default()
            },
            next: head.kept_seq,
            before: vec![head.kept_before.clone()],
        };
        if begun && !self.is_own_head(head) {
            walk.report.fault(AuditFault::Head);
        }
        let mut after = i64::MIN;
        while after < head.seq {
            let page = self.audit_page(after).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (seq, row) in page.into_iter().filter(|(seq, _)| *seq <= head.seq) {
                self.step(&mut walk, seq, row, head);
            }
        }
        if walk.next <= head.seq {
            let (first, last) = (walk.next, head.seq);
            walk.report.fault(AuditFault::Missing(first, last));
        } else if begun && walk.report.faults.is_empty() && walk.before.first() != Some(&head.hash) {
            walk.report.fault(AuditFault::Head);
        }
        // Whoever writes moves the head with it.
        if let Some(stray) = self.store.list_audit_places(head.seq, 1).await?.first()
            && *stray > self.store.find_audit_head().await?.seq
        {
            walk.report.fault(AuditFault::Stray(*stray));
        }
        if let Some((seq, hash)) = expected {
            let found = self.store.find_audit(seq).await;
            let same = matches!(&found, Ok(Some(row)) if hex(&row.hash).eq_ignore_ascii_case(hash));
            if !same {
                walk.report.fault(AuditFault::Unexpected(seq));
            }
        }
        Ok(walk.report)
    }

    /// The next rows by their places. One that cannot be read is there, without anything in it.
    async fn audit_page(&self, after: i64) -> Result<Vec<(i64, Option<AuditRow>)>, BrokerError> {
        match self.store.list_audit(after, PAGE).await {
            Ok(rows) => return Ok(rows.into_iter().map(|row| (row.seq, Some(row))).collect()),
            Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let mut page = Vec::new();
        for seq in self.store.list_audit_places(after, PAGE).await? {
            match self.store.find_audit(seq).await {
                Ok(Some(row)) => page.push((seq, Some(row))),
                Ok(None) => {}
                Err(StoreError::Corrupt { .. }) => page.push((seq, None)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(page)
    }

    fn step(&self, walk: &mut Walk, seq: i64, row: Option<AuditRow>, head: &AuditHead) {
        if seq < head.kept_seq {
            return walk.report.fault(AuditFault::Stray(seq));
        }
        if seq > walk.next {
            walk.report.fault(AuditFault::Missing(walk.next, seq - 1));
            walk.before.clear();
        }
        walk.next = seq.saturating_add(1);
        walk.report.rows += 1;
        let Some(row) = row else {
            walk.before.clear();
            return walk.report.fault(AuditFault::Altered(seq));
        };
        // Behind a gap a row cannot be told from one that was altered; what follows it can.
        let hashes: Vec<_> =
            walk.before.iter().map(|before| self.row_hash(seq, before, &row.entry)).collect();
        if !hashes.is_empty() && !hashes.contains(&row.hash) {
            walk.report.fault(AuditFault::Altered(seq));
        }
        let entry = &row.entry;
        if entry.action == Action::AuditBroken.as_str() {
            walk.report
                .fault(AuditFault::Marked(seq, entry.reason.as_deref().unwrap_or_default().to_owned()));
        } else if entry.action == Action::AuditLost.as_str() {
            walk.report.lost = walk.report.lost.saturating_add(entry.count);
        }
        let first = walk.report.times.map_or(entry.at, |(first, _)| first);
        walk.report.times = Some((first, entry.last_at));
        // If it is the hash that was altered, the next row still goes with the one that should be there.
        walk.before = vec![row.hash.clone()];
        walk.before.extend(hashes.into_iter().filter(|hash| *hash != row.hash));
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
