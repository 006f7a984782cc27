//! What the servers of the tests are made of, installed once for all test processes under the workspace's `target`.

pub(crate) mod node;
pub(crate) mod python;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of a server's own files: how it is started, and the versions of what it needs.
pub(crate) fn source_dir(server: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(server)
}

/// The workspace's `target` folder, where everything that is fetched goes.
fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

/// The folder where a server's packages are. Runs `install` for it first when that was never done, or for another
/// lock file. Blocks, also on another process that is installing.
///
/// # Panics
///
/// When a file cannot be read or written, and when `install` panics.
fn install_once(server: &str, lock_file: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let wanted_path = source_dir(server).join(lock_file);
    let wanted = must(fs::read_to_string(&wanted_path), "read", &wanted_path);
    let home = target_dir().join("test-servers").join(server);
    must(fs::create_dir_all(&home), "create", &home);

    // The system drops the lock with the process that holds it, so a killed run blocks nobody.
    let lock_path = home.join(".lock");
    let lock = must(File::create(&lock_path), "create", &lock_path);
    must(lock.lock(), "lock", &lock_path);

    let stamp = home.join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return home;
    }
    // Gone first: an installation that breaks off must not pass for the one before it.
    must(fs::write(&stamp, ""), "write", &stamp);
    install(&home);
    must(fs::write(&stamp, wanted), "write", &stamp);
    home
}

/// Runs a command of an installation.
///
/// # Panics
///
/// When it does not run or fails. The message has the end of its own words, and `what_to_install`.
fn run(command: &mut Command, what_to_install: &str) {
    let program = command.get_program().to_string_lossy().into_owned();
    let run =
        command.output().unwrap_or_else(|error| panic!("{program} does not run: {error}. {what_to_install}"));
    assert!(
        run.status.success(),
        "this failed ({}): {command:?}. {what_to_install}\n{}",
        run.status,
        last_lines(&run, 20)
    );
}

fn last_lines(run: &Output, count: usize) -> String {
    // Debian's venv says what is missing on its standard output.
    let text = [&run.stdout, &run.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).join("\n");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn must<T>(result: std::io::Result<T>, verb: &str, path: &Path) -> T {
    result.unwrap_or_else(|error| panic!("cannot {verb} {}: {error}", path.display()))
}
