//! Writing an export, and handing grants over with it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use tokenry_model::{Connection, ConnectionState, CredentialKind, Timestamp};
use tokenry_oauth::RotationMode;
use tokenry_store::{Exportable, SealedCredential};
use tokio::time::Instant;

use super::file::{Chunk, Reader, Writer, from_json};
use super::record::{Head, Record, Tail};
use super::{ExportSecret, PortableError, random_id};
use crate::boot::Broker;
use crate::error::BrokerError;
use crate::{crash, grants};

/// How many connections are read at a time.
const BATCH: i64 = 500;
/// How long a connection is waited for that somebody refreshes: longer than a lease that nobody keeps.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// What is to be exported.
#[derive(Debug, Clone)]
pub struct ExportWanted {
    /// Whose connections; those of all users if it is `None`.
    pub user: Option<String>,
    /// Whether the other installation is to renew the grants from now on, and this one no more.
    pub hand_over: bool,
}

/// What was exported.
#[derive(Debug, Default)]
pub struct Exported {
    /// What the export is called: by this name it can be taken back.
    pub export: String,
    /// How many connections it holds.
    pub connections: usize,
    /// How many grants were handed over with it.
    pub handed_over: usize,
    /// Grants that go along as copies, which end with their access token.
    pub copies: usize,
    /// Connections that were being refreshed and did not come to an end: they go along as copies.
    pub held: Vec<String>,
    /// Connections that do not go along, and why.
    pub left_out: Vec<String>,
    /// Whether it went on with a file that an earlier try had left.
    pub went_on: bool,
}

/// What an export that was interrupted has left.
enum Left {
    Nothing,
    Torn(Head, Writer),
    Whole(Exported),
}

/// An export on its way.
struct Writing<'a> {
    file: &'a mut File,
    secret: &'a ExportSecret,
    head: Head,
    writer: Writer,
    done: Exported,
    tail: Tail,
}

impl Broker {
    /// Exports connections into `file`, which is empty or was left by an export of the same that was interrupted. When this
    /// returns the file is whole and on disk. With a hand-over the grants in it are no longer renewed here: they are marked
    /// after the file was written, synced and read back, and one that was refreshed meanwhile is written into it again.
    ///
    /// # Errors
    /// [`PortableError`]. What was marked before stays marked: the same call on the same file goes on from there.
    pub async fn export_connections(
        &self,
        file: &mut File,
        secret: &ExportSecret,
        wanted: &ExportWanted,
    ) -> Result<Exported, PortableError> {
        let user = match &wanted.user {
            None => None,
            Some(name) => Some(self.user_named(name).await?),
        };
        let mut writing = match self.go_on_with(file, secret, wanted)? {
            Left::Torn(head, writer) => {
                let done = Exported { went_on: true, ..Exported::default() };
                Writing { file, secret, head, writer, done, tail: Tail::default() }
            }
            Left::Whole(done) => return Ok(done),
            Left::Nothing => self.begin_export(file, secret, wanted).await?,
        };
        writing.done.export.clone_from(&writing.head.export);
        let mut marked = BTreeSet::new();
        let mut open = Vec::new();
        let mut after = 0;
        loop {
            let rows = self.store.list_exportable(user, after, BATCH).await?;
            let Some(last) = rows.last() else { break };
            after = last.connection.id.get();
            for row in rows {
                if row.handover.as_deref() == Some(&writing.head.export) {
                    marked.insert(row.connection.id.get());
                    writing.done.connections += 1;
                } else if self.write_record(&mut writing, &row)? {
                    writing.done.connections += 1;
                    let grant = row.connection.kind == CredentialKind::OAuth2;
                    if wanted.hand_over && may_be_handed_over(&row.connection) {
                        open.push(row);
                    } else if grant && !self.is_shared(&row.connection) {
                        writing.done.copies += 1;
                    }
                }
            }
        }
        self.hand_over_grants(&mut writing, open, &mut marked).await?;
        writing.done.handed_over = marked.len();
        writing.tail.handed_over = marked.into_iter().collect();
        crash::point("export-marked");
        self.finish_export(writing)
    }

    /// Takes back the grants that were handed over with an export: from now on they are renewed here again. Whoever imported
    /// the file must not do so any more. Returns how many there were.
    ///
    /// # Errors
    /// [`PortableError`] when the database is away.
    pub async fn take_back_export(&self, export: &str) -> Result<u64, PortableError> {
        let now = self.clock.now();
        let doubt = format!(
            "it was taken back at {now} from the export {export}; whoever had imported that may have spent its refresh token"
        );
        Ok(self.store.update_taken_back(export, &doubt, now).await?)
    }

