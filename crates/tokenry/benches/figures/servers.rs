//! What is measured: installations of the real binary, and the bare handler beside them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokenry_postgres::Server as Postgres;

use crate::load::Load;

/// The binary that is measured: the one that is shipped. What cargo builds beside a benchmark has the features of the tests,
/// and is larger.
pub(crate) static BINARY: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::var_os("TOKENRY_BENCH_BINARY").map_or_else(built_by_itself, PathBuf::from));

fn built_by_itself() -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--locked", "--package", "tokenry", "--message-format", "json"]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "tokenry was not built");
    let text = String::from_utf8(output.stdout).unwrap();
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built = messages.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    built.next_back().expect("cargo says where the binary is")
}

/// As long as an access token of a large provider.
pub(crate) const TOKEN_BYTES: usize = 800;

/// The account whose connections are read.
pub(crate) fn account() -> Value {
    json!({"username": "ada", "email": "ada@example.org", "password": "correct horse battery"})
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program that says in its first line where it listens.
fn start(mut command: Command) -> (Process, String) {
    let mut child = Process(command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap());
    let mut first = String::new();
    BufReader::new(child.0.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let base = first[first.find("http://").unwrap_or_else(|| panic!("{first}"))..].trim().to_owned();
    (child, base)
}

/// An installation: its database and its keys. Its servers come and go.
pub(crate) struct Installation {
    pub(crate) name: &'static str,
    /// A session of its one user.
    pub(crate) token: String,
    pub(crate) url: String,
    data: TempDir,
}

impl Installation {
    pub(crate) fn on_sqlite() -> Self {
        let data = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", data.path().join("tokenry.db").display());
        Self::make("SQLite", url, data)
    }

    pub(crate) fn on_postgres(postgres: &Postgres) -> Self {
        Self::make("PostgreSQL", postgres.database(), tempfile::tempdir().unwrap())
    }

    fn make(name: &'static str, url: String, data: TempDir) -> Self {
        let mut it = Self { name, token: String::new(), url, data };
        let running = it.serve();
        running.call("POST", "/api/auth/signup", "", &account().to_string());
        let answer = running.call("POST", "/api/auth/login", "", &account().to_string());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        drop(running);
        answer["access_token"].as_str().unwrap().clone_into(&mut it.token);
        it
    }

    pub(crate) fn folder(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn postgres_url(&self) -> &str {
        assert!(self.url.starts_with("postgres"), "it is on {}", self.name);
        &self.url
    }

    /// A server of this installation, ready to answer. It ends when it is dropped.
    pub(crate) fn serve(&self) -> Running {
        let mut command = Command::new(&*BINARY);
        command.arg("serve").env_clear();
        command.env("TOKENRY_LISTEN", "127.0.0.1:0").env("TOKENRY_LOG__LEVEL", "error");
        command.env("TOKENRY_DATA_DIR", self.folder()).env("TOKENRY_DATABASE_URL", &self.url);
        // So many as a load adds.
        command.env("TOKENRY_LIMITS__CONNECTIONS_PER_USER", "0");
        let (process, base) = start(command);
        Running { process, base }
    }
}

/// A running server.
pub(crate) struct Running {
    process: Process,
    pub(crate) base: String,
}

impl Running {
    /// One request on a connection of its own, which must be answered with 200.
    pub(crate) fn call(&self, method: &str, path: &str, token: &str, body: &str) -> String {
        let host = self.base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// A load on it, with the CPU time that this process took for each request.
    pub(crate) fn measure(&self, load: impl FnOnce(&str) -> Load) -> Load {
        let (began, before) = (std::time::Instant::now(), self.cpu_ticks());
        let load = load(&self.base);
        let requests = load.rate * began.elapsed().as_secs_f64();
        // A tick is 10 ms on Linux.
        Load { cpu_us: (self.cpu_ticks() - before) * 10_000.0 / requests, ..load }
    }

    fn cpu_ticks(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    }

    pub(crate) fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

/// A handler that answers every request with the same bytes: what axum alone can do.
pub(crate) struct Bare {
    pub(crate) base: String,
    _process: Process,
}

impl Bare {
    /// As many bytes as "get token" answers.
    pub(crate) fn start() -> Self {
        Self::of_bytes(json!({ "token": "x".repeat(TOKEN_BYTES) }).to_string().len())
    }

    pub(crate) fn of_bytes(bytes: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--bare-server").env("TOKENRY_BENCH_BYTES", bytes.to_string());
        let (process, base) = start(command);
        Self { base, _process: process }
    }
}

/// The program of [`Bare`].
pub(crate) fn bare() {
    let bytes = usize::try_from(crate::setting("TOKENRY_BENCH_BYTES", 0)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        let body = "x".repeat(bytes);
        let answer =
            || async move { ([("content-type", "application/json"), ("cache-control", "no-store")], body) };
        axum::serve(listener, axum::Router::new().fallback(axum::routing::any(answer))).await.unwrap();
    });
}
