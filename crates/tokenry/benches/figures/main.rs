//! Every figure of docs/performance.md, in one run: each is a ratio to something measured beside it, in alternation, because
//! the machines this runs on are noisy. `make bench` runs it. The load comes from wrk and pgbench.
//!
//! `TOKENRY_BENCH_ROWS` (1 000 000) is how many connections are stored for the figure of growth, `TOKENRY_BENCH_SECONDS` (4)
//! how long each measurement takes, `TOKENRY_BENCH_ROUNDS` (3) how often it is repeated: the median counts.
//! `TOKENRY_BENCH_BINARY` is a binary to measure in place of the one that is built from this tree.
//! `TOKENRY_BENCH_ONLY` names parts, divided by commas: start, read, list, login, refresh, replicas, write, growth.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark is a program that prints, and stops at the first thing that goes wrong"
)]

mod load;
mod refresh;
mod seed;
mod servers;

use std::time::{Duration, Instant};

use load::{Load, Script, median};
use servers::{Bare, Installation};
use tokenry_postgres::{Durability, Server as Postgres};

const CONNECTIONS: [u32; 4] = [1, 16, 64, 256];
/// The rows that are read. So few that they fit into every cache, so many that each request is for another.
const READ: i64 = 1000;

fn setting(name: &str, default: i64) -> i64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn main() {
    if std::env::args().any(|arg| arg == "--bare-server") {
        return servers::bare();
    }
    // `cargo test --benches` and `cargo bench -- --list` must not start a load.
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("run it with `make bench`");
        return;
    }
    let postgres = Postgres::start(Durability::Disk);
    let bare = Bare::start();
    let sqlite = Installation::on_sqlite();
    let server = Installation::on_postgres(&postgres);

    let wanted = std::env::var("TOKENRY_BENCH_ONLY").ok();
    let only = |part: &str| wanted.as_ref().is_none_or(|wanted| wanted.split(',').any(|word| word == part));
    if only("start") {
        size_and_start(&sqlite);
    }
    for place in [&sqlite, &server] {
        place.seed(READ);
    }
    if only("read") {
        println!("\n## get token, {READ} connections stored\n");
        println!(
            "| on | connections | tokenry/s | bare axum/s | ratio | p99 ms | bare p99 ms | CPU µs a request |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for place in [&sqlite, &server] {
            for connections in CONNECTIONS {
                get_token(place, &bare, connections);
            }
        }
        pgbench_select(&server, &postgres);
    }
    if only("list") {
        list(&[&sqlite, &server]);
    }
    if only("login") {
        log_in(&sqlite);
    }
    if only("refresh") {
        refresh::throughput();
    }
    if only("replicas") {
        replicas(&server, &bare);
    }
    if only("write") {
        writes(&sqlite, None);
        writes(&server, Some(&postgres));
    }
    if only("growth") {
        // On databases of their own: what the writes have left has other ids.
        growth(&[&Installation::on_sqlite(), &Installation::on_postgres(&postgres)], &bare);
    }
}

