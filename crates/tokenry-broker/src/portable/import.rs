//! Reading an export: all of it first, then row by row, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use tokenry_model::{
    Account, ConnectionName, ConnectionState, CredentialKind, Deadlines, Timestamp, UserId, Username,
};
use tokenry_store::{Brought, NewConnection, NewCredential, SealedCredential, StoreError};

use super::file::{Chunk, Reader, from_json};
use super::record::{Head, Record, Tail};
use super::{ExportSecret, PortableError};
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::grants;

/// What came of an import.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ImportedFile {
    /// Connections that are new here, copies included.
    pub added: usize,
    /// Those of them, or of an earlier import, whose grant was handed over: from now on it is renewed here.
    pub activated: usize,
    /// Those of them that are copies and end with their access token.
    pub copies: usize,
    /// Connections that an earlier import had brought.
    pub already: usize,
    /// Connections that did not come, and why. The same import can be done again when that is mended.
    pub left_out: Vec<String>,
}

/// An export that was read to its end.
struct Whole {
    head: Head,
    records: BTreeMap<i64, Record>,
    handed_over: BTreeSet<i64>,
}

impl Broker {
    /// Brings in what an export holds: to the users of the same names, or all of it to `user`. What is here already, by an
    /// earlier import of the same connection, stays as it is; a copy becomes the grant when that was handed over.
    ///
    /// # Errors
    /// [`PortableError`]: nothing is written before the file was read to its end. What was brought before a failure stays,
    /// and is not brought again.
    pub async fn import_connections(
        &self,
        from: impl BufRead,
        secret: &ExportSecret,
        user: Option<&str>,
    ) -> Result<ImportedFile, PortableError> {
        let whole = read_whole(from, secret)?;
        if whole.head.installation == self.installation_id().await? {
            return Err(PortableError::Unusable(format!(
                "this export was made by this installation; what was handed over with it comes back with `tokenry export \
                 --take-back {}`",
                whole.head.export
            )));
        }
        let users = self.users_for(&whole, user).await?;
        let mut done = ImportedFile::default();
        for record in whole.records.values() {
            let owner = users.get(&record.username).copied();
            let owner = owner.ok_or(BrokerError::Internal("a user that was looked up is not there"))?;
            self.import_record(&whole, record, owner, &mut done).await?;
        }
        Ok(done)
    }

    /// The id of the user of this name.
    pub(super) async fn user_named(&self, name: &str) -> Result<UserId, PortableError> {
        let missing = || {
            PortableError::Unusable(format!(
                "there is no user {name:?} here; `tokenry user list` shows who there is"
            ))
        };
        let username = Username::parse(name).map_err(|_| missing())?;
        Ok(self.store.find_login(&username).await?.ok_or_else(missing)?.user.id)
    }

