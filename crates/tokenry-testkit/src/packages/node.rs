//! Finds Node.js and installs packages from npm.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{install_once, must, run, source_dir, target_dir};

/// The oldest major version of Node.js that runs the servers.
const OLDEST_NODE: u32 = 20;

/// Printed with every failure to find or use Node.js.
const WHAT_TO_INSTALL: &str = "The tests need Node.js 20 or newer and npm. \
    On Debian: apt-get install nodejs npm, or run crates/tokenry-testkit/scripts/install-needs.sh, \
    which also helps where the packaged Node.js is older.";

/// A command that runs a server's `server.mjs`, with its packages installed.
///
/// # Panics
///
/// When Node.js or npm is missing or fails; the message says what to install, or shows the end of npm's own words.
pub(crate) fn command(server: &str) -> Command {
    script(server, "server.mjs")
}

/// As [`command`], for another script of that folder.
///
/// # Panics
///
/// As [`command`].
pub(crate) fn script(server: &str, file: &str) -> Command {
    let home = install_once(server, "package-lock.json", |home| {
        for name in ["package.json", "package-lock.json", ".npmrc"] {
            let from = source_dir(server).join(name);
            must(fs::copy(&from, home.join(name)), "copy", &from);
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(home);
        run(&mut npm, WHAT_TO_INSTALL);
    });
    let mut command = Command::new(find_node());
    command.arg(source_dir(server).join(file)).env("MODULES", home);
    command
}

/// The Node.js to run: the one `TOKENRY_TEST_NODE` names, else the one `install-needs.sh` fetched, else `node`.
fn find_node() -> PathBuf {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let fetched = target_dir().join(format!("node/node_modules/node-linux-{arch}/bin/node"));
    let mut seen = Vec::new();
    let candidates = match env::var_os("TOKENRY_TEST_NODE") {
        Some(named) => vec![PathBuf::from(named)],
        None => vec![fetched, PathBuf::from("node")],
    };
    for candidate in candidates {
        match node_version(&candidate) {
            Some((major, _)) if major >= OLDEST_NODE => return candidate,
            Some((_, version)) => seen.push(format!("{} is {version}", candidate.display())),
            None => seen.push(format!("{} does not run", candidate.display())),
        }
    }
    panic!("no usable Node.js: {}. {WHAT_TO_INSTALL}", seen.join(", "));
}

/// The major number and the whole version that `node --version` states, such as `v20.20.2`.
fn node_version(node: &Path) -> Option<(u32, String)> {
    let output = Command::new(node).arg("--version").output().ok().filter(|o| o.status.success())?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let major = version.strip_prefix('v')?.split('.').next()?.parse().ok()?;
    Some((major, version))
}
