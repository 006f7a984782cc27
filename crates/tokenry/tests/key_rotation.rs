//! A data key is rotated under load, on both databases: no read fails, the progress shows, the old key is retired, and then
//! opens nothing; and of a copy from before, the new key alone opens nothing.
//!
//! `TOKENRY_TEST_CONNECTIONS` sets how many connections there are (300 unless told). With 10 000 and more, a third server is
//! killed while it seals values again, and started anew.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a failed step is a failed test")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use tokenry_model::{ConnectionId, Sealed, UserId};
use tokenry_store::{Store, StoredKey};
use tokenry_testkit::app::{ApiClient, PASSWORD, TestUser};
use tokenry_vault::{
    ConnectionField, Context, KeyId, MasterKey, SystemRandom, Vault, VaultError, WrappedKey,
};

/// The seeded connections begin here: a database that counts ids by itself has room before.
const FIRST: i64 = 1_000_000;
const READERS: usize = 8;

fn count() -> i64 {
    std::env::var("TOKENRY_TEST_CONNECTIONS").map_or(300, |text| text.parse().unwrap())
}

/// A server process that ends with the test.
struct Process {
    child: Child,
    base: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One installation: a database, a master key, and data directories for its servers.
struct Installation {
    name: &'static str,
    url: String,
    dir: tempfile::TempDir,
}

impl Installation {
    fn command(&self, words: &[&str], data: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenry"));
        command
            .args(words)
            .env_clear()
            .env("TOKENRY_LISTEN", "127.0.0.1:0")
            .env("TOKENRY_DATABASE_URL", &self.url)
            .env("TOKENRY_DATA_DIR", self.dir.path().join(data))
            .env("TOKENRY_MASTER_KEY_FILE", self.dir.path().join("master.key"))
            .env("TOKENRY_LOG__LEVEL", "error");
        command
    }

    fn serve(&self, data: &str) -> Process {
        let mut command = self.command(&["serve"], data);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
        let base = first[first.find("http://").unwrap()..].trim().to_owned();
        Process { child, base }
    }

    fn key(&self, words: &[&str]) -> Output {
        self.command(&[&["key"], words].concat(), "operator").output().unwrap()
    }

