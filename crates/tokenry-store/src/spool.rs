//! The spool: where the answer of a refresh waits when the database does not take it. One small file for each, sealed
//! like a row, on disk before anybody uses it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokenry_model::{
    Account, ConnectionId, CredentialKind, Deadlines, ProviderId, Scopes, Sealed, UserId, Values,
};

use crate::connections::{NewCredential, SealedCredential};

/// The answer of a refresh that is not in the database yet.
#[derive(Debug, Clone)]
pub struct Spooled {
    /// Whose connection it is.
    pub user_id: UserId,
    /// Which connection it is.
    pub connection_id: ConnectionId,
    /// Who gave it.
    pub provider: ProviderId,
    /// The account at the provider.
    pub account: Option<Account>,
    /// The generation it replaces.
    pub generation: i64,
    /// The tokens, sealed for the connection.
    pub sealed: SealedCredential,
    /// The refresh token that was spent for them, sealed as the row held it.
    pub spent: Option<Sealed>,
    /// What goes beside them.
    pub credential: NewCredential,
}

#[derive(Serialize, Deserialize)]
struct SpoolFile {
    user: i64,
    connection: i64,
    provider: ProviderId,
    account: Option<(String, Option<String>)>,
    generation: i64,
    access: String,
    refresh: Option<String>,
    spent: Option<String>,
    scopes: Scopes,
    times: [Option<i64>; 6],
    values: Values,
}

impl From<&Spooled> for SpoolFile {
    fn from(spooled: &Spooled) -> Self {
        let encode = |sealed: &Sealed| STANDARD.encode(sealed.as_bytes());
        Self {
            user: spooled.user_id.get(),
            connection: spooled.connection_id.get(),
            provider: spooled.provider.clone(),
            account: spooled.account.as_ref().map(|account| (account.id.clone(), account.label.clone())),
            generation: spooled.generation,
            access: encode(&spooled.sealed.access),
            refresh: spooled.sealed.refresh.as_ref().map(encode),
            spent: spooled.spent.as_ref().map(encode),
            scopes: spooled.credential.scopes.clone(),
            times: spooled.credential.times.to_micros(),
            values: spooled.credential.values.clone(),
        }
    }
}

/// Room that is set aside: so many files, each of which one answer can be written into when the disk is full.
const RESERVES: usize = 32;
const RESERVED_BYTES: usize = 16 * 1024;

/// A directory of waiting answers.
#[derive(Debug, Clone)]
pub struct Spool(PathBuf);

