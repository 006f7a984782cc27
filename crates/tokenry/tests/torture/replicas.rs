//! The replicas: started, killed at any moment, started again.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokenry_postgres::{Durability, Server};
use tokenry_sandbox::{Reuse, Sandbox};

use crate::common::{self, Process, free_address, tokenry};

/// How many there are.
pub(crate) const REPLICAS: usize = 4;
/// From when a provider spends a refresh token until its answer is on disk, on a busy machine with a slow provider.
const GAP: Duration = Duration::from_secs(5);
/// A request that was on its way when its process died may be looked at so much later.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// What the replicas share.
pub(crate) enum Database {
    /// A file in one data directory, spool and all.
    File,
    /// A server; each replica has a data directory of its own.
    Postgres { server: Server, url: String },
}

impl Database {
    pub(crate) fn file() -> Self {
        Self::File
    }

    pub(crate) fn postgres() -> Self {
        let server = Server::start(Durability::Process);
        let url = server.database();
        Self::Postgres { server, url }
    }
}

/// A replica's death.
struct Kill {
    at: Instant,
    /// Its ends of the connections that it had to the provider.
    ports: HashSet<u16>,
}

/// Four processes on one database.
pub(crate) struct Replicas {
    database: Database,
    folder: TempDir,
    master_key: String,
    addresses: Vec<String>,
    running: Vec<Mutex<Option<Process>>>,
    kills: Mutex<Vec<Kill>>,
}

impl Replicas {
    pub(crate) fn new(database: Database) -> Self {
        let generated = tokenry().args(["key", "generate"]).env_clear().output().unwrap();
        assert!(generated.status.success(), "{generated:?}");
        Self {
            database,
            folder: tempfile::Builder::new().prefix("tokenry-torture-").tempdir().unwrap(),
            master_key: String::from_utf8(generated.stdout).unwrap().trim().to_owned(),
            addresses: (0..REPLICAS).map(|_| free_address()).collect(),
            running: (0..REPLICAS).map(|_| Mutex::new(None)).collect(),
            kills: Mutex::default(),
        }
    }

    /// The database server, if there is one.
    pub(crate) const fn server(&self) -> Option<&Server> {
        match &self.database {
            Database::File => None,
            Database::Postgres { server, .. } => Some(server),
        }
    }

    pub(crate) fn bases(&self) -> Vec<String> {
        self.addresses.iter().map(|address| format!("http://{address}")).collect()
    }

    /// Starts a replica. Returns whether it listens: without its database it does not.
    pub(crate) fn start(&self, replica: usize, sandbox: &Sandbox) -> bool {
        let data = match &self.database {
            Database::File => self.folder.path().join("data"),
            Database::Postgres { .. } => self.folder.path().join(format!("data{replica}")),
        };
        let mut command = tokenry();
        command
            .env_clear()
            .env("TOKENRY_DATA_DIR", data)
            .env("TOKENRY_MASTER_KEY", &self.master_key)
            .env("TOKENRY_TRUSTED_PROXIES", "127.0.0.1")
            // The replicas are one service, and people reach it at one address.
            .env("TOKENRY_PUBLIC_URL", format!("http://{}", self.addresses[0]))
            .stderr(File::options().create(true).append(true).open(self.log(replica)).unwrap());
        if let Database::Postgres { url, .. } = &self.database {
            command.env("TOKENRY_DATABASE_URL", url);
        }
        let started = common::try_serve(command, sandbox, &self.addresses[replica]);
        let listens = started.is_some();
        *self.running[replica].lock().unwrap() = started;
        listens
    }

    /// Starts a replica, as often as it takes.
    pub(crate) fn start_until_it_listens(&self, replica: usize, sandbox: &Sandbox) {
        let began = Instant::now();
        while !self.start(replica, sandbox) {
            assert!(began.elapsed() < Duration::from_mins(2), "replica {replica} does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Kills a replica (SIGKILL), and notes which connections it had to the provider. Returns whether it ran.
    pub(crate) fn kill(&self, replica: usize, sandbox: &Sandbox) -> bool {
        let Some(process) = self.running[replica].lock().unwrap().take() else { return false };
        let pid = process.child.id();
        // From here on it does nothing more; its connections can be looked at before they are gone.
        let stopped = Command::new("kill").args(["-STOP", &pid.to_string()]).status().unwrap();
        assert!(stopped.success(), "replica {replica} ended by itself");
        let kill = Kill { at: Instant::now(), ports: ports_to(pid, sandbox.addr().port()) };
        self.kills.lock().unwrap().push(kill);
        drop(process);
        true
    }

    /// The process id of a replica that runs.
    pub(crate) fn pid(&self, replica: usize) -> Option<u32> {
        self.running[replica].lock().unwrap().as_ref().map(|process| process.child.id())
    }

    /// Whether the process that spent the token was killed before it can have had the answer on disk.
    pub(crate) fn explain(&self, reuse: &Reuse) -> bool {
        let died = |kill: &Kill| {
            kill.ports.contains(&reuse.spent_from.port())
                && kill.at < reuse.spent_at + GAP
                && reuse.spent_at < kill.at + ON_ITS_WAY
        };
        self.kills.lock().unwrap().iter().any(died)
    }

    /// Where a replica writes what is wrong.
    fn log(&self, replica: usize) -> PathBuf {
        self.folder.path().join(format!("log{replica}"))
    }

    /// What the replicas wrote, for whoever looks for the cause of a violation.
    pub(crate) fn logs(&self) -> String {
        let tail = |replica| {
            let text = fs::read_to_string(self.log(replica)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            format!("--- replica {replica}\n{last}\n")
        };
        (0..REPLICAS).map(tail).collect()
    }

    /// Lines of the logs that no kill explains.
    pub(crate) fn panics(&self) -> Vec<String> {
        let of = |replica| fs::read_to_string(self.log(replica)).unwrap_or_default();
        let all: String = (0..REPLICAS).map(of).collect();
        all.lines().filter(|line| line.contains("panicked")).map(str::to_owned).collect()
    }
}

/// A process's local ports of connections to a port of this machine.
fn ports_to(pid: u32, port: u16) -> HashSet<u16> {
    let socket = |link: PathBuf| {
        let target = fs::read_link(link).ok()?;
        let name = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(name.to_owned())
    };
    let descriptors = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")).unwrap();
    let sockets: HashSet<String> = descriptors.flatten().filter_map(|entry| socket(entry.path())).collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let port_of = |address: &str| address.split(':').nth(1).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (local, remote, inode) = (columns.get(1)?, columns.get(2)?, columns.get(9)?);
            (port_of(remote)? == port && sockets.contains(*inode)).then(|| port_of(local))?
        })
        .collect()
}