    /// What a command prints that must go well.
    fn told(&self, words: &[&str]) -> String {
        let done = self.key(words);
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn master(&self) -> MasterKey {
        let text = std::fs::read_to_string(self.dir.path().join("master.key")).unwrap();
        MasterKey::from_base64(&text.into()).unwrap()
    }

    async fn raw(&self) -> Raw {
        if self.url.starts_with("sqlite") {
            Raw::Sqlite(SqliteConnection::connect(&self.url).await.unwrap())
        } else {
            Raw::Postgres(PgConnection::connect(&self.url).await.unwrap())
        }
    }
}

/// A connection that knows nothing of the store.
enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

macro_rules! raw {
    ($raw:expr, |$connection:ident| $body:expr) => {
        match $raw {
            Raw::Sqlite($connection) => $body,
            Raw::Postgres($connection) => $body,
        }
    };
}

/// A connection's sealed halves.
type Row = (i64, Vec<u8>, Vec<u8>);

fn vault(master: &MasterKey, ring: &[StoredKey], current: u32) -> Vault {
    let ring: Vec<_> = ring
        .iter()
        .map(|key| WrappedKey { id: KeyId::new(key.id).unwrap(), wrapped: key.wrapped.clone() })
        .collect();
    Vault::unlock(master, &ring, KeyId::new(current).unwrap(), Arc::new(SystemRandom)).unwrap()
}

fn context(user: i64, id: i64, field: ConnectionField) -> Context<'static> {
    Context::Connection { user: UserId::new(user), connection: ConnectionId::new(id), field }
}

/// Puts in so many connections at once, sealed as a server would.
async fn seed(raw: &mut Raw, vault: &Vault, user: i64, count: i64) {
    let sql = "INSERT INTO connections (id, user_id, name, token_type, provider, kind, state, scopes, sealed_access, \
               sealed_refresh, created_at, updated_at, connected_at) \
               VALUES ($1, $2, 'seeded', 'spotify', 'spotify', 'oauth2', 'ok', '', $3, $4, 1, 1, 1)";
    let rows: Vec<Row> = (FIRST..FIRST + count)
        .map(|id| {
            let seal = |field, text: String| {
                vault.seal(&context(user, id, field), text.as_bytes()).unwrap().as_bytes().to_vec()
            };
            let access = seal(ConnectionField::AccessToken, format!("access {id}"));
            (id, access, seal(ConnectionField::RefreshToken, format!("refresh {id}")))
        })
        .collect();
    raw!(raw, |connection| {
        let mut tx = connection.begin().await.unwrap();
        for (id, access, refresh) in &rows {
            let insert = sqlx::query(sql).bind(id).bind(user).bind(access.as_slice());
            insert.bind(refresh.as_slice()).execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
    });
}

async fn rows(raw: &mut Raw) -> Vec<Row> {
    let sql = "SELECT id, sealed_access, sealed_refresh FROM connections WHERE id >= $1 ORDER BY id";
    raw!(raw, |connection| sqlx::query_as(sql).bind(FIRST).fetch_all(&mut *connection).await.unwrap())
}

/// How many of the values a vault opens. One that does not must say that it lacks the key.
fn opens(vault: &Vault, user: i64, rows: &[Row]) -> usize {
    let mut opened = 0;
    for (id, access, refresh) in rows {
        for (field, bytes) in
            [(ConnectionField::AccessToken, access), (ConnectionField::RefreshToken, refresh)]
        {
            match vault.open(&context(user, *id, field), &Sealed::new(bytes.clone())) {
                Ok(_) => opened += 1,
                Err(VaultError::UnknownKey(_) | VaultError::Refused) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
    opened
}

/// The same bytes, saying of themselves that another key sealed them.
fn said_to_be_of(key: u8, rows: &[Row]) -> Vec<Row> {
    let change = |bytes: &[u8]| [&[1, 0, 0, 0, key], &bytes[5..]].concat();
    rows.iter().map(|(id, access, refresh)| (*id, change(access), change(refresh))).collect()
}

/// Readers that go from connection to connection until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(users: &[TestUser], count: i64) -> Self {
        let (stop, reads) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let readers = (0..READERS)
            .map(|reader| {
                let user = users[reader % users.len()].clone();
                let (stop, reads) = (Arc::clone(&stop), Arc::clone(&reads));
                tokio::spawn(async move {
                    let mut at = i64::try_from(reader).unwrap() * 7919;
                    while !stop.load(Ordering::Relaxed) {
                        at = (at + 104_729) % count;
                        let answer = user.get_token(FIRST + at).await;
                        assert_eq!(answer.status, StatusCode::OK, "a read failed: {answer:?}");
                        assert_eq!(answer.text("token"), format!("access {}", FIRST + at));
                        reads.fetch_add(1, Ordering::Relaxed);
                        // The machine is to have time for something else.
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                })
            })
            .collect();
        Self { stop, reads, readers }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for reader in self.readers {
            reader.await.unwrap();
        }
        self.reads.load(Ordering::Relaxed)
    }
}

/// What the status says, in tenths of a percent.
fn share(status: &str) -> i64 {
    let line = status.lines().find(|line| line.starts_with("sealed with the current key: ")).unwrap();
    line.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// Watches the progress to its end, and gives all that was seen of it.
async fn watch(it: &Installation, metrics: &ApiClient) -> Vec<i64> {
    let mut seen = Vec::new();
    let mut gauges = 0;
    let began = Instant::now();
    while seen.last() != Some(&1000) {
        assert!(began.elapsed() < Duration::from_mins(20), "it does not come to an end: {seen:?}");
        seen.push(share(&it.told(&["status"])));
        let text = metrics.get("/metrics").await.expect(StatusCode::OK).body;
        gauges += text.lines().filter(|line| line.starts_with("tokenry_values_to_reseal{key=\"1\"}")).count();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(seen.is_sorted(), "it went backwards: {seen:?}");
    if count() >= 10_000 {
        assert!(seen.len() > 3 && gauges > 0, "the progress did not show: {seen:?}");
    }
    seen
}

/// Tries to retire the key until it is done. Gives how often it was refused.
async fn retire(it: &Installation) -> u32 {
    let began = Instant::now();
    let mut refused = 0;
    loop {
        let done = it.key(&["retire", "1"]);
        if done.status.success() {
            return refused;
        }
        let why = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(why.contains("still held by") || why.contains("still needed for"), "{why}");
        assert!(began.elapsed() < Duration::from_mins(5), "{why}");
        refused += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn user_at(process: &Process) -> TestUser {
    let mut api = ApiClient::new(&process.base);
    let body = json!({"username": "ada", "email": "ada@example.org", "password": PASSWORD});
    api.post("/api/auth/signup", &body).await.expect(StatusCode::OK);
    api.token = Some(api.log_in("ada", PASSWORD).await);
    TestUser { name: "ada".to_owned(), api }
}

async fn rotate_under_load(it: &Installation) {
    let count = count();
    let key =
        String::from_utf8(it.command(&["key", "generate"], "operator").output().unwrap().stdout).unwrap();
    std::fs::write(it.dir.path().join("master.key"), key).unwrap();
    let servers = [it.serve("one"), it.serve("two")];
    let ada = user_at(&servers[0]).await;
    let mut there = ada.clone();
    there.api = ApiClient::new(&servers[1].base);
    there.api.token.clone_from(&ada.api.token);
    let master = it.master();
    let before_ring = Store::peek_keys(&it.url).await.unwrap();
    let old = vault(&master, &before_ring, 1);
    let mut raw = it.raw().await;
    let user = 1;
    let began = Instant::now();
    seed(&mut raw, &old, user, count).await;
    let before = rows(&mut raw).await;
    assert_eq!(opens(&old, user, &before), before.len() * 2);
    println!("{}: {count} connections seeded in {:.1?}", it.name, began.elapsed());

    let load = Load::start(&[ada.clone(), there.clone()], count);
    let began = Instant::now();
    it.told(&["rotate"]);
    let refused = it.key(&["retire", "1"]);
    assert!(!refused.status.success(), "a key that everything needs was retired");
    let third = (count >= 10_000).then(|| it.serve("three"));
    if let Some(third) = third {
        // In the middle of it, as far as anything can be.
        tokio::time::sleep(Duration::from_secs(8)).await;
        drop(third);
    }
    let _third = (count >= 10_000).then(|| it.serve("three"));
    let seen = watch(it, &ApiClient::new(&servers[0].base)).await;
    let sealed = began.elapsed();
    let refusals = retire(it).await;
    let retired = began.elapsed();
    // Readers go on for a while with the old key gone.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let reads = load.end().await;

    let ring = Store::peek_keys(&it.url).await.unwrap();
    assert_eq!(ring.iter().map(|key| (key.id, key.is_current)).collect::<Vec<_>>(), [(2, true)]);
    let new = vault(&master, &ring, 2);
    let after = rows(&mut raw).await;
    assert_eq!(opens(&new, user, &after), after.len() * 2, "the new key opens all that there is");
    assert_eq!(opens(&old, user, &after), 0, "the old key opens something");
    assert_eq!(opens(&old, user, &said_to_be_of(1, &after)), 0);
    assert_eq!(opens(&new, user, &before), 0, "the new key opens a copy from before");
    assert_eq!(opens(&new, user, &said_to_be_of(2, &before)), 0);
    let seen: Vec<_> = seen.iter().step_by(seen.len().div_ceil(12)).collect();
    println!(
        "{}: {} values sealed again in {sealed:.1?} while {reads} reads went well and none failed; progress seen (tenths of \
         a percent) {seen:?}; the old key retired after {retired:.1?} and {} refusals; old key on what there is: 0 of {}, \
         new key on the copy from before: 0 of {}",
        it.name,
        count * 2,
        refusals + 1,
        after.len() * 2,
        before.len() * 2
    );
    assert!(reads > 100, "there was no load: {reads} reads");
    raw!(raw, |connection| connection.close().await.unwrap());
}

fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("tokenry-rotation-").tempdir().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_key_is_rotated_under_load_on_sqlite() {
    let dir = directory();
    let path: &Path = dir.path();
    let url = format!("sqlite://{}", path.join("tokenry.db").display());
    rotate_under_load(&Installation { name: "SQLite", url, dir }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_key_is_rotated_under_load_on_postgresql() {
    let url = tokio::task::spawn_blocking(|| tokenry_postgres::Server::shared().database()).await.unwrap();
    rotate_under_load(&Installation { name: "PostgreSQL", url, dir: directory() }).await;
}
