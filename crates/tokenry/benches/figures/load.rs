//! What makes the load, and what it saw.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;

use tempfile::NamedTempFile;
use tokenry_postgres::Server as Postgres;

use crate::servers::{Installation, Running};
use crate::setting;

/// What a load came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// Requests in a second.
    pub(crate) rate: f64,
    /// The 99th percentile, in milliseconds.
    pub(crate) p99_ms: f64,
    /// The server's CPU time for each request, in microseconds.
    pub(crate) cpu_us: f64,
}

impl Load {
    pub(crate) fn median(all: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(all.iter().map(figure).collect());
        Self { rate: of(|l| l.rate), p99_ms: of(|l| l.p99_ms), cpu_us: of(|l| l.cpu_us) }
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What wrk asks for, as Lua.
pub(crate) struct Script(NamedTempFile);

impl Script {
    fn new(text: &str) -> Self {
        let mut file = NamedTempFile::with_suffix(".lua").unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Self(file)
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new(&format!("wrk.path = \"{path}\""))
    }

    /// The token of any of the first so many connections.
    pub(crate) fn get_any(rows: i64) -> Self {
        Self::new(&format!(
            "math.randomseed(7)\nrequest = function() return wrk.format(\"GET\", \"/api/users/ada/get/connection/\" .. \
             math.random(1, {rows})) end"
        ))
    }

    pub(crate) fn add() -> Self {
        let token = "x".repeat(crate::servers::TOKEN_BYTES);
        Self::new(&format!(
            "wrk.method = \"POST\"\nwrk.path = \"/api/users/ada/add/connection\"\n\
             wrk.headers[\"Content-Type\"] = \"application/json\"\n\
             wrk.body = '{{\"token_type\": \"spotify\", \"token\": \"{token}\"}}'"
        ))
    }

    pub(crate) fn rename(rows: i64) -> Self {
        Self::new(&format!(
            "wrk.headers[\"Content-Type\"] = \"application/json\"\n\
             request = function() return wrk.format(\"PUT\", \"/api/users/ada/update/connection/name/\" .. \
             math.random(1, {rows}), nil, '{{\"name\": \"another name\"}}') end"
        ))
    }

    pub(crate) fn log_in() -> Self {
        let body = crate::servers::account();
        Self::new(&format!(
            "wrk.method = \"POST\"\nwrk.path = \"/api/auth/login\"\n\
             wrk.headers[\"Content-Type\"] = \"application/json\"\nwrk.body = '{body}'"
        ))
    }
}

fn seconds() -> i64 {
    setting("TOKENRY_BENCH_SECONDS", 4)
}

/// One load by wrk, from one thread: the other core is the server's.
pub(crate) fn wrk(base: &str, token: &str, connections: u32, script: &Script) -> Load {
    read_wrk(
        &String::from_utf8(wrk_command(base, token, connections, script).output().unwrap().stdout).unwrap(),
    )
}

fn wrk_command(base: &str, token: &str, connections: u32, script: &Script) -> Command {
    let mut command = Command::new("wrk");
    command.args(["-t1", "--latency", &format!("-c{connections}"), &format!("-d{}s", seconds())]);
    command.args(["-H", &format!("Authorization: {token}"), "-s"]).arg(script.0.path()).arg(base);
    command
}

fn read_wrk(text: &str) -> Load {
    assert!(!text.contains("Non-2xx") && text.contains("Requests/sec:"), "{text}");
    let word = |label: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    let p99 = word("99%");
    let number: f64 = p99.trim_end_matches(char::is_alphabetic).parse().unwrap();
    let unit = match p99.trim_start_matches(|c: char| !c.is_alphabetic()) {
        "us" => 0.001,
        "ms" => 1.0,
        _ => 1000.0,
    };
    Load { rate: word("Requests/sec:").parse().unwrap(), p99_ms: number * unit, cpu_us: 0.0 }
}

/// A load on each of several servers at the same time; the rates are added up.
pub(crate) fn at_once(servers: &[Running], token: &str, connections: u32, script: &Script) -> Load {
    let started: Vec<_> = servers
        .iter()
        .map(|server| {
            let mut command = wrk_command(&server.base, token, connections, script);
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    started.into_iter().fold(Load::default(), |sum, child| {
        let one = read_wrk(&String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap());
        Load { rate: sum.rate + one.rate, p99_ms: sum.p99_ms.max(one.p99_ms), cpu_us: 0.0 }
    })
}

/// The same statement from pgbench, prepared, from one thread.
pub(crate) fn pgbench(postgres: &Postgres, place: &Installation, clients: u32, script: &str) -> Load {
    let mut file = NamedTempFile::with_suffix(".sql").unwrap();
    file.write_all(script.as_bytes()).unwrap();
    let mut arguments = String::new();
    write!(arguments, "-n -M prepared -c {clients} -j 1 -T {}", seconds()).unwrap();
    let mut command = Command::new(postgres.programs().join("pgbench"));
    command.args(arguments.split(' ')).arg("-f").arg(file.path()).arg(place.postgres_url());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("tps = "));
    let line = line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let rate = line.split_whitespace().nth(2).unwrap().parse().unwrap();
    Load { rate, ..Load::default() }
}
