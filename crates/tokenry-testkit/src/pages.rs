//! Trips through the pages with a real browser: Debian's Chromium, driven by playwright-core, looked at by axe-core.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokenry_web::page_routes;

use crate::oidc_provider::OidcProvider;
use crate::packages::node;

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// The trips that ended well.
    pub passed: Vec<String>,
    /// The trips that did not, each with what went wrong.
    pub failed: Vec<String>,
    /// Whether the run came to its end, and says the same by its status.
    pub ended: bool,
}

/// Runs the trips in `pages/trips` with the binary `tokenry`, and gives each line they print to `say` as it comes.
/// One of them goes to every page of [`page_routes`]. `scratch` is for what the servers write.
///
/// The first run on a machine installs the npm packages under the workspace's `target` folder. The variables of
/// `pages/run.mjs` choose one trip, and pictures of it.
///
/// # Panics
///
/// When Node.js (20 or newer) or npm is missing or fails.
pub fn run(tokenry: &Path, oidc: &OidcProvider, scratch: &Path, mut say: impl FnMut(&str)) -> Report {
    let routes: Vec<Value> = page_routes()
        .into_iter()
        .map(|(method, path, who)| json!({"method": method, "path": path, "who": format!("{who:?}")}))
        .collect();
    let scene = json!({
        "tokenry": tokenry,
        "routes": routes,
        "scratch": scratch,
        "oidc": {"issuer": oidc.issuer(), "client_id": oidc.client_id(), "client_secret": oidc.client_secret()},
    });
    let mut command = node::script("pages", "run.mjs");
    let mut child = command
        .env("TOKENRY_TEST_SCENE", scene.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap_or_else(|error| panic!("the trips do not start: {error}"));
    let mut report = Report::default();
    let mut failing = false;
    let lines = child.stdout.take().map(|out| BufReader::new(out).lines());
    for line in lines.into_iter().flatten().map_while(Result::ok) {
        say(&line);
        if let Some(trip) = line.strip_prefix("ok ") {
            failing = false;
            report.passed.push(trip.to_owned());
        } else if let Some(trip) = line.strip_prefix("failed ") {
            failing = true;
            report.failed.push(trip.to_owned());
        } else if line.starts_with("trips: ") {
            failing = false;
            report.ended = true;
        } else if let (true, Some(last)) = (failing, report.failed.last_mut()) {
            last.push('\n');
            last.push_str(&line);
        }
    }
    let status = child.wait().unwrap_or_else(|error| panic!("the trips do not end: {error}"));
    report.ended &= status.success() == report.failed.is_empty();
    report
}
