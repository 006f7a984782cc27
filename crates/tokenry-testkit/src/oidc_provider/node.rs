//! Finds Node.js and installs the server's packages, once for all test processes.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The oldest major version of Node.js that runs the server.
const OLDEST_NODE: u32 = 20;

/// Printed with every failure to find or use Node.js.
const WHAT_TO_INSTALL: &str = "The tests need Node.js 20 or newer and npm. \
    On Debian: apt-get install nodejs npm, or run crates/tokenry-testkit/scripts/install-needs.sh, \
    which also helps where the packaged Node.js is older.";

/// The folder of `server.mjs`, `package.json` and the lock file.
pub(super) fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc-provider")
}

/// The workspace's `target` folder, where everything that is fetched goes.
fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

/// The Node.js to run: the one `TOKENRY_TEST_NODE` names, else the one `install-needs.sh` fetched, else `node`.
///
/// # Panics
///
/// When none of them is new enough; the message says what to install.
pub(super) fn find_node() -> PathBuf {
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

/// The folder that holds an installed `node_modules`. Installs it first when it is missing or not what the lock
/// file asks for. Blocks, also on another process that is installing.
///
/// # Panics
///
/// When npm is missing or fails; the message says what to install, or shows the end of npm's own words.
pub(super) fn installed_modules() -> PathBuf {
    let source = source_dir();
    let wanted = read(&source.join("package-lock.json"));
    let home = target_dir().join(format!("oidc-provider-{}", pinned_version(&wanted)));
    must(fs::create_dir_all(&home), "create", &home);

    // The system drops the lock with the process that holds it, so a killed run blocks nobody.
    let lock_path = home.join(".lock");
    let lock = must(File::create(&lock_path), "create", &lock_path);
    must(lock.lock(), "lock", &lock_path);

    let stamp = home.join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return home;
    }
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        must(fs::copy(source.join(name), home.join(name)), "copy", &source.join(name));
    }
    npm_ci(&home);
    must(fs::write(&stamp, wanted), "write", &stamp);
    home
}

fn npm_ci(home: &Path) {
    let run = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(home)
        .output()
        .unwrap_or_else(|error| panic!("npm does not run: {error}. {WHAT_TO_INSTALL}"));
    assert!(
        run.status.success(),
        "`npm ci` failed ({}) in {}. {WHAT_TO_INSTALL}\n{}",
        run.status,
        home.display(),
        last_lines(&run, 20),
    );
}

fn last_lines(run: &Output, count: usize) -> String {
    let text = String::from_utf8_lossy(&run.stderr);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The version of `oidc-provider` in the lock file.
fn pinned_version(lock_file: &str) -> String {
    let lock: serde_json::Value = serde_json::from_str(lock_file)
        .unwrap_or_else(|error| panic!("oidc-provider/package-lock.json is not JSON: {error}"));
    match &lock["packages"]["node_modules/oidc-provider"]["version"] {
        serde_json::Value::String(version) => version.clone(),
        other => panic!("oidc-provider/package-lock.json pins no version: {other}"),
    }
}

fn read(path: &Path) -> String {
    must(fs::read_to_string(path), "read", path)
}

fn must<T>(result: std::io::Result<T>, verb: &str, path: &Path) -> T {
    result.unwrap_or_else(|error| panic!("cannot {verb} {}: {error}", path.display()))
}
