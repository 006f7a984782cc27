//! The form of an export: a line that says how its key is made, then sealed chunks, the last of them marked as such.
//!
//! ```text
//! tokenry-export 1 argon2id,m=65536,t=3,p=1 <16 random bytes in base64>\n
//! chunk: 1 byte (0, or 1 for the last) | length (4 bytes, big-endian) | sealed bytes
//! ```

use std::io::{BufRead, ErrorKind, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokenry_model::{ExposeSecret as _, Random, SecretSlice, SecretString};
use tokenry_vault::{StreamKey, VaultError};
use zeroize::Zeroizing;

use super::record::to_json;
use super::{ExportSecret, PortableError};
use crate::error::BrokerError;

/// What the hash of a new file's passphrase costs: memory in KiB, passes, lanes. More than a log-in's: it is done once, and
/// whoever has the file may guess for as long as they like.
const COST: [u32; 3] = [64 * 1024, 3, 1];
/// What a file may ask for at most, so that a made-up one takes no machine down.
const MOST_COST: [u32; 3] = [1024 * 1024, 16, 8];
/// No chunk is longer than this.
const MOST_BYTES: usize = 16 * 1024 * 1024;
const MAGIC: &str = "tokenry-export 1";

/// Writes the chunks of an export one after the other.
pub(super) struct Writer {
    key: StreamKey,
    next: u64,
}

/// Reads them.
pub(super) struct Reader<R> {
    from: R,
    key: StreamKey,
    next: u64,
    /// How many bytes of the file are chunks that opened.
    sound: u64,
}

/// What comes next.
pub(super) enum Chunk {
    /// A chunk, and more behind it.
    More(SecretSlice<u8>),
    /// The last chunk.
    Last(SecretSlice<u8>),
    /// The file ends here, and should not.
    Torn,
}

impl Writer {
    /// Begins a file.
    pub(super) fn begin(
        out: &mut impl Write,
        secret: &ExportSecret,
        random: &dyn Random,
    ) -> Result<Self, PortableError> {
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        let [m, t, p] = COST;
        let way = match secret {
            ExportSecret::Passphrase(_) => format!("argon2id,m={m},t={t},p={p}"),
            ExportSecret::Key(_) => "key".to_owned(),
        };
        let header = format!("{MAGIC} {way} {}\n", STANDARD.encode(salt));
        let key = key_of(secret, &header)?;
        out.write_all(header.as_bytes())?;
        Ok(Self { key, next: 0 })
    }

    pub(super) fn write(
        &mut self,
        out: &mut impl Write,
        value: &impl Serialize,
        is_last: bool,
        random: &dyn Random,
    ) -> Result<(), PortableError> {
        let json = to_json(value).ok_or(BrokerError::Internal("a record could not be written down"))?;
        let sealed = self.key.seal(self.next, is_last, &json, random)?;
        let length = u32::try_from(sealed.len()).ok().filter(|length| *length as usize <= MOST_BYTES);
        let length = length.ok_or(BrokerError::Internal("a record is too long"))?;
        out.write_all(&[u8::from(is_last)])?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(&sealed)?;
        self.next += 1;
        Ok(())
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    pub(super) fn open(mut from: R, secret: &ExportSecret) -> Result<Self, PortableError> {
        let mut header = Vec::new();
        (&mut from).take(256).read_until(b'\n', &mut header)?;
        if header.is_empty() {
            return Err(PortableError::Unfinished);
        }
        let header = String::from_utf8(header).map_err(|_| PortableError::NotAnExport)?;
        if !header.ends_with('\n') || !header.starts_with(MAGIC) {
            return Err(PortableError::NotAnExport);
        }
        let key = key_of(secret, &header)?;
        Ok(Self { from, key, next: 0, sound: header.len() as u64 })
    }

    pub(super) fn read(&mut self) -> Result<Chunk, PortableError> {
        let mut front = [0; 5];
        if !self.fill(&mut front)? {
            return Ok(Chunk::Torn);
        }
        let [last, length @ ..] = front;
        let length = u32::from_be_bytes(length) as usize;
        if last > 1 || length > MOST_BYTES {
            return Err(PortableError::Refused);
        }
        let mut sealed = vec![0; length];
        if !self.fill(&mut sealed)? {
            return Ok(Chunk::Torn);
        }
        let plain = match self.key.open(self.next, last == 1, &sealed) {
            Err(VaultError::Refused | VaultError::Unreadable) => return Err(PortableError::Refused),
            other => other?,
        };
        self.next += 1;
        self.sound += (front.len() + length) as u64;
        Ok(if last == 1 { Chunk::Last(plain) } else { Chunk::More(plain) })
    }

    /// Whether so many bytes were there.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<bool, PortableError> {
        match self.from.read_exact(bytes) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }

    /// Whether nothing comes after what was read.
    pub(super) fn is_at_the_end(&mut self) -> Result<bool, PortableError> {
        Ok(self.from.fill_buf()?.is_empty())
    }

    /// Goes on writing where reading stopped: at this many bytes from the beginning.
    pub(super) fn into_writer(self) -> (u64, Writer) {
        (self.sound, Writer { key: self.key, next: self.next })
    }
}

/// Reads a chunk as JSON.
pub(super) fn from_json<T: DeserializeOwned>(plain: &SecretSlice<u8>) -> Result<T, PortableError> {
    serde_json::from_slice(plain.expose_secret()).map_err(|_| PortableError::NotAnExport)
}

/// The key of the file that begins with this line.
fn key_of(secret: &ExportSecret, header: &str) -> Result<StreamKey, PortableError> {
    let words: Vec<&str> = header.trim_end().split(' ').collect();
    let [_, _, way, salt] = words[..] else { return Err(PortableError::NotAnExport) };
    match (secret, way) {
        (ExportSecret::Key(key), "key") => Ok(key.stream_key(header.as_bytes())?),
        (ExportSecret::Passphrase(passphrase), way) if way != "key" => {
            let cost = read_cost(way).ok_or(PortableError::NotAnExport)?;
            let salt = STANDARD.decode(salt).map_err(|_| PortableError::NotAnExport)?;
            let hash = hash(passphrase, &salt, cost)?;
            Ok(StreamKey::derive(&hash, header.as_bytes())?)
        }
        (ExportSecret::Key(_), _) => Err(PortableError::Unusable(
            "this export was sealed with a passphrase, not with a key file".to_owned(),
        )),
        (ExportSecret::Passphrase(_), _) => Err(PortableError::Unusable(
            "this export was sealed with a key file: name it with --key-file".to_owned(),
        )),
    }
}

fn read_cost(way: &str) -> Option<[u32; 3]> {
    let mut parts = way.strip_prefix("argon2id,m=")?.splitn(3, [',']);
    let m = parts.next()?.parse().ok()?;
    let t = parts.next()?.strip_prefix("t=")?.parse().ok()?;
    let p = parts.next()?.strip_prefix("p=")?.parse().ok()?;
    let fits = [m, t, p].iter().zip(MOST_COST).all(|(asked, most)| *asked <= most);
    fits.then_some([m, t, p])
}

fn hash(
    passphrase: &SecretString,
    salt: &[u8],
    [m, t, p]: [u32; 3],
) -> Result<Zeroizing<[u8; 32]>, PortableError> {
    let params = Params::new(m, t, p, Some(32)).map_err(|_| PortableError::NotAnExport)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = Zeroizing::new([0; 32]);
    argon2
        .hash_password_into(passphrase.expose_secret().as_bytes(), salt, &mut *hash)
        .map_err(|_| PortableError::NotAnExport)?;
    Ok(hash)
}