impl Spool {
    /// The spool in this directory. It is made when something is put into it.
    pub fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// A file without a name, for bytes that are gone when it is closed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn scratch(&self) -> io::Result<fs::File> {
        self.make_directory()?;
        tempfile::tempfile_in(&self.0)
    }

    /// Sets room aside for the moment when the disk is full, as far as that was not done yet.
    ///
    /// # Errors
    /// What the file system says: without room to spare, an answer that the database does not take is in memory alone.
    pub fn reserve(&self) -> io::Result<()> {
        self.make_directory()?;
        for path in self.reserves().filter(|path| !path.exists()) {
            // Written, and not just made long: a file with a hole in it sets nothing aside.
            let unfinished = path.with_extension("unfinished");
            let mut out = private_file(&unfinished)?;
            out.write_all(&[b' '; RESERVED_BYTES])?;
            out.sync_all()?;
            fs::rename(&unfinished, &path)?;
        }
        Ok(())
    }

    fn reserves(&self) -> impl Iterator<Item = PathBuf> {
        (0..RESERVES).map(|number| self.0.join(format!("room-{number}.reserve")))
    }

    /// The spool's name, which stays with the directory over restarts; `fresh`, if it had none.
    ///
    /// # Errors
    /// What the file system says.
    pub fn name(&self, fresh: &str) -> io::Result<String> {
        self.make_directory()?;
        let path = self.0.join("name");
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return Ok(other?.trim().to_owned()),
        }
        // Whole or not at all; and of two processes that make it at once, both take the one that is there afterwards.
        let unfinished = self.0.join(format!("{fresh}.unfinished"));
        let mut out = private_file(&unfinished)?;
        out.write_all(fresh.as_bytes())?;
        out.sync_all()?;
        let linked = fs::hard_link(&unfinished, &path);
        fs::remove_file(&unfinished)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(fs::read_to_string(&path)?.trim().to_owned()),
        }
    }

    /// Puts an answer into the spool. When this returns it survives a power cut. On a full disk it takes room that was set
    /// aside.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&self, spooled: &Spooled) -> io::Result<()> {
        self.make_directory()?;
        let bytes = to_bytes(spooled)?;
        let path = self.path_of(spooled);
        let unfinished = path.with_extension("unfinished");
        let written = private_file(&unfinished).and_then(|mut out| {
            out.write_all(&bytes)?;
            out.sync_all()
        });
        match written {
            Err(error) if is_full(&error) => self.write_into_reserve(&unfinished, bytes)?,
            done => done?,
        }
        fs::rename(&unfinished, &path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Writes over a file that was set aside, and no byte beyond it: what it gave up, somebody else might take.
    fn write_into_reserve(&self, unfinished: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
        // Spaces behind it are as good as nothing to whoever reads it.
        bytes.resize(bytes.len().max(RESERVED_BYTES), b' ');
        // One that is gone was taken by another answer: the next one, then.
        let taken = self.reserves().find_map(|reserve| match fs::rename(reserve, unfinished) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            done => Some(done),
        });
        taken.unwrap_or_else(|| Err(io::ErrorKind::StorageFull.into()))?;
        let mut out = OpenOptions::new().write(true).open(unfinished)?;
        out.write_all(&bytes)?;
        out.sync_all()
    }

    /// Everything that waits. A file that cannot be read is an error that names it: it may hold the only copy of a token.
    ///
    /// # Errors
    /// What the file system says, or which file is broken.
    pub fn list(&self) -> io::Result<Vec<Spooled>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "spooled") {
                found.push(read_bytes(&fs::read(&path)?).map_err(|why| {
                    let what = format!("{} cannot be read: {why}", path.display());
                    io::Error::new(io::ErrorKind::InvalidData, what)
                })?);
            }
        }
        Ok(found)
    }

    /// What the files of waiting answers are called, and what is in them, as it is.
    ///
    /// # Errors
    /// What the file system says.
    pub fn files(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).filter(|name| is_answer(name));
            let Some(name) = name else { continue };
            match fs::read(&path) {
                // It is in the database by now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                bytes => found.push((name.to_owned(), bytes?)),
            }
        }
        Ok(found)
    }

    /// Puts a file back that [`Spool::files`] gave. One that is there already is left alone: it is newer.
    ///
    /// # Errors
    /// What the file system says, and a name that no waiting answer has.
    pub fn put_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if !is_answer(name) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{name:?} is no file of the spool"),
            ));
        }
        self.make_directory()?;
        let path = self.0.join(name);
        if path.exists() {
            return Ok(());
        }
        let unfinished = path.with_extension("unfinished");
        let mut out = private_file(&unfinished)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Takes an answer out, once it is in the database or of no more use.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self, spooled: &Spooled) -> io::Result<()> {
        match fs::remove_file(self.path_of(spooled)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path_of(&self, spooled: &Spooled) -> PathBuf {
        self.0.join(format!("{}-{}.spooled", spooled.connection_id, spooled.generation))
    }

    fn make_directory(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        builder.create(&self.0)
    }
}

/// Whether a file of this name holds a waiting answer.
fn is_answer(name: &str) -> bool {
    name.strip_suffix(".spooled").is_some_and(|id| id.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// What a spool file holds.
pub(crate) fn to_bytes(spooled: &Spooled) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(&SpoolFile::from(spooled))?)
}

/// Reads what a spool file holds, or says why it cannot be read.
pub(crate) fn read_bytes(bytes: &[u8]) -> Result<Spooled, String> {
    let file = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    read(file).ok_or_else(|| "it is not base64".to_owned())
}

fn read(file: SpoolFile) -> Option<Spooled> {
    let decode = |text: &str| STANDARD.decode(text).ok().map(Sealed::new);
    let optional = |text: &Option<String>| match text {
        Some(text) => decode(text).map(Some),
        None => Some(None),
    };
    let (refresh, spent) = (optional(&file.refresh)?, optional(&file.spent)?);
    Some(Spooled {
        user_id: UserId::new(file.user),
        connection_id: ConnectionId::new(file.connection),
        provider: file.provider,
        account: file.account.map(|(id, label)| Account { id, label }),
        generation: file.generation,
        sealed: SealedCredential { access: decode(&file.access)?, refresh },
        spent,
        credential: NewCredential {
            kind: CredentialKind::OAuth2,
            requested: Scopes::default(),
            scopes: file.scopes,
            values: file.values,
            times: Deadlines::from_micros(file.times),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokenry_model::Timestamp;

    fn spooled(refresh: Option<&[u8]>) -> Spooled {
        Spooled {
            user_id: UserId::new(3),
            connection_id: ConnectionId::new(7),
            provider: ProviderId::parse("acme").unwrap(),
            account: Some(Account { id: "1".to_owned(), label: None }),
            generation: 4,
            sealed: SealedCredential {
                access: Sealed::new(b"\x00\xffaccess".to_vec()),
                refresh: refresh.map(|bytes| Sealed::new(bytes.to_vec())),
            },
            spent: refresh.map(|_| Sealed::new(b"spent".to_vec())),
            credential: NewCredential {
                kind: CredentialKind::OAuth2,
                requested: Scopes::default(),
                scopes: ["a", "b"].into_iter().collect(),
                values: Values::from([("realm".to_owned(), "7".to_owned())]),
                times: Deadlines { expires_at: Some(Timestamp::from_micros(5)), ..Deadlines::default() },
            },
        }
    }

    #[test]
    fn what_is_put_in_is_there_until_it_is_taken_out() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("spool"));
        assert!(spool.list().unwrap().is_empty());
        spool.put(&spooled(Some(b"refresh"))).unwrap();
        spool.put(&spooled(Some(b"refresh"))).unwrap();
        let found = spool.list().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(format!("{:?}", found[0]), format!("{:?}", spooled(Some(b"refresh"))));
        assert_eq!(found[0].sealed.access, Sealed::new(b"\x00\xffaccess".to_vec()));
        spool.remove(&found[0]).unwrap();
        spool.remove(&found[0]).unwrap();
        assert!(spool.list().unwrap().is_empty());
    }

    #[test]
    fn an_answer_fits_into_room_that_was_set_aside_and_takes_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("spool"));
        spool.reserve().unwrap();
        let size = || -> u64 {
            fs::read_dir(dir.path().join("spool"))
                .unwrap()
                .map(|f| f.unwrap().metadata().unwrap().len())
                .sum()
        };
        let before = size();
        assert!(spool.list().unwrap().is_empty());

        let answer = spooled(Some(b"refresh"));
        let path = spool.path_of(&answer);
        let bytes = serde_json::to_vec(&SpoolFile::from(&answer)).unwrap();
        spool.write_into_reserve(&path, bytes).unwrap();
        assert_eq!(size(), before);
        assert_eq!(format!("{:?}", spool.list().unwrap()), format!("[{answer:?}]"));
        spool.remove(&answer).unwrap();
        spool.reserve().unwrap();
        assert_eq!(size(), before);
    }

    #[test]
    fn a_spool_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("spool"));
        assert_eq!(spool.name("one").unwrap(), "one");
        assert_eq!(Spool::new(dir.path().join("spool")).name("two").unwrap(), "one");
        assert!(spool.list().unwrap().is_empty());
    }

    #[test]
    fn a_broken_file_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().to_owned());
        fs::write(dir.path().join("9-1.spooled"), "{").unwrap();
        assert!(spool.list().unwrap_err().to_string().contains("9-1.spooled"));
        assert!(dir.path().join("9-1.spooled").exists());
    }
}
