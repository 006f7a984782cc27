//! schemathesis, which makes requests out of an OpenAPI document and holds the answers against it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::packages::{python, source_dir};

/// How often each operation (`GET /api/auth/user`) ended in each status.
pub type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Whether everything was as the document says.
    pub passed: bool,
    /// In which statuses the operations ended.
    pub counts: Counts,
    /// What it said.
    pub output: String,
}

impl Report {
    /// How many requests were made.
    pub fn cases(&self) -> u64 {
        self.counts.values().flat_map(BTreeMap::values).sum()
    }

    /// A line for each operation.
    pub fn table(&self) -> String {
        let mut table = String::new();
        for (operation, statuses) in &self.counts {
            let total: u64 = statuses.values().sum();
            let by_status: Vec<String> = statuses.iter().map(|(s, n)| format!("{s}: {n}")).collect();
            let _ = writeln!(table, "{total:>6}  {operation}  ({})", by_status.join(", "));
        }
        table
    }
}

/// Runs schemathesis on the document at `<base>/openapi.json`. `world` is what `schemathesis/hooks.py` wants to know;
/// `cases` is how many random cases each operation gets at most, besides those that follow from the document. The first run
/// on a machine installs the packages into an environment under the workspace's `target` folder.
///
/// # Panics
///
/// When Python (3.10 or newer) or its venv module is missing, when the installation fails, and when the run leaves no
/// counts.
pub fn run(base: &str, world: &Value, cases: u32, seed: u32, scratch: &Path) -> Report {
    let home = source_dir("schemathesis");
    let counts = scratch.join("counts.json");
    let mut world = world.clone();
    world["base"] = json!(base);
    world["counts"] = json!(counts);
    let mut command = python::program("schemathesis", "schemathesis");
    command
        .arg("--config-file")
        .arg(home.join("schemathesis.toml"))
        .args(["run", "--no-color", "--no-shrink"])
        .args(["--max-examples", &cases.to_string(), "--seed", &seed.to_string()])
        .arg(format!("{base}/openapi.json"))
        .current_dir(scratch)
        .env("SCHEMATHESIS_HOOKS", home.join("hooks.py"))
        .env("TOKENRY_TEST_WORLD", world.to_string())
        .env("NO_PROXY", "*")
        .stdin(Stdio::null());
    let run = command.output().unwrap_or_else(|error| panic!("schemathesis does not run: {error}"));
    let output = [&run.stdout, &run.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    let counts = fs::read(&counts).unwrap_or_else(|error| panic!("no counts: {error}\n{output}"));
    let counts = serde_json::from_slice(&counts).unwrap_or_else(|error| panic!("{error}\n{output}"));
    Report { passed: run.status.success(), counts, output }
}