    async fn users_for(
        &self,
        whole: &Whole,
        user: Option<&str>,
    ) -> Result<BTreeMap<String, UserId>, PortableError> {
        let names: BTreeSet<&String> = whole.records.values().map(|record| &record.username).collect();
        if let Some(user) = user {
            let id = self.user_named(user).await?;
            return Ok(names.into_iter().map(|name| (name.clone(), id)).collect());
        }
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        for name in names {
            match self.user_named(name).await {
                Ok(id) => {
                    found.insert(name.clone(), id);
                }
                Err(PortableError::Unusable(_)) => missing.push(name.as_str()),
                Err(other) => return Err(other),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        Err(PortableError::Unusable(format!(
            "these users are not here: {}. Add them with `tokenry user add`, or name one with --user for all connections; \
             nothing was brought in",
            missing.join(", ")
        )))
    }

    async fn import_record(
        &self,
        whole: &Whole,
        record: &Record,
        owner: UserId,
        done: &mut ImportedFile,
    ) -> Result<(), PortableError> {
        let kind = CredentialKind::parse(&record.kind).map_err(|_| PortableError::NotAnExport)?;
        let is_grant = kind == CredentialKind::OAuth2;
        let handed_over = whole.handed_over.contains(&record.id);
        let is_active = handed_over || record.shared;
        if is_active
            && is_grant
            && let Some(why) = self.foreign_client(record)
        {
            done.left_out.push(format!("connection {} of {}: {why}", record.id, record.username));
            return Ok(());
        }
        let origin = format!("{}/{}", whole.head.installation, record.id);
        let new = new_connection(record, kind, owner, is_active || !is_grant)?;
        let refresh = record.refresh.as_ref().filter(|_| is_active || !is_grant);
        let seal = |id| grants::seal_grant(&self.vault, owner, id, &record.access, refresh);
        if let Some(existing) = self.store.find_connection_by_origin(&origin).await? {
            let is_copy = matches!(existing.state, ConnectionState::HandedOver { .. });
            let sealed: SealedCredential =
                grants::seal_grant(&self.vault, existing.user_id, existing.id, &record.access, refresh)?;
            let (doubt, now) = (record.doubt.as_deref(), self.clock.now());
            if is_copy
                && handed_over
                && self.store.update_activated(&existing, &sealed, &new.credential, doubt, now).await?
            {
                done.activated += 1;
            } else {
                done.already += 1;
            }
            return Ok(());
        }
        let brought = Brought {
            origin,
            state: state_of(record, whole, is_active || !is_grant)?,
            doubt: record.doubt.clone(),
            connected_at: record.connected_at.map(Timestamp::from_micros),
            last_refreshed_at: record.last_refreshed_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(record.created_at),
        };
        let sealed = |id| seal(id).map_err(BrokerError::from);
        match self.store.insert_imported(&new, &brought, self.clock.now(), sealed).await {
            Ok(_) => {
                done.added += 1;
                done.activated += usize::from(handed_over);
                done.copies += usize::from(is_grant && !is_active);
            }
            Err(BrokerError::Store(StoreError::Conflict)) => done.left_out.push(format!(
                "connection {} of {}: its account at {} is connected here already",
                record.id, record.username, record.provider
            )),
            Err(other) => return Err(other.into()),
        }
        Ok(())
    }

    /// Why this server could not renew a grant that was given to another client.
    fn foreign_client(&self, record: &Record) -> Option<String> {
        let Ok(provider) = self.stored_provider(&record.provider) else {
            return Some(format!("{} is not in the catalogue here", record.provider));
        };
        if provider.client_id() == record.client_id.as_deref() {
            return None;
        }
        Some(format!(
            "its grant belongs to another client: set providers.{}.client_id to {:?}, and its secret",
            record.provider,
            record.client_id.as_deref().unwrap_or_default()
        ))
    }
}

fn read_whole(from: impl BufRead, secret: &ExportSecret) -> Result<Whole, PortableError> {
    let mut reader = Reader::open(from, secret)?;
    let head: Head = match reader.read()? {
        Chunk::More(plain) => from_json(&plain)?,
        Chunk::Last(_) => return Err(PortableError::NotAnExport),
        Chunk::Torn => return Err(PortableError::Unfinished),
    };
    let mut records = BTreeMap::new();
    let mut count = 0;
    let tail: Tail = loop {
        match reader.read()? {
            Chunk::More(plain) => {
                let record: Record = from_json(&plain)?;
                count += 1;
                records.insert(record.id, record);
            }
            Chunk::Last(plain) => break from_json(&plain)?,
            Chunk::Torn => return Err(PortableError::Unfinished),
        }
    };
    if tail.records != count || !reader.is_at_the_end()? {
        return Err(PortableError::Refused);
    }
    for gone in &tail.gone {
        records.remove(gone);
    }
    Ok(Whole { head, records, handed_over: tail.handed_over.into_iter().collect() })
}

/// `is_whole`: with all that it needs to be renewed.
fn new_connection(
    record: &Record,
    kind: CredentialKind,
    user_id: UserId,
    is_whole: bool,
) -> Result<NewConnection, PortableError> {
    let mut times = Deadlines::from_micros(record.times);
    if !is_whole {
        times = Deadlines { renew_at: None, keep_at: None, ..times };
    }
    Ok(NewConnection {
        user_id,
        name: ConnectionName::parse(&record.name).map_err(|_| PortableError::NotAnExport)?,
        token_type: record.token_type.clone(),
        provider: record.provider.clone(),
        account: record.account.clone().map(|(id, label)| Account { id, label }),
        credential: NewCredential {
            kind,
            requested: record.requested.clone(),
            scopes: record.scopes.clone(),
            values: record.settings.clone(),
            times,
        },
    })
}

fn state_of(record: &Record, whole: &Whole, is_whole: bool) -> Result<ConnectionState, PortableError> {
    let state = ConnectionState::parse(&record.state, record.state_reason.clone())
        .map_err(|_| PortableError::NotAnExport)?;
    Ok(match state {
        ConnectionState::Ok | ConnectionState::Quarantined { .. } if is_whole => ConnectionState::Ok,
        ConnectionState::Ok | ConnectionState::Quarantined { .. } => ConnectionState::HandedOver {
            reason: format!(
                "it is a copy, made at {}: the installation it came from keeps it fresh",
                Timestamp::from_micros(whole.head.begun_at)
            ),
        },
        other => other,
    })
}
