//! A process of the binary: its output is read as it comes, and it ends with the test.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a process may take to say what it must, or to end when it must. The machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// A directory that the binary is run in. Nothing outside of it is read or written.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("tokenry-process-").tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The data directory, as the binary makes it by default.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("tokenry.db")
    }

    /// A command of the binary, with an environment of `env` and nothing else.
    fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenry"));
        command.args(args).env_clear().current_dir(self.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the binary.
    pub(crate) fn spawn(&self, args: &[&str], env: &[(&str, &str)]) -> Process {
        let mut child = self.command(args, env).stdin(Stdio::null()).spawn().unwrap();
        let out = Output::read(child.stdout.take().unwrap());
        let err = Output::read(child.stderr.take().unwrap());
        Process { child, out, err }
    }

    /// Runs the binary to its end, with `input` on its standard input.
    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)], input: &str) -> Done {
        let mut child = self.command(args, env).spawn().unwrap();
        // A process that refuses before it reads closes the pipe: that is for the caller to judge.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let out = Output::read(child.stdout.take().unwrap());
        let err = Output::read(child.stderr.take().unwrap());
        let mut process = Process { child, out, err };
        let status = process.wait();
        Done { status, out: process.out.end(), err: process.err.end() }
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Done {
        self.run_with(args, env, "")
    }
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// Its standard output; it must have ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.status.success(), "{self:?}");
        self.out
    }

    /// Its standard error; it must have ended with status 1.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        self.err
    }
}

/// A process that runs. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) out: Output,
    pub(crate) err: Output,
}

impl Process {
    /// Waits until a line of the standard output has this in it, and gives the line.
    pub(crate) fn line_with(&mut self, part: &str) -> String {
        self.out.line_with(part).unwrap_or_else(|| {
            // It has ended, or is stuck: what it said last is what matters.
            let _ = self.child.kill();
            panic!("no line with {part:?}: {:?} {:?}", self.out.end(), self.err.end())
        })
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Asks it to read its services again (SIGHUP).
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end: {:?} {:?}",
                self.out.text(),
                self.err.text()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process prints, read by a thread of its own so that it never waits for us.
pub(crate) struct Output {
    shared: Arc<(Mutex<Printed>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Printed {
    text: String,
    ended: bool,
}

impl Output {
    fn read(from: impl Read + Send + 'static) -> Self {
        let shared = Arc::<(Mutex<Printed>, Condvar)>::default();
        let kept = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                kept.0.lock().unwrap().text.push_str(&String::from_utf8_lossy(&line));
                kept.1.notify_all();
                line.clear();
            }
            kept.0.lock().unwrap().ended = true;
            kept.1.notify_all();
        });
        Self { shared, reader: Some(reader) }
    }

    /// All that was printed until now.
    pub(crate) fn text(&self) -> String {
        self.shared.0.lock().unwrap().text.clone()
    }

    /// All that was printed; the process has ended.
    pub(crate) fn end(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }

    pub(crate) fn line_with(&self, part: &str) -> Option<String> {
        let began = Instant::now();
        let mut printed = self.shared.0.lock().unwrap();
        loop {
            let whole = printed.text.rfind('\n').map_or("", |end| &printed.text[..end]);
            if let Some(line) = whole.lines().find(|line| line.contains(part)) {
                return Some(line.to_owned());
            }
            if printed.ended || began.elapsed() > PATIENCE {
                return None;
            }
            printed = self.shared.1.wait_timeout(printed, Duration::from_millis(100)).unwrap().0;
        }
    }
}
