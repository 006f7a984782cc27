#![doc = include_str!("../README.md")]
#![allow(clippy::panic, reason = "whoever asks for a server in a test wants the test to fail without one")]

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_mins(1);
/// Where Debian keeps the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The server's one user. It is reached from this machine only, and knows no password.
const USER: &str = "tokenry";

/// Runs a server, and ends it when standard input closes: then whoever started it is gone. The folder goes last. A line
/// says that the server was killed, and is to be collected (else its process id counts as taken) and started again later.
const GUARD: &str = r#"
"$@" </dev/null &
server=$!
while read -r word; do wait "$server"; exit 0; done
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$FOLDER"
"#;

/// How a server treats the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A commit does not wait for the disk: a killed server loses nothing, a power cut might. For tests.
    Process,
    /// As PostgreSQL is by default. For benchmarks.
    Disk,
}

/// A PostgreSQL server. It ends, and its folder goes, when this is dropped or the process dies.
pub struct Server {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    durability: Durability,
    running: Mutex<Option<Running>>,
    databases: AtomicU32,
}

/// The guard's process. Its input is held open for as long as the server is to live.
struct Running {
    guard: Child,
    alive: Option<ChildStdin>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Server {
    /// The server that all tests of this process share. Each makes a [database](Self::database) of its own there.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Durability::Process))
    }

    /// Makes and starts a server of the caller's own.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub fn start(durability: Durability) -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("tokenry-postgres-").tempdir();
        let folder = folder.unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        give_to_postgres(folder.path());
        let data = folder.path().join("data");
        let mut init = as_postgres(&programs.join("initdb"));
        init.args([
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "--username",
            USER,
            "--pgdata",
        ]);
        run(init.arg(&data));
        let server = Self {
            programs,
            folder,
            port: free_port(),
            durability,
            running: Mutex::new(None),
            databases: AtomicU32::new(0),
        };
        server.run_again();
        server
    }

    /// The port it listens on, at 127.0.0.1 only.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder of PostgreSQL's programs, such as `pgbench` and `pg_dump`.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Makes a database with nothing in it, and says its URL.
    ///
    /// # Panics
    /// When the server is away.
    pub fn database(&self) -> String {
        let name = format!("db{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.url(&name)
    }

    /// The URL of the database of this name.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port)
    }

    /// Runs statements in a database, and says what they printed: rows as lines, columns divided by `|`.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn execute(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--command",
        ]);
        let output = run(psql.arg(sql).arg(self.url(database)));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ends the server with all of its processes at once (SIGKILL), as a crash would. Nothing answers until
    /// [`Self::run_again`].
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&self) {
        let first_line = fs::read_to_string(self.folder.path().join("data/postmaster.pid"))
            .ok()
            .and_then(|text| text.lines().next().map(str::to_owned));
        let Some(postmaster) = first_line else { panic!("the server does not run") };
        // The children go first, for a postmaster that saw them go would start them anew; stopped, it sees nothing.
        run(Command::new("kill").args(["-STOP", &postmaster]));
        let _ = Command::new("pkill").args(["-KILL", "-P", &postmaster]).status();
        run(Command::new("kill").args(["-KILL", &postmaster]));
        self.end();
    }

    /// Starts the server again after [`Self::kill`], on its port and with what it held.
    ///
    /// # Panics
    /// When it does not start.
    pub fn run_again(&self) {
        let mut command = as_postgres(&self.programs.join("postgres"));
        command.arg("-D").arg(self.folder.path().join("data"));
        let port = self.port.to_string();
        let durable = if self.durability == Durability::Disk { "on" } else { "off" };
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "shared_buffers=256MB",
            "logging_collector=off",
            &format!("port={port}"),
            &format!("fsync={durable}"),
        ] {
            command.arg("-c").arg(setting);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log());
        let log = log.unwrap_or_else(|error| panic!("no log for PostgreSQL: {error}"));
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard"]).arg(command.get_program()).args(command.get_args());
        // The folder of a server that is only to be restarted stays: dropping the server removes it.
        guard.env("FOLDER", self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let mut guard = guard.spawn().unwrap_or_else(|error| panic!("PostgreSQL does not start: {error}"));
        let alive = guard.stdin.take();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { guard, alive });
        self.await_answer();
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn await_answer(&self) {
        let asked = Instant::now();
        while asked.elapsed() < START_LIMIT {
            let mut ask = Command::new(self.programs.join("pg_isready"));
            ask.args(["--host=127.0.0.1", "--dbname=postgres", "--quiet", "--username", USER, "--port"])
                .arg(self.port.to_string());
            if ask.status().is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = fs::read_to_string(self.log()).unwrap_or_default();
        panic!("PostgreSQL did not answer within {START_LIMIT:?}. It said:\n{said}");
    }

    /// Lets the guard collect a server that was killed.
    fn end(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut running) = running {
            let told = running.alive.as_mut().map(|alive| alive.write_all(b"killed\n"));
            assert!(told.is_some_and(|told| told.is_ok()), "PostgreSQL's guard is gone");
            let _ = running.guard.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut running) = running {
            drop(running.alive.take());
            let _ = running.guard.wait();
        }
    }
}

/// Where the newest installed version's programs are.
fn programs() -> PathBuf {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().filter_map(Result::ok);
    let newest = versions
        .filter_map(|version| version.file_name().to_string_lossy().parse::<u32>().ok())
        .max()
        .map(|version| PathBuf::from(DEBIAN).join(version.to_string()).join("bin"));
    let elsewhere = || {
        let found = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8_lossy(&found.stdout).trim()))
    };
    let programs = newest.or_else(elsewhere).filter(|folder| folder.join("initdb").exists());
    programs.unwrap_or_else(|| {
        panic!("PostgreSQL is not installed: run crates/tokenry-testkit/scripts/install-needs.sh")
    })
}

/// A command of the user `postgres`, if this is root; else of whoever this is.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn give_to_postgres(folder: &Path) {
    if is_root() {
        run(Command::new("chown").arg("postgres:postgres").arg(folder));
    }
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| run(Command::new("id").arg("-u")).stdout.starts_with(b"0\n"))
}

/// Below the range that outgoing connections take theirs from, so that a killed server finds its port free again.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(37);
    for _ in 0..10_000 {
        let port = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000 + 20_000;
        let Ok(port) = u16::try_from(port) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port")
}

/// Runs a program to its end, which must be a good one.
fn run(command: &mut Command) -> Output {
    // A folder that the user `postgres` may not look into would fail it.
    let output = command.current_dir("/").stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not run: {error}"));
    if !output.status.success() {
        let _ = std::io::stderr().write_all(&output.stderr);
        panic!("{command:?}: {}", output.status);
    }
    output
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_killed_server_comes_back_with_what_it_held_and_a_dropped_one_leaves_nothing() {
        let server = Server::start(Durability::Process);
        let url = server.database();
        assert!(url.ends_with("/db0"), "{url}");
        server.execute("db0", "CREATE TABLE things (id BIGINT); INSERT INTO things VALUES (7)");
        server.kill();
        let port = server.port();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "it answers after a kill");
        server.run_again();
        assert_eq!(server.execute("db0", "SELECT id FROM things"), "7");
        let folder = server.folder.path().to_owned();
        drop(server);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "it answers after its end");
        assert!(!folder.exists());
    }
}
