//! The first figures: size, start-up, memory, and "get token" beside a bare axum handler with the same bytes, in one run.
//!
//! `make bench` runs it. The load comes from wrk (Debian: `wrk`). Everything is a ratio to something in the same run: the machines
//! this runs on are noisy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark is a program that prints, and stops at the first thing that goes wrong"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_tokenry");
const ROUNDS: usize = 3;
const SECONDS: u32 = 5;
/// As long as an access token of a large provider.
const TOKEN_BYTES: usize = 800;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program that says in its first line where it listens.
fn start(mut command: Command) -> (Process, String) {
    let mut child = Process(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut first = String::new();
    BufReader::new(child.0.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let base = first[first.find("http://").unwrap()..].trim().to_owned();
    (child, base)
}

fn serve(data: &std::path::Path) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("serve").current_dir(data).env_clear();
    command.env("TOKENRY_LISTEN", "127.0.0.1:0").env("TOKENRY_LOG__LEVEL", "warn");
    command
}

/// One request on a connection of its own.
fn call(base: &str, method: &str, path: &str, token: &str, body: &str) -> String {
    let host = base.trim_start_matches("http://");
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

/// Requests in a second, and the 99th percentile in milliseconds, as wrk saw them.
fn load(url: &str, token: &str, connections: u32) -> (f64, f64) {
    let output = Command::new("wrk")
        .args(["-t1", "--latency", &format!("-c{connections}"), &format!("-d{SECONDS}s")])
        .args(["-H", &format!("Authorization: {token}"), url])
        .output()
        .expect("wrk makes the load; on Debian: apt-get install wrk");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    let word = |label: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    let p99 = word("99%");
    let number: f64 = p99.trim_end_matches(char::is_alphabetic).parse().unwrap();
    let unit = if p99.ends_with("us") {
        0.001
    } else if p99.ends_with("ms") {
        1.0
    } else {
        1000.0
    };
    (word("Requests/sec:").parse().unwrap(), number * unit)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Resident memory of a process in MB.
fn resident_mb(process: &Process) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Answers every request with the same bytes as "get token" does: what axum alone can do.
fn bare() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        let body = json!({ "token": "x".repeat(TOKEN_BYTES) }).to_string();
        let answer =
            || async move { ([("content-type", "application/json"), ("cache-control", "no-store")], body) };
        axum::serve(listener, axum::Router::new().fallback(axum::routing::get(answer))).await.unwrap();
    });
}

/// From the start of the process to its first answer, on a database that is there.
fn start_up(data: &std::path::Path) -> Duration {
    let began = Instant::now();
    let (_process, base) = start(serve(data));
    call(&base, "GET", "/readyz", "", "");
    began.elapsed()
}

fn main() {
    if std::env::args().any(|arg| arg == "--bare-server") {
        return bare();
    }
    // `cargo test --benches` and `cargo bench -- --list` must not start a load.
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("run it with `make bench`");
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let size = std::fs::metadata(BINARY).unwrap().len();
    #[allow(clippy::cast_precision_loss, reason = "a size in MB with one decimal")]
    let megabytes = size as f64 / 1_000_000.0;
    println!("binary                  {megabytes:.1} MB");

    start_up(data.path());
    let times = (0..10).map(|_| start_up(data.path()).as_secs_f64() * 1000.0).collect();
    println!("start to first answer   {:.0} ms (median of 10, existing database)", median(times));

    let (server, base) = start(serve(data.path()));
    std::thread::sleep(Duration::from_secs(1));
    println!("resident, idle          {:.1} MB", resident_mb(&server));

    let ada = json!({"username": "ada", "email": "ada@example.org", "password": "correct horse battery"});
    call(&base, "POST", "/api/auth/signup", "", &ada.to_string());
    let answer = call(&base, "POST", "/api/auth/login", "", &ada.to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let add = json!({"token_type": "spotify", "token": "x".repeat(TOKEN_BYTES)}).to_string();
    for _ in 0..1000 {
        call(&base, "POST", "/api/users/ada/add/connection", &token, &add);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("--bare-server");
    let (_bare, bare_base) = start(command);

    println!("get token               connections   tokenry/s    bare axum/s   ratio   p99 ms   bare p99 ms");
    for connections in [1, 16, 64, 256] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(load(&format!("{bare_base}/"), &token, connections));
            ours.push(load(&format!("{base}/api/users/ada/get/connection/500"), &token, connections));
        }
        let of = |list: &[(f64, f64)], second: bool| {
            median(list.iter().map(|pair| if second { pair.1 } else { pair.0 }).collect())
        };
        let (rate, bare_rate) = (of(&ours, false), of(&theirs, false));
        let (p99, bare_p99) = (of(&ours, true), of(&theirs, true));
        let ratio = rate / bare_rate;
        println!(
            "                        {connections:>11} {rate:>11.0} {bare_rate:>14.0} {ratio:>7.2} {p99:>8.2} {bare_p99:>13.2}"
        );
    }
    println!("resident, after load    {:.1} MB", resident_mb(&server));
}