    async fn begin_export<'a>(
        &self,
        file: &'a mut File,
        secret: &'a ExportSecret,
        wanted: &ExportWanted,
    ) -> Result<Writing<'a>, PortableError> {
        let head = Head {
            installation: self.installation_id().await?,
            export: random_id(&*self.random)?,
            user: wanted.user.clone(),
            hand_over: wanted.hand_over,
            begun_at: self.clock.now().micros(),
        };
        file.set_len(0)?;
        file.rewind()?;
        let mut writer = Writer::begin(file, secret, &*self.random)?;
        writer.write(file, &head, false, &*self.random)?;
        Ok(Writing { file, secret, head, writer, done: Exported::default(), tail: Tail::default() })
    }

    /// Finds the end of what an interrupted hand-over has left.
    fn go_on_with(
        &self,
        file: &mut File,
        secret: &ExportSecret,
        wanted: &ExportWanted,
    ) -> Result<Left, PortableError> {
        if file.metadata()?.len() == 0 {
            return Ok(Left::Nothing);
        }
        file.rewind()?;
        let mut reader = Reader::open(BufReader::new(&*file), secret)?;
        let head: Head = match reader.read()? {
            Chunk::More(plain) => from_json(&plain)?,
            // It had not even said what it is: nothing was marked.
            Chunk::Torn => return Ok(Left::Nothing),
            Chunk::Last(_) => return Err(PortableError::NotAnExport),
        };
        if !head.hand_over {
            return Ok(Left::Nothing);
        }
        if (&head.user, head.hand_over) != (&wanted.user, wanted.hand_over) {
            return Err(PortableError::Unusable(
                "there is an export that was interrupted, and it was of something else: run the command that began it, or \
                 name another file"
                    .to_owned(),
            ));
        }
        loop {
            match reader.read()? {
                Chunk::More(_) => {}
                Chunk::Torn => break,
                Chunk::Last(plain) => {
                    let tail: Tail = from_json(&plain)?;
                    let handed_over = tail.handed_over.len();
                    let connections = tail.connections;
                    let export = head.export;
                    let whole =
                        Exported { export, connections, handed_over, went_on: true, ..Exported::default() };
                    return Ok(Left::Whole(whole));
                }
            }
        }
        let (sound, writer) = reader.into_writer();
        file.set_len(sound)?;
        file.seek(SeekFrom::Start(sound))?;
        Ok(Left::Torn(head, writer))
    }

    /// Writes what there is to say of a connection. Returns whether there is anything to take along.
    fn write_record(&self, writing: &mut Writing<'_>, row: &Exportable) -> Result<bool, PortableError> {
        let connection = &row.connection;
        let why = match &connection.state {
            ConnectionState::Revoked { .. } => Some("it was revoked, and has no credential"),
            ConnectionState::HandedOver { .. } => Some("another installation keeps it fresh"),
            _ => None,
        };
        if let Some(why) = why {
            writing.done.left_out.push(format!("{}: {why}", shown(row)));
            return Ok(false);
        }
        let record = self.record_of(row, writing.head.hand_over)?;
        let mut out = BufWriter::new(&mut *writing.file);
        writing.writer.write(&mut out, &record, false, &*self.random)?;
        out.flush()?;
        Ok(true)
    }

    fn record_of(&self, row: &Exportable, hand_over: bool) -> Result<Record, PortableError> {
        let connection = &row.connection;
        let sealed = SealedCredential {
            access: connection.access_token.clone(),
            refresh: connection.refresh_token.clone(),
        };
        let grant = grants::open_grant(&self.vault, connection.user_id, connection.id, &sealed)?;
        let shared = self.is_shared(connection);
        let takes_refresh = connection.kind != CredentialKind::OAuth2
            || shared
            || (hand_over && may_be_handed_over(connection));
        let provider = self.stored_provider(&connection.provider).ok();
        let lost = connection.intent.map(|intent| {
            format!("a refresh begun at {} where it came from never got its answer", intent.at)
        });
        Ok(Record {
            id: connection.id.get(),
            generation: connection.generation,
            username: row.username.as_str().to_owned(),
            name: connection.name.as_str().to_owned(),
            token_type: connection.token_type.clone(),
            provider: connection.provider.clone(),
            client_id: provider.and_then(|provider| provider.client_id().map(str::to_owned)),
            kind: connection.kind.as_str().to_owned(),
            state: connection.state.as_str().to_owned(),
            state_reason: connection.state.reason().map(str::to_owned),
            account: connection.account.as_ref().map(|account| (account.id.clone(), account.label.clone())),
            requested: connection.requested.clone(),
            scopes: connection.scopes.clone(),
            settings: connection.values.clone(),
            access: grant.access,
            refresh: grant.refresh.filter(|_| takes_refresh),
            times: connection.times.to_micros(),
            shared,
            doubt: connection.doubt.clone().or(lost),
            connected_at: connection.connected_at.map(Timestamp::micros),
            last_refreshed_at: connection.last_refreshed_at.map(Timestamp::micros),
            created_at: connection.created_at.micros(),
        })
    }

    /// Whether two installations may renew it at the same time.
    fn is_shared(&self, connection: &Connection) -> bool {
        let keeps = |provider: &tokenry_oauth::Provider| {
            provider.rotation().mode == RotationMode::Keep && !provider.spends_access_token()
        };
        connection.kind != CredentialKind::OAuth2
            || self.provider_of(connection).is_ok_and(|provider| keeps(&provider))
    }

    /// Marks the grants that are in the file as handed over, each only if it still is as the file has it.
    async fn hand_over_grants(
        &self,
        writing: &mut Writing<'_>,
        mut open: Vec<Exportable>,
        marked: &mut BTreeSet<i64>,
    ) -> Result<(), PortableError> {
        let began = Instant::now();
        let reason = format!(
            "it was handed over to another installation with the export {}, which keeps it fresh from now on",
            writing.head.export
        );
        while !open.is_empty() {
            self.check_written(writing, false)?;
            crash::point("export-written");
            let mut later = Vec::new();
            for seen in open {
                let id = seen.connection.id;
                let export = &writing.head.export;
                if !seen.is_held && self.store.claim_handover(&seen.connection, export, &reason).await? {
                    marked.insert(id.get());
                    crash::point("export-marked-one");
                    continue;
                }
                match self.store.find_exportable(id).await? {
                    None => writing.tail.gone.push(id.get()),
                    Some(row) if row.handover.as_deref() == Some(export) => {
                        marked.insert(id.get());
                    }
                    Some(row) if row.is_held && began.elapsed() >= PATIENCE => {
                        writing.done.held.push(shown(&row));
                    }
                    Some(row) if row.is_held => later.push(row),
                    // It was refreshed, renamed or renewed: the file gets what it is now.
                    Some(row) => {
                        if self.write_record(writing, &row)? && may_be_handed_over(&row.connection) {
                            later.push(row);
                        }
                    }
                }
            }
            if later.iter().any(|row| row.is_held) {
                tokio::time::sleep(LOOK).await;
            }
            open = later;
        }
        Ok(())
    }

    /// Writes the end, without which nobody imports it.
    fn finish_export(&self, mut writing: Writing<'_>) -> Result<Exported, PortableError> {
        // The first chunk is no record.
        writing.tail.records = self.check_written(&mut writing, false)? - 1;
        writing.done.copies += writing.done.held.len();
        writing.done.connections -= writing.tail.gone.len();
        writing.tail.connections = writing.done.connections;
        writing.writer.write(writing.file, &writing.tail, true, &*self.random)?;
        self.check_written(&mut writing, true)?;
        Ok(writing.done)
    }

    /// Brings the file to the disk, and reads it again from its first byte to its last. Returns how many chunks there are.
    fn check_written(&self, writing: &mut Writing<'_>, whole: bool) -> Result<u64, PortableError> {
        writing.file.sync_all()?;
        writing.file.rewind()?;
        let mut reader = Reader::open(BufReader::new(&*writing.file), writing.secret)?;
        let mut chunks = 0;
        let is_whole = loop {
            match reader.read()? {
                Chunk::More(_) => chunks += 1,
                Chunk::Last(_) => break true,
                Chunk::Torn => break false,
            }
        };
        let sound = reader.into_writer().0;
        let length = writing.file.seek(SeekFrom::End(0))?;
        if is_whole != whole || sound != length {
            return Err(BrokerError::Internal("the file does not hold what was written into it").into());
        }
        Ok(chunks)
    }
}

/// Whether there is a grant in it that one installation alone should renew.
fn may_be_handed_over(connection: &Connection) -> bool {
    connection.kind == CredentialKind::OAuth2
        && matches!(connection.state, ConnectionState::Ok | ConnectionState::Quarantined { .. })
}

fn shown(row: &Exportable) -> String {
    let Exportable { connection, username, .. } = row;
    format!("connection {} of {} ({})", connection.id, username.as_str(), connection.provider)
}