fn size_and_start(place: &Installation) {
    let size = std::fs::metadata(&*servers::BINARY).unwrap().len() as f64 / 1_000_000.0;
    println!("binary {size:.1} MB");
    drop(place.serve());
    let times = (0..10)
        .map(|_| {
            let began = Instant::now();
            let running = place.serve();
            running.call("GET", "/readyz", "", "");
            began.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    println!("start to first answer {:.0} ms (median of 10, existing SQLite database)", median(times));
    let running = place.serve();
    std::thread::sleep(Duration::from_secs(1));
    println!("resident, idle {:.1} MB", running.resident_mb());
}

/// Runs two loads in alternation, and gives the median of each figure.
fn beside(rounds: i64, mut ours: impl FnMut() -> Load, mut theirs: impl FnMut() -> Load) -> (Load, Load) {
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        other.push(theirs());
        own.push(ours());
    }
    (Load::median(&own), Load::median(&other))
}

fn get_token(place: &Installation, bare: &Bare, connections: u32) {
    let running = place.serve();
    let script = Script::get_any(READ);
    let (ours, theirs) = beside(
        setting("TOKENRY_BENCH_ROUNDS", 3),
        || running.measure(|base| load::wrk(base, &place.token, connections, &script)),
        || load::wrk(&bare.base, &place.token, connections, &script),
    );
    println!(
        "| {} | {connections} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.1} |",
        place.name,
        ours.rate,
        theirs.rate,
        ours.rate / theirs.rate,
        ours.p99_ms,
        theirs.p99_ms,
        ours.cpu_us
    );
}

/// The same select, by a program that does nothing else.
fn pgbench_select(place: &Installation, postgres: &Postgres) {
    let running = place.serve();
    let select = "\\set id random(1, 1000)\n\
                  SELECT c.id, c.user_id, u.session_epoch, c.sealed_access, c.expires_at, c.due_at, \
                  COALESCE(c.last_refreshed_at, c.connected_at) FROM connections c JOIN users u ON u.id = c.user_id \
                  WHERE c.id IN (:id) AND c.deleted_at IS NULL AND c.delete_at IS NULL AND c.state = 'ok';\n";
    println!("\n## get token beside pgbench, the same select and as many clients\n");
    for clients in [16, 64] {
        let script = Script::get_any(READ);
        let (ours, theirs) = beside(
            setting("TOKENRY_BENCH_ROUNDS", 3),
            || running.measure(|base| load::wrk(base, &place.token, clients, &script)),
            || load::pgbench(postgres, place, clients, select),
        );
        let ratio = ours.rate / theirs.rate;
        println!(
            "- {clients} clients: tokenry {:.0}/s, pgbench {:.0}/s, ratio {ratio:.2}",
            ours.rate, theirs.rate
        );
    }
}

fn writes(place: &Installation, postgres: Option<&Postgres>) {
    println!("\n## add and rename on {}, each durable\n", place.name);
    let running = place.serve();
    let rounds = setting("TOKENRY_BENCH_ROUNDS", 3);
    for writers in [1, 64] {
        let add = || running.measure(|base| load::wrk(base, &place.token, writers, &Script::add()));
        let (ours, theirs, what) = if let Some(postgres) = postgres {
            let insert = seed::pgbench_insert();
            let (ours, theirs) = beside(rounds, add, || load::pgbench(postgres, place, writers, &insert));
            (ours, theirs, "the same INSERT in pgbench")
        } else {
            let (ours, theirs) = beside(rounds, add, || place.one_fsync_per_insert());
            (ours, theirs, "one fsync for each INSERT")
        };
        println!(
            "- add, {writers} writers: {:.0}/s, {what} {:.0}/s, ratio {:.2}",
            ours.rate,
            theirs.rate,
            ours.rate / theirs.rate
        );
    }
    let renamed = running.measure(|base| load::wrk(base, &place.token, 16, &Script::rename(READ)));
    println!("- rename, 16 writers: {:.0}/s", renamed.rate);
}

/// A list of a hundred, opened, beside as many bytes from a bare handler.
fn list(places: &[&Installation]) {
    println!("\n## list of 100 connections, opened\n");
    for place in places {
        let running = place.serve();
        let body = running.call("GET", "/api/users/ada/get/connections?limit=100", &place.token, "");
        let bare = Bare::of_bytes(body.len());
        let script = Script::get("/api/users/ada/get/connections?limit=100");
        let (ours, theirs) = beside(
            setting("TOKENRY_BENCH_ROUNDS", 3),
            || running.measure(|base| load::wrk(base, &place.token, 16, &script)),
            || load::wrk(&bare.base, &place.token, 16, &script),
        );
        println!(
            "- {}: {} bytes, tokenry {:.0}/s, bare axum {:.0}/s, ratio {:.2}",
            place.name,
            body.len(),
            ours.rate,
            theirs.rate,
            ours.rate / theirs.rate
        );
    }
}

/// A log-in is one Argon2id and a write or two. It is meant to be slow.
fn log_in(place: &Installation) {
    let running = place.serve();
    let one = running.measure(|base| load::wrk(base, "", 1, &Script::log_in()));
    println!("\n## log-in\n\n- {:.0}/s with one client, {:.1} ms of CPU each", one.rate, one.cpu_us / 1000.0);
}

/// More processes on one database. On two cores they share them with the database and with the load: what is shown is that
/// they do not get in each other's way.
fn replicas(place: &Installation, bare: &Bare) {
    println!("\n## replicas on one PostgreSQL, 64 connections in all\n");
    let script = Script::get_any(READ);
    let mut one = 0.0;
    for count in [1_u32, 2, 4] {
        let running: Vec<_> = (0..count).map(|_| place.serve()).collect();
        let rounds = setting("TOKENRY_BENCH_ROUNDS", 3);
        let (ours, theirs) = beside(
            rounds,
            || load::at_once(&running, &place.token, 64 / count, &script),
            || load::wrk(&bare.base, &place.token, 64, &script),
        );
        let ratio = ours.rate / theirs.rate;
        one = if count == 1 { ratio } else { one };
        println!(
            "- {count}: {:.0}/s, ratio to bare axum {ratio:.2}, to one replica {:.2}",
            ours.rate,
            ratio / one
        );
    }
}

fn growth(places: &[&Installation], bare: &Bare) {
    let rows = setting("TOKENRY_BENCH_ROWS", 1_000_000);
    println!("\n## growth from {READ} to {rows} connections, 64 connections, any of them read\n");
    for place in places {
        place.seed(READ);
        let few = {
            let running = place.serve();
            running.measure(|base| load::wrk(base, &place.token, 64, &Script::get_any(READ)))
        };
        let began = Instant::now();
        place.seed(rows);
        println!("- {}: seeded in {:.0} s", place.name, began.elapsed().as_secs_f64());
        let running = place.serve();
        let script = Script::get_any(rows);
        // The caches fill first.
        load::wrk(&running.base, &place.token, 64, &script);
        let (many, theirs) = beside(
            setting("TOKENRY_BENCH_ROUNDS", 3),
            || running.measure(|base| load::wrk(base, &place.token, 64, &script)),
            || load::wrk(&bare.base, &place.token, 64, &script),
        );
        println!(
            "- {}: CPU a read {:.1} µs, was {:.1} µs: {:.2} times; ratio to bare axum {:.2}",
            place.name,
            many.cpu_us,
            few.cpu_us,
            many.cpu_us / few.cpu_us,
            many.rate / theirs.rate
        );
        // 256 at a time, and all of them stored.
        load::wrk(&running.base, &place.token, 256, &script);
        println!("- {}: resident after 256 connections {:.1} MB", place.name, running.resident_mb());
    }
}
