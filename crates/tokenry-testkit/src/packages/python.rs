//! Makes a Python environment and installs packages from the Python package index into it.

use std::path::PathBuf;
use std::process::Command;

use super::{install_once, run, source_dir};

/// Printed with every failure to make or fill an environment.
const WHAT_TO_INSTALL: &str = "The tests need Python 3.10 or newer with its venv module. \
    On Debian: apt-get install python3-venv, or run crates/tokenry-testkit/scripts/install-needs.sh.";

/// A command that runs a server's `server.py` in an environment that has its packages.
///
/// # Panics
///
/// When Python or its venv module is missing, and when an installation fails; the message says what to install, or
/// shows the end of pip's own words.
pub(crate) fn command(server: &str) -> Command {
    let mut command = program(server, "python");
    command.arg(source_dir(server).join("server.py"));
    command
}

/// A command that runs a program of an environment: Python itself, or what a package brought.
///
/// # Panics
///
/// As [`command`].
pub(crate) fn program(folder: &str, name: &str) -> Command {
    let mut command = Command::new(environment(folder).join("bin").join(name));
    // Nothing is written beside the sources.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// An environment with the packages of the folder's `requirements.txt`.
fn environment(folder: &str) -> PathBuf {
    let home = install_once(folder, "requirements.txt", |home| {
        let venv = home.join("venv");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv), WHAT_TO_INSTALL);
        // Wheels only, each with a checksum that the file has: no code of a package runs to install it.
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps"])
            .args(["--only-binary", ":all:", "--require-hashes", "--requirement"])
            .arg(source_dir(folder).join("requirements.txt"));
        run(&mut pip, WHAT_TO_INSTALL);
    });
    home.join("venv")
}
